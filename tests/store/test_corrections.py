"""Corrections, closings and refused events across a restart: what recovery makes of the ledger is what the core had in memory."""

from __future__ import annotations

from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terminal.core.account_book import AccountBook, UseState
from terminal.core.closings import Closing
from terminal.core.corrections import CorrectionDesk
from terminal.core.deny_book import OnDeny
from terminal.core.exposure import Exposure
from terminal.core.host_events import ClosingScope, CorrectionKind, CorrectionPushed
from terminal.core.ids import SaleId
from terminal.core.push_desk import PushDesk
from terminal.core.records import ClosingSet, EventAcknowledged, EventPassed, Record, SaleCorrected
from terminal.core.sale import GRID
from terminal.core.site import Recovered
from terminal.core.units import Instant
from terminal.store.integrity import Severity, verify
from terminal.store.ledger import Ledger, Stamp
from terminal.store.past_sales import LedgerPast
from terminal.store.recovery import USE_KEPT_MS, recover
from tests.store.books import ACCOUNTS, BOOT, NEW_YEAR, TERMINAL, Station
from tests.store.editing import errors, sold

pytestmark = pytest.mark.usefixtures("ledger_kind")

STAMP = Stamp(NEW_YEAR, "trusted")


class Office:
    """The core's own correction desk beside the station's sales."""

    def __init__(self, station: Station) -> None:
        self.station = station
        known = Recovered(station.minting)
        self.push = PushDesk(station.desk, station.denies, None, None, {}, OnDeny.STOP, known)  # type: ignore[arg-type]
        self.desk = CorrectionDesk(station.desk, self.push, LedgerPast(station.ledger.connection))
        self.said = 0

    def say(self, sale: str, kind: CorrectionKind, name: str | None = None, **more: object) -> None:
        """One correction, to its end."""
        self.said += 1
        self.station.last_event += 1
        fields = {"quantity_ml": None, "value_minor": None, "account": None, "customer": None, "prompts": (), "why": "", **more}
        event = CorrectionPushed(self.station.last_event, name or f"K{self.said}", sale, kind, **fields)  # type: ignore[arg-type]
        desk = self.station.desk
        self.desk.heard(event, self.station.at)
        while desk.inner:
            told = desk.inner.popleft()
            GRID.fire(desk.sales[told.sale], told, self.station.at)  # type: ignore[attr-defined]
        self.station.unacknowledged.update(self.push.unacknowledged)
        self.station.commit()

    def any(self, draw: int) -> None:
        """Some correction of some sale, most of them possible."""
        random = Random(draw)
        sale = f"{TERMINAL}-1-{random.randrange(1, self.station.minting.next_sequence + 1)}"
        kind = random.choice(list(CorrectionKind))
        wanted = UseState.IN_DOUBT if kind is CorrectionKind.SETTLE else UseState.DELIVERED
        likely = [use.sale for use in self.station.desk.book.snapshot() if use.state is wanted]
        if likely and random.random() < 0.7:
            sale = random.choice(likely)
        name = f"K{random.randrange(1, self.said + 2)}" if draw % 7 == 0 else None
        if kind in (CorrectionKind.REFUND, CorrectionKind.SETTLE):
            self.say(sale, kind, name, quantity_ml=random.randrange(4_000), value_minor=random.randrange(100))
        elif kind is CorrectionKind.AMEND:
            account, customer = random.choice(ACCOUNTS)
            self.say(sale, kind, name, account=account, customer=customer)
        else:
            self.say(sale, kind, name)


def assert_as_recovered(station: Station, ledger: Ledger) -> None:
    found = recover(ledger, TERMINAL, BOOT)
    assert AccountBook(found.uses) == station.desk.book
    assert Exposure(found.unanswered) == station.desk.exposure


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 13), st.integers(0, 99_999)), max_size=50))
def test_after_every_correction_the_ledger_gives_what_the_core_had_in_memory(moves: list[tuple[bool, int, int]]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        station = Station(path)
        office = Office(station)
        for correct, choice, draw in moves:
            if correct:
                office.any(draw)
            else:
                station.do(choice, draw)
            assert_as_recovered(station, station.ledger)
        station.ledger.close()
        reopened = Ledger(path)
        assert_as_recovered(station, reopened)
        reopened.close()
        assert [found for found in verify(path).findings if found.severity is Severity.ERROR] == []


def test_the_generator_makes_every_kind_of_correction_and_refuses_some(tmp_path: Path) -> None:
    """Or the property above would say less than it seems to."""
    station = Station(tmp_path / "ledger.db")
    office, random = Office(station), Random(5)
    for _ in range(200):
        for _ in range(4):
            station.do(random.randrange(1000), random.randrange(100_000))
        office.any(random.randrange(100_000))
    db = station.ledger.connection
    kinds = {kind for (kind,) in db.execute("SELECT json_extract(CAST(body AS TEXT), '$.kind') FROM journal WHERE kind = 'SaleCorrected'")}
    (refused,) = db.execute("SELECT count(*) FROM ack WHERE refused IS NOT NULL").fetchone()
    assert_as_recovered(station, station.ledger)
    station.ledger.close()
    assert kinds == {kind.value for kind in CorrectionKind}
    assert refused > 0
    assert verify(tmp_path / "ledger.db").sound


def test_a_sale_that_no_window_holds_any_more_is_still_corrected_once(tmp_path: Path) -> None:
    station = Station(tmp_path / "ledger.db")
    sale = sold(station, 0, 30_000)
    station.desk.book.forget_before(station.desk.clock.utc(station.at))
    station.at = Instant(station.at + USE_KEPT_MS + 1)
    past = LedgerPast(station.ledger.connection)
    office = Office(station)
    before = past.use(sale.id)
    assert before is not None
    assert before.quantity_ml == 30_000
    for _ in range(2):
        office.say(sale.id, CorrectionKind.REFUND, "K1", quantity_ml=10_000, value_minor=100)
    after = past.use(sale.id)
    assert after is not None
    assert (after.quantity_ml, after.value_minor) == (20_000, before.value_minor - 100)
    assert past.has_correction("K1")
    assert not past.has_correction("K2")
    assert recover(station.ledger, TERMINAL, BOOT).uses == []
    station.ledger.close()


@pytest.mark.parametrize("name", ["OPT-1-1-2", "OPT-2-1-1", "OPT-1-2-1", "", "OPT-1-1-", "OPT-1-1-99999999999999999999", "OPT-1-1-٣"])
def test_a_sale_that_never_was_has_no_past(tmp_path: Path, name: str) -> None:
    station = Station(tmp_path / "ledger.db")
    sold(station, 0, 30_000)
    assert LedgerPast(station.ledger.connection).use(name) is None
    station.ledger.close()


def test_closings_and_refused_events_are_remembered_until_they_are_over(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = Ledger(path)
    facts: list[Record] = [
        ClosingSet(1, "site", "", True, "tanker", 100),
        ClosingSet(2, "fuelling_point", "2", True, "meter", 200),
        ClosingSet(3, "site", "", False, "", 300),
        EventPassed(4, "no such sale", 400, refused=True),
        EventPassed(5, "known", 500),
        EventAcknowledged(2, taken=True),
    ]
    ledger.commit(STAMP, facts, [])
    ledger.close()
    ledger = Ledger(path)
    found = recover(ledger, TERMINAL, BOOT)
    ledger.commit(STAMP, [EventAcknowledged(4, taken=True)], [])
    assert recover(ledger, TERMINAL, BOOT).event_refusals == {}
    ledger.close()
    assert found.closings == [Closing(ClosingScope.FUELLING_POINT, "2", "meter", 2, 200)]
    assert found.unacknowledged == {1: 100, 3: 300, 4: 400, 5: 500}
    assert found.event_refusals == {4: "no such sale"}
    assert found.last_event == 5
    assert verify(path).sound


def test_what_waits_for_the_host_waits_since_its_sale_ended(tmp_path: Path) -> None:
    station = Station(tmp_path / "ledger.db")
    assert recover(station.ledger, TERMINAL, BOOT).oldest is None
    one = station.reserve(0)
    station.grant(one, 1)
    station.take_nozzle(one, 0)
    ended = station.desk.clock.utc(station.at)
    station.deliver(one, 1_001)
    sold(station, 1, 2_000)
    found = recover(station.ledger, TERMINAL, BOOT)
    station.ledger.close()
    assert (found.oldest, found.waiting) == (ended, len(station.waiting))


# --- lives that cannot be ---------------------------------------------------------------------------------------------------------


def fact(sale: str, kind: str = "cancel", name: str = "K1") -> SaleCorrected:
    return SaleCorrected(1, name, SaleId(sale), kind, None, None, None, None, (), "", 5)


def test_verify_sees_corrections_that_cannot_have_been_made(tmp_path: Path) -> None:
    station = Station(tmp_path / "ledger.db")
    done, waiting = sold(station, 0, 30_000), station.reserve(1)
    station.ledger.commit(STAMP, [fact(done.id), fact(done.id), fact(done.id, "settle", "K2"), fact(waiting.id, "refund", "K3")], [])
    station.ledger.commit(STAMP, [fact("OPT-1-1-9", name="K4")], [])
    station.ledger.close()
    said = " / ".join(what for _, what in errors(tmp_path / "ledger.db"))
    assert "correction K1 counts a second time" in said
    assert f"correction K2 (settle) of sale {done.id}, which is delivered" in said
    assert f"correction K3 (refund) of sale {waiting.id}, which is reserved" in said
    assert "correction K4 of sale OPT-1-1-9, which was never reserved" in said


@pytest.mark.parametrize("change", ["DELETE FROM correction", "UPDATE closing SET why = 'mine'", "UPDATE ack SET refused = NULL"])
def test_verify_sees_tables_that_were_edited(tmp_path: Path, change: str) -> None:
    station = Station(tmp_path / "ledger.db")
    done = sold(station, 0, 30_000)
    facts: list[Record] = [fact(done.id), ClosingSet(2, "site", "", True, "tanker", 6), EventPassed(3, "no such sale", 7, refused=True)]
    station.ledger.commit(STAMP, facts, [])
    assert station.ledger.connection.execute(change).rowcount > 0
    station.ledger.connection.commit()
    station.ledger.close()
    assert [what for _, what in errors(tmp_path / "ledger.db")] != []
