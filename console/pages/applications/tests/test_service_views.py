"""A service on the pages: its policies, its state, and scaling it."""

import pytest
from django.utils.html import escape

from clusters.models import Service
from console.pages.tests.reading import DIALOG, console_call, text_of, words_of
from triggers.models import TriggerCall

EFFECT = {"HX-Request": "true", "HX-Target": "scale-effect"}


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
            ("scale_out", 5, "3 tasks of {} are wanted, 2 are running. 5 will be added, 8 in total."),
            ("scale_in", 1, "1 will be stopped; 2 remain. Swarm chooses which tasks to stop."),
            ("scale_in", 9, "3 will be stopped; none remains. Swarm chooses which tasks to stop."),
            ("to", 0, "3 will be stopped; none remains. Swarm chooses which tasks to stop."),
            ("to", 1, "2 will be stopped; 1 remains. Swarm chooses which tasks to stop."),
            ("to", 3, "Nothing will change."),
            ("to", 500, "497 will be added, 500 in total."),
        ],
    )
    def test_the_effect_is_described_from_the_wanted_count(self, reader, swarm_fleet, how, count, sentence):
        response = reader.get(f"{swarm_fleet.pages['service_scale']}?how={how}&count={count}", headers=EFFECT)
        assert sentence.format(swarm_fleet.service.name) in words_of(response)

    def test_a_service_may_be_scaled_to_nothing(self, reader, swarm_fleet):
        reader.post(swarm_fleet.pages["service_scale"], {"how": "to", "count": 0})
        call = console_call()
        assert (call.replicas, call.step, call.service) == (0, None, swarm_fleet.service)

    def test_on_a_plain_engine_one_container_stays(self, reader, fleet):
        response = reader.post(fleet.pages["service_scale"], {"how": "to", "count": 0})
        assert "whole number from 1 to" in str(response.context["form"].errors["count"])

    @pytest.mark.parametrize(
        ("mode", "reason"), [("global", "once on every node"), ("replicated-job", "is a job"), ("global-job", "is a job")]
    )
    @pytest.mark.parametrize("headers", [{}, DIALOG])
    def test_a_service_that_cannot_be_scaled_says_why_and_starts_no_call(self, reader, swarm_fleet, mode, reason, headers):
        Service.objects.update(mode=mode)
        response = reader.get(swarm_fleet.pages["service_scale"], headers=headers)
        assert reason in words_of(response)
        assert 'name="count"' not in text_of(response)
        response = reader.post(swarm_fleet.pages["service_scale"], {"how": "scale_out", "count": 1}, headers=headers)
        assert reason in words_of(response)
        assert not TriggerCall.objects.filter(source="console").exists()


class TestScaleStepper:
    def test_one_more_and_one_fewer_open_the_dialog_filled(self, reader, fleet):
        text = text_of(reader.get(fleet.pages["service"]))
        for count in (1, 3):
            address = f"{fleet.pages['service_scale']}?how=to&count={count}"
            assert f'href="{escape(address)}"' in text
            form = reader.get(address, headers=DIALOG).context["form"]
            assert (form["how"].value(), form["count"].value()) == ("to", str(count))
        assert "2 will be added" not in text_of(reader.get(address, headers=DIALOG))
        assert "1 will be added, 3 in total." in text_of(reader.get(address, headers=DIALOG))

    def test_the_last_one_of_a_plain_engine_stays(self, reader, fleet):
        fleet.service.__class__.objects.filter(pk=fleet.service.pk).update(replicas=1, running=1)
        assert "count=0" not in text_of(reader.get(fleet.pages["service"]))
