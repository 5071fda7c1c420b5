"""What the client makes of answers that a real registry gives rarely or never; tests/integration has the real ones."""

import base64
import contextlib
import hashlib
import json
import ssl
import threading
import time
from email.utils import formatdate
from urllib.parse import parse_qs, urlsplit

import pytest

from clusters.registry.access import TOKEN_USER, PullLimit, RegistryAccess, TagState
from clusters.registry.client import RegistryClient, require_realm
from clusters.registry.errors import RegistryError
from clusters.registry.tests.scripted import DRIP_COUNT, Asked, Reply, ScriptedRegistry, serve
from clusters.registry.tests.test_challenge import grant, make_token
from clusters.registry.transport import BODY_LIMIT
from tests.harness.certificates import make_authority, sign
from tests.harness.eventually import eventually

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
    """A script: the registry and its token endpoint in one. `tokens`: by scope, a token or a status."""

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


def test_front_page_is_asked_for_with_its_own_scope_where_there_is_no_account():
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


def test_plain_http_is_for_the_loopback_alone():
    with pytest.raises(RegistryError) as caught:
        RegistryClient(RegistryAccess("registry.example.com", plain_http=True))
    assert caught.value.code == "tls"


def test_basic_credentials_are_sent_when_asked_for():
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


def test_granted_token_that_does_not_reach_is_forbidden():
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
def test_digest_is_computed_where_none_is_told(status):
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
def test_name_that_would_be_another_address_is_not_asked(path, tag):
    with serve(reply()) as registry, RegistryClient(registry.access()) as client, pytest.raises(RegistryError) as caught:
        client.read_tag(path, tag)
    assert (caught.value.code, registry.asked) == ("not_found", [])


def test_docker_hub_tells_its_limit_at_a_repository_of_its_own(monkeypatch):
    script = TokenRegistry({"": "t1", "repository:ratelimitpreview/test:pull": "t2"})
    with serve(script) as registry:
        monkeypatch.setattr("clusters.registry.access.HUB_API_HOST", registry.host)
        monkeypatch.setattr("clusters.registry.client.is_loopback", lambda host: True)
        with RegistryClient(RegistryAccess("docker.io", USER, PASSWORD, plain_http=True)) as client:
            assert client.check() == PullLimit(100, 76, 21600)
    assert registry.lines[-1] == "HEAD /v2/ratelimitpreview/test/manifests/latest"


def test_docker_hub_is_asked_at_its_api_host():
    assert RegistryAccess("docker.io").api_url == "https://registry-1.docker.io"


# --- Failures


@pytest.mark.parametrize(
    ("status", "code", "permanent"),
    [
        (400, "bad_answer", False),
        (401, "unauthorized", True),
        (403, "forbidden", True),
        (404, "not_found", True),
        (418, "bad_answer", False),
        (500, "server_error", False),
        (503, "server_error", False),
        (599, "server_error", False),
    ],
)
@pytest.mark.parametrize("act", [RegistryClient.check, read_tag, may_push])
def test_status_becomes_a_code(act, status, code, permanent):
    def fail(asked: Asked) -> Reply:
        return answer_json({"errors": [{"message": "some <b>words</b>"}]}, status)

    error = refuse(fail, act)
    assert (error.code, error.permanent) == (code, permanent)


@pytest.mark.parametrize(
    ("headers", "wait", "words"),
    [
        ({**LIMITS, "RateLimit-Remaining": "0;w=21600", "Retry-After": "2100"}, 2100, "0 of 100 pulls in 6 hours remain"),
        ({"Retry-After": "2100"}, 2100, "35 minutes"),
        ({"Retry-After": "99999999"}, 86400, "wait 1 day"),
        ({"Retry-After": "soon"}, None, "429"),
        ({"Retry-After": "-5"}, None, "429"),
        ({"RateLimit-Limit": "x", "RateLimit-Remaining": "9" * 40}, None, "429"),
    ],
)
def test_rate_limit_tells_the_wait_and_what_remains(headers, wait, words):
    error = refuse(reply(429, headers), read_tag)
    assert (error.code, error.permanent, error.retry_after) == ("rate_limited", False, wait)
    assert words in error.message
    assert error.limit == (PullLimit(100, 0, 21600) if "Remaining" in str(headers) and "w=" in str(headers) else None)


@pytest.mark.parametrize("write", [lambda moment: formatdate(moment, usegmt=True), lambda moment: str(int(moment))])
def test_wait_until_a_moment_becomes_seconds(write):
    error = refuse(reply(429, {"Retry-After": write(time.time() + 3600)}), read_tag)
    assert 3500 < error.retry_after <= 3600


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
def test_what_no_registry_says_is_a_bad_answer(act, headers, body):
    assert refuse(reply(200, headers, body), act).code == "bad_answer"


def test_body_without_end_is_a_bad_answer():
    def write_for_ever(asked: Asked) -> Reply:
        return Reply(200, {**JSON, "Connection": "close"}, (b" " * (1 << 20) for _ in range(DRIP_COUNT)))

    assert refuse(write_for_ever).code == "bad_answer"


@pytest.mark.parametrize(
    "script",
    [
        lambda asked: b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * DRIP_COUNT,
        lambda asked: Reply(200, {**JSON, "Connection": "close"}, (b" " for _ in range(DRIP_COUNT))),
        lambda asked: b"HTTP/1.1 100 Continue\r\n\r\n" * DRIP_COUNT,
    ],
    ids=["headers", "body", "continue"],
)
def test_drip_ends_with_the_deadline_and_its_thread(script):
    with serve(script) as registry, RegistryClient(registry.access(), timeout=0.5) as client:
        with pytest.raises(RegistryError) as caught:
            client.check()
        assert caught.value.code == "timeout"
        eventually(lambda: not [each for each in threading.enumerate() if each.name.startswith("registry_")], within=3)


def test_client_works_on_after_a_timeout():
    replies = iter([b"x" * DRIP_COUNT, answer_json({})])
    with serve(lambda asked: next(replies)) as registry, RegistryClient(registry.access(), timeout=0.5) as client:
        with pytest.raises(RegistryError):
            client.check()
        assert client.check() is None


def test_answer_that_is_no_http_is_a_bad_answer():
    assert refuse(lambda asked: b"SSH\r\n\r\n").code == "bad_answer"


def test_closed_connection_is_unreachable():
    assert refuse(lambda asked: Reply(200, {**JSON, "Content-Length": "10"}, [b"{}"])).code == "unreachable"


def test_stopped_registry_is_unreachable():
    with serve(reply()) as registry:
        access = registry.access()
    with RegistryClient(access) as client, pytest.raises(RegistryError) as caught:
        client.check()
    assert (caught.value.code, caught.value.permanent) == ("unreachable", False)
    assert "refused the connection" in caught.value.message


def test_name_that_does_not_resolve_is_unreachable():
    with RegistryClient(RegistryAccess("nowhere.invalid")) as client, pytest.raises(RegistryError) as caught:
        client.check()
    assert caught.value.code == "unreachable"
    assert "resolved" in caught.value.message


# --- Redirects


def redirect_to(place: str, status: int = 307):
    def redirect(asked: Asked) -> Reply:
        return answer_json({}) if asked.path == "/elsewhere" else Reply(status, {"Location": place})

    return redirect


def test_redirect_on_the_same_host_is_followed():
    _, registry = ask(redirect_to("/elsewhere", 302), RegistryClient.check)
    assert registry.lines == ["GET /v2/", "GET /elsewhere"]


@pytest.mark.parametrize(
    "place", ["http://127.0.0.1:1/v2/", "ftp://127.0.0.1/", "//127.0.0.1:1/", "https://a:b@[::1]/", "https://[", "", "/v2/"]
)
def test_redirect_elsewhere_without_tls_is_not_followed(place):
    assert refuse(redirect_to(place)).code == "bad_answer"


def test_redirected_upload_is_not_followed():
    def redirect_posts(asked: Asked) -> Reply:
        return Reply(307, {"Location": "/elsewhere"}) if asked.method == "POST" else answer_json({})

    with serve(redirect_posts) as registry, RegistryClient(registry.access(USER, PASSWORD)) as client:
        with pytest.raises(RegistryError):
            may_push(client)
        assert registry.lines == ["GET /v2/", f"POST {UPLOADS}"]


def test_credentials_do_not_follow_to_another_host(tmp_path):
    authority = make_authority("tests")

    def lead_astray(asked: Asked) -> Reply:
        if asked.authorization != BASIC:
            return demand_basic(asked)
        return Reply(307, {"Location": f"https://{other.host}/v2/"})

    with serve(demand_basic, serve_tls(tmp_path, authority)) as other, serve(lead_astray) as registry:
        access = RegistryAccess(registry.host, USER, PASSWORD, authority.certificate_pem, plain_http=True)
        with RegistryClient(access) as client, pytest.raises(RegistryError) as caught:
            client.check()
    assert caught.value.code == "unauthorized"
    assert [each.authorization for each in other.asked] == [""]


def test_whoever_is_redirected_to_does_not_name_the_token_endpoint(tmp_path):
    authority = make_authority("tests")

    def demand_token(asked: Asked) -> Reply:
        realm = f"https://{asked.headers['Host']}/token"
        return answer_json({"token": "t1"}, 401, **{"WWW-Authenticate": f'Bearer realm="{realm}"'})

    def lead_astray(asked: Asked) -> Reply:
        return Reply(307, {"Location": f"https://{other.host}/v2/"})

    with serve(demand_token, serve_tls(tmp_path, authority)) as other, serve(lead_astray) as registry:
        access = RegistryAccess(registry.host, USER, PASSWORD, authority.certificate_pem, plain_http=True)
        with RegistryClient(access) as client, pytest.raises(RegistryError):
            client.check()
    assert [each.authorization for each in other.asked] == [""]


# --- TLS


def serve_tls(folder, authority) -> ssl.SSLContext:
    server = sign("registry", authority)
    (folder / "server.pem").write_text(server.key_pem + server.certificate_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


def test_wrong_ways_to_speak_tls_are_told(tmp_path):
    authority = make_authority("tests")
    with serve(reply(), serve_tls(tmp_path, authority)) as secure, serve(reply()) as plain:
        wrong = {
            "refused": RegistryAccess(secure.host),
            "without TLS": RegistryAccess(plain.host),
            "CA certificate cannot be read": RegistryAccess(secure.host, ca="no certificate"),
        }
        for words, access in wrong.items():
            with pytest.raises(RegistryError, match=words) as caught, RegistryClient(access) as client:
                client.check()
            assert (caught.value.code, caught.value.permanent) == ("tls", True)


def test_registry_that_wants_tls_says_so():
    error = refuse(reply(400, {}, b"Client sent an HTTP request to an HTTPS server.\n"))
    assert error.code == "tls"


def test_certificate_that_is_stored_itself_is_trusted(tmp_path):
    with serve(reply(200, JSON, b"{}"), serve_tls(tmp_path, make_authority("tests"))) as registry:
        stored = (tmp_path / "server.pem").read_text().partition("-----BEGIN CERTIFICATE")
        with RegistryClient(RegistryAccess(registry.host, ca="".join(stored[1:]))) as client:
            client.check()


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
def test_token_tells_whether_a_push_is_allowed(tokens, allowed):
    answer, registry = ask(TokenRegistry(tokens), may_push)
    assert answer is allowed
    assert not [line for line in registry.lines if line.startswith("POST")]


def test_token_refused_for_every_scope_is_a_refused_account():
    assert refuse(TokenRegistry({PUSH: 403}), may_push).code == "unauthorized"


@pytest.mark.parametrize(("push", "allowed"), [(202, True), (403, False), (405, False)])
@pytest.mark.parametrize("token", ["opaque", make_token({"sub": "ann"}), "a.b.c"])
def test_token_that_tells_nothing_is_tried_with_an_upload(token, push, allowed):
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
def test_upload_that_tells_nothing_is_an_error(status, code):
    assert refuse(probe(status, ""), may_push).code == code


def test_wrong_password_is_no_missing_permission():
    assert refuse(demand_basic, may_push, password="another").code == "unauthorized"


def test_registry_for_everyone_lets_everyone_push():
    def welcome(asked: Asked) -> Reply:
        return Reply(202, {"Location": f"{UPLOADS}7"}) if asked.method == "POST" else answer_json({})

    answer, _ = ask(welcome, may_push, username="")
    assert answer
