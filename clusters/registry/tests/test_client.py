"""How the client reads answers that a real registry gives rarely or never; tests/integration has the real ones."""

import contextlib
import hashlib
from urllib.parse import parse_qs, urlsplit

import pytest

from clusters.registry.access import TOKEN_USER, PullLimit, RegistryAccess, TagState
from clusters.registry.client import RegistryClient, require_realm
from clusters.registry.errors import RegistryError
from clusters.registry.tests.acts import (
    BASIC,
    DIGEST,
    JSON,
    LIMITS,
    PASSWORD,
    PULL,
    PUSH,
    UPLOADS,
    USER,
    TokenRegistry,
    answer_json,
    ask,
    demand_basic,
    may_push,
    read_tag,
    refuse,
    reply,
)
from clusters.registry.tests.scripted import Asked, Reply, ScriptedRegistry, serve
from clusters.registry.tests.test_challenge import grant, make_token
from clusters.registry.transport import BODY_LIMIT

# --- Tokens and credentials


def test_token_is_fetched_with_the_account_and_the_scope():
    state, registry = ask(TokenRegistry({"repository:team/app:pull": "t1"}), read_tag)
    assert state == TagState(DIGEST, '"e"', PullLimit(100, 76, 21600))
    token_request = registry.asked[1]
    query = parse_qs(urlsplit(token_request.path).query)
    assert query == {"service": ["reg"], "scope": ["repository:team/app:pull"], "account": [USER]}
    assert [each.authorization for each in registry.asked] == ["", BASIC, "Bearer t1"]


def test_token_serves_the_next_request_of_its_scope():
    def read_twice(client):
        return read_tag(client), read_tag(client)

    _, registry = ask(TokenRegistry({"repository:team/app:pull": "t1"}), read_twice)
    assert registry.lines.count("GET /token") == 1


def test_anonymous_token_is_fetched_without_credentials():
    _, registry = ask(TokenRegistry({"repository:team/app:pull": "t1"}), read_tag, username="")
    assert registry.asked[1].authorization == ""
    assert "account" not in registry.asked[1].path


def test_front_page_is_requested_with_its_own_scope_without_an_account():
    def want_scope(asked: Asked) -> Reply:
        answer = script(asked)
        if "WWW-Authenticate" in answer.headers:
            answer.headers["WWW-Authenticate"] += f',scope="{PULL}"'
        return answer

    script = TokenRegistry({PULL: "t1"})
    ask(want_scope, RegistryClient.check, username="")
    assert refuse(want_scope).code == "unauthorized"


def test_refresh_token_is_posted():
    _, registry = ask(TokenRegistry({"repository:team/app:pull": "t1"}), read_tag, username=TOKEN_USER)
    asked = registry.asked[1]
    form = parse_qs(asked.body.decode())
    assert (asked.method, asked.authorization) == ("POST", "")
    assert (form["grant_type"], form["refresh_token"]) == (["refresh_token"], [PASSWORD])


@pytest.mark.parametrize(
    ("realm", "plain_http", "code"),
    [
        ("https://auth.example/token", False, ""),
        ("https://auth.example/token", True, ""),
        ("http://127.0.0.1:5001/token", True, ""),
        ("http://127.0.0.1:5001/token", False, "tls"),
        ("http://auth.example/token", True, "tls"),
        ("HTTP://auth.example/token", False, "tls"),
        ("ftp://auth.example/token", True, "bad_answer"),
        ("/token", True, "bad_answer"),
        ("https://[", True, "bad_answer"),
        ("https://user:word@auth.example/token", True, "bad_answer"),
    ],
)
def test_credentials_go_to_a_token_endpoint_by_tls(realm, plain_http, code):
    with pytest.raises(RegistryError) if code else contextlib.nullcontext() as caught:
        assert require_realm(realm, RegistryAccess("127.0.0.1:5000", plain_http=plain_http)) == realm
    assert not code or caught.value.code == code


def test_plain_http_is_for_the_loopback_only():
    with pytest.raises(RegistryError) as caught:
        RegistryClient(RegistryAccess("registry.example.com", plain_http=True))
    assert caught.value.code == "tls"


@pytest.mark.parametrize(
    ("realm", "code"),
    [
        ("http://registry.lan:5000/token", ""),
        ("http://Registry.lan/service/token", ""),
        ("https://auth.example/token", ""),
        ("http://auth.lan/token", "tls"),
        ("http://127.0.0.1:5001/token", "tls"),
        ("http://ann@registry.lan/token", "bad_answer"),
    ],
)
def test_what_may_be_sent_in_clear_goes_to_that_host_alone(realm, code):
    access = RegistryAccess("registry.lan:5000", USER, PASSWORD, plain_http=True, clear_text=True)
    with RegistryClient(access) as client:
        assert client.access.api_url == "http://registry.lan:5000"
    with pytest.raises(RegistryError) if code else contextlib.nullcontext() as caught:
        assert require_realm(realm, access) == realm
    assert not code or caught.value.code == code


@pytest.mark.parametrize(
    ("manifest", "kinds"),
    [
        ({"mediaType": "m", "config": {"mediaType": "c"}, "layers": [{"mediaType": "l"}, 7]}, ("m", "c", "l")),
        ({"artifactType": "a", "manifests": [{"mediaType": "e"}]}, ("a", "e")),
        ({"config": [], "layers": {}, "mediaType": 1}, ()),
        ([], ()),
    ],
)
def test_the_media_types_of_a_manifest_are_read(manifest, kinds):
    found, _ = ask(lambda asked: answer_json(manifest), lambda client: client.read_media_types("team/app", DIGEST))
    assert found == kinds


def test_consent_without_plain_http_sends_nothing_in_clear():
    access = RegistryAccess("registry.lan", USER, PASSWORD, clear_text=True)
    assert access.api_url == "https://registry.lan"
    with pytest.raises(RegistryError):
        require_realm("http://registry.lan/token", access)


def test_a_registry_that_only_an_engine_reaches_is_explained():
    with serve(lambda asked: Reply()) as registry:
        access = registry.access()
    with RegistryClient(access) as client, pytest.raises(RegistryError) as caught:
        client.check()
    assert "only that engine can ask this registry" in caught.value.message


def test_basic_credentials_are_sent_on_a_challenge():
    _, registry = ask(demand_basic, RegistryClient.check)
    assert [each.authorization for each in registry.asked] == ["", BASIC]


@pytest.mark.parametrize(("username", "words"), [(USER, "'ann'"), ("", "without a user name and password")])
def test_refused_credentials_are_named(username, words):
    error = refuse(demand_basic, username=username, password="another")
    assert (error.code, error.permanent) == ("unauthorized", True)
    assert words in error.message
    assert "authentication required" in error.message


def test_registry_that_quotes_the_password_is_not_quoted():
    error = refuse(lambda asked: answer_json({"errors": [{"message": f"bad {PASSWORD}"}]}, 403))
    assert error.code == "forbidden"


def test_refused_token_is_a_refused_account():
    assert refuse(TokenRegistry({})).code == "unauthorized"


def test_granted_token_without_the_permission_is_forbidden():
    def give_useless_token(asked: Asked) -> Reply:
        if asked.path.startswith("/token"):
            return answer_json({"token": "t1"})
        realm = f"http://{asked.headers['Host']}/token"
        return answer_json({}, 401, **{"WWW-Authenticate": f'Bearer realm="{realm}",error="insufficient_scope"'})

    assert refuse(give_useless_token, read_tag).code == "forbidden"
    assert refuse(give_useless_token, read_tag, username="").code == "unauthorized"


@pytest.mark.parametrize("body", [b"{}", b'{"token": 1}', b"[]", b"null", b"{broken", b"<html>log in</html>", b"\xff\xfe"])
def test_token_endpoint_that_gives_none_is_a_bad_answer(body):
    script = TokenRegistry({})

    def give_no_token(asked: Asked) -> Reply:
        return Reply(200, JSON, body) if asked.path.startswith("/token") else script(asked)

    assert refuse(give_no_token).code == "bad_answer"


# --- Tags


@pytest.mark.parametrize("status", [200, 405])
def test_digest_is_computed_where_none_is_sent(status):
    manifest = b'{"schemaVersion": 2,\n "layers": []}'

    def tell_no_digest(asked: Asked) -> Reply:
        return Reply(status) if asked.method == "HEAD" else Reply(200, JSON, manifest)

    state, _ = ask(tell_no_digest, read_tag)
    assert state.digest == f"sha256:{hashlib.sha256(manifest).hexdigest()}"


def test_unchanged_tag_needs_no_digest():
    script = TokenRegistry({"repository:team/app:pull": "t1"})

    def know_etag(asked: Asked) -> Reply:
        return Reply(304, LIMITS) if asked.headers.get("If-None-Match") == '"e"' else script(asked)

    state, _ = ask(know_etag, lambda client: client.read_tag("team/app", "1", '"e"'))
    assert state == TagState("", '"e"', PullLimit(100, 76, 21600))


def test_manifest_lists_are_accepted_before_manifests():
    _, registry = ask(reply(200, {"Docker-Content-Digest": DIGEST}), read_tag)
    assert [kind.rpartition(".")[0] for kind in registry.asked[0].headers["Accept"].split(",")] == [
        "application/vnd.oci.image.index",
        "application/vnd.docker.distribution.manifest.list",
        "application/vnd.oci.image.manifest",
        "application/vnd.docker.distribution.manifest",
    ]


@pytest.mark.parametrize(
    ("path", "tag"), [("../admin", "1"), ("team/app", "../1"), ("team/app", "1?x"), ("Team", "1"), ("", "1")]
)
def test_name_that_would_lead_to_another_address_is_not_requested(path, tag):
    with serve(reply()) as registry, RegistryClient(registry.access()) as client, pytest.raises(RegistryError) as caught:
        client.read_tag(path, tag)
    assert (caught.value.code, registry.asked) == ("not_found", [])


def test_docker_hub_sends_its_limit_at_a_repository_of_its_own(monkeypatch):
    script = TokenRegistry({"": "t1", "repository:ratelimitpreview/test:pull": "t2"})
    with serve(script) as registry:
        monkeypatch.setattr("clusters.registry.access.HUB_API_HOST", registry.host)
        monkeypatch.setattr("clusters.registry.client.is_loopback", lambda host: True)
        with RegistryClient(RegistryAccess("docker.io", USER, PASSWORD, plain_http=True)) as client:
            assert client.check() == PullLimit(100, 76, 21600)
    assert registry.lines[-1] == "HEAD /v2/ratelimitpreview/test/manifests/latest"


def test_docker_hub_is_reached_at_its_api_host():
    assert RegistryAccess("docker.io").api_url == "https://registry-1.docker.io"


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "text/html"}, b"<p>Sign in"),
        ({}, b"\n<!DOCTYPE html><title>Sign in</title>"),
        ({}, b"hello"),
        (JSON, b"{broken"),
        (JSON, b"[" * 100_000),
        (JSON, b" " * (BODY_LIMIT + 1)),
    ],
    ids=["page", "page without type", "text", "broken", "deep", "oversized"],
)
@pytest.mark.parametrize("act", [RegistryClient.check, read_tag])
def test_answer_that_no_registry_gives_is_a_bad_answer(act, headers, body):
    assert refuse(reply(200, headers, body), act).code == "bad_answer"


# --- Permission to push


@pytest.mark.parametrize(
    ("tokens", "allowed"),
    [
        ({PUSH: make_token({"access": [grant()]})}, True),
        ({PUSH: make_token({"access": [grant(actions=["pull"])]})}, False),
        ({PUSH: make_token({"access": []})}, False),
        ({PUSH: 403, "": "t1"}, False),
        ({PUSH: 401, "": "t1"}, False),
    ],
)
def test_token_shows_whether_a_push_is_allowed(tokens, allowed):
    answer, registry = ask(TokenRegistry(tokens), may_push)
    assert answer is allowed
    assert not [line for line in registry.lines if line.startswith("POST")]


def test_token_refused_for_every_scope_is_a_refused_account():
    assert refuse(TokenRegistry({PUSH: 403}), may_push).code == "unauthorized"


@pytest.mark.parametrize(("push", "allowed"), [(202, True), (403, False), (405, False)])
@pytest.mark.parametrize("token", ["opaque", make_token({"sub": "ann"}), "a.b.c"])
def test_token_that_shows_nothing_is_tried_with_an_upload(token, push, allowed):
    answer, registry = ask(TokenRegistry({PUSH: token}, push=push), may_push)
    assert answer is allowed
    assert ("POST " + UPLOADS) in registry.lines


def probe(status: int, location: str):
    def answer(asked: Asked) -> Reply:
        if asked.authorization != BASIC:
            return demand_basic(asked)
        return Reply(status, {"Location": location}) if asked.method == "POST" else answer_json({})

    return answer


def find_deletes(registry: ScriptedRegistry) -> list[str]:
    return [each.path for each in registry.asked if each.method == "DELETE" and each.authorization]


def test_opened_upload_is_cancelled():
    answer, registry = ask(probe(202, f"{UPLOADS}7?_state=x%2Fy"), may_push)
    assert answer
    assert find_deletes(registry) == [f"{UPLOADS}7?_state=x%2Fy"]


@pytest.mark.parametrize(
    "location",
    [
        f"http://127.0.0.1:1{UPLOADS}7",
        "https://[",
        "",
        "/v2/team/other/blobs/uploads/7",
        f"{UPLOADS}../../manifests/1",
        "/admin",
    ],
)
def test_upload_is_not_cancelled_at_another_address(location):
    answer, registry = ask(probe(202, location), may_push)
    assert answer
    assert find_deletes(registry) == []


@pytest.mark.parametrize(
    ("status", "code"), [(404, "not_found"), (500, "server_error"), (429, "rate_limited"), (200, "bad_answer")]
)
def test_upload_that_shows_nothing_is_an_error(status, code):
    assert refuse(probe(status, ""), may_push).code == code


def test_wrong_password_is_not_a_missing_permission():
    assert refuse(demand_basic, may_push, password="another").code == "unauthorized"


def test_open_registry_lets_everyone_push():
    def welcome(asked: Asked) -> Reply:
        return Reply(202, {"Location": f"{UPLOADS}7"}) if asked.method == "POST" else answer_json({})

    answer, _ = ask(welcome, may_push, username="")
    assert answer
