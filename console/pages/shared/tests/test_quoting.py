"""Quoting: what is written in a language is read back from it unchanged."""

import pytest
import yaml

from console.pages.shared import quoting


@pytest.mark.parametrize("text", ["", "a\nb", "tab\t", "\x85\u2028\x7f\0", '"\\', "\U0001f600\u202e", "- a: b # c"])
def test_a_yaml_scalar_says_what_it_was_given(text):
    assert yaml.safe_load(quoting.quote_yaml(text)) == text
    assert yaml.safe_load(f"- {quoting.write_yaml_block('x' + text, 6)}") == ["x" + text]
