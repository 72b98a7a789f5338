"""Sales that came back, in the ledger: their rows, the nozzles' books, and the search for them, which goes on where it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from terminal.core.ids import MessageKey, SaleId
from terminal.core.messages import Booking
from terminal.core.records import (
    FaultRaised,
    MediumRef,
    MessageAcknowledged,
    Record,
    SaleCorrected,
    TerminalStarted,
    TotalRead,
    Unattributed,
)
from terminal.core.return_desk import booking_of
from terminal.core.returned_record import ReturnSettled, SaleReturned
from terminal.core.returned_sales import Missing
from terminal.core.rollback_mark import LedgerRestored
from terminal.core.units import UtcMs
from terminal.store import returned
from terminal.store.integrity import NozzleBook, Report, Severity, verify
from terminal.store.ledger import Ledger, QueuedMessage, Stamp
from terminal.store.past import NotFound, by_sale
from terminal.store.past_sales import LedgerPast
from terminal.store.rebooking import rebooked
from terminal.store.recovery import recover

pytestmark = pytest.mark.usefixtures("ledger_kind")

FIRST = 1_000_001
NOW = UtcMs(1_774_750_000_000)
LOST = LedgerRestored("the file is gone", 3, True, 2, FIRST)
TOLD = LedgerRestored("the host knows row 9", 0, True, 2, FIRST)


def sale(sequence: int, volume_ml: int = 10_000, start_ml: int = 100_000, **changes: object) -> SaleReturned:
    """A sale of fuelling point 1, nozzle 1."""
    card = MediumRef("aa" * 16, "E5F6", "badge", "T0", "QUJD")
    good = SaleReturned(
        sale=SaleId(f"OPT1-1-{sequence}"), epoch=1, sequence=sequence, fp=1, nozzle=1, card=card, account="aa" * 16, customer="C1",
        pin_verified=False, prompts=(), product="GAZOLE", price=17290, quantity_ml=volume_ml, value_minor=volume_ml * 17290 // 100_000,
        decided_by="host", authorization="A1", authorized_at=NOW, ended_at=NOW, end="nozzle",
        total_start_ml=start_ml, total_end_ml=start_ml + volume_ml, clock="trusted", list_version=1,
    )  # fmt: skip
    return replace(good, **changes)  # type: ignore[arg-type]


class Book:
    """A ledger that facts are written into."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ledger = Ledger(path)

    def write(self, *facts: Record, messages: tuple[Booking, ...] = ()) -> Book:
        """One commit."""
        self.ledger.commit(Stamp(NOW, "trusted"), list(facts), [QueuedMessage(one.key, msgspec.json.encode(one)) for one in messages])
        return self

    def report(self) -> Report:
        """What ``terminal verify`` says of it."""
        self.ledger.close()
        found = verify(self.path)
        self.ledger = Ledger(self.path)
        return found

    def nozzle(self) -> NozzleBook:
        """The one nozzle's book, of a ledger without a finding."""
        found = self.report()
        assert found.findings == ()
        (book,) = found.nozzles
        return book


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = Book(tmp_path / "ledger.db")
    yield book
    book.ledger.close()


def test_the_fuel_of_a_returned_sale_is_no_longer_without_one(book: Book) -> None:
    book.write(TotalRead(1, 1, 100_000), LOST, Unattributed(1, 1, 15_000, 100_000, 115_000), TotalRead(1, 1, 115_000))
    assert book.nozzle().unattributed_ml == 15_000
    book.write(sale(1))
    found = book.nozzle()
    assert (found.first_ml, found.now_ml, found.sales, found.sold_ml, found.unattributed_ml) == (100_000, 115_000, 1, 10_000, 5_000)


def test_a_sale_that_is_back_before_its_pump_is_read_comes_out_the_same(book: Book) -> None:
    book.write(TotalRead(1, 1, 100_000), LOST, sale(1))
    assert book.nozzle().unattributed_ml == -10_000
    book.write(Unattributed(1, 1, 15_000, 100_000, 115_000), TotalRead(1, 1, 115_000))
    assert book.nozzle().unattributed_ml == 5_000


def test_a_nozzle_that_was_never_read_before_the_loss_begins_where_the_sale_began(book: Book) -> None:
    book.write(LOST, sale(1))
    found = book.nozzle()
    assert (found.first_ml, found.now_ml, found.unattributed_ml) == (100_000, 110_000, 0)
    assert recover(book.ledger, "OPT1", "b").totals == {(1, 1): 110_000}, "the next reading is compared with it"
    book.write(Unattributed(1, 1, 1_000, 110_000, 111_000), TotalRead(1, 1, 111_000))
    assert book.nozzle().unattributed_ml == 1_000


def test_a_nozzle_that_was_read_first_behind_the_loss_begins_earlier_with_the_sale(book: Book) -> None:
    book.write(LOST, TotalRead(1, 1, 112_000), sale(1), sale(2, 1_500, 110_000))
    found = book.nozzle()
    assert (found.first_ml, found.now_ml, found.sold_ml, found.unattributed_ml) == (100_000, 112_000, 11_500, 500)


def test_a_sale_whose_totaliser_moved_otherwise_than_its_record_keeps_the_books_even(book: Book) -> None:
    """As of a sale that was settled by a person: no totaliser at its end; and of one whose two witnesses differ."""
    book.write(TotalRead(1, 1, 100_000), LOST, Unattributed(1, 1, 22_000, 100_000, 122_000), TotalRead(1, 1, 122_000))
    book.write(sale(1, total_end_ml=None), sale(2, 11_000, 110_000, total_end_ml=122_000))
    found = book.nozzle()
    assert (found.sold_ml, found.unattributed_ml) == (21_000, 0)


def test_an_empty_sale_touches_no_nozzle(book: Book) -> None:
    book.write(LOST, sale(1, 0, nozzle=None, product=None, price=None, total_start_ml=None, total_end_ml=None))
    assert book.report().findings == ()
    assert book.ledger.connection.execute("SELECT state FROM sale").fetchone() == ("zero",)
    assert recover(book.ledger, "OPT1", "b").uses == []


def test_a_returned_sale_counts_is_found_again_and_takes_corrections(book: Book) -> None:
    book.write(LOST, sale(3), SaleCorrected(0, "K1", SaleId("OPT1-1-3"), "refund", 2_500, 432, None, None, (), "", NOW))
    assert book.report().findings == ()
    found = recover(book.ledger, "OPT1", "b")
    assert [(use.sale, use.quantity_ml, use.customer) for use in found.uses] == [("OPT1-1-3", 7_500, "C1")]
    assert (found.minting.epoch, found.minting.next_sequence, found.unanswered, found.open_sales) == (2, FIRST, [], [])
    use = LedgerPast(book.ledger.connection).use("OPT1-1-3")
    assert use is not None
    assert use.quantity_ml == 7_500


def test_one_that_was_found_at_the_pump_waits_for_the_host_and_is_booked_by_its_answer(book: Book) -> None:
    fact = sale(1, found=True)
    book.write(TotalRead(1, 1, 100_000), LOST, Unattributed(1, 1, 10_000, 100_000, 110_000), TotalRead(1, 1, 110_000))
    book.write(fact, messages=(booking_of(fact),))
    assert book.nozzle().unattributed_ml == 0
    assert book.ledger.connection.execute("SELECT state FROM sale").fetchone() == ("delivered",)
    assert rebooked(book.ledger.connection, 1) == booking_of(fact)
    book.write(MessageAcknowledged(MessageKey("OPT1-1-1/complete"), "accepted"))
    assert book.nozzle().sold_ml == 10_000
    assert book.ledger.connection.execute("SELECT state FROM sale").fetchone() == ("booked",)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ((sale(1, sale=SaleId("OPT1-1-2")),), "has the epoch 1 and the sequence 1"),
        ((sale(1, found=True),), "neither queued nor acknowledged"),
    ],
)
def test_what_cannot_have_come_back_is_an_error(book: Book, facts: tuple[Record, ...], words: str) -> None:
    book.write(LOST, *facts)
    report = book.report()
    assert not report.sound
    assert any(words in finding.what for finding in report.findings)


def test_numbers_may_be_left_out_among_what_came_back_and_nowhere_else(book: Book) -> None:
    book.write(LOST, sale(1), sale(4, start_ml=110_000))
    assert book.report().findings == ()
    with book.ledger.connection as db:
        db.execute("UPDATE sale SET ended_row = NULL WHERE sequence = 4")
    assert any("without holes" in finding.what for finding in book.report().findings)


def test_a_decision_of_a_returned_sale_is_said_to_be_lost(book: Book) -> None:
    book.write(LOST, sale(1))
    book.ledger.close()
    with pytest.raises(NotFound, match="came back from the host"):
        by_sale(book.path, "OPT1-1-1")
    book.ledger = Ledger(book.path)


# --- what is to be asked, and what came of it ------------------------------------------------------------------------------------------


def test_the_search_goes_on_where_the_ledger_is(book: Book) -> None:
    db = book.ledger.connection
    assert (returned.missing(db), returned.epoch_begins(db)) == (None, 1)
    book.write(replace(LOST, epoch=3, first=2_000_001))
    assert (returned.missing(db), returned.epoch_begins(db)) == (Missing(1, 0, 3, 2_000_001), 2_000_001)
    book.write(sale(4))
    assert returned.missing(db) == Missing(1, 4, 3, 2_000_001)
    book.write(ReturnSettled(1, 3, 1, 10_000, 3, 1, (), 0))
    assert returned.missing(db) == Missing(2, 0, 3, 2_000_001)
    book.write(sale(1_000_003, epoch=2, sale=SaleId("OPT1-2-1000003"), start_ml=110_000))
    assert returned.missing(db) == Missing(2, 1_000_003, 3, 2_000_001)
    assert book.report().findings == (), "more may come, and the pump be read"
    book.write(ReturnSettled(2, 3, 1, 10_000, 0, 0, (), 0))
    assert returned.missing(book.ledger.connection) is None
    (warning,) = book.report().findings
    assert warning.severity is Severity.WARNING
    assert warning.what == "sales have 10.000 l more than its totaliser moved, as far as it was read"
    book.write(replace(LOST, epoch=4, first=3_000_001))
    assert returned.missing(book.ledger.connection) == Missing(3, 0, 4, 3_000_001), "lost once more"


def test_a_second_loss_forgets_nothing_of_the_first(book: Book) -> None:
    """The host's pages have failed meanwhile, and it went on deciding."""
    book.write(LOST, sale(1), sale(2, start_ml=110_000))
    book.write(sale(1_000_001, sale=SaleId("OPT1-2-1000001"), epoch=2, start_ml=120_000))
    book.write(LedgerRestored("again", 9, True, 3, 2_000_001))
    assert returned.missing(book.ledger.connection) == Missing(1, 2, 3, 2_000_001)


def test_a_number_is_taken_in_whatever_epoch(book: Book) -> None:
    """Programs of before began the new epoch right behind the last number."""
    past = LedgerPast(book.write(LOST, sale(11)).ledger.connection)
    assert past.use(SaleId("OPT1-2-11")) is None
    assert (past.number_taken(11), past.number_taken(12)) == (True, False)


def test_a_time_of_long_ago_hides_no_other_sale_from_the_limits(book: Book) -> None:
    book.write(LOST, sale(1), sale(2, start_ml=110_000), sale(3, start_ml=120_000, authorized_at=UtcMs(5_000)))
    assert {use.sale for use in recover(book.ledger, "OPT1", "b").uses} == {"OPT1-1-1", "OPT1-1-2"}


def test_a_totaliser_that_was_read_first_behind_the_loss_tells_nothing_of_it(book: Book) -> None:
    book.write(TotalRead(1, 2, 50_000), LOST, TotalRead(1, 1, 160_000), Unattributed(1, 2, 7_000, 50_000, 57_000), TotalRead(1, 2, 57_000))
    asked = returned.missing(book.ledger.connection)
    assert asked is not None
    assert returned.outcome(book.ledger.connection, asked).unsure == {(1, 1)}


def test_a_restoration_without_a_loss_asks_nothing(book: Book) -> None:
    book.write(LedgerRestored("bits of its log were flipped", 3, False, 1, 5))
    assert returned.missing(book.ledger.connection) is None


@pytest.mark.parametrize(("restored", "exact"), [(LOST, True), (TOLD, False)])
def test_the_outcome_is_of_what_was_written_since(book: Book, restored: LedgerRestored, exact: bool) -> None:
    """Behind a loss that was found here; and since the last start, behind one that the host told of."""
    old = (Unattributed(1, 1, 77, 0, 77), FaultRaised("UNATTRIBUTED_DELIVERY", "fp 9 nozzle 9", ""), TerminalStarted("b", "1"))
    fuel = (Unattributed(1, 1, 12_000, 100_000, 112_000), FaultRaised("UNATTRIBUTED_DELIVERY", "fp 1 nozzle 1", "12000 ml"))
    book.write(*old, *((restored, *fuel) if exact else (*fuel, restored)))
    book.write(sale(5), sale(7, 500, 110_000))
    asked = returned.missing(book.ledger.connection)
    assert asked is not None
    found = returned.outcome(book.ledger.connection, asked)
    assert (found.kept, found.numbers, found.quantity_ml, found.exact) == (0, (5, 7), 10_500, exact)
    assert (found.unexplained, found.ends, found.raised) == ({(1, 1): 1_500}, {(1, 1): 112_000}, frozenset({"fp 1 nozzle 1"}))
