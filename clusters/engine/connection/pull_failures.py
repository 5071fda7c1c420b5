"""Why a pull failed, from the engine's message: registries and engine versions word the same refusal differently."""

import re

from clusters.engine.errors import PullFailed

# A status counts only where it stands alone, because an address can hold any number. "no such host", "no such file" and
# "permission denied" of a file do not come from a registry.
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
ADVICE = {
    "pull_rate_limited": " Wait, or store credentials with a higher limit for its registry.",
    "pull_not_found": " Check the image's name, and that this tag was pushed.",
    "pull_unauthorized": " Check the credentials that are stored for its registry.",
}

# An address or a name. The match starts where a word does, so that a long text is searched in linear time.
SLASHED = re.compile(r"(?<![\w.:@%-])[\w.:@%-]*/[\w.:@%/-]*")


def classify_pull_failure(reference: str, message: str, *, had_credentials: bool = False) -> PullFailed:
    """Return a typed error. Words with a slash, such as addresses and names, say nothing about the reason and are ignored."""
    text = SLASHED.sub(" ", message.lower())
    code = next((code for code, words in WORDS if re.search(words, text)), "pull_failed")
    sentence = f"{reference} could not be pulled: {message.strip()[:500].rstrip('.')}.{ADVICE.get(code, '')}"
    return PullFailed(sentence, code=code, had_credentials=had_credentials)
