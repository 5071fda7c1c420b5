"""Triggers that follow images, and messages of small senders to a registry's inbound link."""

import json

from django.utils import timezone

from clusters.tests.factories import ServiceFactory
from triggers.models import CallState, ImageSubscription, TriggerCall
from triggers.tests.factories import TriggerFactory

HOST = "registry.example.com:5000"
APP = f"{HOST}/team/app"
OLD, NEW, NEWER = ("sha256:" + digit * 64 for digit in "123")


def make_trigger(image=f"{APP}:1", digest=OLD, subscribed=APP, condition="service_tag", **fields):
    trigger = TriggerFactory(**fields)
    ServiceFactory(application=trigger.application, image=image, image_digests=[f"x@{digest}"])
    if subscribed:
        ImageSubscription.objects.create(trigger=trigger, repository=subscribed, condition=condition)
    return trigger


def message(*pushes, sender="harbor", **more):
    """Return a message with pushes, each given as (name, tag, digest)."""
    named = [dict(zip(("name", "tag", "digest"), push, strict=False)) for push in pushes]
    return json.dumps({"sender": sender, "pushes": named, **more})


def push(tag="1", digest=NEW, name="team/app", **more):
    return message((name, tag, digest), **more)


def send(client, registry, body, method="post", **options):
    path = f"/hook/registry/{registry.hook_token}"
    return getattr(client, method)(path, body, content_type=options.pop("content_type", "application/json"), **options)


def decisions(response):
    assert response.status_code == 200, response.content
    return [line["decision"] for line in response.json()["lines"]]


def end_calls(state=CallState.SUCCEEDED):
    TriggerCall.objects.filter(state__in=("queued", "running")).update(state=state, completed_at=timezone.now())
