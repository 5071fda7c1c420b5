import pytest

from clusters.engine.evidence import CONTAINERS, Evidence, EvidenceLine
from triggers.calls.evidence import add_first_error, keep_evidence
from triggers.models import CallEvidence
from triggers.tests.factories import TriggerCallFactory

IMAGE_ID = "sha256:" + "0123456789ab" + "c" * 52


def make_evidence(number=1, text="error: no disk", **fields):
    line = EvidenceLine("2026-11-30T10:00:00.000000000Z", "stderr", text)
    defaults = {"name": f"shop-web-{number}", "image": "shop:2", "image_id": IMAGE_ID, "lines": (line,), "exit_code": 3}
    return Evidence(f"{number:064}", **defaults | fields)


@pytest.mark.django_db
class TestKeep:
    def test_the_first_failure_is_named_and_each_is_counted(self):
        call = TriggerCallFactory(state="running")
        keep_evidence(call, make_evidence(1))
        keep_evidence(call, make_evidence(2, "error: no memory"))
        call.refresh_from_db()
        assert call.failure == {
            "container": "shop-web-1",
            "image": "shop:2",
            "imageId": IMAGE_ID,
            "firstErrorLine": "error: no disk",
            "failed": 2,
        }
        assert list(call.evidence.values_list("name", "exit_code")) == [("shop-web-1", 3), ("shop-web-2", 3)]

    def test_another_attempt_at_the_call_keeps_nothing_twice(self):
        call = TriggerCallFactory(state="running")
        keep_evidence(call, make_evidence())
        keep_evidence(call, make_evidence())
        assert (call.failure["failed"], call.evidence.count()) == (1, 1)

    def test_more_than_the_most_are_only_counted(self):
        call = TriggerCallFactory(state="running")
        for number in range(CONTAINERS + 2):
            keep_evidence(call, make_evidence(number))
        assert (call.failure["failed"], call.evidence.count()) == (CONTAINERS + 2, CONTAINERS)

    def test_tokens_are_redacted_and_no_nul_is_stored(self):
        call = TriggerCallFactory(state="running")
        keep_evidence(call, make_evidence(text="error: dckr_pat_abcdefghijkl\0 refused", cause="a\0b"))
        (row,) = call.evidence.all()
        assert (row.lines[0][2], row.cause) == ("error: [redacted] refused", "ab")
        assert call.failure["firstErrorLine"] == "error: [redacted] refused"

    def test_it_is_deleted_with_its_call(self):
        call = TriggerCallFactory(state="running")
        keep_evidence(call, make_evidence())
        call.delete()
        assert not CallEvidence.objects.exists()


def fail(line, image="shop:2", image_id=IMAGE_ID):
    return {"container": "shop-web-1", "image": image, "imageId": image_id, "firstErrorLine": line, "failed": 1}


@pytest.mark.parametrize(
    ("failure", "added"),
    [
        pytest.param(None, "", id="nothing kept"),
        pytest.param(fail("no disk"), " shop-web-1 from shop:2 (sha256:0123456789ab) printed: no disk", id="line"),
        pytest.param(fail(""), " The image that was tried: shop:2 (sha256:0123456789ab).", id="no output"),
        pytest.param(fail("exited", "", ""), "", id="said already"),
    ],
)
def test_the_verdict_says_the_first_error_line_once(failure, added):
    assert add_first_error("shop-web-1 exited.", failure) == f"shop-web-1 exited.{added}"
