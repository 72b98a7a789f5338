"""Reads what a terminal sends: every field checked for kind and bounds, unknown ones refused by name.

Source: firmware_notes/host-api.openapi.yaml, whose schemas say the same; a test holds the two together. A refusal names the field and
what was expected, never the value, which may be a card number.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from typing import Any

Check = Callable[[Any], str | None]
Table = dict[str, Check]

MAX_BODY = 4 * 1024 * 1024
MAX_ML = 999_999_999
MAX_MINOR = 10**12
MAX_COUNTER = 10**15
MAX_PRICE = 10**9
END_CAUSES = ("nozzle", "limit", "lift_timeout", "flow_timeout", "stop", "fault", "cancelled", "declined", "power")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MS = dt.timedelta(milliseconds=1)


class Refusal(Exception):
    """A call that is answered with an error: status, machine-readable code, text for people; of a 405 the method that is allowed."""

    def __init__(self, status: int, code: str, message: str, *, allow: str | None = None) -> None:
        super().__init__(message)
        self.allow = allow
        self.status = status
        self.code = code
        self.message = message


def instant_ms(text: str) -> int:
    """UTC milliseconds of a checked RFC 3339 instant."""
    return (dt.datetime.fromisoformat(text) - _EPOCH) // _MS


def instant_text(utc_ms: int) -> str:
    """RFC 3339 with milliseconds, as all answers carry it."""
    return (_EPOCH + dt.timedelta(milliseconds=utc_ms)).isoformat(timespec="milliseconds")[:-6] + "Z"


def whole(low: int, high: int) -> Check:
    """An integer between these two, both allowed. A boolean is none."""
    why = f"an integer from {low} to {high} is expected"
    return lambda value: None if type(value) is int and low <= value <= high else why


def text(pattern: str, what: str) -> Check:
    """A string that matches wholly."""
    compiled = re.compile(pattern, re.ASCII)
    return lambda value: None if type(value) is str and compiled.fullmatch(value) else f"{what} is expected"


def one_of(*words: str) -> Check:
    """One of these strings."""
    known = frozenset(words)
    return lambda value: None if type(value) is str and value in known else f"one of {', '.join(words)} is expected"


def nullable(check: Check) -> Check:
    """The same, or null."""

    def inner(value: Any) -> str | None:
        return None if value is None else check(value)

    return inner


def nested(table: Table) -> Check:
    """An object after another table; refusals name the inner field."""

    def inner(value: Any) -> str | None:
        verify(value, table, "")
        return None

    return inner


def instant(value: Any) -> str | None:
    """An instant as messages carry it."""
    if type(value) is str and _INSTANT.fullmatch(value):
        try:
            instant_ms(value)
        except ValueError:
            return "an existing instant is expected"
        return None
    return "an RFC 3339 instant in UTC with milliseconds is expected"


def prompts(value: Any) -> str | None:
    """Names of prompts with their answers."""
    good = type(value) is dict and len(value) <= 16
    if good and all(_PROMPT_NAME(name) is None and type(answer) is str and len(answer) <= 64 for name, answer in value.items()):
        return None
    return "an object of at most 16 prompt names with texts is expected"


def _products(value: Any) -> str | None:
    if type(value) is not list or not 1 <= len(value) <= 16:
        return "a list of 1 to 16 products is expected"
    for each in value:
        verify(each, OFFERED, "")
    return None


def _wish(value: Any) -> str | None:
    if type(value) is dict and len(value) == 1:
        for name, amount in value.items():
            if name in ("quantity_ml", "value_minor"):
                return whole(1, MAX_ML if name == "quantity_ml" else MAX_MINOR)(amount)
    return "an object with either quantity_ml or value_minor is expected"


def _marks(value: Any) -> str | None:
    good = type(value) is list and 1 <= len(value) <= 16 and all(_PROMPT_NAME(each) is None for each in value)
    return None if good else "a list of 1 to 16 words in capitals is expected"


def _items(value: Any) -> str | None:
    return None if type(value) is list and 1 <= len(value) <= 100 else "a list of 1 to 100 records is expected"


_PROMPT_NAME = text(r"[A-Z0-9_ ]{1,32}", "a prompt's name")
NAME = text(r"[A-Za-z0-9._-]{1,32}", "a name of letters, digits, dot, dash and underline")
SALE = text(r"[A-Za-z0-9._-]{1,64}", "a sale")
KEY = text(r"[A-Za-z0-9._-]{1,64}/(authorize|complete|reverse|advice|close)", "a key of the form <sale>/<call>")
CARD: Table = {
    "token": text(r"[0-9a-f]{32}", "32 hex digits in lower case"),
    "last4": text(r"(?s:.{0,4})", "at most four characters"),
    "sealed": text(r"[A-Za-z0-9+/]{1,400}={0,2}", "base64"),
}
OFFERED: Table = {"nozzle": whole(1, 99), "product": text(r"(?s:.{1,32})", "a product"), "price": whole(0, MAX_PRICE)}
_SALE_PART: Table = {"key": KEY, "terminal": NAME, "sale": SALE, "epoch": whole(1, 2**31 - 1), "sequence": whole(1, 2**53 - 1)}
_MEDIUM_PART: Table = {
    "site": NAME,
    "fuelling_point": whole(1, 9999),
    "card": nested(CARD),
    "medium": one_of("badge", "secure badge", "stripe", "smart card"),
    "trust": one_of("T0", "T1", "T2", "T3"),
    "pin": one_of("verified", "none"),
    "prompts": prompts,
    "clock": one_of("trusted", "holdover", "untrusted"),
    "list_version": whole(0, 2**53 - 1),
}
AUTHORIZATION: Table = (
    _SALE_PART
    | _MEDIUM_PART
    | {
        "second_card": nullable(nested(CARD)),
        "pin": one_of("verified", "sent", "none"),
        "pin_block": nullable(text(r"[0-9a-f]{32}", "32 hex digits in lower case")),
        "ksn": nullable(text(r"[0-9a-f]{24}", "24 hex digits in lower case")),
        "products": _products,
        "wish": nullable(_wish),
        "requested_at": instant,
    }
)
AUTHORIZATION_OPTIONAL = frozenset({"pin_block", "ksn"})
RECORD: Table = (
    _SALE_PART
    | _MEDIUM_PART
    | {
        "authorization": nullable(text(r"[A-Za-z0-9._-]{1,64}", "an authorization")),
        "decided_by": one_of("host", "offline"),
        "nozzle": nullable(whole(1, 99)),
        "product": nullable(text(r"(?s:.{1,32})", "a product")),
        "price": nullable(whole(0, MAX_PRICE)),
        "currency": text(r"[A-Z]{3}", "a currency of three capital letters"),
        "quantity_ml": whole(0, MAX_ML),
        "value_minor": whole(0, MAX_MINOR),
        "authorized_at": instant,
        "ended_at": instant,
        "end": one_of(*END_CAUSES),
        "cost_centre": nullable(text(r"(?s:.{0,64})", "a text of at most 64 characters")),
        "driver": nullable(text(r"(?s:.{0,64})", "a text of at most 64 characters")),
        "totaliser_start_ml": nullable(whole(0, MAX_COUNTER)),
        "totaliser_end_ml": nullable(whole(0, MAX_COUNTER)),
        "second_card": nullable(nested(CARD)),
        "marks": nullable(_marks),
    }
)
RECORD_OPTIONAL = frozenset({"second_card", "marks"})
REVERSAL: Table = _SALE_PART | {"reason": one_of("TIMED_OUT", "CANCELLED", "POWER", "LATE")}
ACKNOWLEDGEMENT: Table = {
    "effective_at": instant,
    "durable": lambda value: None if value is True else "true is expected",
    "refused": nullable(text(r"(?s:.{0,200})", "a text of at most 200 characters")),
}
ACKNOWLEDGEMENT_OPTIONAL = frozenset({"refused"})
TRANSACTIONS: Table = {"terminal": NAME, "items": _items}


def _no_constant(name: str) -> Any:
    raise ValueError(name)


# Made once: the module's functions would make new ones at every call.
_DECODER = json.JSONDecoder(parse_constant=_no_constant)
_ENCODER = json.JSONEncoder(separators=(",", ":"))


def encode(value: dict[str, Any]) -> bytes:
    """Compact JSON."""
    return _ENCODER.encode(value).encode()


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises ``Refusal`` 400 or 413."""
    if len(body) > MAX_BODY:
        raise Refusal(413, "too_large", f"a body has at most {MAX_BODY} bytes")
    try:
        value = _DECODER.decode(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Refusal(400, "bad_json", "the body is not JSON in UTF-8") from None
    if type(value) is not dict:
        raise Refusal(400, "bad_json", "the body is not an object")
    return value


def verify(value: Any, table: Table, where: str, optional: frozenset[str] = frozenset()) -> None:
    """Raises ``Refusal``: 422 for fields that the table does not know, 400 for wrong and missing ones; ``optional`` ones may be missing."""
    if type(value) is not dict:
        raise Refusal(400, "bad_request", f"{where or 'value'}: an object is expected")
    if value.keys() != table.keys():
        unknown = sorted(name[:40] for name in value.keys() - table.keys())
        if unknown:
            raise Refusal(422, "unknown_fields", f"{where}unknown fields: {', '.join(unknown[:10])}")
        missing = sorted(table.keys() - value.keys() - optional)
        if missing:
            raise Refusal(400, "bad_request", f"{where}missing fields: {', '.join(missing)}")
    name, why = "", None
    try:
        for name, check in table.items():
            if name in value:
                why = check(value[name])
                if why is not None:
                    break
    except Refusal as refusal:
        raise Refusal(refusal.status, refusal.code, f"{where}{name}: {refusal.message}") from None
    if why is not None:
        raise Refusal(400, "bad_request", f"{where}{name}: {why}")


def verify_sale(message: dict[str, Any], call: str, sale: str | None = None) -> None:
    """Key, sale, terminal, epoch and sequence must say the same, and the path's sale too. Raises ``Refusal`` 400."""
    expected = f"{message['terminal']}-{message['epoch']}-{message['sequence']}"
    if message["sale"] != expected:
        raise Refusal(400, "bad_request", "sale: <terminal>-<epoch>-<sequence> of the other fields is expected")
    if message["key"] != f"{expected}/{call}":
        raise Refusal(400, "bad_request", f"key: <sale>/{call} is expected")
    if sale is not None and sale != expected:
        raise Refusal(400, "bad_request", "sale: differs from the path's")
