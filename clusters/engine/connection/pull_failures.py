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


def classify_pull_failure(reference: str, message: str, *, had_credentials: bool = False, withheld: str = "") -> PullFailed:
    """Return a typed error. `withheld` is why credentials were not sent; it is the advice where they might have helped."""
    code = find_code(message)
    advice = ADVICE.get(code, "")
    if withheld and code in ADVICE:
        advice = f" {withheld}" if code == "pull_unauthorized" else f"{advice} {withheld}"
    sentence = f"{reference} could not be pulled: {message.strip()[:500].rstrip('.')}.{advice}"
    return PullFailed(sentence, code=code, had_credentials=had_credentials, withheld=withheld)


def find_code(message: str) -> str:
    """Return the reason's code. Words with a slash, such as addresses and names, say nothing about it and are ignored."""
    text = SLASHED.sub(" ", message.lower())
    return next((code for code, words in WORDS if re.search(words, text)), "pull_failed")


def may_lack_credentials(message: str) -> bool:
    """Return whether a pull may have failed for lack of credentials. Registries also answer that a private image is not
    found."""
    return find_code(message) in {"pull_unauthorized", "pull_not_found"}
