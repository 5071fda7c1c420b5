import pytest
from django.contrib.auth.models import User
from django.test import RequestFactory

from clusters.models import AuditEntry
from triggers.calls.accept import accept_call
from triggers.calls.tests.test_frozen import freeze
from triggers.freeze_changes import NotWaiting, add_window, change_window, delete_window, permission_to_change, release_call
from triggers.models import CallState, FreezeWindow
from triggers.tests.calling import request_of
from triggers.tests.factories import FreezeWindowFactory, TriggerFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def request_by_ann(published):
    request = RequestFactory().post("/")
    request.user = User.objects.create_user("ann")
    return request


@pytest.fixture
def trigger():
    return TriggerFactory()


def test_each_change_is_recorded(request_by_ann, trigger):
    window = FreezeWindowFactory.build(application=trigger.application, cluster=trigger.application.cluster)
    add_window(request_by_ann, window)
    window.reason = "Nobody is here."
    change_window(request_by_ann, window)
    change_window(request_by_ann, window)
    delete_window(request_by_ann, window)
    entries = AuditEntry.objects.order_by("pk")
    assert [entry.action for entry in entries] == ["freeze.add", "freeze.change", "freeze.delete"]
    assert entries[1].details["changes"] == {"reason": ["", "Nobody is here."]}
    assert {entry.cluster_id for entry in entries} == {trigger.application.cluster_id}
    assert not FreezeWindow.objects.exists()


def test_what_waited_for_a_deleted_window_is_let_go_at_once(request_by_ann, trigger, django_capture_on_commit_callbacks):
    window = freeze(trigger.application)
    call = accept_call(request_of(trigger))
    with django_capture_on_commit_callbacks(execute=True):
        delete_window(request_by_ann, window)
    call.refresh_from_db()
    assert (call.held_until, call.message) == (None, "")


def test_a_call_is_let_run_for_a_reason(request_by_ann, trigger, published, django_capture_on_commit_callbacks):
    freeze(trigger.application)
    call = accept_call(request_of(trigger))
    with django_capture_on_commit_callbacks(execute=True):
        released = release_call(request_by_ann, call, "A hole.")
    assert (released.held_until, released.during_freezes, released.override_reason) == (None, True, "A hole.")
    assert call.events.get().text == "ann lets it run in spite of freeze windows: A hole."
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.details["reason"]) == ("call.override", "A hole.")
    assert published == [trigger.application_id]
    released.state = CallState.RUNNING
    released.save()
    with pytest.raises(NotWaiting):
        release_call(request_by_ann, call, "A hole.")
    assert AuditEntry.objects.count() == 1


def test_who_may_change_a_window(trigger):
    assert permission_to_change(trigger.application) == "triggers.change_trigger"
    assert permission_to_change(trigger.application.cluster) == "clusters.change_cluster"
