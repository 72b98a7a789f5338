"""When an offered list is refused: rollback, age, shrinking. Pure."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from terminal.core.card_lists import AHEAD_MS, NO_LIST, ListMark, ListOffer, refusal
from terminal.core.units import UtcMs

NOW = UtcMs(1_774_700_000_000)
DAY = 24 * 3_600_000
MARK = ListMark("e2", 7, 100, NOW - DAY, "ab", ("e1",))
NEXT = ListOffer("e2", 8, 100, "cd", NOW - 1, NOW + DAY, confirm_shrink=False)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, None),
        ({"version": 700}, None),
        ({"version": 7, "content_hash": "ab"}, None),  # the live one once more: its file may be lost
        ({"epoch": "e3", "version": 1}, None),
        ({"rows": 50}, None),
        ({"rows": 0, "confirm_shrink": True}, None),
        ({"issued_at": NOW + AHEAD_MS, "not_after": NOW + 2 * AHEAD_MS}, None),
        ({"version": 6}, "older than version 7"),
        ({"version": 7}, "another content"),
        ({"epoch": "e1", "version": 99}, "given up for e2"),
        ({"epoch": "e3", "issued_at": NOW - DAY}, "made before"),
        ({"not_after": NOW}, "expired"),
        ({"issued_at": NOW + 5, "not_after": NOW + 5}, "expired"),
        ({"issued_at": NOW + AHEAD_MS + 1, "not_after": NOW + 2 * AHEAD_MS}, "future"),
        ({"rows": 49}, "shrinks from 100 to 49 rows"),
        ({"rows": 0}, "empty"),
    ],
)
def test_refusal(change: dict[str, int | str | bool], why: str | None) -> None:
    found = refusal(MARK, replace(NEXT, **change), NOW)  # type: ignore[arg-type]
    assert found is None if why is None else found is not None and why in found


def test_before_the_first_list_only_age_and_emptiness_count() -> None:
    assert refusal(NO_LIST, replace(NEXT, version=1, rows=1), NOW) is None
    assert refusal(NO_LIST, replace(NEXT, rows=0), NOW) is not None


def test_whatever_is_offered_in_whatever_order_no_list_comes_twice_or_goes_back() -> None:
    """Random offers of three epochs: the versions adopted within an epoch only grow, and an epoch that was left stays left."""
    random = Random("rollback")
    for _ in range(300):
        mark, adopted = NO_LIST, []
        for step in range(40):
            made = NOW - DAY + random.randrange(40) * 1000 + step
            offer = ListOffer(f"e{random.randrange(3)}", random.randint(1, 9), 10, str(made), made, NOW + DAY, confirm_shrink=False)
            if refusal(mark, offer, NOW) is None:
                mark = mark.after(offer)
                adopted.append((offer.epoch, offer.version))
        runs = [epoch for place, (epoch, _) in enumerate(adopted) if place == 0 or adopted[place - 1][0] != epoch]
        assert len(runs) == len(set(runs))
        for epoch in set(runs):
            versions = [version for each, version in adopted if each == epoch]
            assert versions == sorted(set(versions))
