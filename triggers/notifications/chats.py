"""Chats and push services, by apprise: exactly those of MAKERS. apprise is imported when the first message is sent.

No address of apprise's own is parsed: each plugin gets the values that `kinds` has judged. The plugins' module `requests` is
replaced by CheckedRequests, so their requests go where and how ours go: to judged addresses, within a deadline, without
redirects, cookies, .netrc or files.
"""

import importlib
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from clusters.registry.transport import Answer, name_host
from triggers.models import ChannelKind
from triggers.notifications.kinds import DISCORD_URL, MATTERMOST_URL, SLACK_URL, TEAMS_URL
from triggers.notifications.messages import Message
from triggers.notifications.outcomes import NotSent, Receipt, judge_answer
from triggers.notifications.transport import exchange, open_transport, start_deadline

KNOWN_HOSTS = {ChannelKind.SLACK, ChannelKind.TEAMS, ChannelKind.DISCORD, ChannelKind.TELEGRAM}  # not an operator's choice
GAP = "\u200b"  # a space without width
MARKS = re.compile(r"[\\`*_\[\]#~]")
PLUGINS = {
    ChannelKind.SLACK: ("slack", "NotifySlack"),
    ChannelKind.TEAMS: ("workflows", "NotifyWorkflows"),
    ChannelKind.DISCORD: ("discord", "NotifyDiscord"),
    ChannelKind.MATTERMOST: ("mattermost", "NotifyMattermost"),
    ChannelKind.TELEGRAM: ("telegram", "NotifyTelegram"),
    ChannelKind.NTFY: ("ntfy", "NotifyNtfy"),
    ChannelKind.GOTIFY: ("gotify", "NotifyGotify"),
}


class CheckedRequests:
    """What apprise's plugins use of the module `requests`. Each thread sends for one channel at a time."""

    codes = requests.codes
    RequestException = requests.RequestException

    def __init__(self) -> None:
        self._here = threading.local()

    @contextmanager
    def sending(self, ca: str, is_known: bool) -> Iterator[list[Receipt]]:
        """Yield the receipts of the requests that are made here. Raises the NotSent of the first that failed."""
        here = self._here
        here.ca, here.is_known, here.deadline = ca, is_known, start_deadline()
        here.failure, here.receipts = None, []
        try:
            yield here.receipts
        finally:
            failure, here.deadline = here.failure, None
        if failure:
            raise failure

    def request(self, method: str, url: str, **options: Any) -> requests.Response:
        here = self._here
        if getattr(here, "deadline", None) is None or here.failure or options.get("files"):
            raise requests.RequestException("not sent")
        names = ("headers", "data", "json", "params", "auth")
        prepared = requests.Request(method, url, **{name: options[name] for name in names if name in options}).prepare()
        address, body = str(prepared.url), prepared.body
        try:
            transport = open_transport(address, here.ca, is_known=here.is_known)
            try:
                raw = body.encode() if isinstance(body, str) else body
                answer = exchange(transport, method, address, prepared.headers, raw, here.deadline)
            finally:
                transport.close()
            here.receipts.append(judge_answer(answer, name_host(address)))
        except NotSent as error:
            here.failure = error
            raise requests.ConnectionError(error.sentence) from error
        return make_response(answer)

    def post(self, url: str, **options: Any) -> requests.Response:
        return self.request("POST", url, **options)

    def get(self, url: str, **options: Any) -> requests.Response:
        return self.request("GET", url, **options)


def make_response(answer: Answer) -> requests.Response:
    """Return the answer as the plugins read it: without headers, since some of them make a plugin wait."""
    response = requests.Response()
    response.status_code, response._content, response.encoding = answer.status, answer.body, "utf-8"
    return response


checked_requests = CheckedRequests()


@cache
def load_plugin(kind: str) -> Any:
    """Import the plugin's class, and give its module our requests."""
    name, class_name = PLUGINS[ChannelKind(kind)]
    module = importlib.import_module(f"apprise.plugins.{name}")
    vars(module)["requests"] = checked_requests
    return getattr(module, class_name)


@lru_cache(maxsize=1)
def make_asset() -> Any:
    """Return what apprise may do: keep nothing on disk, follow nothing, load nothing, log no secret."""
    from apprise import AppriseAsset, PersistentStoreMode

    return AppriseAsset(
        app_id="Windlass",
        app_desc="Windlass",
        app_url="",
        async_mode=False,
        http_redirects=False,
        allow_templates=False,
        image_url_mask="",
        image_url_logo="",
        plugin_paths=[],
        secure_logging=True,
        storage_mode=PersistentStoreMode.MEMORY,
    )


def read_server(url: str) -> dict[str, Any]:
    """Return what a plugin needs of a server's address. Its path ends with a slash."""
    parts = urlsplit(url)
    path = f"{parts.path.rstrip('/')}/"
    secure = parts.scheme == "https"
    return {"host": parts.netloc.rpartition(":")[0] if parts.port else parts.netloc, "port": parts.port, "secure": secure} | {
        "fullpath": path
    }


def read_slack(values: dict[str, Any]) -> dict[str, Any]:
    token_a, token_b, token_c = match(SLACK_URL, values).groups()
    return {"token_a": token_a, "token_b": token_b, "token_c": token_c, "include_image": False, "include_footer": False}


def read_teams(values: dict[str, Any]) -> dict[str, Any]:
    found = match(TEAMS_URL, values)
    query = parse_qs(found["query"])
    return {
        "host": found["host"],
        "port": int(found["port"]) if found["port"] else None,
        "workflow": found["workflow"],
        "signature": query.get("sig", [""])[0],
        "version": query.get("api-version", [None])[0],
        "power_automate": bool(found["direct"]),
        "routing_id": found["route"],
        "include_image": False,
    }


def read_discord(values: dict[str, Any]) -> dict[str, Any]:
    webhook_id, token = match(DISCORD_URL, values).groups()
    return {"webhook_id": webhook_id, "webhook_token": token, "avatar": False}


def read_mattermost(values: dict[str, Any]) -> dict[str, Any]:
    base, token = match(MATTERMOST_URL, values).groups()
    return read_server(base) | {"token": token}


def read_telegram(values: dict[str, Any]) -> dict[str, Any]:
    return {"bot_token": values["token"], "targets": [values["chat"]], "detect_owner": False, "preview": False}


def read_ntfy(values: dict[str, Any]) -> dict[str, Any]:
    token = values.get("token") or None
    return read_server(values["server"]) | {
        "targets": [values["topic"]],
        "mode": "private",
        "include_image": False,
        "token": token,
        "auth": "token" if token else None,
    }


def read_gotify(values: dict[str, Any]) -> dict[str, Any]:
    return read_server(values["server"]) | {"token": values["token"]}


def match(pattern: Any, values: dict[str, Any]) -> Any:
    """Raises NotSent for an address that was stored before a rule was changed."""
    found = pattern.fullmatch(str(values.get("url", "")))
    if not found:
        raise NotSent("The channel's address is not one of this service. Enter it again.", is_final=True)
    return found


READERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    ChannelKind.SLACK: read_slack,
    ChannelKind.TEAMS: read_teams,
    ChannelKind.DISCORD: read_discord,
    ChannelKind.MATTERMOST: read_mattermost,
    ChannelKind.TELEGRAM: read_telegram,
    ChannelKind.NTFY: read_ntfy,
    ChannelKind.GOTIFY: read_gotify,
}


def send_chat(kind: str, values: dict[str, Any], message: Message) -> Receipt:
    """Send the message. Raises NotSent."""
    options = READERS[kind](values)
    plugin_class = load_plugin(kind)
    from apprise import NotifyFormat, NotifyType, OverflowMode
    from apprise.exception import AppriseException

    try:
        plugin = plugin_class(asset=make_asset(), **{name: value for name, value in options.items() if value is not None})
        with checked_requests.sending(str(values.get("ca", "")), kind in KNOWN_HOSTS) as receipts:
            is_teams = kind == ChannelKind.TEAMS
            was_taken = plugin.notify(
                body=mark_down(message) if is_teams else defuse(message.text),
                title=defuse(message.title),
                notify_type=NotifyType(message.level),
                body_format=NotifyFormat.MARKDOWN if is_teams else NotifyFormat.TEXT,
                overflow=OverflowMode.TRUNCATE,
            )
    except (AppriseException, TypeError) as error:
        raise NotSent(f"The channel's configuration does not suit the service: {error}", is_final=True) from error
    if not receipts:
        raise NotSent("Nothing was sent: the service's plugin refused the message.", is_final=True)
    if not was_taken:
        raise NotSent("The service did not take the message.", status=receipts[-1].status, answer=receipts[-1].answer)
    return receipts[-1]


def defuse(text: str) -> str:
    """Take away what would call people, or show a link under other words: names and lines come from what somebody runs."""
    for mark in ("@", "<"):
        text = text.replace(mark, mark + GAP)
    return text.replace("](", f"]{GAP}(")


def mark_down(message: Message) -> str:
    """Return the text as Teams reads it. apprise would put marks into our address too, which is no link then."""
    lines = message.text.split("\n")
    return "\n\n".join(line if line == message.url else MARKS.sub(r"\\\g<0>", defuse(line)) for line in lines)
