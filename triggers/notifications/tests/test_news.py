import pytest

from triggers.models import CallState
from triggers.notifications.news import describe_call, name_images
from triggers.tests.factories import ScalingTriggerFactory, TriggerCallFactory

pytestmark = pytest.mark.django_db

AFTER = {"services": {"web": {"image": "shop:3"}, "worker": {"image": "shop:3"}, "db": {"image": "postgres:15"}, "odd": 1}}
FAILURE = {"container": "web-1", "image": "shop:2", "imageId": "", "firstErrorLine": "no such table", "failed": 1}


@pytest.mark.parametrize(
    ("state", "image"), [("failed", "shop:2"), ("rolled_back", "shop:2"), ("succeeded", "shop:3, postgres:15")]
)
def test_the_image_is_the_one_that_was_tried_or_that_runs(state, image):
    """A container can fail in a call that succeeds in the end."""
    call = TriggerCallFactory(state=CallState(state), after=AFTER, failure=FAILURE)
    assert describe_call(call)["image_after"] == image


def test_images_are_named_once():
    assert name_images(AFTER) == "shop:3, postgres:15"
    assert [name_images(stored) for stored in (None, {}, {"services": []}, "odd")] == [None] * 4


def test_a_call_of_a_service_names_it():
    call = TriggerCallFactory(trigger=ScalingTriggerFactory(service__name="web"), state=CallState.FAILED)
    described = describe_call(call)
    assert (described["call"]["action"], described["call"]["service"]) == ("scaling", "web")
    assert (described["image_before"], described["image_after"], described["call"]["first_error"]) == (None, None, None)
