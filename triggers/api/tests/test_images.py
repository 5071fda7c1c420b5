"""Subscriptions and deliveries in the API."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.utils import timezone

from clusters.models import AuditEntry
from clusters.registries import PushPermission
from clusters.roles import Role
from clusters.tests.factories import ClusterFactory, RegistryFactory, ServiceFactory
from clusters.tests.users import make_user, sign_in_to_api
from triggers.models import Decision, Delivery, Trigger
from triggers.tests.factories import (
    DeliveryFactory,
    DeliveryLineFactory,
    ImageSubscriptionFactory,
    ScalingTriggerFactory,
    TriggerFactory,
)

pytestmark = pytest.mark.django_db

SHOP = "docker.io/library/shop"
READ_ONLY = "docker.io/library/readonly"
REASON = "The account may pull, not push."
PLAIN = {"repository": SHOP, "condition": "service_tag", "pattern": "", "tags": [], "poll_seconds": 0, "least_age_hours": 0}


@pytest.fixture
def admin():
    return sign_in_to_api(User.objects.create_superuser("admin"))


@pytest.fixture(autouse=True)
def permissions(monkeypatch):
    def find(repository):
        return PushPermission(repository != READ_ONLY, REASON if repository == READ_ONLY else "")

    monkeypatch.setattr("triggers.pushes.subscriptions.find_push_permission", find)


@pytest.fixture
def application():
    service = ServiceFactory(image="shop:1")
    ServiceFactory(application=service.application, image="readonly:1")
    return service.application


def create(client, application, *subscriptions, **more):
    body = {"application": application.pk, "action": "redeploy", "subscriptions": list(subscriptions)} | more
    return client.post("/api/v1/triggers/", body, format="json")


def change(client, trigger, *subscriptions):
    return client.patch(f"/api/v1/triggers/{trigger.pk}/", {"subscriptions": list(subscriptions)}, format="json")


class TestSubscriptions:
    def test_a_trigger_is_created_with_subscriptions(self, admin, application):
        answer = create(
            admin, application, {"repository": "Shop", "condition": "tags", "tags": ["1", "2"], "poll_seconds": 300}
        )
        assert answer.status_code == 201
        assert answer.json()["subscriptions"] == [PLAIN | {"condition": "tags", "tags": ["1", "2"], "poll_seconds": 300}]
        assert Trigger.objects.get().subscriptions.get().poll_due_at is not None
        assert AuditEntry.objects.get().details["images_added"] == [f"{SHOP}: tags 1, 2; polled every 300 s"]
        row = admin.get(f"/api/v1/triggers/{answer.json()['id']}/").json()
        assert row["subscriptions"] == answer.json()["subscriptions"]

    def test_a_list_replaces_the_present_one_and_no_list_changes_nothing(self, admin, application):
        trigger = TriggerFactory(application=application)
        ImageSubscriptionFactory(trigger=trigger, repository=SHOP)
        ImageSubscriptionFactory(trigger=trigger, repository=READ_ONLY)
        assert admin.patch(f"/api/v1/triggers/{trigger.pk}/", {"name": "n"}).json()["subscriptions"][1]["repository"] == SHOP
        answer = change(admin, trigger, {"repository": READ_ONLY, "condition": "pattern", "pattern": "v.*"})
        expected = PLAIN | {"repository": READ_ONLY, "condition": "pattern", "pattern": "v.*"}
        assert answer.json()["subscriptions"] == [expected]
        assert change(admin, trigger).json()["subscriptions"] == []

    def test_a_new_subscription_needs_the_permission_of_the_registry(self, admin, application):
        answer = create(admin, application, {"repository": SHOP}, {"repository": READ_ONLY})
        assert (answer.status_code, answer.json()) == (400, {"subscriptions": [f"{READ_ONLY}: {REASON}"]})
        assert not Trigger.objects.exists()

    @pytest.mark.parametrize(
        ("subscriptions", "words"),
        [
            ([{"repository": "docker.io/library/other"}], "No service that this trigger redeploys"),
            ([{"repository": SHOP}, {"repository": "shop"}], "only once"),
            ([{"repository": "shop:1"}], "without a tag"),
            ([{"repository": "no image!"}], "not the name of an image"),
            ([{"repository": 7, "condition": "nonsense"}], "valid choice"),
            ([{"repository": SHOP, "condition": "pattern", "pattern": "(a"}], "cannot be used"),
            ([{"repository": SHOP, "condition": "tags", "tags": [str(n) for n in range(11)]}], "At most 10"),
            ([{"repository": SHOP, "condition": "tags", "tags": [["1"]]}], "valid string"),
            ([{"repository": SHOP, "poll_seconds": 5}], "from 60"),
            ([{"repository": SHOP, "poll_seconds": 10**12}], "from 60"),
            ([{"repository": SHOP, "least_age_hours": 10**12}], "From 0 to 2160 hours"),
            ([{"repository": SHOP, "least_age_hours": -1}], "From 0 to 2160 hours"),
            ([{"condition": "every"}], "required"),
            (["shop"], "Invalid data"),
            ({"repository": SHOP}, "a list"),
        ],
    )
    def test_wrong_subscriptions_are_refused(self, admin, application, subscriptions, words):
        body = {"application": application.pk, "action": "redeploy", "subscriptions": subscriptions}
        answer = admin.post("/api/v1/triggers/", body, format="json")
        assert answer.status_code == 400
        assert words in answer.content.decode()
        assert not Trigger.objects.exists()

    def test_a_scaling_trigger_has_no_subscriptions(self, admin):
        trigger = ScalingTriggerFactory(service__image="shop:1")
        assert "Only a redeploy trigger" in change(admin, trigger, {"repository": SHOP}).content.decode()

    def test_subscriptions_have_permissions_of_their_own(self, application):
        user = make_user("changer", Role.VIEWER)
        user.user_permissions.add(Permission.objects.get(codename="change_trigger"))
        trigger = TriggerFactory(application=application)
        assert change(sign_in_to_api(user), trigger, {"repository": SHOP}).status_code == 403
        assert not trigger.subscriptions.exists()
        viewer = sign_in_to_api(make_user("viewer", Role.VIEWER))
        assert change(viewer, trigger, {"repository": SHOP}).status_code == 403
        assert change(sign_in_to_api(make_user("no role")), trigger).status_code == 404


class TestDeliveries:
    PATH = "/api/v1/deliveries/"

    def list(self, client, **query):
        answer = client.get(self.PATH, query)
        assert answer.status_code == 200, answer.content
        return [row["id"] for row in answer.json()["results"]]

    def test_deliveries_are_listed_newest_first_with_each_images_decision(self, admin):
        old = DeliveryFactory(received_at=timezone.now() - timedelta(hours=1))
        new = DeliveryFactory(body='{"a": 1}')
        line = DeliveryLineFactory(delivery=new, trigger=TriggerFactory(), decision=Decision.TAG, message="Not that tag.")
        rows = admin.get(self.PATH).json()["results"]
        assert [row["id"] for row in rows] == [str(new.pk), str(old.pk)]
        assert "body" not in rows[0]
        one = admin.get(f"{self.PATH}{new.pk}/").json()
        assert one["body"] == '{"a": 1}'
        assert one["lines"] == [
            {
                "image": line.image,
                "tag": "1.2",
                "digest": line.digest,
                "decision": "tag",
                "message": "Not that tag.",
                "trigger": line.trigger_id,
                "call": None,
            }
        ]

    def test_filters(self, admin):
        registry, trigger = RegistryFactory(), TriggerFactory()
        DeliveryFactory(source=Delivery.Source.POLL, decision=Decision.UNCHANGED)
        wanted = DeliveryFactory(registry=registry, decision=Decision.TAG)
        for _ in range(2):
            DeliveryLineFactory(delivery=wanted, trigger=trigger)
        for query in ({"registry": registry.pk}, {"trigger": trigger.pk}, {"decision": "tag"}, {"source": "registry"}):
            assert self.list(admin, **query) == [str(wanted.pk)], query
        assert self.list(admin, trigger=trigger.pk, decision="unchanged") == []

    @pytest.mark.parametrize("query", [{"registry": "x"}, {"trigger": "-1"}, {"decision": "maybe"}, {"source": "\0"}])
    def test_a_wrong_filter_is_refused_under_its_name(self, admin, query):
        answer = admin.get(self.PATH, query)
        assert answer.status_code == 400
        assert answer.json().keys() == query.keys()

    def test_a_role_on_one_cluster_shows_no_deliveries(self):
        shown = DeliveryFactory()
        here = sign_in_to_api(make_user("here", Role.ADMINISTRATOR, ClusterFactory()))
        assert self.list(here) == []
        assert here.get(f"{self.PATH}{shown.pk}/").status_code == 404
        viewer = sign_in_to_api(make_user("viewer", Role.VIEWER))
        assert self.list(viewer) == [str(shown.pk)]
        for method in ("post", "patch", "put", "delete"):
            assert getattr(viewer, method)(f"{self.PATH}{shown.pk}/").status_code == 405

    def test_a_list_takes_a_fixed_number_of_queries(self, admin, django_assert_num_queries):
        for _ in range(5):
            DeliveryLineFactory(trigger=TriggerFactory())
        with django_assert_num_queries(2):
            self.list(admin)
