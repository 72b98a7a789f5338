"""What a restart remembers is what the program knew: after every step of any legal life, rebuilt from the ledger and compared."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terminal.core.account_book import AccountBook
from terminal.core.exposure import Exposure
from terminal.core.orders import OrderTaken
from terminal.core.records import ClockAnchored
from terminal.core.sale import SaleState
from terminal.core.site import Recovered
from terminal.core.units import UtcMs
from terminal.store.integrity import Severity, verify
from terminal.store.ledger import Ledger, Stamp
from terminal.store.recovery import USE_KEPT_MS, cards_file, recover
from tests.store.books import BOOT, NEW_YEAR, TERMINAL, Station, live, sale_values

pytestmark = pytest.mark.usefixtures("ledger_kind")


def assert_remembered(station: Station, found: Recovered) -> None:
    assert AccountBook(found.uses) == station.desk.book
    assert Exposure(found.unanswered) == station.desk.exposure
    assert found.refusals == station.refusals.issued
    assert [sale_values(one) for one in found.open_sales] == [sale_values(one) for one in station.open_sales()]
    assert found.minting == station.minting
    assert found.pin_tries == station.pin_tries
    assert found.totals == station.totals
    assert found.faults == station.desk.faults.active
    assert found.waiting == len(station.waiting)
    assert found.lists_checked == station.lists_checked
    assert {entry.subject: entry for entry in found.denies} == station.denies.entries
    assert (found.last_event, found.unacknowledged) == (station.last_event, station.unacknowledged)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 13), st.integers(0, 99_999)), max_size=40))
def test_after_every_step_the_ledger_gives_what_the_core_had_in_memory(moves: list[tuple[int, int]]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        station = Station(path)
        for choice, draw in moves:
            station.do(choice, draw)
            assert_remembered(station, recover(station.ledger, TERMINAL, BOOT))
            assert cards_file(station.ledger) == station.cards_file
        station.ledger.close()
        reopened = Ledger(path)
        assert reopened.head == station.ledger.head
        assert_remembered(station, recover(reopened, TERMINAL, BOOT))
        reopened.close()
        report = verify(path)
        assert [finding for finding in report.findings if finding.severity is Severity.ERROR] == []
        assert (report.open_sales, report.unsent, report.refused_by_host) == (
            len(station.open_sales()),
            len(station.waiting),
            station.quarantined,
        )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["hear", "hear", "hear", "lists", "answer"]), st.integers(0, 99_999)), max_size=40))
def test_denies_and_acknowledgements_are_remembered_as_the_core_has_them(moves: list[tuple[str, int]]) -> None:
    with TemporaryDirectory() as folder:
        station = Station(Path(folder) / "ledger.db")
        for move, draw in moves:
            station.push(move, draw)
            assert_remembered(station, recover(station.ledger, TERMINAL, BOOT))
        station.ledger.close()
        assert [found for found in verify(station.ledger.path).findings if found.severity is Severity.ERROR] == []


def test_the_generator_reaches_every_state_of_a_sale(tmp_path: Path) -> None:
    """Or the property above would say less than it seems to."""
    station = Station(tmp_path / "ledger.db")
    states: set[str] = set()
    for _ in live(station, 400, seed=7):
        states.update(state for (state,) in station.ledger.connection.execute("SELECT DISTINCT state FROM sale"))
    assert states == {state.value for state in SaleState}
    assert station.quarantined > 0
    assert station.refusals.issued > 0
    assert 0 < len(station.desk.exposure) < len(station.desk.book)
    station.ledger.close()


def test_a_changed_boot_proves_no_elapsed_time(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.commit(Stamp(NEW_YEAR, "trusted"), [ClockAnchored(NEW_YEAR, 5_000, BOOT)], [])
    ledger.commit(Stamp(NEW_YEAR + 90_000, "trusted"), [ClockAnchored(NEW_YEAR + 30_000, 35_000, BOOT)], [])
    same, other = recover(ledger, TERMINAL, BOOT), recover(ledger, TERMINAL, "boot-2")
    ledger.close()
    assert (same.same_boot, same.clock_floor, same.clock_floor_instant, same.clock_contact) == (True, NEW_YEAR + 30_000, 35_000, 35_000)
    assert (other.same_boot, other.clock_floor, other.clock_contact) == (False, NEW_YEAR + 90_000, None)


def test_an_empty_ledger_starts_at_sale_one(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    found = recover(ledger, TERMINAL, BOOT)
    assert (found.minting.id(), found.uses, found.open_sales, found.waiting, cards_file(ledger)) == ("OPT-1-1-1", [], [], 0, None)
    ledger.close()


def test_uses_older_than_any_window_are_left_on_disk_and_holds_never(tmp_path: Path) -> None:
    station = Station(tmp_path / "ledger.db")
    old, held = station.reserve(0), station.reserve(1)
    station.grant(old, 1)
    station.take_nozzle(old, 0)
    station.deliver(old, 1_001)
    newest = NEW_YEAR + USE_KEPT_MS + 10 * 60_000
    station.ledger.commit(Stamp(newest, "trusted"), [ClockAnchored(newest, 1, BOOT)], [])
    book = AccountBook(recover(station.ledger, TERMINAL, BOOT).uses)
    station.ledger.close()
    assert [use.sale for use in book.snapshot()] == [held.id]
    station.desk.book.forget_before(UtcMs(newest - USE_KEPT_MS))
    assert book == station.desk.book


def test_orders_and_the_running_sales_that_they_stopped_are_remembered(tmp_path: Path) -> None:
    station = Station(tmp_path / "ledger.db")
    one = station.reserve(0)
    station.grant(one, 0)
    early = OrderTaken(3, "acknowledge_fault", "Meier", "seen", None, "PUMP_ALARM", "fp 1", NEW_YEAR)
    station.desk.persist(early)
    station.take_nozzle(one, 0)
    assert recover(station.ledger, TERMINAL, BOOT).orders.stopped == []
    elsewhere = OrderTaken(4, "stop_point", "Meier", "smoke", one.fp + 1, None, None, NEW_YEAR)
    station.desk.persist(elsewhere)
    station.commit()
    assert recover(station.ledger, TERMINAL, BOOT).orders.stopped == []
    here = OrderTaken(0, "stop_point", "Meier", "smoke", one.fp, None, None, NEW_YEAR)
    station.desk.persist(here)
    station.commit()
    found = recover(station.ledger, TERMINAL, BOOT).orders
    assert (found.taken, found.stopped) == ([early, elsewhere, here], [one.id])
    station.ledger.close()
