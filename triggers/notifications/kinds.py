"""The kinds of channels, the fields of each, and what the fields must hold. Knows no sender: pages and API read it too."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from triggers.models import ChannelKind

FieldForm = Literal["text", "secret", "number", "choice", "lines", "pem"]
LENGTH = 1000  # characters of a value
PEM_LENGTH = 64_000
RECIPIENTS_MAXIMUM = 50

FORGES = (("github", "GitHub"), ("gitlab", "GitLab"), ("gitea", "Gitea"), ("forgejo", "Forgejo"))
REPOSITORIES = re.compile(r"[A-Za-z0-9_.*-]+(?:/[A-Za-z0-9_.*-]+){1,20}")
TLS_MODES = (("starttls", "STARTTLS"), ("tls", "TLS from the start"), ("none", "None"))
ADDRESS = re.compile(r"[!-~]+")
TOPIC = re.compile(r"[A-Za-z0-9_-]{1,64}")
TELEGRAM_TOKEN = re.compile(r"[0-9]{1,16}:[A-Za-z0-9_-]{20,64}")
TELEGRAM_CHAT = re.compile(r"-?[0-9]{1,20}|@[A-Za-z0-9_]{4,32}")
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|[0-9a-fA-F:.]{2,45}")


@dataclass(frozen=True)
class ChannelField:
    """A field of a channel's configuration. A secret one is never shown again. `leads` fields say where messages go: a stored
    secret is never sent to a place that it was not entered for."""

    name: str
    label: str
    help: str = ""
    form: FieldForm = "text"
    is_required: bool = True
    default: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    leads: bool = False

    @property
    def is_secret(self) -> bool:
        return self.form == "secret"


CA = ChannelField(
    "ca", "CA certificate", "PEM; for a certificate that the system does not trust.", form="pem", is_required=False, leads=True
)


def hook(label: str, example: str) -> ChannelField:
    return ChannelField("url", label, f"As {example}. It is a secret: whoever has it can write there.", form="secret")


FIELDS: dict[str, tuple[ChannelField, ...]] = {
    ChannelKind.MAIL: (
        ChannelField("host", "SMTP server", "A name or an address, such as smtp.example.com.", leads=True),
        ChannelField(
            "port", "port", "587 for STARTTLS, 465 for TLS, 25 for neither.", form="number", default="587", leads=True
        ),
        ChannelField("tls", "encryption", form="choice", choices=TLS_MODES, default="starttls", leads=True),
        ChannelField("username", "user name", is_required=False),
        ChannelField("password", "password", form="secret", is_required=False),
        ChannelField("sender", "from", "The address that the mails come from."),
        ChannelField("recipients", "to", f"Addresses, one a line, at most {RECIPIENTS_MAXIMUM}.", form="lines"),
        CA,
    ),
    ChannelKind.SLACK: (hook("incoming webhook", "https://hooks.slack.com/services/…"),),
    ChannelKind.TEAMS: (hook("workflow's address", "https://….logic.azure.com/workflows/…"),),
    ChannelKind.DISCORD: (hook("webhook", "https://discord.com/api/webhooks/…"),),
    ChannelKind.MATTERMOST: (hook("incoming webhook", "https://mattermost.example.com/hooks/…"), CA),
    ChannelKind.TELEGRAM: (
        ChannelField("token", "bot token", "From @BotFather.", form="secret"),
        ChannelField("chat", "chat", "The number of a chat or a group, or the @name of a channel."),
    ),
    ChannelKind.NTFY: (
        ChannelField("server", "server", default="https://ntfy.sh", leads=True),
        ChannelField("topic", "topic"),
        ChannelField("token", "access token", "Where the topic needs one.", form="secret", is_required=False),
        CA,
    ),
    ChannelKind.GOTIFY: (
        ChannelField("server", "server", "Such as https://gotify.example.com.", leads=True),
        ChannelField("token", "application token", form="secret"),
        CA,
    ),
    ChannelKind.COMMIT: (
        ChannelField("forge", "forge", form="choice", choices=FORGES, default="github", leads=True),
        ChannelField("server", "server", "Its address in a browser.", default="https://github.com", leads=True),
        ChannelField("token", "access token", "It needs the right to set statuses of commits, and no other.", form="secret"),
        ChannelField(
            "repository",
            "repositories",
            "owner/name, or with a * for any text, as owner/*. Empty: each that a call names. A single one need not be named.",
            is_required=False,
        ),
        CA,
    ),
    ChannelKind.WEBHOOK: (
        ChannelField("url", "address", "Gets a signed POST for each message.", leads=True),
        CA,
    ),
}

SLACK_URL = re.compile(r"https://hooks\.slack\.com/services/([A-Za-z0-9]+)/([A-Za-z0-9]+)/([A-Za-z0-9]+)/?")
DISCORD_URL = re.compile(r"https://(?:discord|discordapp)\.com/api/webhooks/([0-9]+)/([A-Za-z0-9_-]+)/?")
MATTERMOST_URL = re.compile(r"(https?://[^/?#\s]+(?:/[^?#\s]*?)?)/hooks/([A-Za-z0-9]{10,64})/?")
# Of Logic Apps and of the Power Platform, in each of Microsoft's clouds
# (https://learn.microsoft.com/power-automate/ip-address-configuration).
TEAMS_URL = re.compile(
    r"https://(?P<host>[A-Za-z0-9.-]+\.(?:logic\.azure\.[a-z]{2,12}|(?:power|apps)platform(?:\.[a-z0-9-]{2,24}){1,3}))"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<direct>/powerautomate/automations/direct(?:/cu/(?P<route>[0-9]+))?)?"
    r"/workflows/(?P<workflow>[A-Za-z0-9_-]+)/triggers/manual/paths/invoke/?\?(?P<query>\S+)"
)
HOOKS = {
    ChannelKind.SLACK: (SLACK_URL, "https://hooks.slack.com/services/ and three parts"),
    ChannelKind.DISCORD: (DISCORD_URL, "https://discord.com/api/webhooks/ and two parts"),
    ChannelKind.MATTERMOST: (MATTERMOST_URL, "https://mattermost.example.com/hooks/ and a key"),
    ChannelKind.TEAMS: (TEAMS_URL, "https://….logic.azure.com/workflows/…/triggers/manual/paths/invoke?…&sig=…"),
}


def list_fields(kind: str) -> tuple[ChannelField, ...]:
    return FIELDS.get(kind, ())


def merge_values(kind: str, stored: Mapping[str, Any], entered: Mapping[str, str]) -> dict[str, Any]:
    """Return the configuration that was entered, by field. An empty secret keeps the stored one, unless a field changed that
    says where messages go: whoever may change the channel must not send its secret elsewhere. What is no field, such as a
    webhook's signing key, stays as it is."""
    fields = list_fields(kind)
    names = {each.name for each in fields}
    values = {name: value for name, value in stored.items() if name not in names}
    values |= {each.name: str(entered.get(each.name, "")).strip() for each in fields}
    is_elsewhere = any(values[each.name] != stored.get(each.name, "") for each in fields if each.leads)
    for each in fields:
        if each.is_secret and not values[each.name] and not is_elsewhere:
            values[each.name] = stored.get(each.name, "")
    return values


def find_problems(kind: str, values: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with a configuration, a sentence for each field. Addresses are resolved only when something is
    sent."""
    problems: dict[str, str] = {}
    for each in list_fields(kind):
        if problem := _find_problem(kind, each, str(values.get(each.name, "")), values):
            problems[each.name] = problem
    return problems


def _find_problem(kind: str, field: ChannelField, value: str, values: Mapping[str, Any]) -> str:
    if not value:
        return f"Enter the {field.label}." if field.is_required else ""
    if len(value) > (PEM_LENGTH if field.form == "pem" else LENGTH * (RECIPIENTS_MAXIMUM if field.form == "lines" else 1)):
        return "This is too long."
    if "\0" in value or (field.form not in {"lines", "pem"} and any(mark in value for mark in "\r\n")):
        return "This has a character that cannot be here."
    if field.form == "choice":
        return "" if value in dict(field.choices) else f"Choose one of {', '.join(dict(field.choices))}."
    check = CHECKS.get(field.name)
    return check(kind, value, values) if check else ""


def _check_hook(kind: str, value: str, values: Mapping[str, Any]) -> str:
    if kind not in HOOKS:
        return explain_bad_url(value)
    pattern, example = HOOKS[ChannelKind(kind)]
    return "" if pattern.fullmatch(value) and not explain_bad_url(value) else f"This is not such an address: {example}."


def explain_bad_url(value: str) -> str:
    """Say what is wrong with an address of HTTP, as a sentence; empty when nothing is."""
    try:
        parts = urlsplit(value)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "This is not an address such as https://example.com/path."
    if parts.scheme not in {"http", "https"} or not HOST.fullmatch(host) or port == 0 or not ADDRESS.fullmatch(value):
        return "This is not an address such as https://example.com/path."
    if "@" in parts.netloc:
        return "Leave the user name and the password out of the address."
    return "Leave out what follows the #." if parts.fragment else ""


def _check_server(kind: str, value: str, values: Mapping[str, Any]) -> str:
    if problem := explain_bad_url(value):
        return problem
    if kind == ChannelKind.NTFY and urlsplit(value).path.strip("/"):
        return "A server of ntfy is not below a path."
    return "Leave out what follows the ?." if "?" in value else ""


def _check_host(kind: str, value: str, values: Mapping[str, Any]) -> str:
    return "" if HOST.fullmatch(value) else "This is neither a host's name nor an IP address."


def _check_port(kind: str, value: str, values: Mapping[str, Any]) -> str:
    is_port = value.isascii() and value.isdigit() and 0 < int(value[:6]) < 65536
    return "" if is_port else "A port is a number from 1 to 65535."


def _check_sender(kind: str, value: str, values: Mapping[str, Any]) -> str:
    return "" if is_mail_address(value) else "This is not a mail address."


def _check_recipients(kind: str, value: str, values: Mapping[str, Any]) -> str:
    found = list_recipients(value)
    if len(found) > RECIPIENTS_MAXIMUM:
        return f"At most {RECIPIENTS_MAXIMUM} addresses are possible."
    wrong = [each for each in found if not is_mail_address(each)]
    return f"This is not a mail address: {wrong[0][:100]}." if wrong else ""


def _check_password(kind: str, value: str, values: Mapping[str, Any]) -> str:
    if not values.get("username"):
        return "A password needs a user name."
    return "A password is only sent with encryption. Choose STARTTLS or TLS." if values.get("tls") == "none" else ""


def _check_token(kind: str, value: str, values: Mapping[str, Any]) -> str:
    if kind == ChannelKind.TELEGRAM:
        return "" if TELEGRAM_TOKEN.fullmatch(value) else "A bot token is a number, a colon and a key."
    return "" if re.fullmatch(r"[A-Za-z0-9._-]+", value) else "A token has letters, digits, dots, hyphens and underscores only."


def _check_chat(kind: str, value: str, values: Mapping[str, Any]) -> str:
    return "" if TELEGRAM_CHAT.fullmatch(value) else "A chat is a number, or an @name."


def _check_topic(kind: str, value: str, values: Mapping[str, Any]) -> str:
    return "" if TOPIC.fullmatch(value) else "A topic has up to 64 letters, digits, hyphens and underscores."


def _check_repository(kind: str, value: str, values: Mapping[str, Any]) -> str:
    return "" if REPOSITORIES.fullmatch(value) else "This is not owner/name, or owner/* for all of an owner."


def _check_ca(kind: str, value: str, values: Mapping[str, Any]) -> str:
    return "" if "-----BEGIN CERTIFICATE-----" in value else "This is not a certificate in PEM."


CHECKS = {
    "url": _check_hook,
    "server": _check_server,
    "host": _check_host,
    "port": _check_port,
    "sender": _check_sender,
    "recipients": _check_recipients,
    "password": _check_password,
    "token": _check_token,
    "chat": _check_chat,
    "topic": _check_topic,
    "repository": _check_repository,
    "ca": _check_ca,
}


def is_mail_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return text.isascii()


def list_recipients(text: str) -> list[str]:
    return [line.strip() for line in text.replace(",", "\n").splitlines() if line.strip()]


def describe_target(kind: str, values: Mapping[str, Any]) -> str:
    """Return where messages go, without anything secret: `ann@example.com by smtp.example.com`, `hooks.example.com`."""
    if kind == ChannelKind.MAIL:
        found = list_recipients(str(values.get("recipients", "")))
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        return f"{found[0] if found else 'nobody'}{more} by {values.get('host', '')}"
    if kind == ChannelKind.TELEGRAM:
        return f"chat {values.get('chat', '')}"
    if kind == ChannelKind.COMMIT:
        return f"{values.get('repository') or 'any repository'} at {urlsplit(str(values.get('server', ''))).netloc}"
    host = urlsplit(str(values.get("server") or values.get("url") or "")).netloc.rpartition("@")[2]
    return f"{values['topic']} at {host}" if kind == ChannelKind.NTFY and values.get("topic") else host
