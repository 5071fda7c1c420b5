"""What a change changed, for the audit log: old and new values, and of secrets only that they changed."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Field, ForeignKey, ManyToManyField, Model

from clusters.encryption import EncryptedTextField

LONGEST = 300  # characters of a value in the log
SECRET_FIELDS = {"auth.User.password", "authtoken.Token.key", "clusters.ApiToken.digest"}  # besides encrypted ones
PASSWORD_IN_URL = re.compile(r"(://[^/@\s:]*):[^/@\s]*@")

Values = dict[str, Any]


@dataclass(frozen=True, repr=False)
class Hidden:
    """A secret's value, which can be compared and never shown."""

    value: Any


def read_values(row: Model, names: Iterable[str]) -> Values:
    """Return the row's values by field, as the log shows them. Names that are no fields of the model are left out."""
    return {field.name: _read_value(row, field) for field in _find_fields(row, names)}


def read_stored_values(row: Model, names: Iterable[str]) -> Values:
    """Return the values that are stored now, whatever has been assigned to `row` already. A change reads them in its own
    transaction, before it saves."""
    fields = _find_fields(row, names)
    rows = type(row)._base_manager.only(*(field.name for field in fields if not field.many_to_many))
    stored = rows.filter(pk=row.pk).first()
    return read_values(stored, [field.name for field in fields]) if stored else {}


def list_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return what differs, by field: `[old, new]`, or a word for a secret. Of lists, `old` has what was removed and `new` what
    was added. Of a new row, whose fields are not in `before`, it is `[new]`, and empty values are left out."""
    changes: dict[str, Any] = {}
    for name, new in after.items():
        old = before.get(name)
        if old == new or (name not in before and _is_empty(new)):
            continue
        if isinstance(new, Hidden) or isinstance(old, Hidden):
            changes[name] = "set" if _is_empty(old) else "removed" if _is_empty(new) else "changed"
        elif name not in before:
            changes[name] = [new]
        elif isinstance(new, list) and isinstance(old, list):
            changes[name] = [[one for one in old if one not in new], [one for one in new if one not in old]]
        else:
            changes[name] = [old, new]
    return changes


def _find_fields(row: Model, names: Iterable[str]) -> list[Any]:
    fields = []
    for name in names:
        try:
            field = row._meta.get_field(name)
        except FieldDoesNotExist:
            continue  # such as a checkbox of a form
        if isinstance(field, Field):
            fields.append(field)
    return fields


def _read_value(row: Model, field: Any) -> Any:
    value = getattr(row, field.name)
    if isinstance(field, ManyToManyField):
        return sorted(_shorten(str(one)) for one in value.all())
    if isinstance(field, EncryptedTextField) or f"{field.model._meta.label}.{field.name}" in SECRET_FIELDS:
        return Hidden(value)
    if isinstance(field, ForeignKey):
        return "" if value is None else _shorten(str(value))
    if field.choices:
        return str(getattr(row, f"get_{field.name}_display")())
    return _describe(value)


def _describe(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, list):
        return [_shorten(str(one)) for one in value]
    text = str(value)
    if "PRIVATE KEY" in text:
        return Hidden(text)
    if text.startswith("-----BEGIN"):
        return f"PEM with SHA-256 {hashlib.sha256(text.encode()).hexdigest()[:16]}…"
    return _shorten(PASSWORD_IN_URL.sub(r"\1:***@", text))


def _shorten(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _is_empty(value: Any) -> bool:
    return (value.value if isinstance(value, Hidden) else value) in (None, "", [], False)
