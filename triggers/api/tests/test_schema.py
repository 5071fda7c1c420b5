"""The API's schema."""

import pytest
from django.core.management import call_command
from django.urls import reverse


def test_the_schema_validates_without_warnings(tmp_path):
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yml"))


def test_the_schema_names_every_endpoint_of_the_api(admin_client):
    schema = admin_client.get(reverse("api-schema"), headers={"accept": "application/json"}).json()
    operations = {(path.removeprefix("/api/v1/"), method) for path, item in schema["paths"].items() for method in item}
    assert {
        ("clusters/", "get"),
        ("clusters/", "post"),
        ("clusters/{id}/test/", "post"),
        ("applications/", "get"),
        ("applications/{id}/redeploy/", "post"),
        ("services/", "get"),
        ("services/{id}/scale/", "post"),
        ("triggers/", "post"),
        ("triggers/{id}/", "patch"),
        ("triggers/{id}/", "delete"),
        ("triggers/{id}/rotate/", "post"),
        ("calls/", "get"),
        ("calls/{id}/", "get"),
    } <= operations
    assert not any(path.startswith("/hook") for path in schema["paths"])


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_the_schema_can_only_be_read(admin_client, method):
    assert getattr(admin_client, method)(reverse("api-schema")).status_code == 405
