import pytest

from clusters.engine.swarm.image_references import (
    digest_of,
    find_service_reference,
    pin,
    shorten_image,
    tag_of,
    without_digest,
)

DIGEST = f"sha256:{'0123456789abcdef' * 4}"


@pytest.mark.parametrize(
    ("reference", "tag"),
    [
        ("app", ""),
        ("app:1", "1"),
        ("app:1.2.3-rc.1_x", "1.2.3-rc.1_x"),
        ("team/app", ""),
        ("localhost:5000/app", ""),
        ("localhost:5000/app:5000", "5000"),
        ("registry.example.com:8443/a/b.c/app.web:v1.0.0", "v1.0.0"),
        ("REGISTRY.Example.COM/app:Latest", "Latest"),
        ("[2001:db8::1]:5000/app", ""),
        ("[2001:db8::1]:5000/app:2", "2"),
        ("10.0.0.1:5000/app:2", "2"),
    ],
)
def test_dots_and_ports_are_not_taken_for_tags(reference, tag):
    assert tag_of(reference) == tag
    assert tag_of(f"{reference}@{DIGEST}") == tag
    assert without_digest(f"{reference}@{DIGEST}") == reference
    assert pin(reference, DIGEST) == (f"{reference}@{DIGEST}" if tag else f"{reference}:latest@{DIGEST}")


@pytest.mark.parametrize("reference", ["app:1", "localhost:5000/app:1.2", "registry.example.com:8443/a/app:v1"])
def test_the_digest_of_the_last_deployment_is_dropped(reference):
    assert find_service_reference(f"{reference}@{DIGEST}", {}) == reference
    assert find_service_reference(f"{reference}@{DIGEST}", {"com.docker.stack.image": reference}) == reference
    assert find_service_reference(reference, {}) == reference


def test_a_digest_that_a_person_wrote_is_kept():
    assert find_service_reference(f"localhost:5000/app@{DIGEST}", {}) == f"localhost:5000/app@{DIGEST}"
    assert find_service_reference(f"app:1@{DIGEST}", {"com.docker.stack.image": f"app:1@{DIGEST}"}) == f"app:1@{DIGEST}"


@pytest.mark.parametrize("image", ["", "@", "app@", "@sha256:", ":", "a:b@c:d", "app:1@sha256:../../x", "app:1@<script>"])
def test_malformed_references_raise_nothing_and_have_no_digest(image):
    assert digest_of(image) == ""
    assert tag_of(image) in {"", "b", "1"}
    assert find_service_reference(image, {}) in {image, without_digest(image)}
    assert shorten_image(image) == image


def test_a_digest_is_shortened_for_a_sentence():
    assert shorten_image(f"localhost:5000/app:1@{DIGEST}") == "localhost:5000/app:1@sha256:0123456789ab"
