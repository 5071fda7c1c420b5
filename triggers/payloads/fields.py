"""Taking hostile JSON apart: any field may be missing, of any type and of any length."""

import json
import re
from collections.abc import Mapping
from typing import Any, TypeGuard

REGION = re.compile(r"[a-z]{2,12}(?:-[a-z0-9]{1,20}){1,4}")  # of a cloud: eu-west-1, cn-hangzhou


def dig(value: Any, *keys: str) -> Any:
    """What lies under the keys; None where a key is missing or what should hold it is no object."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def is_object(value: Any) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping)


def parse_object(source: str | bytes) -> dict[str, Any]:
    """The JSON object that it holds; empty for anything else."""
    try:
        value = json.loads(source)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def clean(value: str, limit: int) -> str:
    """What of it can be printed, at most `limit` characters."""
    return "".join(character for character in value[: 4 * limit] if character.isprintable())[:limit]


def show(value: Any) -> str:
    """For a sentence: `'team/app'`, `a list`."""
    if isinstance(value, str):
        short = clean(value, 60)
        return f"'{short}…'" if len(value) > 60 else f"'{short}'"
    if value is None:
        return "nothing"
    return "an object" if is_object(value) else "a list" if isinstance(value, list) else "a number"


def split_name(name: str) -> tuple[str, str]:
    """`registry.example.com:5000/team/app` into host and path, in lower case. Without a host that others could use, the
    first is empty: a first part counts as one by the rule of Docker."""
    first, slash, rest = name.lower().partition("/")
    return (first, rest) if slash and is_usable_host(first) else ("", name.lower())


def split_reference(reference: str) -> tuple[str, str, str, str]:
    """`host:5000/team/app:1@sha256:…` into host, path, tag and digest, each empty where it is not there."""
    name, _, digest = reference.strip().partition("@")
    head, slash, tail = name.rpartition("/")
    tail, _, tag = tail.partition(":")
    return (*split_name(f"{head}{slash}{tail}"), tag, digest)


def is_usable_host(host: str) -> bool:
    return "." in host or ":" in host or host == "localhost"


def host_of_url(url: Any) -> str:
    """Of `https://registry.example.com:5000/v2/…`; empty for anything else."""
    _, separator, rest = text(url).partition("://")
    return rest.partition("/")[0].rpartition("@")[2] if separator else ""
