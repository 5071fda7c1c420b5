"""Links as people really paste them. What happened to one on its way is undone where it can mean nothing else, and else named.

A `triggerUrl` is base64 and a secret is hex, and neither has a blank, a `%` or a `&`. So a blank or a line end around a value,
an escape too many, an HTML entity for the separator and a missing padding are damage, and cannot be part of what was meant.
"""

import re
from urllib.parse import unquote

SECRET_LENGTH = 64  # hex digits (triggers.links.make_secret)
ESCAPED_AT_MOST = 3  # times: more is no accident
INVISIBLE = "\u00ad\u200b\u200c\u200d\u2060\ufeff"  # of word processors and chats; str.strip() knows the other blanks
# `&` in HTML, once or several times: `&amp;`, `&amp;amp;`, `&#38;`. A client escapes the `#`, and some escape the semicolon.
ENTITY = re.compile(r"&(?:(?:amp|%2338|%23x26)(?:;|%3b))+", re.IGNORECASE)
# An escaped `&` or `=` around a parameter that every link has.
ESCAPED_SEPARATOR = re.compile(r"%(?:25)*26(?:secret|triggerUrl)\b|\b(?:secret|triggerUrl)%(?:25)*3d", re.IGNORECASE)
NO_HEX = re.compile(r"[^0-9a-f]")
NO_BASE64 = re.compile(r"[^A-Za-z0-9+/=]")
SHORTENED = re.compile(r"…|\.\.\.")
PLACEHOLDER = re.compile(r"[${]|<[a-z]|%[A-Za-z_]+%", re.IGNORECASE)


def repair_query(query: str) -> str:
    """Return the query string with its separators as a link has them."""
    for _ in range(ESCAPED_AT_MOST):
        if "%" not in query or not ESCAPED_SEPARATOR.search(query):
            break
        query = unquote(query)
    return ENTITY.sub("&", query) if "&" in query else query


def repair_value(text: str) -> str:
    """Return a parameter's value without the blanks around it and the escapes that nobody resolved."""
    for _ in range(ESCAPED_AT_MOST):
        if "%" not in text:
            break
        text = unquote(text)
    return text.strip().strip(INVISIBLE).strip()


def repair_secret(text: str) -> str:
    return repair_value(text).lower()


def repair_base64(text: str) -> str:
    """Return the text in the standard alphabet with padding.

    A query parser has turned `+` into a blank, and some programs write `-_` for `+/` (RFC 4648, section 5).
    """
    value = repair_value(text).replace(" ", "+").replace("-", "+").replace("_", "/").rstrip("=")
    return value + "=" * (-len(value) % 4)


def explain_trigger_url(text: str) -> str:
    """Say, as a sentence, what is wrong with a `triggerUrl` that cannot be decoded."""
    value = repair_value(text)
    if explained := explain_text("triggerUrl", value):
        return explained
    if "://" in value or "triggerUrl=" in value:
        return "triggerUrl holds a whole link, instead of what stands in the link between triggerUrl= and &."
    if found := NO_BASE64.search(value.replace("-", "+").replace("_", "/").replace(" ", "+")):
        return f"triggerUrl is not base64 text: it has {show_character(found[0])}. Something was put into the link."
    return "triggerUrl is not base64 text. It was cut off, or something was put into it."


def explain_secret(text: str) -> str:
    """Say, as a sentence, how a secret was damaged; empty where it looks whole, or like no secret. Shows nothing of it."""
    value = repair_secret(text)
    if explained := explain_text("The secret", value):
        return explained
    digits = NO_HEX.split(value, maxsplit=1)[0]
    if len(digits) == len(value) and 0 < len(digits) < SECRET_LENGTH:
        return f"The secret was cut off: it has {len(digits)} of its {SECRET_LENGTH} characters."
    if len(digits) >= SECRET_LENGTH and len(value) > SECRET_LENGTH:
        return f"The secret has {len(value) - SECRET_LENGTH} characters too many. Something was appended to the link."
    return ""


def explain_text(name: str, value: str) -> str:
    if SHORTENED.search(value):
        return f"{name} was shortened: it has an ellipsis in place of its rest."
    if PLACEHOLDER.search(value):
        return f"{name} is a placeholder that nothing has replaced with its value."
    return ""


def show_character(character: str) -> str:
    return f"'{character}'" if character.isprintable() else f"the character U+{ord(character):04X}"
