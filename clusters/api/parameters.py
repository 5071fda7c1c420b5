"""The filters in a list's query string. An invalid value is refused under the parameter's name, not ignored."""

from collections.abc import Sequence

from rest_framework import serializers
from rest_framework.request import Request

LARGEST_ID = 2**63 - 1


def read_id_parameter(request: Request, name: str) -> int | None:
    """Return the id in `?<name>=`, or None without the parameter. Raises ValidationError."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:20]) <= LARGEST_ID):
        raise serializers.ValidationError({name: ["Must be an id, a whole number."]})
    return int(text)


def read_word_parameter(request: Request, name: str, words: Sequence[str]) -> str | None:
    """Return the word in `?<name>=`, one of `words`, or None without the parameter. Raises ValidationError."""
    word = request.query_params.get(name)
    if word is not None and word not in words:
        raise serializers.ValidationError({name: [f"Must be one of {', '.join(words)}."]})
    return word
