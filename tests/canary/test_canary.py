"""No PIN, card number, track or key leaves the terminal; and the search that says so finds them where they are."""

from __future__ import annotations

import base64
import hashlib
import logging
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.canary import planted
from tests.canary.forced import PLACES
from tests.canary.run import SESSIONS_A_STATION, Report, run
from tests.canary.search import Canary, Outlet, Search

NUMBER, PIN = "5163920487715602", "482950617733"
BADGE = "04A1B2C3D4E5F60718A9"


@pytest.fixture(scope="module")
def report() -> Report:
    return run(4 * SESSIONS_A_STATION, 7)


def test_no_canary_leaves_the_terminal(report: Report) -> None:
    assert report.found == {}


def test_no_canary_leaves_by_an_error_that_quotes() -> None:
    """Every failure repeats what its function was given, tracks and numbers and all."""
    quoting = run(4 * SESSIONS_A_STATION, 7, quoting=True)
    assert quoting.found == {}
    assert len(quoting.forced) >= len(PLACES) // 2


def test_the_sessions_did_what_they_are_for(report: Report) -> None:
    assert report.sales >= 20
    assert report.deaths >= 5
    assert report.pin_blocks >= 1
    assert len(report.forced) >= len(PLACES) // 2
    places = {"answer", "cards-e", "ledger", "log", "pin-keys", "repr", "request", "screen", "status", "trace"}
    assert places <= set(report.places)


def test_the_sealed_numbers_are_there_and_would_be_seen_if_they_were_not_sealed(report: Report) -> None:
    assert report.opened >= 20
    assert report.seen == report.opened
    assert report.broken == 0


@pytest.mark.parametrize(
    ("leak", "kind", "place"),
    [(planted.logged, "number", "log"), (planted.journaled, "pin", "repr"), (planted.unsealed, "number", "request")],
    ids=["logged", "journaled", "unsealed"],
)
def test_a_planted_leak_is_found(leak: Callable[[], AbstractContextManager[None]], kind: str, place: str) -> None:
    with leak():
        found = run(SESSIONS_A_STATION, 7).found
    assert any(one.kind == kind and one.place == place for one in found)
    assert run(SESSIONS_A_STATION, 7).found == {}


def test_a_planted_leak_of_the_journal_is_found_on_the_disk() -> None:
    with planted.journaled():
        found = run(SESSIONS_A_STATION, 7).found
    assert any(one.kind == "pin" and one.place in ("ledger", "log") for one in found)


@pytest.mark.parametrize(
    "leak",
    [
        NUMBER, NUMBER[:-4], NUMBER[4:], NUMBER[::-1], NUMBER.encode().hex(), "5163 9204 8771 5602", "5163-9204-8771-5602",
        bytes.fromhex(NUMBER), bytes.fromhex("0" + NUMBER + "F"), bytes.fromhex(NUMBER[1:] + "F"), NUMBER.encode("utf-16-le"),
        base64.b64encode(b"x" + NUMBER.encode()), base64.b64encode(bytes.fromhex(NUMBER)), base64.b64encode(b"ab" + NUMBER.encode() + b"c"),
        hashlib.sha256(NUMBER.encode()).hexdigest(), ", ".join(PIN), "\n".join(f"key={digit}" for digit in PIN), bytes.fromhex(PIN),
        "".join(PIN[at + 1] + PIN[at] for at in range(0, 12, 2)), base64.b64encode(PIN.encode()), hashlib.sha256(PIN.encode()).digest(),
        BADGE, BADGE.lower(), bytes.fromhex(BADGE), bytes.fromhex(BADGE)[::-1], base64.b64encode(b"q" + bytes.fromhex(BADGE)),
    ],
)  # fmt: skip
def test_every_disguise_is_seen_through(leak: str | bytes) -> None:
    outlet = Outlet()
    outlet.add("here", b"before " + (leak.encode() if isinstance(leak, str) else leak) + b" behind")
    search = Search([Canary("number", NUMBER), Canary("pin", PIN), Canary("number", BADGE)])
    assert {one.place for one in outlet.search(search)} == {"here"}


def test_what_may_be_told_is_not_found() -> None:
    outlet = Outlet()
    outlet.add("here", f"last4={NUMBER[-4:]} first={NUMBER[:6]} token={hashlib.sha256(b'k' + NUMBER.encode()).hexdigest()} {PIN[:5]}")
    assert outlet.search(Search([Canary("number", NUMBER), Canary("pin", PIN)])) == set()


def test_a_file_is_searched_across_its_pages_and_only_where_it_is_new() -> None:
    outlet, page = Outlet(), b"." * 4090
    outlet.add_file("ledger", page + b"." * 6 + page)
    outlet.add_file("ledger", page + NUMBER.encode() + page)
    assert {one.form for one in outlet.search(Search([Canary("number", NUMBER)]))} == {"clear"}


def test_the_log_is_as_before() -> None:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, sys.excepthook, sys.stderr)
    run(2, 3)
    assert (root.handlers, root.level, sys.excepthook, sys.stderr) == before


def test_no_secret_is_in_a_canary_s_repr() -> None:
    assert PIN not in repr(Canary("pin", PIN))
