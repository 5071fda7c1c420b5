import pytest

from clusters.engine.errors import PlanRefused
from clusters.engine.tags import refuse_several_repositories, with_tag

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("reference", "changed"),
    [
        ("app", "app:2"),
        ("team/app:1.0-rc.1", "team/app:2"),
        ("127.0.0.1:5000/app", "127.0.0.1:5000/app:2"),
        ("127.0.0.1:5000/app:1234", "127.0.0.1:5000/app:2"),
        (f"registry.example.com/app@{DIGEST}", "registry.example.com/app:2"),
        (f"registry.example.com:5000/app:1@{DIGEST}", "registry.example.com:5000/app:2"),
    ],
)
def test_a_reference_keeps_its_repository_and_loses_tag_and_digest(reference, changed):
    assert with_tag(reference, "2") == changed
    assert with_tag(reference, "") == reference


def test_one_repository_can_be_written_in_several_ways():
    refuse_several_repositories("shop", ["app:1", "docker.io/library/app:2", f"index.docker.io/app@{DIGEST}"])


@pytest.mark.parametrize(
    ("references", "code"),
    [(["app:1", "other:1"], "several_repositories"), (["A very/odd name:1"], "no_image_reference")],
)
def test_a_tag_that_cannot_apply_to_all_is_refused(references, code):
    with pytest.raises(PlanRefused) as refusal:
        refuse_several_repositories("shop", references)
    assert refusal.value.code == code
