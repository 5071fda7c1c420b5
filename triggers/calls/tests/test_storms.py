"""Many calls at once, by links, with workers that take nudges: no call is lost, none runs twice, and none waits for a sweep.
WINDLASS_STORM is the number of calls in each storm."""

import os
import queue
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client

from clusters.engine.fakes.fake_engine import FakeEngine
from clusters.models import Application
from clusters.tests.factories import ApplicationFactory, ServiceFactory
from triggers.calls import nudges
from triggers.calls.accept import accept_call
from triggers.models import CallState, TriggerCall
from triggers.run import runner
from triggers.run.claim import claim_call
from triggers.run.results import finish_call
from triggers.tests.calling import PATH, link_parameters, request_of
from triggers.tests.factories import ScalingTriggerFactory, TriggerFactory

pytestmark = pytest.mark.django_db(transaction=True)

CALLS = int(os.environ.get("WINDLASS_STORM", "100"))
CALLERS, WORKERS = 8, 3
PATIENCE = 120  # seconds


class Workers:
    """Threads that take nudges, as a Celery worker does; nobody sweeps."""

    def __init__(self):
        self.nudges = queue.Queue()
        self.number = 0
        self.threads = [threading.Thread(target=self._work, daemon=True) for _ in range(WORKERS)]

    def publish(self, application_id):
        self.number += 1
        self.nudges.put(application_id)

    def start(self):
        for thread in self.threads:
            thread.start()

    def _work(self):
        try:
            while application_id := self.nudges.get():
                try:
                    runner.run_next_call(application_id)
                finally:
                    self.nudges.task_done()
        finally:
            connection.close()

    def finish(self):
        """Return once every nudge is handled, and those that they caused."""
        self.nudges.join()
        for _ in self.threads:
            self.nudges.put(None)
        for thread in self.threads:
            thread.join(PATIENCE)


@pytest.fixture
def workers(monkeypatch):
    workers = Workers()
    monkeypatch.setattr(nudges, "publish_nudge", workers.publish)
    return workers


@pytest.fixture
def engine(monkeypatch):
    fake = FakeEngine()
    fake.add_image("app:1")
    monkeypatch.setattr(runner, "EngineClient", lambda endpoint, credentials: fake)
    return fake


def add_service(fake, application, service):
    """Add one running container of the service."""
    labels = {
        "com.docker.compose.project": application.name,
        "com.docker.compose.service": service,
        "com.docker.compose.container-number": "1",
        "windlass.update.monitor": "0s",
    }
    fake.run(f"{application.name}-{service}-1", "app:1", Labels=labels)


def call_links(parameters):
    """Call all links, several callers at once. Return the answers in the order of the links."""

    def call(query):
        try:
            return Client().get(PATH, query_params=query)
        finally:
            connection.close()

    with ThreadPoolExecutor(CALLERS) as callers:
        return list(callers.map(call, parameters))


def test_redeploys_of_one_application_run_at_most_twice_and_cover_all(engine, workers):
    trigger = TriggerFactory(application__name="shop", application__source=Application.Source.COMPOSE)
    add_service(engine, trigger.application, "web")
    answered = threading.Event()
    engine.before_request = lambda method: answered.wait(PATIENCE)  # a redeploy lasts longer than the storm
    workers.start()
    answers = call_links([link_parameters(trigger)] * CALLS)
    answered.set()
    workers.finish()
    assert Counter(answer.status_code for answer in answers) == {200: CALLS}
    made = {str(call.pk): call for call in trigger.calls.select_related("coalesced_into")}
    assert {answer.json()["requestId"] for answer in answers} == set(made)
    ran = [call for call in made.values() if call.state != CallState.COALESCED]
    assert 1 <= len(ran) <= 2
    assert {call.state for call in ran} == {CallState.SUCCEEDED}
    assert sum(line.startswith("create") for line in engine.operations) == len(ran)
    # A covered call was made before the one that covers it began to look at the registry.
    covered = [call for call in made.values() if call.state == CallState.COALESCED]
    assert all(call.coalesced_into.started_at >= call.queued_at for call in covered)


def test_scale_calls_of_many_services_add_up_exactly(engine, workers):
    """Each application has several services, so that the calls of one wait for those of another."""
    triggers = []
    for _ in range(5):
        application = ApplicationFactory(source=Application.Source.COMPOSE)
        for number in range(4):
            service = ServiceFactory(application=application, name=f"web{number}")
            add_service(engine, application, service.name)
            triggers.append(ScalingTriggerFactory(application=application, service=service))
    links = [{**link_parameters(trigger), "type": "scale_out", "step": "1"} for trigger in triggers]
    workers.start()
    answers = call_links([links[number % len(links)] for number in range(CALLS)])
    workers.finish()
    assert Counter(answer.status_code for answer in answers) == {200: CALLS}
    assert Counter(TriggerCall.objects.values_list("state", flat=True)) == {CallState.SUCCEEDED: CALLS}
    running = Counter(name.rpartition("-")[0] for name in engine.running())
    asked = Counter(f"{trigger.application.name}-{trigger.service.name}" for trigger in triggers for _ in trigger.calls.all())
    assert running == asked + Counter(asked.keys())


@pytest.mark.parametrize(("of_trigger", "of_all"), [(10, 1000), (1000, 10)])
def test_a_full_queue_refuses_the_rest_and_records_none_of_it(workers, settings, of_trigger, of_all):
    settings.HOOK_TRIGGER_QUEUE_LIMIT, settings.HOOK_QUEUE_LIMIT = of_trigger, of_all
    parameters = {**link_parameters(ScalingTriggerFactory()), "type": "scale_out", "step": "1"}
    answers = call_links([parameters] * 40)
    assert Counter(answer.status_code for answer in answers) == {200: 10, 429: 30}
    assert all(int(answer["Retry-After"]) > 0 for answer in answers if answer.status_code == 429)
    assert TriggerCall.objects.count() == 10


def test_covered_redeploys_take_no_place_in_the_queue(workers, settings):
    settings.HOOK_TRIGGER_QUEUE_LIMIT = settings.HOOK_QUEUE_LIMIT = 1
    trigger = TriggerFactory()
    answers = call_links([link_parameters(trigger)] * 20)
    assert Counter(answer.status_code for answer in answers) == {200: 20}
    assert Counter(trigger.calls.values_list("state", flat=True)) == {CallState.QUEUED: 1, CallState.COALESCED: 19}


def test_an_application_with_waiting_calls_is_nudged_once(workers):
    triggers = [ScalingTriggerFactory() for _ in range(3)]
    redeploy = TriggerFactory(application=triggers[0].application)
    for trigger in triggers * 4:
        accept_call(request_of(trigger, step=1))
    accept_call(request_of(redeploy))
    assert workers.number == 3
    claimed = claim_call(redeploy.application_id, "worker")
    accept_call(request_of(triggers[0], step=1))
    assert workers.number == 3  # the redeploy is still queued
    finish_call(claimed, "worker", CallState.SUCCEEDED, "", "Done.")
    assert workers.number == 4
