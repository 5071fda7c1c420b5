"""Polls: a piece that is as the page shows it is answered without a body, a changed one whole."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from clusters.models import Application, Container
from clusters.tests.factories import ApplicationFactory
from console.pages.shared.polling import STATE_HEADER, hash_piece
from triggers.models import Trigger, TriggerCall


def poll(client, address, target, state=""):
    headers = {"HX-Request": "true", "HX-Target": target} | ({STATE_HEADER: state} if state else {})
    return client.get(address, headers=headers)


PIECES = [
    *((name, "list") for name in ("applications", "services", "triggers", "clusters", "nodes", "activity")),
    *((name, target) for name in ("application", "service") for target in ("about", "state")),
    ("overview", "overview"),
    ("cluster", "state"),
    ("node", "state"),
    ("running_calls", "running-calls"),
]


@pytest.mark.parametrize(("name", "target"), PIECES)
def test_an_unchanged_piece_is_answered_without_a_body(reader, fleet, name, target):
    first = poll(reader, fleet.pages[name], target)
    assert (first.status_code, f'id="{target}"' in first.content.decode()) == (200, True)
    again = poll(reader, fleet.pages[name], target, first[STATE_HEADER])
    assert (again.status_code, again.content) == (204, b"")
    assert "no-store" in again["Cache-Control"]


def test_time_that_passes_is_no_change(reader, fleet):
    Application.objects.update(updated_at=timezone.now() - timedelta(minutes=3))
    state = poll(reader, "/applications/", "list")[STATE_HEADER]
    later = re.sub(rb">3 min ago<", b">4 min ago<", poll(reader, "/applications/", "list").content)
    assert b"4 min ago" in later
    assert hash_piece(later) == state


CHANGES = [
    ("applications", "list", lambda fleet: ApplicationFactory(cluster=fleet.cluster)),
    ("applications", "list", lambda fleet: Application.objects.update(running=1)),
    ("applications", "list", lambda fleet: Application.objects.update(updated_at=timezone.now())),
    ("application", "about", lambda fleet: Application.objects.update(status="degraded")),
    ("application", "about", lambda fleet: TriggerCall.objects.update(state="succeeded")),
    ("application", "about", lambda fleet: Trigger.objects.update(enabled=False)),
    ("application", "about", lambda fleet: fleet.trigger.delete()),
    ("triggers", "list", lambda fleet: TriggerCall.objects.update(state="succeeded")),
    ("service", "state", lambda fleet: Container.objects.update(state="exited")),
]


@pytest.mark.parametrize(("name", "target", "change"), CHANGES)
def test_a_changed_piece_is_answered_whole_with_its_new_state(reader, fleet, name, target, change):
    state = poll(reader, fleet.pages[name], target)[STATE_HEADER]
    change(fleet)
    answer = poll(reader, fleet.pages[name], target, state)
    assert (answer.status_code, f'id="{target}"' in answer.content.decode()) == (200, True)
    assert answer[STATE_HEADER] != state


def test_a_page_and_a_missing_piece_are_never_answered_with_204(reader, fleet):
    state = poll(reader, fleet.pages["application"], "about")[STATE_HEADER]
    page = reader.get(fleet.pages["application"], headers={STATE_HEADER: state})
    assert page.status_code == 200
    assert STATE_HEADER not in page
    fleet.application.delete()
    assert poll(reader, fleet.pages["application"], "about", state).status_code == 404


def test_a_poll_shows_no_secret_and_leaves_it_to_the_page(reader, fleet):
    reader.post(f"/triggers/{fleet.trigger.pk}/reveal/")
    address = f"{fleet.pages['application']}?trigger={fleet.trigger.pk}"
    polled = poll(reader, address, "about").content.decode()
    assert f'id="trigger-detail-{fleet.trigger.pk}"' in polled
    assert fleet.trigger.secret not in polled
    assert fleet.trigger.secret in reader.get(address).content.decode()


def test_every_state_is_followed_within_two_seconds(reader, fleet):
    for name, _ in PIECES:
        intervals = [int(found) for found in re.findall(r'data-poll="(\d+)"', reader.get(fleet.pages[name]).content.decode())]
        assert intervals, name
        assert max(intervals) <= 2000, name
