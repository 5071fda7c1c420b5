"""The ways to call a trigger on a page: which they are, and where the secret is."""

import pytest
import yaml

from console.pages.shared.trigger_panel.snippets import build_secrets, build_snippets, describe_terms
from triggers.models import Action, AlertState


@pytest.mark.parametrize("action", Action.values)
def test_no_way_holds_the_secret_before_a_reveal_or_ever_a_name(rf, fleet, action):
    trigger = fleet.trigger if action == Action.REDEPLOY else fleet.scaling_trigger
    trigger.application.name = "it's-a-trap"
    snippets = build_snippets(rf.get("/"), trigger)
    assert [one.label for one in snippets.ways] == [
        "Link",
        "curl",
        "Jenkinsfile",
        "GitHub Actions",
        "GitLab CI",
        "Alertmanager",
        "Grafana",
    ]
    for way in snippets.ways:
        assert trigger.secret not in way.text + way.revealed
        assert "trap" not in way.text
    assert trigger.secret not in "".join((snippets.head, snippets.tail, snippets.example))


@pytest.mark.parametrize("state", AlertState.values)
def test_the_end_of_an_alert_is_sent_only_if_the_trigger_acts_on_it(rf, fleet, state):
    fleet.scaling_trigger.alert_state = state
    texts = {way.key: yaml.safe_load(way.text) for way in build_snippets(rf.get("/"), fleet.scaling_trigger).ways[-2:]}
    (receiver,) = texts["alertmanager"]["receivers"]
    (point,) = texts["grafana"]["contactPoints"]
    told = (receiver["webhook_configs"][0]["send_resolved"], not point["receivers"][0]["disableResolveMessage"])
    assert told == (state == "resolved",) * 2


def test_after_a_reveal_only_the_ways_that_need_the_secret_hold_it(rf, fleet):
    request = rf.get("/")
    ways = build_snippets(request, fleet.trigger, build_secrets(request, fleet.trigger)).ways
    assert {way.key for way in ways if fleet.trigger.secret in way.text + way.revealed} == {
        "link",
        "curl",
        "alertmanager",
        "grafana",
    }
    assert all(way.masked == bool(way.revealed) for way in ways)


def test_the_page_shows_every_way_with_its_tab_and_its_copy_button(reader, fleet):
    text = reader.get(f"/applications/{fleet.application.pk}/?trigger={fleet.scaling_trigger.pk}").content.decode()
    assert text.count('role="tab"') == text.count('role="tabpanel"') == 7
    assert text.count('aria-selected="true"') == 1
    for key in ("link", "curl", "alertmanager", "grafana"):
        assert f'data-copy-of="{key}"' in text
    assert text.count('data-copied="Snippet copied"') == 3


def test_every_command_uses_post_where_get_does_nothing(rf, fleet):
    for trigger in (fleet.trigger, fleet.scaling_trigger):
        for post_only in (False, True):
            trigger.post_only = post_only
            texts = {way.key: way.text for way in build_snippets(rf.get("/"), trigger).ways}
            commands = [texts[key] for key in ("curl", "jenkins", "github", "gitlab")]
            assert ["-X POST" in text for text in commands] == [post_only] * 4
        assert "POST only" in describe_terms(trigger)


def test_the_terms_of_a_trigger_name_what_it_does_and_its_limits(fleet):
    assert describe_terms(fleet.trigger) == fleet.trigger.get_action_display()
    trigger = fleet.scaling_trigger
    trigger.min_replicas, trigger.max_replicas, trigger.cooldown_seconds = 0, 9, 60
    trigger.alert_state = AlertState.RESOLVED
    assert describe_terms(trigger) == (
        f"{trigger.get_action_display()} of {trigger.service.name}, at least 0, at most 9, cool-down 60 s, "
        "acts when an alert is resolved"
    )


def test_a_trigger_that_takes_its_secret_in_a_header_only_is_shown_without_a_secret_in_any_address(rf, fleet):
    request, trigger = rf.get("/"), fleet.trigger
    trigger.header_only = True
    secrets = build_secrets(request, trigger)
    ways = {way.key: way.revealed or way.text for way in build_snippets(request, trigger, secrets).ways}
    assert list(ways) == ["link", "curl", "jenkins", "github", "gitlab"]
    assert "&secret=" not in "".join(ways.values())
    assert ways["curl"] == f"curl --fail-with-body -sS -H 'X-Trigger-Secret: {trigger.secret}' '{secrets.link}'"
    masked = {way.key: way.text for way in build_snippets(request, trigger).ways}
    assert "-H 'X-Trigger-Secret: ••••••••••••'" in masked["curl"]
