"""Redeploys that run through. For interrupted ones see test_execute.py."""

import json

import pytest

from clusters.engine.driver import Intent
from clusters.engine.errors import PlanRefused
from clusters.engine.fakes.fake_engine import CRASHES, RUNS
from clusters.engine.previous_images import PreviousImage
from clusters.engine.swarm.image_references import shorten_image
from clusters.engine.swarm.tests.executing import WEB, force_updates, images, run


def test_a_stack_is_updated_side_by_side_and_the_message_names_the_images(fake):
    fake.publish("web:1", Cmd=RUNS)
    drive = run(fake)
    assert drive.outcome.state == "succeeded"
    assert "2 of api with api:1@sha256:" in drive.outcome.message
    assert "2 of web with web:1@sha256:" in drive.outcome.message
    assert force_updates(fake) == {"shop_api": 1, "shop_web": 1}


STACK_IMAGE = "com.docker.stack.image"


def spec_of(fake, name="shop_web"):
    return fake.swarm.find_service(name).spec


def test_another_tag_stays_for_later_redeploys_even_in_place_of_a_written_digest(fake):
    spec = spec_of(fake)
    spec["Labels"][STACK_IMAGE] = spec["TaskTemplate"]["ContainerSpec"]["Image"]
    fake.publish("web:2", Cmd=RUNS)
    assert run(fake, WEB, intent=Intent(tag="2")).outcome.state == "succeeded"
    assert spec_of(fake)["Labels"][STACK_IMAGE] == "web:2"
    rebuilt = fake.publish("web:2", Cmd=RUNS)
    assert run(fake, WEB).outcome.state == "succeeded"
    assert spec_of(fake)["TaskTemplate"]["ContainerSpec"]["Image"] == f"web:2@{fake.digest_of(rebuilt)}"


def test_another_tag_that_fails_is_rolled_back_to_the_old_reference(fake):
    spec = spec_of(fake)
    spec["Labels"][STACK_IMAGE] = "web:1"
    before = json.loads(json.dumps(spec))
    fake.publish("web:2", Cmd=CRASHES)
    assert run(fake, WEB, intent=Intent(tag="2")).outcome.state == "rolled_back"
    assert spec_of(fake) == before


def test_a_stack_is_rolled_back_as_a_whole_when_one_service_crashes(fake):
    before = {service.name: service.spec["TaskTemplate"] for service in fake.swarm.services.values()}
    fake.publish("web:1", Cmd=CRASHES)
    drive = run(fake)
    assert (drive.outcome.state, drive.outcome.reason) == ("rolled_back", "update_paused")
    assert "non-zero exit (1)" in drive.outcome.message
    assert "The previous version runs again: 2 of 2 tasks of api run api:1@sha256:" in drive.outcome.message
    assert {service.name: service.spec["TaskTemplate"] for service in fake.swarm.services.values()} == before


def test_swarms_own_rollback_is_reported_beside_what_was_not_rolled_back(fake):
    fake.swarm.find_service("shop_web").spec["UpdateConfig"]["FailureAction"] = "rollback"
    fake.publish("web:1", Cmd=CRASHES)
    drive = run(fake, intent=Intent("pause"))
    assert (drive.outcome.state, drive.outcome.reason) == ("failed", "partly_rolled_back")
    assert force_updates(fake) == {"shop_api": 1, "shop_web": 0}


def test_a_later_wave_is_not_started_after_a_failure(fake):
    fake.swarm.find_service("shop_web").spec["Labels"]["windlass.depends"] = "api"
    fake.publish("api:1", Cmd=CRASHES)
    drive = run(fake)
    assert drive.outcome.state == "rolled_back"
    assert drive.outcome.message.endswith("web was not updated.")
    assert force_updates(fake) == {"shop_api": 0, "shop_web": 0}


def previous(fake, reference="web:1"):
    """Return the intent that brings web to the image that it runs now, later."""
    image = fake.swarm.find_service("shop_web").spec["TaskTemplate"]["ContainerSpec"]["Image"]
    return Intent(returns_to={"web": PreviousImage(reference, digests=(image,))})


def test_a_return_updates_the_named_services_to_the_digest_and_a_plain_redeploy_resolves_the_tag_again(fake):
    spec_of(fake)["Labels"][STACK_IMAGE] = "web:1"
    first, intent = images(fake)["shop_web"], previous(fake)
    second = fake.publish("web:1", Cmd=RUNS)
    assert run(fake).outcome.state == "succeeded"
    drive = run(fake, intent=intent)
    assert drive.outcome.state == "succeeded"
    assert images(fake)["shop_web"] == first
    assert spec_of(fake)["Labels"][STACK_IMAGE] == "web:1"
    assert force_updates(fake) == {"shop_api": 1, "shop_web": 2}
    assert not [text for _, operation, text in drive.events if operation == "resolve"]
    assert f"update shop_web to {shorten_image(first)}" in [text for _, _, text in drive.events]
    assert run(fake, WEB).outcome.state == "succeeded"
    assert images(fake)["shop_web"] == f"web:1@{fake.digest_of(second)}"


def test_a_return_that_fails_is_rolled_back(fake):
    crashing = fake.publish("web:0", Cmd=CRASHES)
    before = images(fake)["shop_web"]
    image = PreviousImage("web:1", digests=(f"web:1@{fake.digest_of(crashing)}",))
    assert run(fake, intent=Intent(returns_to={"web": image})).outcome.state == "rolled_back"
    assert images(fake)["shop_web"] == before


def test_a_return_to_another_tag_configures_that_tag_again(fake):
    spec_of(fake)["Labels"][STACK_IMAGE] = "web:1"
    first, intent = images(fake)["shop_web"], previous(fake)
    fake.publish("web:2", Cmd=RUNS)
    run(fake, WEB, intent=Intent(tag="2"))
    assert run(fake, WEB, intent=intent).outcome.state == "succeeded"
    assert (images(fake)["shop_web"], spec_of(fake)["Labels"][STACK_IMAGE]) == (first, "web:1")


def test_a_digest_that_a_person_wrote_is_replaced_by_the_one_that_is_returned_to(fake):
    first, intent = images(fake)["shop_web"], previous(fake)
    fake.publish("web:1", Cmd=RUNS)
    run(fake, WEB)
    spec_of(fake)["Labels"][STACK_IMAGE] = images(fake)["shop_web"]
    assert run(fake, WEB, intent=intent).outcome.state == "succeeded"
    assert (images(fake)["shop_web"], spec_of(fake)["Labels"][STACK_IMAGE]) == (first, first)


@pytest.mark.parametrize(
    ("returns_to", "code"),
    [
        ({"other": PreviousImage("web:1", digests=("web:1@sha256:0",))}, "not_found"),
        ({"web": PreviousImage("web:1")}, "missing_image"),
    ],
    ids=["no such service", "no digest"],
)
def test_a_return_that_cannot_be_is_refused(fake, returns_to, code):
    with pytest.raises(PlanRefused) as refused:
        run(fake, intent=Intent(returns_to=returns_to))
    assert refused.value.code == code
