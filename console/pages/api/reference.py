"""What the API's OpenAPI schema says, as the page shows it: groups of operations, their parameters, bodies and answers.

https://spec.openapis.org/oas/v3.0.3 has the format.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.html import escape
from django.utils.safestring import SafeString
from django.utils.text import capfirst

Schema = Mapping[str, Any]
JSON_TYPE = "application/json"
REFERENCE = "#/components/schemas/"
ACTS = {"list": "List", "retrieve": "Show", "create": "Create", "partial_update": "Change", "destroy": "Delete"}
EXAMPLES = {"string": "…", "integer": 1, "number": 1, "boolean": True, "array": [], "object": {}}
MOST_VALUES = 12  # of an enumeration
LARGEST = 2**31 - 1  # a bound beyond it is the database's


@dataclass(frozen=True)
class Value:
    """A parameter, or a field of an object. `kind` says what it is in words, `object` names the object that it is or holds."""

    name: str
    kind: str
    object: str = ""
    is_required: bool = False
    notes: tuple[str, ...] = ()
    description: SafeString = SafeString("")


@dataclass(frozen=True)
class Answer:
    status: str
    kind: str = ""
    object: str = ""
    description: str = ""


@dataclass(frozen=True)
class ApiOperation:
    """`anchor` is its id on the page. `body` are the fields of its JSON, and `example` is one with what it must have."""

    anchor: str
    method: str
    path: str
    title: str
    description: SafeString
    parameters: tuple[Value, ...]
    body: tuple[Value, ...]
    answers: tuple[Answer, ...]
    example: str = ""

    @property
    def curl_options(self) -> str:
        """The options of a curl command, but for the token."""
        method = "" if self.method == "GET" else f"-X {self.method}"
        return f"{method} -H 'Content-Type: {JSON_TYPE}' --data '{self.example}'" if self.example else method

    @property
    def example_path(self) -> str:
        """The path with an example in place of each parameter."""
        return re.sub(r"\{[^}]*\}", "1", self.path)


@dataclass
class ApiGroup:
    """The operations whose paths begin alike. `objects` are the fields of each object that they name, by its name."""

    name: str
    description: SafeString
    operations: list[ApiOperation]
    objects: dict[str, tuple[Value, ...]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return str(capfirst(self.name))


def read_groups(schema: Schema) -> dict[str, ApiGroup]:
    """Return the groups by name, in the order of the schema."""
    components: Schema = schema.get("components", {}).get("schemas", {})
    found: dict[str, list[tuple[str, str, Schema, bool]]] = {}
    for path, item in schema.get("paths", {}).items():
        for method, described in item.items():
            name = next(iter(described.get("tags", ())), "other")
            found.setdefault(name, []).append((path, method.upper(), described, "get" in item))
    groups = {}
    for name, operations in found.items():
        described = Counter(one.get("description", "") for _, _, one, _ in operations).most_common(1)[0][0]
        group = ApiGroup(name, _write_prose(described), [_read_operation(components, described, *one) for one in operations])
        group.objects = dict(_find_objects(components, group))
        groups[name] = group
    return groups


def _read_operation(
    components: Schema, shared: str, path: str, method: str, described: Schema, is_listed: bool
) -> ApiOperation:
    """`shared` is the description of the whole group, which an operation without its own has as well. `is_listed`: whether the
    path can also be read."""
    description = described.get("description", "")
    content = described.get("requestBody", {}).get("content", {})
    sent = _resolve(components, content.get(JSON_TYPE, {}).get("schema", {}))
    body = tuple(value for value in _read_fields(sent) if "read only" not in value.notes)
    return ApiOperation(
        anchor=described["operationId"],
        method=method,
        path=path,
        title=_write_title(described["operationId"], path, is_listed),
        description=_write_prose("" if description == shared else description),
        parameters=tuple(map(_read_parameter, described.get("parameters", ()))),
        body=body,
        answers=tuple(_read_answers(described.get("responses", {}))),
        example=json.dumps(_make_example(components, sent, body), ensure_ascii=False) if JSON_TYPE in content else "",
    )


def _write_title(operation_id: str, path: str, is_listed: bool) -> str:
    """Return a heading: `List`, `Create`, `List jobs`, or for an act the last word of its path: `Redeploy`."""
    verb = next((title for word, title in ACTS.items() if operation_id.endswith(f"_{word}")), "")
    *_, below = re.sub(r"\{[^}]*\}/?", "", path).rstrip("/").split("/")
    below = below.replace("-", " ") if re.search(r"\}/[^{]", path) else ""
    is_act = below and not is_listed and verb == ACTS["create"]
    return str(capfirst(below if is_act else f"{verb} {below}".strip() or operation_id.replace("_", " ")))


def _write_prose(text: str) -> SafeString:
    """Return a docstring as HTML: its paragraphs, and what stands in backticks as code."""
    return SafeString("".join(f"<p>{_write_line(part)}</p>" for part in re.split(r"\n\s*\n", text) if part.strip()))


def _write_line(text: str) -> SafeString:
    """Return a description as HTML: what stands in backticks as code, and each item of a list on a line of its own."""
    lines = re.split(r"\s*\n\* |^\* ", escape(text))
    return SafeString("<br>".join(re.sub("`([^`]+)`", r"<code>\1</code>", line) for line in lines if line.strip()))


def _read_parameter(described: Schema) -> Value:
    kind, name = _describe_type(described.get("schema", {}))
    return Value(
        described["name"],
        f"{kind} in the {described['in']}",
        name,
        bool(described.get("required")),
        tuple(_list_notes(described.get("schema", {}))),
        _write_line(described.get("description", "")),
    )


def _read_fields(described: Schema) -> Iterator[Value]:
    required = set(described.get("required", ()))
    for name, one in described.get("properties", {}).items():
        kind, referred = _describe_type(one)
        yield Value(name, kind, referred, name in required, tuple(_list_notes(one)), _write_line(one.get("description", "")))


def _read_answers(described: Schema) -> Iterator[Answer]:
    for status, one in described.items():
        content = one.get("content", {})
        kind, name = _describe_type(content[JSON_TYPE].get("schema", {})) if JSON_TYPE in content else ("", "")
        yield Answer(status, kind or ("" if name else ", ".join(content)), name, one.get("description", ""))


def _describe_type(described: Schema) -> tuple[str, str]:
    """Return what a value is in words, and the name of the object that it is or holds; empty if there is none."""
    if name := _find_name(described):
        return "", name
    if described.get("type") == "array":
        kind, name = _describe_type(described.get("items", {}))
        return (f"list of {kind}" if kind else "list of"), name
    choices = [choice for choice in (*described.get("oneOf", ()), *described.get("anyOf", ())) if choice]
    if choices:
        names = [_find_name(choice) for choice in choices]
        return "", next(filter(None, names), "")
    additional = described.get("additionalProperties")
    if isinstance(additional, Mapping) and additional:
        kind, name = _describe_type(additional)
        return (f"object of {kind}" if kind else "object of"), name
    kind = described.get("type", "any value")
    return (f"{kind} ({described['format']})" if "format" in described else kind), ""


def _find_name(described: Schema) -> str:
    """Return the name of the object that is referred to, also in the `allOf` that gives a reference a description."""
    parts = (described, *described.get("allOf", ()))
    return next((part["$ref"].removeprefix(REFERENCE) for part in parts if "$ref" in part), "")


def _list_notes(described: Schema) -> Iterator[str]:
    if described.get("readOnly"):
        yield "read only"
    if described.get("writeOnly"):
        yield "write only"
    if described.get("nullable"):
        yield "or null"
    for word, sign in (("minimum", "at least"), ("maximum", "at most")):
        if abs(described.get(word, LARGEST)) < LARGEST:
            yield f"{sign} {described[word]}"
    if "maxLength" in described:
        yield f"at most {described['maxLength']} characters"
    if values := [value for value in described.get("enum", ()) if value]:
        yield "one of " + ", ".join(map(str, values[:MOST_VALUES])) + (" …" if len(values) > MOST_VALUES else "")
    if "default" in described:
        yield f"{json.dumps(described['default'])} if absent"


def _resolve(components: Schema, described: Schema) -> Schema:
    resolved: Schema = components.get(_find_name(described), described)
    return resolved


def _make_example(components: Schema, described: Schema, body: tuple[Value, ...]) -> dict[str, Any]:
    """Return a value for each field that a request must have, or for the first one if it must have none."""
    names = [value.name for value in body if value.is_required] or [value.name for value in body[:1]]
    properties = described.get("properties", {})
    return {name: _make_value(_resolve(components, properties[name])) for name in names}


def _make_value(described: Schema) -> Any:
    values = [value for value in described.get("enum", ()) if value]
    return values[0] if values else EXAMPLES.get(described.get("type", ""), "…")


def _find_objects(components: Schema, group: ApiGroup) -> Iterator[tuple[str, tuple[Value, ...]]]:
    """Yield each object that the operations, or the objects that they name, refer to, in the order of their names."""
    wanted: set[str] = set()
    for one in group.operations:
        wanted |= {value.object for value in (*one.parameters, *one.body)} | {answer.object for answer in one.answers}
    wanted.discard("")
    found: dict[str, tuple[Value, ...]] = {}
    while wanted:
        name = wanted.pop()
        described = components.get(name, {})
        found[name] = tuple(_read_fields(described)) or (_read_plain(described),)
        wanted |= {value.object for value in found[name]} - {"", *found}
    yield from sorted(found.items())


def _read_plain(described: Schema) -> Value:
    """Return an object that is one value, such as an enumeration."""
    return Value("", _describe_type(described)[0], "", False, tuple(_list_notes(described)))
