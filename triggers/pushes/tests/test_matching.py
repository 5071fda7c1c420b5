"""Decisions about pushed images, without a database."""

from dataclasses import replace

import pytest

from clusters.registry.reference import BadReference, ImageReference, parse_reference
from triggers.pushes.matching import (
    Hosts,
    PushedImage,
    RedeployTarget,
    Subscription,
    decide_push,
    follow_services,
    list_polled_tags,
    locate_push,
    read_running_image,
)

OLD, NEW = "sha256:" + "1" * 64, "sha256:" + "2" * 64
REGISTRY = "registry.example.com:5000"
HOSTS = Hosts({REGISTRY: ("internal:5000",), "docker.io": ("mirror.example.com",), "ghcr.io": ()})
APP = parse_reference(f"{REGISTRY}/team/app")


def run(*images, hosts=HOSTS):
    """Return the images of one service for each `reference` or `reference=digest`."""
    rows = [text.partition("=") for text in images]
    found = [
        read_running_image(pk, f"s{pk}", image, [f"x@{digest}"] if digest else [], hosts)
        for pk, (image, _, digest) in enumerate(rows, 1)
    ]
    return tuple(image for image in found if image)


def decide(tag, digest, images, *, subscription=None, **target):
    subscription = subscription or Subscription(APP)
    verdict = decide_push(
        PushedImage(REGISTRY, "team/app", tag, digest), subscription, RedeployTarget("shop", run(*images), **target)
    )
    return verdict.decision.value, verdict


ONE = f"{REGISTRY}/team/app:1={OLD}"
TWO = f"{REGISTRY}/team/app:2={OLD}"


@pytest.mark.parametrize(
    ("subscription", "tag", "digest", "images", "decision"),
    [
        # The tag that runs.
        ({}, "1", NEW, [ONE], "triggered"),
        ({}, "1", "", [ONE], "triggered"),
        ({}, "1", OLD, [ONE], "unchanged"),
        ({}, "2", NEW, [ONE], "tag"),
        ({}, "latest", NEW, [f"{REGISTRY}/team/app"], "triggered"),
        ({}, "1", NEW, [f"{REGISTRY}/team/app"], "tag"),
        ({}, "1234", NEW, [f"{REGISTRY}/team/app:1234"], "triggered"),
        ({}, "1", NEW, ["internal:5000/Team/App:1"], "triggered"),
        ({}, "", NEW, [ONE], "tag"),
        ({}, "1", NEW, [], "image"),
        ({}, "1", NEW, ["other:1"], "image"),
        ({}, "1", NEW, [f"{REGISTRY}/team/app:1@{OLD}"], "image"),
        ({}, "1", NEW, [f"{REGISTRY}/team/app@{OLD}", ONE], "triggered"),
        # Several services.
        ({}, "1", NEW, [ONE, TWO], "triggered"),
        ({}, "1", OLD, [ONE, f"{REGISTRY}/team/app:1={NEW}"], "triggered"),
        ({}, "1", OLD, [ONE, f"{REGISTRY}/team/app:2={NEW}"], "unchanged"),
        # Every tag.
        ({"condition": "every"}, "anything", NEW, [ONE], "triggered"),
        ({"condition": "every"}, "anything", OLD, [ONE], "unchanged"),
        ({"condition": "every"}, "", NEW, [ONE], "tag"),
        ({"condition": "every"}, "1", NEW, [f"{REGISTRY}/team/app:1@{OLD}"], "image"),
        # An expression matches the whole tag; one that cannot be used matches none.
        ({"condition": "pattern", "pattern": "v[0-9]+"}, "v12", NEW, [ONE], "triggered"),
        ({"condition": "pattern", "pattern": "v[0-9]+"}, "v12-rc", NEW, [ONE], "tag"),
        ({"condition": "pattern", "pattern": "("}, "v12", NEW, [ONE], "tag"),
        # A list.
        ({"condition": "tags", "tags": ("1", "stable")}, "stable", NEW, [ONE], "triggered"),
        ({"condition": "tags", "tags": ("1", "stable")}, "2", NEW, [ONE], "tag"),
    ],
)
def test_decisions_by_condition_and_digest(subscription, tag, digest, images, decision):
    found, verdict = decide(tag, digest, images, subscription=Subscription(APP, **subscription))
    assert found == decision
    assert verdict.message.endswith(".")


def test_a_digest_that_was_left_is_taken_only_where_a_person_wants_it():
    images = [replace(image, left=frozenset({NEW})) for image in run(ONE, TWO)]
    push, target = PushedImage(REGISTRY, "team/app", "1", NEW), RedeployTarget("shop", tuple(images))
    verdict = decide_push(push, Subscription(APP), target)
    assert verdict.decision.value == "left"
    assert verdict.message.startswith("Not triggered: shop left this digest")
    assert decide_push(push, Subscription(APP), target, takes_left=True).decision.value == "triggered"
    for other in (replace(push, digest="sha256:" + "3" * 64), replace(push, digest="")):
        assert decide_push(other, Subscription(APP), target).decision.value == "triggered"


def test_an_application_that_is_being_changed_proves_nothing():
    assert decide("1", OLD, [ONE])[0] == "unchanged"
    assert decide("1", OLD, [ONE], changing=True)[0] == "triggered"


@pytest.mark.parametrize(
    ("pattern", "tag", "images", "carried", "services"),
    [
        ("", "2", [ONE], "", ()),
        ("[0-9]+", "2", [ONE], "2", ()),
        ("[0-9]+", "2-rc", [ONE], "", ()),
        ("[0-9]+", "1", [ONE], "", ()),
        ("[0-9]+", "2", [ONE, "postgres:16"], "2", (1,)),
        ("[0-9]+", "2", [ONE, TWO, "postgres:16"], "2", (1, 2)),
        ("(", "2", [ONE], "", ()),
    ],
)
def test_the_tag_changes_only_if_the_trigger_allows_it_and_only_for_its_repository(pattern, tag, images, carried, services):
    every = Subscription(APP, condition="every")
    _, verdict = decide(tag, NEW, images, subscription=every, tag_pattern=pattern)
    assert (verdict.tag, verdict.service_ids) == (carried, services)


@pytest.mark.parametrize(
    ("name", "registry", "relayed", "found"),
    [
        # At a registry's link: in that registry, whatever it calls itself.
        ("team/app", REGISTRY, False, (REGISTRY, "team/app")),
        ("10.0.0.5:5000/team/app", REGISTRY, False, (REGISTRY, "team/app")),
        ("localhost/team/app", REGISTRY, False, (REGISTRY, "team/app")),
        ("internal:5000/Team/App", REGISTRY, False, (REGISTRY, "team/app")),
        ("Owner/app", "ghcr.io", False, ("ghcr.io", "owner/app")),
        ("app", "docker.io", False, ("docker.io", "library/app")),
        # Unless it names another stored registry, or the sender relays for any registry.
        ("mirror.example.com/app", REGISTRY, False, ("docker.io", "library/app")),
        ("quay.io/team/app", REGISTRY, True, ("quay.io", "team/app")),
        ("index.docker.io/team/app", REGISTRY, True, ("docker.io", "team/app")),
        ("team/app", REGISTRY, True, (REGISTRY, "team/app")),
        # At a trigger's own link: in the registry that the name says.
        ("internal:5000/team/app", "", False, (REGISTRY, "team/app")),
        ("10.0.0.5:5000/team/app", "", False, ("10.0.0.5:5000", "team/app")),
        ("Team/App", "", False, ("", "team/app")),
    ],
)
def test_a_name_is_located_in_its_registry(name, registry, relayed, found):
    assert locate_push(name, HOSTS, registry, relayed=relayed) == found


@pytest.mark.parametrize("name", ["", "/", "a//b", "reg:x/app", "host.example/", "a b", "\0", "é", "..", "app:1", "a" * 600])
@pytest.mark.parametrize("registry", ["", REGISTRY])
def test_a_bad_name_is_refused(name, registry):
    with pytest.raises(BadReference):
        locate_push(name, HOSTS, registry)


def test_a_path_alone_is_compared_with_docker_hubs_short_names_too():
    hub, own = parse_reference("app"), parse_reference(f"{REGISTRY}/app")
    assert PushedImage("", "app").is_of(hub)
    assert PushedImage("", "library/app").is_of(hub)
    assert PushedImage("", "app").is_of(own)
    assert not PushedImage("", "library/app").is_of(own)
    assert not PushedImage("docker.io", "library/app").is_of(own)


def test_every_name_of_an_image_is_listed():
    assert HOSTS.list_names(APP) == {f"{REGISTRY}/team/app", "internal:5000/team/app"}
    names = HOSTS.list_names(ImageReference("docker.io", "library/app"))
    assert {"docker.io/library/app", "mirror.example.com/app"} <= names
    assert HOSTS.normalize(parse_reference("mirror.example.com/app:1")) == parse_reference("docker.io/library/app:1")


def test_a_trigger_without_subscriptions_follows_each_repository_once():
    images = run(ONE, TWO, "internal:5000/team/app:3", "postgres:16")
    assert [item.repository.repository for item in follow_services(images)] == [APP.repository, "docker.io/library/postgres"]
    assert run("sha256:" + "1" * 64 + "@x", "") == ()


@pytest.mark.parametrize(
    ("subscription", "tags"),
    [
        ({}, ["1", "2"]),
        ({"condition": "every"}, ["1", "2"]),
        ({"condition": "pattern", "pattern": "[2-9]"}, ["2"]),
        ({"condition": "tags", "tags": ("9", "1")}, ["1", "9"]),
    ],
)
def test_polling_checks_the_listed_tags_or_those_that_run(subscription, tags):
    images = run(ONE, TWO, ONE, f"{REGISTRY}/team/app:3@{OLD}", "postgres:16")
    assert list_polled_tags(Subscription(APP, **subscription), images) == tags
