import pytest
from django.contrib.auth.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader(client):
    """Somebody without any role: the help is for everyone who is signed in."""
    client.force_login(User.objects.create_user("newcomer"))
    return client


def text_of(response):
    assert response.status_code == 200
    return response.content.decode()


def test_the_index_lists_every_document(reader):
    page = text_of(reader.get("/help/"))
    for name in ("triggers", "operate", "security", "architecture"):
        assert f'href="/help/{name}/"' in page


def test_a_search_leads_to_sections(reader):
    page = text_of(reader.get("/help/", {"q": "cool-down rejects"}))
    assert "/help/triggers/#cool-down" in page
    piece = text_of(reader.get("/help/", {"q": "cool-down"}, headers={"HX-Request": "true", "HX-Target": "list"}))
    assert piece.lstrip().startswith('<div id="list"')


def test_what_is_searched_for_is_shown_as_text(reader):
    page = text_of(reader.get("/help/", {"q": "<script>alert(1)</script>"}))
    assert "<script>alert" not in page
    assert "No section of the help" in page


def test_a_page_has_its_contents_and_its_place_in_the_frame(reader):
    page = text_of(reader.get("/help/triggers/"))
    assert '<a href="#create-a-trigger">' in page
    assert '<h2 id="create-a-trigger">' in page
    assert 'aria-label="Help: Windlass"' in page


@pytest.mark.parametrize(
    "path",
    [
        "/help/nothing/",
        "/help/images/login.png",
        "/help/images/..%2ftriggers.md",
        "/help/images/../triggers.md",
        "/help/..%2fREADME/",
        "/help/%2e%2e/%2e%2e/manage.py",
        "/help/images/create-trigger.png%00",
    ],
)
def test_nothing_else_is_served(reader, path):
    assert reader.get(path).status_code == 404


def test_a_picture_is_sent_to_those_signed_in_alone(client, reader):
    response = reader.get("/help/images/create-trigger.png")
    assert response.status_code == 200
    assert response["Content-Type"] == "image/png"
    assert response["Cache-Control"] == "private, max-age=3600"
    assert response["X-Content-Type-Options"] == "nosniff"
    client.logout()
    assert client.get("/help/images/create-trigger.png").status_code == 302


def test_the_keys_are_a_page_and_a_dialog(reader):
    assert "<kbd>?</kbd>" in text_of(reader.get("/help/keys/"))
    piece = text_of(reader.get("/help/keys/", headers={"HX-Request": "true", "HX-Target": "dialog"}))
    assert "<html" not in piece
    assert 'id="dialog-title"' in piece


def test_every_page_leads_to_its_place_in_the_help(admin_client):
    assert 'href="/help/triggers/#create-a-trigger" aria-label="Help: Triggers"' in text_of(admin_client.get("/triggers/"))
    assert 'href="/help/operate/#swarm" aria-label="Help: Nodes"' in text_of(admin_client.get("/nodes/"))
    assert 'href="/help/" aria-label="Help: Windlass"' in text_of(admin_client.get("/"))
