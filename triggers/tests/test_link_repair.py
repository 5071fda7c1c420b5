"""Links as people paste them: what can mean nothing else acts, and the answer names any other damage."""

from urllib.parse import parse_qsl, quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggers.link_repair import explain_secret, repair_query, repair_secret
from triggers.models import TriggerCall
from triggers.selectors import build_trigger_link
from triggers.tests.calling import PATH, link_parameters
from triggers.tests.factories import ScalingTriggerFactory, TriggerFactory

pytestmark = pytest.mark.django_db

BLANKS = ["%0A", "%0D%0A", "%20", "+", "%09", "%C2%A0", "%E2%80%8B", "%250A", "%25250D%25250A"]
# What happens to a link's query on its way. In each, it can mean one thing only.
REPAIRED = {
    **{f"{blank} after the secret": lambda query, blank=blank: query + blank for blank in BLANKS},
    **{
        f"{blank} before the secret": lambda query, blank=blank: query.replace("&secret=", f"&secret={blank}")
        for blank in BLANKS
    },
    **{
        f"{blank} after triggerUrl": lambda query, blank=blank: query.replace("&secret=", f"{blank}&secret=")
        for blank in BLANKS
    },
    "HTML entity": lambda query: query.replace("&", "&amp;"),
    "HTML entity, twice": lambda query: query.replace("&", "&amp;amp;"),
    "numeric HTML entity": lambda query: query.replace("&", "&%2338;"),
    "HTML entity, its semicolon escaped": lambda query: query.replace("&", "&amp%3B"),
    "escaped padding": lambda query: query.replace("==", "%3D%3D"),
    "padding escaped twice": lambda query: query.replace("==", "%253D%253D"),
    "padding escaped three times": lambda query: query.replace("==", "%25253D%25253D"),
    "no padding": lambda query: query.replace("==", ""),
    "half of the padding": lambda query: query.replace("==", "="),
    "upper-case secret": lambda query: query[:-64] + query[-64:].upper(),
    "URL-safe base64": lambda query: query.replace("%2B", "-").replace("%2F", "_"),
    "escaped separator": lambda query: query.replace("&", "%26"),
    "separators all escaped": lambda query: quote(query, safe=""),
    "separators all escaped twice": lambda query: quote(quote(query, safe=""), safe=""),
    "trailing separator": lambda query: query + "&",
    "equal parameters twice": lambda query: f"{query}&{query}",
    "another order": lambda query: "&".join(reversed(query.split("&"))),
}
DAMAGED = {
    "ellipsis": (lambda query: query[:-20] + "%E2%80%A6", "The secret was shortened: it has an ellipsis"),
    "cut": (lambda query: query[:-20], "The secret was cut off: it has 44 of its 64 characters."),
    "appended": (lambda query: query + "?orgId=1", "The secret has 8 characters too many. Something was appended to the link."),
    "placeholder": (lambda query: query[:-64] + "$SECRET", "The secret is a placeholder that nothing has replaced"),
    "template": (lambda query: query[:-64] + "%7B%7B%20secret%20%7D%7D", "The secret is a placeholder that nothing has"),
    "unquoted": (lambda query: query.partition("&")[0], "in single quotes: an unquoted & cuts it off"),
    "triggerUrl cut": (
        lambda query: query.replace("&", "&", 1)[:20] + "&" + query.partition("&")[2],
        "triggerUrl is not base64",
    ),
    "triggerUrl with more": (lambda query: query.replace("&", "!&", 1), "triggerUrl is not base64 text: it has '!'."),
    "whole link": (
        lambda query: "triggerUrl=http%3A%2F%2Fa%2Fhook&" + query.partition("&")[2],
        "triggerUrl holds a whole link",
    ),
    "other step": (lambda query: query + "&wait=1&wait=2", "The wait parameter was sent with two different values."),
    "other secret": (lambda query: query + "&secret=" + "0" * 64, "The secret parameter was sent with two different values."),
}


@pytest.fixture
def query():
    """The query of a link whose triggerUrl has two signs of padding."""
    trigger = TriggerFactory()
    while (query := build_trigger_link(trigger, "").partition("?")[2]).count("=") != 4:
        trigger.application.name += "é"
        trigger.application.save()
    return query


@pytest.mark.parametrize("damage", REPAIRED.values(), ids=REPAIRED)
def test_a_link_that_can_mean_nothing_else_acts(client, query, damage):
    answer = client.get(f"{PATH}?{damage(query)}")
    assert (answer.status_code, answer.json()["state"]) == (200, "queued"), answer.json()


@pytest.mark.parametrize(("damage", "named"), DAMAGED.values(), ids=DAMAGED)
def test_any_other_damage_is_named(client, query, damage, named):
    answer = client.get(f"{PATH}?{damage(query)}")
    assert (answer.status_code, answer.json()["code"]) == (400, "400")
    assert named in answer.json()["message"]
    assert not TriggerCall.objects.exists()


def test_the_values_of_a_scaling_are_repaired_too(client):
    link = build_trigger_link(ScalingTriggerFactory(), "")
    for step, type_value in (("5%0D", "scale_out%0A"), ("05", "scale_out"), ("5%2520", "%20scale_out")):
        TriggerCall.objects.all().delete()
        answer = client.get(f"{link}&type={type_value}&step={step}")
        assert answer.status_code == 200, answer.json()
        assert TriggerCall.objects.get().step == 5


@pytest.mark.parametrize("step", ["5.5", "%EF%BC%95", "five", "5e0", "-5", "%2B5", "%5B5%5D", "0x5"])
def test_a_step_that_is_no_number_is_named(client, step):
    answer = client.get(f"{build_trigger_link(ScalingTriggerFactory(), '')}&type=scale_out&step={step}")
    assert answer.status_code == 400
    assert "The step parameter is '" in answer.json()["message"]


@pytest.mark.parametrize(
    ("value", "step"), [("5", 5), ("5.0", None), ('" 5 "', 5), ("5.5", None), ("[5]", None), ("true", None)]
)
def test_a_step_in_json(client, value, step):
    link = f"{build_trigger_link(ScalingTriggerFactory(), '')}&type=scale_out"
    answer = client.post(link, f'{{"step": {value}}}', content_type="application/json")
    assert answer.status_code == (200 if step else 400)
    assert list(TriggerCall.objects.values_list("step", flat=True)) == ([step] if step else [])


def test_the_secret_in_the_header_is_repaired_too(client):
    parameters = link_parameters(TriggerFactory())
    secret = parameters.pop("secret")
    assert client.get(PATH, query_params=parameters, headers={"X-Trigger-Secret": f" {secret.upper()}\t"}).status_code == 200
    both = client.get(PATH, query_params={**parameters, "secret": "0" * 64}, headers={"X-Trigger-Secret": secret})
    assert (both.status_code, "two different values" in both.json()["message"]) == (400, True)


class TestContradictions:
    """A query and a body, or one of them alone."""

    @pytest.mark.parametrize(
        ("query", "body", "content_type"),
        [
            ("type=scale_out&type=scale_in&step=1", "", ""),
            ("type=scale_out&step=1&step=2", "", ""),
            ("type=scale_out&step=1", "step=2", "application/x-www-form-urlencoded"),
            ("type=scale_out&step=1", '{"step": 2}', "application/json"),
            ("step=1", '{"type": "scale_out", "type": "scale_in"}', "application/json"),
            ("type=scale_out", "step=1&step=2", "application/x-www-form-urlencoded"),
            ("type=scale_out&step=1&tag=a", '{"tag": "b"}', "application/json"),
        ],
    )
    def test_different_values_are_refused(self, client, query, body, content_type):
        link = f"{build_trigger_link(ScalingTriggerFactory(), '')}&{query}"
        answer = client.post(link, body, content_type=content_type) if body else client.get(link)
        assert (answer.status_code, answer.json()["code"]) == (400, "400")
        assert "parameter was sent with two different values. Nothing was done" in answer.json()["message"]
        assert not TriggerCall.objects.exists()

    @pytest.mark.parametrize(
        ("query", "body", "content_type"),
        [
            ("type=scale_out&type=scale_out&step=2", "step=2", "application/x-www-form-urlencoded"),
            ("type=scale_out&step=2&step=2%0A", '{"step": 2}', "application/json"),
            ("type=scale_out&step=2", '{"type": "deployment", "of": "shop"}', "application/json"),
        ],
    )
    def test_equal_ones_and_another_senders_fields_pass(self, client, query, body, content_type):
        answer = client.post(f"{build_trigger_link(ScalingTriggerFactory(), '')}&{query}", body, content_type=content_type)
        assert (answer.status_code, TriggerCall.objects.get().step) == (200, 2)

    @pytest.mark.parametrize("parameters", ["type=scale_out", "step=3", "type=scale_in&step=3"])
    def test_a_link_that_redeploys_takes_no_scaling(self, client, parameters):
        link = build_trigger_link(TriggerFactory(), "")
        answers = [client.get(f"{link}&{parameters}")]
        if "type" in parameters:
            answers.append(client.post(link, dict(parse_qsl(parameters))))
        for answer in answers:
            assert answer.status_code == 400
            assert answer.json()["message"].startswith("This link redeploys and takes no ")
        assert not TriggerCall.objects.exists()


@given(st.text())
def test_any_query_and_secret_can_be_repaired_and_explained(text):
    assert isinstance(repair_query(text), str)
    assert text not in explain_secret(text) or len(text) < 32
    assert repair_secret(repair_secret(text)) == repair_secret(text) or "%" in text


def test_what_is_no_damage_is_left_alone():
    query = "triggerUrl=YWJj&secret=00&message=fish%26chips&x=100%25"
    assert repair_query(query) == query
