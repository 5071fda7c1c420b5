import pytest

from clusters.tests.factories import ApplicationFactory, ServiceFactory
from triggers.images.previous import describe_returns, find_returns, find_returns_of_call
from triggers.images.tests.test_history import ended, id_of, seen
from triggers.tests.factories import TriggerCallFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def application():
    application = ApplicationFactory(name="shop")
    for name, number in {"db": 1, "web": 12, "worker": 22}.items():
        ServiceFactory(application=application, name=name, image_id=id_of(number), image_digests=[])
    return application


def targets(found):
    return {item.service: int(item.then.image.image_id.removeprefix("sha256:"), 16) for item in found.services}


def test_an_application_returns_to_before_its_newest_change_alone(application):
    old = ended(application, 1, seen(db=1, web=10, worker=20), seen(db=1, web=11, worker=22))
    new = ended(application, 2, seen(db=1, web=11, worker=22), seen(db=1, web=12, worker=22))
    found = find_returns(application)
    assert targets(found) == {"web": 11}
    assert found.services[0].then.replaced_by == new
    assert targets(find_returns(application, application.services.get(name="worker"))) == {"worker": 20}
    assert find_returns(application, application.services.get(name="worker")).services[0].then.replaced_by == old
    assert "db ran before" in find_returns(application, application.services.get(name="db")).refusal


def test_everything_that_one_call_has_changed_returns_together(application):
    ended(application, 1, seen(db=1, web=11, worker=21), seen(db=1, web=12, worker=22))
    found = find_returns(application)
    assert targets(found) == {"web": 11, "worker": 21}
    assert found.returns_to["web"] == {"reference": "app:1", "image_id": id_of(11), "digests": [f"app@{id_of(1011)}"]}


def test_an_image_that_was_left_is_passed_over(application):
    ended(application, 1, seen(web=10), seen(web=11))
    ended(application, 2, seen(web=11), seen(web=12))
    application.left_images = {"web": [id_of(1011)]}
    assert targets(find_returns(application)) == {"web": 10}


def test_the_fingerprint_tells_what_would_be_done(application):
    ended(application, 1, seen(web=11), seen(web=12))
    first = find_returns(application).fingerprint
    assert find_returns(application).fingerprint == first
    ended(application, 2, seen(web=13), seen(web=12))
    assert find_returns(application).fingerprint != first


def test_nothing_is_known_without_a_call_that_replaced_an_image(application):
    assert find_returns(application).refusal.startswith("No image is known that shop ran before")
    assert find_returns(application).returns_to == {}


def test_a_call_of_services_that_no_longer_exist_and_one_that_replaced_nothing_are_refused(application):
    lost = ended(application, 1, seen(other=1), seen(other=2))
    assert "no longer exist" in find_returns_of_call(lost).refusal
    assert find_returns_of_call(TriggerCallFactory()).refusal == "This call has replaced no image."


def test_the_images_in_words():
    images = {"web": {"reference": "app:1", "image_id": id_of(10)}, "odd": 3}
    assert describe_returns(images) == ["web: app:1 (sha256:000000000000)"]
    assert describe_returns(None) == []
