"""A decoder's complaint in words that may be shown: what and where, never the content, which could be a card's number."""

from __future__ import annotations

import re

_FREE_OF_CONTENT = (
    "Expected `",
    "Input data was truncated",
    "Integer value out of range",
    "Invalid RFC3339",
    "JSON is malformed",
    "Number out of range",
)
_NAMED_FIELD = re.compile(r"Object (?P<what>contains unknown|missing required) field `(?P<name>[A-Za-z_]{1,40}[0-9]{0,3})`")
_WHERE = re.compile(r" - at `[$A-Za-z0-9_.\[\]]{1,100}`\Z")


def complaint(error: Exception) -> str:
    """What the decoder complains of and where, never what it found there: that could be a card's number."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    text = str(error)
    place = _WHERE.search(text)
    where = "" if place is None else place.group()
    named = _NAMED_FIELD.match(text)
    if named is not None:
        return named.group() + where
    if text.startswith("Object contains unknown field"):
        return f"Object contains unknown field{where}"
    if text.startswith(_FREE_OF_CONTENT):
        return text
    return f"a value that the contract does not know{where}"
