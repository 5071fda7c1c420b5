import pytest

from clusters.models import AuditEntry
from triggers.models import CallEvidence
from triggers.tests.factories import TriggerCallFactory

pytestmark = pytest.mark.django_db

HOSTILE = "error: <script>alert(1)</script>"


@pytest.fixture
def failed():
    call = TriggerCallFactory(
        state="failed",
        message="shop-web-1 exited.",
        failure={"container": "shop-web-1", "image": "shop:2", "imageId": "", "firstErrorLine": HOSTILE, "failed": 3},
    )
    CallEvidence.objects.create(
        call=call,
        part_id="a" * 64,
        name="shop-web-1",
        image="shop:2",
        exit_code=3,
        cause="shop-web-1 did not keep running (exit code 3).",
        lines=[
            ["2026-11-30T10:00:00.000000000Z", "stdout", "starting"],
            ["2026-11-30T10:00:01.000000000Z", "stderr", HOSTILE],
        ],
        is_cut=True,
    )
    return call


def test_the_page_shows_the_last_lines_of_what_failed_and_hostile_text_is_inert(reader, failed):
    page = reader.get(f"/calls/{failed.pk}/").content.decode()
    assert "10:00:00.000" in page
    assert "error: &lt;script&gt;" in page
    assert "<script>alert" not in page
    assert "shop:2" in page
    assert "The last 2 lines. Earlier ones were not kept." in page
    assert "2 more failed. Their output was not kept." in page


def test_lines_can_be_searched_without_a_script(reader, failed):
    page = reader.get(f"/calls/{failed.pk}/", {"q": "STARTING"}).content.decode()
    assert "1 of 2 lines match." in page
    assert "error: &lt;script&gt;" not in page
    assert "No line matches." in reader.get(f"/calls/{failed.pk}/", {"q": "zzz"}).content.decode()


def test_a_call_in_which_nothing_failed_has_no_such_part(reader):
    assert "What failed" not in reader.get(f"/calls/{TriggerCallFactory(state='succeeded').pk}/").content.decode()


def test_the_file_has_every_line_with_time_and_stream(reader, failed):
    answer = reader.get(f"/calls/{failed.pk}/evidence/")
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["Content-Disposition"].startswith(f'attachment; filename="evidence-{failed.pk}-')
    text = b"".join(answer.streaming_content).decode()
    assert text.startswith("[shop-web-1, shop:2, exit code 3: shop-web-1 did not keep running (exit code 3).]\n")
    assert f"2026-11-30T10:00:01.000000000Z stderr {HOSTILE}\n" in text
    assert AuditEntry.objects.filter(action="logs.download").count() == 1


def test_the_api_returns_the_lines(reader, failed):
    (found,) = reader.get(f"/api/v1/calls/{failed.pk}/evidence/").json()
    assert (found["name"], found["image"], found["exit_code"], found["is_cut"]) == ("shop-web-1", "shop:2", 3, True)
    assert found["lines"][1] == {"time": "2026-11-30T10:00:01.000000000Z", "stream": "stderr", "text": HOSTILE}
