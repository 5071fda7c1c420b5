"""Every page: it needs a login, takes a fixed number of queries, and shows any name as text."""

import re

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver

from clusters.access.audit import record
from clusters.models import Application, AuditEntry, ClusterGrant
from clusters.roles import Role
from clusters.tests.factories import (
    ApplicationFactory,
    ClusterFactory,
    ContainerFactory,
    NodeFactory,
    RegistryFactory,
    ServiceFactory,
    TaskFactory,
)
from clusters.tests.users import make_user
from console.pages.applications.views import SWARM_TABS, TABS
from console.pages.tests.hostile import HOSTILE, IsolationChecker, TagCollector
from console.pages.tests.reading import count_queries
from console.tests.fleet import POLICY, Fleet
from triggers.models import CallState, TriggerCall, TriggerCallEvent
from triggers.tests.factories import (
    DeliveryFactory,
    DeliveryLineFactory,
    ImageSubscriptionFactory,
    TriggerCallFactory,
    TriggerFactory,
    TrustedJobFactory,
)

POSTED = {  # only accept POST
    "trigger_switch",
    "trigger_reveal",
    "trigger_allow",
    "trigger_end_old",
    "call_again",
    "call_cancel",
    "cluster_test",
    "cluster_local",
    "theme",
    "user_role",
    "grant_create",
    "grant_delete",
    "container_reveal",
    "service_reveal",
    "registry_test",
    "registry_check",
    "registry_reveal",
    "delivery_replay",
    *("channel_test", "channel_switch", "notification_again"),
    "session_end",
    "sessions_end",
    "user_sessions_end",
    "lock_end",
    *("identity_link", "identity_unlink", "user_unlink", "provider_test", "mapping_create", "mapping_delete"),
}
SENT = {  # not pages
    "activity_export",
    "help_picture",
    "audit_export",
    "call_evidence",
    *(f"{kind}_logs{end}" for kind in ("application", "service", "container") for end in ("", "_download")),
}
OPEN = {"login", "logout", "account_login", "account_logout", "account_inactive", "sign_in_link"}  # need no login
OPEN |= {"sign_in_factor", "sign_in_passkey", "provider_sign_in", "provider_callback", "invitation"}
OPEN |= {"healthz", "readyz", "metrics", "theme"}
QUERIES = {  # session, user, and the frame's clusters and running calls, and the page's own
    "overview": 10,
    "search": 4,
    "help": 4,
    "help_page": 4,
    "help_keys": 4,
    "api": 4,
    "api_group": 4,
    "applications": 7,
    "application": 10,
    "application_redeploy": 7,
    "application_previous": 7,
    "service_previous": 6,
    "call_previous": 5,
    "versions": 5,
    "application_act": 6,
    "container_act": 5,
    "application_freezes": 6,
    "cluster_freezes": 6,
    "application_freeze_create": 5,
    "cluster_freeze_create": 5,
    "freeze_edit": 5,
    "freeze_delete": 5,
    "trigger_create": 8,
    "trigger_repositories": 6,
    "services": 6,
    "service": 8,
    "service_scale": 6,
    "container": 5,
    "container_use": 5,
    "nodes": 6,
    "node": 6,
    "clusters": 5,
    "cluster": 5,
    "cluster_create": 6,
    "cluster_edit": 7,
    "cluster_delete": 8,
    "cluster_engine": 6,
    "cluster_disk": 6,
    "cluster_events": 6,
    "images": 7,
    "image_prune": 7,
    "image_remove": 7,
    "registries": 8,
    "registry": 10,
    "registry_create": 6,
    "registry_edit": 8,
    "registry_rotate": 5,
    "registry_delete": 6,
    "deliveries": 8,
    "delivery": 8,
    "triggers": 8,
    "trigger": 11,
    "trigger_narrow": 6,
    "trigger_call": 6,
    "trigger_edit": 5,
    "trigger_rotate": 5,
    "trigger_signature": 5,
    "trusted_job_create": 5,
    "trusted_job_edit": 6,
    "trusted_job_delete": 6,
    "trigger_delete": 5,
    "activity": 5,
    "running_calls": 5,
    "call": 8,
    "notifications": 6,
    "channel": 7,
    "channel_create": 4,
    "channel_edit": 5,
    "channel_rules": 6,
    "channel_key": 5,
    "channel_delete": 6,
    "notifications_sent": 6,
    "notification_sent": 6,
    "call_release": 5,
    "users": 11,
    "user": 11,
    "user_create": 4,
    "user_switch": 5,
    "user_password": 5,
    "user_invite": 5,
    "user_token_end": 6,
    "audit": 5,
    "sign_in_settings": 8,
    "provider_create": 4,
    "provider_edit": 5,
    "provider_delete": 6,
    "identities": 6,
    "password": 6,
    "tokens": 6,
    "token_create": 6,
    "token_replace": 7,
    "token_end": 5,
    "sessions": 6,
    "user_factor_reset": 5,
    "second_factor": 5,
    "app_set_up": 5,
    "recovery_codes": 5,
    "passkey_add": 5,
    "passkey_rename": 5,
    "factor_remove": 6,
    "confirm": 6,
}


def console_url_names():
    return {pattern.name for pattern in get_resolver().url_patterns if getattr(pattern, "name", None)}


@pytest.mark.django_db
def test_every_url_of_the_console_is_covered_by_these_tests(fleet):
    assert console_url_names() - POSTED - OPEN - SENT == fleet.pages.keys() == QUERIES.keys()


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_a_page_is_refused_to_those_not_signed_in(client, fleet, name):
    address = fleet.pages[name]
    for response in (client.get(address), client.post(address), client.get(address, headers={"HX-Request": "true"})):
        refused = response.status_code == 302 and response["Location"].startswith("/login/?next=")
        assert refused or response.status_code == 405, address


@pytest.mark.parametrize(
    "address", ["/triggers/{trigger}/switch/", "/calls/{call}/again/", "/calls/{call}/cancel/", "/clusters/test/"]
)
def test_an_act_is_refused_to_those_not_signed_in(client, fleet, address):
    response = client.post(address.format(trigger=fleet.trigger.pk, call=fleet.call.pk), {"enabled": "0"})
    assert response.status_code == 302
    assert response["Location"].startswith("/login/?next=")
    fleet.trigger.refresh_from_db()
    assert fleet.trigger.enabled


def test_a_form_without_its_token_is_refused(fleet, admin_user):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    response = client.post(fleet.pages["application_redeploy"])
    assert response.status_code == 403
    assert "The form has expired" in response.content.decode()
    assert not TriggerCall.objects.filter(source="console").exists()


@pytest.mark.django_db
def test_a_get_changes_nothing(reader, fleet):
    for address in (*fleet.pages.values(), f"/triggers/{fleet.trigger.pk}/switch/", f"/calls/{fleet.call.pk}/again/"):
        reader.get(address)
    fleet.trigger.refresh_from_db()
    assert fleet.trigger.enabled
    assert not TriggerCall.objects.filter(source="console").exists()


@pytest.mark.parametrize("name", sorted(QUERIES))
@pytest.mark.parametrize("swarm", [False, True])
def test_a_page_shows_at_a_fixed_number_of_queries(reader, db, name, swarm):
    fleet = Fleet(swarm)
    address = fleet.pages[name]
    with CaptureQueriesContext(connection) as first:
        response = reader.get(address)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    assert len(first) == QUERIES[name], [query["sql"] for query in first]
    for _ in range(4):
        fleet.add_application()
        TriggerFactory(application=fleet.application)
        NodeFactory(cluster=fleet.cluster)
        fleet.add_user()
    assert count_queries(reader, fleet.pages[name]) == QUERIES[name]
    assert count_queries(reader, address) == QUERIES[name]


@pytest.mark.parametrize(
    ("name", "swarm", "tab", "number"),
    [
        ("application", False, "containers", 10),
        ("application", True, "tasks", 11),
        ("service", False, "containers", QUERIES["service"]),
        ("service", True, "tasks", QUERIES["service"]),
    ],
)
def test_a_tab_takes_a_fixed_number_of_queries_however_much_runs(reader, db, name, swarm, tab, number):
    fleet = Fleet(swarm)
    address = f"{fleet.pages[name]}?tab={tab}"
    few = count_queries(reader, address)
    for _ in range(12):
        fleet.add_tasks() if swarm else ContainerFactory(service=fleet.service)
    assert count_queries(reader, address) == few == number


@pytest.mark.parametrize("swarm", [False, True])
def test_no_tab_of_an_application_takes_more_than_twelve_queries_for_a_reader_of_some_clusters(client, db, swarm):
    fleet = Fleet(swarm)
    client.force_login(make_user("part", Role.DEPLOYER, fleet.cluster))
    for _ in range(12):
        fleet.add_tasks() if swarm else ContainerFactory(service=fleet.service)
    for tab in SWARM_TABS if swarm else TABS:
        assert count_queries(client, f"{fleet.pages['application']}?tab={tab}") <= 12, tab


def make_hostile_project():
    cluster = ClusterFactory(name=HOSTILE[:64], status="unreachable", status_reason=HOSTILE)
    application = ApplicationFactory(cluster=cluster, name=HOSTILE, status="degraded")
    service = ServiceFactory(
        application=application, name=HOSTILE, image=HOSTILE * 9, ports=[{"host": HOSTILE, "container": HOSTILE}]
    )
    ContainerFactory(service=service, name=HOSTILE, state=HOSTILE[:16], image=HOSTILE, addresses={HOSTILE: HOSTILE})
    return service


def make_hostile_stack():
    cluster = ClusterFactory(name=HOSTILE[:64], swarm_manager=True, swarm_notice=HOSTILE, other_urls=f"tcp://{HOSTILE}")
    application = ApplicationFactory(cluster=cluster, name=HOSTILE, status="degraded", source=Application.Source.STACK)
    policy = POLICY | {"order": HOSTILE, "failure_action": HOSTILE}
    service = ServiceFactory(
        application=application,
        name=HOSTILE,
        image=HOSTILE,
        image_id="",
        image_digests=[HOSTILE],
        update_state=HOSTILE[:24],
        update_message=HOSTILE,
        last_error=HOSTILE,
        update_config=policy,
        rollback_config=policy,
    )
    words = {"state": HOSTILE[:16], "desired_state": HOSTILE[:16], "message": HOSTILE, "error": HOSTILE, "image": HOSTILE}
    place = {"service": service, "node_name": HOSTILE, "node_id": HOSTILE[:64], "task_id": HOSTILE}
    TaskFactory(**place | words)
    TaskFactory(**place | words | {"desired_state": "shutdown", "task_id": HOSTILE + "2"})
    TaskFactory(**place | words | {"slot": 0, "task_id": HOSTILE + "3"})
    NodeFactory(
        cluster=cluster,
        node_id=HOSTILE[:64],
        hostname=HOSTILE,
        address=HOSTILE,
        reachability=HOSTILE[:16],
        role="manager",
        state="down",
        state_message=HOSTILE,
        engine_version=HOSTILE[:64],
        operating_system=HOSTILE[:64],
        architecture=HOSTILE[:32],
        labels={HOSTILE: HOSTILE},
    )
    return service


def make_hostile_delivery(registry, trigger, call):
    words = {"message": HOSTILE, "decision": "bad_signature"}
    delivery = DeliveryFactory(
        registry=registry,
        sender=HOSTILE[:32],
        event=HOSTILE[:64],
        delivery_id=HOSTILE,
        user_agent=HOSTILE,
        body=HOSTILE,
        **words,
    )
    hostile = {"image": HOSTILE, "tag": HOSTILE, "digest": HOSTILE}
    DeliveryLineFactory(delivery=delivery, trigger=trigger, call=call, **hostile, **words)
    return delivery


@pytest.fixture(params=[make_hostile_project, make_hostile_stack])
def hostile_fleet(fleet, request):
    service = request.param()
    application = service.application
    fleet.node = application.cluster.nodes.first() or fleet.node
    trigger = TriggerFactory(application=application, name=HOSTILE[:64], service=service)
    tasks = [{"name": HOSTILE, "node": HOSTILE, "state": HOSTILE}]
    snapshot = {"services": {HOSTILE: {"running": 1, "image": HOSTILE, "images": {HOSTILE: 1}, "containers": tasks}}}
    fleet.job = TrustedJobFactory(
        trigger=trigger, name=HOSTILE[:64], issuer=HOSTILE, audience=HOSTILE, conditions={HOSTILE: {"exact": HOSTILE}}
    )
    call = TriggerCallFactory(
        trigger=trigger,
        identity=dict.fromkeys(("job", "issuer", "repository", "ref", "commit", "run", "actor"), HOSTILE),
        state=CallState.FAILED,
        message=HOSTILE,
        reason=HOSTILE[:64],
        plan=HOSTILE,
        progress={HOSTILE: [1, 2]},
        before=snapshot,
        after=snapshot,
        user_agent=HOSTILE,
        delivery_id=HOSTILE,
    )
    TriggerCallEvent.objects.create(call=call, time=call.queued_at, level="error", operation=HOSTILE[:32], text=HOSTILE)
    registry = RegistryFactory(username=HOSTILE, problem=HOSTILE, checked_at=call.queued_at)
    fleet.subscription = ImageSubscriptionFactory(
        trigger=trigger, repository=f"{registry.host}/{HOSTILE}", condition="tags", tags=[HOSTILE], poll_problem=HOSTILE
    )
    fleet.registry, fleet.delivery = registry, make_hostile_delivery(registry, trigger, call)
    fleet.application, fleet.cluster, fleet.call = application, application.cluster, call
    fleet.add_channel(HOSTILE, HOSTILE)
    entry = record(None, "sign_in.fail", trigger, actor=HOSTILE, address="203.0.113.9", **{HOSTILE: HOSTILE})
    AuditEntry.objects.filter(pk=entry.pk).update(action=HOSTILE[:32], target_type=HOSTILE[:32], target_id=HOSTILE)
    fleet.user = make_user(HOSTILE, Role.VIEWER, application.cluster)
    group = Group.objects.create(name=HOSTILE)
    fleet.user.groups.add(group)
    ClusterGrant.objects.create(cluster=application.cluster, group=group, role=Role.OPERATOR)
    fleet.add_identity(fleet.user, HOSTILE, HOSTILE)
    fleet.container = service.containers.first() or ContainerFactory(service=service, name=HOSTILE, state=HOSTILE[:16])
    fleet.cluster, fleet.application, fleet.service, fleet.trigger, fleet.call = (
        application.cluster,
        application,
        service,
        trigger,
        call,
    )
    return fleet


def read_with_tabs(reader, address, *queries):
    """Return the page's HTML, also of its other tabs, and with the queries that the page has fields for."""
    text = reader.get(address).content.decode()
    tabs = {f"?tab={tab}" for tab in re.findall(r"[?&](?:amp;)?tab=([a-z]+)", text)}
    found = [query for query in queries if f"{query.partition('=')[0].lstrip('?')}=" in text or 'type="search"' in text]
    return [text, *(reader.get(address + query).content.decode() for query in (*sorted(tabs), *found))]


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_hostile_names_stay_text_that_is_isolated_from_what_is_around(reader, hostile_fleet, name):
    queries = (f"?trigger={hostile_fleet.trigger.pk}", "?q=%3Cimg%20src%3Dx%20onerror")
    for text in read_with_tabs(reader, hostile_fleet.pages[name], *queries):
        collector = TagCollector()
        collector.feed(text)
        images = [attributes.get("src") or "" for tag, attributes in collector.tags if tag == "img"]
        assert not [source for source in images if not source.startswith("/help/images/")]  # the documents' own pictures
        for tag, attributes in collector.tags:
            assert not [attribute for attribute in attributes if attribute.startswith("on") or attribute == "style"], tag
            assert not (tag == "script" and not attributes.get("src")), "an inline script"
            assert not (attributes.get("href") or "").startswith("javascript:")
        checker = IsolationChecker()
        checker.feed(text)
        assert checker.loose == []


def test_a_page_that_does_not_exist_says_what_to_do(reader):
    response = reader.get("/nothing/")
    assert response.status_code == 404
    assert "Page not found" in response.content.decode()


def test_the_probe_answers_without_a_database(client):
    response = client.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok\n")


@pytest.mark.django_db
def test_the_admin_wears_the_shell(reader, fleet):
    for address in ("/admin/", "/admin/clusters/cluster/", f"/admin/triggers/trigger/{fleet.trigger.pk}/change/"):
        text = reader.get(address).content.decode()
        assert 'id="navigation"' in text, address
        assert "console/console.css" in text


def test_the_admin_sends_to_the_console_to_sign_in(client, db):
    response = client.get("/admin/login/?next=/admin/")
    assert response["Location"] == "/login/?next=/admin/"
