"""Writes the rows of the demo that no engine provides, inside the console's Django: see tests.harness.demo."""

import random
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth.models import Group, User
from django.utils import timezone

from clusters.models import Cluster, ClusterGrant
from clusters.roles import Role
from triggers.models import CallState, TriggerCall, TriggerCallEvent

TRUSTED = "GitHub Actions"  # the trigger whose own page is shown
DAYS = 7


def add_people_and_swarm(swarm_url: str) -> dict[str, Any]:
    Cluster.objects.update(name="production")
    swarm = Cluster.objects.create(name="checkout-swarm", url=swarm_url)
    for name, role in (("maria", Role.DEPLOYER), ("jonas", Role.OPERATOR), ("lea", Role.VIEWER)):
        User.objects.create_user(name).groups.add(Group.objects.get(name=role.label))
    ClusterGrant.objects.create(cluster=swarm, user=User.objects.create_user("tomas"), role=Role.ADMINISTRATOR)
    return {}


def copy_calls_to_days_before() -> dict[str, Any]:
    """Copy ended calls, mostly successful ones, to the previous days. The result is the same on every run."""
    dice = random.Random(7)  # noqa: S311
    ended = list(TriggerCall.objects.filter(state__in=[CallState.SUCCEEDED, CallState.ROLLED_BACK, CallState.FAILED]))
    weights = [12 if call.state == CallState.SUCCEEDED else 1 for call in ended]
    for day in range(DAYS):
        for _ in range(dice.randint(12, 36)):
            copy_call(dice.choices(ended, weights)[0], timedelta(days=day, seconds=dice.randint(3600, 86_000)), dice)
    return {"calls": TriggerCall.objects.count()}


def copy_call(call: TriggerCall, age: timedelta, dice: random.Random) -> None:
    events = list(call.events.all())
    times = {name: getattr(call, name) - age for name in ("queued_at", "started_at", "completed_at") if getattr(call, name)}
    copy = TriggerCall.objects.get(pk=call.pk)
    copy.pk, copy._state.adding = UUID(int=dice.getrandbits(128), version=4), True
    for name, moment in times.items():
        setattr(copy, name, moment)
    copy.delivery_id = ""  # one call per delivery
    copy.save()
    TriggerCallEvent.objects.bulk_create(
        TriggerCallEvent(call=copy, time=event.time - age, level=event.level, operation=event.operation, text=event.text)
        for event in events
    )


def add_trust() -> dict[str, Any]:
    """Narrow a link, trust a build host's jobs, and make API tokens of admin."""
    from clusters.access.tokens import create_token
    from triggers.models import Trigger, TrustedJob

    narrowed = {
        "allowed_addresses": "10.0.4.0/24\n192.0.2.17",
        "calls_a_minute": 6,
        "expires_at": timezone.now() + timedelta(days=20),
        "old_secret": "0" * 64,
        "old_secret_ends_at": timezone.now() + timedelta(hours=20),
    }
    Trigger.objects.filter(name=TRUSTED).update(**narrowed)
    TrustedJob.objects.create(
        trigger=Trigger.objects.get(name=TRUSTED),
        name="Releases",
        preset="github",
        issuer="https://token.actions.githubusercontent.com",
        audience="https://windlass.example.com",
        conditions={"repository": {"exact": "acme/blog"}, "ref": {"pattern": "refs/tags/v[0-9.]+"}},
    )
    admin = User.objects.get(username="admin")
    create_token(admin, "Inventory", Role.VIEWER, None, 90)
    create_token(admin, "Checkout releases", Role.DEPLOYER, [Cluster.objects.get(name="checkout-swarm")], 30)
    return {}


def add_notifications() -> dict[str, Any]:
    """Make two channels with rules for one application, and what was sent about its rolled back call."""
    from triggers.models import DeliveryStatus, News, Notification, NotificationChannel, NotificationDelivery, NotificationRule
    from triggers.notifications.news import describe_call, describe_place

    call = TriggerCall.objects.filter(state="rolled_back").latest("queued_at")
    application = call.application
    place = {"cluster": application.cluster, "application": application}
    facts = describe_place(**place) | describe_call(call)
    sent = Notification.objects.create(news=News.FAILED, recorded_at=call.completed_at, call=call, facts=facts, **place)
    for name, kind, values, status, answer in (
        ("Night shift", "slack", {"url": "https://hooks.slack.com/services/T0/B0/x0"}, 200, "ok"),
        ("Status board", "webhook", {"url": "https://status.example.com/windlass"}, 503, "maintenance"),
    ):
        channel = NotificationChannel(name=name, kind=kind)
        channel.values = values
        channel.save()
        for news in (News.FAILED, News.WORKS_AGAIN):
            NotificationRule.objects.create(channel=channel, news=news, application=application)
        is_sent = status == 200
        NotificationDelivery.objects.create(
            channel=channel,
            notification=sent,
            status=DeliveryStatus.DELIVERED if is_sent else DeliveryStatus.FAILED,
            created_at=call.completed_at,
            first_attempt_at=call.completed_at,
            last_attempt_at=call.completed_at,
            attempts=1 if is_sent else 6,
            answer_status=status,
            answer=answer,
            problem="" if is_sent else "status.example.com answered 503.",
        )
    return {}


def find_rows() -> dict[str, Any]:
    """Return the names and ids that the addresses of the pictures contain."""
    from clusters.models import Application, Container, Node, Registry, Service
    from triggers.models import Delivery, Trigger

    def find_call(**which: Any) -> str:
        return str(TriggerCall.objects.filter(**which).latest("queued_at").pk)

    return {
        "shop": Application.objects.get(name="shop").pk,
        "checkout": Application.objects.get(name="checkout").pk,
        "api": Service.objects.get(application__name="shop", name="api").pk,
        "gateway": Service.objects.get(application__name="checkout", name__contains="gateway").pk,
        "container": Container.objects.filter(service__name="web", service__application__name="shop").first().pk,
        "cluster": Cluster.objects.get(name="production").uid,
        "swarm": Cluster.objects.get(name="checkout-swarm").uid,
        "node": Node.objects.filter(role="manager").first().pk,
        "trigger": Trigger.objects.get(name=TRUSTED).pk,
        "user": User.objects.get(username="tomas").pk,
        "succeeded": find_call(state="succeeded", action="redeploy", application__name="shop"),
        "rolled_back": find_call(state="rolled_back"),
        "failed": find_call(state="failed"),
        "running": find_call(application__name="metrics"),
        "registry": Registry.objects.get().pk,
        "delivery": str(Delivery.objects.filter(decision="triggered").latest("received_at").pk),
    }
