"""What the pages show of a Swarm (nodes, tasks and their history, policies, progress), and what can be asked of one."""

import re

import pytest

from clusters.models import Cluster, Node, Service, Task
from clusters.tests.factories import ApplicationFactory, NodeFactory, ServiceFactory, TaskFactory
from console.pages.shared.slots import group_slots
from console.pages.tests.test_dialogs import DIALOG, console_call, new_trigger_url, text_of
from triggers.models import CallState, Trigger, TriggerCall

EFFECT = {"HX-Request": "true", "HX-Target": "scale-effect"}


def words_of(response):
    """The text that a reader sees, in one line."""
    return " ".join(re.sub(r"<[^>]*>", " ", text_of(response)).split())


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

    def test_what_ran_on_a_node_that_is_down_is_not_said_to_run(self, reader, swarm_fleet):
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
    def test_what_failed_before_counts_until_the_replacement_runs(self, db, state, error):
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


class TestNodes:
    def test_a_node_shows_its_role_and_what_runs_on_it(self, reader, swarm_fleet):
        words = words_of(reader.get(swarm_fleet.pages["node"]))
        assert "Manager leader" in words
        assert f"{swarm_fleet.service.name}.1" in words
        assert "Earlier tasks 2" in words

    def test_tasks_of_another_cluster_are_not_on_it(self, reader, swarm_fleet):
        stranger = TaskFactory(service__name="stranger", node_id=swarm_fleet.node.node_id)
        assert stranger.name not in text_of(reader.get(swarm_fleet.pages["node"]))

    def test_nodes_are_found_by_name_and_address_on_the_chosen_cluster(self, reader, swarm_fleet):
        other = NodeFactory(hostname="elsewhere", address="10.9.9.9")

        def names(query):
            return [node.hostname for node in reader.get(f"/nodes/?{query}").context["page"]]

        assert (names("q=QUA"), names("q=10.9.9"), names("q=nothing")) == (["quay"], ["elsewhere"], [])
        assert names(f"cluster={other.cluster.uid}") == ["elsewhere"]

    def test_a_cluster_shows_its_nodes_and_how_many_are_ready(self, reader, swarm_fleet):
        NodeFactory(cluster=swarm_fleet.cluster, hostname="lost", state="down", state_message="heartbeat failure")
        words = words_of(reader.get(swarm_fleet.pages["cluster"]))
        assert "1 of 2 ready" in words
        assert "heartbeat failure" in words
        assert "1 of 2 ready" in words_of(reader.get("/clusters/"))

    def test_counts_are_not_multiplied_by_nodes(self, reader, swarm_fleet):
        NodeFactory(cluster=swarm_fleet.cluster)
        ApplicationFactory(cluster=swarm_fleet.cluster, wanted=5, running=4)
        (row,) = reader.get("/clusters/").context["clusters"]
        assert (row.application_count, row.node_count, row.nodes_ready) == (2, 2, 2)
        assert (row.containers_running, row.containers_wanted, row.tasks_running, row.tasks_wanted) == (4, 5, 2, 2)

    def test_a_lost_node_needs_attention(self, reader, swarm_fleet):
        TriggerCall.objects.all().delete()
        assert "Nothing needs attention" in words_of(reader.get("/"))
        Node.objects.update(state="down", state_message="heartbeat failure")
        assert "heartbeat failure" in words_of(reader.get("/"))

    def test_no_node_teaches_what_a_node_is(self, reader, db):
        assert "Nodes are the machines of a Swarm" in words_of(reader.get("/nodes/"))


class TestNotice:
    NOTICE = "armada is no longer a Swarm manager, so its stacks and services cannot be seen."

    @pytest.mark.parametrize("name", ["overview", "clusters", "cluster", "application", "service", "node"])
    def test_a_manager_that_stopped_being_one_is_said_where_its_rows_are(self, reader, swarm_fleet, name):
        Cluster.objects.update(swarm_notice=self.NOTICE)
        assert self.NOTICE in words_of(reader.get(swarm_fleet.pages[name]))

    def test_a_cluster_reached_through_another_manager_says_so(self, reader, swarm_fleet):
        reason = "The first address does not answer; 10.0.0.8:2376 stands in."
        Cluster.objects.update(status="reachable", status_reason=reason)
        assert reason in words_of(reader.get(swarm_fleet.pages["cluster"]))

    def test_a_compose_project_of_that_engine_is_not_concerned(self, reader, fleet):
        Cluster.objects.update(swarm_notice=self.NOTICE)
        assert self.NOTICE not in words_of(reader.get(fleet.pages["application"]))


class TestServicePage:
    def test_the_policies_say_what_swarm_does(self, reader, swarm_fleet):
        words = words_of(reader.get(swarm_fleet.pages["service"]))
        assert "Update 1 stop-first 10 s 5 s pause 25 %" in words
        assert "Rollback 1 start-first 10 s 5 s pause 25 %" in words

    @pytest.mark.parametrize("mode", [Service.Mode.REPLICATED_JOB, Service.Mode.GLOBAL_JOB])
    def test_a_job_has_no_policies(self, reader, swarm_fleet, mode):
        Service.objects.update(mode=mode)
        assert "Update and rollback" not in words_of(reader.get(swarm_fleet.pages["service"]))

    def test_the_last_update_and_the_last_error_are_said(self, reader, swarm_fleet):
        Service.objects.update(
            update_state="paused", update_message="update paused due to failure", last_error="task: non-zero exit (1)"
        )
        words = words_of(reader.get(swarm_fleet.pages["service"]))
        for sentence in ("Update paused", "update paused due to failure", "task: non-zero exit (1)", "222222222222"):
            assert sentence in words
        assert "task: non-zero exit (1)" in words_of(reader.get(swarm_fleet.pages["application"]))


class TestScaling:
    @pytest.mark.parametrize(
        ("how", "count", "sentence"),
        [
            ("scale_out", 5, "3 tasks of {} are wanted now, 2 run. 5 will be added: 8 in all."),
            ("scale_in", 1, "1 will end: 2 stay. Swarm chooses which tasks end."),
            ("scale_in", 9, "3 will end: none stays. Swarm chooses which tasks end."),
            ("to", 0, "3 will end: none stays. Swarm chooses which tasks end."),
            ("to", 1, "2 will end: 1 stays. Swarm chooses which tasks end."),
            ("to", 3, "Nothing would change."),
            ("to", 500, "497 will be added: 500 in all."),
        ],
    )
    def test_the_effect_is_told_from_the_wanted_count(self, reader, swarm_fleet, how, count, sentence):
        response = reader.get(f"{swarm_fleet.pages['service_scale']}?how={how}&count={count}", headers=EFFECT)
        assert sentence.format(swarm_fleet.service.name) in words_of(response)

    def test_a_service_may_be_scaled_to_nothing(self, reader, swarm_fleet):
        reader.post(swarm_fleet.pages["service_scale"], {"how": "to", "count": 0})
        call = console_call()
        assert (call.replicas, call.step, call.service) == (0, None, swarm_fleet.service)

    def test_on_a_plain_engine_one_container_stays(self, reader, fleet):
        response = reader.post(fleet.pages["service_scale"], {"how": "to", "count": 0})
        assert "A whole number from 1 to" in str(response.context["form"].errors["count"])

    @pytest.mark.parametrize(
        ("mode", "reason"), [("global", "once on every node"), ("replicated-job", "is a job"), ("global-job", "is a job")]
    )
    @pytest.mark.parametrize("headers", [{}, DIALOG])
    def test_what_cannot_be_scaled_says_why_and_is_not_asked_for(self, reader, swarm_fleet, mode, reason, headers):
        Service.objects.update(mode=mode)
        response = reader.get(swarm_fleet.pages["service_scale"], headers=headers)
        assert reason in words_of(response)
        assert 'name="count"' not in text_of(response)
        response = reader.post(swarm_fleet.pages["service_scale"], {"how": "scale_out", "count": 1}, headers=headers)
        assert reason in words_of(response)
        assert not TriggerCall.objects.filter(source="console").exists()


class TestCreateTrigger:
    def test_on_failure_is_asked_on_a_swarm_alone(self, reader, fleet, swarm_fleet):
        assert 'name="on_failure"' in text_of(reader.get(new_trigger_url(swarm_fleet.application)))
        assert 'name="on_failure"' not in text_of(reader.get(new_trigger_url(fleet.application)))

    @pytest.mark.parametrize(("sent", "kept"), [({"on_failure": "pause"}, "pause"), ({}, "rollback")])
    def test_it_is_kept(self, reader, swarm_fleet, sent, kept):
        data = {"action": "scaling", "service": swarm_fleet.service.pk, "name": "alarm", "min_replicas": 0}
        reader.post(new_trigger_url(swarm_fleet.application), data | sent)
        trigger = Trigger.objects.get(name="alarm")
        assert (trigger.on_failure, trigger.min_replicas) == (kept, 0)

    def test_a_plain_engine_takes_no_such_wish(self, reader, fleet):
        reader.post(new_trigger_url(fleet.application), {"action": "redeploy", "name": "ci", "on_failure": "pause"})
        assert Trigger.objects.get(name="ci").on_failure == "rollback"

    def test_a_job_may_be_redeployed_but_not_scaled(self, reader, swarm_fleet):
        Service.objects.update(mode="replicated-job")
        data = {"action": "scaling", "service": swarm_fleet.service.pk}
        response = reader.post(new_trigger_url(swarm_fleet.application), data)
        assert "is a job" in str(response.context["form"].errors["service"])
        assert reader.post(new_trigger_url(swarm_fleet.application), {"action": "redeploy"}).status_code == 302

    def test_the_example_speaks_of_tasks(self, reader, swarm_fleet):
        words = words_of(reader.get(f"{swarm_fleet.pages['application']}?trigger={swarm_fleet.scaling_trigger.pk}"))
        assert f"adds 5 tasks to {swarm_fleet.service.name}" in words


class TestCallProgress:
    @pytest.fixture
    def call(self, swarm_fleet):
        TriggerCall.objects.filter(pk=swarm_fleet.call.pk).update(
            state=CallState.RUNNING, completed_at=None, message="", progress={"web": [2, 3], "api": [1, 2], "idle": [0, 0]}
        )
        return TriggerCall.objects.get(pk=swarm_fleet.call.pk)

    def test_the_sentence_counts_all_services_and_each_has_a_bar(self, reader, call):
        response = reader.get(f"/calls/{call.pk}/")
        assert response.context["summary"].endswith(": 3 of 5 tasks updated.")
        text = text_of(response)
        assert '<progress max="3" value="2" aria-label="web"></progress>' in text
        assert '<progress max="2" value="1" aria-label="api"></progress>' in text
        assert "idle" not in text

    def test_scaling_counts_what_runs(self, reader, call):
        TriggerCall.objects.update(action="scaling", step=2, service=Service.objects.first())
        assert reader.get(f"/calls/{call.pk}/").context["summary"].endswith(": 3 of 5 tasks running.")

    def test_a_call_that_failed_shows_how_far_it_came_and_one_that_succeeded_does_not(self, reader, call):
        for state, bars in ((CallState.FAILED, 2), (CallState.SUCCEEDED, 0)):
            TriggerCall.objects.update(state=state, completed_at=call.started_at)
            assert text_of(reader.get(f"/calls/{call.pk}/")).count("<progress") == bars

    def test_tasks_before_and_after_are_compared_by_their_nodes(self, reader, call):
        def snapshot(*tasks):
            listed = [{"name": name, "node": node, "state": "running", "id": name} for name, node in tasks]
            return {"services": {"web": {"running": len(listed), "image": "shop:1", "images": {}, "containers": listed}}}

        TriggerCall.objects.update(
            before=snapshot(("web.10", "node1"), ("web.2", "node1")), after=snapshot(("web.2", "node2"), ("web.11", "node2"))
        )
        response = reader.get(f"/calls/{call.pk}/")
        (row,) = response.context["comparison"]
        assert [(task.name, task.before, task.after, task.moved) for task in row.tasks] == [
            ("web.2", "node1 · running", "node2 · running", True),
            ("web.10", "node1 · running", "", False),
            ("web.11", "", "node2 · running", False),
        ]
        assert "Tasks of web" in words_of(response)

    def test_containers_of_a_plain_engine_are_not_compared_one_by_one(self, reader, fleet):
        listed = [{"name": "shop-web-1", "id": "1", "state": "running"}]
        TriggerCall.objects.update(before={"services": {"web": {"running": 1, "containers": listed}}})
        (row,) = reader.get(fleet.pages["call"]).context["comparison"]
        assert row.tasks == []


def test_a_cluster_with_other_managers_shows_their_addresses(reader, swarm_fleet):
    Cluster.objects.update(other_urls="tcp://10.0.0.2:2376\ntcp://10.0.0.3:2376")
    words = words_of(reader.get(swarm_fleet.pages["cluster"]))
    assert "tcp://10.0.0.2:2376 tcp://10.0.0.3:2376" in words
