"""Finds the secrets in an engine's configuration and masks them.

A value is secret by its name, by its form (a URL with a password, a private key, a known kind of token), or because it holds a
secret from the same container's environment. The texts come from an engine and are hostile, so each pass takes time in
proportion to the text's length and no more.
"""

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from clusters.engine.cleaning import NAME_LENGTH, clean_text

MASK = "••••"
VALUE_LENGTH = 2048  # characters of a value that are shown
READ_LENGTH = 8192  # characters that are searched; far more, so that no cut goes through a secret that is shown
SHORTEST_KNOWN = 6  # characters of a secret that is masked in other texts; a shorter one would be found everywhere
MOST_KNOWN = 50

SECRET_NAME = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|PASSCODE|PWD|(?:^|[_.-])PASS(?:$|[_.-])|SECRET|TOKEN|CREDENTIAL|PRIVATE|COOKIE|WEBHOOK|SALT"
    r"|AUTH(?!OR(?!I))|KEYS?(?:$|[^A-Z])|(?:^|[_.-])(?:DSN|CREDS)(?:$|[_.-])|CONNECTION_?STRING",
    re.IGNORECASE,
)
NOT_SECRET_NAMES = frozenset({"PWD", "OLDPWD"})
HARMLESS = frozenset({"", "0", "1", "true", "false", "yes", "no", "on", "off", "none"})
FILE_NAME = re.compile(
    r"[_.-](?:FILE|PATH|DIR)$", re.IGNORECASE
)  # by convention, such a value is the path of the secret, not the secret

NAMED_VALUE = re.compile(r"(?<![\w.-])(?P<name>[\w.-]++)(?P<between>[\"']?\s{0,4}[=:]\s{0,4}|\s{1,4})(?=\S)")
VALUE = re.compile(r"\"[^\"]*\"|'[^']*'|[^\s\"'&;,}\]]+")
TOKENS = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*|\b(?:gh[pousr]_\w{20,}|glpat-[\w-]{16,}|xox[abprs]-[\w-]{10,}|sk_live_\w{10,}"
    r"|wl_[0-9a-f]{16,}|AKIA[0-9A-Z]{16}|eyJ[\w-]{10,}\.eyJ[\w.-]{10,}|(?:Bearer|Basic)\s+[\w+/=.~-]{8,})",
    re.DOTALL,
)
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
ESCAPED = re.compile(r"[\"$`\\]")
PLAIN_ARGUMENT = re.compile(r"[^\s\"'$&|;<>()`\\*?#]+")


@dataclass(frozen=True)
class Setting:
    """A name and its value, fit to be shown. `is_secret`: the value is or holds a secret, masked or not."""

    name: str
    value: str
    is_secret: bool = False


class Masker:
    """Masks the secrets in the texts of one container or service, and counts them.

    `environment` has its variables: their secrets are masked in the other texts too. With `revealed`, nothing is masked.
    """

    def __init__(self, environment: Iterable[tuple[str, str]] = (), revealed: bool = False) -> None:
        self.revealed = revealed
        self.count = 0
        found = dict.fromkeys(secret for name, value in environment for secret in find_secrets(name, value))
        self._known = sorted((secret for secret in found if len(secret) >= SHORTEST_KNOWN), key=len, reverse=True)[:MOST_KNOWN]

    def read_setting(self, name: str, value: str) -> Setting:
        value = value[:READ_LENGTH]
        masked = MASK if is_secret_value(name, value) else self._mask(value)
        return Setting(clean_text(name, NAME_LENGTH), self._choose(value, masked), masked != value)

    def read_text(self, text: str, length: int = VALUE_LENGTH) -> str:
        text = text[:READ_LENGTH]
        return self._choose(text, self._mask(text), length)

    def read_arguments(self, arguments: Iterable[str]) -> str:
        """Return a command as it would be typed in a shell."""
        shown, follows_secret_flag = [], False
        for argument in (argument[:READ_LENGTH] for argument in arguments):
            is_flag = argument.startswith("-")
            masked = MASK if follows_secret_flag and argument and not is_flag else self._mask(argument)
            shown.append(quote_argument(self._choose(argument, masked)))
            follows_secret_flag = is_flag and "=" not in argument and is_secret_setting(argument)
        return " ".join(shown)[:VALUE_LENGTH]

    def _choose(self, text: str, masked: str, length: int = VALUE_LENGTH) -> str:
        self.count += masked != text
        return clean_lines(text if self.revealed else masked, length)

    def _mask(self, text: str) -> str:
        for secret in self._known:
            text = text.replace(secret, MASK)
        return mask_text(text)


def quote_argument(argument: str) -> str:
    """Quote an argument for a shell where that is needed, in a readable way. The mask is never quoted."""
    if PLAIN_ARGUMENT.fullmatch(argument):
        return argument
    if "'" not in argument:
        return shlex.quote(argument)
    escaped = ESCAPED.sub(lambda found: "\\" + found[0], argument)
    return f'"{escaped}"'


def clean_lines(text: str, length: int) -> str:
    """Remove control characters except line breaks and tabs, and cut the text to `length` characters."""
    return UNPRINTABLE.sub("", text.replace("\r\n", "\n"))[:length]


def is_secret_setting(name: str) -> bool:
    return name.upper() not in NOT_SECRET_NAMES and SECRET_NAME.search(name[:NAME_LENGTH]) is not None


def is_secret_value(name: str, value: str) -> bool:
    """Return whether the name makes the whole value a secret."""
    if value.strip().lower() in HARMLESS or not is_secret_setting(name):
        return False
    return not (FILE_NAME.search(name) and value.startswith("/"))


def find_secrets(name: str, value: str) -> list[str]:
    """Return the secrets of a variable: the value itself, and the password of each URL in it."""
    secrets = [value] if is_secret_value(name, value) else []
    for word in value.split():
        start, end = find_password(word)
        if start < end:
            secrets.append(word[start:end])
    return secrets


def mask_text(text: str) -> str:
    """Mask passwords in URLs, known kinds of tokens, and values that follow a secret's name: `--password=…`."""
    text = re.sub(r"\S+", lambda word: mask_password(word[0]), text)
    return mask_named_values(TOKENS.sub(MASK, text))


def mask_password(word: str) -> str:
    start, end = find_password(word)
    return f"{word[:start]}{MASK}{word[end:]}" if start < end else word


def find_password(word: str) -> tuple[int, int]:
    """Return the range of the password in `scheme://user:password@host`, an empty range where there is none."""
    scheme, at = word.find("://"), word.rfind("@")
    colon = word.find(":", scheme + 3, at) if 0 <= scheme < at else -1
    return (colon + 1, at) if colon >= 0 else (0, 0)


def mask_named_values(text: str) -> str:
    """Mask the value in `name=value`, `name: value` and `--name value`, where the name is a secret's."""
    parts, position = [], 0
    for found in NAMED_VALUE.finditer(text):
        is_flag_with_space = found["between"].isspace() and found["name"].startswith("-")
        if found.start() < position or not is_secret_setting(found["name"]):
            continue
        if found["between"].isspace() and not is_flag_with_space:
            continue
        value = VALUE.match(text, found.end())
        if not value or value[0].strip("\"'").lower() in HARMLESS or (is_flag_with_space and value[0].startswith("-")):
            continue
        if FILE_NAME.search(found["name"]) and value[0].startswith("/"):
            continue
        parts += [text[position : found.end()], MASK]
        position = value.end()
    return "".join([*parts, text[position:]])
