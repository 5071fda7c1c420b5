"""A call's state has few writers, so that its two locks are enough (see triggers.calls)."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
WRITERS = {
    "triggers/calls/accept.py",
    "triggers/calls/cancel.py",
    "triggers/run/claim.py",
    "triggers/run/results.py",
}
SAMPLES = "console/fleet/"  # makes whole rows for demonstrations, none that is ever changed


def writes_state(node: ast.AST) -> bool:
    """Return whether the node is an update, a dictionary or an assignment that sets a state."""
    match node:
        case ast.Call(func=ast.Attribute(attr="update" | "create"), keywords=keywords):
            return any(word.arg == "state" for word in keywords)
        case ast.Dict(keys=keys, values=values):
            return any(
                isinstance(key, ast.Constant) and key.value == "state" and names_state(value)
                for key, value in zip(keys, values, strict=True)
            )
        case ast.Assign(targets=targets, value=value):
            parts = [part for target in targets for part in ast.walk(target)]
            return any(isinstance(part, ast.Attribute) and part.attr == "state" for part in parts) and names_state(value)
    return False


def names_state(node: ast.AST) -> bool:
    """Return whether the value has a member of CallState in it, or a variable `state`."""
    if isinstance(node, ast.Attribute) and node.attr in {"values", "choices"}:  # of a filter
        return False
    names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return bool(names & {"CallState", "state"})


def test_only_the_rooms_of_calls_write_a_calls_state() -> None:
    found = set()
    for room in ("triggers", "console"):
        for file in (ROOT / room).rglob("*.py"):
            name = str(file.relative_to(ROOT))
            if "/tests/" in name or "/migrations/" in name or name.startswith(SAMPLES):
                continue
            if any(writes_state(node) for node in ast.walk(ast.parse(file.read_text()))):
                found.add(name)
    assert found == WRITERS
