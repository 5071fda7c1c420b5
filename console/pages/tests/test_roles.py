"""Every address of the console, the API and the admin, asked by every role: what one may not see is not there, and what one
sees but may not do is refused. An address that this table does not know fails it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.urls import URLResolver, get_resolver, reverse
from rest_framework.authtoken.models import Token

from clusters.access.tokens import create_token
from clusters.engine.fakes.fake_engine import FakeEngine
from clusters.models import ApiToken, AuditEntry, Cluster, ClusterGrant, Container
from clusters.roles import Role
from clusters.tests.factories import ClusterFactory, ContainerFactory, TaskFactory
from clusters.tests.users import make_user
from console.tests.fleet import IMAGE_HEX
from triggers.models import TriggerCallEvent
from triggers.tests.factories import DeliveryFactory

pytestmark = pytest.mark.django_db

RANK = {role: rank for rank, role in enumerate(Role)}
# Who asks: nobody's role, a Viewer of another cluster only, and each role, for all clusters and on the one that is asked about.
ASKERS = ["none", "elsewhere", *(f"{role}-{reach}" for role in Role for reach in ("everywhere", "here"))]


def role_of(asker: str) -> Role | None:
    name = asker.partition("-")[0]
    return Role(name) if name in Role.values else None


Rule = Callable[[str], int]  # from who asks to the status of the answer
Table = dict[str, dict[str, Rule]]  # by address and method


def anyone(status: int) -> Rule:
    return lambda asker: status


def here(least: Role, status: int, unseen: int = 404) -> Rule:
    """Allow at least this role on the cluster; other readers of the cluster are refused."""

    def rule(asker: str) -> int:
        role = role_of(asker)
        if role is None:
            return unseen
        return status if RANK[role] >= RANK[least] else 403

    return rule


def somewhere(least: Role, status: int) -> Rule:
    """Allow at least this role on any cluster."""
    return here(least, status, unseen=403)


def of_all(least: Role, status: int, unseen: int = 404) -> Rule:
    """Allow at least this role for all clusters, on objects without a cluster; lower roles for all clusters are refused."""

    def rule(asker: str) -> int:
        return here(least, status, unseen)(asker) if asker.endswith("-everywhere") else unseen

    return rule


def everywhere(status: int) -> Rule:
    """Allow Administrators of all clusters."""
    return lambda asker: status if asker == "administrator-everywhere" else 403


def hidden(status: int) -> Rule:
    """Allow Administrators of all clusters, on objects that nobody else sees."""
    return lambda asker: status if asker == "administrator-everywhere" else 404


def globally(least: Role, status: int, unseen: int = 404) -> Rule:
    """Allow at least this role for all clusters, on objects without a cluster that readers with any role see."""

    def rule(asker: str) -> int:
        role = role_of(asker) if asker.endswith("-everywhere") else None
        if role is None:
            return unseen
        return status if RANK[role] >= RANK[least] else 403

    return rule


def choosing_engines(asker: str) -> int:
    """Allow Administrators of all clusters, on a cluster that readers with any role on it see."""
    return 404 if role_of(asker) is None else everywhere(200)(asker)


def admin_list(asker: str) -> int:
    return 403 if asker == "none" else 200


def admin_row(asker: str) -> int:
    """The admin redirects to its index if a row does not exist."""
    return {"none": 403, "elsewhere": 302}.get(asker, 200)


def global_row(asker: str) -> int:
    return 403 if role_of(asker) is None or asker.endswith("-here") else 200


def global_rows_history(asker: str) -> int:
    return 200 if global_row(asker) == 200 else 302


def admin_history(asker: str) -> int:
    return 302 if asker in ("none", "elsewhere") else 200


def global_history(asker: str) -> int:
    return 200 if asker == "administrator-everywhere" else 302


VIEWER, OPERATOR, DEPLOYER, ADMINISTRATOR = Role
REFUSED = anyone(403)
LIST = {"get": anyone(200), "post": anyone(405)}
SHOWN = {"get": here(VIEWER, 200), "post": anyone(405)}
LOGS = {"get": here(OPERATOR, 200), "post": anyone(405)}
CALLS = {"get": here(OPERATOR, 200), "post": here(OPERATOR, 302)}
CHANGES = {"get": here(DEPLOYER, 200), "post": here(DEPLOYER, 302)}
POSTED = anyone(405)
GLOBAL_PAGE = {"get": everywhere(200), "post": POSTED}

PAGES: Table = {
    **dict.fromkeys(("application", "service", "container", "container_use", "node", "cluster", "call"), SHOWN),
    **dict.fromkeys(("application_freezes", "cluster_freezes"), SHOWN),
    **dict.fromkeys(("container_reveal", "service_reveal"), {"get": POSTED, "post": here(DEPLOYER, 302)}),
    **dict.fromkeys(("overview", "applications", "services", "nodes", "images", "clusters", "triggers", "activity"), LIST),
    **dict.fromkeys(("cluster_engine", "cluster_disk", "cluster_events"), SHOWN),
    "image_prune": {"get": here(ADMINISTRATOR, 200), "post": here(ADMINISTRATOR, 200)},
    "image_remove": {"get": here(ADMINISTRATOR, 200), "post": here(ADMINISTRATOR, 200)},
    "cluster_local": {"get": POSTED, "post": everywhere(302)},
    "activity_export": LIST,
    **dict.fromkeys(("running_calls", "search", "help", "help_page", "help_keys", "help_picture", "api", "api_group"), LIST),
    **dict.fromkeys((f"{kind}_logs" for kind in ("application", "service", "container")), LOGS),
    **dict.fromkeys((f"{kind}_logs_download" for kind in ("application", "service", "container")), LOGS),
    "call_evidence": LOGS,
    **dict.fromkeys(("application_redeploy", "application_act", "container_act"), CALLS),
    "service_scale": {"get": here(OPERATOR, 200), "post": here(OPERATOR, 200)},
    **dict.fromkeys(
        ("application_previous", "service_previous", "call_previous"),
        {"get": here(OPERATOR, 200), "post": here(OPERATOR, 200)},  # nothing is known to return to
    ),
    "versions": LIST,
    "trigger_call": CALLS,
    "call_release": {"get": here(OPERATOR, 200), "post": here(OPERATOR, 200)},
    **dict.fromkeys(("application_freeze_create", "freeze_edit"), {"get": here(DEPLOYER, 200), "post": here(DEPLOYER, 200)}),
    "freeze_delete": CHANGES,
    "cluster_freeze_create": {"get": here(ADMINISTRATOR, 200), "post": here(ADMINISTRATOR, 200)},
    **dict.fromkeys(("call_again", "call_cancel"), {"get": POSTED, "post": here(OPERATOR, 302)}),
    "trigger_create": {"get": here(DEPLOYER, 200), "post": here(DEPLOYER, 200)},
    "trigger_repositories": {"get": here(DEPLOYER, 200), "post": POSTED},
    "trigger_reveal": {"get": POSTED, "post": here(DEPLOYER, 302)},
    "trigger": SHOWN,
    "trigger_edit": CHANGES,
    "trigger_narrow": CHANGES,
    "trigger_allow": {"get": POSTED, "post": here(DEPLOYER, 302)},
    "trigger_end_old": {"get": POSTED, "post": here(DEPLOYER, 302)},
    "trigger_rotate": CHANGES,
    "trigger_signature": {"get": here(DEPLOYER, 200), "post": here(DEPLOYER, 200)},
    "trusted_job_create": {"get": here(DEPLOYER, 200), "post": here(DEPLOYER, 200)},
    "trusted_job_edit": {"get": here(DEPLOYER, 200), "post": here(DEPLOYER, 200)},
    "trusted_job_delete": CHANGES,
    "trigger_switch": {"get": POSTED, "post": here(DEPLOYER, 302)},
    "trigger_delete": CHANGES,
    "cluster_create": {"get": everywhere(200), "post": everywhere(200)},
    "cluster_test": {"get": POSTED, "post": everywhere(200)},
    "cluster_edit": {"get": here(ADMINISTRATOR, 200), "post": here(ADMINISTRATOR, 200)},
    "cluster_delete": {"get": here(ADMINISTRATOR, 200), "post": here(ADMINISTRATOR, 200)},
    "registries": {"get": globally(VIEWER, 200, unseen=403), "post": POSTED},
    "registry": {"get": globally(VIEWER, 200), "post": POSTED},
    "registry_create": {"get": everywhere(200), "post": everywhere(200)},
    "registry_test": {"get": POSTED, "post": everywhere(200)},
    "registry_edit": {"get": globally(ADMINISTRATOR, 200), "post": globally(ADMINISTRATOR, 200)},
    "registry_check": {"get": POSTED, "post": globally(ADMINISTRATOR, 302)},
    "registry_reveal": {"get": POSTED, "post": globally(ADMINISTRATOR, 302)},
    **dict.fromkeys(
        ("registry_rotate", "registry_delete"),
        {"get": globally(ADMINISTRATOR, 200), "post": globally(ADMINISTRATOR, 302)},
    ),
    "deliveries": {"get": globally(VIEWER, 200, unseen=403), "post": POSTED},
    "delivery": {"get": globally(VIEWER, 200), "post": POSTED},
    "delivery_replay": {"get": POSTED, "post": globally(OPERATOR, 302)},
    **dict.fromkeys(("notifications", "channel", "notifications_sent", "notification_sent"), GLOBAL_PAGE),
    **dict.fromkeys(("channel_create", "channel_edit", "channel_rules"), {"get": everywhere(200), "post": everywhere(200)}),
    **dict.fromkeys(("channel_key", "channel_delete"), {"get": everywhere(200), "post": everywhere(302)}),
    **dict.fromkeys(("channel_test", "channel_switch", "notification_again"), {"get": POSTED, "post": everywhere(302)}),
    "users": GLOBAL_PAGE,
    "user": GLOBAL_PAGE,
    "user_create": {"get": everywhere(200), "post": everywhere(200)},
    "user_role": {"get": POSTED, "post": everywhere(302)},
    "user_switch": {"get": everywhere(200), "post": everywhere(302)},
    "user_password": {"get": everywhere(200), "post": everywhere(200)},
    "user_token_end": {"get": everywhere(200), "post": everywhere(302)},
    "grant_create": {"get": POSTED, "post": everywhere(200)},
    "grant_delete": {"get": POSTED, "post": everywhere(302)},
    "user_invite": {"get": everywhere(200), "post": everywhere(200)},
    "user_unlink": {"get": POSTED, "post": everywhere(302)},
    "sign_in_settings": GLOBAL_PAGE,
    "provider_create": {"get": everywhere(200), "post": everywhere(200)},
    "provider_edit": {"get": everywhere(200), "post": everywhere(200)},
    "provider_delete": {"get": everywhere(200), "post": everywhere(302)},
    **dict.fromkeys(("provider_test", "mapping_create"), {"get": POSTED, "post": everywhere(404)}),  # of no provider
    "mapping_delete": {"get": POSTED, "post": everywhere(302)},
    "identities": LIST,
    "identity_link": {"get": POSTED, "post": anyone(400)},  # to no provider
    "identity_unlink": {"get": POSTED, "post": anyone(404)},  # another user's
    "invitation": {"get": anyone(404), "post": anyone(404)},  # its key decides
    "provider_sign_in": {"get": POSTED, "post": anyone(400)},
    "provider_callback": {"get": anyone(400), "post": POSTED},
    "audit": GLOBAL_PAGE,
    "audit_export": GLOBAL_PAGE,
    "user_factor_reset": {"get": everywhere(200), "post": everywhere(302)},
    "password": {"get": anyone(200), "post": anyone(200)},
    "tokens": LIST,
    **dict.fromkeys(("token_create", "token_replace"), {"get": anyone(200), "post": anyone(200)}),
    "token_end": {"get": anyone(200), "post": anyone(302)},
    "sessions": LIST,
    "session_end": {"get": POSTED, "post": anyone(404)},  # another's
    "sessions_end": {"get": POSTED, "post": anyone(302)},
    "sign_in_link": {"get": anyone(403), "post": anyone(403)},
    "lock_end": {"get": POSTED, "post": everywhere(302)},
    "user_sessions_end": {"get": POSTED, "post": everywhere(302)},
    "second_factor": LIST,
    **dict.fromkeys(("app_set_up", "passkey_add", "confirm"), {"get": anyone(200), "post": anyone(200)}),
    **dict.fromkeys(("recovery_codes", "sign_in_factor", "sign_in_passkey"), {"get": anyone(302), "post": anyone(302)}),
    **dict.fromkeys(("passkey_rename", "factor_remove"), {"get": anyone(404), "post": anyone(404)}),  # somebody else's
    "theme": {"get": POSTED, "post": anyone(302)},
    "login": {"get": anyone(302)},
    "logout": {"get": POSTED},
    "account_login": {"get": anyone(302)},
    "account_logout": {"get": POSTED},
    "account_inactive": {"get": anyone(403), "post": POSTED},
    **dict.fromkeys(("healthz", "readyz"), LIST),
    "metrics": {"get": globally(VIEWER, 200), "post": POSTED},
    "hook_trigger": {"get": anyone(400), "post": anyone(400)},  # the link's secret decides
    "hook_call": {"get": anyone(400), "post": anyone(405)},
    "hook_registry": {"get": anyone(404), "post": anyone(404)},  # so does this one's token
}

API: Table = {
    "api-schema": LIST,
    "api-cluster-list": {"get": anyone(200), "post": everywhere(400)},
    "api-cluster-detail": {
        "get": here(VIEWER, 200),
        "post": POSTED,
        "patch": here(ADMINISTRATOR, 200),
        "delete": here(ADMINISTRATOR, 204),
    },
    "api-cluster-test": {"get": POSTED, "post": choosing_engines},
    "api-node-list": SHOWN,
    "api-application-list": LIST,
    "api-application-detail": SHOWN,
    **dict.fromkeys(
        (f"api-application-{act}" for act in ("redeploy", "stop", "start", "restart")),
        {"get": POSTED, "post": here(OPERATOR, 202)},
    ),
    "api-application-redeploy-previous": {"get": POSTED, "post": here(OPERATOR, 409)},  # nothing is known
    "api-application-images": SHOWN,
    "api-application-delete": {"get": POSTED, "post": here(ADMINISTRATOR, 202)},
    "api-service-list": LIST,
    "api-service-detail": SHOWN,
    "api-service-scale": {"get": POSTED, "post": here(OPERATOR, 400)},
    "api-trigger-list": {"get": anyone(200), "post": somewhere(DEPLOYER, 400)},
    "api-trigger-detail": {
        "get": here(VIEWER, 200),
        "post": POSTED,
        "patch": here(DEPLOYER, 200),
        "delete": here(DEPLOYER, 204),
    },
    "api-trigger-reveal": {"get": POSTED, "post": here(DEPLOYER, 200)},
    "api-trigger-rotate": {"get": POSTED, "post": here(DEPLOYER, 200)},
    "api-trigger-signature": {"get": POSTED, "post": here(DEPLOYER, 400)},
    "api-trigger-jobs": {"get": here(VIEWER, 200), "post": here(DEPLOYER, 400)},
    "api-trigger-job": {"get": POSTED, "post": POSTED, "patch": here(DEPLOYER, 200), "delete": here(DEPLOYER, 204)},
    "api-trigger-end-old-secret": {"get": POSTED, "post": here(DEPLOYER, 200)},
    "api-registry-list": {"get": anyone(200), "post": of_all(ADMINISTRATOR, 400, unseen=403)},
    "api-registry-detail": {
        "get": of_all(VIEWER, 200),
        "post": POSTED,
        "patch": of_all(ADMINISTRATOR, 200),
        "delete": of_all(ADMINISTRATOR, 204),
    },
    **dict.fromkeys(("api-registry-reveal", "api-registry-rotate"), {"get": POSTED, "post": of_all(ADMINISTRATOR, 200)}),
    "api-delivery-list": LIST,
    "api-delivery-detail": {"get": of_all(VIEWER, 200), "post": POSTED},
    "api-channel-list": {"get": anyone(200), "post": everywhere(400)},
    "api-channel-detail": {"get": hidden(200), "post": POSTED, "patch": hidden(200), "delete": hidden(204)},
    "api-channel-test": {"get": POSTED, "post": hidden(202)},
    "api-channel-key": {"get": POSTED, "post": hidden(200)},
    "api-notification-list": LIST,
    "api-notification-detail": {"get": hidden(200), "post": POSTED},
    "api-notification-send-again": {"get": POSTED, "post": hidden(202)},
    "api-call-list": LIST,
    "api-call-detail": SHOWN,
    "api-call-evidence": {"get": here(OPERATOR, 200), "post": POSTED},
    "api-call-cancel": {"get": POSTED, "post": here(OPERATOR, 409)},
    "api-call-release": {"get": POSTED, "post": here(OPERATOR, 400)},
    "api-freeze-list": {"get": anyone(200), "post": somewhere(DEPLOYER, 400)},
    "api-freeze-detail": {
        "get": here(VIEWER, 200),
        "post": POSTED,
        "patch": here(DEPLOYER, 200),
        "delete": here(DEPLOYER, 204),
    },
}

LISTED = {"get": admin_list, "post": admin_list}
READ_ONLY = {
    "changelist": LISTED,
    "add": {"get": REFUSED, "post": REFUSED},
    "change": {"get": admin_row, "post": REFUSED},
    "delete": {"get": REFUSED, "post": REFUSED},
    "history": {"get": admin_history},
}
KEPT_BY_ADMINISTRATORS = {
    "changelist": {"get": everywhere(200), "post": everywhere(200)},
    "add": {"get": everywhere(200), "post": everywhere(200)},
    "change": {"get": everywhere(200), "post": everywhere(200)},
    "delete": {"get": everywhere(200), "post": everywhere(200)},
    "history": {"get": global_history},
    "password_change": {"get": everywhere(200), "post": everywhere(200)},
}
ADMIN: dict[str, Table] = {
    **dict.fromkeys((f"clusters_{model}" for model in ("application", "service", "container", "task", "node")), READ_ONLY),
    **dict.fromkeys(("triggers_triggercall", "triggers_triggercallevent"), READ_ONLY),
    "clusters_cluster": READ_ONLY
    | {
        "add": {"get": everywhere(200), "post": everywhere(200)},
        "change": {"get": admin_row, "post": somewhere(ADMINISTRATOR, 200)},
        "delete": {"get": somewhere(ADMINISTRATOR, 200), "post": somewhere(ADMINISTRATOR, 200)},
    },
    "triggers_trigger": READ_ONLY
    | {
        "add": {"get": somewhere(DEPLOYER, 200), "post": somewhere(DEPLOYER, 200)},
        "change": {"get": admin_row, "post": somewhere(DEPLOYER, 200)},
        "delete": {"get": somewhere(DEPLOYER, 200), "post": somewhere(DEPLOYER, 200)},
    },
    "clusters_auditentry": READ_ONLY
    | {
        "changelist": {"get": everywhere(200), "post": everywhere(200)},
        "change": {"get": everywhere(200), "post": REFUSED},
        "history": {"get": global_history},
    },
    "clusters_registry": {
        "changelist": {"get": global_row, "post": global_row},
        "add": {"get": everywhere(200), "post": everywhere(200)},
        "change": {"get": global_row, "post": everywhere(200)},
        "delete": {"get": everywhere(200), "post": everywhere(200)},
        "history": {"get": global_rows_history},
    },
    "triggers_delivery": READ_ONLY
    | {
        "changelist": {"get": global_row, "post": global_row},
        "change": {"get": global_row, "post": REFUSED},
        "history": {"get": global_rows_history},
    },
    "clusters_clustergrant": KEPT_BY_ADMINISTRATORS,
    **dict.fromkeys(("auth_user", "auth_group"), KEPT_BY_ADMINISTRATORS | {"history": {"get": everywhere(200)}}),
}
# Of the admin as a whole: its index, and what shows nothing by itself.
ADMIN_SITE = {
    "admin:index",
    "admin:app_list",
    "admin:login",
    "admin:logout",
    "admin:password_change",
    "admin:password_change_done",
    "admin:autocomplete",
    "admin:jsi18n",
    "admin:view_on_site",
}
# Addresses that only lead to another one, or are another spelling of one.
UNNAMED = {
    "trigger/",
    "calls/<uuid:call_id>/",
    "registry/<str:token>/",
    "admin/login/",
    "admin/password_change/",
    "<path:object_id>/",
    "(?P<url>.*)$",
}


def walk_urls(patterns: Any, namespace: str = "") -> Any:
    """Yield (name, pattern) of every address."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
            yield from walk_urls(pattern.url_patterns, inner)
        else:
            yield (f"{namespace}{pattern.name}" if pattern.name else ""), str(pattern.pattern)


def test_the_table_has_every_address():
    found = list(walk_urls(get_resolver().url_patterns))
    names = {name for name, _ in found if name}
    admin = {f"admin:{model}_{view}" for model, views in ADMIN.items() for view in views if (f"admin:{model}_{view}" in names)}
    assert names == PAGES.keys() | API.keys() | admin | ADMIN_SITE
    assert {pattern for name, pattern in found if not name} == UNNAMED


@pytest.fixture
def world(fleet, published, monkeypatch):
    """The fleet, and one object of each kind that it lacks."""
    monkeypatch.setattr("clusters.connection_check.check_connection", lambda endpoint: pytest.fail("no engine is asked"))
    monkeypatch.setattr("console.pages.registries.views.registry_access.test_registry", lambda registry: "It answers.")
    monkeypatch.setattr(
        "console.pages.registries.delivery_views.receiving.replay_delivery", lambda delivery, user: DeliveryFactory()
    )
    monkeypatch.setattr("console.pages.shared.logs.log_panel.open_log_engine", lambda endpoint: FakeEngine())
    monkeypatch.setattr("console.pages.shared.logs.views.open_log_engine", lambda endpoint: FakeEngine())
    fleet.container = Container.objects.filter(service=fleet.service).first() or ContainerFactory(service=fleet.service)
    fleet.task = TaskFactory(service=fleet.service)
    fleet.event = TriggerCallEvent.objects.filter(call=fleet.call).first()
    return fleet


@pytest.fixture(params=ASKERS)
def asker(request, world):
    return request.param


def sign_in(asker: str, world: Any, **fields: Any) -> Client:
    role = role_of(asker)
    if asker == "elsewhere":
        user = make_user("asker", VIEWER, ClusterFactory(name="elsewhere"), **fields)
    else:
        user = make_user("asker", role, world.cluster if asker.endswith("-here") else None, **fields)
    Token.objects.create(user=user)
    client = Client()
    client.force_login(user)
    return client


def bring_token(role: Role, clusters: list[Cluster] | None) -> Client:
    """Return a client with a superuser's API token that is limited."""
    owner = User.objects.create_superuser("owner")
    _, text = create_token(owner, "limited", role, clusters, 90)
    return Client(headers={"Authorization": f"Bearer {text}"})


def ask(client: Client, method: str, path: str) -> tuple[int, str]:
    """Return status and text of the response; changes are undone."""
    with transaction.atomic():
        body = {} if method in ("get", "post") else {"data": "{}", "content_type": "application/json"}
        response = getattr(client, method)(path, **body)
        text = b"".join(response).decode(errors="replace")  # to its end, also that of a download
        transaction.set_rollback(True)
    return response.status_code, text


def page_path(name: str, world: Any) -> str:
    """Return the address of a page or an endpoint, for an object on the fleet's cluster."""
    own = {
        "application_id": world.application.pk,
        "service_id": world.service.pk,
        "container_id": world.container.pk,
        "act": "restart",
        "node_id": world.node.pk,
        "uid": world.cluster.uid,
        "trigger_id": world.trigger.pk,
        "job_id": world.job.pk,
        "call_id": world.call.pk,
        "window_id": world.window.pk,
        "user_id": world.user.pk,
        "session_id": world.session.pk,
        "lock_id": world.lock.pk,
        "factor_id": world.passkey.pk,
        "grant_id": world.user.cluster_grants.get().pk,
        "cluster_id": world.cluster.pk,
        "image_id": IMAGE_HEX,
        "token": "0" * 48,
        "registry_id": world.registry.pk,
        "delivery_id": world.sent.pk if name.startswith("notification") else world.delivery.pk,
        "key": "old",
        "page": "triggers",
        "group": "triggers",
        "name": "create-trigger.png",
        "provider_id": world.provider.pk,
        "provider_key": "0",
        "mapping_id": world.mapping.pk,
        "channel_id": world.channel.pk,
        "identity_id": world.identity.pk,
    }
    rows = {"cluster": world.cluster, "application": world.application, "service": world.service, "trigger": world.trigger}
    rows |= {"freeze": world.window, "call": world.call, "registry": world.registry, "delivery": world.delivery}
    rows |= {"channel": world.channel, "notification": world.sent}
    kind = name.split("-")[1] if name.startswith("api-") else ""
    own["pk"] = rows[kind].pk if kind in rows else None
    wanted = next(iter(get_resolver().reverse_dict.getlist(name)))[0][0][1]
    return reverse(name, kwargs={key: own[key] for key in wanted if key != "format"})


def check(asker: str, client: Client, table: Table, path_of: Callable[[str], str], secrets: set[str]) -> None:
    wrong = []
    for name, methods in table.items():
        path = path_of(name)
        for method, rule in methods.items():
            status, text = ask(client, method, path)
            if status != rule(asker):
                wrong.append(f"{method} {path}: {status} instead of {rule(asker)}")
            if method == "get" and any(secret in text for secret in secrets):
                wrong.append(f"{path} holds a secret")
    assert wrong == []


def secrets_of(world: Any) -> set[str]:
    registry = world.registry
    kept = {registry.hook_token, registry.hook_key, registry.password, registry.signing_secret}
    kept |= {world.channel.values["secret"], world.provider.client_secret, *Token.objects.values_list("key", flat=True)}
    return {world.trigger.secret, world.scaling_trigger.secret} | kept


def test_pages(asker, world):
    client = sign_in(asker, world)
    check(asker, client, PAGES, lambda name: page_path(name, world), secrets_of(world))
    opened = ask(client, "get", f"/applications/{world.application.pk}/?trigger={world.trigger.pk}")[1]
    assert not any(secret in opened for secret in secrets_of(world))


def test_api(asker, world, monkeypatch):
    monkeypatch.setattr("clusters.api.views.describe_connection", lambda cluster: {})
    check(asker, sign_in(asker, world), API, lambda name: page_path(name, world), secrets_of(world))


@pytest.mark.parametrize("limits", [asker for asker in ASKERS if asker != "none"])
def test_a_limited_token_of_a_superuser_does_in_the_api_what_somebody_with_these_roles_does(world, limits, monkeypatch):
    monkeypatch.setattr("clusters.api.views.describe_connection", lambda cluster: {})
    reach = {"everywhere": None, "here": [world.cluster]}.get(limits.partition("-")[2], [ClusterFactory(name="elsewhere")])
    client = bring_token(role_of(limits) or VIEWER, reach)
    check(limits, client, API, lambda name: page_path(name, world), secrets_of(world))


def test_a_token_opens_no_page_and_nothing_of_the_admin(world):
    """Whatever its rights, it gets what a stranger gets."""
    owner = User.objects.create_superuser("owner")
    _, text = create_token(owner, "all", ADMINISTRATOR, None, None)
    old = Token.objects.create(user=owner).key
    addresses = [page_path(name, world) for name in PAGES if name not in ("healthz", "readyz")]
    addresses += [reverse(name) for name, _ in walk_urls(get_resolver().url_patterns) if name.endswith(("_changelist", "_add"))]
    for header in (f"Bearer {text}", f"Token {old}"):
        client = Client(headers={"Authorization": header})
        for address in (*addresses, "/admin/"):
            for method in ("get", "post"):
                assert ask(client, method, address)[0] == ask(Client(), method, address)[0], f"{method} {address}"
    assert ApiToken.objects.filter(user=owner).count() == 1


def test_admin(asker, world):
    group = world.user.groups.exclude(name__in=[role.label for role in Role]).get()
    rows = {
        **{
            f"clusters_{name}": getattr(world, name)
            for name in ("cluster", "application", "service", "container", "task", "node")
        },
        "clusters_auditentry": world.entry,
        "clusters_registry": world.registry,
        "triggers_delivery": world.delivery,
        "clusters_clustergrant": world.user.cluster_grants.get(),
        "triggers_trigger": world.trigger,
        "triggers_triggercall": world.call,
        "triggers_triggercallevent": world.event,
        "auth_user": world.user,
        "auth_group": group,
    }
    client = sign_in(asker, world, is_staff=True)
    names = {name for name, _ in walk_urls(get_resolver().url_patterns)}
    table = {
        f"admin:{model}_{view}": methods
        for model, views in ADMIN.items()
        for view, methods in views.items()
        if f"admin:{model}_{view}" in names
    }

    def path_of(name: str) -> str:
        model = name.removeprefix("admin:").rsplit("_", 2 if name.endswith("password_change") else 1)[0]
        return reverse(name) if name.endswith(("_changelist", "_add")) else reverse(name, args=[rows[model].pk])

    check(asker, client, table, path_of, secrets_of(world))


@pytest.mark.parametrize("kind", ["applications", "containers"])
def test_deleting_takes_a_right_of_its_own(asker, world, kind):
    row = world.application if kind == "applications" else world.container
    client, rule = sign_in(asker, world), here(ADMINISTRATOR, 200)
    for method in ("get", "post"):
        assert ask(client, method, f"/{kind}/{row.pk}/delete/")[0] == rule(asker), method


def test_the_admin_is_for_staff(world):
    client = sign_in("administrator-everywhere", world)
    assert client.get("/admin/")["Location"].startswith("/admin/login/")


def test_staff_without_a_role_see_an_empty_admin(world):
    client = sign_in("none", world, is_staff=True)
    assert client.get("/admin/").context["app_list"] == []


def test_staff_of_one_cluster_see_no_name_of_another_in_lists_and_their_filters(world):
    client = sign_in("elsewhere", world, is_staff=True)
    for model in ADMIN:
        response = client.get(reverse(f"admin:{model}_changelist"))
        if response.status_code == 200:
            for name in (world.cluster.name, world.application.name, world.service.name, str(world.trigger)):
                assert name not in response.content.decode(), model


def test_a_reader_of_another_cluster_sees_nothing_of_this_one(world):
    client = sign_in("elsewhere", world)
    for name in ("overview", "applications", "services", "nodes", "clusters", "triggers", "activity", "running_calls"):
        text = client.get(reverse(name)).content.decode()
        for hidden in (world.cluster, world.application, world.service, world.node, world.trigger):
            assert str(hidden) not in text, name
    assert client.get("/applications/", {"cluster": world.cluster.uid}).context["selection"].selected is None
    for kind in ("clusters", "applications", "services", "triggers", "calls"):
        found = client.get(f"/api/v1/{kind}/").json()["results"]
        assert [row["name"] for row in found] == (["elsewhere"] if kind == "clusters" else []), kind


def test_running_calls_are_counted_where_they_are_seen(world):
    world.call.state, world.call.completed_at = "running", None
    world.call.save()
    for asker, count in (("elsewhere", 0), ("viewer-here", 1)):
        world.user.__class__.objects.filter(username="asker").delete()
        client = sign_in(asker, world)
        assert client.get("/calls/running/").context["active_calls"] == count
        assert client.get("/users/").status_code == 403
        assert client.get("/").context["active_calls"] == count


def test_somebody_without_a_role_is_told_what_to_do(world):
    client = sign_in("none", world)
    for name in ("overview", "applications", "clusters", "activity"):
        text = client.get(reverse(name)).content.decode()
        assert "You have no role yet" in text
        assert "Ask an administrator" in text
    assert "Current password" in client.get("/password/").content.decode()


OPERATOR_ACTS = {"/redeploy/", "/scale/", "/call/", "/again/", "/stop/", "/restart/"}
DEPLOYER_ACTS = {"/new/", "/reveal/", "/edit/", "/rotate/", "/switch/", "/delete/"}
CLUSTER_EDIT = "of the cluster: /edit"


@pytest.mark.parametrize(
    ("asker", "offered"),
    [
        ("viewer-here", set()),
        ("operator-here", OPERATOR_ACTS),
        ("deployer-here", OPERATOR_ACTS | DEPLOYER_ACTS),
        ("administrator-here", OPERATOR_ACTS | DEPLOYER_ACTS | {CLUSTER_EDIT}),
    ],
)
def test_pages_offer_exactly_what_the_reader_may_do(world, asker, offered):
    client = sign_in(asker, world)
    acts = OPERATOR_ACTS | DEPLOYER_ACTS | {CLUSTER_EDIT}
    seen = set()
    for name in ("overview", "application", "applications", "service", "services", "cluster", "clusters", "triggers", "call"):
        text = client.get(page_path(name, world)).content.decode()
        text = text.replace(page_path("cluster_edit", world), CLUSTER_EDIT)
        seen |= {act for act in acts if act in text}
        assert "/clusters/new/" not in text, name
        assert "/audit/" not in text
    assert seen == offered


def test_an_act_is_offered_only_on_objects_where_it_is_allowed(world):
    """An Operator here and Viewer there sees one list with one button."""
    client = sign_in("operator-here", world)
    mine = world.application
    world.cluster = ClusterFactory(name="seen")
    world.add_application()
    ClusterGrant.objects.create(user_id=int(client.session["_auth_user_id"]), cluster=world.cluster, role=VIEWER)
    text = client.get("/applications/").content.decode()
    assert f"/applications/{mine.pk}/redeploy/" in text
    assert f'href="/applications/{world.application.pk}/"' in text
    assert f"/applications/{world.application.pk}/redeploy/" not in text
    assert client.post(f"/applications/{world.application.pk}/redeploy/").status_code == 403


def test_a_viewer_of_the_admin_sees_no_client_key(world):
    world.cluster.tls_key, world.cluster.tls_cert = "THE-KEY", "THE-CERTIFICATE"
    world.cluster.save()
    client = sign_in("viewer-here", world, is_staff=True)
    text = client.get(reverse("admin:clusters_cluster_change", args=[world.cluster.pk])).content.decode()
    assert world.cluster.name in text
    assert "THE-KEY" not in text


def test_an_action_of_the_admin_affects_only_what_the_user_may_change(world):
    client = sign_in("deployer-here", world, is_staff=True)
    mine = world.trigger
    world.cluster = ClusterFactory(name="seen")
    world.add_application()
    ClusterGrant.objects.create(user_id=int(client.session["_auth_user_id"]), cluster=world.cluster, role=VIEWER)
    body = {"_selected_action": [mine.pk, world.trigger.pk]}
    client.post(reverse("admin:triggers_trigger_changelist"), body | {"action": "disable"})
    secret = world.trigger.secret
    client.post(reverse("admin:triggers_trigger_changelist"), body | {"action": "rotate"})
    for trigger in (mine, world.trigger):
        trigger.refresh_from_db()
    assert (mine.enabled, world.trigger.enabled) == (False, True)
    assert world.trigger.secret == secret
    client.post(reverse("admin:triggers_trigger_changelist"), body | {"action": "delete_selected", "post": "yes"})
    world.trigger.refresh_from_db()
    page = client.get(reverse("admin:triggers_trigger_add")).content.decode()
    assert str(world.application) not in page


class TestAuditLogOfTheAdmin:
    def test_triggers_and_clusters(self, world, admin_client):
        AuditEntry.objects.all().delete()
        trigger = world.trigger.pk
        admin_client.post(
            reverse("admin:triggers_trigger_change", args=[trigger]),
            {
                "name": "new",
                "enabled": "on",
                "cooldown_seconds": 0,
                "on_failure": "rollback",
                "alert_state": "firing",
                "subscriptions-TOTAL_FORMS": 0,
                "subscriptions-INITIAL_FORMS": 0,
            },
        )
        for action in ("disable", "enable", "rotate", "delete_selected"):
            body = {"action": action, "_selected_action": [trigger], "post": "yes"}
            admin_client.post(reverse("admin:triggers_trigger_changelist"), body)
        admin_client.post(
            reverse("admin:clusters_cluster_change", args=[world.cluster.pk]), {"name": "quay", "url": world.cluster.url}
        )
        body = {"action": "redeploy", "_selected_action": [world.application.pk]}
        admin_client.post(reverse("admin:clusters_application_changelist"), body)
        admin_client.post(reverse("admin:clusters_cluster_delete", args=[world.cluster.pk]), {"post": "yes"})
        assert [entry.action for entry in AuditEntry.objects.order_by("pk")] == [
            "trigger.change",
            "trigger.disable",
            "trigger.enable",
            "trigger.rotate",
            "trigger.delete",
            "cluster.change",
            "call",
            "cluster.delete",
        ]

    def test_entries_cannot_be_written_even_by_a_superuser(self, world, admin_client):
        entry = AuditEntry.objects.get(pk=world.entry.pk)
        path = reverse("admin:clusters_auditentry_change", args=[entry.pk])
        assert admin_client.get(path).status_code == 200
        assert admin_client.post(path, {"actor": "somebody else"}).status_code == 403
        assert admin_client.post(path.replace("change", "delete"), {"post": "yes"}).status_code == 403
        assert AuditEntry.objects.filter(pk=entry.pk, actor=entry.actor).exists()


def test_lists_take_a_fixed_number_of_queries_for_a_reader_of_some_clusters(world, django_assert_max_num_queries):
    client = sign_in("deployer-here", world)
    names = (
        "overview",
        "applications",
        "application",
        "services",
        "service",
        "triggers",
        "activity",
        "clusters",
        "nodes",
        "call",
    )

    def count() -> dict[str, int]:
        counts = {}
        for name in names:
            address = page_path(name, world)
            with django_assert_max_num_queries(12) as queries:
                client.get(address)
            counts[name] = len(queries)
        return counts

    paths_first = count()
    application, service, call = world.application, world.service, world.call
    for _ in range(8):
        world.add_application()
    world.application, world.service, world.call = application, service, call
    assert count() == paths_first
