"""Unit prices: which are in force at each nozzle, which the host has announced, and what may be announced at all.

The host's word has a version and a start. At its start a change is applied to each of its nozzles that has no later version, so nothing
ever goes back to an earlier word, whatever is repeated or comes late. Prices are 1/10000 of the major unit per litre, instants the
terminal's UTC milliseconds. Sources: features.md F38; reference dispenser-protocols 8, rules 4 and 6; firmware_notes/host-api.md, "Prices".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from terminal.core.card_data import Nozzle
from terminal.core.point_config import PointConfig
from terminal.core.price_records import NozzlePrice, PriceSet, PricesPlanned

FROM_CONFIGURATION = 0
"""The version of a price that was the configuration's: at the first start, or for a nozzle that sells something else now."""
PRICE_JUMP_PERCENT = 30
"""How far a price may move at once without being confirmed, where the configuration says nothing."""
MOST_PLANNED = 32
"""Changes that may wait for their starts at once; a host that plans more is wrong."""
FARTHEST_MS = 366 * 24 * 3_600_000
"""A start that lies further ahead than a year is a mistake of somebody."""


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One line of the host's word: a product everywhere, at one fuelling point, or at one nozzle of it. The narrowest line counts."""

    product: str
    price: int
    fp: int | None = None
    nozzle: int | None = None


@dataclass(frozen=True, slots=True)
class PricesPushed:
    """The host's word. ``starts_at`` None: at once. ``confirm_jump``: somebody has looked at how far these prices jump."""

    event: int
    version: int
    starts_at: int | None
    rows: tuple[PriceRow, ...]
    confirm_jump: bool = False
    why: str = ""


@dataclass(slots=True)
class PriceMemory:
    """What the ledger remembers of prices."""

    in_force: dict[tuple[int, int], PriceSet] = field(default_factory=dict)
    planned: list[PricesPlanned] = field(default_factory=list)
    newest: int = FROM_CONFIGURATION


class PricesRefused(ValueError):
    """A change that cannot be; the text is for the host's operator."""


Places = Mapping[int, PointConfig]


def digits_fit(price: int, decimals: int, digits: int) -> bool:
    """A head with so many decimals and digits can show it exactly. A price is never rounded."""
    unit: int = 10 ** (4 - decimals)
    return price % unit == 0 and price // unit < 10**digits


class PriceBook:
    """The prices in force and the announced changes, by version. Everything in it is in the ledger."""

    def __init__(
        self, in_force: Mapping[tuple[int, int], PriceSet], planned: Iterable[PricesPlanned], newest: int, jump_percent: int
    ) -> None:
        """``newest``: the highest version that was ever taken. ``jump_percent``: how far a price may move without being confirmed."""
        self.in_force = dict(in_force)
        self.planned = {change.version: change for change in planned}
        self.newest = newest
        self.jump_percent = jump_percent

    # --- the beginning --------------------------------------------------------------------------------------------------------

    def begin(self, point: PointConfig, now: int) -> tuple[PointConfig, list[PriceSet]]:
        """A point with the prices of the ledger; a nozzle that the ledger does not know with this product has the configuration's."""
        nozzles, new = [], []
        for nozzle in point.nozzles:
            known = self.in_force.get((point.number, nozzle.nozzle))
            if known is None or known.product != nozzle.product:
                known = PriceSet(point.number, nozzle.nozzle, nozzle.product, nozzle.price, FROM_CONFIGURATION, now)
                new.append(known)
                self.in_force[point.number, nozzle.nozzle] = known
            nozzles.append(replace(nozzle, price=known.price))
        return replace(point, nozzles=tuple(nozzles)), new

    # --- announced ------------------------------------------------------------------------------------------------------------

    def spread(self, word: PricesPushed, places: Places) -> tuple[NozzlePrice, ...]:
        """What a change says of each nozzle, in order. Raises ``PricesRefused`` for lines that say nothing here, or two things."""
        found: dict[tuple[int, int], tuple[int, NozzlePrice]] = {}
        for row in word.rows:
            self._take(row, places, found)
        return tuple(price for _, (_, price) in sorted(found.items()))

    def check(self, word: PricesPushed, prices: tuple[NozzlePrice, ...], places: Places, now: int | None) -> None:
        """Raises ``PricesRefused`` for a change that may not be. ``now`` None: the terminal does not know the time."""
        if word.starts_at is not None and now is not None and word.starts_at > now + FARTHEST_MS:
            raise PricesRefused("the start lies more than a year ahead")
        if len(self.planned) >= MOST_PLANNED:
            raise PricesRefused(f"{MOST_PLANNED} changes wait for their starts already")
        for price in prices:
            self._check(price, places[price.fp], confirmed=word.confirm_jump)

    @staticmethod
    def _take(row: PriceRow, places: Places, found: dict[tuple[int, int], tuple[int, NozzlePrice]]) -> None:
        """Spread a line over its nozzles."""
        where = f"product {row.product!r}" + (f" at fuelling point {row.fp}" if row.fp is not None else "")
        where += f" nozzle {row.nozzle}" if row.nozzle is not None else ""
        if row.nozzle is not None and row.fp is None:
            raise PricesRefused(f"{where}: a nozzle without its fuelling point")
        narrow = (row.fp is not None) + (row.nozzle is not None)
        matched = False
        for number, point in places.items():
            for nozzle in point.nozzles:
                if row.fp in (None, number) and row.nozzle in (None, nozzle.nozzle) and nozzle.product == row.product:
                    matched = True
                    width, told = found.get((number, nozzle.nozzle), (-1, None))
                    if width == narrow and told is not None and told.price != row.price:
                        raise PricesRefused(f"{where}: two prices for fuelling point {number} nozzle {nozzle.nozzle}")
                    if narrow > width:
                        found[number, nozzle.nozzle] = narrow, NozzlePrice(number, nozzle.nozzle, row.product, row.price)
        if not matched:
            raise PricesRefused(f"{where}: not sold there")

    def _check(self, price: NozzlePrice, point: PointConfig, *, confirmed: bool) -> None:
        where = f"fuelling point {price.fp} nozzle {price.nozzle}"
        if price.price <= 0:
            raise PricesRefused(f"{where}: a price above 0 is expected")
        if not digits_fit(price.price, point.price_decimals, point.price_digits):
            raise PricesRefused(f"{where}: the head shows {point.price_digits} digits, {point.price_decimals} of them decimals")
        before = self._latest(price.fp, price.nozzle)
        if before and not confirmed and abs(price.price - before) * 100 > before * self.jump_percent:
            jump = f"from {_text(before)} to {_text(price.price)}"
            raise PricesRefused(f"{where}: {jump} is more than {self.jump_percent} %, and not confirmed")

    def _latest(self, fp: int, nozzle: int) -> int:
        """The newest word about a nozzle: what a further change is compared with. 0 when there is none."""
        known = self.in_force.get((fp, nozzle))
        version, price = (-1, 0) if known is None else (known.version, known.price)
        for change in self.planned.values():
            if change.version > version:
                told = next((one.price for one in change.prices if (one.fp, one.nozzle) == (fp, nozzle)), None)
                version, price = (version, price) if told is None else (change.version, told)
        return price

    def has_said(self, version: int, prices: tuple[NozzlePrice, ...]) -> int | None:
        """Since when a change is in force that comes once more under its version; None when that version said something else, or nothing
        that still holds.
        """
        since = None
        for price in prices:
            known = self.in_force.get((price.fp, price.nozzle))
            if known is None or known.version < version or (known.version == version and known.price != price.price):
                return None
            if known.version == version:
                since = max(since or 0, known.effective_at)
        return since

    # --- taking effect --------------------------------------------------------------------------------------------------------

    def started(self, now: int) -> list[PricesPlanned]:
        """Changes whose start has come, in the order of their versions."""
        return [change for _, change in sorted(self.planned.items()) if change.starts_at <= now]

    def next_start(self, now: int) -> int | None:
        """The next start that has not come yet."""
        return min((change.starts_at for change in self.planned.values() if change.starts_at > now), default=None)

    def outstanding(self, change: PricesPlanned, places: Places) -> list[NozzlePrice]:
        """Of a started change, the nozzles that have neither it nor a later word, and still sell that product."""
        found = []
        for price in change.prices:
            known = self.in_force.get((price.fp, price.nozzle))
            if known is not None and price.fp in places and known.product == price.product and known.version < change.version:
                found.append(price)
        return found

    def since(self, change: PricesPlanned) -> int | None:
        """When the last of its nozzles got it; None when none did."""
        places = [(price.fp, price.nozzle) for price in change.prices]
        had = [fact.effective_at for fact in map(self.in_force.get, places) if fact is not None and fact.version == change.version]
        return max(had, default=None)

    def put(self, price: NozzlePrice, version: int, now: int) -> PriceSet:
        """The nozzle has this price from now on."""
        fact = PriceSet(price.fp, price.nozzle, price.product, price.price, version, now)
        self.in_force[price.fp, price.nozzle] = fact
        return fact


def with_prices(point: PointConfig, prices: Mapping[int, int]) -> PointConfig:
    """The point with other prices at these nozzles."""
    return replace(point, nozzles=tuple(Nozzle(each.nozzle, each.product, prices.get(each.nozzle, each.price)) for each in point.nozzles))


def _text(price: int) -> str:
    return f"{price // 10_000}.{price % 10_000:04d}"
