"""Names of triggers that nobody named."""

import pytest

from clusters.tests.factories import ServiceFactory
from triggers.models import Action, Trigger
from triggers.names import propose_name

pytestmark = pytest.mark.django_db


def make(service, action=Action.REDEPLOY, whole=True):
    return Trigger(application=service.application, service=None if whole else service, action=action)


def test_a_name_says_what_the_trigger_does():
    service = ServiceFactory(name="web")
    assert propose_name(make(service)) == "Redeploy"
    assert propose_name(make(service, whole=False)) == "Redeploy web"
    assert propose_name(make(service, Action.SCALING, whole=False)) == "Scale web"


def test_no_two_triggers_of_an_application_get_one_name():
    service = ServiceFactory(name="web")
    for expected in ("Redeploy", "Redeploy 2", "Redeploy 3"):
        trigger = make(service)
        trigger.name = propose_name(trigger)
        trigger.save()
        assert trigger.name == expected
    assert propose_name(make(ServiceFactory())) == "Redeploy"


def test_a_long_name_fits_into_the_field():
    service = ServiceFactory(name="w" * 200)
    for _ in range(2):
        trigger = make(service, Action.SCALING, whole=False)
        trigger.name = propose_name(trigger)
        trigger.full_clean(exclude=["secret"])
        trigger.save()
    assert trigger.name.endswith("w 2")
