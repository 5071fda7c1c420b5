"""Read fields of hostile JSON: any field can be missing, of any type and of any length."""

import json
import re
from collections.abc import Mapping
from typing import Any, TypeGuard

REGION = re.compile(r"[a-z]{2,12}(?:-[a-z0-9]{1,20}){1,4}")  # a region of a cloud: eu-west-1, cn-hangzhou


def dig(value: Any, *keys: str) -> Any:
    """Return the value under the nested keys; None when a key is missing or its parent is not an object."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def is_object(value: Any) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping)


def parse_object(source: str | bytes) -> dict[str, Any]:
    """Parse a JSON object; return an empty one for anything else."""
    try:
        value = json.loads(source)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def clean(value: str, limit: int) -> str:
    """Return the printable characters of `value`, at most `limit` of them."""
    return "".join(character for character in value[: 4 * limit] if character.isprintable())[:limit]


def quote_value(value: Any) -> str:
    """Return the value as it can stand in a sentence: `'team/app'`, `a list`."""
    if isinstance(value, str):
        short = clean(value, 60)
        return f"'{short}…'" if len(value) > 60 else f"'{short}'"
    if value is None:
        return "nothing"
    return "an object" if is_object(value) else "a list" if isinstance(value, list) else "a number"


def split_name(name: str) -> tuple[str, str]:
    """Split `registry.example.com:5000/team/app` into host and path, in lower case.

    By Docker's rule the first part is a host only if others can use it; else the host is empty."""
    first, slash, rest = name.lower().partition("/")
    return (first, rest) if slash and is_usable_host(first) else ("", name.lower())


def split_reference(reference: str) -> tuple[str, str, str, str]:
    """Split `host:5000/team/app:1@sha256:…` into host, path, tag and digest, each empty when it is missing."""
    name, _, digest = reference.strip().partition("@")
    head, slash, tail = name.rpartition("/")
    tail, _, tag = tail.partition(":")
    return (*split_name(f"{head}{slash}{tail}"), tag, digest)


def is_usable_host(host: str) -> bool:
    return "." in host or ":" in host or host == "localhost"


def host_of_url(url: Any) -> str:
    """Return the host of `https://registry.example.com:5000/v2/…`; empty for anything that is not a URL."""
    _, separator, rest = text(url).partition("://")
    return rest.partition("/")[0].rpartition("@")[2] if separator else ""
