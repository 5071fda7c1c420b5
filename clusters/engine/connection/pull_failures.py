"""Why a pull failed, from the engine's words: registries and engine versions word the same refusal differently."""

import re

from clusters.engine.errors import PullFailed

# Statuses only where they stand alone: an address may hold any number. A host or file that does not exist, and a file that may
# not be read, are no answers of a registry.
WORDS = (
    ("pull_rate_limited", r"toomanyrequests|too many requests|rate limit|(?<!:)\b429\b"),
    (
        "pull_not_found",
        r"not found|manifest unknown|name unknown|no such (image|manifest|repository|id)|does not exist or no pull access",
    ),
    (
        "pull_unauthorized",
        r"unauthorized|(?<!permission )denied|no basic auth credentials|authentication required|(?<!:)\b(401|403)\b",
    ),
)


# An address or a name. It begins where a word does, so that a long text is read in one go.
SLASHED = re.compile(r"(?<![\w.:@%-])[\w.:@%-]*/[\w.:@%/-]*")


def classify_pull_failure(reference: str, message: str, *, had_credentials: bool = False) -> PullFailed:
    """A typed error. What has a slash in it, an address or a name, says nothing about the reason."""
    text = SLASHED.sub(" ", message.lower())
    code = next((code for code, words in WORDS if re.search(words, text)), "pull_failed")
    sentence = f"{reference} could not be pulled: {message.strip()[:500].rstrip('.')}."
    return PullFailed(sentence, code=code, had_credentials=had_credentials)
