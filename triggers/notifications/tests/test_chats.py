import json

import pytest

from triggers.models import ChannelKind
from triggers.notifications import chats
from triggers.notifications.chats import PLUGINS, load_plugin, make_asset, send_chat
from triggers.notifications.kinds import FIELDS, find_problems
from triggers.notifications.messages import Message
from triggers.notifications.outcomes import NotSent
from triggers.notifications.tests.receivers import serve_sink
from triggers.notifications.transport import ChannelTransport

URL = "https://console.example.com/calls/1/"
MESSAGE = Message("msg_1", "shop: redeploy failed", f"It failed: a@b & <c>\n{URL}", "failure", {}, URL, {}, 1)
TEAMS = (
    "https://prod-1.westeurope.logic.azure.com:443/workflows/0abc/triggers/manual/paths/invoke"
    "?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=abc-def"
)
DIRECT = (
    "https://default0a.1b.environment.api.powerplatform.com:443/powerautomate/automations/direct/workflows/0abc"
    "/triggers/manual/paths/invoke?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=abc-def"
)
TOKEN = "123456:" + "a" * 35


def values_of(kind, address):
    return {
        ChannelKind.SLACK: {"url": "https://hooks.slack.com/services/T0AAA/B0BBB/cccCCC"},
        ChannelKind.TEAMS: {"url": TEAMS},
        ChannelKind.DISCORD: {"url": "https://discord.com/api/webhooks/123/abc-DEF_1"},
        ChannelKind.MATTERMOST: {"url": f"{address}/sub/hooks/abcdefghijklmnopqrstuvwxyz"},
        ChannelKind.TELEGRAM: {"token": TOKEN, "chat": "-1001"},
        ChannelKind.NTFY: {"server": f"{address}/", "topic": "ops", "token": "tk_abc"},
        ChannelKind.GOTIFY: {"server": f"{address}/sub", "token": "Aabc.123"},
    }[kind]


TAKEN = dict.fromkeys(PLUGINS, b"{}") | {ChannelKind.SLACK: b"ok"}
EXPECTED = {
    ChannelKind.SLACK: ("https://hooks.slack.com/services/T0AAA/B0BBB/cccCCC", {}),
    ChannelKind.TEAMS: (TEAMS.partition("?")[0], {}),
    ChannelKind.DISCORD: ("https://discord.com/api/webhooks/123/abc-DEF_1", {}),
    ChannelKind.MATTERMOST: ("/sub/hooks/abcdefghijklmnopqrstuvwxyz", {}),
    ChannelKind.TELEGRAM: (f"https://api.telegram.org/bot{TOKEN}/sendMessage", {}),
    ChannelKind.NTFY: ("/", {"authorization": "Bearer tk_abc"}),
    ChannelKind.GOTIFY: ("/sub/message", {"x-gotify-key": "Aabc.123"}),
}


@pytest.fixture
def wires(sink, monkeypatch):
    """Requests for hosts of the internet, which end at the sink instead: their addresses."""
    asked = []
    exchange = ChannelTransport.exchange

    def to_sink(transport, method, url, headers, deadline, body):
        asked.append(url)
        if not url.startswith("http://127.0.0.1:"):
            url = sink.address + "/outside"
        return exchange(transport, method, url, headers, deadline, body)

    monkeypatch.setattr(ChannelTransport, "exchange", to_sink)
    return asked


@pytest.mark.parametrize("kind", PLUGINS)
def test_a_message_arrives_as_the_service_expects_it(kind, sink, wires):
    values = values_of(kind, sink.address)
    assert find_problems(kind, values) == {}
    sink.answers = [(200, {}, TAKEN[kind])]
    assert send_chat(kind, values, MESSAGE).status == 200
    address, headers = EXPECTED[kind]
    assert [url.partition("?")[0].removeprefix(sink.address) for url in wires] == [address]
    got = sink.received[0]
    assert {name: got.headers[name] for name in headers} == headers
    text = json.dumps(got.json, ensure_ascii=False)
    assert "shop: redeploy failed" in text
    assert URL in text
    assert "github" not in text
    assert "apprise" not in text.lower()
    assert "accept-encoding" in got.headers
    assert "cookie" not in got.headers


def test_a_workflow_of_the_power_platform(sink, wires):
    sink.answers = [(202, {}, b"")]
    assert send_chat(ChannelKind.TEAMS, {"url": DIRECT}, MESSAGE).status == 202
    assert wires[0].startswith(DIRECT.partition("?")[0])
    assert "sig=abc-def" in wires[0]
    assert "api-version=1&" in wires[0]


@pytest.mark.parametrize("kind", PLUGINS)
@pytest.mark.parametrize(("status", "is_final"), [(401, True), (429, False), (503, False)])
def test_a_refusal_is_known_by_its_status_and_asked_once(kind, status, is_final, sink, wires):
    """Whatever the service says about waiting: the delivery's own attempts wait."""
    sink.answers = [
        (status, {"Retry-After": "9", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9999999999"}, b'{"no": 1}')
    ]
    with pytest.raises(NotSent, match=f"answered {status}") as caught:
        send_chat(kind, values_of(kind, sink.address), MESSAGE)
    assert (caught.value.is_final, caught.value.retry_after, caught.value.answer) == (is_final, 9, '{"no": 1}')
    assert len(sink.received) == 1


HOSTILE = "@everyone @channel <!channel> <at>ann</at> [sign in](https://evil.example.com) <https://evil.example.com|here>"


@pytest.mark.parametrize("kind", PLUGINS)
def test_no_name_calls_people_or_hides_a_link(kind, sink, wires):
    sink.answers = [(200, {}, TAKEN[kind])]
    send_chat(kind, values_of(kind, sink.address), Message("msg_1", HOSTILE, HOSTILE, "info", {}, None, {}, 1))
    text = json.dumps(sink.received[0].json, ensure_ascii=False)
    for part in ("@everyone", "@channel", "<!", "<at>", "](", "<https"):
        assert part not in text


@pytest.mark.parametrize("kind", PLUGINS)
def test_a_long_message_is_cut(kind, sink, wires):
    sink.answers = [(200, {}, TAKEN[kind])]
    send_chat(kind, values_of(kind, sink.address), Message("msg_1", "shop", "x" * 60_000, "info", {}, None, {}, 1))
    assert len(sink.received) == 1
    assert len(sink.received[0].body) < 40_000


@pytest.mark.parametrize("kind", [ChannelKind.NTFY, ChannelKind.GOTIFY, ChannelKind.MATTERMOST])
def test_no_redirect_is_followed_and_no_forbidden_address_asked(kind, sink):
    sink.answers = [(302, {"Location": f"{sink.address}/elsewhere"}, b"")]
    with pytest.raises(NotSent, match="a redirect"):
        send_chat(kind, values_of(kind, sink.address), MESSAGE)
    assert len(sink.received) == 1
    with pytest.raises(NotSent, match="where clouds serve credentials"):
        send_chat(kind, values_of(kind, "http://169.254.169.254"), MESSAGE)


def test_a_proxy_is_used_for_the_hosts_of_services_alone(sink, monkeypatch):
    with serve_sink() as proxy:
        monkeypatch.setenv("http_proxy", proxy.address)
        monkeypatch.setenv("no_proxy", "")
        sink.answers = [(200, {}, b"{}")]
        send_chat(ChannelKind.GOTIFY, values_of(ChannelKind.GOTIFY, sink.address), MESSAGE)
        assert proxy.received == []
        transport = chats.open_transport("http://service.example.com/x", is_known=True)
        answer = transport.exchange("POST", "http://service.example.com/x", {}, chats.start_deadline(), b"{}")
        transport.close()
        assert answer.status == 200
        assert proxy.received[0].path == "http://service.example.com/x"


def test_apprise_keeps_nothing_and_loads_nothing_else():
    asset = make_asset()
    assert (asset.storage_mode.value, asset.http_redirects, asset.async_mode) == ("memory", False, False)
    assert list(asset.plugin_paths) == []
    assert not asset.allow_templates
    for kind in PLUGINS:
        load_plugin(kind)
    from apprise.plugins import discord

    assert discord.requests is chats.checked_requests


def test_only_the_fields_of_a_kind_are_ever_sent_to_apprise():
    """No kind takes an address of apprise's own, with which it could be told to read files or to reach other services."""
    assert set(PLUGINS) | {ChannelKind.MAIL, ChannelKind.WEBHOOK, ChannelKind.COMMIT} == set(FIELDS)


def test_a_request_outside_of_sending_goes_nowhere():
    with pytest.raises(chats.requests.RequestException):
        chats.checked_requests.post("http://127.0.0.1:1/")
