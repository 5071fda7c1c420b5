"""The registry client, on real Distribution registries with each kind of authentication."""

import contextlib
import socket

import pytest

from clusters import registries
from clusters.models import Registry
from clusters.registry.client import RegistryClient
from clusters.registry.errors import RegistryError
from clusters.tests.factories import ServiceFactory
from tests.harness.certificates import make_authority
from tests.harness.registry import LOGIN, PrivateRegistry, run_registry
from tests.harness.token_server import Account, run_token_server
from triggers.models import ImageSubscription
from triggers.pushes.polling import poll_subscriptions
from triggers.tests.factories import TriggerFactory

WRITER, READER = ("writer", "writes-for-tests"), ("reader", "reads-for-tests")


@pytest.fixture(scope="module")
def login_registry(tmp_path_factory):
    """A registry with an htpasswd file."""
    with run_registry(tmp_path_factory.mktemp("login"), **LOGIN) as registry:
        yield registry


@pytest.fixture(scope="module")
def token_server(tmp_path_factory):
    accounts = {
        WRITER[0]: Account(WRITER[1], frozenset({"pull", "push"})),
        READER[0]: Account(READER[1], frozenset({"pull"})),
    }
    with run_token_server(tmp_path_factory.mktemp("tokens"), accounts) as server:
        yield server


@pytest.fixture(scope="module")
def token_registry(tmp_path_factory, token_server):
    with run_registry(tmp_path_factory.mktemp("token"), token=token_server.config) as registry:
        yield registry


def put_image(registry: PrivateRegistry, server) -> str:
    token = server.make_token(server.accounts[WRITER[0]], ["repository:team/app:pull,push"])
    return registry.put_image("team/app", "1", token=token)


def store(registry: PrivateRegistry, username: str = "", password: str = "", **options) -> Registry:
    return Registry.objects.create(
        host=registry.host, username=username, password=password, plain_http=not registry.ca_file, **options
    )


def count_uploads(registry: PrivateRegistry) -> int:
    """Return how many uploads are open."""
    return len(list((registry.folder / "data").rglob("_uploads/*/startedat")))


def refuse(access, act=RegistryClient.check) -> RegistryError:
    with RegistryClient(access) as client, pytest.raises(RegistryError) as caught:
        act(client)
    return caught.value


def test_tag_of_an_open_registry_is_read_and_recognized_when_unchanged(registry):
    digest = registry.put_image("team/open", "1")
    with RegistryClient(registry.access()) as client:
        assert client.check() is None
        state = client.read_tag("team/open", "1")
        assert state.digest == digest
        assert client.read_tag("team/open", digest).digest == digest
        assert client.read_tag("team/open", "1", state.etag).digest in {"", digest}
        changed = registry.put_image("team/open", "1", b'{"next": 1}')
        assert client.read_tag("team/open", "1", state.etag).digest == changed
        with pytest.raises(RegistryError) as caught:
            client.read_tag("team/open", "nowhere")
    assert caught.value.code == "not_found"


def test_stopped_registry_is_unreachable_until_it_starts_again(registry):
    with RegistryClient(registry.access()) as client:
        client.check()
        registry.stop()
        with pytest.raises(RegistryError) as caught:
            client.check()
        assert caught.value.code == "unreachable"
        registry.start()
        client.check()


def test_htpasswd_account_is_accepted_and_may_push(login_registry):
    digest = login_registry.put_image("team/app", "1")
    with RegistryClient(login_registry.access(LOGIN["user"], LOGIN["password"])) as client:
        client.check()
        assert client.read_tag("team/app", "1").digest == digest
        assert client.may_push("team/new")
    assert count_uploads(login_registry) == 0


@pytest.mark.parametrize("username", [LOGIN["user"], ""])
@pytest.mark.parametrize("act", [RegistryClient.check, lambda client: client.read_tag("team/app", "1")])
def test_htpasswd_registry_refuses_other_credentials(login_registry, username, act):
    error = refuse(login_registry.access(username, "wrong"), act)
    assert (error.code, error.permanent) == ("unauthorized", True)


def test_token_registry_lets_readers_pull_and_writers_push(token_registry, token_server):
    digest = put_image(token_registry, token_server)
    answers = {}
    for username, password in (READER, WRITER):
        with RegistryClient(token_registry.access(username, password)) as client:
            client.check()
            assert client.read_tag("team/app", "1").digest == digest
            answers[username] = client.may_push("team/app")
    assert answers == {"reader": False, "writer": True}
    assert count_uploads(token_registry) == 0


def test_token_registry_refuses_other_credentials(token_registry):
    wrong = token_registry.access(READER[0], "wrong")
    assert refuse(wrong).code == "unauthorized"
    assert refuse(wrong, lambda client: client.may_push("team/app")).code == "unauthorized"
    assert refuse(token_registry.access(), lambda client: client.read_tag("team/app", "1")).code == "unauthorized"


def test_registry_itself_decides_where_its_token_shows_nothing(token_registry, token_server, monkeypatch):
    monkeypatch.setattr("clusters.registry.client.grants_push", lambda token, path: None)
    answers = {}
    for username, password in (READER, WRITER):
        with RegistryClient(token_registry.access(username, password)) as client:
            answers[username] = client.may_push("team/app")
    assert answers == {"reader": False, "writer": True}


def test_own_certificate_authority_is_trusted_where_it_is_stored(tmp_path):
    authority = make_authority("tests")
    with run_registry(tmp_path, tls=authority) as registry:
        digest = registry.put_image("team/app")
        with RegistryClient(registry.access(ca=authority.certificate_pem)) as client:
            assert client.read_tag("team/app", "latest").digest == digest
            assert client.may_push("team/app")
        assert count_uploads(registry) == 0
        for ca in ("", make_authority("others").certificate_pem):
            assert refuse(registry.access(ca=ca)).code == "tls"


@pytest.mark.django_db
def test_push_permission_follows_the_stored_account(token_registry):
    stored = store(token_registry, *READER)
    repository = f"{token_registry.host}/team/app"
    refused = registries.find_push_permission(repository)
    assert not refused.allowed
    assert "does not let 'reader' push to team/app" in refused.reason
    stored.username, stored.password = WRITER
    stored.save()
    assert registries.find_push_permission(repository) == registries.PushPermission(True)


@pytest.mark.django_db
def test_test_of_a_registry_shows_and_keeps_the_problem(login_registry):
    stored = store(login_registry, LOGIN["user"], "wrong")
    with pytest.raises(RegistryError):
        registries.test_registry(stored)
    stored.refresh_from_db()
    assert "401" in stored.problem
    assert stored.checked_at
    stored.password = LOGIN["password"]
    assert "accepts the stored credentials" in registries.test_registry(stored)
    stored.refresh_from_db()
    assert stored.problem == ""


@pytest.fixture(scope="module")
def own_address():
    """An address of this machine that is no loopback, as a registry on a local network has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("198.51.100.1", 9))  # sends nothing
        return probe.getsockname()[0]


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["htpasswd", "token"])
def test_a_registry_on_the_local_network_is_used_without_tls_after_consent(own_address, kind, tmp_path):
    accounts = {WRITER[0]: Account(WRITER[1], frozenset({"pull", "push"}))}
    with contextlib.ExitStack() as stack:
        if kind == "token":
            server = stack.enter_context(run_token_server(tmp_path, accounts, own_address))
            registry = stack.enter_context(run_registry(tmp_path, address=own_address, token=server.config))
            token = server.make_token(accounts[WRITER[0]], ["repository:team/app:pull,push"])
            account, first = WRITER, registry.put_image("team/app", "1", token=token)
        else:
            registry = stack.enter_context(run_registry(tmp_path, address=own_address, **LOGIN))
            token, account = "", (LOGIN["user"], LOGIN["password"])
            first = registry.put_image("team/app", "1")
        stored = store(registry, *account)
        with pytest.raises(RegistryError) as caught:
            registries.test_registry(stored)
        assert "was not allowed" in caught.value.message
        stored.clear_text = True
        stored.full_clean()
        stored.save()
        assert "accepts the stored credentials" in registries.test_registry(stored)
        assert registries.find_push_permission(f"{registry.host}/team/app").allowed
        trigger = TriggerFactory()
        digests = [f"x@{first}"]
        ServiceFactory(application=trigger.application, image=f"{registry.host}/team/app:1", image_digests=digests)
        ImageSubscription.objects.create(trigger=trigger, repository=f"{registry.host}/team/app", poll_seconds=60)
        assert (poll_subscriptions(), trigger.calls.count()) == (1, 0)
        registry.put_image("team/app", "1", b'{"new": 1}', token=token)
        ImageSubscription.objects.update(poll_due_at=None)
        assert (poll_subscriptions(), trigger.calls.count()) == (1, 1)
        assert ImageSubscription.objects.get().poll_problem == ""
