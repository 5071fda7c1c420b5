"""A changed configuration of a channel, for the form and the API alike: what becomes of stored secrets, and what is wrong."""

from collections.abc import Collection, Mapping
from typing import Any

from triggers.notifications.kinds import find_problems, list_fields, merge_values

ENTER_AGAIN = "Messages would go elsewhere than before. Enter this again, since a stored secret is sent nowhere else."


def change_values(
    kind: str, stored: Mapping[str, Any], entered: Mapping[str, str], removed: Collection[str] = ()
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the configuration that results, and a sentence for each field that is wrong.

    `entered` has a text for each field, empty for a secret that stays; `removed` names secrets that do not."""
    values = merge_values(kind, stored, entered)
    problems: dict[str, str] = {}
    for each in list_fields(kind):
        if not each.is_secret or entered.get(each.name):
            continue
        if each.name in removed:
            values[each.name] = ""
        elif stored.get(each.name) and not values[each.name]:
            problems[each.name] = ENTER_AGAIN
    return values, find_problems(kind, values) | problems
