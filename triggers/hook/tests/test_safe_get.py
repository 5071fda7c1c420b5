"""A link acts only when somebody means it: not for what browsers load ahead or embed, and not for previews."""

import itertools

import pytest

from clusters.models import Registry
from triggers.hook.safe_get import EMBEDDED, PREVIEWERS, explain_preview
from triggers.models import Delivery, TriggerCall
from triggers.tests.calling import PATH, link_parameters
from triggers.tests.factories import ScalingTriggerFactory, TriggerCallFactory, TriggerFactory

pytestmark = pytest.mark.django_db

# As each program sends it.
PREVIEW_AGENTS = [
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "Slackbot 1.0 (+https://api.slack.com/robots)",
    "Slack-ImgProxy (+https://api.slack.com/robots)",
    "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com",
    "MicrosoftPreview/2.0 +https://aka.ms/browserpolicydoc",
    "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
    "TelegramBot (like TwitterBot)",
    "WhatsApp/2.23.20.0",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "Mozilla/5.0 (Macintosh) AppleWebKit/601.2.4 (KHTML, like Gecko) facebookexternalhit/1.1 Facebot Twitterbot/1.0",
    "Twitterbot/1.0",
    "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
    "Mattermost-Bot/1.1",
    "Synapse (bot; +https://github.com/matrix-org/synapse)",
    "Mozilla/5.0 (compatible; ZulipURLPreview/9.2; +https://chat.example.com)",
]
PREVIEWS = [
    *({"User-Agent": agent} for agent in PREVIEW_AGENTS),
    {"Sec-Purpose": "prefetch"},
    {"Sec-Purpose": "prefetch;prerender"},
    {"Purpose": "prefetch", "Sec-Fetch-Dest": "document"},
    {"X-Moz": "prefetch"},
    {"X-Purpose": "preview"},
]
EMBEDDINGS = [{"Sec-Fetch-Dest": destination} for destination in EMBEDDED.pattern.split("|")]
UNMEANT = PREVIEWS + EMBEDDINGS
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
MEANT = [
    {},
    {"User-Agent": "curl/8.5.0"},
    {"User-Agent": "Jenkins/2.5 deploy-bot"},
    {"User-Agent": "Go-http-client/1.1"},
    {"User-Agent": "diun/4.28 go/1.22 Linux"},
    {"User-Agent": BROWSER, "Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"},
    {"User-Agent": BROWSER, "Sec-Fetch-Dest": "something-new"},
    {"Purpose": "deployment"},
]


@pytest.mark.parametrize(
    ("headers", "status"), [*zip(PREVIEWS, itertools.repeat(200)), *zip(EMBEDDINGS, itertools.repeat(403))], ids=str
)
def test_a_get_that_nobody_meant_does_nothing(client, headers, status):
    response = client.get(PATH, query_params=link_parameters(TriggerFactory()), headers=headers)
    assert (response.status_code, response.json()["code"], response.json()["requestId"]) == (status, str(status), None)
    assert response.json()["message"].startswith("Nothing was done: ")
    assert response.json()["message"].endswith("To call the link on purpose, use POST.")
    assert not TriggerCall.objects.exists()


@pytest.mark.parametrize("headers", MEANT, ids=str)
def test_a_get_of_a_tool_or_of_a_person_acts(client, headers):
    assert client.get(PATH, query_params=link_parameters(TriggerFactory()), headers=headers).json()["state"] == "queued"


@pytest.mark.parametrize("method", ["post", "put"])
@pytest.mark.parametrize("headers", UNMEANT, ids=str)
def test_post_and_put_are_always_meant(client, method, headers):
    response = getattr(client, method)(PATH, query_params=link_parameters(TriggerFactory()), headers=headers)
    assert response.json()["state"] == "queued"


def test_the_refusal_does_not_say_whether_the_link_is_right(client):
    trigger = TriggerFactory()
    right, headers = link_parameters(trigger), {"Sec-Purpose": "prefetch"}
    answers = [client.get(PATH, query_params={**right, "secret": one}, headers=headers) for one in (trigger.secret, "0" * 64)]
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize("headers", UNMEANT, ids=str)
def test_a_registrys_link_is_not_previewed_either(client, headers):
    registry = Registry.objects.create(host="registry.example.com")
    answer = client.get(f"/hook/registry/{registry.hook_token}", headers=headers)
    assert answer.json()["message"].startswith("Nothing was done: ")
    assert not Delivery.objects.exists()


def test_an_outcome_can_be_previewed_since_that_changes_nothing(client):
    call = TriggerCallFactory()
    query = {"secret": call.trigger.secret}
    assert client.get(f"/hook/calls/{call.pk}", query_params=query, headers={"Sec-Purpose": "prefetch"}).status_code == 200


def test_every_previewer_is_named():
    named = {explain_preview({"User-Agent": agent}).partition(" fetches")[0] for agent in PREVIEW_AGENTS}
    assert named == {*PREVIEWERS.values()}
    for part in PREVIEWERS:
        assert any(part.lower() in agent.lower() for agent in PREVIEW_AGENTS), part


class TestPostOnly:
    @pytest.mark.parametrize("factory", [TriggerFactory, ScalingTriggerFactory])
    def test_get_does_nothing_and_says_what_to_use(self, client, factory):
        trigger = factory(post_only=True)
        parameters = link_parameters(trigger) | ({"type": "scale_out", "step": "1"} if trigger.service else {})
        response = client.get(PATH, query_params=parameters)
        assert (response.status_code, response.json()["code"], response["Allow"]) == (405, "405", "POST, PUT")
        assert response.json()["message"] == (
            "Nothing was done: this trigger acts on POST and PUT only. With curl, add -X POST."
        )
        assert not TriggerCall.objects.exists()
        for method in (client.post, client.put):
            assert method(PATH, query_params=parameters).status_code == 200

    def test_only_who_has_the_secret_learns_of_it(self, client):
        trigger = TriggerFactory(post_only=True)
        assert client.get(PATH, query_params={**link_parameters(trigger), "secret": "0" * 64}).status_code == 404

    def test_the_outcome_is_read_with_get_as_ever(self, client):
        trigger = TriggerFactory(post_only=True)
        answer = client.post(PATH, query_params=link_parameters(trigger)).json()
        assert client.get(answer["statusUrl"].removeprefix("http://testserver")).status_code == 200


@pytest.mark.parametrize("status", [200, 403, 404])
def test_a_browser_names_the_link_as_no_referrer(client, status):
    trigger = TriggerFactory()
    wrong = {"secret": "0" * 64} if status == 404 else {}
    headers = {"Sec-Fetch-Dest": "image"} if status == 403 else {}
    response = client.get(PATH, query_params={**link_parameters(trigger), **wrong}, headers=headers)
    assert (response.status_code, response["Referrer-Policy"]) == (status, "no-referrer")
