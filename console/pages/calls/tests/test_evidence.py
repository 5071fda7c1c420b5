import pytest

from clusters.models import AuditEntry
from clusters.roles import Role
from clusters.tests.users import make_user
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
    assert "Of 2 more, no output is kept." in page


def test_lines_can_be_searched_without_a_script(reader, failed):
    page = reader.get(f"/calls/{failed.pk}/", {"q": "STARTING"}).content.decode()
    assert "1 of 2 lines match." in page
    assert "error: &lt;script&gt;" not in page
    assert "No line matches." in reader.get(f"/calls/{failed.pk}/", {"q": "zzz"}).content.decode()


def test_whoever_may_not_read_logs_sees_that_there_is_evidence_and_no_lines(client, failed):
    client.force_login(make_user("ann", Role.VIEWER))
    page = client.get(f"/calls/{failed.pk}/").content.decode()
    assert "What failed" in page
    assert "Reading it needs the permission to read logs." in page
    assert "10:00:00.000" not in page
    assert "/evidence/" not in page
    assert "lines match" not in client.get(f"/calls/{failed.pk}/", {"q": "starting"}).content.decode()
    assert client.get(f"/calls/{failed.pk}/evidence/").status_code == 403
    assert client.get(f"/api/v1/calls/{failed.pk}/evidence/").status_code == 403


def test_pruned_evidence_is_said(reader, failed):
    failed.evidence.all().delete()
    page = reader.get(f"/calls/{failed.pk}/").content.decode()
    assert "Of 3, no output is kept." in page
    assert "Search these lines" not in page


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
