"""Associated with Image Update in the admin: the same rules as in the dialogs and in the API."""

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.urls import reverse

from clusters.models import AuditEntry
from clusters.registries import PushPermission
from clusters.roles import Role
from clusters.tests.factories import ServiceFactory
from clusters.tests.users import make_user
from triggers.tests.factories import ImageSubscriptionFactory, TriggerFactory

pytestmark = pytest.mark.django_db

SHOP, READ_ONLY = "docker.io/library/shop", "docker.io/library/readonly"
REASON = "The account may pull, not push."


@pytest.fixture
def asked(monkeypatch):
    """The repositories about which registries were asked."""
    asked = []

    def find(repository):
        asked.append(repository)
        return PushPermission(repository != READ_ONLY, REASON if repository == READ_ONLY else "")

    monkeypatch.setattr("triggers.pushes.subscriptions.find_push_permission", find)
    return asked


@pytest.fixture
def trigger():
    service = ServiceFactory(image="shop:1")
    ServiceFactory(application=service.application, image="readonly:1")
    ServiceFactory(application=service.application, image="pinned@sha256:" + "1" * 64)
    return TriggerFactory(application=service.application)


@pytest.fixture
def deployer(client):
    client.force_login(make_user("dora", Role.DEPLOYER, is_staff=True))
    return client


def save(client, trigger, *rows, initial=()):
    """Submit the page of the trigger with its present subscriptions and these further rows. Return the response."""
    body = {"name": "n", "cooldown_seconds": "0", "enabled": "on", "on_failure": "rollback", "alert_state": "firing"}
    body |= {"subscriptions-TOTAL_FORMS": len(initial) + len(rows), "subscriptions-INITIAL_FORMS": len(initial)}
    for number, row in enumerate([*initial, *rows]):
        fields = {"condition": "service_tag", "pattern": "", "tags": "[]", "poll_seconds": "0", "trigger": trigger.pk} | row
        body |= {f"subscriptions-{number}-{name}": value for name, value in fields.items()}
    return client.post(reverse("admin:triggers_trigger_change", args=[trigger.pk]), body)


def stored(trigger):
    return sorted(trigger.subscriptions.values_list("repository", flat=True))


@pytest.mark.parametrize(
    ("repository", "why"),
    [
        ("readonly", REASON),
        ("docker.io/library/readonly", REASON),
        ("quay.io/other", "No service that this trigger redeploys runs an image of this repository."),
        ("pinned", "names the image by digest, which a push never changes."),
        ("shop:1", "Give the repository alone, without a tag or a digest."),
        ("a b", ""),
    ],
)
def test_what_the_api_refuses_the_admin_refuses_with_the_same_sentence(deployer, asked, trigger, repository, why):
    response = save(deployer, trigger, {"repository": repository})
    assert response.status_code == 200
    assert why in response.content.decode()
    assert stored(trigger) == []
    assert trigger.__class__.objects.get().name != "n"


def test_what_the_registry_confirms_is_added_and_named_in_the_audit_log(deployer, asked, trigger):
    assert save(deployer, trigger, {"repository": "shop", "poll_seconds": "300", "pattern": "v.*"}).status_code == 302
    assert asked == [SHOP]
    subscription = trigger.subscriptions.get()
    assert (subscription.repository, subscription.poll_seconds, subscription.pattern) == (SHOP, 300, "")
    assert subscription.poll_due_at
    entry = AuditEntry.objects.get(action="trigger.change", details__has_key="images_added")
    assert entry.details["images_added"] == [f"{SHOP}: the tag that runs; polled every 300 s"]


def test_one_refused_row_keeps_the_others_out_too(deployer, asked, trigger):
    response = save(deployer, trigger, {"repository": "shop"}, {"repository": "readonly"})
    assert (response.status_code, stored(trigger)) == (200, [])


def test_a_present_one_is_changed_and_removed_whatever_the_registry_answers(deployer, asked, trigger):
    present = ImageSubscriptionFactory(trigger=trigger, repository=READ_ONLY, polled={"1": {"digest": "x"}})
    row = {"id": present.pk, "repository": READ_ONLY, "condition": "tags", "tags": '["2"]'}
    assert save(deployer, trigger, initial=[row]).status_code == 302
    present.refresh_from_db()
    assert (present.condition, present.tags) == ("tags", ["2"])
    assert save(deployer, trigger, initial=[{**row, "repository": SHOP}]).status_code == 302
    assert stored(trigger) == [READ_ONLY]  # another repository is another subscription
    assert save(deployer, trigger, initial=[{**row, "DELETE": "on"}]).status_code == 302
    assert stored(trigger) == []
    assert asked == [SHOP]
    assert AuditEntry.objects.latest("pk").details["images_removed"][0].startswith(READ_ONLY)


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("shop", SHOP), "List each repository only once."),
        (("shop", "shop"), "Please correct the duplicate data for repository"),
    ],
)
def test_a_repository_is_listed_once(deployer, asked, trigger, names, why):
    response = save(deployer, trigger, *({"repository": name} for name in names))
    assert response.status_code == 200
    assert why in response.content.decode()
    ImageSubscriptionFactory(trigger=trigger, repository=SHOP)
    row = {"id": trigger.subscriptions.get().pk, "repository": SHOP}
    for more in ({}, {"DELETE": "on"}):
        assert save(deployer, trigger, {"repository": "shop"}, initial=[row | more]).status_code == 200
    assert stored(trigger) == [SHOP]


@pytest.mark.parametrize("tags", ["null", "{}", '"1"'])
def test_tags_that_are_no_list_are_not_stored(deployer, asked, trigger, tags):
    save(deployer, trigger, {"repository": "shop", "tags": tags})
    assert all(subscription.tags == [] for subscription in trigger.subscriptions.all())


def test_nobody_without_the_rights_makes_the_console_ask_a_registry(client, asked, trigger):
    user = User.objects.create_user("half", is_staff=True)
    for codename in ("view_trigger", "change_trigger", "view_imagesubscription", "add_imagesubscription"):
        user.user_permissions.add(Permission.objects.get(codename=codename))
    client.force_login(user)
    save(client, trigger, {"repository": "shop"})
    assert (asked, stored(trigger)) == ([], [])
    user.user_permissions.clear()
    assert save(client, trigger, {"repository": "shop"}).status_code == 403
    assert asked == []


@pytest.mark.django_db(transaction=True)
def test_registries_are_asked_outside_of_the_transaction(client, trigger, monkeypatch):
    inside = []

    def explain(trigger, names):
        inside.append(connection.in_atomic_block)
        return {}

    monkeypatch.setattr("triggers.admin.explain_refusals", explain)
    client.force_login(User.objects.create_superuser("boss"))
    assert save(client, trigger, {"repository": "shop"}).status_code == 302
    assert (inside, stored(trigger)) == ([False], [SHOP])
