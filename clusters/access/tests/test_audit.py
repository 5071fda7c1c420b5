from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone

from clusters.access.audit import prune_entries, record, record_act
from clusters.models import AuditEntry
from clusters.tests.factories import ApplicationFactory

pytestmark = pytest.mark.django_db


def test_an_act_is_recorded_with_user_action_target_and_address(rf):
    user, application = User.objects.create_user("eve"), ApplicationFactory(name="shop")
    request = rf.post("/", REMOTE_ADDR="203.0.113.9")
    request.user = user
    record_act(request, "application.stop", application, containers=3)
    entry = AuditEntry.objects.get()
    assert (entry.user, entry.actor, entry.address, entry.action) == (user, "eve", "203.0.113.9", "application.stop")
    assert (entry.target_type, entry.target_id, entry.target) == ("application", str(application.pk), "shop")
    assert (entry.cluster, entry.details) == (application.cluster, {"containers": 3})


def test_what_is_deleted_keeps_its_name_in_the_log():
    user, application = User.objects.create_user("eve"), ApplicationFactory(name="shop")
    record(user, "cluster.delete", application.cluster)
    cluster_name = application.cluster.name
    application.cluster.delete()
    user.delete()
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.target, entry.user, entry.cluster) == ("eve", cluster_name, None, None)


def test_a_failed_sign_in_has_the_name_that_was_tried():
    record(AnonymousUser(), "sign_in.fail", actor="x" * 500, address="203.0.113.9")
    assert AuditEntry.objects.get().actor == "x" * 150


def test_old_entries_are_deleted_and_new_ones_stay(settings):
    settings.AUDIT_RETENTION_DAYS = 30
    old, new = record(None, "sign_in", actor="old"), record(None, "sign_in", actor="new")
    AuditEntry.objects.filter(pk=old.pk).update(time=timezone.now() - timedelta(days=31))
    assert prune_entries() == 1
    assert list(AuditEntry.objects.all()) == [new]
