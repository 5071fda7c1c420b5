"""What the palette and the search page find by words of a name: whatever the reader may see, the console's pages, and acts.

Each kind is one query over names (never over calls), so their number depends on no size.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, TypeVar

from django.db.models import Case, F, Model, Q, QuerySet, When
from django.http import HttpRequest
from django.urls import reverse

from clusters import access
from clusters.inventory import PLAIN_SOURCES
from clusters.models import Application, Cluster, Node, Registry, Service
from console.pages.shared.context import list_navigation_items
from console.pages.shared.selection import select_cluster
from triggers.models import Trigger

Row = TypeVar("Row", bound=Model)
LIMIT = 8  # of each kind
WORDS = 8  # more are not looked at
SPOKEN = 3  # letters by which the word of an act is known


@dataclass(frozen=True)
class Entry:
    """One line: `act` is what is done to `name`, `place` where it lies, `status` the word of a badge."""

    name: str
    url: str
    icon: str
    act: str = ""
    place: str = ""
    status: str = ""
    in_dialog: bool = False


@dataclass(frozen=True)
class Group:
    label: str
    entries: list[Entry]


@dataclass(frozen=True)
class Act:
    """What can be done to an application or a service, in a dialog of its own."""

    label: str
    icon: str
    url_name: str
    permission: str
    more: tuple[str, ...] = ()  # of the address, after the row
    fits: Q = Q()  # of applications

    def without(self, words: Sequence[str]) -> Sequence[str]:
        """What is left of the words after those that speak of the act: `redeploy shop` leaves `shop`."""
        for spoken in self.label.lower().split():
            if words and len(words[0]) >= SPOKEN and spoken.startswith(words[0].lower()):
                words = words[1:]
            else:
                break
        return words

    def describe(self, row: Application | Service) -> Entry:
        url = reverse(self.url_name, args=[row.pk, *self.more])
        return Entry(row.name, url, self.icon, self.label, name_place(row), in_dialog=True)

    def describe_allowed(self, rows: Iterable[Application | Service], user: Any) -> list[Entry]:
        return [self.describe(row) for row in rows if user.has_perm(self.permission, row)]


REDEPLOY = Act("Redeploy", "redeploy", "application_redeploy", "triggers.add_triggercall")
CREATE_TRIGGER = Act("Create Trigger for", "plus", "trigger_create", "triggers.add_trigger")
SCALE = Act("Scale", "scale", "service_scale", "triggers.add_triggercall")

ON_ENGINE = Q(source__in=PLAIN_SOURCES)
TOUCHABLE = Q(protected=False) & ~Q(status=Application.Status.ABSENT)
WHOLE_ACTS = (
    Act("Stop", "stop", "application_act", "triggers.add_triggercall", ("stop",), TOUCHABLE & ON_ENGINE & Q(running__gt=0)),
    Act(
        *("Start", "play", "application_act", "triggers.add_triggercall"),
        more=("start",),
        fits=TOUCHABLE & ON_ENGINE & Q(running__lt=F("wanted")),
    ),
    Act("Restart", "restart", "application_act", "triggers.add_triggercall", ("restart",), TOUCHABLE & Q(running__gt=0)),
    Act("Delete", "trash", "application_act", "clusters.delete_application", ("delete",), TOUCHABLE),
)

# Label, icon, URL name and the permission for all clusters.
GENERAL_ACTS = (
    ("Add cluster", "plus", "cluster_create", "clusters.add_cluster"),
    ("Add registry", "plus", "registry_create", "clusters.add_registry"),
    ("Create user", "plus", "user_create", "auth.add_user"),
)
PAGES_OF_THEIR_OWN = {"cluster_create", "registry_create"}  # the others are dialogs


def search(request: HttpRequest, query: str) -> list[Group]:
    """Groups of at most LIMIT entries, none empty. Without a word: the pages and what can be done without any object."""
    words = query.split()[:WORDS]
    rows = _Rows(request, words)
    spoken, acts = find_acts(rows)
    groups = [
        Group("Applications", [describe_application(row) for row in rows.applications]),
        Group("Services", [describe_service(row) for row in rows.services]),
        Group("Clusters", [describe_cluster(row) for row in rows.clusters]),
        Group("Nodes", [describe_node(row) for row in rows.nodes]),
        Group("Triggers", [describe_trigger(row) for row in rows.triggers]),
        Group("Registries", [describe_registry(row) for row in rows.registries]),
        Group("Pages", find_pages(request, words)),
    ]
    actions = Group("Actions", (find_general_acts(request, words) + acts)[:LIMIT])
    groups = [actions, *groups] if spoken else [*groups, actions]
    return [group for group in groups if group.entries]


class _Rows:
    """The rows that have the words in their names, and that the reader may see."""

    def __init__(self, request: HttpRequest, words: Sequence[str]) -> None:
        self.user = request.user
        self.words = words
        self.applications: list[Application] = []
        self.services: list[Service] = []
        self.clusters: list[Cluster] = []
        self.nodes: list[Node] = []
        self.triggers: list[Trigger] = []
        self.registries: list[Registry] = []
        if words:
            self.applications = match_applications(access.scope_visible(list_applications(), self.user), words)
            self.services = match_services(access.scope_visible(list_services(), self.user), words)
            self.clusters = match_clusters(select_cluster(request).clusters, words)
            self.nodes = match_nodes(access.scope_visible(list_nodes(), self.user), words)
            self.triggers = match_triggers(access.scope_visible(list_triggers(), self.user), words)
            self.registries = match_words(access.scope_visible(list_registries(), self.user), words, ["host", "aliases"], [])


def find_acts(rows: _Rows) -> tuple[bool, list[Entry]]:
    """Whether the words speak of an act, and the acts: that one on what the other words name, else all on what was found."""
    user, words = rows.user, rows.words
    for act in (REDEPLOY, CREATE_TRIGGER, SCALE, *WHOLE_ACTS):
        if len(rest := act.without(words)) < len(words):
            return True, [act.describe(row) for row in match_allowed(act, rest, user)]
    redeploys = REDEPLOY.describe_allowed(rows.applications, user)[:3]
    creations = CREATE_TRIGGER.describe_allowed(rows.applications, user)[:3]
    return False, redeploys + SCALE.describe_allowed(rows.services, user)[:2] + creations


def match_allowed(act: Act, words: Sequence[str], user: Any) -> Sequence[Application | Service]:
    if act is SCALE:
        return match_services(access.scope(list_services(), user, act.permission), words)
    return match_applications(access.scope(list_applications().filter(act.fits), user, act.permission), words)


def find_pages(request: HttpRequest, words: Sequence[str]) -> list[Entry]:
    pages = [Entry(item["label"], item["url"], item["icon"]) for item in list_navigation_items(request)]
    pages.append(Entry("Change password", reverse("password"), "key"))
    found = [page for page in pages if has_words(page.name, words)]
    return found[:LIMIT] if words else found


def find_general_acts(request: HttpRequest, words: Sequence[str]) -> list[Entry]:
    return [
        Entry(label, reverse(url_name), icon, in_dialog=url_name not in PAGES_OF_THEIR_OWN)
        for label, icon, url_name, permission in GENERAL_ACTS
        if has_words(label, words) and request.user.has_perm(permission)
    ]


def has_words(text: str, words: Sequence[str]) -> bool:
    return all(word.lower() in text.lower() for word in words)


# Rows by words


def list_applications() -> QuerySet[Application]:
    return Application.objects.select_related("cluster").only("name", "status", "source", "cluster__name")


def list_services() -> QuerySet[Service]:
    """Without those of applications that are not there any more."""
    rows = Service.objects.exclude(application__status=Application.Status.ABSENT).select_related("application__cluster")
    return rows.only("name", "status", "application__name", "application__cluster__name")


def list_nodes() -> QuerySet[Node]:
    return Node.objects.select_related("cluster").only("hostname", "state", "cluster__name")


def list_triggers() -> QuerySet[Trigger]:
    rows = Trigger.objects.select_related("application__cluster")
    return rows.only("name", "public_id", "action", "enabled", "application__name", "application__cluster__name")


def list_registries() -> QuerySet[Registry]:
    return Registry.objects.only("host", "kind", "problem")


def match_applications(rows: QuerySet[Application], words: Sequence[str]) -> list[Application]:
    return match_words(rows, words, ["name"], ["cluster__name"])


def match_services(rows: QuerySet[Service], words: Sequence[str]) -> list[Service]:
    return match_words(rows, words, ["name"], ["application__name", "application__cluster__name"])


def match_nodes(rows: QuerySet[Node], words: Sequence[str]) -> list[Node]:
    return match_words(rows, words, ["hostname", "address"], ["cluster__name"])


def match_triggers(rows: QuerySet[Trigger], words: Sequence[str]) -> list[Trigger]:
    return match_words(rows, words, ["name", "public_id", "application__name"], ["application__cluster__name"])


def match_clusters(rows: Iterable[Cluster], words: Sequence[str]) -> list[Cluster]:
    found = [row for row in rows if has_words(row.name, words)]
    text = " ".join(words).lower()
    return sorted(found, key=lambda row: not row.name.lower().startswith(text))[:LIMIT]


def match_words(rows: QuerySet[Row], words: Sequence[str], names: Sequence[str], places: Sequence[str]) -> list[Row]:
    """Those that have at least one of the words in a name, and each of them there or in a place that they belong to: the
    place alone would find all that lies there. First those whose first name is the words, then those that begin with them."""
    if words:
        rows = rows.filter(reduce(or_, (_contains(names, word) for word in words)))
    for word in words:
        rows = rows.filter(_contains([*names, *places], word))
    text = " ".join(words)
    rank = Case(When(**{f"{names[0]}__iexact": text}, then=0), When(**{f"{names[0]}__istartswith": text}, then=1), default=2)
    return list(rows.order_by(rank, names[0], *places, "pk")[:LIMIT])


def _contains(fields: Sequence[str], word: str) -> Q:
    return reduce(or_, (Q(**{f"{field}__icontains": word}) for field in fields))


# Rows as entries


def name_place(row: Application | Service | Trigger) -> str:
    if isinstance(row, Application):
        return f"on {row.cluster.name}"
    return f"of {row.application.name} on {row.application.cluster.name}"


def describe_application(row: Application) -> Entry:
    return Entry(row.name, reverse("application", args=[row.pk]), "applications", place=name_place(row), status=row.status)


def describe_service(row: Service) -> Entry:
    return Entry(row.name, reverse("service", args=[row.pk]), "services", place=name_place(row), status=row.status)


def describe_cluster(row: Cluster) -> Entry:
    return Entry(row.name, reverse("cluster", args=[row.uid]), "clusters", status=row.status)


def describe_node(row: Node) -> Entry:
    return Entry(
        row.hostname, reverse("node", args=[row.pk]), "nodes", place=f"of {row.cluster.name}", status=f"node-{row.state}"
    )


def describe_trigger(row: Trigger) -> Entry:
    url = reverse("application", args=[row.application_id]) + f"?trigger={row.pk}#trigger-{row.pk}"
    return Entry(str(row), url, "triggers", place=name_place(row), status="" if row.enabled else "disabled")


def describe_registry(row: Registry) -> Entry:
    status = "registry-problem" if row.problem else ""
    return Entry(row.host, reverse("registry", args=[row.pk]), "registries", place=row.get_kind_display(), status=status)
