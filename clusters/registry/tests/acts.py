"""Scripts of registries, and acts of the client on them, for several test files."""

import base64
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from clusters.registry.access import TagState
from clusters.registry.client import RegistryClient
from clusters.registry.errors import RegistryError
from clusters.registry.tests.scripted import Asked, Reply, serve

DIGEST = "sha256:" + "a" * 64
LIMITS = {"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "76;w=21600"}
PUSH, PULL = "repository:team/app:pull,push", "repository:team/app:pull"
JSON = {"Content-Type": "application/json"}
USER, PASSWORD = "ann", "not-a-real-one"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
UPLOADS = "/v2/team/app/blobs/uploads/"


def answer_json(value: object, status: int = 200, **headers: str) -> Reply:
    return Reply(status, {**JSON, **headers}, json.dumps(value).encode())


class TokenRegistry:
    """A script that is the registry and its token endpoint in one. `tokens` has a token or a status by scope."""

    def __init__(self, tokens: dict[str, str | int], front: int = 200, push: int = 202) -> None:
        self.tokens, self.front, self.push = tokens, front, push
        self.realm = ""

    def __call__(self, asked: Asked) -> Reply:
        address = urlsplit(asked.path)
        if address.path == "/token":
            scope = parse_qs(address.query or asked.body.decode()).get("scope", [""])[0]
            token = self.tokens.get(scope, 401)
            return answer_json({"token": token}) if isinstance(token, str) else answer_json({"details": "no"}, token)
        if asked.authorization.removeprefix("Bearer ") not in self.tokens.values():
            realm = self.realm or f"http://{asked.headers['Host']}/token"
            return answer_json({}, 401, **{"WWW-Authenticate": f'Bearer realm="{realm}",service="reg"'})
        if address.path == "/v2/":
            return answer_json({}, self.front)
        if asked.method == "POST":
            return Reply(self.push, {"Location": f"{UPLOADS}1?_state=x"})
        return Reply(200, {"Docker-Content-Digest": DIGEST, "ETag": '"e"', **LIMITS})


def ask(script, act, username: str = USER, password: str = PASSWORD, timeout: float = 10.0):
    with serve(script) as registry, RegistryClient(registry.access(username, password), timeout) as client:
        return act(client), registry


def refuse(script, act=RegistryClient.check, **options) -> RegistryError:
    with pytest.raises(RegistryError) as caught:
        ask(script, act, **options)
    assert PASSWORD not in str(caught.value)
    return caught.value


def read_tag(client: RegistryClient) -> TagState:
    return client.read_tag("team/app", "1")


def may_push(client: RegistryClient) -> bool:
    return client.may_push("team/app")


def reply(*args, **kwargs):
    return lambda asked: Reply(*args, **kwargs)


def demand_basic(asked: Asked) -> Reply:
    if asked.authorization == BASIC:
        return answer_json({})
    return answer_json({"errors": [{"message": "authentication required"}]}, 401, **{"WWW-Authenticate": 'Basic realm="x"'})
