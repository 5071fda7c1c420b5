"""The results of the palette and the search page: objects that the reader can see, pages of the console, and actions.

Each kind of object costs one query over names (never over calls), however many objects there are.
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
LIMIT = 8  # entries of each kind
WORDS = 8  # words of a query; more are ignored
SPOKEN = 3  # letters that are enough to name an action


@dataclass(frozen=True)
class Entry:
    """A line of the results: `act` is done to `name`, `place` says where that is, `status` is the word of a badge."""

    name: str
    url: str
    icon: str
    act: str = ""
    place: str = ""
    status: str = ""
    in_dialog: bool = False


@dataclass(frozen=True)
class Group:
    """A heading of the results with its entries."""

    label: str
    entries: list[Entry]


@dataclass(frozen=True)
class Act:
    """An action on an application or a service, with a dialog of its own."""

    label: str
    icon: str
    url_name: str
    permission: str
    more: tuple[str, ...] = ()  # arguments of the address after the row's id
    fits: Q = Q()  # the applications that it suits

    def without(self, words: Sequence[str]) -> Sequence[str]:
        """Return the words without those that name the action: `redeploy shop` leaves `shop`."""
        for spoken in self.label.lower().split():
            if words and len(words[0]) >= SPOKEN and spoken.startswith(words[0].lower()):
                words = words[1:]
            else:
                break
        return words

    def describe(self, row: Application | Service) -> Entry:
        url = reverse(self.url_name, args=[row.pk, *self.more])
        return Entry(row.name, url, self.icon, self.label, describe_location(row), in_dialog=True)

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
        "Start",
        "play",
        "application_act",
        "triggers.add_triggercall",
        more=("start",),
        fits=TOUCHABLE & ON_ENGINE & Q(running__lt=F("wanted")),
    ),
    Act("Restart", "restart", "application_act", "triggers.add_triggercall", ("restart",), TOUCHABLE & Q(running__gt=0)),
    Act("Delete", "trash", "application_act", "clusters.delete_application", ("delete",), TOUCHABLE),
)

# Label, icon, URL name, and the permission required for all clusters.
GENERAL_ACTS = (
    ("Add cluster", "plus", "cluster_create", "clusters.add_cluster"),
    ("Add registry", "plus", "registry_create", "clusters.add_registry"),
    ("Create user", "plus", "user_create", "auth.add_user"),
)
PAGES_OF_THEIR_OWN = {"cluster_create", "registry_create"}  # the others are dialogs


def find_groups(request: HttpRequest, query: str) -> list[Group]:
    """Return groups of at most LIMIT entries, none empty. Without a word: pages, and actions that need no object."""
    words = query.split()[:WORDS]
    rows = _Rows(request, words)
    spoken, acts = find_acts(rows)
    groups = [
        Group("Applications", [make_application_entry(row) for row in rows.applications]),
        Group("Services", [make_service_entry(row) for row in rows.services]),
        Group("Clusters", [make_cluster_entry(row) for row in rows.clusters]),
        Group("Nodes", [make_node_entry(row) for row in rows.nodes]),
        Group("Triggers", [make_trigger_entry(row) for row in rows.triggers]),
        Group("Registries", [make_registry_entry(row) for row in rows.registries]),
        Group("Pages", find_pages(request, words)),
    ]
    actions = Group("Actions", (find_general_acts(request, words) + acts)[:LIMIT])
    groups = [actions, *groups] if spoken else [*groups, actions]
    return [group for group in groups if group.entries]


class _Rows:
    """The objects that have the words in their names and that the reader can see."""

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
            self.applications = match_applications(access.scope_visible(select_applications(), self.user), words)
            self.services = match_services(access.scope_visible(select_services(), self.user), words)
            self.clusters = match_clusters(select_cluster(request).clusters, words)
            self.nodes = match_nodes(access.scope_visible(select_nodes(), self.user), words)
            self.triggers = match_triggers(access.scope_visible(select_found_triggers(), self.user), words)
            self.registries = match_words(access.scope_visible(select_registries(), self.user), words, ["host", "aliases"], [])


def find_acts(rows: _Rows) -> tuple[bool, list[Entry]]:
    """Return whether the words name an action, and the actions to offer.

    Those are the named action on what the other words find, or else all actions on what was found.
    """
    user, words = rows.user, rows.words
    for act in (REDEPLOY, CREATE_TRIGGER, SCALE, *WHOLE_ACTS):
        if len(rest := act.without(words)) < len(words):
            return True, [act.describe(row) for row in match_allowed(act, rest, user)]
    redeploys = REDEPLOY.describe_allowed(rows.applications, user)[:3]
    creations = CREATE_TRIGGER.describe_allowed(rows.applications, user)[:3]
    return False, redeploys + SCALE.describe_allowed(rows.services, user)[:2] + creations


def match_allowed(act: Act, words: Sequence[str], user: Any) -> Sequence[Application | Service]:
    if act is SCALE:
        return match_services(access.scope(select_services(), user, act.permission), words)
    return match_applications(access.scope(select_applications().filter(act.fits), user, act.permission), words)


def find_pages(request: HttpRequest, words: Sequence[str]) -> list[Entry]:
    pages = [Entry(item["label"], item["url"], item["icon"]) for item in list_navigation_items(request)]
    pages.append(Entry("Your account", reverse("password"), "key"))
    pages.append(Entry("API tokens", reverse("tokens"), "key"))
    pages.append(Entry("Help", reverse("help"), "help"))
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


def select_applications() -> QuerySet[Application]:
    return Application.objects.select_related("cluster").only("name", "status", "source", "cluster__name")


def select_services() -> QuerySet[Service]:
    """Select services, except those of applications that no longer exist."""
    rows = Service.objects.exclude(application__status=Application.Status.ABSENT).select_related("application__cluster")
    return rows.only("name", "status", "application__name", "application__cluster__name")


def select_nodes() -> QuerySet[Node]:
    return Node.objects.select_related("cluster").only("hostname", "state", "cluster__name")


def select_found_triggers() -> QuerySet[Trigger]:
    rows = Trigger.objects.select_related("application__cluster")
    return rows.only("name", "public_id", "action", "enabled", "application__name", "application__cluster__name")


def select_registries() -> QuerySet[Registry]:
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
    """Return the rows that match all words in their names or places, and at least one word in a name.

    A match of the place alone would find everything there. Rows whose first name equals the words come first, then those
    whose first name begins with them.
    """
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


def describe_location(row: Application | Service | Trigger) -> str:
    if isinstance(row, Application):
        return f"on {row.cluster.name}"
    return f"of {row.application.name} on {row.application.cluster.name}"


def make_application_entry(row: Application) -> Entry:
    url = reverse("application", args=[row.pk])
    return Entry(row.name, url, "applications", place=describe_location(row), status=row.status)


def make_service_entry(row: Service) -> Entry:
    return Entry(row.name, reverse("service", args=[row.pk]), "services", place=describe_location(row), status=row.status)


def make_cluster_entry(row: Cluster) -> Entry:
    return Entry(row.name, reverse("cluster", args=[row.uid]), "clusters", status=row.status)


def make_node_entry(row: Node) -> Entry:
    return Entry(
        row.hostname, reverse("node", args=[row.pk]), "nodes", place=f"of {row.cluster.name}", status=f"node-{row.state}"
    )


def make_trigger_entry(row: Trigger) -> Entry:
    url = reverse("application", args=[row.application_id]) + f"?trigger={row.pk}#trigger-{row.pk}"
    return Entry(str(row), url, "triggers", place=describe_location(row), status="" if row.enabled else "disabled")


def make_registry_entry(row: Registry) -> Entry:
    status = "registry-problem" if row.problem else ""
    return Entry(row.host, reverse("registry", args=[row.pk]), "registries", place=row.get_kind_display(), status=status)
