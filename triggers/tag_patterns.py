"""Expressions (RE2) that tags must match whole: a trigger's Allowed tags, and the tags that a subscription follows.

RE2 accepts no expression whose matching time could explode: time is linear in the tag, and memory is bounded.
"""

from typing import Any

import re2

PATTERN_MEMORY = 1 << 20  # bytes that a compiled expression can take


def compile_pattern(pattern: str) -> Any:
    """Return an object with `fullmatch(tag)`. Raises re2.error."""
    options = re2.Options()
    options.max_mem = PATTERN_MEMORY
    options.log_errors = False
    return re2.compile(pattern, options=options)


def matches_pattern(pattern: str, tag: str) -> bool:
    """Return whether the expression matches the whole tag; False for an expression that cannot be used."""
    try:
        return compile_pattern(pattern).fullmatch(tag) is not None
    except re2.error:
        return False


def explain_bad_pattern(pattern: str) -> str:
    """Say why the expression cannot be used, as a sentence; empty when it can."""
    if not pattern:
        return "Give an expression, such as v[0-9]+."
    try:
        compile_pattern(pattern)
    except re2.error as error:
        return f"This expression cannot be used: {read_error(error)}."
    return ""


def explain_tag_refusal(pattern: str, tag: str) -> str:
    """Say why a trigger with these allowed tags does not change the image to this tag, as a sentence; empty when it does."""
    if not pattern:
        return "This trigger changes no tags. To let calls pass tag=…, set its Allowed tags in the console."
    if not matches_pattern(pattern, tag):
        return f"This trigger does not change to the tag {tag}: the expression in its Allowed tags does not match it."
    return ""


def read_error(error: Exception) -> str:
    """Return re2's own explanation, which is text or bytes, without a full stop at its end."""
    text = error.args[0] if error.args else ""
    return (text.decode(errors="replace") if isinstance(text, bytes) else str(text)).rstrip(".")
