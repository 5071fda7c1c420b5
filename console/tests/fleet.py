"""Rows of every kind that the pages show, for tests."""

from datetime import timedelta

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from axes.models import AccessAttempt
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import Group, User
from django.utils import timezone
from django.utils.functional import cached_property
from rest_framework.authtoken.models import Token

from clusters.access.audit import record
from clusters.access.tokens import create_token
from clusters.engine.fakes.fake_containers import make_id
from clusters.models import ApiToken, Application, ClusterGrant, Container, GivenRole
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
from console.factors.tests.device import store_passkey
from console.models import GroupMapping, IdentityProvider, UserSession
from console.sessions import SessionStore
from triggers.models import (
    CallState,
    Decision,
    News,
    Notification,
    NotificationChannel,
    NotificationDelivery,
    NotificationRule,
    Trigger,
    TriggerCall,
    TriggerCallEvent,
)
from triggers.tests.factories import (
    DeliveryFactory,
    DeliveryLineFactory,
    FreezeWindowFactory,
    ImageSubscriptionFactory,
    ScalingTriggerFactory,
    TriggerCallFactory,
    TriggerFactory,
    TrustedJobFactory,
)

IMAGE_HEX = make_id("image", 1)  # the first image of a fake engine
POLICY = {
    "parallelism": 1,
    "order": "stop-first",
    "delay": 10,
    "monitor": 5,
    "failure_action": "pause",
    "max_failure_ratio": 0.25,
}


class Fleet:
    """Rows of everything that pages show: containers on a plain engine, or tasks on a Swarm."""

    def __init__(self, swarm: bool = False) -> None:
        self.swarm = swarm
        self.cluster = ClusterFactory(name="armada" if swarm else "harbour", swarm_manager=swarm)
        self.node = NodeFactory(cluster=self.cluster, hostname="quay", role="manager", leader=True)
        self.add_application()
        self.add_user()
        for reader in User.objects.filter(is_superuser=True):
            Token.objects.get_or_create(user=reader)
        self._add_passkey()

    def add_user(self) -> None:
        """Add a user with a role on the cluster, a session, a lock of sign-ins and an audit entry."""
        self.user = make_user(f"user-{User.objects.count()}", Role.VIEWER, self.cluster)
        group = Group.objects.create(name=f"shift of {self.user}")
        self.user.groups.add(group)
        ClusterGrant.objects.create(cluster=self.cluster, group=group, role=Role.OPERATOR)
        Token.objects.create(user=self.user)
        limited, _ = create_token(self.user, "pipeline", Role.OPERATOR, [self.cluster], 90)
        ApiToken.objects.filter(pk=limited.pk).update(last_used_at=timezone.now(), last_used_from="203.0.113.9")
        self.lock = AccessAttempt.objects.create(username=str(self.user), ip_address="203.0.113.9", failures_since_start=5)
        stored, now = SessionStore(), timezone.now()
        stored[SESSION_KEY] = str(self.user.pk)
        stored.create()
        times = {"created_at": now, "used_at": now}
        self.session = UserSession.objects.create(user=self.user, session_key=stored.session_key, **times)
        self.add_identity(self.user)
        self.entry = record(self.user, "trigger.reveal", self.trigger, address="203.0.113.9", application="shop")

    def add_identity(self, user: User, name: str = "ann", group: str = "crew") -> None:
        """Add a provider, a mapping of it, and an identity of the user to which a group gave a role."""
        number = IdentityProvider.objects.count()
        self.provider = IdentityProvider.objects.create(
            issuer=f"https://id{number}.test", name=name, client_id=name, client_secret="secret of the client"
        )
        self.mapping = GroupMapping.objects.create(
            issuer=self.provider.issuer, group=group, role=Role.VIEWER, cluster=self.cluster
        )
        claims = {"preferred_username": name}
        self.identity = SocialAccount.objects.create(user=user, provider=self.provider.issuer, uid=name, extra_data=claims)
        GivenRole.objects.create(
            user=user, issuer=self.provider.issuer, group=group, role=Role.VIEWER, cluster=self.cluster, by_hand=Role.VIEWER
        )

    def add_application(self) -> None:
        if self.swarm:
            self._add_stack()
        else:
            self._add_project()
        self._add_triggers()

    def _add_project(self) -> None:
        self.application = ApplicationFactory(cluster=self.cluster)
        self.service = ServiceFactory(application=self.application)
        self.container = ContainerFactory(service=self.service, addresses={"default": "172.19.0.2"})
        ContainerFactory(service=self.service)

    def _add_stack(self) -> None:
        self.application = ApplicationFactory(cluster=self.cluster, source=Application.Source.STACK)
        self.service = ServiceFactory(
            application=self.application,
            replicas=3,
            image_id="",
            image_digests=["shop@sha256:" + "2" * 64],
            update_config=POLICY,
            rollback_config=POLICY | {"order": "start-first"},
        )
        self.add_tasks()

    def add_tasks(self) -> None:
        place = {"service": self.service, "node_id": self.node.node_id, "node_name": self.node.hostname}
        for slot in (1, 2):
            TaskFactory(slot=slot, **place)
            TaskFactory(slot=slot, state="failed", desired_state="shutdown", error="task: non-zero exit (1)", **place)
        pending = {"state": "pending", "error": "no suitable node (insufficient memory)", "node_id": "", "node_name": ""}
        TaskFactory(slot=3, **place | pending)

    @cached_property
    def container(self) -> Container:
        """A container. Next to a stack it belongs to a project on the same engine, and is made on first use."""
        return ContainerFactory(service__application__cluster=self.cluster)

    def _add_passkey(self) -> None:
        """Add a passkey of the superuser who reads the pages, or else of the fleet's user."""
        owner = User.objects.filter(is_superuser=True).first() or self.user
        self.passkey = Authenticator.objects.filter(user=owner).first() or store_passkey(owner)

    def _add_triggers(self) -> None:
        self.trigger: Trigger = TriggerFactory(application=self.application)
        self.scaling_trigger: Trigger = ScalingTriggerFactory(application=self.application, service=self.service)
        now = timezone.now()
        self.call: TriggerCall = TriggerCallFactory(
            trigger=self.trigger,
            state=CallState.FAILED,
            message="Nothing was touched.",
            started_at=now,
            completed_at=now + timedelta(seconds=2),
        )
        for number in range(3):
            TriggerCallEvent.objects.create(
                call=self.call, time=now + timedelta(seconds=number), operation="pull", text=f"line {number}"
            )
        self._add_registry()
        self.add_channel()

    def _add_registry(self) -> None:
        """Add a registry with a polled subscription, and a delivery that called one trigger and otherwise matched none."""
        now = timezone.now()
        self.registry = RegistryFactory(
            kind="harbor",
            aliases="registry.internal:5000",
            signing_secret="secret of the signature",
            checked_at=now,
            pull_limit=200,
            pull_remaining=187,
            pull_window_seconds=21_600,
        )
        self.registry.clusters.add(self.cluster)
        image = f"{self.registry.host}/team/app"
        self.subscription = ImageSubscriptionFactory(
            trigger=self.trigger, repository=image, poll_seconds=300, polled_at=now, poll_due_at=now + timedelta(minutes=5)
        )
        self.job = TrustedJobFactory(trigger=self.trigger)
        self.window = FreezeWindowFactory(application=self.application)
        self.delivery = DeliveryFactory(registry=self.registry, message="Called 1 trigger.", source_address="203.0.113.7")
        told = {"delivery": self.delivery, "image": image}
        DeliveryLineFactory(trigger=self.trigger, call=self.call, message="The tag 1.2 runs here.", **told)
        DeliveryLineFactory(decision=Decision.IMAGE, tag="", message="No trigger is subscribed to it.", **told)

    def add_channel(self, name: str = "duty", text: str = "It cannot be pulled.") -> None:
        """Add a webhook with rules for everything, a cluster and an application, and what was sent over it."""
        self.channel = NotificationChannel(name=f"{name[:60]} {NotificationChannel.objects.count()}", kind="webhook")
        self.channel.values = {"url": "https://hooks.example.com/in", "secret": "secret of the webhook"}
        self.channel.save()
        places = ({}, {"cluster": self.cluster}, {"application": self.application})
        NotificationRule.objects.bulk_create(
            NotificationRule(channel=self.channel, news=news, **place) for place in places for news in ("failed", "succeeded")
        )
        facts = {"sentence": text, "application": {"name": name}, "cluster": {"name": name}, "image_before": text}
        about = {"cluster": self.cluster, "application": self.application, "call": self.call, "facts": facts}
        news = Notification.objects.create(news=News.FAILED, recorded_at=timezone.now(), group="one", **about)
        outcome = {"status": "failed", "attempts": 6, "answer_status": 500, "answer": text, "problem": text}
        row = {"channel": self.channel, "notification": news, "created_at": timezone.now()}
        self.sent = NotificationDelivery.objects.create(count=2, last_attempt_at=timezone.now(), **row, **outcome)
        NotificationDelivery.objects.create(status="joined", joined_into=self.sent, **row)

    @property
    def pages(self) -> dict[str, str]:
        """The address of every page that a GET shows, by URL name."""
        application, service, cluster = self.application.pk, self.service.pk, self.cluster.uid
        return {
            "overview": "/",
            "search": "/search/",
            "help": "/help/",
            "help_page": "/help/triggers/",
            "help_keys": "/help/keys/",
            "api": "/api/",
            "api_group": "/api/reference/triggers/",
            "applications": "/applications/",
            "application": f"/applications/{application}/",
            "application_redeploy": f"/applications/{application}/redeploy/",
            "application_previous": f"/applications/{application}/previous/",
            "service_previous": f"/services/{service}/previous/",
            "call_previous": f"/calls/{self.call.pk}/previous/",
            "versions": "/applications/versions/",
            "application_act": f"/applications/{application}/delete/",
            "container_act": f"/containers/{self.container.pk}/delete/",
            "application_freezes": f"/applications/{application}/freezes/",
            "cluster_freezes": f"/clusters/{cluster}/freezes/",
            "application_freeze_create": f"/applications/{application}/freezes/new/",
            "cluster_freeze_create": f"/clusters/{cluster}/freezes/new/",
            "freeze_edit": f"/freezes/{self.window.pk}/edit/",
            "freeze_delete": f"/freezes/{self.window.pk}/delete/",
            "trigger_create": f"/applications/{application}/triggers/new/",
            "trigger_repositories": f"/applications/{application}/triggers/repositories/",
            "services": "/services/",
            "service": f"/services/{service}/",
            "service_scale": f"/services/{service}/scale/",
            "container": f"/containers/{self.container.pk}/",
            "container_use": f"/containers/{self.container.pk}/use/",
            "nodes": "/nodes/",
            "node": f"/nodes/{self.node.pk}/",
            "clusters": "/clusters/",
            "cluster_create": "/clusters/new/",
            "cluster": f"/clusters/{cluster}/",
            "cluster_edit": f"/clusters/{cluster}/edit/",
            "cluster_delete": f"/clusters/{cluster}/delete/",
            "cluster_engine": f"/clusters/{cluster}/engine/",
            "cluster_disk": f"/clusters/{cluster}/disk/",
            "cluster_events": f"/clusters/{cluster}/events/",
            "images": "/images/",
            "image_prune": f"/clusters/{cluster}/images/prune/",
            "image_remove": f"/clusters/{cluster}/images/{IMAGE_HEX}/remove/",
            "registries": "/registries/",
            "registry": f"/registries/{self.registry.pk}/",
            "registry_create": "/registries/new/",
            "registry_edit": f"/registries/{self.registry.pk}/edit/",
            "registry_rotate": f"/registries/{self.registry.pk}/rotate/",
            "registry_delete": f"/registries/{self.registry.pk}/delete/",
            "deliveries": "/deliveries/",
            "delivery": f"/deliveries/{self.delivery.pk}/",
            "triggers": "/triggers/",
            "trigger": f"/triggers/{self.trigger.pk}/",
            "trigger_narrow": f"/triggers/{self.trigger.pk}/narrow/",
            "trigger_call": f"/triggers/{self.scaling_trigger.pk}/call/",
            "trigger_edit": f"/triggers/{self.scaling_trigger.pk}/edit/",
            "trigger_rotate": f"/triggers/{self.trigger.pk}/rotate/",
            "trigger_signature": f"/triggers/{self.trigger.pk}/signature/",
            "trusted_job_create": f"/triggers/{self.trigger.pk}/jobs/new/",
            "trusted_job_edit": f"/triggers/{self.trigger.pk}/jobs/{self.job.pk}/edit/",
            "trusted_job_delete": f"/triggers/{self.trigger.pk}/jobs/{self.job.pk}/delete/",
            "trigger_delete": f"/triggers/{self.trigger.pk}/delete/",
            "activity": "/activity/",
            "running_calls": "/calls/running/",
            "call": f"/calls/{self.call.pk}/",
            "notifications": "/notifications/",
            "channel": f"/notifications/channels/{self.channel.pk}/",
            "channel_create": "/notifications/channels/new/",
            "channel_edit": f"/notifications/channels/{self.channel.pk}/edit/",
            "channel_rules": f"/notifications/channels/{self.channel.pk}/rules/",
            "channel_key": f"/notifications/channels/{self.channel.pk}/key/",
            "channel_delete": f"/notifications/channels/{self.channel.pk}/delete/",
            "notifications_sent": "/notifications/sent/",
            "notification_sent": f"/notifications/sent/{self.sent.pk}/",
            "call_release": f"/calls/{self.call.pk}/release/",
            "users": "/users/",
            "user": f"/users/{self.user.pk}/",
            "user_create": "/users/new/",
            "user_switch": f"/users/{self.user.pk}/switch/",
            "user_password": f"/users/{self.user.pk}/password/",
            "user_token_end": f"/users/{self.user.pk}/tokens/old/end/",
            "user_invite": f"/users/{self.user.pk}/invite/",
            "audit": "/audit/",
            "sign_in_settings": "/sign-in/",
            "provider_create": "/sign-in/providers/new/",
            "provider_edit": f"/sign-in/providers/{self.provider.pk}/edit/",
            "provider_delete": f"/sign-in/providers/{self.provider.pk}/delete/",
            "identities": "/account/identities/",
            "password": "/password/",
            "tokens": "/account/tokens/",
            "token_create": "/account/tokens/new/",
            "token_replace": "/account/tokens/old/replace/",
            "token_end": "/account/tokens/old/end/",
            "sessions": "/account/sessions/",
            "user_factor_reset": f"/users/{self.user.pk}/second-factor/",
            "second_factor": "/account/second-factor/",
            "app_set_up": "/account/second-factor/app/",
            "recovery_codes": "/account/second-factor/codes/",
            "passkey_add": "/account/second-factor/passkeys/new/",
            "passkey_rename": f"/account/second-factor/{self.passkey.pk}/rename/",
            "factor_remove": f"/account/second-factor/{self.passkey.pk}/remove/",
            "confirm": "/account/second-factor/confirm/",
        }
