"""A fuelling point with AZT electronics: transaction numbers, doses, prices and kept fills of its own for every nozzle.

Source: the project's protocol fact sheet 3.4-3.8 and ``firmware_notes/azt.md``; what they leave open is marked "assumed" there. It is
the same hydraulics as any ``Head``; one nozzle delivers at a time. On the wire every nozzle is a pump with an address of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hal_sim.dispensers.head import Change, Head, HeadOptions, HeadState
from hal_sim.dispensers.hydraulics import amount_of, volume_within

MAX_DOSE_ML = 990_000
"""No dose is larger, whatever the money (fact sheet 3.5)."""
NO_FLOW_MS = 180_000
"""Stop after so long without flow; the longest that the parameter allows (fact sheet 3.5)."""
FULL_TANK_MS = 30_000


@dataclass(frozen=True, slots=True)
class Record:
    """The full-data register of one nozzle. ``over``: more than the dose, or fuel that nobody released."""

    volume_ml: int = 0
    price: int = 0
    over: bool = False

    def amount_minor(self, currency_decimals: int) -> int:
        """What it costs, rounded half up."""
        return amount_of(self.volume_ml, self.price, currency_decimals)


class AztHead(Head):
    """Public attributes may be read at will.

    Other makes, for tests: ``forgets_record``, a power cut loses the last fill; ``runs_without_dose``; ``confirms_itself``, hanging up a
    finished fill needs no confirmation; ``starts_with_flow``, the lift alone starts nothing; ``hang_up_drops_release``, also one that
    has not started.

    ``transactions`` by nozzle: one more with each authorization and price change, never reset but by an exchange.
    ``dose_entered``: the nozzle whose dose a person has typed at the pump (state 8).
    """

    def __init__(
        self,
        nozzles: Mapping[int, str],
        prices: Mapping[int, int] | None = None,
        *,
        state: HeadState | None = None,
        totals_ml: Mapping[int, int] | None = None,
        options: HeadOptions | None = None,
    ) -> None:
        """See ``Head``; without a price it rests all the same, but cannot be authorized."""
        kept = replace(options if options is not None else HeadOptions(), reset_clears_fill=False)
        super().__init__(nozzles, prices, state=state or HeadState.RESET, totals_ml=totals_ml, options=kept)
        self.transactions = dict.fromkeys(self.nozzles, 0)
        self.forgets_record = self.runs_without_dose = False
        self.confirms_itself = self.starts_with_flow = self.hang_up_drops_release = False
        self.no_flow_ms, self.full_tank_ms = NO_FLOW_MS, FULL_TANK_MS
        self.dose_entered: int | None = None
        self.fill_nozzle = self.last_nozzle
        self._records = dict.fromkeys(self.nozzles, Record())
        self._over = False
        self._full_tank = False
        self._topping_up: int | None = None
        self._last_dose: dict[int, tuple[int | None, int | None]] = {}
        self._idle_since = 0

    # reading

    def record(self, nozzle: int, now: int) -> Record:
        """The running or kept fill of this nozzle. Raises ``KeyError`` for a nozzle that is not there."""
        kept = self._records[nozzle]
        if nozzle == self.fill_nozzle:
            kept = Record(self.fill_ml(now), self._fill_price, self._over)
        return kept if kept.price else replace(kept, price=self.prices.get(nozzle, 0))

    def dose_ml(self, nozzle: int) -> int | None:
        """The dose that waits for this nozzle; of a dose in money the volume that is within it at this price."""
        if not self._is_for(nozzle):
            return None
        price = self.prices.get(nozzle, 0)
        if self.preset_amount_minor is None or not price:
            return self.preset_volume_ml
        most = volume_within(self.preset_amount_minor, price, self.options.currency_decimals)
        return min(most // self.options.pulse_ml * self.options.pulse_ml, MAX_DOSE_ML)

    def next_change(self) -> int | None:
        """See ``Head``; also the instant at which a fill without flow ends."""
        return self._flow_ends_ms if self._flow is not None else self._idle_ends()

    def advance(self, now: int) -> None:
        """See ``Head``."""
        super().advance(now)
        ends = self._idle_ends()
        if ends is not None and ends <= now:
            self._complete(ends)

    # the line's commands: True when carried out

    def authorize_nozzle(self, nozzle: int, now: int) -> bool:
        """Release one nozzle with the dose that waits for it. Needs rest, a price and a dose."""
        self.advance(now)
        if self.state is not HeadState.RESET or self.acks_and_does_nothing or self.emergency or not self.prices.get(nozzle):
            return False
        if not self._is_for(nozzle):
            self.preset_volume_ml = self.preset_amount_minor = None
            self._full_tank = False
        if self.preset == (None, None) and not self.runs_without_dose:
            return False
        self.allowed = frozenset((nozzle,))
        if self._topping_up != nozzle:
            self._records[self.fill_nozzle] = self.record(self.fill_nozzle, now)
            self._fill_ml = self._fill_price = 0
        self.fill_nozzle = nozzle
        self._over, self._topping_up, self.dose_entered = False, None, None
        self._last_dose[nozzle] = self.preset
        self.transactions[nozzle] += 1
        self._enter(HeadState.AUTHORIZED, now)
        self._start(now)
        return True

    def authorize(self, now: int) -> bool:
        """Release the nozzle that the dose waits for, or else the last one used."""
        (nozzle,) = self.allowed or {self.last_nozzle}
        return self.authorize_nozzle(nozzle, now)

    def start_anyway(self, now: int) -> bool:
        """Start a release whether the nozzle is in hand or not. Accepted in AUTHORIZED."""
        self.advance(now)
        if self.state is not HeadState.AUTHORIZED:
            return False
        self._enter(HeadState.FILLING, now)
        return True

    def set_dose(self, nozzle: int, volume_ml: int | None, amount_minor: int | None, now: int, *, full_tank: bool = False) -> bool:
        """Dose of the next release of this nozzle, in place of any other. Accepted at rest."""
        self.advance(now)
        if self.state is not HeadState.RESET:
            return False
        self.preset_volume_ml, self.preset_amount_minor = volume_ml, amount_minor
        self.allowed = frozenset((nozzle,))
        self._full_tank, self._topping_up, self.dose_entered = full_tank, None, None
        return True

    def top_up(self, nozzle: int, now: int) -> bool:
        """The next release goes on with the last fill of this nozzle up to its dose. Accepted at rest, while some of it is left."""
        self.advance(now)
        dose = self._last_dose.get(nozzle, (None, None))
        if self.state is not HeadState.RESET or nozzle != self.fill_nozzle or dose == (None, None):
            return False
        self.preset_volume_ml, self.preset_amount_minor = dose
        limit = self._limit_ml()
        if limit is None or limit <= self._fill_ml or not self._fill_ml:
            self._forget_release()
            return False
        self.allowed, self._topping_up = frozenset((nozzle,)), nozzle
        return True

    def drop_dose(self, now: int) -> None:
        """The dose that a person typed in is given up."""
        self.advance(now)
        self.dose_entered = None
        self._forget_release()

    def set_price(self, nozzle: int, price: int, now: int) -> bool:
        """Price of one nozzle; erases its kept fill. Accepted at rest."""
        self.advance(now)
        if self.state is not HeadState.RESET:
            return False
        if not self.keeps_prices:
            self.price_at_head(nozzle, price, now)
        return True

    def price_at_head(self, nozzle: int, price: int, now: int) -> None:
        """By the line or by a hand: the register of that nozzle is erased and its transaction number grows."""
        super().price_at_head(nozzle, price, now)
        self.transactions[nozzle] += 1
        self._erase(nozzle)

    def set_slow_down(self, volume_ml: int) -> None:
        """The last so much of a dose flows slowly."""
        self.options = replace(self.options, slow_ml=volume_ml)

    # people and mishaps

    def enter_dose(self, nozzle: int, volume_ml: int, now: int) -> None:
        """A person types a dose at the pump. Raises ``ValueError`` where the pump is not at rest."""
        if volume_ml <= 0 or not self.powered or not self.set_dose(nozzle, volume_ml, None, now):
            raise ValueError("a dose above 0 is entered at a resting pump")
        self.dose_entered = nozzle
        self._tell(Change.STATE, now)

    def hang_up(self, now: int) -> None:
        """See ``Head``."""
        super().hang_up(now)
        if self.confirms_itself and self.powered and self.state is HeadState.COMPLETED:
            self.reset(now)

    def lift(self, nozzle: int, now: int) -> None:
        """See ``Head``; the released nozzle starts its motor."""
        super().lift(nozzle, now)
        self._start(now)

    def dispense_locally(self, nozzle: int, volume_ml: int, now: int) -> None:
        """Fuel leaves without a release: the head reports a finished fill of it (4+1). Raises ``KeyError``, ``ValueError``."""
        super().dispense_locally(nozzle, volume_ml, now)
        if self.state is HeadState.AUTHORIZED and nozzle == self.fill_nozzle:
            self._complete(now)
        pending = self.state in (HeadState.COMPLETED, HeadState.LIMIT_REACHED) and nozzle == self.fill_nozzle
        if self.state is HeadState.RESET or pending:
            if not pending:
                self._records[self.fill_nozzle] = self.record(self.fill_nozzle, now)
                self._fill_ml, self._fill_price, self.fill_nozzle = 0, 0, nozzle
            self._fill_ml += volume_ml
            self._fill_price = self._fill_price or self.prices.get(nozzle, 0)
            self._over = True
            self._forget_dose()
            self.state = HeadState.COMPLETED
            self._tell(Change.STATE, now)

    def power_on(self, now: int) -> None:
        """See ``Head``; a head that forgets comes back at rest without a fill."""
        if not self.powered and self.forgets_record:
            for nozzle in self.nozzles:
                self._erase(nozzle)
            self._over = False
            self.state = HeadState.RESET
        super().power_on(now)

    def exchange(self, now: int) -> None:
        """See ``Head``; also no transactions and no doses."""
        super().exchange(now)
        self.transactions = dict.fromkeys(self.nozzles, 0)
        for nozzle in self.nozzles:
            self._erase(nozzle)
        self._over = False
        self._forget_dose()
        self._enter(HeadState.RESET, now)

    # inside

    def _is_for(self, nozzle: int) -> bool:
        return self.allowed is not None and set(self.allowed) == {nozzle}

    def _limit_ml(self) -> int | None:
        limit = super()._limit_ml()
        return MAX_DOSE_ML if limit is None else min(limit, MAX_DOSE_ML)

    def _start(self, now: int) -> None:
        if self.state is HeadState.AUTHORIZED and self._nozzle_may_flow() and not self.starts_with_flow:
            self._enter(HeadState.FILLING, now)
            self._open_valve(now)

    def _idle_ends(self) -> int | None:
        if self.state is not HeadState.FILLING or self._flow is not None:
            return None
        return self._idle_since + (self.full_tank_ms if self._full_tank and self._fill_ml else self.no_flow_ms)

    def _ends_at_hang_up(self) -> bool:
        if self.state is HeadState.AUTHORIZED and not self.hang_up_drops_release:
            return False  # not started: it may also be another nozzle that goes back
        return super()._ends_at_hang_up()

    def _enter(self, state: HeadState, at: int) -> None:
        if state is HeadState.FILLING is not self.state:
            self._idle_since = at
        super()._enter(state, at)

    def _close_valve(self, at: int) -> None:
        if self._flow is not None:
            self._idle_since = at
        super()._close_valve(at)

    def _forget_release(self) -> None:
        limit = self._limit_ml()
        if self._released():
            self._over = limit is not None and self._fill_ml // 10 > limit // 10
        self._forget_dose()

    def _forget_dose(self) -> None:
        super()._forget_release()
        self._full_tank, self._topping_up, self.dose_entered = False, None, None

    def _erase(self, nozzle: int) -> None:
        self._records[nozzle] = Record()
        self._last_dose.pop(nozzle, None)
        if nozzle == self.fill_nozzle:
            self._fill_ml = self._fill_price = 0
