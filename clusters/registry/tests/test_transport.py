import ssl
import threading

import pytest

from clusters.registry.access import RegistryAccess
from clusters.registry.client import RegistryClient
from clusters.registry.errors import RegistryError
from clusters.registry.tests.acts import (
    BASIC,
    JSON,
    PASSWORD,
    UPLOADS,
    USER,
    answer_json,
    ask,
    demand_basic,
    may_push,
    refuse,
    reply,
)
from clusters.registry.tests.scripted import DRIP_COUNT, Asked, Reply, serve
from tests.harness.certificates import make_authority, sign
from tests.harness.eventually import eventually


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


def test_client_still_works_after_a_timeout():
    replies = iter([b"x" * DRIP_COUNT, answer_json({})])
    with serve(lambda asked: next(replies)) as registry, RegistryClient(registry.access(), timeout=0.5) as client:
        with pytest.raises(RegistryError):
            client.check()
        assert client.check() is None


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


def test_target_of_a_redirect_does_not_choose_the_token_endpoint(tmp_path):
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


def test_wrong_ways_to_speak_tls_are_named(tmp_path):
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


def test_registry_that_requires_tls_is_named_as_such():
    error = refuse(reply(400, {}, b"Client sent an HTTP request to an HTTPS server.\n"))
    assert error.code == "tls"


def test_stored_certificate_of_the_registry_itself_is_trusted(tmp_path):
    with serve(reply(200, JSON, b"{}"), serve_tls(tmp_path, make_authority("tests"))) as registry:
        stored = (tmp_path / "server.pem").read_text().partition("-----BEGIN CERTIFICATE")
        with RegistryClient(RegistryAccess(registry.host, ca="".join(stored[1:]))) as client:
            client.check()
