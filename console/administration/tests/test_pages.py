"""The pages of the admin: the console's shell, words, times and values."""

import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.urls import reverse

from clusters.access.audit import record
from clusters.models import AuditEntry, Cluster
from clusters.tests.factories import ClusterFactory
from console.pages.tests.reading import text_of
from triggers.models import Trigger, TriggerCall
from triggers.tests.factories import TriggerFactory

pytestmark = pytest.mark.django_db


def address_of(model, page="changelist", *arguments):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=arguments)


def crumbs_of(page):
    """Return label and address of each breadcrumb; the last one is where the page is, and has no address."""
    found = re.search(r'aria-label="Breadcrumbs">(.*?)</nav>', text_of(page), re.DOTALL)
    items = re.findall(r"<li[^>]*>(.*?)</li>", found[1], re.DOTALL)
    return [(re.sub(r"<[^>]*>", "", item).strip(), (re.findall(r'href="([^"]*)"', item) or [""])[0]) for item in items]


def words_of(page):
    return " ".join(re.sub(r"<[^>]*>", " ", text_of(page).partition("<main")[2]).split())


def test_no_page_loads_a_style_sheet_of_django(reader, fleet):
    rows = {model: model._default_manager.first() for model in admin.site._registry}
    addresses = ["/admin/", "/admin/clusters/", "/admin/auth/user/add/", f"/admin/auth/user/{fleet.user.pk}/password/"]
    addresses += [address_of(model) for model in rows]
    addresses += [address_of(model, "change", row.pk) for model, row in rows.items() if row]
    addresses += [address_of(Trigger, page, fleet.trigger.pk) for page in ("delete", "history")]
    for address in addresses:
        page = reader.get(address)
        assert page.status_code == 200, address
        sheets = re.findall(r'<link rel="stylesheet" href="([^"]*)"', text_of(page))
        assert len(sheets) == 1, address
        assert "console/console" in sheets[0]
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script>", text_of(page)), address


def test_breadcrumbs_lead_back_to_the_list_with_its_filters(reader, fleet):
    trigger = fleet.trigger
    filtered = reader.get(f"{address_of(Trigger)}?action=redeploy")
    assert crumbs_of(filtered) == [("Administration", "/admin/"), ("Triggers", "")]
    opened = re.search(r'<a class="strong" href="([^"]*)"', text_of(filtered))[1].replace("&amp;", "&")
    page = reader.get(opened)
    assert crumbs_of(page)[:2] == [
        ("Administration", "/admin/"),
        ("Triggers", "/admin/triggers/trigger/?action=redeploy"),
    ]
    for act, words in (("delete", "Delete"), ("history", "History")):
        crumbs = crumbs_of(reader.get(address_of(Trigger, act, trigger.pk)))
        assert crumbs[2:] == [(str(trigger), address_of(Trigger, "change", trigger.pk)), (words, "")]
    assert crumbs_of(reader.get(address_of(Trigger, "add")))[-1] == ("Add trigger", "")
    assert crumbs_of(reader.get("/admin/")) == [("Administration", "")]


def test_a_page_leads_to_the_same_thing_in_the_console(reader, fleet):
    for row, address in ((fleet.cluster, f"/clusters/{fleet.cluster.uid}/"), (fleet.call, f"/calls/{fleet.call.pk}/")):
        assert f'href="{address}"' in text_of(reader.get(address_of(type(row), "change", row.pk)))
    assert 'href="/audit/"' in text_of(reader.get(address_of(AuditEntry)))


def test_acts_of_the_audit_log_are_told_in_words(reader, fleet):
    entry = record(fleet.user, "trigger.rotate", fleet.trigger)
    listed = words_of(reader.get(address_of(AuditEntry)))
    assert "Rotated secret" in listed
    assert "trigger.rotate" not in listed
    shown = words_of(reader.get(address_of(AuditEntry, "change", entry.pk)))
    assert "Action Rotated secret" in shown


def test_times_are_told_as_the_pages_do(reader, fleet):
    for address in (address_of(TriggerCall), address_of(TriggerCall, "change", fleet.call.pk)):
        text = text_of(reader.get(address))
        assert re.search(r'<time datetime="[^"]*" data-words="when"', text)
        assert not re.search(r"\d [ap]\.m\.", text)


def test_json_is_folded_and_readable(reader, fleet):
    TriggerCall.objects.filter(pk=fleet.call.pk).update(before={"services": {f"web-{n}": {"running": n} for n in range(9)}})
    text = text_of(reader.get(address_of(TriggerCall, "change", fleet.call.pk)))
    assert re.search(
        r'<details class="folded"><summary>1 entry</summary><pre tabindex="0"><bdi>\{\n  &quot;services&quot;', text
    )


def test_calls_have_a_title_and_a_short_id(reader, fleet):
    listed = text_of(reader.get(address_of(TriggerCall)))
    assert f"Redeploy {fleet.application}" in re.sub(r"<[^>]*>", "", listed)
    assert str(fleet.call.pk) not in re.sub(r"<[^>]*>", " ", listed.partition("<main")[2])


@pytest.mark.parametrize(
    ("model", "labels"),
    [
        (Trigger, ("Minimum", "Maximum", "Cool-down", "Allowed tags", "When an alert calls it, act", "Expires (UTC)")),
        (Cluster, ("Address", "Other managers", "CA certificate")),
    ],
)
@pytest.mark.parametrize("name", ["administrator", "viewer"])
def test_fields_have_the_labels_of_the_console_whether_or_not_they_can_be_changed(client, fleet, model, labels, name):
    from clusters.roles import Role
    from clusters.tests.users import make_user

    client.force_login(make_user("reader", Role(name), is_staff=True))
    words = words_of(client.get(address_of(model, "change", model.objects.first().pk)))
    shown = [label for label in labels if "certificate" not in label or name == "administrator"]
    assert [label for label in shown if label not in words] == []


def test_relations_are_boxes_that_need_no_script(reader, fleet):
    page = text_of(reader.get(address_of(User, "change", fleet.user.pk)))
    group = fleet.user.groups.first()
    assert re.search(rf'<input type="checkbox" name="groups" value="{group.pk}"[^>]*checked', page)
    assert "related-widget-wrapper" not in page


def test_places_of_a_new_trigger_are_named_with_what_they_are_part_of(reader, fleet):
    page = text_of(reader.get(address_of(Trigger, "add")))
    assert f"{fleet.cluster} / {fleet.application} / {fleet.service}</option>" in page


def test_a_list_is_filtered_searched_and_paged(reader, fleet):
    TriggerFactory.create_batch(101, application=fleet.application, name="nightly")
    first = reader.get(address_of(Trigger), {"q": "nightly"})
    assert "1–100 of 101" in text_of(first)
    following = re.search(r'rel="next" href="([^"]*)"', text_of(first))[1].replace("&amp;", "&")
    assert "101–101 of 101" in text_of(reader.get(address_of(Trigger) + following))
    narrow = reader.get(address_of(Trigger), {"action__exact": "scaling"})
    assert re.search(r"Action: <b><bdi>Resource Scaling</bdi></b>", text_of(narrow))
    nothing = reader.get(address_of(Trigger), {"q": "no such name"})
    assert "Nothing matches the filters." in text_of(nothing)
    sorted_by = reader.get(address_of(Cluster), {"o": "-1"})
    assert 'aria-sort="descending"' in text_of(sorted_by)


def test_a_form_that_is_refused_says_so_at_the_field(reader):
    page = reader.post(address_of(Cluster, "change", ClusterFactory().pk), {"name": "", "url": "ftp://nowhere"})
    assert "Nothing was saved. Correct what is marked below." in text_of(page)
    assert re.search(r'class="field-error" id="id_name_error"', text_of(page))
    assert 'aria-invalid="true"' in text_of(page)
