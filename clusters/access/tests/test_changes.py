"""Old and new values of what people change, without a secret in them."""

import json
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Group, User

from clusters.access.changes import Hidden, list_changes, read_stored_values, read_values
from clusters.models import ClusterGrant, Registry
from clusters.roles import Role
from clusters.tests.factories import ClusterFactory

pytestmark = pytest.mark.django_db
CERTIFICATE = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----"


def changes_of(row, **values):
    before = read_stored_values(row, values)
    for name, value in values.items():
        setattr(row, name, value)
    row.save()
    changes = list_changes(before, read_values(row, values))
    json.dumps(changes)  # as the log stores it
    return changes


def test_old_and_new_values_are_kept_as_people_read_them():
    registry = Registry.objects.create(host="old.example", kind="harbor", aliases="a\nb", username="ann")
    expires = datetime(2030, 1, 2, tzinfo=UTC)
    assert changes_of(
        registry, host="new.example", kind="quay", username="ann", plain_http=True, password_expires_at=expires
    ) == {
        "host": ["old.example", "new.example"],
        "kind": ["Harbor", "Quay"],
        "plain_http": [False, True],
        "password_expires_at": [None, "2030-01-02T00:00:00+00:00"],
    }


def test_of_secrets_is_said_what_happened_and_nothing_else():
    registry = Registry.objects.create(host="h.example", password="planted old")
    assert changes_of(registry, password="planted new", signing_secret="planted") == {
        "password": "changed",
        "signing_secret": "set",
    }
    assert changes_of(registry, password="", signing_secret="planted") == {"password": "removed"}
    user = User.objects.create_user("eve", password="planted old")
    before = read_stored_values(user, ["password"])
    user.set_password("planted new")
    assert list_changes(before, read_values(user, ["password"])) == {"password": "changed"}
    assert "planted" not in repr(Hidden("planted"))


def test_keys_and_passwords_in_other_fields_are_kept_back_too():
    cluster = ClusterFactory(url="tcp://user:planted@10.0.0.1:2376", tls_cert=CERTIFICATE.format("one"))
    changes = changes_of(
        cluster,
        url="tcp://user:planted2@10.0.0.2:2376",
        tls_ca="-----BEGIN PRIVATE KEY-----planted",
        tls_cert=CERTIFICATE.format("two"),
    )
    assert "planted" not in json.dumps(changes)
    assert changes["url"] == ["tcp://user:***@10.0.0.1:2376", "tcp://user:***@10.0.0.2:2376"]
    assert changes["tls_ca"] == "set"
    old, new = changes["tls_cert"]
    assert old.startswith("PEM with SHA-256 ")
    assert old != new


def test_long_values_are_cut_and_of_lists_the_difference_is_kept():
    cluster = ClusterFactory(name="a")
    old, new = changes_of(cluster, other_urls="x" * 5000)["other_urls"]
    assert (old, len(new)) == ("", 300)
    user, group = User.objects.create_user("eve"), Group.objects.create(name="night shift")
    user.groups.set([group, Group.objects.get(name="Viewer")])
    before = read_values(user, ["groups"])
    user.groups.set([group, Group.objects.get(name="Operator")])
    assert list_changes(before, read_values(user, ["groups"])) == {"groups": [["Viewer"], ["Operator"]]}


def test_related_rows_are_named():
    eve, bob = User.objects.create_user("eve"), User.objects.create_user("bob")
    grant = ClusterGrant.objects.create(cluster=ClusterFactory(name="north"), user=eve, role=Role.VIEWER)
    assert changes_of(grant, user=bob, role=Role.DEPLOYER) == {"user": ["eve", "bob"], "role": ["Viewer", "Deployer"]}


def test_of_a_new_row_the_values_that_are_there_are_kept():
    cluster = ClusterFactory(name="north", url="tcp://10.0.0.1:2376", tls_key="planted")
    names = ["name", "url", "other_urls", "tls_key", "no_field_of_it"]
    assert list_changes({}, read_values(cluster, names)) == {
        "name": ["north"],
        "url": ["tcp://10.0.0.1:2376"],
        "tls_key": "set",
    }


def test_what_is_stored_counts_and_not_what_a_form_has_assigned():
    cluster = ClusterFactory(url="tcp://10.0.0.1:2376")
    cluster.url = "tcp://10.0.0.2:2376"
    assert read_stored_values(cluster, ["url"]) == {"url": "tcp://10.0.0.1:2376"}
    cluster.delete()
    assert read_stored_values(ClusterFactory.build(pk=4711), ["url"]) == {}
