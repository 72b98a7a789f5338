"""Hears the host's prices, writes them down, puts them in force nozzle by nozzle, and has each head told. (features.md F38.)

A nozzle changes its price between two sales: never while one is reserved, armed or runs at its fuelling point, so that the price a sale was
decided with is the one on the pump when it is released, and the one on its receipt. The start is by the terminal's own proven time; a
terminal that was off at the start puts the change in force when it comes up, one that does not know the time waits until it does. The host
is told when a change is in force at all its nozzles, with that instant; a change that cannot be is refused at once and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from terminal.core import events as ev
from terminal.core.clock import ClockState
from terminal.core.internal_events import PriceRefused
from terminal.core.price_records import NozzlePrice, PricesPlanned, PricesTaken
from terminal.core.prices import PriceBook, PriceMemory, PricesPushed, PricesRefused, with_prices
from terminal.core.sale import SaleState
from terminal.core.screens import Screen
from terminal.core.session import SessionState
from terminal.core.terminal_state import AnnouncedPrices, NozzlePriceReport, PricesState
from terminal.core.units import Instant

if TYPE_CHECKING:
    from terminal.core.point_config import PointConfig
    from terminal.core.site import Site

LOOK_MS = 3_600_000
"""The longest wait for a start: the host's time may move ours on meanwhile."""
_OPEN = (SaleState.RESERVED, SaleState.AUTHORIZED, SaleState.DELIVERING)
_QUIET = (SessionState.IDLE, SessionState.ARMED, SessionState.REFUSED)
"""States in which a side may tell a driver at a pump something, as for a wrong nozzle."""


class PriceDesk:
    """Owns the price book; every other part reads prices from the points' configurations, which are kept to it."""

    def __init__(self, site: Site, known: PriceMemory) -> None:
        self.site = site
        self.desk = site.desk
        self.book = PriceBook(known.in_force, known.planned, known.newest, site.config.price_jump_percent)
        self._armed: int | None = None  # the start that is waited for

    def routes(self) -> dict[type, Callable[[Any, Instant], None]]:
        """What is for this desk."""
        return {PricesPushed: self.heard, ev.PriceStartDue: self._start_due, PriceRefused: self._tell_driver}

    def begin(self, at: Instant) -> None:
        """At start, before anything is decided: the prices of the ledger; of a nozzle that it does not know, the configuration's."""
        for point in self.site.points.values():
            point.config, new = self.book.begin(point.config, self.desk.utc(at))
            for fact in new:
                self.desk.persist(fact)

    # --- the host's word ----------------------------------------------------------------------------------------------------------

    def heard(self, word: PricesPushed, at: Instant) -> None:
        """Understand it and write it down; it takes effect when its start has come, which may be in this step."""
        now, push = self.desk.utc(at), self.site.push
        waiting = self.book.planned.get(word.version)
        try:
            prices = self.book.spread(word, self._places())
            if word.version <= self.book.newest:
                self._again(word, prices, waiting)
                return
            timeless = self.desk.clock.state(at) is ClockState.UNTRUSTED
            self.book.check(word, prices, self._places(), None if timeless else now)
        except PricesRefused as error:
            push.passed(word.event, str(error), now, refused=True)
            return
        change = PricesPlanned(word.event, word.version, now if word.starts_at is None else word.starts_at, prices, word.why)
        self.desk.persist(change)
        self.book.planned[word.version] = change
        self.book.newest = word.version
        push.last_event = word.event

    def _again(self, word: PricesPushed, prices: tuple[NozzlePrice, ...], waiting: PricesPlanned | None) -> None:
        """A version that is not a new one. Raises ``PricesRefused`` when it says something that was never said under it."""
        if waiting is not None:
            if waiting.prices != prices or (word.starts_at is not None and word.starts_at != waiting.starts_at):
                raise PricesRefused(f"version {word.version} has said something else")
            if waiting.event != word.event:
                self.site.push.passed(word.event, f"announced by event {waiting.event}", waiting.starts_at)
            return  # the same event once more: it is acknowledged when it is in force
        since = self.book.has_said(word.version, prices)
        if since is None:
            raise PricesRefused(f"version {word.version} is not above {self.book.newest}")
        self.site.push.passed(word.event, "known", since)

    # --- in force -----------------------------------------------------------------------------------------------------------------

    def look(self, at: Instant) -> None:
        """At the end of each step: what has started is put in force wherever no sale is open."""
        if not self.book.planned:
            return
        now, places = self.desk.utc(at), self._places()
        started = self.book.started(now)
        busy = {sale.fp for sale in self.desk.sales.values() if sale.state in _OPEN}
        for change in reversed(started):
            self._put([price for price in self.book.outstanding(change, places) if price.fp not in busy], change.version, now)
        for change in started:
            if not self.book.outstanding(change, places):
                self._taken(change, now)
        self._arm(now)

    def _put(self, prices: list[NozzlePrice], version: int, now: int) -> None:
        for number in {price.fp: None for price in prices}:
            point = self.site.points[number]
            mine = {price.nozzle: price for price in prices if price.fp == number}
            for price in mine.values():
                self.desk.persist(self.book.put(price, version, now))
            point.config = with_prices(point.config, {nozzle: price.price for nozzle, price in mine.items()})
            point.prices.changed()

    def _taken(self, change: PricesPlanned, now: int) -> None:
        since = self.book.since(change)
        refused = None if since is not None else "a later version came before its start, or its nozzles sell something else now"
        effective_at = now if since is None else since
        del self.book.planned[change.version]
        self.desk.persist(PricesTaken(change.event, change.version, effective_at, refused))
        self.site.push.owe(change.event, effective_at, refused)

    def _start_due(self, event: ev.PriceStartDue, at: Instant) -> None:
        """The end of this very step looks."""
        self._armed = None

    def _arm(self, now: int) -> None:
        start = self.book.next_start(now)
        if start is not None and start != self._armed:  # an earlier one may be announced while a later one is waited for
            self._armed = start
            self.desk.start(ev.PriceStartDue(), min(start - now, LOOK_MS))

    def _places(self) -> dict[int, PointConfig]:
        return {number: point.config for number, point in self.site.points.items()}

    # --- told ---------------------------------------------------------------------------------------------------------------------

    def _tell_driver(self, event: PriceRefused, at: Instant) -> None:
        """The pump shows another price: its driver is told why nothing is released, unless this side serves somebody else."""
        sale = self.desk.sales.get(event.sale)
        if sale is None:
            return
        session = self.site.sessions[sale.side]
        if session.state in _QUIET:
            language = session.teller.language_of(self.site.lists.card(sale.card.token)) or session.home_language
            session.show(Screen.PRICE_DIFFERS, language, fp=event.fp)
            self.desk.start(ev.NoticeOver(session.side), session.times.notice_ms)

    def state(self) -> PricesState:
        """For the host: prices in force, what each head shows of them, and what is announced."""
        in_force = tuple(
            NozzlePriceReport(fp, nozzle, fact.product, fact.price, fact.version, fact.effective_at, self._shown(fp, nozzle))
            for (fp, nozzle), fact in sorted(self.book.in_force.items())
            if fp in self.site.points
        )
        planned = tuple(AnnouncedPrices(change.version, change.event, change.starts_at) for _, change in sorted(self.book.planned.items()))
        return PricesState(self.book.newest, in_force, planned)

    def _shown(self, fp: int, nozzle: int) -> int | None:
        return self.site.points[fp].prices.shown.get(nozzle)
