"""Triggers and calls for tests."""

import factory
from django.utils import timezone

from clusters.tests.factories import ApplicationFactory, ServiceFactory
from triggers.models import Action, Trigger, TriggerCall


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
