"""The page Sign-in: providers, and what their groups give."""

import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import Permission

from clusters.access.given_roles import Sync, Wanted, give_roles
from clusters.models import AuditEntry, GivenRole
from clusters.roles import Role
from clusters.tests.factories import ClusterFactory
from clusters.tests.users import make_user
from console.identity.tests.fake_provider import CLIENT, ISSUER, SECRET
from console.models import GroupMapping, IdentityProvider

pytestmark = pytest.mark.django_db

FIELDS = {
    "name": "Example",
    "issuer": ISSUER,
    "client_id": CLIENT,
    "client_secret": SECRET,
    "admits": "mapped",
    "is_enabled": "on",
    "scopes": "openid  profile",
    "groups_claim": "groups",
}


def add(reader, **changes):
    return reader.post("/sign-in/providers/new/", {**FIELDS, **changes})


def test_a_provider_is_added_with_its_secret_encrypted(reader, django_assert_num_queries):
    assert add(reader)["Location"] == "/sign-in/"
    row = IdentityProvider.objects.get()
    assert (row.client_secret, row.scopes) == (SECRET, "openid profile")
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT client_secret FROM console_identityprovider")
        assert SECRET not in cursor.fetchone()[0]
    entry = AuditEntry.objects.get(action="provider.add")
    assert SECRET not in str(entry.details)
    text = reader.get("/sign-in/").content.decode()
    assert ISSUER in text
    assert "http://testserver/login/callback/" in text
    assert SECRET not in text


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("issuer", "http://id.example.com", "must start with https://"),
        ("issuer", "https://id.example.com/.well-known/openid-configuration", "the part before"),
        ("scopes", "profile email", "openid must be one of them"),
        ("scopes", 'openid "quoted"', "openid must be one of them"),
        ("name", "", "This field is required"),
        ("client_id", "", "This field is required"),
        ("admits", "all", "Select a valid choice"),
    ],
)
def test_a_form_that_is_wrong_says_why(reader, field, value, words):
    response = add(reader, **{field: value})
    assert response.status_code == 200
    assert words in response.content.decode()
    assert not IdentityProvider.objects.exists()


def test_an_issuer_is_added_once(reader, provider_row):
    assert "already exists" in add(reader).content.decode()


def test_the_secret_stays_unless_it_is_changed_and_the_issuer_always(reader, provider_row):
    address = f"/sign-in/providers/{provider_row.pk}/edit/"
    assert SECRET not in reader.get(address).content.decode()
    reader.post(address, {**FIELDS, "client_secret": "", "issuer": "https://evil.example.com", "name": "New"})
    row = IdentityProvider.objects.get()
    assert (row.name, row.issuer, row.client_secret) == ("New", ISSUER, SECRET)
    reader.post(address, {**FIELDS, "client_secret": "another"})
    assert AuditEntry.objects.filter(action="provider.change").first().details["changes"]["client_secret"] == "changed"
    reader.post(address, {**FIELDS, "client_secret": "", "remove_secret": "on"})
    assert IdentityProvider.objects.get().client_secret == ""


def test_deleting_takes_what_its_groups_gave(reader, provider_row):
    bob = make_user("bob")
    GroupMapping.objects.create(issuer=ISSUER, group="ops", role=Role.DEPLOYER)
    give_roles(Sync(bob, ISSUER, bob, None, "test"), {None: Wanted(Role.DEPLOYER, "ops")})
    SocialAccount.objects.create(user=bob, provider=ISSUER, uid="1")
    address = f"/sign-in/providers/{provider_row.pk}/delete/"
    assert "1 identity cannot sign in" in reader.get(address).content.decode()
    assert reader.post(address).status_code == 302
    assert not IdentityProvider.objects.exists()
    assert not GroupMapping.objects.exists()
    assert not GivenRole.objects.exists()
    assert not bob.groups.exists()
    assert AuditEntry.objects.filter(action="user.change", actor="ada", details__by="deleting Example").exists()


def test_a_group_gets_a_role_and_loses_it(reader, provider_row):
    cluster = ClusterFactory(name="harbour")
    address = f"/sign-in/providers/{provider_row.pk}/groups/"
    assert reader.post(address, {"group": "Ops", "role": "viewer", "cluster": ""}).status_code == 302
    assert reader.post(address, {"group": "Ops", "role": "deployer", "cluster": cluster.pk}).status_code == 302
    assert reader.post(address, {"group": "ops", "role": "viewer", "cluster": ""}).status_code == 302
    text = reader.post(address, {"group": "Ops", "role": "operator", "cluster": ""}).content.decode()
    assert "gives a role there already" in text
    assert GroupMapping.objects.count() == 3
    assert "<bdi>harbour</bdi>" in reader.get("/sign-in/").content.decode()
    for mapping in GroupMapping.objects.all():
        reader.post(f"/sign-in/groups/{mapping.pk}/delete/")
    assert not GroupMapping.objects.exists()
    assert AuditEntry.objects.filter(action="mapping.add").count() == 3
    assert AuditEntry.objects.filter(action="mapping.delete").count() == 3


@pytest.mark.parametrize("form", [{"group": ""}, {"group": "a\0b", "role": "viewer"}, {"group": "a", "role": "root"}])
def test_a_mapping_that_is_wrong_says_why(reader, provider_row, form):
    response = reader.post(f"/sign-in/providers/{provider_row.pk}/groups/", form)
    assert response.status_code == 200
    assert "field-error" in response.content.decode()
    assert not GroupMapping.objects.exists()


def test_whoever_may_choose_engines_but_give_no_roles_is_refused(client, provider_row):
    user = make_user("eve", Role.DEPLOYER)
    user.user_permissions.add(Permission.objects.get(codename="add_cluster"))
    client.force_login(user)
    for path in ("/sign-in/", "/sign-in/providers/new/", f"/sign-in/providers/{provider_row.pk}/edit/"):
        assert client.get(path).status_code == 403
    assert (
        client.post(f"/sign-in/providers/{provider_row.pk}/groups/", {"group": "a", "role": "administrator"}).status_code == 403
    )


def test_the_provider_of_the_environment_is_shown_and_not_edited(reader, settings):
    names = {"name": "Company", "scopes": "openid", "groups_claim": "groups", "admits": "everybody"}
    settings.OIDC = {"issuer": ISSUER, "client_id": CLIENT, "given_secret": SECRET, **names}
    text = reader.get("/sign-in/").content.decode()
    assert "From the environment" in text
    assert "/edit/" not in text
    assert SECRET not in text
    assert "The environment has this provider" in add(reader).content.decode()
    assert reader.post("/sign-in/providers/environment/groups/", {"group": "a", "role": "viewer"}).status_code == 302
    assert GroupMapping.objects.get().issuer == ISSUER
