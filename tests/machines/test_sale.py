"""The sale by itself: every move writes one fact, moves the account book with it, and happens once."""

from __future__ import annotations

import pytest

from terminal.core import sale as sales
from terminal.core.account_book import AccountBook
from terminal.core.clock import TerminalClock
from terminal.core.faults import FaultBook
from terminal.core.ids import SaleId
from terminal.core.internal_events import (
    EndCause,
    FillRecorded,
    NothingDelivered,
    NozzleTaken,
    ReversalDue,
    SaleAcknowledged,
    SaleDoubted,
    SaleGranted,
)
from terminal.core.records import Allowed, MediumRef, NozzleRef
from terminal.core.sale import Sale, SaleState
from terminal.core.step import Desk
from terminal.core.units import Instant
from tests.machines.site_kit import messages, names

ID = SaleId("T-1-1")
GRANT = SaleGranted(ID, "offline", None, (Allowed("GAZOLE", 50_000, 8_645, False, "WISH"), Allowed("SP95", 30_000, 9_999, True, "WISH")))
TAKEN = NozzleTaken(ID, 1, 100_000)
FILL = FillRecorded(ID, 20_000, 3_458, 120_000, EndCause.NOZZLE)
NOTHING = NothingDelivered(ID, EndCause.NOZZLE)
REVERSAL = ReversalDue(ID, "TIMED_OUT")
DOUBT = SaleDoubted(ID, "no record")
BOOKED = SaleAcknowledged(ID)
EVERY = (GRANT, TAKEN, FILL, NOTHING, REVERSAL, DOUBT, BOOKED)


def reserved() -> Sale:
    desk = Desk(AccountBook(), TerminalClock(), FaultBook())
    sale = Sale(
        id=ID, epoch=1, sequence=1, side=1, fp=1, card=MediumRef("t", "1234", "badge", "T0"), account="a", customer="C1",
        pin_verified=False, prompts=(), nozzles=(NozzleRef(1, "GAZOLE", 17290), NozzleRef(2, "SP95", 18590)), wish_ml=None, wish_minor=None,
        asked_host=True, authorized_at=0, list_version=1, hold_ml=990_000, hold_minor=171_171, hold_products=("GAZOLE", "SP95"),
    )  # fmt: skip
    sale.reserve(desk)
    return sale


def after(*events: object) -> tuple[Sale, list[str]]:
    """The sale after these events, and what the last one wrote."""
    sale = reserved()
    for event in events:
        sale.desk.take()
        sales.GRID.fire(sale, event, Instant(0))
    return sale, names(sale.desk.effects)


@pytest.mark.parametrize(
    ("events", "state", "wrote"),
    [
        ((GRANT,), SaleState.AUTHORIZED, ["SaleAuthorized"]),
        ((REVERSAL,), SaleState.RESERVED, ["ReversalQueued", "reverse"]),
        ((NOTHING,), SaleState.ZERO, ["SaleEnded", "advice"]),
        ((REVERSAL, NOTHING), SaleState.REVERSED, ["SaleEnded", "advice"]),
        ((REVERSAL, GRANT, NOTHING), SaleState.REVERSED, ["SaleEnded", "advice"]),
        ((GRANT, TAKEN), SaleState.DELIVERING, ["SaleReleased"]),
        ((GRANT, TAKEN, FILL), SaleState.DELIVERED, ["SaleDelivered", "advice"]),
        ((GRANT, TAKEN, NOTHING), SaleState.ZERO, ["SaleEnded", "advice"]),
        ((GRANT, TAKEN, DOUBT), SaleState.IN_DOUBT, ["SaleInDoubt"]),
        ((GRANT, TAKEN, DOUBT, FILL), SaleState.DELIVERED, ["SaleDelivered", "advice"]),
        ((GRANT, TAKEN, FILL, BOOKED), SaleState.BOOKED, []),
        ((GRANT, TAKEN, FILL, FILL), SaleState.DELIVERED, []),
        ((GRANT, TAKEN, FILL, NOTHING), SaleState.DELIVERED, []),
        ((GRANT, TAKEN, TAKEN), SaleState.DELIVERING, []),
        ((GRANT, GRANT), SaleState.AUTHORIZED, []),
        ((DOUBT,), SaleState.IN_DOUBT, ["SaleInDoubt"]),
        ((GRANT, DOUBT), SaleState.IN_DOUBT, ["SaleInDoubt"]),
        ((TAKEN,), SaleState.RESERVED, []),
        ((FILL,), SaleState.RESERVED, []),
        ((BOOKED,), SaleState.RESERVED, []),
    ],
)
def test_moves(events: tuple[object, ...], state: SaleState, wrote: list[str]) -> None:
    sale, found = after(*events)
    assert (sale.state, found) == (state, wrote)


@pytest.mark.parametrize("end", [(GRANT, TAKEN, FILL), (NOTHING,), (REVERSAL, NOTHING), (GRANT, TAKEN, FILL, BOOKED)])
def test_after_the_end_nothing_is_written_whatever_comes(end: tuple[object, ...]) -> None:
    for event in EVERY:
        sale, wrote = after(*end, event)
        assert wrote == [], event
        assert sale.state in (SaleState.DELIVERED, SaleState.BOOKED, SaleState.ZERO, SaleState.REVERSED)


def test_a_host_approval_is_completed_and_an_offline_one_advised() -> None:
    host = SaleGranted(ID, "host", "auth", GRANT.allowed)
    sale, _ = after(host, TAKEN, FILL)
    assert messages(sale.desk.effects) == ["T-1-1/complete"]
    sale, _ = after(REVERSAL, GRANT, TAKEN, FILL)
    assert messages(sale.desk.effects) == ["T-1-1/advice"]


def test_the_hold_follows_every_move() -> None:
    holds = []
    for events in ((), (GRANT,), (GRANT, TAKEN), (GRANT, TAKEN, DOUBT)):
        sale, _ = after(*events)
        use = sale.desk.book.get(ID)
        assert use is not None
        holds.append((use.state.value, use.product, use.quantity_ml, use.value_minor))
    assert holds == [
        ("held", None, 990_000, 171_171),
        ("held", None, 50_000, 9_999),
        ("held", "GAZOLE", 50_000, 8_645),
        ("in_doubt", "GAZOLE", 50_000, 8_645),
    ]
    sale, _ = after(GRANT, TAKEN, FILL)
    use = sale.desk.book.get(ID)
    assert use is not None
    assert (use.state.value, use.quantity_ml, use.value_minor) == ("delivered", 20_000, 3_458)
    sale, _ = after(GRANT, NOTHING)
    assert sale.desk.book.get(ID) is None


def test_the_tighter_of_volume_and_money_is_the_preset() -> None:
    sale, _ = after(GRANT, TAKEN)
    assert (sale.preset_ml, sale.preset_minor) == (50_000, None)
    sale, _ = after(GRANT, NozzleTaken(ID, 2, 0))
    assert (sale.preset_ml, sale.preset_minor) == (None, 9_999)


def test_the_question_carries_the_reserved_facts_and_one_key() -> None:
    sale = reserved()
    one, two = sale.question(1_000, "trusted"), sale.question(9_000, "trusted")
    assert one.key == two.key == "T-1-1/authorize"
    assert (one.fp, one.card, one.nozzles) == (1, sale.card, sale.nozzles)
