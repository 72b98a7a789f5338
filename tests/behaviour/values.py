"""Amounts, times, subjects and lists as people write them, made into integers with units.

Source: the behaviour language, its introduction and the section "Given". Whatever cannot be read raises ``Unclear`` with what was expected.
"""

from __future__ import annotations

import datetime
import re
import zoneinfo

from tests.behaviour.world import Amount, Subject, SubjectKind

# ISO 4217, the entries that do not have two decimals.
_WITHOUT_DECIMALS = frozenset("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split())
_THREE_DECIMALS = frozenset("BHD IQD JOD KWD LYD OMR TND".split())

_NUMBER = re.compile(r"(?P<whole>\d+)(?:\.(?P<part>\d+))?", re.ASCII)
_MONEY = re.compile(r"(?P<number>\S+) (?P<currency>[A-Z]{3})", re.ASCII)
_LITRES = re.compile(r"(?P<number>\S+) L", re.ASCII)
_DURATION = re.compile(r"(?P<number>\S+) (?P<unit>ms|s|min|h|d)", re.ASCII)
_UNIT_MS = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_LOCAL_TIME = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}", re.ASCII)

LIMIT_PERIODS = ("FUELLING", "DAY", "MONTH")
MEASURES = ("QUANTITY", "VALUE", "COUNT")
QUESTIONS = ("PIN", "ODOMETER", "VEHICLE", "DRIVER", "NUMBER", "PROVER", "SECOND CARD", "FUELLING POINT")
PROMPTS = ("odometer", "vehicle", "driver", "number", "prover")

_LIMIT_REASONS = tuple(
    f"{whose}LIMIT_{period}_{measure}"
    for whose in ("", "CUSTOMER_")
    for period in LIMIT_PERIODS
    for measure in MEASURES
    if (period, measure) != ("FUELLING", "COUNT")
)
REASONS = (
    *"MEDIUM_UNREADABLE MEDIUM_NOT_GENUINE CARD_UNKNOWN CARD_BLOCKED CUSTOMER_BLOCKED CARD_EXPIRED CARD_NOT_YET_VALID".split(),
    *"PIN_WRONG PIN_LOCKED PROMPT_INVALID SECOND_CARD_WRONG SITE_NOT_ALLOWED TIME_NOT_ALLOWED PRODUCT_NOT_ALLOWED CARD_IN_USE".split(),
    *_LIMIT_REASONS,
    *"BALANCE_EMPTY CREDIT_CEILING EXPOSURE_REACHED HOST TANK_CAPACITY TERMINAL_CAP WISH OFFLINE_NOT_ALLOWED LIST_TOO_OLD".split(),
    *"CLOCK_UNTRUSTED HOST_DECLINED FUELLING_POINT_NOT_AVAILABLE TERMINAL_NOT_READY CANCELLED TIMED_OUT".split(),
)


class Unclear(ValueError):
    """Something in a feature file cannot be understood; the text says what was expected."""


def one_of(text: str, known: tuple[str, ...], what: str) -> str:
    """The text itself when it is a known word. Raises Unclear naming the nearest known one."""
    from difflib import get_close_matches

    if text in known:
        return text
    near = get_close_matches(text, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
    raise Unclear(f"{what} cannot be {text!r}; {hint}")


def scaled(text: str, decimals: int, what: str) -> int:
    """A written decimal number as an integer of ``decimals`` places. Raises Unclear, also for more places than that."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise Unclear(f"{what} {text!r} is not a number such as 12.50")
    part = match["part"] or ""
    if len(part) > decimals and part[decimals:].strip("0"):
        raise Unclear(f"{what} {text!r} has more than {decimals} decimals")
    return int(match["whole"] + part[:decimals].ljust(decimals, "0"))


def decimals_of(currency: str) -> int:
    """The number of decimals of a currency (ISO 4217): 0, 2 or 3. Raises Unclear when it is no currency code."""
    if re.fullmatch(r"[A-Z]{3}", currency) is None:
        raise Unclear(f"a currency is three capital letters such as EUR, not {currency!r}")
    return 0 if currency in _WITHOUT_DECIMALS else 3 if currency in _THREE_DECIMALS else 2


def volume_ml(text: str) -> int:
    """``12.50 L`` in millilitres. Raises Unclear."""
    match = _LITRES.fullmatch(text)
    if match is None:
        raise Unclear(f"a volume is written like 12.50 L, not {text!r}")
    return scaled(match["number"], 3, "the volume")


def amount_minor(text: str, currency: str) -> int:
    """``21.61 EUR`` in minor units; the currency must be the site's. Raises Unclear."""
    match = _MONEY.fullmatch(text)
    if match is None:
        raise Unclear(f"an amount of money is written like 21.61 {currency}, not {text!r}")
    if match["currency"] != currency:
        raise Unclear(f"the amount {text!r} is not in {currency}, which this site sells in")
    return scaled(match["number"], decimals_of(currency), "the amount")


def amount(text: str, currency: str) -> Amount:
    """``20.00 L`` or ``50.00 EUR``. Raises Unclear."""
    if text.endswith(" L"):
        return Amount(volume_ml=volume_ml(text))
    return Amount(amount_minor=amount_minor(text, currency))


def measured(text: str, measure: str, currency: str) -> int:
    """An amount in the unit of its measure: litres for QUANTITY, money for VALUE, a bare whole number for COUNT. Raises Unclear."""
    if measure == "QUANTITY":
        return volume_ml(text)
    if measure == "VALUE":
        return amount_minor(text, currency)
    return scaled(text, 0, "the count")


def price(text: str) -> int:
    """``1.729`` per litre in 1/10000 of the major unit. Raises Unclear."""
    return scaled(text, 4, "the price")


def duration_ms(text: str) -> int:
    """``17 s`` (also ms, min, h, d) in milliseconds. Raises Unclear."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise Unclear(f"a time is written like 17 s, 5 min or 24 h, not {text!r}")
    thousandths = scaled(match["number"], 3, "the time") * _UNIT_MS[match["unit"]]
    return thousandths // 1000


def local_time(text: str) -> str:
    """``2026-03-28 23:50:00``, checked. Raises Unclear."""
    if _LOCAL_TIME.fullmatch(text) is None:
        raise Unclear(f"a local time is written like 2026-03-28 23:50:00, not {text!r}")
    try:
        datetime.datetime.fromisoformat(text)
    except ValueError as problem:
        raise Unclear(f"there is no local time {text!r}: {problem}") from None
    return text


def instant_ms(text: str, zone: str) -> int:
    """A checked local time of this zone in UTC milliseconds."""
    return int(datetime.datetime.fromisoformat(text).replace(tzinfo=zoneinfo.ZoneInfo(zone)).timestamp()) * 1000


def zone(text: str) -> str:
    """An IANA zone name, checked. Raises Unclear."""
    try:
        zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise Unclear(f"there is no time zone {text!r}; it is written like Europe/Paris") from None
    return text


def subject(text: str) -> Subject:
    """``card ACCOUNT`` or ``customer NAME``. Raises Unclear."""
    kind, _, name = text.strip().partition(" ")
    name = name.strip().strip('"')
    if kind not in {"card", "customer"} or not name:
        raise Unclear(f"a subject is written 'card ACCOUNT' or 'customer NAME', not {text!r}")
    return Subject(SubjectKind(kind), name)


def comma_list(text: str) -> tuple[str, ...]:
    """``GAZOLE, SP95`` as its parts. Raises Unclear for an empty part."""
    parts = tuple(part.strip() for part in text.split(","))
    if not all(parts):
        raise Unclear(f"the list {text!r} has an empty part")
    return parts


def whole(text: str, what: str) -> int:
    """A whole number of 1 or more. Raises Unclear."""
    if not re.fullmatch(r"[1-9][0-9]{0,5}", text):
        raise Unclear(f"{what} {text!r} is not a whole number of 1 or more")
    return int(text)
