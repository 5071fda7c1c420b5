"""Tags of the admin's templates (templates/admin/)."""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from django import template
from django.contrib.admin.helpers import AdminField, AdminReadonlyField
from django.forms import BoundField

from console.administration import lists, places, values, wording

register = template.Library()

register.simple_tag(lists.list_headings, name="admin_headings")
register.simple_tag(lists.list_rows, name="admin_rows")
register.simple_tag(lists.list_filters, name="admin_filters")
register.simple_tag(lists.list_pages, name="admin_pages")


@register.simple_tag(takes_context=True)
def admin_place(context: template.Context) -> places.Place:
    return places.find_place(context)


@register.filter
def admin_value(field: AdminReadonlyField) -> str:
    return values.show_readonly(field)


@register.filter
def admin_label(field: AdminField | AdminReadonlyField) -> str:
    described: Any = field.field
    if isinstance(field, AdminReadonlyField):
        return wording.label_field(described["name"], described["label"])
    return wording.label_field(described.name, described.label)


@register.filter
def admin_label_of(name: str, default: object) -> str:
    return wording.label_field(name, default)


@register.filter
def admin_fields(form: Iterable[Iterable[Iterable[Any]]]) -> list[Any]:
    """Return the fields of a form of a set, one after the other."""
    return [field for fieldset in form for line in fieldset for field in line]


@register.filter
def admin_help(field: BoundField) -> str:
    """Return a field's help as plain text: Django writes some of it as a list."""
    return " ".join(re.sub(r"<[^>]*>", " ", str(field.help_text)).split())


@register.filter
def admin_title(row: object) -> str:
    return wording.title_row(row)


@register.filter
def admin_models(app: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the models of an application of the admin's index, by the console's names in their order."""
    shown = [
        model | {"name": wording.name_many(model["model"]), "noun": wording.name_one(model["model"])} for model in app["models"]
    ]
    return sorted(shown, key=lambda model: model["name"])


@register.filter
def admin_groups(fieldset: Iterable[Any]) -> Iterator[tuple[bool, list[Any]]]:
    """Yield the fields of a fieldset in groups: whether the group can only be read, and its fields."""
    fields = [field for line in fieldset for field in line]
    for is_value, group in groupby(fields, key=is_value_only):
        yield is_value, list(group)


def is_value_only(field: Any) -> bool:
    return bool(field.is_readonly or getattr(field.field.field.widget, "read_only", False))
