from datetime import UTC, datetime

from clusters.engine.inspection.past_events import MOST_EVENTS, REMEMBERED, describe_past_events


def event(number, action="start", **attributes):
    actor = {"ID": f"id-{number}", "Attributes": attributes}
    return {"Type": "container", "Action": action, "Actor": actor, "timeNano": (1_800_000_000 + number) * 10**9}


def test_the_newest_events_are_listed_without_the_noise_of_health_checks():
    events = [event(number, "exec_start: /bin/true" if number % 2 else "start", name=f"c{number}") for number in range(200)]
    found = describe_past_events(events)
    assert (len(found.shown), found.has_noise, found.known_since) == (MOST_EVENTS, True, None)
    assert (found.shown[0].name, found.shown[0].kind) == ("c198", "container")
    assert all(one.action == "start" for one in found.shown)


def test_an_engine_whose_memory_is_full_has_forgotten_what_came_before():
    found = describe_past_events([event(number, "exec_die") for number in range(REMEMBERED)])
    assert (found.shown, found.has_noise) == ([], True)
    assert found.known_since == datetime.fromtimestamp(1_800_000_000, UTC)
    assert describe_past_events([]).known_since is None


def test_an_event_shows_its_exit_code_or_image_and_its_id_where_it_has_no_name():
    events = [{}, event(1, image="web:1", name="web"), event(2, "die", exitCode="137", image="web:1")]
    died, started, odd = describe_past_events(events).shown
    assert (died.detail, died.name) == ("exit code 137", "id-2")
    assert (started.detail, started.name) == ("web:1", "web")
    assert odd.name == ""
