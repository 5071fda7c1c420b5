"""Signatures, caches and the like are no new version, whatever a condition says, in pushes and in polling."""

import pytest

from clusters.registry.reference import parse_reference
from triggers.models import Decision
from triggers.pushes.matching import (
    PushedImage,
    RedeployTarget,
    RunningImage,
    Subscription,
    decide_push,
    list_polled_tags,
    strip_tag,
)
from triggers.pushes.side_products import explain_side_product

HEX = "a1" * 32
APP = parse_reference("registry.example.com/team/app:1")
SIDE = [
    f"sha256-{HEX}",
    *(f"sha256-{HEX}.{end}" for end in ("sig", "att", "sbom", "dockerfile", "sig.1")),
    f"sha512-{HEX}{HEX}",
    *("buildcache", "build-cache", "cache", "main-buildcache", "buildcache-amd64", "cache-main", "app.cache"),
]
VERSIONS = [
    "1",
    "latest",
    "v1.2",
    "sha256",
    "sha-3f2a9c1",
    f"sha256-{HEX[:12]}",
    f"build-{HEX}",
    "cached",
    "memcache",
    "cachet-2",
]


@pytest.mark.parametrize("tag", SIDE)
def test_side_products_are_recognised(tag):
    assert explain_side_product(tag)


@pytest.mark.parametrize("tag", VERSIONS)
def test_versions_are_not(tag):
    assert explain_side_product(tag) == ""


def test_what_runs_is_an_image_whatever_its_tag_looks_like():
    assert explain_side_product("redis-cache", {"redis-cache"}) == ""
    assert explain_side_product(f"sha256-{HEX}.sig", {f"sha256-{HEX}.sig"})


CONDITIONS = [
    Subscription(strip_tag(APP), "every"),
    Subscription(strip_tag(APP), "pattern", pattern=".*"),
    Subscription(strip_tag(APP), "tags", tags=(f"sha256-{HEX}.sig", "buildcache", "1")),
]


@pytest.mark.parametrize("subscription", CONDITIONS, ids=lambda one: one.condition)
@pytest.mark.parametrize("tag", [f"sha256-{HEX}.sig", "buildcache"])
def test_no_condition_follows_them(subscription, tag):
    target = RedeployTarget("shop", (RunningImage(1, "web", APP),), tag_pattern=".*")
    verdict = decide_push(PushedImage(APP.host, APP.path, tag, f"sha256:{HEX}"), subscription, target)
    assert verdict.decision == Decision.TAG
    assert "not a new version" in verdict.message


def test_polling_does_not_ask_for_them():
    assert list_polled_tags(CONDITIONS[2], (RunningImage(1, "web", APP),)) == ["1"]
