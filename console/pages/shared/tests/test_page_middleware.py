"""What the middleware adds to every answer."""

import pytest


@pytest.mark.parametrize(
    "path", ["/", "/login/", "/api/v1/triggers/", "/admin/", "/nothing/here/", "/hook/nothing", "/healthz"]
)
def test_no_answer_is_kept_by_a_browser_or_on_its_way(admin_client, path):
    assert "no-store" in admin_client.get(path)["Cache-Control"]
