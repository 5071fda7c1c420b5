"""Factories for triggers, calls and deliveries."""

from datetime import UTC, datetime

import factory
from django.utils import timezone

from clusters.tests.factories import ApplicationFactory, RegistryFactory, ServiceFactory
from triggers.identity.presets import HOSTS, Preset
from triggers.links import make_signature_key
from triggers.models import (
    Action,
    ChannelKind,
    Decision,
    Delivery,
    DeliveryLine,
    FreezeWindow,
    ImageSubscription,
    News,
    NotificationChannel,
    NotificationRule,
    Trigger,
    TriggerCall,
    TrustedJob,
)


class TriggerFactory(factory.django.DjangoModelFactory):
    """A redeploy trigger of a whole application."""

    class Meta:
        model = Trigger

    name = factory.Sequence(lambda n: f"trigger {n}")
    application = factory.SubFactory(ApplicationFactory)
    action = Action.REDEPLOY


class ScalingTriggerFactory(TriggerFactory):
    action = Action.SCALING
    service = factory.SubFactory(ServiceFactory, application=factory.SelfAttribute("..application"))


class TriggerCallFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = TriggerCall

    trigger = factory.SubFactory(TriggerFactory)
    application = factory.SelfAttribute("trigger.application")
    service = factory.SelfAttribute("trigger.service")
    action = factory.SelfAttribute("trigger.action")
    source = TriggerCall.Source.HOOK
    queued_at = factory.LazyFunction(timezone.now)


class ImageSubscriptionFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = ImageSubscription

    trigger = factory.SubFactory(TriggerFactory)
    repository = "registry.example.com/team/app"


class FreezeWindowFactory(factory.django.DjangoModelFactory):
    """A window of an application that is over: from Monday to Tuesday of a week long ago."""

    class Meta:
        model = FreezeWindow

    application = factory.SubFactory(ApplicationFactory)
    cluster = factory.SelfAttribute("application.cluster")
    name = "release"
    starts_at = datetime(2020, 1, 6, tzinfo=UTC)
    ends_at = datetime(2020, 1, 7, tzinfo=UTC)


class DeliveryFactory(factory.django.DjangoModelFactory):
    """A message from Harbor at a registry's link."""

    class Meta:
        model = Delivery

    registry = factory.SubFactory(RegistryFactory)
    received_at = factory.LazyFunction(timezone.now)
    source = Delivery.Source.REGISTRY
    sender = "harbor"
    event = "PUSH_ARTIFACT"
    decision = Decision.TRIGGERED
    body = '{"type": "PUSH_ARTIFACT"}'


class DeliveryLineFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = DeliveryLine

    delivery = factory.SubFactory(DeliveryFactory)
    image = "registry.example.com/team/app"
    tag = "1.2"
    digest = "sha256:" + "3" * 64
    decision = Decision.TRIGGERED


class TrustedJobFactory(factory.django.DjangoModelFactory):
    """Jobs of one branch of a repository on GitHub."""

    class Meta:
        model = TrustedJob

    trigger = factory.SubFactory(TriggerFactory)
    name = "deploy"
    preset = Preset.GITHUB
    issuer = HOSTS[Preset.GITHUB].issuer
    audience = "http://testserver"
    conditions = factory.LazyFunction(
        lambda: {"repository": {"exact": "team/app"}, "ref": {"pattern": "refs/(heads/main|tags/v.+)"}}
    )


class NotificationChannelFactory(factory.django.DjangoModelFactory):
    """A signed webhook. `values` is its configuration."""

    class Meta:
        model = NotificationChannel

    name = factory.Sequence(lambda n: f"channel {n}")
    kind = ChannelKind.WEBHOOK
    values = factory.LazyFunction(lambda: {"url": "http://127.0.0.1:9/news", "secret": make_signature_key()})


class NotificationRuleFactory(factory.django.DjangoModelFactory):
    """Failures of everything."""

    class Meta:
        model = NotificationRule

    channel = factory.SubFactory(NotificationChannelFactory)
    news = News.FAILED
