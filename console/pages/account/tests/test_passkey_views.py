import pytest
from allauth.mfa.models import Authenticator

from clusters.models import AuditEntry
from console.factors.tests.device import Device
from console.pages.account.tests.conftest import last_entry, read_passkey_form
from console.pages.tests.hostile import HOSTILE
from console.pages.tests.reading import text_of

pytestmark = pytest.mark.django_db
PAGE, ADD = "/account/second-factor/", "/account/second-factor/passkeys/new/"


def add(client, device, name):
    options, token = read_passkey_form(client.get(ADD))
    return client.post(ADD, {"name": name, "token": token, "answer": device.create(options)})


def test_a_passkey_is_added_under_its_name(reader):
    response = add(reader, Device(), "security key")
    assert "The passkey security key was added." in text_of(response)
    assert "Your recovery codes" in text_of(response)
    entry = AuditEntry.objects.get(action="factor.add")
    assert entry.details == {"factor": "passkey", "name": "security key"}
    assert "security key" in text_of(reader.get(PAGE))


@pytest.mark.parametrize(("name", "answer"), [("", "{}"), ("x" * 65, "{}"), ("key", ""), ("key", "{}"), ("key", "[" * 9000)])
def test_what_is_no_passkey_is_not_added(reader, name, answer):
    _, token = read_passkey_form(reader.get(ADD))
    response = reader.post(ADD, {"name": name, "token": token, "answer": answer})
    assert response.status_code == 200
    assert "error" in text_of(response) or "Nothing was added." in text_of(response)
    assert not Authenticator.objects.exists()


def test_a_name_is_shown_as_text(reader):
    response = add(reader, Device(), HOSTILE[:64])
    for page in (response, reader.get(PAGE)):
        assert "<script>" not in text_of(page).replace("<script src", "")


def test_a_passkey_is_renamed(reader, device):
    row = Authenticator.objects.get()
    assert reader.post(f"{PAGE}{row.pk}/rename/", {"name": "work laptop"})["Location"] == PAGE
    assert last_entry().action == "factor.change"
    assert [change[1:] for change in last_entry().details["changes"]] == [["laptop", "work laptop"]]
    reader.post(f"{PAGE}{row.pk}/rename/", {"name": ""})
    row.refresh_from_db()
    assert row.data["name"] == "work laptop"


def test_elsewhere_the_page_says_where_passkeys_work(reader, settings):
    settings.PUBLIC_URL, settings.PUBLIC_HOST = "https://console.example.com", "console.example.com"
    assert "https://console.example.com" in text_of(reader.get(PAGE))
    assert "at the console's public address alone" in text_of(reader.get(ADD)).replace("&#x27;", "'")
