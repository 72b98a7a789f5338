"""On which line of a JSON text a field stands, so that a complaint can name it.

Only for texts that are valid JSON up to that field; one that is not there has the line of what should hold it.
"""

from __future__ import annotations

import json
import re

_SPACE = re.compile(r"[ \t\r\n]*")
_STEP = re.compile(r"\[(\d+)\]|([^.\[]+)")
_SCALAR = re.compile(r"[^\s,\]}]+")


def line_of_path(raw: bytes, path: str) -> int:
    """The line (1...) of ``limits[0].amount`` and the like in a JSON text."""
    text = raw.decode(errors="replace")
    at = _skip(text, 0)
    for index, key in _STEP.findall(path):
        inner = _element(text, at, int(index)) if index else _member(text, at, key)
        if inner is None:
            break
        at = inner
    return text.count("\n", 0, at) + 1


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()


def _string_end(text: str, at: int) -> int:
    at += 1
    while text[at : at + 1] not in ('"', ""):
        at += 2 if text[at] == "\\" else 1
    return at + 1


def _value_end(text: str, at: int) -> int:
    """Where the value that starts here ends."""
    if text[at : at + 1] == '"':
        return _string_end(text, at)
    if text[at : at + 1] not in ("{", "["):
        match = _SCALAR.match(text, at)
        return len(text) if match is None else match.end()
    depth = 0
    while at < len(text):
        if text[at] == '"':
            at = _string_end(text, at)
            continue
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(text[at], 0)
        at += 1
        if depth == 0:
            break
    return at


def _member(text: str, at: int, key: str) -> int | None:
    """Where the value of an object's member begins; None when there is no such member."""
    if text[at : at + 1] != "{":
        return None
    at = _skip(text, at + 1)
    while text[at : at + 1] == '"':
        end = _string_end(text, at)
        value = _skip(text, _skip(text, end) + 1)
        try:
            if json.loads(text[at:end], strict=False) == key:
                return value
        except ValueError:
            return None  # the complaint came before the decoder had read as far as here
        at = _skip(text, _value_end(text, value))
        at = _skip(text, at + 1) if text[at : at + 1] == "," else len(text)
    return None


def _element(text: str, at: int, index: int) -> int | None:
    if text[at : at + 1] != "[":
        return None
    at = _skip(text, at + 1)
    for _ in range(index):
        at = _skip(text, _value_end(text, at))
        if text[at : at + 1] != ",":
            return None
        at = _skip(text, at + 1)
    return at
