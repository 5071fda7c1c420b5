"""Registries, the triggers that follow their images, and the deliveries of thirty days."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

from clusters.models import Cluster, Registry, Service
from clusters.registry.reference import BadReference, parse_reference
from console.fleet.people import People
from console.fleet.rows import DAY, RowWriter, list_ages
from triggers.models import Action, Decision, Delivery, DeliveryLine, ImageSubscription, Trigger

REGISTRIES = 6  # at most
DECISIONS = {  # in per cent
    Decision.TRIGGERED: 30,
    Decision.UNCHANGED: 15,
    Decision.TAG: 25,
    Decision.IMAGE: 10,
    Decision.DUPLICATE: 10,
    Decision.UNSUPPORTED: 8,
    Decision.SIGNATURE: 2,
}
SENDERS = ("distribution", "harbor", "dockerhub", "github", "gitea")
BODY = '{"events": [{"action": "push", "target": {"repository": "team/app", "tag": "1"}}]}'


class Pushes:
    def __init__(self, people: People) -> None:
        self.random, self.now = people.random, people.now
        self.registries: list[Registry] = []
        self.followed: list[tuple[int, str]] = []  # ids of triggers, with the repository that each follows

    def add_subscriptions(self) -> None:
        """Let every redeploy trigger follow the image of one service of its application."""
        images = self._list_images()
        hosts = list(dict.fromkeys(repository.partition("/")[0] for repository in images.values()))[:REGISTRIES]
        account = {"username": "windlass", "password": "made up"}
        self.registries = [Registry.objects.get_or_create(host=host, defaults=account)[0] for host in hosts]
        for registry in self.registries:
            registry.clusters.set(Cluster.objects.only("pk"))
        triggers = Trigger.objects.filter(action=Action.REDEPLOY).order_by("pk").values_list("pk", "application_id")
        self.followed = [(trigger, images[application]) for trigger, application in triggers if application in images]
        ImageSubscription.objects.bulk_create(
            ImageSubscription(trigger_id=trigger, repository=repository) for trigger, repository in self.followed
        )

    def _list_images(self) -> dict[int, str]:
        """Return the repository of one service of each application, by the application's id."""
        found: dict[int, str] = {}
        for application, image in Service.objects.order_by("-pk").values_list("application_id", "image"):
            try:
                found[application] = parse_reference(image).repository
            except BadReference:
                continue
        return found

    def add_deliveries(self, count: int) -> None:
        if not self.followed:
            return
        lines = RowWriter(DeliveryLine)
        deliveries = list(self._describe_deliveries(count))
        RowWriter(Delivery).write(deliveries)
        lines.write(self._describe_line(delivery) for delivery in deliveries)

    def _describe_deliveries(self, count: int) -> Iterator[dict[str, Any]]:
        words, weights = list(DECISIONS), list(DECISIONS.values())
        for age in list_ages(self.random, count):
            registry = self.random.choice(self.registries)
            decision = self.random.choices(words, weights)[0]
            yield {
                "id": UUID(int=self.random.getrandbits(128), version=4),
                "received_at": self.now - timedelta(seconds=min(age, 30 * DAY)),
                "source": Delivery.Source.REGISTRY,
                "registry_id": registry.pk,
                "sender": self.random.choice(SENDERS),
                "event": "push",
                "decision": decision,
                "message": f"{decision.label}.",
                "body": BODY,
            }

    def _describe_line(self, delivery: dict[str, Any]) -> dict[str, Any]:
        trigger, repository = self.random.choice(self.followed)
        has_trigger = delivery["decision"] not in {Decision.IMAGE, Decision.UNSUPPORTED, Decision.SIGNATURE}
        return {
            "delivery_id": delivery["id"],
            "image": repository,
            "tag": self.random.choice(("1", "2", "latest")),
            "digest": f"sha256:{self.random.getrandbits(256):064x}",
            "decision": delivery["decision"],
            "message": delivery["message"],
            "trigger_id": trigger if has_trigger else None,
        }
