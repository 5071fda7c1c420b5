"""Which values of an engine's configuration are secrets, and how a text is shown without them.

A value is secret by the name it stands under, by its own form (a URL with a password, a private key, a known kind of token),
or because it holds a secret of the same container's environment. Every pass takes a time that grows with the text's length
alone: the texts are an engine's, and hostile.
"""

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from clusters.engine.cleaning import NAME_LENGTH, clean_text

MASK = "••••"
VALUE_LENGTH = 2048  # of a value that is shown
READ_LENGTH = 8192  # of a value that is looked at; far more, so that no cut goes through a secret that is shown
SHORTEST_KNOWN = 6  # characters of a secret that is looked for in other texts; a shorter one would be found everywhere
MOST_KNOWN = 50

SECRET_NAME = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|PASSCODE|PWD|(?:^|[_.-])PASS(?:$|[_.-])|SECRET|TOKEN|CREDENTIAL|PRIVATE|COOKIE|WEBHOOK|SALT"
    r"|AUTH(?!OR(?!I))|KEYS?(?:$|[^A-Z])|(?:^|[_.-])(?:DSN|CREDS)(?:$|[_.-])|CONNECTION_?STRING",
    re.IGNORECASE,
)
NOT_SECRET_NAMES = frozenset({"PWD", "OLDPWD"})
HARMLESS = frozenset({"", "0", "1", "true", "false", "yes", "no", "on", "off", "none"})
FILE_NAME = re.compile(r"[_.-](?:FILE|PATH|DIR)$", re.IGNORECASE)  # a convention: the secret's place, not the secret

NAMED_VALUE = re.compile(r"(?<![\w.-])(?P<name>[\w.-]++)(?P<between>[\"']?\s{0,4}[=:]\s{0,4}|\s{1,4})(?=\S)")
VALUE = re.compile(r"\"[^\"]*\"|'[^']*'|[^\s\"'&;,}\]]+")
TOKENS = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*|\b(?:gh[pousr]_\w{20,}|glpat-[\w-]{16,}|xox[abprs]-[\w-]{10,}|sk_live_\w{10,}"
    r"|AKIA[0-9A-Z]{16}|eyJ[\w-]{10,}\.eyJ[\w.-]{10,}|(?:Bearer|Basic)\s+[\w+/=.~-]{8,})",
    re.DOTALL,
)
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
ESCAPED = re.compile(r"[\"$`\\]")
PLAIN_ARGUMENT = re.compile(r"[^\s\"'$&|;<>()`\\*?#]+")


@dataclass(frozen=True)
class Setting:
    """A name and its value, as they may be shown. `is_secret`: the value is one or holds one, masked or not."""

    name: str
    value: str
    is_secret: bool = False


class Masker:
    """Makes texts of one container or service fit to be shown, and counts the secrets that it met.

    `environment`: its variables; their secrets are masked in the other texts too. With `revealed` nothing is masked.
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
        """A command as a shell would take it."""
        shown, follows_secret_flag = [], False
        for argument in (argument[:READ_LENGTH] for argument in arguments):
            is_flag = argument.startswith("-")
            masked = MASK if follows_secret_flag and argument and not is_flag else self._mask(argument)
            shown.append(quote(self._choose(argument, masked)))
            follows_secret_flag = is_flag and "=" not in argument and is_secret_name(argument)
        return " ".join(shown)[:VALUE_LENGTH]

    def _choose(self, text: str, masked: str, length: int = VALUE_LENGTH) -> str:
        self.count += masked != text
        return clean_lines(text if self.revealed else masked, length)

    def _mask(self, text: str) -> str:
        for secret in self._known:
            text = text.replace(secret, MASK)
        return mask_text(text)


def quote(argument: str) -> str:
    """For a shell, where it needs that, and so that a person can read it. The mask stays without quotes."""
    if PLAIN_ARGUMENT.fullmatch(argument):
        return argument
    if "'" not in argument:
        return shlex.quote(argument)
    escaped = ESCAPED.sub(lambda found: "\\" + found[0], argument)
    return f'"{escaped}"'


def clean_lines(text: str, length: int) -> str:
    """No control characters but line breaks and tabs, no longer than `length`."""
    return UNPRINTABLE.sub("", text.replace("\r\n", "\n"))[:length]


def is_secret_name(name: str) -> bool:
    return name.upper() not in NOT_SECRET_NAMES and SECRET_NAME.search(name[:NAME_LENGTH]) is not None


def is_secret_value(name: str, value: str) -> bool:
    """Whether the whole value is a secret for the name it stands under."""
    if value.strip().lower() in HARMLESS or not is_secret_name(name):
        return False
    return not (FILE_NAME.search(name) and value.startswith("/"))


def find_secrets(name: str, value: str) -> list[str]:
    """What must not be seen of a variable: the value, and the password of the URL that it is."""
    secrets = [value] if is_secret_value(name, value) else []
    for word in value.split():
        start, end = find_password(word)
        if start < end:
            secrets.append(word[start:end])
    return secrets


def mask_text(text: str) -> str:
    """Without passwords in URLs, known kinds of tokens, and values that follow a secret's name: `--password=…`."""
    text = re.sub(r"\S+", lambda word: mask_password(word[0]), text)
    return mask_named_values(TOKENS.sub(MASK, text))


def mask_password(word: str) -> str:
    start, end = find_password(word)
    return f"{word[:start]}{MASK}{word[end:]}" if start < end else word


def find_password(word: str) -> tuple[int, int]:
    """Where the password of `scheme://user:password@host` stands; an empty range where there is none."""
    scheme, at = word.find("://"), word.rfind("@")
    colon = word.find(":", scheme + 3, at) if 0 <= scheme < at else -1
    return (colon + 1, at) if colon >= 0 else (0, 0)


def mask_named_values(text: str) -> str:
    """`name=value`, `name: value` and `--name value`, where the name is a secret's."""
    parts, position = [], 0
    for found in NAMED_VALUE.finditer(text):
        is_flag_with_space = found["between"].isspace() and found["name"].startswith("-")
        if found.start() < position or not is_secret_name(found["name"]):
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
