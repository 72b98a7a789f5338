"""The tables of the Givens about the card table, prompts and odometers.

A code's table is written ``FIELD[FROM:LENGTH] CODE=WORD;WORD CODE=`` with ``*`` for every other code; nothing behind ``=`` is none, ``any``
is no restriction.
"""

from __future__ import annotations

import re

from tests.behaviour import values
from tests.behaviour.setup import PromptRuleRow, RangeRow
from tests.behaviour.tables import Row, Table, read_table
from tests.behaviour.values import Unclear

_SLICE = re.compile(r"(?P<field>number|discretionary)\[(?P<start>\d+):(?P<length>\d*)\]", re.ASCII)
_RANGE = "from to kind routing lengths luhn media number restriction prompts pin expiry".split()
_PIN = {"never": "none", "offline": "offline", "online": "online"}
_ROUTING = {"host": "host", "local": "local", "nobody": "none"}


def card_ranges(table: Table) -> tuple[RangeRow, ...]:
    """``| from | to | kind | routing | lengths | luhn | media | number | restriction | prompts | pin | expiry | service code |``."""

    def make(row: Row) -> RangeRow:
        first, last = row.need("from"), row.need("to")
        if len(first) != len(last) or first > last or not (first + last).isdigit():
            raise Unclear("a range goes upwards between beginnings of the same length, in digits")
        found: dict[str, object] = {
            "first": first,
            "last": last,
            "kind": row.take("kind", "fleet", lambda text: values.one_of(text, ("fleet", "bank", "technician", "other"), "a kind")),
            "routing": row.take("routing", "host", lambda text: _ROUTING[values.one_of(text, tuple(_ROUTING), "a routing")]),
            "lengths": row.take("lengths", list(range(len(first), 20)), _wholes),
            "luhn": row.take("luhn", False, _yes),
            "media": row.take("media", None, lambda text: list(values.comma_list(text))),
            "number": row.take("number", None, _slice),
            "restriction": row.take("restriction", None, _codes),
            "prompts": row.take("prompts", None, lambda text: _codes(text, upper=True)),
            "pin": row.take("pin", None, lambda text: _PIN[values.one_of(text, tuple(_PIN), "a PIN rule")]),
            "expiry": row.take("expiry", True, _yes),
            "service_code": row.take("service code", True, _yes),
        }
        return RangeRow(found)

    return read_table(table, (*_RANGE, "service code"), make)


def prompt_rules(table: Table) -> tuple[PromptRuleRow, ...]:
    """``| subject | prompt | digits | answers | least step | most step | wrong | consumption |``; a consumption is litres
    per 100 km, or an hour; with ``least consumption``, ``an hour``, ``least an hour`` and ``implausible``."""

    def make(row: Row) -> PromptRuleRow:
        least, _, most = row.take("digits", "1-10", str).partition("-")
        rule: dict[str, object] = {
            "min_digits": values.whole(least, "the digits"),
            "max_digits": values.whole(most or least, "the digits"),
            "answers": row.take("answers", None, lambda text: list(values.comma_list(text))),
            "min_step": row.take("least step", None, int),
            "max_step": row.take("most step", None, int),
            "most_per_100km_ml": row.take("consumption", None, values.volume_ml),
            "least_per_100km_ml": row.take("least consumption", None, values.volume_ml),
            "most_per_hour_ml": row.take("an hour", None, values.volume_ml),
            "least_per_hour_ml": row.take("least an hour", None, values.volume_ml),
            "implausible": row.take(
                "implausible", None, lambda text: values.one_of(text, ("ask", "mark", "refuse"), "what fuel that explains too little does")
            ),
            "wrong": row.take("wrong", "refuse", lambda text: values.one_of(text, ("refuse", "mark"), "what a wrong answer does")),
        }
        prompt = values.one_of(row.need("prompt").lower(), values.PROMPTS, "a prompt")
        return PromptRuleRow(values.subject(row.need("subject")), prompt, rule)

    return read_table(table, (*_PROMPT, "least consumption", "an hour", "least an hour", "implausible"), make)


_PROMPT = ("subject", "prompt", "digits", "answers", "least step", "most step", "wrong", "consumption")


def odometers(table: Table) -> tuple[tuple[str, int], ...]:
    """``| card | reading |``."""
    return read_table(table, ("card", "reading"), lambda row: (row.need("card"), values.whole(row.need("reading"), "a reading")))


def _yes(text: str) -> bool:
    return values.one_of(text, ("yes", "no"), "an answer") == "yes"


def _wholes(text: str) -> list[int]:
    return [values.whole(part, "a length") for part in values.comma_list(text)]


def _slice(text: str) -> dict[str, object]:
    match = _SLICE.fullmatch(text)
    if match is None:
        raise Unclear(f"a slice is written number[6:13] or discretionary[0:2], not {text!r}")
    return {"field": match["field"], "start": int(match["start"]), "length": int(match["length"]) if match["length"] else None}


def _codes(text: str, *, upper: bool = False) -> dict[str, object]:
    place, *codes = text.split()
    named: dict[str, list[str] | None] = {}
    for code, sign, words in (each.partition("=") for each in codes):
        if not sign:
            raise Unclear(f"a code is written 00=GAZOLE;SP95, not {code!r}")
        named[code] = None if words == "any" else [word.upper() if upper else word for word in words.split(";") if word]
    return {"slice": _slice(place), "codes": named}
