"""The API's schema and the page to read it."""

import re

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


def test_the_page_holds_to_the_strict_policy(admin_client):
    page = admin_client.get(reverse("api"))
    text = page.content.decode()
    assert page.status_code == 200
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script>", text)
    assert "unsafe" not in page["Content-Security-Policy"]
    sources = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert sources
    assert not any(source.startswith(("http", "//")) for source in sources)


def test_the_pages_script_is_a_file_of_its_own_and_reads_the_schema(admin_client):
    script = admin_client.get(reverse("api"), {"script": ""})
    assert script["Content-Type"].startswith("application/javascript")
    assert reverse("api-schema") in script.content.decode()


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_the_schema_can_only_be_read(admin_client, method):
    assert getattr(admin_client, method)(reverse("api-schema")).status_code == 405
