"""Files that slow readers read."""

import csv
import gc
import io

import pytest
from django.conf import settings
from django.test import Client, RequestFactory

from clusters.access.audit import record
from clusters.tests.pooled import pooled as pooled
from clusters.tests.users import make_user
from console.pages.shared import downloads
from console.pages.shared.downloads import send_download
from console.pages.shared.exports import BLOCK_CHARACTERS, send_csv


@pytest.fixture
def make_request():
    def make(pk):
        request = RequestFactory().get("/")
        request.user = type("User", (), {"pk": pk})()
        return request

    return make


def pieces(number=3):
    for index in range(number):
        yield f"piece {index}\n"


def download(request):
    return send_download(request, "file.txt", "text/plain", pieces)


@pytest.mark.django_db  # an earlier test of the process can have left a connection, which is given back
class TestPlaces:
    def test_a_user_has_few_and_leaves_the_others_theirs(self, make_request):
        kept = [download(make_request(1)) for _ in range(settings.DOWNLOADS_FOR_EACH)]
        refused = download(make_request(1))
        assert (refused.status_code, refused["Retry-After"]) == (503, "30")
        assert refused.content.decode() == (
            "4 of your downloads are under way, and no more can be at a time. Let one end, then try again.\n"
        )
        assert download(make_request(2)).status_code == 200
        kept.pop().close()
        assert download(make_request(1)).status_code == 200

    def test_all_together_leave_threads_to_links(self, make_request):
        kept = [download(make_request(pk)) for pk in range(settings.DOWNLOADS)]
        refused = download(make_request("another"))
        assert refused.status_code == 503
        assert refused.content.decode().startswith("16 downloads are under way")
        assert all(response.status_code == 200 for response in kept)

    def test_a_place_is_given_up_once_however_the_download_ends(self, make_request):
        whole = download(make_request(1))
        assert b"".join(whole) == b"piece 0\npiece 1\npiece 2\n"
        whole.close()
        whole.close()
        part = download(make_request(1))
        assert next(iter(part)) == b"piece 0\n"
        part.close()
        dropped = download(make_request(1))  # by a middleware that failed
        del dropped
        gc.collect()
        assert not downloads.places._held

        def fail():
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            send_download(make_request(1), "file.txt", "text/plain", fail)
        assert not downloads.places._held

    @pytest.fixture(autouse=True)
    def _own_places(self, monkeypatch):
        monkeypatch.setattr(downloads, "places", downloads.Places(settings.DOWNLOADS, settings.DOWNLOADS_FOR_EACH))


def test_a_list_is_sent_in_blocks(make_request):
    rows = [(number, "x" * 100) for number in range(1000)]
    blocks = list(send_csv(make_request(1), "list", ("number", "text"), rows))
    assert len(blocks) == 4
    assert all(len(block) < BLOCK_CHARACTERS + 200 for block in blocks)
    assert list(csv.reader(io.StringIO(b"".join(blocks).decode())))[1:] == [[str(number), text] for number, text in rows]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("address", ["/audit/export/", "/activity/export/"])
def test_no_slow_reader_holds_a_connection(pooled, address, monkeypatch):
    monkeypatch.setattr("console.pages.shared.exports.BLOCK_CHARACTERS", 1)
    reader = Client()
    user = make_user("root", is_superuser=True)
    reader.force_login(user)
    for _ in range(3):
        record(user, "sign_out")
    response = reader.get(address)
    held = [pooled() for _ in response]
    assert len(held) >= 1
    assert not any(held)
