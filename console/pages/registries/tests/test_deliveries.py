"""Laying out the body of a delivery."""

import json

import pytest

from console.pages.registries.deliveries import lay_out_body


@pytest.mark.parametrize("body", ['{"cut": "he', "", "[" * 10_000, "[" * 900 + "]" * 900, "<b>no JSON</b>"])
def test_a_body_that_cannot_be_laid_out_stays_as_it_is(body):
    assert lay_out_body(body) == body


def test_json_is_laid_out():
    body = json.dumps({"a": [1, {"ü": "<b>"}]})
    assert lay_out_body(body) == '{\n  "a": [\n    1,\n    {\n      "ü": "<b>"\n    }\n  ]\n}'
