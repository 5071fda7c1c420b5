"""What goes over a channel is chosen for each place."""

import pytest

from clusters.models import Application, AuditEntry
from clusters.tests.factories import ApplicationFactory
from console.pages.tests.reading import text_of
from triggers.models import NotificationRule

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(fleet):
    NotificationRule.objects.all().delete()
    return f"/notifications/channels/{fleet.channel.pk}/rules/"


def list_rules():
    return sorted(NotificationRule.objects.values_list("news", "cluster", "application"), key=str)


def test_rules_are_added_for_everything_for_a_cluster_and_for_an_application(reader, fleet, page):
    cluster, application = fleet.cluster.pk, fleet.application
    reader.post(page, {"news": ["failed"]})
    reader.post(page, {"news": ["failed", "queue_full"], "cluster": cluster})
    reader.post(page, {"news": ["succeeded"], "cluster": cluster, "application": application.name})
    expected = [
        ("failed", None, None),
        ("failed", cluster, None),
        ("queue_full", cluster, None),
        ("succeeded", None, application.pk),
    ]
    assert list_rules() == sorted(expected, key=str)
    text = text_of(reader.get(f"/notifications/channels/{fleet.channel.pk}/"))
    assert "All clusters" in text
    entry = AuditEntry.objects.filter(action="channel.rules").latest("pk")
    assert entry.details == {"where": application.name, "changes": {"news": [[], ["Succeeded"]]}}


def test_more_for_a_place_is_added_to_what_goes_already(reader, page):
    reader.post(page, {"news": ["failed"]})
    reader.post(page, {"news": ["succeeded"]})
    assert list_rules() == [("failed", None, None), ("succeeded", None, None)]


def test_a_known_place_is_changed_and_cleared(reader, fleet, page):
    reader.post(page, {"news": ["failed", "succeeded"], "cluster": fleet.cluster.pk})
    known = f"{page}?known=1&cluster={fleet.cluster.pk}"
    form = reader.get(known).context["form"]
    assert form["news"].value() == ["failed", "succeeded"]
    assert list(form.fields) == ["news"]
    reader.post(known, {"news": ["works_again"]})
    assert list_rules() == [("works_again", fleet.cluster.pk, None)]
    reader.post(known, {})
    assert list_rules() == []
    entry = AuditEntry.objects.filter(action="channel.rules").latest("pk")
    assert entry.details["changes"] == {"news": [["Works again"], []]}


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, "news"),
        ({"news": ["rumours"]}, "news"),
        ({"news": ["test"]}, "news"),
        ({"news": ["failed"], "cluster": "999"}, "cluster"),
        ({"news": ["failed"], "application": "shop"}, "application"),
        ({"news": ["failed"], "cluster": "known", "application": "nothing"}, "application"),
    ],
    ids=["none", "unknown", "test", "cluster", "no cluster", "application"],
)
def test_what_is_wrong_is_said_at_its_field(reader, fleet, page, body, wrong):
    body = {name: fleet.cluster.pk if value == "known" else value for name, value in body.items()}
    assert list(reader.post(page, body).context["form"].errors) == [wrong]
    assert list_rules() == []


def test_two_applications_with_one_name_are_not_guessed(reader, fleet, page):
    twin = ApplicationFactory(cluster=fleet.cluster, name=fleet.application.name, source=Application.Source.CONTAINER)
    body = {"news": ["failed"], "cluster": fleet.cluster.pk, "application": twin.name}
    assert "several" in reader.post(page, body).context["form"].errors["application"][0]


def test_an_unknown_place_is_not_found(reader, page):
    for query in ("application=999", "cluster=999", "cluster=x", "application=" + "9" * 30):
        assert reader.get(f"{page}?known=1&{query}").status_code == 404


def test_a_commit_status_has_no_rules(reader, fleet, page):
    fleet.channel.kind = "commit"
    fleet.channel.save()
    assert reader.get(page).status_code == 404
    assert "The status of each commit" in text_of(reader.get(f"/notifications/channels/{fleet.channel.pk}/"))
