"""One fuelling point as a real dispenser: nozzles, valve, preset, meter and memory, without any line protocol.

States and what is accepted in them follow the protocol fact sheet 1.8 (see ``firmware_notes/dart.md``, State rules); the numbers are
DART's DC1 codes, the meaning is common to all heads. The head lives by the clock alone: each call first settles what happened up to
``now``. Instants are integer milliseconds and never go back; volumes are millilitres, prices 1/10000 of the major unit per litre,
amounts minor units.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hal_sim.dispensers.head_words import ALARM_EMERGENCY_STOP, ALARM_POWER_FAILURE, Change, HeadOptions, HeadState, Listener
from hal_sim.dispensers.hydraulics import Flow, amount_of, volume_within

__all__ = ["ALARM_EMERGENCY_STOP", "ALARM_POWER_FAILURE", "Change", "Head", "HeadOptions", "HeadState", "Listener"]


WRONG_BY_MINOR = 500


class Head:
    """A fuelling point. Public attributes may be read at will; only the methods change it.

    ``acks_and_does_nothing``, ``never_leaves_5`` and ``keeps_prices`` are lies for tests: AUTHORIZE, RESET, or a price is taken and has no
    effect.
    ``register_off_ml`` is a meter that dies: the register of a fill tells so much more (less) than the totaliser counts.
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
        """``nozzles``: logical number (1...15) → product. Without ``state`` it starts in RESET when priced, else not programmed.

        Raises ``ValueError`` on no nozzles, a number out of range, or a price or total for a nozzle that is not there.
        """
        if not nozzles or any(not 1 <= number <= 15 for number in nozzles):
            raise ValueError("a head has nozzles numbered 1...15")
        if not set(prices or ()) <= set(nozzles) or not set(totals_ml or ()) <= set(nozzles):
            raise ValueError("a price or total names a nozzle that this head has not")
        self.nozzles = dict(sorted(nozzles.items()))
        self.prices = dict(prices or {})
        self.options = options if options is not None else HeadOptions()
        priced = len(self.prices) == len(self.nozzles)
        self.state = state if state is not None else HeadState.RESET if priced else HeadState.NOT_PROGRAMMED
        self.nozzle_out: int | None = None
        self.last_nozzle = min(self.nozzles)
        self.powered = True
        self.preset_volume_ml: int | None = None
        self.preset_amount_minor: int | None = None
        self.allowed: frozenset[int] | None = None
        self.acks_and_does_nothing = False
        self.never_leaves_5 = False
        self.reckons_wrong = False
        self.keeps_prices = False
        self.register_off_ml = 0
        self.emergency = False
        self.last_alarm = 0
        self.listeners: list[Listener] = []
        self._totals = {number: (totals_ml or {}).get(number, 0) for number in self.nozzles}
        self._amounts = dict.fromkeys(self.nozzles, 0)
        self._fill_ml = 0
        self._fill_price = 0
        self._wanted_ml = 0
        self._flow: Flow | None = None
        self._flow_ends_ms = 0
        self._flow_hits_limit = False

    # reading

    @property
    def delivering(self) -> bool:
        """Fuel is flowing, as far as the head was last told the time."""
        return self._flow is not None

    @property
    def valve_open(self) -> bool:
        """The valve lets fuel through: released, and the nozzle that is out is an allowed and priced one."""
        return self.powered and self.state in (HeadState.AUTHORIZED, HeadState.FILLING) and self._nozzle_may_flow()

    @property
    def preset(self) -> tuple[int | None, int | None]:
        """(volume in ml, amount in minor units) of the preset in force; at most one is set."""
        return self.preset_volume_ml, self.preset_amount_minor

    def fill_ml(self, now: int) -> int:
        """Volume of the current or kept fill, as the register tells it."""
        flowed = self.flowed_ml(now)
        return max(0, flowed + self.register_off_ml) if flowed and self.register_off_ml else flowed

    def flowed_ml(self, now: int) -> int:
        """What has gone through the valve in the current or kept fill, and into the totaliser."""
        return self._fill_ml + self._running_ml(now)

    def fill_minor(self, now: int) -> int:
        """Amount of the current or kept fill, by the price that was in force when it started."""
        return self._charged(self.fill_ml(now)) + (WRONG_BY_MINOR if self.reckons_wrong else 0)

    def total_ml(self, nozzle: int, now: int) -> int:
        """Non-resettable volume totaliser, running while fuel flows. Raises ``KeyError`` for a nozzle that is not there."""
        return self._totals[nozzle] + (self._running_ml(now) if nozzle == self.nozzle_out else 0)

    def total_minor(self, nozzle: int, now: int) -> int:
        """Non-resettable amount totaliser. Raises ``KeyError`` for a nozzle that is not there."""
        running = self._charged(self.flowed_ml(now)) - self._charged(self._fill_ml) if nozzle == self.nozzle_out else 0
        return self._amounts[nozzle] + running

    def totals_ml(self, now: int) -> dict[int, int]:
        """All volume totalisers by nozzle."""
        return {number: self.total_ml(number, now) for number in self.nozzles}

    def next_change(self) -> int | None:
        """The instant at which the head changes by itself (the running flow ends), or None."""
        return self._flow_ends_ms if self._flow is not None else None

    # time

    def advance(self, now: int) -> None:
        """Settle what has happened by ``now``."""
        if self._flow is None or now < self._flow_ends_ms:
            return
        self._close_valve(self._flow_ends_ms)
        if self._flow_hits_limit:
            self._forget_release()
            self._enter(HeadState.LIMIT_REACHED, self._flow_ends_ms)

    # the line's commands: True when carried out, False when not accepted in this state

    def reset(self, now: int) -> bool:
        """Back to RESET; clears the kept fill. Accepted in COMPLETED and LIMIT_REACHED."""
        self.advance(now)
        if self.state not in (HeadState.COMPLETED, HeadState.LIMIT_REACHED) or self.never_leaves_5:
            return False
        if self.options.reset_clears_fill:
            self._fill_ml = 0
            self._fill_price = 0
        self._enter(HeadState.RESET, now)
        return True

    def authorize(self, now: int) -> bool:
        """Release the point. Accepted in RESET, where the options ask for it only with a preset."""
        self.advance(now)
        if self.state is HeadState.RESET and self.emergency:
            self.raise_alarm(ALARM_EMERGENCY_STOP, now)
            return False
        if self.state is not HeadState.RESET or self.acks_and_does_nothing:
            return False
        if self.options.require_preset and self.preset == (None, None):
            return False
        self._fill_ml = 0
        self._fill_price = 0
        self._enter(HeadState.AUTHORIZED, now)
        self._open_valve(now)
        return True

    def stop(self, now: int) -> bool:
        """End the release or the fill. Accepted in AUTHORIZED, FILLING and SUSPENDED."""
        self.advance(now)
        if self.state not in (HeadState.AUTHORIZED, HeadState.FILLING, HeadState.SUSPENDED):
            return False
        self._complete(now)
        return True

    def suspend(self, now: int) -> bool:
        """Close the valve for a while. Accepted in FILLING."""
        self.advance(now)
        if self.state is not HeadState.FILLING:
            return False
        self._close_valve(now)
        self._enter(HeadState.SUSPENDED, now)
        return True

    def resume(self, now: int) -> bool:
        """Go on after a suspension. Accepted in SUSPENDED."""
        self.advance(now)
        if self.state is not HeadState.SUSPENDED:
            return False
        self._enter(HeadState.FILLING, now)
        self._open_valve(now)
        return True

    def switch_off(self, now: int) -> bool:
        """Take the point out of service; a running fill ends first. Only a power cycle brings it back (``dart.md``, assumed)."""
        self.stop(now)
        self._enter(HeadState.SWITCHED_OFF, now)
        return True

    def set_prices(self, prices: Iterable[int], now: int) -> bool:
        """Prices of logical nozzles 1...n. Ignored when a nozzle is left out, and between release and end of fill."""
        self.advance(now)
        given = tuple(prices)
        if len(given) < max(self.nozzles) or self._released():
            return False
        if self.keeps_prices:
            return True
        self.prices = {number: given[number - 1] for number in self.nozzles}
        if self.state is HeadState.NOT_PROGRAMMED:
            self._enter(HeadState.COMPLETED, now)
        return True

    def set_allowed(self, nozzles: Iterable[int], now: int) -> bool:
        """Nozzles that the next release is for; spent when it ends. Not accepted while released."""
        self.advance(now)
        if self._released():
            return False
        self.allowed = frozenset(nozzles)
        return True

    def set_preset(self, volume_ml: int | None, amount_minor: int | None, now: int) -> bool:
        """Preset of the next release, one of the two, in place of any other; 0 or None is none. Not accepted while released."""
        self.advance(now)
        if self._released():
            return False
        self.preset_volume_ml, self.preset_amount_minor = volume_ml or None, amount_minor or None
        return True

    # people

    def lift(self, nozzle: int, now: int) -> None:
        """Somebody takes a nozzle. Raises ``ValueError`` when it is not there or another one is already out."""
        self.advance(now)
        if nozzle not in self.nozzles or self.nozzle_out is not None:
            raise ValueError(f"nozzle {nozzle} cannot be lifted: nozzle out is {self.nozzle_out}")
        self.nozzle_out = self.last_nozzle = nozzle
        self._tell(Change.NOZZLE, now)

    def hang_up(self, now: int) -> None:
        """The nozzle goes back; this ends a release, a fill or a suspension. Raises ``ValueError`` when none is out."""
        self.advance(now)
        if self.nozzle_out is None:
            raise ValueError("no nozzle is out")
        self._close_valve(now)
        self.nozzle_out = None
        self._wanted_ml = 0
        self._tell(Change.NOZZLE, now)
        if self._ends_at_hang_up():
            self._complete(now)

    def squeeze(self, volume_ml: int, now: int) -> None:
        """Somebody wants this much (more) to flow and holds the trigger until it has, or until the preset stops it.

        Nothing flows from a head that is not released; the trigger stays held and fuel flows once it is.
        Raises ``ValueError`` on a volume that is not positive, or when no nozzle is out.
        """
        self.advance(now)
        if volume_ml <= 0 or self.nozzle_out is None:
            raise ValueError("squeezing needs a nozzle in hand and a volume above 0")
        self._close_valve(now)
        self._wanted_ml += volume_ml
        self._open_valve(now)

    def release_trigger(self, now: int) -> None:
        """The flow stops; the nozzle stays out and the fill open."""
        self.advance(now)
        self._close_valve(now)
        self._wanted_ml = 0

    def press_stop(self, now: int) -> None:
        """The stop key of this point: any release or fill ends, and the head's state is all that is said of it."""
        self.advance(now)
        if self.powered:
            self.stop(now)

    def emergency_stop(self, pressed: bool, now: int) -> None:
        """The hard-wired stop of the site is pressed, or reset: until then this head lets nothing flow. It tells only of the pressing."""
        self.advance(now)
        if self.powered and pressed:
            self.stop(now)
            self.raise_alarm(ALARM_EMERGENCY_STOP, now)
        self.emergency = pressed

    def raise_alarm(self, code: int, now: int) -> None:
        """The head reports an alarm of its own (DC5 code)."""
        self.last_alarm = code
        self._tell(Change.ALARM, now)

    def dispense_locally(self, nozzle: int, volume_ml: int, now: int) -> None:
        """Fuel leaves without any release (key switch, defect): only the totalisers know. Raises ``KeyError``, ``ValueError``."""
        self.advance(now)
        if volume_ml <= 0:
            raise ValueError("a delivery is above 0 ml")
        self._totals[nozzle] += volume_ml
        self._amounts[nozzle] += amount_of(volume_ml, self.prices.get(nozzle, 0), self.options.currency_decimals)

    def power_off(self, now: int) -> None:
        """The head goes dark: flow stops, a release ends, fill, totals and prices stay in memory."""
        self.advance(now)
        if self._released():
            self._complete(now)
        self.powered = False
        self._wanted_ml = 0
        self._tell(Change.POWER, now)

    def power_on(self, now: int) -> None:
        """The head comes back with what it had; a limit whose nozzle hangs, or a switched off point, is then COMPLETED."""
        if self.powered:
            return
        self.powered = True
        if self.state is HeadState.SWITCHED_OFF or (self.state is HeadState.LIMIT_REACHED and self.nozzle_out is None):
            self.state = HeadState.COMPLETED
        self._tell(Change.POWER, now)
        self.raise_alarm(ALARM_POWER_FAILURE, now)

    def price_at_head(self, nozzle: int, price: int, now: int) -> None:
        """A person changes a price at the head itself. Raises ``ValueError`` for a nozzle that is not there."""
        if nozzle not in self.nozzles:
            raise ValueError(f"there is no nozzle {nozzle}")
        self.prices[nozzle] = price

    def exchange(self, now: int) -> None:
        """Another head is put in its place: no fill, no prices, totalisers at zero."""
        self.power_off(now)
        self.state = HeadState.NOT_PROGRAMMED
        self.prices = {}
        self._totals = dict.fromkeys(self.nozzles, 0)
        self._amounts = dict.fromkeys(self.nozzles, 0)
        self._fill_ml = 0
        self.power_on(now)

    # inside

    def _tell(self, change: Change, at: int) -> None:
        for listener in self.listeners:
            listener(change, at)

    def _enter(self, state: HeadState, at: int) -> None:
        if state is not self.state:
            self.state = state
            self._tell(Change.STATE, at)

    def _released(self) -> bool:
        return self.state in (HeadState.AUTHORIZED, HeadState.FILLING, HeadState.SUSPENDED)

    def _ends_at_hang_up(self) -> bool:
        return self._released() or (self.state is HeadState.LIMIT_REACHED and self.powered)

    def _nozzle_may_flow(self) -> bool:
        out = self.nozzle_out
        return out is not None and out in self.prices and (self.allowed is None or out in self.allowed)

    def _forget_release(self) -> None:
        self.preset_volume_ml = self.preset_amount_minor = None
        self.allowed = None

    def _complete(self, at: int) -> None:
        self._close_valve(at)
        if self.state is not HeadState.LIMIT_REACHED:
            # A preset set after the limit was reached belongs to the next release.
            self._forget_release()
        self._enter(HeadState.COMPLETED, at)

    def _charged(self, volume_ml: int) -> int:
        return amount_of(volume_ml, self._fill_price, self.options.currency_decimals)

    def _running_ml(self, now: int) -> int:
        if self._flow is None:
            return 0
        return self._flow.volume_at(now) // self.options.pulse_ml * self.options.pulse_ml

    def _limit_ml(self) -> int | None:
        """The largest metered volume within the preset; an amount may be met exactly but never passed."""
        limit = self.preset_volume_ml
        if self.preset_amount_minor is not None and self._fill_price > 0:
            limit = volume_within(self.preset_amount_minor, self._fill_price, self.options.currency_decimals)
        return limit

    def _open_valve(self, now: int) -> None:
        """Start the flow where the head is released, the nozzle allowed and the trigger held."""
        if self._wanted_ml <= 0 or not self.valve_open or self.nozzle_out is None:
            return
        if self._fill_ml == 0:
            self._fill_price = self.prices[self.nozzle_out]
        options, run, limit = self.options, self._wanted_ml, self._limit_ml()
        self._flow_hits_limit = limit is not None and self._fill_ml + run >= limit
        slow = 0
        if limit is not None and self._flow_hits_limit:
            run = max(0, limit - self._fill_ml) // options.pulse_ml * options.pulse_ml + options.overrun_ml
            slow = options.slow_ml
        run = run // options.pulse_ml * options.pulse_ml
        self._flow = Flow(now, run, options.rate_ml_per_min, slow, options.slow_rate_ml_per_min)
        self._flow_ends_ms = self._flow.end_ms
        self._enter(HeadState.FILLING, now)

    def _close_valve(self, at: int) -> None:
        """Stop any flow and put what has flowed into the fill and the totalisers."""
        if self._flow is None or self.nozzle_out is None:
            return
        flowed, before = self._running_ml(at), self._charged(self._fill_ml)
        self._flow = None
        self._fill_ml += flowed
        self._wanted_ml = max(0, self._wanted_ml - flowed)
        self._totals[self.nozzle_out] += flowed
        self._amounts[self.nozzle_out] += self._charged(self._fill_ml) - before
