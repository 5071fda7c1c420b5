"""Registries' pages: what is stored and never shown, what is tested, and the inbound link."""

import json

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from clusters.models import AuditEntry, Registry
from clusters.registry.errors import RegistryError
from clusters.registry_form import EXAMPLES, HINTS, HOSTS
from clusters.roles import Role
from clusters.tests.factories import RegistryFactory
from clusters.tests.users import make_user
from console.pages.registries.sender_guides import GUIDES
from triggers.models import Delivery
from triggers.tests.factories import ImageSubscriptionFactory

pytestmark = pytest.mark.django_db

TYPED = {"kind": "harbor", "host": "Harbor.example.com:443", "username": "robot", "password": "typed password"}


@pytest.fixture
def registry():
    return RegistryFactory(host="harbor.example.com", kind="harbor", signing_secret="kept secret")


class FakeRegistry:
    """A registry that answers every test. `asked` has the registries that were tested."""

    def __init__(self):
        self.asked = []
        self.error = None

    def test_registry(self, registry):
        self.asked.append(registry)
        if self.error:
            raise self.error
        return "The credentials are accepted."


@pytest.fixture
def fake_registry(monkeypatch):
    fake = FakeRegistry()
    monkeypatch.setattr("clusters.registries.test_registry", fake.test_registry)
    return fake


def texts_of(response):
    return response.content.decode()


def settings_of(registry, **changed):
    kept = {"kind": registry.kind, "host": registry.host, "username": registry.username, "aliases": registry.aliases}
    return kept | changed


def sign_in(role=None, cluster=None):
    client = Client()
    client.force_login(make_user("asker", role, cluster))
    return client


class TestForm:
    @pytest.mark.parametrize(
        ("host", "shown", "kind"),
        [
            ("docker.io", "docker.io", "dockerhub"),
            ("Team.azurecr.io", "team.azurecr.io", "acr"),
            ("registry.example.com:5000", "registry.example.com:5000", "distribution"),
            ('"><script>', "", "distribution"),
        ],
    )
    def test_the_host_of_an_image_is_proposed_with_its_kind(self, reader, host, shown, kind):
        form = reader.get("/registries/new/", {"host": host}).context["form"]
        assert (form["host"].value() or "", form["kind"].value()) == (shown, kind)

    def test_a_registry_is_added_and_recorded(self, reader):
        response = reader.post("/registries/new/", TYPED)
        added = Registry.objects.get()
        assert response["Location"] == f"/registries/{added.pk}/"
        assert (added.host, added.password) == ("harbor.example.com", "typed password")
        entry = AuditEntry.objects.get(action="registry.add")
        assert (entry.target, entry.details["changes"]["password"]) == ("harbor.example.com", "set")
        assert "typed password" not in str(entry.details)

    def test_a_kind_that_has_one_host_needs_none_typed(self, reader):
        reader.post("/registries/new/", {"kind": "dockerhub", "host": ""})
        assert Registry.objects.get().host == "docker.io"

    @pytest.mark.parametrize("host", ["", "not a host", "https://"])
    def test_a_host_is_wanted(self, reader, host):
        response = reader.post("/registries/new/", {"kind": "harbor", "host": host})
        assert response.context["form"].errors.keys() == {"host"}
        assert not Registry.objects.exists()

    def test_every_kind_is_explained(self):
        kinds = set(Registry.Kind.values)
        assert HOSTS.keys() | EXAMPLES.keys() == kinds
        assert HINTS.keys() == kinds - {"distribution", "other"}

    def test_stored_secrets_are_in_no_page_and_stay_where_none_is_typed(self, reader, registry):
        page = f"/registries/{registry.pk}/edit/"
        assert not {registry.password, registry.signing_secret, registry.hook_token} & set(
            texts_of(reader.get(page)).split('"')
        )
        reader.post(page, settings_of(registry, username="other"))
        registry.refresh_from_db()
        assert (registry.username, registry.password) == ("other", "password of the robot")
        assert registry.signing_secret == "kept secret"

    def test_a_box_removes_each_secret(self, reader, registry):
        reader.post(f"/registries/{registry.pk}/edit/", settings_of(registry, remove_signing_secret="on"))
        registry.refresh_from_db()
        assert (registry.signing_secret, registry.password) == ("", "password of the robot")
        reader.post(f"/registries/{registry.pk}/edit/", settings_of(registry, username="", remove_password="on"))
        registry.refresh_from_db()
        assert registry.password == ""
        entries = AuditEntry.objects.filter(action="registry.change").order_by("pk")
        assert [entry.details["changes"] for entry in entries] == [
            {"signing_secret": "removed"},
            {"username": ["robot", ""], "password": "removed"},
        ]

    @pytest.mark.parametrize("elsewhere", [{"host": "elsewhere.example"}, {"aliases": "elsewhere.example"}])
    def test_a_stored_password_goes_to_no_other_host(self, reader, registry, fake_registry, elsewhere):
        body = settings_of(registry, **elsewhere)
        response = reader.post(f"/registries/{registry.pk}/edit/", body)
        assert "Enter the password again" in texts_of(response)
        assert "Enter the password again" in texts_of(reader.post(f"/registries/test/?edited={registry.pk}", body))
        assert fake_registry.asked == []
        assert reader.post(f"/registries/{registry.pk}/edit/", body | {"password": "again"}).status_code == 302

    def test_an_administrator_allows_plain_http_and_the_page_says_so(self, reader):
        body = {"kind": "distribution", "host": "registry.lan:5000", "plain_http": "on"}
        assert "consent of an administrator" in texts_of(reader.post("/registries/new/", body))
        assert not Registry.objects.exists()
        assert reader.post("/registries/new/", body | {"clear_text": "on"}).status_code == 302
        stored = Registry.objects.get()
        assert "everything is sent in clear" in texts_of(reader.get(f"/registries/{stored.pk}/"))
        assert AuditEntry.objects.get(action="registry.add").details["changes"]["clear_text"] == [True]
        reader.post(f"/registries/{stored.pk}/edit/", settings_of(stored, clear_text="on"))
        stored.refresh_from_db()
        assert (stored.plain_http, stored.clear_text) == (False, False)

    def test_whoever_is_no_administrator_cannot_allow_plain_http(self, registry):
        user = make_user("changer", Role.VIEWER)
        user.user_permissions.add(Permission.objects.get(codename="change_registry"))
        changer = Client()
        changer.force_login(user)
        body = settings_of(registry, plain_http="on", clear_text="on")
        assert "consent of an administrator" in texts_of(changer.post(f"/registries/{registry.pk}/edit/", body))
        Registry.objects.update(plain_http=True, clear_text=True)
        response = changer.post(f"/registries/{registry.pk}/edit/", body | {"host": "other.lan", "password": "given again"})
        assert "Only an administrator of all clusters" in texts_of(response)
        assert changer.post(f"/registries/{registry.pk}/edit/", body).status_code == 302
        stored = Registry.objects.get()
        assert (stored.host, stored.plain_http, stored.clear_text) == (registry.host, True, True)

    def test_what_was_seen_with_other_credentials_is_forgotten(self, reader, registry):
        Registry.objects.update(problem="401", pull_limit=100, pull_remaining=3)
        reader.post(f"/registries/{registry.pk}/edit/", settings_of(registry))
        registry.refresh_from_db()
        assert registry.problem == "401"
        reader.post(f"/registries/{registry.pk}/edit/", settings_of(registry, password="new"))
        registry.refresh_from_db()
        assert (registry.problem, registry.pull_limit, registry.pull_remaining) == ("", None, None)


class TestTest:
    def test_what_is_typed_is_tested_and_nothing_is_saved(self, reader, fake_registry):
        text = texts_of(reader.post("/registries/test/", TYPED, headers={"HX-Request": "true", "HX-Target": "test-result"}))
        assert "The credentials are accepted." in text
        assert "<form" not in text
        [asked] = fake_registry.asked
        assert (asked.pk, asked.host, asked.password) == (None, "harbor.example.com", "typed password")
        assert not Registry.objects.exists()

    def test_of_an_edited_one_the_stored_password_counts_where_none_is_typed(self, reader, registry, fake_registry):
        reader.post(f"/registries/test/?edited={registry.pk}", settings_of(registry, username="typed"))
        [asked] = fake_registry.asked
        assert (asked.pk, asked.username, asked.password) == (None, "typed", "password of the robot")
        registry.refresh_from_db()
        assert registry.username == "robot"

    def test_what_is_wrong_is_said_in_the_form(self, reader, fake_registry):
        fake_registry.error = RegistryError("It answers 401: the <password> is wrong.", "unauthorized")
        text = texts_of(reader.post("/registries/test/", TYPED))
        assert "It answers 401: the &lt;password&gt; is wrong." in text
        assert "typed password" not in text

    def test_a_wrong_form_queries_no_registry(self, reader, fake_registry):
        assert "is not the host" in texts_of(reader.post("/registries/test/", TYPED | {"host": "no host"}))
        assert fake_registry.asked == []

    @pytest.mark.parametrize("edited", ["0", "none", "99999999999999999999999"])
    def test_an_unknown_one_is_not_there(self, reader, fake_registry, edited):
        assert reader.post(f"/registries/test/?edited={edited}", TYPED).status_code == 404

    @pytest.mark.parametrize(
        ("error", "said"), [(None, "accepted."), (RegistryError("It is down.", "unreachable"), "It is down.")]
    )
    def test_from_the_list_what_is_stored_is_tested(self, reader, registry, fake_registry, error, said):
        fake_registry.error = error
        response = reader.post(f"/registries/{registry.pk}/check/", {"next": "/registries/"}, follow=True)
        assert response.redirect_chain == [("/registries/", 302)]
        assert said in texts_of(response)
        assert fake_registry.asked == [registry]


class TestInboundLink:
    def test_no_page_holds_it_before_it_is_revealed(self, reader, registry):
        for path in ("/registries/", f"/registries/{registry.pk}/", f"/registries/{registry.pk}/rotate/"):
            assert registry.hook_token not in texts_of(reader.get(path))

    def test_scripts_get_it_with_every_text_that_holds_it(self, reader, registry, settings):
        settings.PUBLIC_URL = "https://windlass.example.com"
        response = reader.post(f"/registries/{registry.pk}/reveal/", headers={"Accept": "application/json"})
        revealed = json.loads(response.content)
        link = f"https://windlass.example.com/hook/registry/{registry.hook_token}"
        assert revealed["link"] == link
        assert revealed.keys() == {"link", *(guide.key for guide in GUIDES)}
        assert all(link in text for text in revealed.values())
        assert AuditEntry.objects.latest("pk").action == "registry.reveal"

    def test_without_scripts_it_is_shown_once(self, reader, registry):
        response = reader.post(f"/registries/{registry.pk}/reveal/")
        assert response["Location"] == f"/registries/{registry.pk}/#inbound"
        assert registry.hook_token in texts_of(reader.get(f"/registries/{registry.pk}/"))
        assert registry.hook_token not in texts_of(reader.get(f"/registries/{registry.pk}/"))

    def test_a_new_one_takes_the_place_of_the_old_one(self, reader, registry):
        former = registry.hook_token, registry.hook_key
        response = reader.post(f"/registries/{registry.pk}/rotate/", follow=True)
        registry.refresh_from_db()
        assert not {registry.hook_token, registry.hook_key} & set(former)
        assert registry.hook_token in texts_of(response)
        assert AuditEntry.objects.latest("pk").action == "registry.rotate"


class TestList:
    def test_an_empty_list_says_what_a_registry_is_for(self, reader):
        text = texts_of(reader.get("/registries/"))
        assert "its inbound link turns a push into a redeploy" in text
        assert text.count('href="/registries/new/"') == 1
        assert "An administrator of this console can add one" in texts_of(sign_in(Role.VIEWER).get("/registries/"))

    def test_subscriptions_count_by_any_host_of_the_registry(self, reader, registry):
        Registry.objects.filter(pk=registry.pk).update(aliases="harbor.internal:8443")
        for host in ("harbor.example.com", "harbor.internal:8443", "harbor.example.com.evil.example", "docker.io"):
            ImageSubscriptionFactory(repository=f"{host}/team/app")
        [row] = reader.get("/registries/").context["registries"]
        assert row.subscription_count == 2
        page = reader.get(f"/registries/{registry.pk}/?tab=subscriptions").context["page"]
        assert {one.repository.partition("/")[0] for one in page} == {"harbor.example.com", "harbor.internal:8443"}

    def test_a_role_on_one_cluster_shows_neither_the_pages_nor_links_to_them(self, fleet):
        client = sign_in(Role.ADMINISTRATOR, fleet.cluster)
        assert client.get("/registries/").status_code == 403
        assert client.get(f"/registries/{fleet.registry.pk}/").status_code == 404
        text = texts_of(client.get("/"))
        assert "/registries/" not in text
        assert "/deliveries/" not in text
        assert client.get("/search/", {"q": fleet.registry.host}).context["groups"] == []

    def test_readers_who_may_not_see_deliveries_are_shown_none(self, fleet):
        user = make_user("keeper")
        user.user_permissions.add(Permission.objects.get(codename="view_registry"))
        client = Client()
        client.force_login(user)
        response = client.get(f"/registries/{fleet.registry.pk}/")
        assert response.context["tab"] == "subscriptions"
        assert "Deliveries" not in texts_of(response)
        assert list(response.context["page"]) == []  # of triggers that one may not see

    def test_the_palette_finds_them(self, reader, registry):
        [group] = reader.get("/search/", {"q": "harbor"}).context["groups"]
        assert (group.label, [entry.url for entry in group.entries]) == ("Registries", [f"/registries/{registry.pk}/"])


def test_deleting_says_what_is_lost_and_keeps_the_deliveries(reader, fleet):
    registry = fleet.registry
    text = texts_of(reader.get(f"/registries/{registry.pk}/delete/"))
    assert "Pushes no longer reach the 1 subscription to its repositories." in text
    assert "pulled without credentials" in text
    response = reader.post(f"/registries/{registry.pk}/delete/")
    assert response["Location"] == "/registries/"
    assert not Registry.objects.filter(pk=registry.pk).exists()
    assert Delivery.objects.get(pk=fleet.delivery.pk).registry is None
    assert AuditEntry.objects.filter(action="registry.delete", target=registry.host).exists()
    assert reader.get(f"/deliveries/{fleet.delivery.pk}/").status_code == 200


class TestAdmin:
    def test_no_secret_is_shown_and_an_empty_field_keeps_it(self, admin_client, registry):
        path = f"/admin/clusters/registry/{registry.pk}/change/"
        text = texts_of(admin_client.get(path))
        assert not [one for one in (registry.password, registry.signing_secret, registry.hook_token) if one in text]
        admin_client.post(path, settings_of(registry, username="other"))
        registry.refresh_from_db()
        assert (registry.username, registry.password) == ("other", "password of the robot")
        assert AuditEntry.objects.latest("pk").action == "registry.change"

    def test_subscriptions_are_kept_with_their_trigger(self, admin_client, fleet):
        trigger, kept = fleet.trigger, fleet.subscription
        body = {
            "name": trigger.name,
            "enabled": "on",
            "cooldown_seconds": 0,
            "on_failure": "rollback",
            "alert_state": "firing",
            "subscriptions-TOTAL_FORMS": 1,
            "subscriptions-INITIAL_FORMS": 1,
            "subscriptions-0-id": kept.pk,
            "subscriptions-0-trigger": trigger.pk,
            "subscriptions-0-repository": "team/app",
            "subscriptions-0-tags": "[]",
            "subscriptions-0-condition": "every",
            "subscriptions-0-poll_seconds": 0,
        }
        response = admin_client.post(f"/admin/triggers/trigger/{trigger.pk}/change/", body)
        assert response.status_code == 302, response.context["errors"]
        kept.refresh_from_db()
        assert (kept.repository, kept.condition) == (fleet.subscription.repository, "every")  # no registry vouches for another
        (changed,) = AuditEntry.objects.latest("pk").details["images_changed"]
        assert changed.endswith(f" → {kept.repository}: every tag")
