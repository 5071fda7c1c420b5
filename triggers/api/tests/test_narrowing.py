"""The options that narrow a trigger's link, and rotations with an overlap, through the API."""

import pytest
from django.contrib.auth.models import User

from clusters.models import AuditEntry
from clusters.tests.factories import ApplicationFactory
from clusters.tests.users import sign_in_to_api
from triggers.models import NARROWING
from triggers.tests.factories import TriggerFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin():
    return sign_in_to_api(User.objects.create_superuser("admin"))


def test_the_options_are_created_changed_and_shown_normalised(admin):
    application = ApplicationFactory()
    body = {"application": application.pk, "action": "redeploy", "allowed_addresses": ["::ffff:192.0.2.7", "192.0.2.9/24"]}
    body |= {"calls_left": 1, "calls_a_minute": 5, "header_only": True}
    made = admin.post("/api/v1/triggers/", body, format="json")
    assert made.status_code == 201, made.json()
    assert {name: made.json()[name] for name in NARROWING} == {
        "allowed_addresses": ["192.0.2.7", "192.0.2.0/24"],
        "calls_left": 1,
        "calls_a_minute": 5,
        "header_only": True,
        "expires_at": None,
    }
    path = f"/api/v1/triggers/{made.json()['id']}/"
    changed = admin.patch(path, {"allowed_addresses": [], "calls_left": None}, format="json")
    assert (changed.json()["allowed_addresses"], changed.json()["calls_left"]) == ([], None)
    entry = AuditEntry.objects.get(action="trigger.change")
    assert entry.details["changes"]["calls_left"] == [1, None]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"allowed_addresses": ["nowhere"]}, "neither an address nor a network"),
        ({"allowed_addresses": "192.0.2.7"}, "Expected a list"),
        ({"allowed_addresses": [f"192.0.2.{number}" for number in range(51)]}, "these are 51"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "lies in the past"),
        ({"expires_at": "soon"}, "wrong format"),
        ({"calls_left": -1}, "greater than or equal to 0"),
        ({"calls_left": 1_000_001}, "At most 1000000"),
        ({"calls_a_minute": 0}, "From 1 to 1000"),
        ({"calls_a_minute": 1001}, "From 1 to 1000"),
        ({"header_only": "perhaps"}, "valid boolean"),
    ],
)
def test_a_wrong_value_is_explained_at_its_field(admin, wrong, said):
    answer = admin.patch(f"/api/v1/triggers/{TriggerFactory().pk}/", wrong, format="json")
    assert answer.status_code == 400
    assert said in str(answer.json()[next(iter(wrong))])


def test_a_rotation_can_leave_the_old_secret_for_a_while_and_end_it(admin):
    trigger = TriggerFactory()
    path, former = f"/api/v1/triggers/{trigger.pk}", trigger.secret
    answer = admin.post(f"{path}/rotate/", {"overlap_hours": 24}, format="json")
    assert answer.json()["old_secret_ends_at"]
    assert former not in answer.content.decode()
    refused = admin.post(f"{path}/rotate/", {"overlap_hours": 24}, format="json")
    assert refused.status_code == 409
    assert admin.post(f"{path}/rotate/", {"overlap_hours": 12, "drop_old_secret": True}, format="json").status_code == 400
    assert admin.post(f"{path}/rotate/", {"overlap_hours": 1, "drop_old_secret": True}, format="json").status_code == 200
    assert admin.post(f"{path}/end-old-secret/").json()["old_secret_ends_at"] is None
    assert admin.post(f"{path}/rotate/").json()["old_secret_ends_at"] is None
