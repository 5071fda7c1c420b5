import pytest

from clusters.models import AuditEntry
from clusters.roles import Role
from clusters.tests.factories import ClusterFactory
from clusters.tests.users import make_user, sign_in_to_api
from triggers.calls.tests.test_frozen import freeze
from triggers.models import Behaviour, CallState, FreezeWindow, TriggerCall
from triggers.tests.factories import FreezeWindowFactory, ScalingTriggerFactory, TriggerFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/freeze-windows/"
WEEKEND = {"name": "weekend", "days": ["fri"], "start_time": "18:00", "end_day": "mon", "end_time": "06:00", "zone": "UTC"}
ONCE = {"name": "holidays", "starts_at": "2026-12-24T12:00Z", "ends_at": "2027-01-02T08:00Z", "behaviour": "refuse"}


@pytest.fixture
def application(published):
    return TriggerFactory().application


def client_of(role, cluster=None):
    return sign_in_to_api(make_user(f"{role}", role, cluster))


def test_windows_are_made_read_changed_and_deleted(application):
    client = client_of(Role.DEPLOYER)
    made = client.post(URL, WEEKEND | {"application": application.pk}, format="json")
    assert made.status_code == 201, made.json()
    body = made.json()
    assert (body["days"], body["end_day"], body["start_time"]) == (["fri"], "mon", "18:00:00")
    assert (body["application"], body["cluster"], body["behaviour"]) == (application.pk, application.cluster_id, "wait")
    assert client.get(URL, {"application": application.pk}).json()["count"] == 1
    own = f"{URL}{body['id']}/"
    assert client.patch(own, {"includes_scaling": True, "days": ["sun", "sat"]}, format="json").json()["days"] == ["sat", "sun"]
    nulls = dict.fromkeys(("start_time", "end_day", "end_time"))
    assert client.patch(own, ONCE | nulls | {"days": []}, format="json").status_code == 200
    assert client.delete(own).status_code == 204
    assert not FreezeWindow.objects.exists()
    assert AuditEntry.objects.filter(action__startswith="freeze.").count() == 4


def test_windows_of_a_cluster_are_for_its_administrators(application):
    body = ONCE | {"cluster": application.cluster_id}
    assert client_of(Role.DEPLOYER).post(URL, body, format="json").status_code == 403
    administrator = client_of(Role.ADMINISTRATOR, application.cluster)
    made = administrator.post(URL, body, format="json")
    assert (made.status_code, made.json()["application"]) == (201, None)
    own = f"{URL}{made.json()['id']}/"
    deployer = sign_in_to_api(make_user("other", Role.DEPLOYER))
    assert deployer.get(own).status_code == 200
    assert deployer.patch(own, {"name": "x"}, format="json").status_code == 403
    assert deployer.delete(own).status_code == 403
    assert administrator.post(URL, ONCE | {"cluster": ClusterFactory().pk}, format="json").status_code == 400  # unseen


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"cluster": 1}, "application"),
        ({"application": None}, "application"),
        ({"application": 10**30}, "application"),
        ({"days": ["someday"]}, "days"),
        ({"days": "fri"}, "days"),
        ({"end_time": None}, "end_time"),
        ({"zone": "Europe/Atlantis"}, "zone"),
        ({"starts_at": "2026-12-24T12:00Z"}, "starts_at"),
        ({"name": ""}, "name"),
        ({"behaviour": "ignore"}, "behaviour"),
        ({"end_day": 1}, "end_day"),
        (ONCE | dict.fromkeys(("start_time", "end_day", "end_time")) | {"days": [], "ends_at": "9999-12-31T23:59Z"}, "ends_at"),
    ],
    ids=["two places", "no place", "unknown", "day", "text", "no end", "zone", "date", "name", "calls", "end day", "year"],
)
def test_what_is_wrong_is_said_by_field(application, wrong, field):
    if "cluster" in wrong:
        wrong = {"cluster": application.cluster_id}
    response = client_of(Role.ADMINISTRATOR).post(URL, WEEKEND | {"application": application.pk} | wrong, format="json")
    assert (response.status_code, list(response.json())) == (400, [field]), response.json()
    assert not FreezeWindow.objects.exists()


def test_the_place_of_a_window_stays(application):
    window = FreezeWindowFactory(application=application)
    response = client_of(Role.ADMINISTRATOR).patch(f"{URL}{window.pk}/", {"cluster": application.cluster_id}, format="json")
    assert (response.status_code, list(response.json())) == (400, ["cluster"])


def test_a_redeploy_waits_is_refused_or_made_for_a_reason(application):
    client, url = client_of(Role.OPERATOR), f"/api/v1/applications/{application.pk}/redeploy/"
    window = freeze(application)
    waiting = client.post(url).json()
    assert (waiting["state"], waiting["held_until"] is not None) == ("queued", True)
    FreezeWindow.objects.update(behaviour=Behaviour.REFUSE)
    refused = client.post(url)
    assert (refused.status_code, refused.json()["reason"]) == (409, "frozen")
    assert int(refused["Retry-After"]) > 0
    made = client.post(url, {"override_reason": "A hole."}).json()
    assert (made["state"], made["held_until"], made["override_reason"]) == ("queued", None, "A hole.")
    assert AuditEntry.objects.filter(action="call").latest("pk").details["override_reason"] == "A hole."
    assert window.name


def test_a_scaling_for_a_reason(published):
    trigger = ScalingTriggerFactory(application__cluster__api_version="1.43")
    freeze(trigger.application, Behaviour.REFUSE, includes_scaling=True)
    client, url = client_of(Role.OPERATOR), f"/api/v1/services/{trigger.service_id}/scale/"
    assert client.post(url, {"type": "scale_out", "step": 1}).json()["reason"] == "frozen"
    made = client.post(url, {"replicas": 3, "override_reason": "Too busy."}).json()
    assert (made["state"], made["override_reason"], made["replicas"]) == ("queued", "Too busy.", 3)


def test_a_call_that_waits_is_let_run(application):
    client = client_of(Role.OPERATOR)
    freeze(application)
    call = client.post(f"/api/v1/applications/{application.pk}/redeploy/").json()
    url = f"/api/v1/calls/{call['id']}/release/"
    assert client.post(url, {}).status_code == 400
    assert client.post(url, {"reason": "  "}).status_code == 400
    released = client.post(url, {"reason": "A hole."})
    assert (released.status_code, released.json()["held_until"]) == (202, None)
    TriggerCall.objects.update(state=CallState.SUCCEEDED)
    assert client.post(url, {"reason": "A hole."}).status_code == 409


def test_the_triggers_option_is_recorded(application):
    trigger = application.triggers.get()
    client = client_of(Role.DEPLOYER)
    assert client.patch(f"/api/v1/triggers/{trigger.pk}/", {"during_freezes": True}).json()["during_freezes"] is True
    assert AuditEntry.objects.get(action="trigger.change").details["changes"] == {"during_freezes": [False, True]}
