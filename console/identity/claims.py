"""What the console reads in claims: groups, a name for a new user, and what a page may show. Claims are texts of strangers."""

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

GROUPS_LIMIT = 1_000
NAME_LENGTH = 150  # characters of a user name
SHOWN_LENGTH = 300  # characters of a claim's value on a page
SHOWN_LIMIT = 60  # claims on a page
KEPT = ("preferred_username", "name", "email")  # beside the subject, to recognise an identity by
# What binds tokens to each other and to sessions. It says nothing about the person.
UNSHOWN = frozenset({"nonce", "at_hash", "c_hash", "s_hash", "jti", "sid"})


def read_groups(claims: Mapping[str, Any], name: str) -> list[str]:
    """Return the groups in the claim, as they are written there. `realm_access.roles` finds `roles` inside `realm_access`."""
    found: Any = claims.get(name)
    if found is None and "." in name:
        found = claims
        for part in name.split("."):
            found = found.get(part) if isinstance(found, dict) else None
    if isinstance(found, str):
        found = [found]
    return [each for each in found[:GROUPS_LIMIT] if isinstance(each, str) and each] if isinstance(found, list) else []


def has_reference(claims: Mapping[str, Any], name: str) -> bool:
    """Return whether the provider sent only a reference to the groups, as Entra ID does where there are too many."""
    references = claims.get("_claim_names")
    return isinstance(references, dict) and name in references


def propose_user_name(claims: Mapping[str, Any]) -> str:
    """Return a user name in ASCII: the preferred one, or else what stands before the @ of the address, or `user`."""
    wanted = claims.get("preferred_username") or str(claims.get("email") or "").partition("@")[0] or claims.get("name") or ""
    plain = unicodedata.normalize("NFKD", str(wanted)[:NAME_LENGTH]).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9.@+_-]+", "-", plain).strip("-.") or "user"


def keep_claims(claims: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(claims[name]).replace("\0", "")[:150] for name in KEPT if isinstance(claims.get(name), str)}


def show_claims(claims: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return names and values for a page, without what binds tokens, cut where they are long."""
    shown = sorted((str(name)[:100], value) for name, value in claims.items() if name not in UNSHOWN)[:SHOWN_LIMIT]
    return [(name, _write(value)) for name, value in shown]


def _write(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_LENGTH else f"{text[: SHOWN_LENGTH - 1]}…"
