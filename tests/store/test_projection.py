"""Each fact's effect on the tables, in rows written out by hand: the replay of ``verify`` uses the same functions and would not notice."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

from terminal.core import records as r
from terminal.core.ids import MessageKey, SaleId
from terminal.store import projection
from terminal.store.ledger import Ledger, QueuedMessage, Stamp

pytestmark = pytest.mark.usefixtures("ledger_kind")

SALE = SaleId("OPT-1-1-1")
CARD = r.MediumRef("a1" * 16, "0123", "badge", "number", "c2VhbGVk")
RESERVED = r.SaleReserved(
    sale=SALE,
    epoch=1,
    sequence=1,
    side=1,
    fp=2,
    card=CARD,
    account="a1",
    customer="carrier",
    pin_verified=True,
    prompts=(),
    nozzles=(r.NozzleRef(1, "DIESEL", 16_990),),
    wish_ml=None,
    wish_minor=None,
    hold_ml=500,
    hold_minor=900,
    hold_products=("DIESEL",),
    asked_host=True,
    authorized_at=1_000,
    list_version=3,
)
AUTHORIZED = r.SaleAuthorized(SALE, "host", "A-1", (r.Allowed("DIESEL", 400, 700, False, "TANK"),), 400, 700, ("DIESEL",))
RELEASED = r.SaleReleased(SALE, 1, "DIESEL", 16_990, 300, None, 300, 510, 100_000)
DELIVERED = r.SaleDelivered(SALE, 250, 425, 100_250, "nozzle", 2_000)
ENDED = r.SaleEnded(SALE, "cancelled", 2_000, False)


class Tables:
    """A ledger that gets one fact a commit."""

    def __init__(self, path: Path) -> None:
        self.ledger = Ledger(path)
        self.utc = 0

    def take(self, *facts: r.Record) -> Tables:
        for fact in facts:
            self.utc += 10
            self.ledger.commit(Stamp(self.utc, "trusted"), [fact], [])
        return self

    def rows(self, table: str) -> list[tuple[object, ...]]:
        return self.ledger.connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()

    def queue(self, key: str) -> None:
        self.ledger.commit(Stamp(self.utc, "trusted"), [], [QueuedMessage(key, b"{}")])


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[Tables]:
    tables = Tables(tmp_path / "ledger.db")
    yield tables
    tables.ledger.close()


def sale_row(
    state: str,
    *,
    taken: tuple[object, object] = (None, None),
    use: tuple[int, int],
    rows: tuple[int, ...],
    reversal: int = 0,
    ended: int | None = None,
) -> object:
    nozzle, product = taken
    places = (*rows, None, None)[:3]
    decided_by = "host" if len(rows) > 1 else None  # by the authorization's own row
    return (1, 1, "OPT-1-1-1", state, 2, nozzle, "a1", "carrier", product, *use, 1_000, reversal, *places, decided_by, ended, None)


def test_a_sale_from_its_hold_to_its_booking(tables: Tables) -> None:
    taken = (1, "DIESEL")
    assert tables.take(RESERVED).rows("sale") == [sale_row("reserved", use=(500, 900), rows=(1,))]
    assert tables.take(AUTHORIZED).rows("sale") == [sale_row("authorized", use=(400, 700), rows=(1, 2))]
    assert tables.take(RELEASED).rows("sale") == [sale_row("delivering", taken=taken, use=(300, 510), rows=(1, 2, 3))]
    assert tables.rows("total") == []
    assert tables.take(DELIVERED).rows("sale") == [sale_row("delivered", taken=taken, use=(250, 425), rows=(1, 2, 3), ended=4)]
    assert tables.rows("total") == [(2, 1, 100_250)]
    acknowledged = r.MessageAcknowledged(MessageKey(f"{SALE}/complete"), "ACCEPTED")
    assert tables.take(acknowledged).rows("sale") == [sale_row("booked", taken=taken, use=(250, 425), rows=(1, 2, 3), ended=4)]


def test_an_advice_books_and_a_reversals_answer_does_not(tables: Tables) -> None:
    tables.take(RESERVED, AUTHORIZED, RELEASED, DELIVERED)
    for kind, state in (("reverse", "delivered"), ("authorize", "delivered"), ("advice", "booked")):
        tables.take(r.MessageAcknowledged(MessageKey(f"{SALE}/{kind}"), "ACCEPTED"))
        assert [row[3] for row in tables.rows("sale")] == [state]


@pytest.mark.parametrize(("reversed_", "state"), [(False, "zero"), (True, "reversed")])
def test_an_empty_sale_uses_nothing_and_is_never_booked(tables: Tables, reversed_: bool, state: str) -> None:
    tables.take(RESERVED, r.SaleEnded(SALE, "cancelled", 2_000, reversed_), r.MessageAcknowledged(MessageKey(f"{SALE}/advice"), "ACCEPTED"))
    assert tables.rows("sale") == [sale_row(state, use=(0, 0), rows=(1,), ended=2)]


def test_doubt_keeps_the_hold_and_a_reversal_marks_the_sale(tables: Tables) -> None:
    tables.take(RESERVED, r.ReversalQueued(SALE, "TIMED_OUT"), AUTHORIZED, RELEASED, r.SaleInDoubt(SALE, "no record"))
    assert tables.rows("sale") == [sale_row("in doubt", taken=(1, "DIESEL"), use=(300, 510), rows=(1, 3, 4), reversal=1)]


def test_a_fill_without_a_total_leaves_the_last_total(tables: Tables) -> None:
    tables.take(RESERVED, AUTHORIZED, RELEASED, r.TotalRead(2, 1, 7), r.SaleDelivered(SALE, 250, 425, None, "nozzle", 2_000))
    assert tables.rows("total") == [(2, 1, 7)]


def test_messages_leave_when_answered_and_stay_when_refused(tables: Tables) -> None:
    for kind in ("reverse", "advice"):
        tables.queue(f"{SALE}/{kind}")
    tables.take(RESERVED, ENDED, r.MessageQuarantined(MessageKey(f"{SALE}/reverse"), "REJECTED_PERMANENT"))
    assert [row[:4] for row in tables.rows("outbox")] == [(1, f"{SALE}/reverse", 1, b"{}"), (2, f"{SALE}/advice", 0, b"{}")]
    message = tables.ledger.next_message()
    assert message is not None
    assert message.key == f"{SALE}/advice"
    tables.take(r.MessageAcknowledged(MessageKey(f"{SALE}/advice"), "ACCEPTED"))
    assert (len(tables.rows("outbox")), tables.ledger.next_message()) == (1, None)


def test_pin_tries_totals_faults_and_names(tables: Tables) -> None:
    tables.take(r.PinTried("a1", 1, 1), r.PinTried("a1", 1, 2), r.PinTried("a2", 9, 1))
    assert tables.rows("pin") == [("a1", 1, 2), ("a2", 9, 1)]
    assert tables.take(r.PinCleared("a1")).rows("pin") == [("a2", 9, 1)]
    assert tables.take(r.TotalRead(1, 1, 5), r.TotalRead(1, 2, 6), r.TotalRead(1, 1, 4)).rows("total") == [(1, 1, 4), (1, 2, 6)]
    tables.utc = 1_000
    tables.take(r.FaultRaised("PUMP_ALARM", "fp 1", "a"), r.FaultRaised("PUMP_ALARM", "fp 2", "b"), r.FaultCleared("PUMP_ALARM", "fp 1"))
    assert tables.rows("fault") == [("PUMP_ALARM", "fp 2", "b", 1_020)]
    tables.take(r.ClockAnchored(5, 6, "boot"), r.ListsAdopted("cards-e1-2.db", "e1", 2, 9), r.ListsChecked(7), r.ListsChecked(8))
    assert tables.rows("meta") == [("cards_file", "cards-e1-2.db"), ("clock_anchor", "5 6 boot"), ("lists_checked", "8")]


def test_the_newest_list_and_the_epochs_that_were_left(tables: Tables) -> None:
    def adopt(epoch: str, version: int) -> str:
        tables.take(r.ListsAdopted(f"cards-{epoch}-{version}.db", epoch, version, 9, 1_000 + version, "ab" * 32))
        return next(str(value) for name, value in tables.rows("meta") if name == "list_mark")

    common = f'"rows":9,"issued_at":{{}},"content_hash":"{"ab" * 32}"'
    assert adopt("e1", 2) == '{"epoch":"e1","version":2,' + common.format(1_002) + ',"left":[]}'
    assert adopt("e1", 3) == '{"epoch":"e1","version":3,' + common.format(1_003) + ',"left":[]}'
    assert adopt("e7", 1) == '{"epoch":"e7","version":1,' + common.format(1_001) + ',"left":["e1"]}'


def test_denies_lifts_and_what_a_list_supersedes(tables: Tables) -> None:
    card, carrier = ("card", "a1" * 16, ""), ("customer", "carrier", "")
    tables.take(r.DenyAdded(5, *card, "e1", 8, 100), r.DenyAdded(6, *carrier, "e1", 9, 200))
    assert tables.rows("deny") == [(*card, 0, "e1", 8, 5, 100), (*carrier, 0, "e1", 9, 6, 200)]
    tables.take(r.DenyLifted(7, *card, "e1", 9, 300), r.DenyAdded(8, "range", "7001000", "7001999", "e1", 10, 400))
    assert tables.rows("deny")[0] == (*card, 1, "e1", 9, 7, 300)
    assert [row[0] for row in tables.rows("deny")] == ["card", "customer", "range"]
    tables.take(r.EventPassed(9, "known", 500))
    assert tables.rows("ack") == [(5, 100, None), (6, 200, None), (7, 300, None), (8, 400, None), (9, 500, None)]
    assert ("last_event", "9") in tables.rows("meta")
    tables.take(r.EventAcknowledged(6, True), r.EventAcknowledged(77, False), r.EventPassed(9, "no such sale", 500, refused=True))
    assert tables.rows("ack") == [(5, 100, None), (7, 300, None), (8, 400, None), (9, 500, "no such sale")]
    tables.take(r.ListsAdopted("cards-e1-9.db", "e1", 9, 4))
    assert [row[0] for row in tables.rows("deny")] == ["range"]
    tables.take(r.DenyLifted(10, *card, "e1", 10, 600), r.ListsAdopted("cards-e2-50.db", "e2", 50, 4))
    assert [row[0] for row in tables.rows("deny")] == ["range"], "a deny stays when the host rebuilds its data, a lift falls"


def test_facts_that_are_only_journal_rows(tables: Tables) -> None:
    tables.take(r.TerminalStarted("boot", "1.0"), r.Refused(1, "CARD_UNKNOWN", CARD, None), r.Unattributed(1, 1, 5, 0, 5))
    assert [len(tables.rows(name)) for name in ("journal", "sale", "outbox", "pin", "total", "fault", "meta")] == [3, 0, 0, 0, 0, 0, 0]


def test_no_kind_of_fact_is_forgotten() -> None:
    assert set(projection.APPLY) == set(typing.get_args(r.Record))
