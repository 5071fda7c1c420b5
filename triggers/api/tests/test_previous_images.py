"""The history of images, and the redeploy of previous ones, in the API."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from clusters.models import AuditEntry
from clusters.roles import Role
from clusters.tests.factories import ApplicationFactory, ServiceFactory
from clusters.tests.users import make_user, sign_in_to_api
from triggers.images.tests.test_history import ended, id_of, seen
from triggers.models import TriggerCall
from triggers.tests.factories import FreezeWindowFactory, TriggerCallFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("published")]


@pytest.fixture
def admin():
    return sign_in_to_api(User.objects.create_superuser("admin"))


@pytest.fixture
def shop():
    application = ApplicationFactory(name="shop")
    for name, number in {"web": 12, "worker": 22}.items():
        ServiceFactory(application=application, name=name, image_id=id_of(number), image_digests=[])
    return application


def previous(client, shop, body=None):
    return client.post(f"/api/v1/applications/{shop.pk}/redeploy-previous/", body or {}, format="json")


def test_the_history_names_images_and_the_calls_that_changed_them(admin, shop):
    call = ended(shop, 1, seen(web=11), seen(web=12))
    shop.services.filter(name="web").update(
        image_facts={"version": "1.4", "revision": "4f1c", "created": "2026-11-30T09:00:00+00:00"}
    )
    [now, before, *others] = admin.get(f"/api/v1/applications/{shop.pk}/images/").json()
    assert (now["service"], now["image_id"], now["version"], now["revision"]) == ("web", id_of(12), "1.4", "4f1c")
    assert (now["built_at"], now["call"], now["is_current"]) == ("2026-11-30T09:00:00+00:00", str(call.pk), True)
    assert (before["digest"], before["replaced_by"], before["version"]) == (id_of(1011), str(call.pk), "")
    assert [(other["service"], other["is_current"]) for other in others] == [("worker", True)]


def test_the_previous_images_are_requested_as_a_call_that_names_them(admin, shop):
    ended(shop, 1, seen(web=11, worker=21), seen(web=12, worker=22))
    answer = previous(admin, shop)
    assert answer.status_code == 202
    call = TriggerCall.objects.get(source="api")
    assert answer.json()["returns_to"] == call.returns_to
    assert {name: image["image_id"] for name, image in call.returns_to.items()} == {"web": id_of(11), "worker": id_of(21)}
    entry = AuditEntry.objects.get(action="call")
    assert entry.details["previous"] == f"web: app:1 ({id_of(11)[:19]}); worker: app:1 ({id_of(21)[:19]})"


def test_one_service_or_what_ran_before_a_call_is_requested(admin, shop):
    first = ended(shop, 1, seen(web=10), seen(web=11))
    ended(shop, 2, seen(web=11, worker=21), seen(web=12, worker=22))
    web = shop.services.get(name="web")
    assert previous(admin, shop, {"service": web.pk}).json()["service"] == web.pk
    found = previous(admin, shop, {"call": str(first.pk)}).json()["returns_to"]
    assert {name: image["image_id"] for name, image in found.items()} == {"web": id_of(10)}


def test_a_reason_starts_it_in_a_freeze(admin, shop):
    ended(shop, 1, seen(web=11), seen(web=12))
    now, hour = timezone.now(), timedelta(hours=1)
    FreezeWindowFactory(application=shop, starts_at=now - hour, ends_at=now + hour)
    assert previous(admin, shop).json()["held_until"]
    started = previous(admin, shop, {"override_reason": "it is down"}).json()
    assert (started["held_until"], started["override_reason"]) == (None, "it is down")


def test_what_cannot_be_is_refused_with_the_reason(admin, shop):
    answer = previous(admin, shop)
    assert answer.status_code == 409
    assert answer.json()["detail"].startswith("No image is known that shop ran before")
    foreign = TriggerCallFactory()
    for body in ({"service": 10**9}, {"call": str(foreign.pk)}, {"call": "x"}, {"service": 1, "call": str(foreign.pk)}):
        assert previous(admin, shop, body).status_code == 400, body
    assert not TriggerCall.objects.filter(source="api").exists()


def test_viewers_read_the_history_and_cannot_redeploy(shop):
    viewer = sign_in_to_api(make_user("viewer", Role.VIEWER))
    ended(shop, 1, seen(web=11), seen(web=12))
    assert viewer.get(f"/api/v1/applications/{shop.pk}/images/").status_code == 200
    assert previous(viewer, shop).status_code == 403
