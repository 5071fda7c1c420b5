"""Users with their roles, their triggers, and the audit log of what they did."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group, User

from clusters.models import Application, AuditEntry, Cluster, ClusterGrant, Service
from clusters.roles import Role
from console.fleet.inventory import Inventory
from console.fleet.rows import RowWriter, list_ages, share
from triggers import links
from triggers.models import Action, Trigger

ADMINISTRATOR = "admin"  # for all clusters
PART_DEPLOYER = "part.deployer"  # with roles on single clusters only
NO_PASSWORD = "!"  # noqa: S105 - Django's mark for a password that nothing matches
NAMES = ("ada", "bela", "chiara", "dmitri", "esra", "farid", "grace", "hugo", "ines", "jon", "kaya", "lin", "mara", "nils")
ACTS = {"sign_in": 40, "call": 30, "trigger.reveal": 10, "sign_out": 8, "trigger.create": 4, "sign_in.fail": 4, "grant.add": 4}


class People:
    def __init__(self, inventory: Inventory) -> None:
        self.inventory, self.random, self.now = inventory, inventory.random, inventory.now
        self.users: list[User] = []

    def add_users(self, count: int) -> None:
        """Add users without passwords, who cannot sign in. Every third has roles on single clusters, the others one for all."""
        known = {"is_staff": True, "is_superuser": True, "password": NO_PASSWORD}
        administrator, _ = User.objects.get_or_create(username=ADMINISTRATOR, defaults=known)
        names = [PART_DEPLOYER, *(f"{NAMES[number % len(NAMES)]}.{number + 1}" for number in range(count))][: count - 1]
        self.users = [administrator, *User.objects.bulk_create(User(username=name, password=NO_PASSWORD) for name in names)]
        clusters, roles = self.inventory.clusters, list(Role)
        for number, user in enumerate(self.users[1:]):
            if number % 3:
                user.groups.add(Group.objects.get(name=roles[number % len(roles)].label))
            else:
                first = number // 3 % len(clusters)
                self._grant(user, Role.VIEWER if number else Role.DEPLOYER, clusters[first : first + 3])

    def _grant(self, user: User, role: Role, clusters: list[Cluster]) -> None:
        ClusterGrant.objects.bulk_create(ClusterGrant(user=user, cluster=cluster, role=role) for cluster in clusters)

    def add_triggers(self, count: int) -> None:
        """Add triggers. Every fourth scales a service."""
        applications = self.inventory.applications
        shares = share(count, [1 / (place + 20) for place in range(len(applications))])
        parts: dict[int, list[Service]] = {}
        for service in self.inventory.services:
            parts.setdefault(service.application_id, []).append(service)
        RowWriter(Trigger).write(
            self._describe_trigger(application, parts.get(application.pk, []), number)
            for application, share_of in zip(applications, shares, strict=True)
            for number in range(share_of)
        )

    def _describe_trigger(self, application: Application, parts: list[Service], number: int) -> dict[str, Any]:
        scales = number % 4 == 3 and bool(parts)
        return {
            "public_id": links.make_public_id(),
            "secret": links.make_secret(),
            "name": f"scale by load {number}" if scales else f"after the build of {application.name} {number}"[:64],
            "application_id": application.pk,
            "service_id": self.random.choice(parts).pk if scales else None,
            "action": Action.SCALING if scales else Action.REDEPLOY,
            "enabled": self.random.random() < 0.95,
            "created_by_id": self.random.choice(self.users).pk,
            "created_at": self.now - timedelta(days=180) * self.random.random(),
        }

    def add_audit_entries(self, count: int) -> None:
        RowWriter(AuditEntry).write(self._describe_acts(count))

    def _describe_acts(self, count: int) -> Iterator[dict[str, Any]]:
        words, weights, applications = list(ACTS), list(ACTS.values()), self.inventory.applications
        about = [RowWriter(AuditEntry).prepare("details", {"application": row.name}) for row in applications]
        for age in list_ages(self.random, count):
            user, action = self.random.choice(self.users), self.random.choices(words, weights)[0]
            entry = {
                "time": self.now - timedelta(seconds=age),
                "user_id": user.pk,
                "actor": user.username,
                "address": f"198.51.100.{self.random.randrange(1, 255)}",
                "action": action,
            }
            if action.startswith("sign"):
                yield entry
            else:
                number = self.random.randrange(len(applications))
                application = applications[number]
                target = {"target_type": "application", "target_id": str(application.pk), "target": application.name}
                yield entry | target | {"cluster_id": application.cluster_id, "details": about[number]}
