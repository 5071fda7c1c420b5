"""How the admin shows a value: times as the pages do, words for codes, and long texts folded."""

import json
from typing import Any

from django.contrib.admin.helpers import AdminReadonlyField
from django.contrib.admin.utils import display_for_field, display_for_value, lookup_field
from django.core.exceptions import ObjectDoesNotExist
from django.db import models
from django.template.defaultfilters import filesizeformat
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from clusters.access.audit import ACTIONS
from clusters.models import AuditEntry
from console.administration.wording import title_row
from console.templatetags.console import when

EMPTY = "–"
SHORT_TEXT = 120  # characters: a longer text is folded
WORDS = {True: "Yes", False: "No", None: EMPTY}


def show_cell(name: Any, row: models.Model, model_admin: Any) -> SafeString | str:
    """Return what a list shows of a row. `name` is a field, a method, or a function of the row, as in `list_display`."""
    try:
        field, attribute, value = lookup_field(name, row, model_admin)
    except ObjectDoesNotExist:
        return EMPTY
    if name == "__str__":
        return _isolate(title_row(row))
    if field is None:
        return _show_computed(attribute, value)
    if isinstance(field, models.UUIDField):
        return format_html('<span class="mono" title="{}">{}</span>', value, str(value)[:8])
    if isinstance(field, models.ForeignKey):
        related = getattr(row, field.name)
        return _isolate(title_row(related)) if related is not None else EMPTY
    return show_value(field, value, row)


def show_readonly(readonly: AdminReadonlyField) -> SafeString | str:
    """Return what a form shows of a field that cannot be changed."""
    row, name = readonly.form.instance, readonly.field["field"]
    try:
        field, attribute, value = lookup_field(name, row, readonly.model_admin)
    except (AttributeError, ValueError, ObjectDoesNotExist):
        return EMPTY
    if field is None:
        return _show_computed(attribute, value)
    if isinstance(field, models.ManyToManyField):
        return _isolate(", ".join(map(str, value.all()))) if value is not None else EMPTY
    if isinstance(field, models.ForeignKey):
        return _link(value) if value is not None else EMPTY
    return show_value(field, value, row)


def show_value(field: "models.Field[Any, Any]", value: Any, row: models.Model) -> SafeString | str:
    if isinstance(row, AuditEntry) and field.name == "action":
        return _isolate(ACTIONS.get(value, value))
    if isinstance(field, models.BooleanField):
        return WORDS[value]
    if value is None or value == "":
        return EMPTY
    if isinstance(field, models.DateTimeField):
        return when(value)
    if isinstance(field, models.JSONField):
        return fold_json(value)
    if field.name.endswith("_bytes"):
        return filesizeformat(value)
    if isinstance(field, models.UUIDField):
        return format_html('<span class="mono">{}</span>', value)
    if isinstance(field, models.TextField) and (len(value) > SHORT_TEXT or "\n" in value):
        return fold(value, f"{len(value.splitlines())} lines" if "\n" in value else f"{len(value)} characters")
    return _isolate(display_for_field(value, field, EMPTY, avoid_link=True))


def fold_json(value: Any) -> SafeString | str:
    """Return JSON as text: short on one line, long ones indented, below a line that says how much it is."""
    if value in ({}, []):
        return EMPTY
    line = json.dumps(value, ensure_ascii=False)
    if len(line) <= SHORT_TEXT:
        return format_html('<code class="wrap"><bdi>{}</bdi></code>', line)
    many = len(value) if isinstance(value, dict | list) else 1
    return fold(json.dumps(value, ensure_ascii=False, indent=2), "1 entry" if many == 1 else f"{many} entries")


def fold(text: str, summary: str) -> SafeString:
    return format_html(
        '<details class="folded"><summary>{}</summary><pre tabindex="0"><bdi>{}</bdi></pre></details>', summary, text
    )


def _show_computed(attribute: Any, value: Any) -> SafeString | str:
    if getattr(attribute, "boolean", False):
        return WORDS[value]
    if hasattr(value, "__html__"):
        return SafeString(value)
    return _isolate(display_for_value(value, EMPTY) or EMPTY)


def _link(row: models.Model) -> SafeString:
    """Return the title of another row, as a link where the admin has a page of it."""
    try:
        address = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    except NoReverseMatch:
        return _isolate(title_row(row))
    return format_html('<a href="{}"><bdi>{}</bdi></a>', address, title_row(row))


def _isolate(text: Any) -> SafeString:
    return format_html("<bdi>{}</bdi>", text)
