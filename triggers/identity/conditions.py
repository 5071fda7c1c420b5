"""Conditions on the claims of an identity token: `{"repository": {"exact": "team/app"}, "ref": {"pattern": "refs/tags/v.+"}}`.

A pattern is an RE2 expression, which must match the whole value. All conditions have to hold.
"""

from collections.abc import Mapping
from typing import Any

import re2

from triggers.identity.presets import HOSTS, Preset
from triggers.tag_patterns import compile_pattern, matches_pattern, read_error

CONDITIONS_MAXIMUM = 20
NAME_LENGTH, VALUE_LENGTH = 64, 255  # characters
EXACT, PATTERN = "exact", "pattern"
# What the library checks, or what changes with each token: a condition on one of these is a mistake.
RESERVED = frozenset({"iss", "aud", "exp", "nbf", "iat", "jti"})

# No job of anybody's own has these. A pattern that matches them matches everything.
STRANGE_VALUES = ("zq9-nobody/zq9-nothing", "zq9 nobody", "0")
PULL_REQUESTS = ("refs/pull/1/merge", "refs/pull/4711/head", "refs/merge-requests/1/head")
BRANCHES = ("refs/heads/zq9-any", "zq9-any")

Conditions = Mapping[str, Mapping[str, str]]


def find_misfit(conditions: Conditions, claims: Mapping[str, Any]) -> str:
    """Return the name of a claim that does not fit its condition; empty if all fit."""
    return next((name for name, condition in conditions.items() if not fits(condition, claims.get(name))), "")


def fits(condition: Mapping[str, str], value: Any) -> bool:
    text = write_claim(value)
    if text is None:
        return False
    if PATTERN in condition:
        return matches_pattern(condition[PATTERN], text)
    return text == condition.get(EXACT)


def write_claim(value: Any) -> str | None:
    """Return a claim's text: a number and a truth value as in JSON. None for anything else, which fits no condition."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int) else None


def find_problems(conditions: Any, preset: str) -> list[str]:
    """Return what is wrong with the conditions of a trusted job, as sentences."""
    if not is_well_formed(conditions):
        return ['Conditions are claims with an exact value or a pattern, such as {"ref": {"exact": "refs/heads/main"}}.']
    problems = [explain_bad_condition(name, condition) for name, condition in conditions.items()]
    missing = [name for name in HOSTS[Preset(preset)].required if name not in conditions] if preset != Preset.CUSTOM else []
    if missing:
        problems.append(f"A condition on {' and '.join(missing)} is required: else the jobs of others would fit too.")
    if not conditions and not missing:
        problems.append("At least one condition is required: else every job of this issuer would fit.")
    if len(conditions) > CONDITIONS_MAXIMUM:
        problems.append(f"At most {CONDITIONS_MAXIMUM} conditions.")
    return [problem for problem in problems if problem]


def is_well_formed(conditions: Any) -> bool:
    return isinstance(conditions, dict) and all(
        isinstance(name, str)
        and isinstance(condition, dict)
        and len(condition) == 1
        and condition.keys() <= {EXACT, PATTERN}
        and all(isinstance(value, str) for value in condition.values())
        for name, condition in conditions.items()
    )


def explain_bad_condition(name: str, condition: Mapping[str, str]) -> str:
    """Say why a condition cannot be used, as a sentence; empty when it can."""
    value = next(iter(condition.values()))
    if name in RESERVED:
        return f"The claim {name} is checked already; remove its condition."
    if not 0 < len(name) <= NAME_LENGTH or not name.isprintable():
        return f"The name of a claim has 1 to {NAME_LENGTH} characters."
    if not 0 < len(value) <= VALUE_LENGTH or not value.isprintable():
        return f"The condition on {name} needs a text of 1 to {VALUE_LENGTH} characters."
    return explain_bad_expression(name, value) if PATTERN in condition else ""


def explain_bad_expression(name: str, pattern: str) -> str:
    try:
        expression = compile_pattern(pattern)
    except re2.error as error:
        return f"The expression for {name} cannot be used: {read_error(error)}."
    if all(expression.fullmatch(value) for value in STRANGE_VALUES[:2]) or expression.fullmatch(""):
        return f"The expression for {name} matches everything, so the jobs of others would fit too."
    if expression.fullmatch(STRANGE_VALUES[0]):
        return f"The expression for {name} matches jobs of anybody, such as {STRANGE_VALUES[0]}."
    return ""


def warn_of(conditions: Conditions, preset: str) -> str:
    """Return a warning about conditions that many jobs fit, as a sentence; empty for none."""
    host = HOSTS[Preset(preset)]
    ref = conditions.get(host.ref)
    if ref is None or any(name not in conditions for name in host.required):
        return ""
    if any(fits(ref, value) for value in PULL_REQUESTS):
        return "Jobs of pull requests fit this ref: whoever opens one can call this trigger."
    if any(fits(ref, value) for value in BRANCHES):
        return "Jobs of any branch fit this ref: whoever pushes a branch can call this trigger."
    return ""
