"""The page of a call."""

from datetime import timedelta

import pytest
from django.utils import timezone

from clusters.models import Service
from console.pages.tests.reading import text_of, words_of
from triggers.models import CallState, TriggerCall
from triggers.tests.factories import TriggerCallFactory


class TestCallPage:
    PARTIAL = {"HX-Request": "true", "HX-Target": "call"}

    def test_a_call_that_has_ended_stops_the_polling(self, reader, fleet):
        response = reader.get(f"/calls/{fleet.call.pk}/", headers=self.PARTIAL)
        assert response.status_code == 286
        assert "data-poll" not in text_of(response)

    def test_a_call_that_runs_is_polled(self, reader, fleet):
        TriggerCall.objects.filter(pk=fleet.call.pk).update(state=CallState.RUNNING, completed_at=None)
        response = reader.get(f"/calls/{fleet.call.pk}/", headers=self.PARTIAL)
        assert response.status_code == 200
        assert 'data-poll="1000"' in text_of(response)
        assert '<meta http-equiv="refresh"' in text_of(reader.get(f"/calls/{fleet.call.pk}/"))

    def test_while_it_runs_it_can_be_cancelled_and_after_that_run_again(self, reader, fleet):
        text = text_of(reader.get(f"/calls/{fleet.call.pk}/", headers=self.PARTIAL))
        assert "Run again" in text
        assert "/cancel/" not in text
        TriggerCall.objects.filter(pk=fleet.call.pk).update(state=CallState.RUNNING, completed_at=None)
        text = text_of(reader.get(f"/calls/{fleet.call.pk}/", headers=self.PARTIAL))
        assert "Run again" not in text
        assert f'action="/calls/{fleet.call.pk}/cancel/"' in text

    def test_exact_times_stand_beside_the_relative_ones(self, reader, fleet):
        when = timezone.localtime(fleet.call.queued_at).strftime("%Y-%m-%d %H:%M:%S %Z")
        assert f'data-words="exact" title="{when}">{when}</time>' in text_of(reader.get(f"/calls/{fleet.call.pk}/"))

    def test_a_name_stands_where_it_is_read_not_counted(self, reader, fleet):
        TriggerCall.objects.filter(pk=fleet.call.pk).update(action="scaling", step=5, service=fleet.service)
        for address in ("/activity/", "/"):
            assert f"Scale <bdi>{fleet.service.name}</bdi> out by 5" in text_of(reader.get(address)), address

    def test_it_opens_with_one_sentence(self, reader, fleet):
        assert reader.get(f"/calls/{fleet.call.pk}/").context["summary"] == "Failed after 2.0 s: Nothing was touched."

    def test_a_running_call_says_for_what_it_waits_and_until_when(self, reader, fleet):
        text = "Waiting until 2026-11-30 15:04:05 UTC at the latest for the health check of web-1."
        TriggerCall.objects.filter(pk=fleet.call.pk).update(state=CallState.RUNNING, completed_at=None, message=text)
        response = reader.get(f"/calls/{fleet.call.pk}/")
        assert response.context["summary"].startswith("Running for ")
        assert response.context["summary"].endswith(f": {text}")

    def test_a_rejected_call_says_how_many_were_counted_on_it_on_every_page(self, reader, fleet):
        more = {"repeated": 412, "repeated_at": timezone.now(), "message": "This trigger is disabled.", "reason": "disabled"}
        call = TriggerCallFactory(trigger=fleet.trigger, state=CallState.REJECTED, **more)
        page = reader.get(f"/calls/{call.pk}/")
        assert page.context["summary"] == (
            "Rejected: This trigger is disabled. And 412 more in the same minute for the same reason."
        )
        assert "412 more in the same minute, the last one" in words_of(page)
        for address in ("/activity/", f"/applications/{fleet.application.pk}/?tab=activity"):
            assert 'title="and 412 more in the same minute">+412</span>' in text_of(reader.get(address))
        export = b"".join(reader.get("/activity/export/?state=rejected").streaming_content).decode()
        assert export.splitlines()[1].endswith("This trigger is disabled.,412")

    def test_a_coalesced_call_names_the_one_that_covers_it(self, reader, fleet):
        covered = TriggerCall.objects.create(
            application=fleet.application,
            action="redeploy",
            source="hook",
            state=CallState.COALESCED,
            coalesced_into=fleet.call,
            queued_at=fleet.call.queued_at,
        )
        assert f'href="/calls/{fleet.call.pk}/"' in text_of(reader.get(f"/calls/{covered.pk}/"))
        assert f'href="/calls/{covered.pk}/"' in text_of(reader.get(f"/calls/{fleet.call.pk}/"))

    def test_a_coalesced_call_shows_the_outcome_and_is_followed_until_there_is_one(self, reader, fleet):
        covered = TriggerCallFactory(trigger=fleet.trigger, state=CallState.COALESCED, coalesced_into=fleet.call)
        address = f"/calls/{covered.pk}/"
        assert "Failed after 2.0 s: Nothing was touched." in text_of(reader.get(address))
        assert reader.get(address, headers=self.PARTIAL).status_code == 286
        TriggerCall.objects.filter(pk=fleet.call.pk).update(state=CallState.RUNNING, completed_at=None)
        assert reader.get(address, headers=self.PARTIAL).status_code == 200
        assert '<meta http-equiv="refresh"' in text_of(reader.get(address))

    def test_a_merged_call_names_its_leader_and_shows_its_operations(self, reader, fleet):
        member = TriggerCallFactory(
            trigger=fleet.scaling_trigger, step=2, state=CallState.FAILED, merged_into=fleet.call, started_at=timezone.now()
        )
        response = reader.get(f"/calls/{member.pk}/")
        assert f'href="/calls/{fleet.call.pk}/"' in text_of(response)
        assert [group.headline for group in response.context["timeline"]] == ["line 0", "line 1", "line 2"]

    def test_a_running_operation_shows_how_long_it_has_taken_so_far(self, reader, fleet):
        TriggerCall.objects.filter(pk=fleet.call.pk).update(state=CallState.RUNNING, completed_at=None)
        fleet.call.events.update(time=timezone.now() - timedelta(seconds=70))
        last = reader.get(f"/calls/{fleet.call.pk}/").context["timeline"][-1]
        assert last.is_current
        assert timedelta(seconds=70) <= last.took < timedelta(seconds=130)

    @pytest.mark.parametrize(
        ("asked", "parameters"),
        [
            ({}, []),
            ({"step": 5}, ["type=scale_out", "step=5"]),
            ({"step": -1}, ["type=scale_in", "step=1"]),
            ({"replicas": 0}, ["replicas=0"]),
        ],
    )
    def test_the_parameters_of_the_request_are_shown_by_their_documented_names(self, reader, fleet, asked, parameters):
        call = TriggerCallFactory(trigger=fleet.scaling_trigger, **asked)
        assert reader.get(f"/calls/{call.pk}/").context["parameters"] == parameters

    def test_it_tells_who_called(self, reader, fleet, admin_user):
        caller = {"source_address": "203.0.113.9", "user_agent": "Jenkins/2", "delivery_id": "72d3162e"}
        TriggerCall.objects.filter(pk=fleet.call.pk).update(requested_by=admin_user, **caller)
        text = text_of(reader.get(f"/calls/{fleet.call.pk}/"))
        for value in ("Trigger link", "<bdi>admin</bdi>", *caller.values()):
            assert value in text

    def test_images_are_short_with_the_whole_to_copy_and_a_mixed_service_is_counted(self, reader, fleet):
        old, new, digest = "sha256:" + "a" * 64, "sha256:" + "b" * 64, "shop@sha256:" + "d" * 64
        before = {"services": {"web": {"running": 2, "image": "shop:1", "images": {old: 1, new: 1}, "digests": []}}}
        after = {"services": {"web": {"running": 2, "image": "shop:1", "images": {new: 2}, "digests": [digest]}}}
        TriggerCall.objects.filter(pk=fleet.call.pk).update(before=before, after=after)
        response = reader.get(f"/calls/{fleet.call.pk}/")
        (row,) = response.context["comparison"]
        assert (row.before.is_mixed, row.image_changed, row.image_kept, row.count_changed) == (True, True, False, False)
        for whole in (old, new, digest):
            assert f'data-copy="{whole}"' in text_of(response)

    def test_the_page_never_shows_a_triggers_secret(self, reader, fleet):
        assert fleet.trigger.secret not in text_of(reader.get(f"/calls/{fleet.call.pk}/"))


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
