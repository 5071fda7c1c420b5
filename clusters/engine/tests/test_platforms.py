import pytest

from clusters.engine.platforms import differ, read_container_platform, read_platform

ARM = {"Os": "linux", "Architecture": "arm", "Variant": "v6"}


@pytest.mark.parametrize(
    ("image", "platform"),
    [
        ({"Os": "linux", "Architecture": "386"}, "linux/386"),
        ({"Os": "linux", "Architecture": "386", "Variant": ""}, "linux/386"),
        (ARM, "linux/arm/v6"),
        ({"Os": "linux", "Architecture": ""}, ""),
        ({}, ""),
        (None, ""),
    ],
)
def test_a_platform_is_read_from_an_image(image, platform):
    assert read_platform(image) == platform


def test_a_container_of_a_newer_engine_names_its_platform_itself():
    details = {"ImageManifestDescriptor": {"platform": {"os": "linux", "architecture": "386"}}}
    assert read_container_platform(details, ARM) == "linux/386"
    assert read_container_platform({"ImageManifestDescriptor": None}, ARM) == "linux/arm/v6"


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("linux/386", "linux/amd64", True),
        ("linux/arm/v6", "linux/arm/v7", False),
        ("linux/arm", "linux/arm/v7", False),
        ("linux/amd64", "windows/amd64", True),
        ("", "linux/amd64", False),
        ("linux/amd64", "", False),
    ],
)
def test_platforms_differ_in_system_or_architecture(first, second, expected):
    assert differ(first, second) is expected
