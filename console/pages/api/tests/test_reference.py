from console.pages.api.reference import read_groups

KIND = "Of what it is.\n\n* `brig` - Two masts\n* `sloop` - One"
SCHEMA = {
    "paths": {
        "/api/v1/ships/": {
            "get": {
                "operationId": "ships_list",
                "description": "Ships, with `anchors`.\n\nSee <b>.",
                "tags": ["ships"],
                "parameters": [
                    {"name": "sail", "in": "query", "schema": {"type": "boolean"}, "description": "Only those that sail."}
                ],
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Ship"}}}
                        }
                    }
                },
            },
            "post": {
                "operationId": "ships_create",
                "description": "Ships, with `anchors`.\n\nSee <b>.",
                "tags": ["ships"],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Ship"}}}},
                "responses": {"201": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Ship"}}}}},
            },
        },
        "/api/v1/ships/{id}/raise-anchor/": {
            "post": {
                "operationId": "ships_raise_anchor_create",
                "description": "Raise it.",
                "tags": ["ships"],
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}],
                "responses": {"204": {"description": "It is up."}},
            }
        },
    },
    "components": {
        "schemas": {
            "Ship": {
                "type": "object",
                "required": ["id", "name", "kind"],
                "properties": {
                    "id": {"type": "integer", "readOnly": True},
                    "name": {"type": "string", "maxLength": 9, "maximum": 2**63},
                    "kind": {
                        "allOf": [{"$ref": "#/components/schemas/Kind"}],
                        "description": "Of what it is.\n\n* `brig` - Two masts\n* `sloop` - One",
                    },
                    "crew": {"type": "array", "items": {"type": "string"}, "default": []},
                    "left_at": {"type": "string", "format": "date-time", "nullable": True},
                },
            },
            "Kind": {"type": "string", "enum": ["brig", "sloop"]},
        }
    },
}
GROUP = read_groups(SCHEMA)["ships"]
LIST, CREATE, RAISE = GROUP.operations


def test_operations_have_the_words_of_what_they_do():
    assert [(one.title, one.method) for one in GROUP.operations] == [
        ("List", "GET"),
        ("Create", "POST"),
        ("Raise anchor", "POST"),
    ]


def test_what_all_describe_alike_is_said_once_and_escaped():
    assert GROUP.description == "<p>Ships, with <code>anchors</code>.</p><p>See &lt;b&gt;.</p>"
    assert (LIST.description, RAISE.description) == ("", "<p>Raise it.</p>")


def test_a_body_has_the_fields_that_can_be_sent_and_an_example_with_those_that_must():
    assert [(one.name, one.kind, one.object, one.is_required) for one in CREATE.body] == [
        ("name", "string", "", True),
        ("kind", "", "Kind", True),
        ("crew", "list of string", "", False),
        ("left_at", "string (date-time)", "", False),
    ]
    assert CREATE.example == '{"name": "…", "kind": "brig"}'
    assert "--data" in CREATE.curl_options
    assert RAISE.curl_options == "-X POST"
    assert RAISE.example_path == "/api/v1/ships/1/raise-anchor/"


def test_parameters_and_answers_are_told_in_words():
    assert LIST.parameters[0].kind == "boolean in the query"
    assert (LIST.answers[0].kind, LIST.answers[0].object) == ("list of", "Ship")
    assert (RAISE.answers[0].kind, RAISE.answers[0].description) == ("", "It is up.")


def test_objects_are_listed_with_those_that_they_hold():
    assert list(GROUP.objects) == ["Kind", "Ship"]
    notes = {value.name: value.notes for value in GROUP.objects["Ship"]}
    assert notes["name"] == ("at most 9 characters",)
    kind = next(value for value in GROUP.objects["Ship"] if value.name == "kind")
    assert kind.description == "Of what it is.<br><code>brig</code> - Two masts<br><code>sloop</code> - One"
    assert notes["left_at"] == ("or null",)
    assert notes["crew"] == ("[] if absent",)
    assert GROUP.objects["Kind"][0].notes == ("one of brig, sloop",)
