"""What goes wrong: every kind with a rate of its own, drawn per seed, many of them zero, so that seeds differ in kind.

Disturbances come as episodes on the heap of time: something breaks, some time later it is whole again. ``off`` makes everything whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Protocol

from tests.simulation.host_days import HostDays
from tests.simulation.media import Readers
from tests.simulation.power_cut import Cut, CutEngine, Plan
from tests.simulation.pump_faults import PumpFaults
from tests.simulation.site_faults import SiteFaults
from tests.simulation.workload import fork
from tests.virtual.forecourt import Forecourt
from tests.virtual.host import Conduct

EVERY_MS = 1_000


class Station(Protocol):
    """What faults do harm to."""

    forecourt: Forecourt
    readers: Readers

    @property
    def now(self) -> int:
        """Virtual time."""

    def cut_between(self, cut: Cut) -> None:
        """The power goes now, between two steps, or the program is killed."""

    def dispense_locally(self, fp: int, nozzle: int, volume_ml: int) -> None:
        """Fuel leaves without a release."""

    def register_lies(self, fp: int, off_ml: int) -> None:
        """A head's register tells so much more than its totaliser; 0: no more."""

    def note_fault(self, subject: str, what: str, kind: str = "") -> None:
        """For the trace; ``kind`` for the tally."""

    def tell(self, kind: str) -> None:
        """For the tally alone."""


@dataclass(frozen=True, slots=True)
class Mix:
    """A seed's rates: episodes per hour of virtual time, and calls in a thousand for the host's manners."""

    cut: dict[Cut, int]
    cut_while_starting: int  # percent of starts that do not come to their end
    unreachable: int
    slow: int
    error: int
    lose: int
    garbage: int
    repeat: int
    tardy: int
    noise: int
    line_cut: int
    head_power: int
    local_stop: int
    deaf_head: int
    stuck_head: int
    local_fuel: int
    full: int
    deny: int
    publish: int
    spoil: int
    rebuild: int
    host_clock: int
    correct: int
    close: int
    lose_records: int
    refusals: int
    local_dose: int
    hook: int
    meter: int
    reprice: int
    emergency: int
    order: int
    reader: int
    keypad: int
    display: int

    def words(self) -> str:
        """What is on."""
        cuts = [f"{cut.name.lower()}={rate}" for cut, rate in self.cut.items() if rate]
        rates = [f"{name}={getattr(self, name)}" for name in self.__slots__ if name != "cut" and getattr(self, name)]
        return " ".join(cuts + rates) or "none"


def mix(seed: int) -> Mix:
    """The mix of a seed. One seed in ten has no fault at all."""
    rng = fork(seed, "mix")
    calm = rng.randrange(10) == 0

    def rate(*choices: int) -> int:
        drawn = rng.choice((0, *choices)) if rng.randrange(2) else 0
        return 0 if calm else drawn

    return Mix(
        cut={cut: rate(10, 30, 80) for cut in Cut},
        cut_while_starting=rate(10, 40),
        unreachable=rate(20, 100),
        slow=rate(50, 300),
        error=rate(50, 300),
        lose=rate(50, 300),
        garbage=rate(50, 300),
        repeat=rate(100, 500),
        tardy=rate(100, 400),
        noise=rate(20, 100),
        line_cut=rate(20, 100),
        head_power=rate(10, 60),
        local_stop=rate(20, 100),
        deaf_head=rate(20, 100),
        stuck_head=rate(20, 100),
        local_fuel=rate(10, 60),
        full=rate(10, 60),
        deny=rate(30, 100),
        publish=rate(30, 120),
        spoil=rate(20, 100),
        rebuild=rate(10, 40),
        host_clock=rate(10, 60),
        correct=rate(20, 200),
        close=rate(20, 100),
        lose_records=rate(20, 100),
        refusals=rate(20, 100),
        local_dose=rate(10, 60),
        hook=rate(20, 100),
        meter=rate(10, 60),
        reprice=rate(20, 100),
        emergency=rate(20, 60),
        order=rate(30, 120),
        reader=rate(20, 60),
        keypad=rate(20, 60),
        display=rate(20, 60),
    )


_TOLD = {"500": "answers 500", "garbage": "answers garbage", "twice": "asked and answered twice"}


class FaultMaker:
    """Lets the mix happen."""

    def __init__(self, seed: int, station: Station) -> None:
        self.station = station
        self.mix = mix(seed)
        self.on = False
        self._denied: list[dict[str, str]] = []
        self._rng = fork(seed, "faults")
        self.days = HostDays(self, self._later)
        self._host = fork(seed, "host")
        self.pumps = PumpFaults(station, self._later, fork(seed, "wire down"), fork(seed, "wire up"), station.tell)
        self._site = fork(seed, "site")
        self.site = SiteFaults(self, lambda low, high, act: self._later(low, high, act, self._site), fork(seed, "hands"))
        self._at_site: tuple[tuple[int, Callable[[Random], None]], ...] = (
            (self.mix.emergency, self.site.press),
            (self.mix.order, self.site.order),
            (self.mix.reader, self.site.reader),
            (self.mix.keypad, self.site.keypad),
            (self.mix.display, self.site.display),
        )
        self._episodes: tuple[tuple[int, Callable[[Random], None]], ...] = (
            *((rate, self._cut(cut)) for cut, rate in self.mix.cut.items()),
            (self.mix.unreachable, self._unreachable),
            (self.mix.noise, self.pumps.noise),
            (self.mix.line_cut, self.pumps.line_cut),
            (self.mix.head_power, self.pumps.head_power),
            (self.mix.local_stop, self.pumps.local_stop),
            (self.mix.deaf_head, self.pumps.deaf_head),
            (self.mix.stuck_head, self.pumps.stuck_head),
            (self.mix.local_fuel, self.pumps.local_fuel),
            (self.mix.full, self._full),
            (self.mix.deny, self._deny),
            (self.mix.publish, self.days.publish),
            (self.mix.spoil, self.days.spoil),
            (self.mix.rebuild, self.days.rebuild),
            (self.mix.host_clock, self.days.lie),
            (self.mix.correct, self.days.correct),
            (self.mix.close, self.days.close),
            (self.mix.lose_records, self.days.lose),
            (self.mix.refusals, self.pumps.refusals),
            (self.mix.local_dose, self.pumps.local_dose),
            (self.mix.hook, self.pumps.hook),
            (self.mix.meter, self.pumps.meter),
            (self.mix.reprice, self.days.reprice),
        )

    @property
    def forecourt(self) -> Forecourt:
        """The station."""
        return self.station.forecourt

    @property
    def readers(self) -> Readers:
        """Of the terminal's side."""
        return self.station.readers

    def note_fault(self, subject: str, what: str, kind: str = "") -> None:
        """For the trace and the tally."""
        self.station.note_fault(subject, what, kind)

    def begin(self) -> None:
        """From now on things go wrong."""
        self.on = True
        self.forecourt.host.fate = self._fate
        for episodes, rng in ((self._episodes, self._rng), (self._at_site, self._site)):
            for rate, episode in episodes:
                if rate:
                    self._next(rate, episode, rng)

    def off(self) -> None:
        """Everything whole, and nothing breaks any more."""
        self.on = False
        court = self.forecourt
        court.host.fate = lambda kind: court.host.conduct
        court.host.conduct = Conduct()
        self.pumps.whole()
        court.terminal.set_full(False)
        self.days.whole()
        self.site.whole()
        for named in self._denied:
            court.book.unblock(card=named.get("card"), customer=named.get("customer"))
        if isinstance(court.terminal.engine, CutEngine):
            court.terminal.engine.plan = None

    def started(self, engine: CutEngine) -> None:
        """The program starts; its start may not come to its end."""
        self.site.started()
        if self.on and self._rng.randrange(100) < self.mix.cut_while_starting:
            engine.plan = Plan(self._rng.choice([Cut.WRITING, Cut.COMMITTED, Cut.SENDING]), self._rng.randint(1, 4))

    # --- when -----------------------------------------------------------------------------------------------------------------

    def _next(self, per_hour: int, episode: Callable[[Random], None], rng: Random) -> None:
        def happen() -> None:
            if self.on:
                episode(rng)
                self._next(per_hour, episode, rng)

        self.forecourt.heap.after(1 + int(rng.expovariate(per_hour / 3_600_000)), happen)

    def _later(self, low_ms: int, high_ms: int, action: Callable[[], None], rng: Random | None = None) -> None:
        def act() -> None:
            if self.on:
                action()

        self.forecourt.heap.after((rng or self._rng).randint(low_ms, high_ms), act)

    # --- the host -------------------------------------------------------------------------------------------------------------

    def _fate(self, kind: str) -> Conduct:
        rng, mix = self._host, self.mix
        base = self.forecourt.host.conduct
        draws = [rng.randrange(1000) for _ in range(6)]
        conduct = Conduct(
            reachable=base.reachable,
            delay_ms=rng.choice([2_000, 7_900, 9_000, 30_000]) if draws[0] < mix.slow else rng.randint(0, 300),
            lose_answers=draws[1] < mix.lose,
            always_500=draws[2] < mix.error,
            garbage=draws[3] < mix.garbage,
            repeat=draws[4] < mix.repeat,
            tardy_ms=rng.choice([500, 6_000, 8_000]) if kind == "authorize" and draws[5] < mix.tardy else 0,
        )
        how = [
            name
            for name, strikes in (
                ("away", not conduct.reachable),
                (f"after {conduct.delay_ms} ms", conduct.delay_ms > 1_000),
                ("answer lost", conduct.lose_answers),
                ("500", conduct.always_500),
                ("garbage", conduct.garbage),
                ("twice", conduct.repeat),
                (f"told {conduct.tardy_ms} ms late", conduct.tardy_ms > 0),
            )
            if strikes
        ]
        self.station.note_fault("host", f"{kind}: {', '.join(how) or 'well'}")
        for word in how:
            self.station.tell("host: " + ("answer late" if "ms" in word else "not reached" if word == "away" else _TOLD.get(word, word)))
        return conduct

    def _unreachable(self, rng: Random) -> None:
        self._set_reachable(False)
        self._later(500, rng.choice([20_000, 400_000]), lambda: self._set_reachable(True))

    def _set_reachable(self, reachable: bool) -> None:
        host = self.forecourt.host
        host.conduct = replace(host.conduct, reachable=reachable)
        self.station.note_fault("host", "line back" if reachable else "line away", "" if reachable else "host: line away")

    def _deny(self, rng: Random) -> None:
        """A card or its customer is blocked, and some are unblocked again; now and then the lists that say so are published."""
        card = rng.choice(self.forecourt.scenario["cards"])
        named = {"card": card["number"]} if card["customer"] is None or rng.randrange(3) else {"customer": card["customer"]}
        self._denied.append(named)
        self._say("block", named, publish=not rng.randrange(4))
        publish = not rng.randrange(4)
        self._later(500, rng.choice([5_000, 5_000, 40_000, 40_000, 400_000]), lambda: self._say("unblock", named, publish=publish))

    def _say(self, what: str, named: dict[str, str], *, publish: bool) -> None:
        book = self.forecourt.book
        (book.block if what == "block" else book.unblock)(card=named.get("card"), customer=named.get("customer"))
        if publish:
            book.publish()
        self.station.note_fault("host", f"{what} {next(iter(named))}{', published' * publish}", f"office: {what}")

    # --- the terminal -----------------------------------------------------------------------------------------------------------

    def _full(self, rng: Random) -> None:
        self.station.note_fault("disk", "full", "disk: full")
        self.forecourt.terminal.set_full(True)

        def room() -> None:
            self.station.note_fault("disk", "has room")
            self.forecourt.terminal.set_full(False)

        self._later(1_000, 30_000, room)

    def _cut(self, cut: Cut) -> Callable[[Random], None]:
        def happen(rng: Random) -> None:
            engine = self.forecourt.terminal.engine
            if not isinstance(engine, CutEngine) or engine.plan is not None:
                return
            if cut in (Cut.BETWEEN, Cut.KILLED):
                self.station.cut_between(cut)
            else:
                engine.plan = Plan(cut, rng.randint(1, 3))

        return happen
