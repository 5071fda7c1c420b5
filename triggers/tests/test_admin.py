"""The admin of every model: pages open, badges escape, actions act, and no secret is in a page."""

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from clusters.models import AuditEntry, Cluster
from clusters.tests.factories import (
    ApplicationFactory,
    ClusterFactory,
    ContainerFactory,
    NodeFactory,
    ServiceFactory,
    TaskFactory,
)
from triggers.models import Trigger, TriggerCall, TriggerCallEvent
from triggers.tests.factories import ScalingTriggerFactory, TriggerCallFactory, TriggerFactory

pytestmark = pytest.mark.django_db

MODELS = [
    "clusters_cluster",
    "clusters_application",
    "clusters_service",
    "clusters_container",
    "clusters_node",
    "clusters_task",
    "triggers_trigger",
    "triggers_triggercall",
    "triggers_triggercallevent",
]
OBSERVED = [*MODELS[1:6], *MODELS[7:]]


@pytest.fixture
def admin(client):
    client.force_login(User.objects.create_superuser("admin"))
    return client


def make_everything():
    container = ContainerFactory(health="healthy")
    trigger = ScalingTriggerFactory(application=container.service.application, service=container.service)
    call = TriggerCallFactory(trigger=trigger)
    event = TriggerCallEvent.objects.create(call=call, time=timezone.now(), operation="pull", text="pulled")
    application = container.service.application
    observed = (NodeFactory(cluster=application.cluster, hostname="shop"), TaskFactory(service=container.service))
    rows = (application.cluster, application, container.service, container, *observed)
    return dict(zip(MODELS, (*rows, trigger, call, event), strict=True))


def act(client, model, action, *rows):
    body = {"action": action, "_selected_action": [row.pk for row in rows]}
    return client.post(reverse(f"admin:{model}_changelist"), body, follow=True)


@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_listed_searched_and_shown(admin, model):
    row = make_everything()[model]
    assert admin.get(reverse(f"admin:{model}_changelist")).status_code == 200
    assert admin.get(reverse(f"admin:{model}_changelist"), {"q": "shop"}).status_code == 200
    assert admin.get(reverse(f"admin:{model}_change", args=[row.pk])).status_code == 200


@pytest.mark.parametrize("model", MODELS)
def test_list_queries_do_not_grow_with_the_rows(admin, model):
    def count():
        with CaptureQueriesContext(connection) as queries:
            admin.get(reverse(f"admin:{model}_changelist"))
        return len(queries)

    make_everything()
    first = count()
    make_everything()
    make_everything()
    assert count() == first


@pytest.mark.parametrize("model", OBSERVED)
def test_inventory_and_history_are_read_only(admin, model):
    row = make_everything()[model]
    assert admin.get(reverse(f"admin:{model}_add")).status_code == 403
    assert admin.post(reverse(f"admin:{model}_change", args=[row.pk]), {}).status_code == 403
    assert admin.post(reverse(f"admin:{model}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    assert type(row).objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("model", MODELS)
def test_no_page_holds_a_secret(admin, model):
    rows = make_everything()
    Cluster.objects.update(url="tcp://10.0.0.1:2376", tls_cert="CERT", tls_key="THE-PRIVATE-KEY")
    for path in (reverse(f"admin:{model}_changelist"), reverse(f"admin:{model}_change", args=[rows[model].pk])):
        page = admin.get(path).content.decode()
        assert rows["triggers_trigger"].secret not in page
        assert "THE-PRIVATE-KEY" not in page


def test_names_from_an_engine_are_escaped(admin):
    ContainerFactory(name="<script>c</script>", state="<b>", service__name="<script>s</script>")
    page = admin.get(reverse("admin:clusters_container_changelist")).content.decode()
    assert "<script>c" not in page
    assert "<script>s" not in page
    assert "<b>" not in page
    assert "&lt;b&gt;</bdi></span>" in page


def test_a_stored_client_key_is_kept_when_the_form_leaves_it_empty(admin):
    cluster = ClusterFactory(url="tcp://10.0.0.1:2376", tls_cert="CERT", tls_key="KEY")
    body = {"name": "renamed", "url": cluster.url, "tls_ca": "", "tls_cert": "CERT", "tls_key": ""}
    assert admin.post(reverse("admin:clusters_cluster_change", args=[cluster.pk]), body).status_code == 302
    cluster.refresh_from_db()
    assert (cluster.name, cluster.tls_key) == ("renamed", "KEY")


def test_a_cluster_is_deleted_with_what_was_observed_on_it(admin):
    cluster = make_everything()["clusters_cluster"]
    assert admin.post(reverse("admin:clusters_cluster_delete", args=[cluster.pk]), {"post": "yes"}).status_code == 302
    assert not Cluster.objects.exists()
    assert not Trigger.objects.exists()


# Actions


def test_redeploy_makes_a_call_for_each_application(admin, published):
    shop, blog = ApplicationFactory(name="shop"), ApplicationFactory(name="blog")
    act(admin, "clusters_application", "redeploy", shop, blog)
    calls = TriggerCall.objects.order_by("application__name")
    assert [(call.application, call.action, call.source) for call in calls] == [
        (blog, "redeploy", "console"),
        (shop, "redeploy", "console"),
    ]
    assert {call.requested_by.username for call in calls} == {"admin"}


def test_redeploying_a_protected_application_says_why_not(admin):
    page = act(admin, "clusters_application", "redeploy", ApplicationFactory(name="windlass", protected=True))
    assert "windlass is protected" in page.content.decode()
    assert TriggerCall.objects.get().state == "rejected"


def test_redeploy_needs_the_permission(client, published):
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_application"))
    client.force_login(user)
    act(client, "clusters_application", "redeploy", ApplicationFactory())
    assert not TriggerCall.objects.exists()
    user.user_permissions.add(Permission.objects.get(codename="add_triggercall"))
    act(client, "clusters_application", "redeploy", ApplicationFactory())
    assert TriggerCall.objects.count() == 1


def test_triggers_are_disabled_enabled_and_rotated(admin):
    trigger, other = TriggerFactory(), TriggerFactory()
    act(admin, "triggers_trigger", "disable", trigger)
    assert [Trigger.objects.get(pk=row.pk).enabled for row in (trigger, other)] == [False, True]
    act(admin, "triggers_trigger", "enable", trigger)
    assert Trigger.objects.get(pk=trigger.pk).enabled
    act(admin, "triggers_trigger", "rotate", trigger)
    assert Trigger.objects.get(pk=trigger.pk).secret != trigger.secret
    assert Trigger.objects.get(pk=other.pk).secret == other.secret


def trigger_form(**fields):
    empty = {"name": "", "service": "", "min_replicas": "", "max_replicas": "", "cooldown_seconds": "0", "enabled": "on"}
    return empty | {"on_failure": "rollback", "alert_state": "firing"} | fields


def test_a_trigger_created_in_the_admin_has_its_creator(admin):
    service = ServiceFactory()
    body = trigger_form(application=service.application_id, service=service.pk, action="scaling", max_replicas="4")
    assert admin.post(reverse("admin:triggers_trigger_add"), body).status_code == 302
    assert (Trigger.objects.get().created_by.username, Trigger.objects.get().max_replicas) == ("admin", 4)


@pytest.mark.parametrize(
    ("application", "body"),
    [
        ({"protected": True}, {"action": "redeploy"}),
        ({}, {"action": "scaling"}),
        ({}, {"action": "redeploy", "max_replicas": "4"}),
        ({}, {"action": "redeploy", "on_failure": "pause"}),
    ],
)
def test_the_admin_refuses_triggers_that_could_never_work(admin, application, body):
    row = ApplicationFactory(**application)
    assert admin.post(reverse("admin:triggers_trigger_add"), trigger_form(application=row.pk, **body)).status_code == 200
    assert not Trigger.objects.exists()


def test_the_target_and_the_action_of_a_trigger_cannot_be_changed(admin):
    trigger = TriggerFactory()
    body = trigger_form(name="x", application=ApplicationFactory().pk, action="scaling")
    body |= {"subscriptions-TOTAL_FORMS": 0, "subscriptions-INITIAL_FORMS": 0}
    admin.post(reverse("admin:triggers_trigger_change", args=[trigger.pk]), body)
    changed = Trigger.objects.get()
    assert (changed.name, changed.application, changed.action) == ("x", trigger.application, "redeploy")


def test_what_narrows_a_link_is_changed_with_the_same_checks(admin):
    trigger = TriggerFactory(calls_left=3)
    address = reverse("admin:triggers_trigger_change", args=[trigger.pk])
    form = admin.get(address).context["adminform"].form
    shown = {name: form[name].value() for name in form.fields}
    body = {name: "" if value is None or value is False else value for name, value in shown.items()}
    formset = {"subscriptions-TOTAL_FORMS": "0", "subscriptions-INITIAL_FORMS": "0"}
    refused = admin.post(address, body | formset | {"allowed_addresses": "nowhere"})
    assert "is neither an address nor a network" in refused.content.decode()
    changed = {"allowed_addresses": "192.0.2.9/24", "calls_a_minute": "5", "header_only": "on", "enabled": "on"}
    assert admin.post(address, body | formset | changed).status_code == 302
    trigger.refresh_from_db()
    assert (trigger.allowed_addresses, trigger.calls_a_minute, trigger.header_only) == ("192.0.2.0/24", 5, True)
    changes = AuditEntry.objects.get(action="trigger.change").details["changes"]
    assert changes == {"allowed_addresses": ["", "192.0.2.0/24"], "calls_a_minute": [None, 5], "header_only": [False, True]}
