"""Tasks of a Swarm by slot."""

import re
import threading

import pytest

from clusters.models import Node, Service, Task
from clusters.tests.factories import ApplicationFactory, ServiceFactory, TaskFactory
from console.pages.shared.slots import SlotList, group_slots
from console.pages.tests.reading import text_of, words_of


class StalledRows:
    """Rows that a database does not send before `is_sent` is set."""

    def __init__(self):
        self.is_asked, self.is_sent = threading.Event(), threading.Event()

    def values_list(self, *names):
        self.is_asked.set()
        assert self.is_sent.wait(30)
        return [(1, 1, 1, "", "replicated")]


def test_a_list_that_waits_for_its_rows_holds_up_no_other_list():
    stalled, quick = StalledRows(), StalledRows()
    quick.is_sent.set()
    first = threading.Thread(target=lambda: len(SlotList(stalled)))
    second = threading.Thread(target=lambda: len(SlotList(quick)))
    first.start()
    assert stalled.is_asked.wait(5)
    second.start()
    second.join(5)
    is_held_up = second.is_alive()
    stalled.is_sent.set()
    first.join(5)
    assert not is_held_up


class TestTasks:
    def test_the_tasks_of_a_slot_are_one_group_with_its_history_folded(self, reader, swarm_fleet):
        slots = group_slots(Task.objects.filter(service=swarm_fleet.service))
        assert [(len(slot.present), len(slot.earlier)) for slot in slots] == [(1, 1), (1, 1), (1, 0)]
        assert slots[0].present[0].state == "running"
        assert slots[0].earlier[0].error == "task: non-zero exit (1)"
        text = text_of(reader.get(f"{swarm_fleet.pages['service']}?tab=tasks"))
        assert text.count('<details id="history-') == 2
        assert text.count("1 earlier task of") == 2

    def test_a_task_names_its_node_its_states_and_its_error(self, reader, swarm_fleet):
        response = reader.get(f"{swarm_fleet.pages['application']}?tab=tasks")
        assert f'<a href="/nodes/{swarm_fleet.node.pk}/"><bdi>quay</bdi></a>' in text_of(response)
        words = words_of(response)
        assert "no suitable node (insufficient memory)" in words
        for word in ("Pending", "Desired", "Running", "Shutdown"):
            assert word in words

    def test_tasks_on_a_node_that_is_down_are_not_shown_as_running(self, reader, swarm_fleet):
        TaskFactory(service=ServiceFactory(application=swarm_fleet.application), node_id=swarm_fleet.node.node_id)
        Task.objects.filter(state="failed").delete()
        for name in ("application", "node"):
            address = f"{swarm_fleet.pages[name]}?tab=tasks"
            Node.objects.update(state="ready")
            assert words_of(reader.get(address)).count("Lost") == 0
            Node.objects.update(state="down")
            assert words_of(reader.get(address)).count("Lost") == 3

    def test_a_global_service_has_a_slot_on_each_node(self, db):
        service = ServiceFactory(mode=Service.Mode.GLOBAL)
        for node in ("one", "two"):
            TaskFactory(service=service, slot=0, node_id=node, node_name=node)
        TaskFactory(service=service, slot=0, node_id="one", node_name="one", state="failed", desired_state="shutdown")
        slots = group_slots(service.tasks.all())
        assert [(slot.present[0].name, len(slot.earlier)) for slot in slots] == [
            (f"{service.name}.one", 1),
            (f"{service.name}.two", 0),
        ]

    def test_a_jobs_slots_begin_with_0_and_a_retry_may_be_on_another_node(self, db):
        service = ServiceFactory(name="migrate", mode=Service.Mode.REPLICATED_JOB)
        TaskFactory(service=service, slot=0, node_id="one", state="failed", desired_state="shutdown")
        TaskFactory(service=service, slot=0, node_id="two", state="complete", desired_state="complete")
        (slot,) = group_slots(service.tasks.all())
        assert (slot.present[0].name, len(slot.earlier)) == ("migrate.0", 1)

    def test_a_job_that_is_done_is_complete_not_stopped(self, reader, swarm_fleet):
        Service.objects.update(mode=Service.Mode.REPLICATED_JOB, status="stopped", replicas=0, running=0)
        pages = swarm_fleet.pages
        swarm_fleet.container.service.application.delete()
        for name in ("service", "services", "application"):
            words = words_of(reader.get(pages[name]))
            assert "Complete" in words
            assert "Stopped" not in words

    def test_both_tasks_of_a_slot_are_there_while_the_new_one_starts_first(self, db):
        service = ServiceFactory()
        TaskFactory(service=service, state="running")
        TaskFactory(service=service, state="starting")
        assert len(group_slots(service.tasks.all())[0].present) == 2

    @pytest.mark.parametrize(("state", "error"), [("starting", "task: non-zero exit (1)"), ("running", "")])
    def test_an_earlier_failure_counts_until_the_replacement_runs(self, db, state, error):
        service = ServiceFactory()
        TaskFactory(service=service, state="failed", desired_state="shutdown", error="task: non-zero exit (1)")
        newer = Task.objects.get().created_at.replace(year=2027)
        TaskFactory(service=service, state=state, created_at=newer)
        assert group_slots(service.tasks.all())[0].error == error

    def test_a_slot_that_nothing_is_wanted_in_shows_its_last_task(self, db):
        service = ServiceFactory()
        TaskFactory(service=service, state="shutdown", desired_state="shutdown")
        (slot,) = group_slots(service.tasks.all())
        assert (slot.present[0].state, slot.earlier) == ("shutdown", [])

    def test_many_tasks_are_paged_and_the_page_is_kept_while_it_is_polled(self, reader, swarm_fleet):
        for slot in range(4, 61):
            TaskFactory(service=swarm_fleet.service, slot=slot)
        address = f"{swarm_fleet.pages['service']}?tab=tasks"
        assert "1–50 of 60" in words_of(reader.get(address))
        second = text_of(reader.get(f"{address}&page=2"))
        assert f'hx-get="{address}&amp;page=2"' in second
        assert f"{swarm_fleet.service.name}.60" in second

    def test_a_plain_engine_has_containers_and_no_tasks(self, reader, fleet):
        for name in ("application", "service", "applications", "services", "application_redeploy", "service_scale"):
            words = words_of(reader.get(fleet.pages[name]))
            assert not re.search(r"\btasks?\b", words, re.IGNORECASE), name

    def test_a_swarm_has_tasks_and_no_containers(self, reader, swarm_fleet):
        pages = swarm_fleet.pages
        swarm_fleet.container.service.application.delete()
        for name in ("application", "service", "applications", "services", "application_redeploy", "service_scale"):
            words = words_of(reader.get(pages[name]))
            assert not re.search(r"\bcontainers?\b", words, re.IGNORECASE), name

    def test_a_list_of_both_counts_both(self, reader, swarm_fleet):
        ApplicationFactory(cluster=swarm_fleet.cluster)
        assert "Containers, tasks" in words_of(reader.get("/applications/"))
