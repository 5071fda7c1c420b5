import pytest
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import IntegrityError

from clusters.models import Application, Service
from clusters.tests.factories import ApplicationFactory, ClusterFactory, ServiceFactory
from triggers.forms import TriggerForm
from triggers.models import Trigger
from triggers.validation import explain_scaling_refusal, explain_service_refusal

pytestmark = pytest.mark.django_db


def problems(**fields):
    with pytest.raises(ValidationError) as caught:
        Trigger(**fields).full_clean()
    return set(caught.value.message_dict)


@pytest.mark.parametrize(
    ("version", "can_scale"), [("1.40", False), ("", False), ("1.41", True), ("1.100", True), ("2.0", True)]
)
def test_scaling_needs_a_new_enough_engine(version, can_scale):
    assert (explain_scaling_refusal(ClusterFactory.build(api_version=version)) == "") is can_scale


def test_a_global_service_says_why_it_cannot_be_scaled():
    service = ServiceFactory(mode=Service.Mode.GLOBAL, name="agent")
    assert explain_service_refusal(service) == ("Service agent runs once on every node (global mode), so it cannot be scaled.")


@pytest.mark.parametrize("mode", [Service.Mode.REPLICATED_JOB, Service.Mode.GLOBAL_JOB])
def test_a_job_says_why_it_cannot_be_scaled(mode):
    service = ServiceFactory(application__source=Application.Source.STACK, mode=mode, name="migrate")
    assert explain_service_refusal(service) == "Service migrate is a job: it runs to its end and cannot be scaled."
    assert problems(application=service.application, service=service, action="scaling") == {"service"}


def test_every_problem_is_reported_at_once():
    service = ServiceFactory()
    application = ApplicationFactory()
    assert problems(application=application, service=service, action="scaling", min_replicas=0, cooldown_seconds=10**6) == {
        "service",
        "min_replicas",
        "cooldown_seconds",
    }


def test_a_problem_with_the_application_counts_for_the_whole_form():
    assert problems(application=ApplicationFactory(protected=True), action="redeploy") == {NON_FIELD_ERRORS}


def test_a_missing_application_is_the_fields_own_error():
    assert "application" in problems(action="redeploy")


def test_a_swarm_service_can_be_scaled_to_nothing():
    service = ServiceFactory(application__source=Application.Source.STACK)
    Trigger(application=service.application, service=service, action="scaling", min_replicas=0).full_clean()


def test_only_on_a_swarm_can_a_failure_be_left_as_it_is():
    Trigger(
        application=ApplicationFactory(source=Application.Source.SERVICE), action="redeploy", on_failure="pause"
    ).full_clean()
    assert problems(application=ApplicationFactory(), action="redeploy", on_failure="pause") == {"on_failure"}


@pytest.mark.parametrize("action", ["stop", "start", "restart", "delete"])
def test_a_trigger_redeploys_or_scales_and_nothing_else(action):
    application = ApplicationFactory()
    assert problems(application=application, action=action) == {"action"}
    assert "action" in TriggerForm(application, {"action": action}).errors
    with pytest.raises(IntegrityError, match="trigger_redeploys_or_scales"):
        Trigger.objects.create(application=application, action=action)
