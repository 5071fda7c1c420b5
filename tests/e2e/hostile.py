"""Rows as a malicious engine, registry or caller would have them: payloads in every text of every row."""

import itertools
from typing import Any

from django.apps import apps
from django.contrib.auth.models import Group, User
from django.db import models

from clusters.roles import Role
from console.tests.fleet import POLICY, Fleet
from tests.e2e.site import READERS, add_failure

PAYLOADS = (
    "<img src=x onerror=pwned=1>",
    '"><script>pwned=2</script>',
    "javascript:pwned=3//' autofocus onfocus=pwned=4 x='",
    "\u202egnp.exe\u2067\u200f",
    "\x1b[31mred\x1b]0;title\x07\x1b[0m\x08\r\n",
    "{{7777*7777}}{% now 'Y' %}${7777*7777}",
    "</title></textarea></option></style><svg onload=pwned=5>",
    "&lt;img src=x onerror=pwned=6&gt;&#60;script&#62;",
    "W" * 255,
)
EVALUATED = str(7777 * 7777)
LONGEST = 10_000  # characters, where the model sets no bound
# Fields that others cannot choose: made here, validated, or secret.
OURS = {"uid", "public_id", "secret", "url", "other_urls", "password", "email", "tls_ca", "tls_cert", "tls_key"}
OURS |= {"host", "aliases", "hook_token", "hook_key", "signing_secret", "ca"}


# Keys that our own code gives to stored JSON.
OUR_KEYS = {"services", "running", "image", "images", "containers", "name", "node", "state", "host", "container", "protocol"}
OUR_KEYS |= {*POLICY, "failed", "imageId", "firstErrorLine", "facts", "version", "revision", "source", "digests", "mode"}
OUR_KEYS |= {"sentence", "application", "cluster", "image_before"}


def make_text(turn: int, length: int) -> str:
    """Return a text of payloads from the `turn`th on, as far as there is room. No two texts are the same."""
    start = turn % len(PAYLOADS)
    once = "".join(PAYLOADS[start:] + PAYLOADS[:start])
    return (once * (length // len(once) + 1))[: length - 3] + f"{turn:03}"


# Log lines of every container. A page may cut them, but must handle them.
HOSTILE_LABELS = {make_text(turn, 300): make_text(turn + 1, LONGEST) for turn in range(len(PAYLOADS))}
HOSTILE_ENVIRONMENT = {make_text(turn, 100).replace("=", ":"): make_text(turn + 1, LONGEST) for turn in range(len(PAYLOADS))}

HOSTILE_LOGS = tuple(make_text(turn, LONGEST) for turn in range(len(PAYLOADS)))


def make_hostile_fleets() -> list[Fleet]:
    fleets = [Fleet(), Fleet(swarm=True)]
    for fleet in fleets:
        tasks = [{"name": "web.1", "node": "quay", "state": "failed"}]
        seen = {"services": {"web": {"running": 1, "image": "shop:1", "images": {"shop:1": 1}, "containers": tasks}}}
        fleet.call.before = fleet.call.after = seen
        fleet.call.progress = {"web": [1, 2]}
        fleet.call.save()
        add_failure(fleet)
    poison_all_rows()
    return fleets


def poison_all_rows() -> None:
    for model in (*apps.get_app_config("clusters").get_models(), *apps.get_app_config("triggers").get_models()):
        poison_rows(model._default_manager.all())
    poison_rows(User.objects.exclude(username__in=READERS))
    poison_rows(Group.objects.exclude(name__in=Role.labels))


def poison_rows(rows: "models.QuerySet[Any]") -> None:
    """Write payloads by UPDATE, past every check of the models."""
    turns = itertools.count()
    for row in rows:
        values: dict[str, Any] = {}
        for field in row._meta.concrete_fields:
            if isinstance(field, models.JSONField):
                values[field.name] = poison_json(getattr(row, field.attname), next(turns))
            elif is_free_text(field):
                values[field.name] = make_text(next(turns), field.max_length or LONGEST)
        rows.model._default_manager.filter(pk=row.pk).update(**values)


def is_free_text(field: "models.Field[Any, Any]") -> bool:
    return isinstance(field, models.CharField | models.TextField) and not field.choices and field.name not in OURS


def poison_json(value: Any, turn: int) -> Any:
    """Fill every string of a JSON value, also keys that others choose: labels, networks and services."""
    if isinstance(value, str):
        return make_text(turn, 500)
    if isinstance(value, list):
        return [poison_json(one, turn + place) for place, one in enumerate(value)]
    if isinstance(value, dict):
        return {
            (name if name in OUR_KEYS else make_text(turn, 255)): poison_json(one, turn + place)
            for place, (name, one) in enumerate(value.items())
        }
    return value
