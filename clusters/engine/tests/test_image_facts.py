import pytest

from clusters.engine.image_facts import read_image_facts

LABELS = {
    "org.opencontainers.image.version": "1.4",
    "org.opencontainers.image.revision": "4f1c",
    "org.opencontainers.image.source": "https://code.example/team/app",
    "org.opencontainers.image.created": "2026-11-30T10:00:00+01:00",
    "other": "x",
}


def test_an_image_says_its_version_revision_source_and_when_it_was_built():
    assert read_image_facts(LABELS, "2026-01-01T00:00:00Z") == {
        "version": "1.4",
        "revision": "4f1c",
        "source": "https://code.example/team/app",
        "created": "2026-11-30T09:00:00+00:00",
    }


@pytest.mark.parametrize(
    ("created", "expected"),
    [
        ("2026-01-01T00:00:00.123456789Z", {"created": "2026-01-01T00:00:00+00:00"}),
        (1767225600, {"created": "2026-01-01T00:00:00+00:00"}),
        ("0001-01-01T00:00:00Z", {}),
        (0, {}),
        (315532801, {}),  # 1980
        (10**30, {}),
        ("yesterday", {}),
        (None, {}),
    ],
)
def test_without_a_label_the_engine_says_when_it_was_built(created, expected):
    assert read_image_facts(None, created) == expected


def test_hostile_labels_are_cleaned_and_cut():
    facts = read_image_facts({"org.opencontainers.image.version": "\x1b[1m" + "v" * 999, "org.opencontainers.image.created": 5})
    assert facts == {"version": "[1m" + "v" * 125}
