"""Where a page of the admin is: its breadcrumbs, its heading, and the console's own page of the same thing."""

from dataclasses import dataclass
from typing import Any

from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.contrib.auth.models import User
from django.db.models import Model
from django.urls import reverse

from clusters.models import Application, AuditEntry, Cluster, Container, Node, Registry, Service
from console.administration.wording import name_many, name_one, title_row
from triggers.models import Delivery, Trigger, TriggerCall

INDEX = "Administration"
# URL names of the console's list and of its page of a row, and the attribute that the latter takes.
CONSOLE_PAGES: dict[type[Model], tuple[str, str, str]] = {
    Application: ("applications", "application", "pk"),
    AuditEntry: ("audit", "", ""),
    Cluster: ("clusters", "cluster", "uid"),
    Container: ("", "container", "pk"),
    Delivery: ("deliveries", "delivery", "pk"),
    Node: ("nodes", "node", "pk"),
    Registry: ("registries", "registry", "pk"),
    Service: ("services", "service", "pk"),
    Trigger: ("triggers", "trigger", "pk"),
    TriggerCall: ("activity", "call", "pk"),
    User: ("users", "user", "pk"),
}
ACTS = {"delete": "Delete", "history": "History", "password_change": "Password"}  # pages below that of a row


@dataclass(frozen=True)
class Place:
    """`crumbs` are labels and addresses, `heading` is what the page itself is called. `noun` is the word for one row, `back`
    the address of the list with its filters, and `console` that of the same in the console, where there is one."""

    heading: str
    crumbs: tuple[tuple[str, str], ...] = ()
    noun: str = ""
    back: str = ""
    console: str = ""


def find_place(context: Any) -> Place:
    """Return the place of the page that `context`, the context of its template, is for."""
    index, match = reverse("admin:index"), context["request"].resolver_match
    name = (match.url_name or "") if match else ""
    cl = context.get("cl")
    opts = context.get("opts") or getattr(cl, "opts", None)
    if opts is None:
        parts = context.get("app_list") if name == "app_list" else None
        return Place(str(parts[0]["name"]), ((INDEX, index),)) if parts else Place(INDEX)
    model = opts.model
    filters = {"preserved_filters": context.get("preserved_filters", ""), "opts": opts}
    back = add_preserved_filters(filters, reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist"))
    above = ((INDEX, index), (name_many(model), back))
    row = context.get("original") or context.get("object")
    place = {"noun": name_one(model), "back": back, "console": find_console_page(model, row)}
    if cl is not None:
        return Place(name_many(model), above[:1], **place)
    act = next((word for act, word in ACTS.items() if name.endswith(f"_{act}")), "")
    if row is None:
        return Place(f"Add {name_one(model)}" if name.endswith("_add") else "Delete", above, **place)
    if act:
        address = add_preserved_filters(filters, reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[row.pk]))
        return Place(act, (*above, (title_row(row), address)), **place)
    return Place(title_row(row), above, **place)


def find_console_page(model: type[Model], row: Any) -> str:
    """Return the address of the console's own page of the row, or without a row of its list; empty if there is none."""
    listed, page, attribute = CONSOLE_PAGES.get(model, ("", "", ""))
    if row is None:
        return reverse(listed) if listed else ""
    return reverse(page, args=[getattr(row, attribute)]) if page else ""
