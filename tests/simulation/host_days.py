"""What the host's office does during the day, right and wrong: lists that are published, spoilt and made anew, sales that are corrected or
lost, places that are closed, and a clock that lies.

Every episode ends by itself; ``whole`` ends all of them. A scenario's limits stay as they are: ``limits`` counts against them at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import Protocol
from zoneinfo import ZoneInfo

from hal_sim.host.list_shelf import FAULTS
from terminal.core.sale import SaleState
from tests.virtual.forecourt import Forecourt

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
LONGEST_NIGHT_MS = 2 * HOUR_MS  # hours in which nothing happens cost more than they find
CLOCKS_MS = (-26 * HOUR_MS, -2 * HOUR_MS, -60_000, 90_000, 2 * HOUR_MS, 26 * HOUR_MS, -50 * 365 * 24 * HOUR_MS)
"""How far the host's clock may be off; the last one is before 2000, where no answer of the host can be believed."""

Episode = Callable[[Random], None]


class Office(Protocol):
    """What the office works on."""

    @property
    def forecourt(self) -> Forecourt:
        """The station, its host among it."""

    def note_fault(self, subject: str, what: str, kind: str = "") -> None:
        """For the trace; ``kind`` for the tally."""


class HostDays:
    """The office. ``later(low_ms, high_ms, action)`` runs something when its time comes, unless everything is whole by then."""

    def __init__(self, office: Office, later: Callable[[int, int, Callable[[], None]], None]) -> None:
        self._office = office
        self._later = later
        self._epochs = 1
        self._closed: set[tuple[str, str]] = set()
        self.lost: list[str] = []

    def publish(self, rng: Random) -> None:
        """The lists as they are now; now and then somebody's PIN is unlocked with them, or a card's status is in them and nowhere else."""
        book, cards = self._office.forecourt.book, self._office.forecourt.scenario["cards"]
        card = rng.choice(cards)
        what = rng.randrange(3)
        if what == 0:
            book.unlock_pin(card["number"])
        elif what == 1 and len(cards) > 1:
            self._set_active(card["number"], rng.randrange(3) > 0)
        book.publish()
        self._office.note_fault("host", f"publishes lists {book.list_epoch}/{book.list_version}", "office: lists published")

    def _set_active(self, number: str, active: bool) -> None:
        book = self._office.forecourt.book
        book._world.cards[book.token_of(number)].active = active

    def spoil(self, rng: Random) -> None:
        """The lists are wrong in one way for a while."""
        book, fault = self._office.forecourt.book, rng.choice(sorted(FAULTS))
        book.shelf.spoil(fault)
        book.publish()
        self._office.note_fault("host", f"its lists are spoilt: {fault}", "office: lists spoilt")
        self._later(5_000, 400_000, self._unspoil)

    def _unspoil(self) -> None:
        book = self._office.forecourt.book
        book.shelf.spoil("")
        book.publish()
        self._office.note_fault("host", "its lists are right again")

    def rebuild(self, rng: Random) -> None:
        """The host restored its data: another epoch, from version 1 on."""
        self._epochs += 1
        self._office.forecourt.book.restart_lists(f"r{self._epochs}")
        self._office.note_fault("host", f"begins list epoch r{self._epochs}", "office: new list epoch")

    def correct(self, rng: Random) -> None:
        """A booked sale is cancelled, refunded in part or moved to another card; now and then something that cannot be."""
        court = self._office.forecourt
        booked = [record["sale"] for record in court.book.sales() if not court.book.counted(record["sale"]).cancelled]
        if not booked:
            return
        sale, kind = rng.choice(booked), rng.choice(["cancel", "refund", "refund", "amend", "amend", "wrong"])
        counted = court.book.counted(sale)
        if kind == "wrong":
            court.book.correct("OPT1-1-99999", "cancel", checked=False)
        elif kind == "refund":
            part = rng.randint(0, 10)
            quantity, value = counted.quantity_ml * part // 10, counted.value_minor * part // 10
            court.book.correct(sale, kind, quantity_ml=quantity, value_minor=value)
        elif kind == "amend":
            prompts = {"ODOMETER": str(rng.randint(1, 999_999))}
            card = rng.choice(court.scenario["cards"])["number"] if rng.randrange(2) else None
            court.book.correct(sale, kind, card=card, prompts=prompts)
        else:
            court.book.correct(sale, kind)
        self._office.note_fault("host", f"corrects {sale}: {kind}", f"office: correction, {kind}")

    def close(self, rng: Random) -> None:
        """The site, a product or a fuelling point is closed for a while."""
        points = self._office.forecourt.scenario["fuelling_points"]
        awaited = self._awaited()
        row = rng.choice([row for row in points if row["fp"] in awaited] or points) if rng.randrange(2) else rng.choice(points)
        place = rng.choice([("site", ""), ("product", row["product"]), ("fuelling_point", str(row["fp"]))])
        self._closed.add(place)
        self._office.forecourt.book.close(*place, "a tanker delivers")
        self._office.note_fault("host", f"closes {' '.join(place)}", f"office: {place[0].replace('_', ' ')} closed")
        self._later(2_000, 60_000, lambda: self._open(place))

    def reprice(self, rng: Random) -> None:
        """Another price for a product, at once or in a while; it may come while somebody fuels."""
        court = self._office.forecourt
        row = rng.choice(court.scenario["fuelling_points"])
        price = row["price"] + 10 * rng.randint(-40, 40)
        starts_at = court.utc_ms() + rng.randint(1_000, 120_000) if rng.randrange(3) == 0 else None
        court.book.change_price(row["product"], price, starts_at_ms=starts_at)
        self._office.note_fault("host", f"{row['product']} costs {price}{', soon' * (starts_at is not None)}", "office: price changed")

    def _awaited(self) -> set[int]:
        """Fuelling points at which somebody is about to lift a nozzle: a closing is hardest there."""
        engine = self._office.forecourt.terminal.engine
        sales = () if engine is None else engine.site.desk.sales.values()
        return {one.fp for one in sales if one.state is SaleState.AUTHORIZED}

    def _open(self, place: tuple[str, str]) -> None:
        if place in self._closed:
            self._closed.discard(place)
            self._office.forecourt.book.open(*place)
            self._office.note_fault("host", f"opens {' '.join(place)}")

    def lose(self, rng: Random) -> None:
        """The host loses a record that it had acknowledged, of a batch that is not closed yet."""
        court = self._office.forecourt
        engine = court.terminal.engine
        if engine is None or (self._to_midnight_ms() > LONGEST_NIGHT_MS and rng.randrange(20)):
            return
        first = engine.site.batches.first
        booked = [record["sale"] for record in court.book.records() if record["sequence"] >= first]
        if booked:
            self.lost.append(rng.choice(booked))
            court.book.lose(self.lost[-1])
            self._office.note_fault("host", f"loses its record of {self.lost[-1]}", "host: record lost that it had acknowledged")

    def _to_midnight_ms(self) -> int:
        """How long the host must wait for the sums that tell it what it lost."""
        court = self._office.forecourt
        local = datetime.fromtimestamp(court.utc_ms() / 1000, ZoneInfo(court.zone))
        return DAY_MS - ((local.hour * 60 + local.minute) * 60 + local.second) * 1000

    def lie(self, rng: Random) -> None:
        """The host's clock is wrong for a while."""
        off = rng.choice(CLOCKS_MS)
        self._set_clock(off)
        self._later(1_000, 300_000, lambda: self._set_clock(0))

    def _set_clock(self, off_ms: int) -> None:
        self._office.forecourt.host_clock_off_ms = off_ms
        told = f"its clock is off by {off_ms // 1000} s" if off_ms else "its clock is right"
        self._office.note_fault("host", told, ("clock: host ahead" if off_ms > 0 else "clock: host behind") if off_ms else "")

    def whole(self) -> None:
        """Clock and lists as they should be."""
        self._office.forecourt.host_clock_off_ms = 0
        for place in sorted(self._closed):
            self._open(place)
        book = self._office.forecourt.book
        book.shelf.spoil("")
        for card in self._office.forecourt.scenario["cards"]:
            self._set_active(card["number"], card["status"] == "active")
        book.publish(confirm_shrink=True)
