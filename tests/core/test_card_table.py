"""The card table: which range counts, what of a number is the card's own, and who is turned away."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.events import MediumKind, MediumPresented
from terminal.core.card_table import (
    CardRange,
    Coded,
    PinAt,
    RangeKind,
    Reading,
    Routing,
    Slice,
    TrackField,
    ambiguous,
    luhn_holds,
    range_of,
    read,
)
from terminal.core.reasons import Reason

TODAY = date(2026, 3, 31)
NUMBER = "7002000000000011"
ROW = CardRange("7002", "7002", RangeKind.FLEET, Routing.HOST, (16,), luhn=True)


def stripe(number: str = NUMBER, expiry: str | None = "2912", service: str | None = "101", rest: str | None = "0123") -> MediumPresented:
    return MediumPresented(1, MediumKind.STRIPE, number, expiry=expiry, service_code=service, discretionary=rest)


def badge(number: str = NUMBER) -> MediumPresented:
    return MediumPresented(1, MediumKind.BADGE, number)


def span(first: str, last: str) -> CardRange:
    return replace(ROW, first=first, last=last)


def test_a_number_in_no_range_stays_what_it_is() -> None:
    for number in ("8002000000000011", "04A1B2C3D4E5F6", "TRUCK-0815", "700", "７００２０００００００００００１１"):
        assert read([ROW], badge(number), TODAY) == Reading(number)


@pytest.mark.parametrize(
    ("ranges", "wanted"),
    [
        ([span("7", "7"), span("70", "70"), span("7002", "7002"), span("700", "700")], "7002"),
        ([span("7000", "7999"), span("7001", "7003")], "7001"),
        ([span("7001", "7003"), span("7000", "7999"), span("7", "7")], "7001"),
        ([span("8", "9")], None),
        ([replace(span("7", "7"), media=frozenset({MediumKind.BADGE}))], None),
        ([replace(span("7", "7"), media=frozenset({MediumKind.STRIPE}))], "7"),
    ],
)
def test_the_longest_beginning_counts_then_the_narrower_run(ranges: list[CardRange], wanted: str | None) -> None:
    for order in (ranges, ranges[::-1]):
        found = range_of(order, stripe())
        assert (None if found is None else found.first) == wanted


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=8), st.integers(0, 99))
def test_where_nothing_is_ambiguous_the_order_of_the_rows_says_nothing(pairs: list[tuple[int, int]], number: int) -> None:
    ranges = list({(a, b): span(f"{min(a, b):02}", f"{max(a, b):02}") for a, b in pairs}.values())
    medium = badge(f"{number:02}{'0' * 14}")
    found = {range_of(order, medium) for order in (tuple(ranges), tuple(ranges[::-1]))}
    clash = [r for r in ranges if r.covers(medium.number)]
    if ambiguous(ranges) is None:
        assert len(found) == 1
    elif len(found) > 1:
        assert len(clash) > 1


@pytest.mark.parametrize(
    ("ranges", "clash"),
    [
        ([span("70", "72"), span("72", "74")], True),
        ([span("70", "72"), span("73", "75")], False),
        ([span("70", "79"), span("72", "74")], False),
        ([span("7", "7"), span("70", "70")], False),
        ([], False),
    ],
)
def test_ranges_as_particular_as_each_other_must_not_share_numbers(ranges: list[CardRange], clash: bool) -> None:
    assert (ambiguous(ranges) is not None) is clash


@pytest.mark.parametrize(
    ("number", "reason"), [(NUMBER[:-1] + "2", Reason.MEDIUM_UNREADABLE), (NUMBER + "0", Reason.MEDIUM_UNREADABLE), (NUMBER, None)]
)
def test_length_and_check_digit(number: str, reason: Reason | None) -> None:
    found = read([ROW], stripe(number), TODAY)
    assert found == reason if reason is not None else isinstance(found, Reading)


@given(st.text("0123456789", min_size=2, max_size=19), st.data())
def test_luhn_notices_every_wrong_digit_and_almost_every_swap(body: str, data: st.DataObject) -> None:
    good = next(body + digit for digit in "0123456789" if luhn_holds(body + digit))
    place = data.draw(st.integers(0, len(good) - 1))
    other = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != good[place]]))
    assert not luhn_holds(good[:place] + other + good[place + 1 :])
    at = data.draw(st.integers(0, len(good) - 2))
    swapped = good[:at] + good[at + 1] + good[at] + good[at + 2 :]
    if {good[at], good[at + 1]} != {"0", "9"} and swapped != good:
        assert not luhn_holds(swapped)


@pytest.mark.parametrize(
    ("expiry", "reason"),
    [("2603", None), ("2602", Reason.CARD_EXPIRED), ("2512", Reason.CARD_EXPIRED), ("2613", Reason.MEDIUM_UNREADABLE)]
    + [("2600", Reason.MEDIUM_UNREADABLE), (None, Reason.MEDIUM_UNREADABLE), ("26０3", Reason.MEDIUM_UNREADABLE)],
)
def test_a_track_holds_to_the_end_of_its_month(expiry: str | None, reason: Reason | None) -> None:
    found = read([ROW], stripe(expiry=expiry), TODAY)
    assert found == reason if reason is not None else isinstance(found, Reading)
    assert isinstance(read([replace(ROW, expiry=False)], stripe(expiry=expiry), TODAY), Reading)
    assert isinstance(read([ROW], badge(), TODAY), Reading), "a badge has no track"


@pytest.mark.parametrize(("service", "only"), [("101", False), ("120", True), ("621", True), ("140", False), (None, False), ("2", False)])
def test_the_service_code_may_leave_it_to_the_issuer(service: str | None, only: bool) -> None:
    found = read([ROW], stripe(service=service), TODAY)
    assert isinstance(found, Reading)
    assert found.online_only is only
    blind = read([replace(ROW, service_code=False)], stripe(service=service), TODAY)
    assert isinstance(blind, Reading)
    assert not blind.online_only


def test_the_cards_number_is_a_slice() -> None:
    whole = Slice(TrackField.NUMBER, 4, None)
    found = read([replace(ROW, number=whole)], stripe(), TODAY)
    assert isinstance(found, Reading)
    assert found.number == NUMBER[4:]
    rest = Slice(TrackField.DISCRETIONARY, 1, 3)
    assert read([replace(ROW, number=rest)], stripe(rest="0123"), TODAY) == Reading("123")
    for medium in (stripe(rest="01"), stripe(rest=None), badge()):
        assert read([replace(ROW, number=rest)], medium, TODAY) is Reason.MEDIUM_UNREADABLE


def test_codes_of_products_and_prompts() -> None:
    at = Slice(TrackField.DISCRETIONARY, 0, 1)
    prompted = Coded(at, {"0": ("ODOMETER",), "1": ("DRIVER", "ODOMETER")})
    row = replace(ROW, restriction=Coded(at, {"0": ("GAZOLE",), "1": None}), prompts=prompted)
    wanted = {"0": (frozenset({"GAZOLE"}), ("ODOMETER",)), "1": (None, ("DRIVER", "ODOMETER")), "9": (frozenset(), ("ODOMETER", "DRIVER"))}
    for code, (products, prompts) in wanted.items():
        found = read([row], stripe(rest=code), TODAY)
        assert isinstance(found, Reading)
        assert (found.products, found.prompts) == (products, prompts)
    assert read([row], stripe(rest=""), TODAY) is Reason.MEDIUM_UNREADABLE
    assert row.restriction is not None
    other = read([replace(row, restriction=replace(row.restriction, codes={"*": ("SP95",)}), prompts=None)], stripe(rest="9"), TODAY)
    assert isinstance(other, Reading)
    assert other.products == frozenset({"SP95"})


@pytest.mark.parametrize("routing", [Routing.HOST, Routing.LOCAL])
def test_bank_cards_are_off_and_never_asked_a_pin(routing: Routing) -> None:
    row = replace(ROW, kind=RangeKind.BANK, routing=routing, pin=PinAt.ONLINE)
    assert read([row], stripe(), TODAY) is Reason.CARD_UNKNOWN
    found = read([row], stripe(), TODAY, bank_cards=True)
    assert isinstance(found, Reading)
    assert found.pin is PinAt.NONE


def test_nothing_shows_a_number() -> None:
    assert "7002" not in repr(ROW)
    assert NUMBER not in repr(Reading(NUMBER))
