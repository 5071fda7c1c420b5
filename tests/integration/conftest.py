"""Short words for the driver's tests on the real engine."""

import itertools
from collections.abc import Callable
from typing import Any

import docker
import pytest

from tests.harness.images import make_image
from tests.harness.projects import Project


@pytest.fixture
def project(api: docker.APIClient) -> Project:
    """A Compose project named `shop`."""
    return Project(api, "shop")


_tags = itertools.count(1)


@pytest.fixture
def image(api: docker.APIClient) -> Callable[..., str]:
    """`image(Env=[…])` makes a local image under a tag of its own and returns its reference; `image(reference, …)` is the
    next build: it moves the tag to a new image. Every build is another image.
    """

    def make(reference: str = "", **config: Any) -> str:
        number = next(_tags)
        reference = reference or f"windlass-test/app{number}:1"
        config["Labels"] = {"build": str(number), **config.get("Labels", {})}
        make_image(api, reference, **config)
        return reference

    return make
