import pytest

from triggers.models import ChannelKind
from triggers.notifications.kinds import FIELDS, describe_target, find_problems, list_recipients, merge_values

MAIL = {
    "host": "smtp.example.com",
    "port": "587",
    "tls": "starttls",
    "username": "console",
    "password": "of a test",
    "sender": "console@example.com",
    "recipients": "ann@example.com\nbob@example.com",
    "ca": "",
}


def test_a_whole_configuration_has_no_problems():
    assert find_problems(ChannelKind.MAIL, MAIL) == {}
    assert set(find_problems(ChannelKind.MAIL, {})) == {"host", "port", "tls", "sender", "recipients"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", "smtp.example.com\nx"),
        ("host", "http://smtp.example.com"),
        ("host", "-x"),
        ("port", "0"),
        ("port", "65536"),
        ("port", "²"),
        ("tls", "ssl"),
        ("sender", "console"),
        ("sender", "a@example.com\r\nBcc: b@example.com"),
        ("recipients", "ann@example.com, nobody"),
        ("recipients", "\n".join(f"a{number}@example.com" for number in range(51))),
        ("username", ""),
        ("username", "x" * 1001),
        ("ca", "no certificate"),
    ],
)
def test_what_mail_refuses(name, value):
    found = find_problems(ChannelKind.MAIL, MAIL | {name: value})
    assert list(found) == ["password" if name == "username" and not value else name]


def test_no_password_without_encryption():
    assert "encryption" in find_problems(ChannelKind.MAIL, MAIL | {"tls": "none"})["password"]


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        (ChannelKind.SLACK, "https://hooks.slack.com.evil.example/services/T/B/C"),
        (ChannelKind.SLACK, "https://hooks.slack.com/services/T/B/C?template=/etc/passwd"),
        (ChannelKind.SLACK, "http://hooks.slack.com/services/T/B/C"),
        (ChannelKind.DISCORD, "https://discord.com/api/webhooks/x/y"),
        (ChannelKind.TEAMS, "https://evil.example/workflows/a/triggers/manual/paths/invoke?sig=x"),
        (ChannelKind.TEAMS, "https://logic.azure.com.evil.example/workflows/a/triggers/manual/paths/invoke?sig=x"),
        (ChannelKind.MATTERMOST, "https://chat.example.com/hooks/short"),
        (ChannelKind.MATTERMOST, "ftp://chat.example.com/hooks/abcdefghijklmnopqrstuvwxyz"),
        (ChannelKind.MATTERMOST, "https://ann:pw@chat.example.com/hooks/abcdefghijklmnopqrstuvwxyz"),
        (ChannelKind.WEBHOOK, "file:///etc/passwd"),
        (ChannelKind.WEBHOOK, "https://ann:pw@example.com/"),
        (ChannelKind.WEBHOOK, "https://example.com/#part"),
        (ChannelKind.WEBHOOK, "https://exa mple.com/"),
        (ChannelKind.WEBHOOK, "https://[::1"),
        (ChannelKind.WEBHOOK, "https://example.com:99999/"),
        (ChannelKind.WEBHOOK, "https:///path"),
        (ChannelKind.WEBHOOK, "https://example.com\\@evil.example/"),
    ],
)
def test_addresses_that_are_refused(kind, url):
    assert list(find_problems(kind, {"url": url})) == ["url"]


@pytest.mark.parametrize(
    "url", ["https://example.com/x?y=1", "http://10.0.0.1:8080/", "http://[fd00::1]:81/x", "http://localhost:9000"]
)
def test_addresses_that_are_taken(url):
    assert find_problems(ChannelKind.WEBHOOK, {"url": url}) == {}


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (ChannelKind.TELEGRAM, "token", "no token"),
        (ChannelKind.TELEGRAM, "chat", "../1"),
        (ChannelKind.NTFY, "topic", "a/b"),
        (ChannelKind.NTFY, "server", "https://ntfy.example.com/?x"),
        (ChannelKind.NTFY, "server", "https://ntfy.example.com/below"),
        (ChannelKind.GOTIFY, "token", "a b"),
    ],
)
def test_what_other_services_refuse(kind, name, value):
    good = {"token": "123456:" + "a" * 35, "chat": "-1", "topic": "ops", "server": "https://ntfy.example.com"}
    if kind != ChannelKind.TELEGRAM:
        good["token"] = "tk_abc"
    assert find_problems(kind, good) == {}
    assert list(find_problems(kind, good | {name: value})) == [name]


def test_an_empty_secret_keeps_the_stored_one_only_while_messages_go_to_the_same_place():
    entered = MAIL | {"password": ""}
    assert merge_values(ChannelKind.MAIL, MAIL, entered) == MAIL
    assert merge_values(ChannelKind.MAIL, MAIL, entered | {"recipients": "eve@example.com"})["password"] == "of a test"
    for change in ({"host": "evil.example"}, {"port": "588"}, {"tls": "tls"}, {"ca": "other"}):
        assert merge_values(ChannelKind.MAIL, MAIL, entered | change)["password"] == ""


def test_the_key_of_a_webhook_stays_when_the_address_changes():
    stored = {"url": "https://example.com/", "secret": "whsec_x", "ca": ""}
    changed = merge_values(ChannelKind.WEBHOOK, stored, {"url": " https://other.example/ ", "secret": "mine"})
    assert changed == {"url": "https://other.example/", "secret": "whsec_x", "ca": ""}


def test_a_target_is_described_without_secrets():
    assert describe_target(ChannelKind.MAIL, MAIL) == "ann@example.com and 1 more by smtp.example.com"
    assert describe_target(ChannelKind.SLACK, {"url": "https://hooks.slack.com/services/T/B/C"}) == "hooks.slack.com"
    assert describe_target(ChannelKind.NTFY, {"server": "https://ntfy.sh", "topic": "ops"}) == "ops at ntfy.sh"
    assert describe_target(ChannelKind.TELEGRAM, {"token": "1:x", "chat": "-1"}) == "chat -1"
    assert describe_target(ChannelKind.MAIL, {}) == "nobody by "


def test_recipients_stand_on_lines_or_between_commas():
    assert list_recipients("a@example.com, b@example.com\r\n\nc@example.com") == [
        "a@example.com",
        "b@example.com",
        "c@example.com",
    ]


def test_every_kind_has_a_secret_or_an_address():
    for fields in FIELDS.values():
        assert any(each.is_secret or each.leads for each in fields)
