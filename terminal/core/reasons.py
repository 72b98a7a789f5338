"""Why a driver is told no, or what bounds the amount: the closed set of words, and their order when several are equally tight.

Source: design/behaviour-language.md, section Reasons. The value of each member is the word as it is written there.
"""

from __future__ import annotations

from enum import Enum


class Period(Enum):
    """Over what a limit counts: one fuelling, a local calendar day, a local calendar month."""

    __hash__ = object.__hash__  # members are single; the library's own is made in Python, and a decision needs dozens

    FUELLING = "FUELLING"
    DAY = "DAY"
    MONTH = "MONTH"


class Measure(Enum):
    """What is counted: millilitres, minor units of money, or fuellings."""

    __hash__ = object.__hash__  # members are single; the library's own is made in Python, and a decision needs dozens

    QUANTITY = "QUANTITY"
    VALUE = "VALUE"
    COUNT = "COUNT"


class Reason(Enum):
    """A refusal's reason or an amount's bound."""

    __hash__ = object.__hash__  # members are single; the library's own is made in Python, and a decision needs dozens

    MEDIUM_UNREADABLE = "MEDIUM_UNREADABLE"
    MEDIUM_NOT_GENUINE = "MEDIUM_NOT_GENUINE"
    CARD_UNKNOWN = "CARD_UNKNOWN"
    CARD_BLOCKED = "CARD_BLOCKED"
    CUSTOMER_BLOCKED = "CUSTOMER_BLOCKED"
    CARD_EXPIRED = "CARD_EXPIRED"
    CARD_NOT_YET_VALID = "CARD_NOT_YET_VALID"
    PIN_WRONG = "PIN_WRONG"
    PIN_LOCKED = "PIN_LOCKED"
    PROMPT_INVALID = "PROMPT_INVALID"
    SECOND_CARD_WRONG = "SECOND_CARD_WRONG"
    SITE_NOT_ALLOWED = "SITE_NOT_ALLOWED"
    TIME_NOT_ALLOWED = "TIME_NOT_ALLOWED"
    PRODUCT_NOT_ALLOWED = "PRODUCT_NOT_ALLOWED"
    CARD_IN_USE = "CARD_IN_USE"
    LIMIT_FUELLING_QUANTITY = "LIMIT_FUELLING_QUANTITY"
    LIMIT_FUELLING_VALUE = "LIMIT_FUELLING_VALUE"
    LIMIT_FUELLING_COUNT = "LIMIT_FUELLING_COUNT"
    LIMIT_DAY_QUANTITY = "LIMIT_DAY_QUANTITY"
    LIMIT_DAY_VALUE = "LIMIT_DAY_VALUE"
    LIMIT_DAY_COUNT = "LIMIT_DAY_COUNT"
    LIMIT_MONTH_QUANTITY = "LIMIT_MONTH_QUANTITY"
    LIMIT_MONTH_VALUE = "LIMIT_MONTH_VALUE"
    LIMIT_MONTH_COUNT = "LIMIT_MONTH_COUNT"
    CUSTOMER_LIMIT_FUELLING_QUANTITY = "CUSTOMER_LIMIT_FUELLING_QUANTITY"
    CUSTOMER_LIMIT_FUELLING_VALUE = "CUSTOMER_LIMIT_FUELLING_VALUE"
    CUSTOMER_LIMIT_FUELLING_COUNT = "CUSTOMER_LIMIT_FUELLING_COUNT"
    CUSTOMER_LIMIT_DAY_QUANTITY = "CUSTOMER_LIMIT_DAY_QUANTITY"
    CUSTOMER_LIMIT_DAY_VALUE = "CUSTOMER_LIMIT_DAY_VALUE"
    CUSTOMER_LIMIT_DAY_COUNT = "CUSTOMER_LIMIT_DAY_COUNT"
    CUSTOMER_LIMIT_MONTH_QUANTITY = "CUSTOMER_LIMIT_MONTH_QUANTITY"
    CUSTOMER_LIMIT_MONTH_VALUE = "CUSTOMER_LIMIT_MONTH_VALUE"
    CUSTOMER_LIMIT_MONTH_COUNT = "CUSTOMER_LIMIT_MONTH_COUNT"
    BALANCE_EMPTY = "BALANCE_EMPTY"
    CREDIT_CEILING = "CREDIT_CEILING"
    EXPOSURE_REACHED = "EXPOSURE_REACHED"
    HOST = "HOST"
    TANK_CAPACITY = "TANK_CAPACITY"
    TERMINAL_CAP = "TERMINAL_CAP"
    WISH = "WISH"
    OFFLINE_NOT_ALLOWED = "OFFLINE_NOT_ALLOWED"
    LIST_TOO_OLD = "LIST_TOO_OLD"
    CLOCK_UNTRUSTED = "CLOCK_UNTRUSTED"
    HOST_DECLINED = "HOST_DECLINED"
    FUELLING_POINT_NOT_AVAILABLE = "FUELLING_POINT_NOT_AVAILABLE"
    TERMINAL_NOT_READY = "TERMINAL_NOT_READY"
    CANCELLED = "CANCELLED"
    TIMED_OUT = "TIMED_OUT"


def limit_reason(on_customer: bool, period: Period, measure: Measure) -> Reason:
    """The reason of a limit: ``LIMIT_<period>_<measure>`` for a card's, ``CUSTOMER_LIMIT_…`` for a customer's."""
    return _LIMIT_REASON[on_customer, period, measure]


_LIMIT_REASON = {
    (on_customer, period, measure): Reason(f"{'CUSTOMER_' if on_customer else ''}LIMIT_{period.value}_{measure.value}")
    for on_customer in (False, True)
    for period in Period
    for measure in Measure
}


BOUND_ORDER: tuple[Reason, ...] = (
    *(limit_reason(on_customer, period, measure) for on_customer in (False, True) for period in Period for measure in Measure),
    Reason.BALANCE_EMPTY,
    Reason.CREDIT_CEILING,
    Reason.EXPOSURE_REACHED,
    Reason.HOST,
    Reason.TANK_CAPACITY,
    Reason.TERMINAL_CAP,
    Reason.WISH,
)
"""Which bound is named when several are equally tight: the first one here."""

BOUND_RANK: dict[Reason, int] = {reason: rank for rank, reason in enumerate(BOUND_ORDER)}
"""The place of each bound in ``BOUND_ORDER``."""
