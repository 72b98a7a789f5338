"""One seed: the station, its people, its faults, the checks. The real terminal, the emulators, one heap of time, no thread."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

from drivers.commands import ShowLines
from hal_sim.dispensers.head import Head, HeadOptions
from terminal.core.effects import Effect, Persist, Send
from terminal.core.site import Site
from terminal.core.units import Instant
from terminal.runtime.engine import Outside
from terminal.store.ledger import Ledger
from tests.simulation import invariants as inv
from tests.simulation.batches import check_batches, check_settled
from tests.simulation.durable import Durable
from tests.simulation.ears import Ears
from tests.simulation.faults import FaultMaker, mix
from tests.simulation.invariants import WatchedVault
from tests.simulation.journal_facts import Broken, Facts
from tests.simulation.limits import check_limits, taken
from tests.simulation.media import Act, Medium, Readers
from tests.simulation.people import Driver
from tests.simulation.permitted import check_authorized, check_permitted
from tests.simulation.power_cut import Cut, CutEngine, Disk, Watcher
from tests.simulation.pump_books import PumpBooks
from tests.simulation.rebuilt import check_closed, check_rebuilt, check_rest
from tests.simulation.secret_watch import SecretWatch
from tests.simulation.slow_start import examination
from tests.simulation.stop_watch import StopWatch
from tests.simulation.trace import LAST, Failure, Result, Trace, place_of, subject_of, words
from tests.simulation.workload import Visit, draw, fork
from tests.virtual.forecourt import KEYS, Forecourt
from tests.virtual.heap import Look

BOOKS_EVERY = 40
OFF_MS = (500, 10_000)
PEOPLE_LIMIT_MS = 4 * 3_600_000
SETTLE_MS = 30 * 60_000
DAY_MS = 53 * 3_600_000  # a clock that the host set a day ahead stands still for that day
MORE_VISITS = 48  # a station whose cards are all refused gives up then,
IN_VAIN = 16  # or when so many came one after the other and nobody got anything
RAM_DISK = Path("/dev/shm")  # cuts are made here, not by the disk: a real sync would only cost time


class World(Watcher):
    """Everything of one seed. Implements what drivers, faults and the engine's watcher ask for."""

    def __init__(self, seed: int, folder: Path, fuellings: int) -> None:
        self.seed = seed
        self.folder = folder
        self.trace = Trace()
        self.tally: Counter[str] = Counter()
        self.plan = draw(seed, fuellings)
        night = fork(seed, "night")
        if mix(seed).lose_records and night.randrange(40):
            # Such a day goes on to midnight, and what happens until then is nothing: it mostly begins shortly before.
            self.plan.scenario["local_time"] = night.choice(["2026-03-17 23:20:00", "2026-03-31 23:40:00", "2026-12-31 23:50:00"])
        self.badges: tuple[Medium, ...] = self.plan.badges
        options = HeadOptions(pulse_ml=self.plan.pulse_ml, overrun_ml=self.plan.overrun_ml)
        self.forecourt = Forecourt(self.plan.scenario, folder, head_options=options)
        self.heap = self.forecourt.heap
        self.heads: dict[int, Head] = self.forecourt.heads
        self.terminal = self.forecourt.terminal
        self.durable = Durable()
        self.facts = self.durable.facts
        self.vault = WatchedVault(*KEYS, self.forecourt.vault.pin_keys)
        self.vault.facts = self.facts
        secure = any(badge.kind == "secure badge" for badge in self.badges)
        self.readers = Readers(lambda: self.now, self.post, self.heap.after, secure, self.tell)
        self.odometers: dict[str, int] = {}
        self._secrets = SecretWatch([word for badge in self.badges for word in (badge.number, badge.pin) if word is not None])
        self.at_terminal: int | None = None
        self.at_pump: dict[int, int] = {}
        self.sent_away: Counter[str] = Counter()
        self.attempts = self.cuts = self.steps = self.busy = 0
        self.pumps = PumpBooks(self.heads, self.plan.overrun_ml, lambda: self.facts, lambda: self.now, self.trace_now)
        self.ears = Ears(self.forecourt)
        self.stops = StopWatch(self.heads, lambda: self.facts, lambda: self.now)
        self._disk: Disk | None = None
        self._boots = 0
        self._shown = 0
        self._power, self._cut_rng = fork(seed, "power"), fork(seed, "cut")
        self.faults = FaultMaker(seed, self)
        self._hook()

    def _hook(self) -> None:
        self.terminal.vault = self.vault
        self.terminal.engine_made = self._engine
        self.terminal.ledger_made = self._ledger
        self.terminal.after_step = self._after_step
        self.terminal.examines = examination(self.seed, self.tell)
        for fp, head in self.heads.items():
            self.plan.makes[fp].apply(head)
            if head.register_off_ml:
                self.pumps.lies(fp, head.register_off_ml)

    # --- the run --------------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """A day: open, people and faults, everything whole again, rest, the books. Raises ``Broken`` and whatever the product raises."""
        self.trace.add(0, "seed", str(self.seed), self.faults.mix.words())
        for row in self.plan.scenario["fuelling_points"]:
            words = f"{row['protocol']} line {row['bus']}, nozzle {row['nozzle']} {row['product']}: {self.plan.makes[row['fp']].words()}"
            self.trace.add(0, "make", f"fp {row['fp']}", words)
        self.terminal.power_on()
        self._until(60_000, self.forecourt.ready, "the first start")
        self.faults.begin()
        people = fork(self.seed, "manners")
        at = 0
        for number, visit in enumerate(self.plan.visits, 1):
            at += visit.gap_ms
            self._send(number, visit, at, people)
        self._until(PEOPLE_LIMIT_MS, lambda: not self.busy, "the people")
        self._more_people(people)
        self.faults.off()
        self.note_fault("all", "whole")
        if not self.terminal.powered:
            self.terminal.power_on()
        self._until(SETTLE_MS, lambda: not self._unsettled(), "rest", self._unsettled)
        # What left a pump at rest without a release is seen at the next survey; and a start from rest must change nothing else.
        self.cut_between(Cut.BETWEEN)
        self._until(SETTLE_MS, lambda: not self._unsettled(), "rest after a last start", self._unsettled)
        if self.faults.days.lost:
            # The host learns what it lost from the sums of the day: they are made at midnight.
            self.heap.run_until(self.now + DAY_MS, lambda: not self._unbatched())
            self._until(SETTLE_MS, lambda: not self._unsettled() and not self._unbatched(), "the day's sums", self._unbatched)
        self._close()

    def _until(self, limit_ms: int, until: Callable[[], bool], what: str, why: Callable[[], str] | None = None) -> None:
        if not self.heap.run_until(self.now + limit_ms, until):
            detail = why() if why is not None else "not reached"
            raise Broken("liveness", f"{what} after {limit_ms // 60_000} virtual minutes: {detail}")

    def _more_people(self, people: Random) -> None:
        """As many as it takes until all fuellings are delivered, a few at a time; not for ever."""
        number, in_vain, delivered = len(self.plan.visits), 0, self.delivered
        last = number + MORE_VISITS
        while delivered < self.plan.fuellings and number < last and in_vain < IN_VAIN:
            at = 0
            for _ in range(min(4, self.plan.fuellings - delivered)):
                visit = self.plan.another(people)
                number, in_vain, at = number + 1, in_vain + 1, at + visit.gap_ms
                self._send(number, visit, at, people)
            self._until(PEOPLE_LIMIT_MS, lambda: not self.busy, "some more drivers")
            before, delivered = delivered, self.delivered
            in_vain = in_vain if delivered == before else 0

    @property
    def delivered(self) -> int:
        """Sales that have been delivered."""
        return sum(one.delivered is not None for one in self.facts.sales.values())

    def _send(self, number: int, visit: Visit, delay_ms: int, people: Random) -> None:
        self.busy += 1
        act = Driver(number, visit, self, Random(people.getrandbits(64))).run()
        self.heap.after(delay_ms, lambda: self._go_on(act))

    def _go_on(self, act: Act) -> None:
        rest = next(act, None)
        if rest is None:
            self.busy -= 1
        elif isinstance(rest, Look):
            self.heap.look(rest, lambda: self._go_on(act))
        else:
            self.heap.after(rest, lambda: self._go_on(act))

    # --- the terminal's start and every step --------------------------------------------------------------------------------------

    def _ledger(self, path: Path) -> Ledger:
        return Ledger(path, autocheckpoint_pages=self.plan.checkpoint_pages)

    def _engine(self, site: Site, ledger: Ledger, outside: Outside) -> CutEngine:
        """A start: what was durable is still there, and nothing else than it could be."""
        self.durable.check(ledger)
        self.vault.check(self.facts)
        inv.check_chain(ledger)
        self._boots += 1
        self.trace.add(self.now, "start", f"boot {self.terminal.boots}", f"rows={ledger.head[0]} head={ledger.head[1].hex()[:12]}")
        engine = CutEngine(site, ledger, outside, self, self.folder, self._cut_rng)
        inv.check_books(site, ledger, self.facts, site.recovered)
        self.ears.disturbed("terminal")
        self.stops.started()
        self.faults.started(engine)
        self.readers.started()
        return engine

    def stepped(self, event: object) -> None:
        """See ``Watcher``."""
        self.trace.add(self.now, "event", subject_of(event), words(event))

    def committed(self, effects: list[Effect], at: Instant) -> None:
        """See ``Watcher``."""
        engine = self.terminal.engine
        for effect in effects:
            if isinstance(effect, Persist):
                self.trace.add(self.now, "fact", subject_of(effect.record), words(effect.record))
                self.durable.add(effect.record)
                check_authorized(effect.record, self.facts, engine, self.plan.scenario, self.forecourt.book.token_of)
        if engine is not None:
            self.durable.wrote(engine.ledger.head)

    def sending(self, effect: Effect) -> None:
        """See ``Watcher``."""
        inv.check_sending(effect, self.facts)
        self.stops.sending(effect)
        self.faults.site.sending(effect)
        if not isinstance(effect, Send):
            self.trace.add(self.now, "do", subject_of(effect), words(effect))
        elif not isinstance(effect.command, ShowLines):
            self.trace.add(self.now, "send", subject_of(effect.command), words(effect.command))

    def _after_step(self) -> None:
        if self._disk is not None:
            self._went_dark()
        if len(self.terminal.screens) > self._shown:
            for screen in self.terminal.screens[self._shown :]:
                self.trace.add(self.now, "screen", "side 1", " | ".join(line for line in screen.split("\n") if line.strip("* ")))
            self._shown = len(self.terminal.screens)
        self.pumps.check_all()
        engine = self.terminal.engine
        if engine is None:
            return
        self.steps += 1
        inv.check_memory(engine.site, engine.deadlines.running(), engine.deadlines.kept())
        inv.check_denied(engine.site)
        check_closed(engine.site)
        self.stops.check(engine.site)
        self.ears.check(engine.site)
        if self.steps % BOOKS_EVERY == 0:
            self._check_books()

    def _check_books(self) -> None:
        engine = self.terminal.engine
        if engine is not None and not self.terminal.space.full:
            found = inv.check_books(engine.site, engine.ledger, self.facts)
            check_batches(engine.site, found)
            check_rebuilt(engine.site, found)
            self.vault.check(self.facts)

    # --- the power ------------------------------------------------------------------------------------------------------------------

    def lost(self, cut: Cut, disk: Disk, how: str) -> None:
        """See ``Watcher``."""
        self._disk = disk
        self.trace.add(self.now, "power", "terminal", f"{cut.value}, {how}")
        self.tell(f"power: {cut.value}" + ("" if how == "whole" else f", {how}"))

    def cut_between(self, cut: Cut) -> None:
        """See ``faults.Station``."""
        engine = self.terminal.engine
        if engine is None:
            return
        self._check_books()
        self.lost(cut, Disk.of(self.folder), "whole")
        if cut is Cut.KILLED:
            self.terminal.crash(engine.ledger)
        else:
            self.terminal.power_off()
        self._went_dark(killed=cut is Cut.KILLED)

    def _went_dark(self, killed: bool = False) -> None:
        assert self._disk is not None
        self._disk.put(self.folder)
        self._disk = None
        self._secrets.check_files(self.folder)
        self.cuts += 1
        delay = self._power.randint(*OFF_MS)
        again = self.terminal.start if killed else self.terminal.power_on
        boots = self.terminal.boots

        def start() -> None:
            if self.terminal.engine is None and boots == self.terminal.boots and self.terminal.powered == killed:
                again()

        self.heap.after(delay, start)

    # --- pumps ------------------------------------------------------------------------------------------------------------------------

    def dispense_locally(self, fp: int, nozzle: int, volume_ml: int) -> None:
        """See ``faults.Station``."""
        if self.pumps.dispense(fp, nozzle, volume_ml):
            self.note_fault(f"fp {fp}", f"{volume_ml} ml leave nozzle {nozzle} without a release", "pump: fuel without a release")

    def register_lies(self, fp: int, off_ml: int) -> None:
        """See ``faults.Station``; a head whose make it is goes on lying as it always does."""
        if off_ml:
            self.pumps.lies(fp, off_ml)
        self.heads[fp].register_off_ml = off_ml or self.plan.makes[fp].register_off_ml
        self.note_fault(f"fp {fp}", f"its register is off by {off_ml} ml", "pump: meter dies" if off_ml else "")

    # --- what people and faults ask for ---------------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """Virtual time."""
        return self.heap.now

    @property
    def screen(self) -> str:
        """What the display shows; dark without power."""
        return "" if self.faults.site.dark or not (self.terminal.powered and self.terminal.screens) else self.terminal.screens[-1]

    def post(self, event: object) -> None:
        """From reader or keypad, if it is there."""
        if self.faults.site.heard(event):
            self.terminal.post(event)

    def trace_now(self, actor: str, subject: str, what: str) -> None:
        """One line of the trace."""
        self.trace.add(self.now, actor, subject, what)

    def tell(self, kind: str) -> None:
        """See ``faults.Station``."""
        self.tally[kind] += 1

    def note(self, driver: int, what: str) -> None:
        """See ``people.Place``."""
        self.trace.add(self.now, "driver", str(driver), what)

    def note_fault(self, subject: str, what: str, kind: str = "") -> None:
        """See ``faults.Station``."""
        if kind:
            self.tally[kind] += 1
        self.ears.disturbed(subject)
        self.trace.add(self.now, "fault", subject, what)

    # --- the end ------------------------------------------------------------------------------------------------------------------------

    def _unsettled(self) -> str:
        engine = self.terminal.engine
        if engine is None:
            return "the terminal does not run"
        return inv.unsettled(engine.site, engine.ledger, self.forecourt.book)

    def _unbatched(self) -> str:
        """Records that the host lost and does not know of yet."""
        book = self.forecourt.book
        lost = sorted({sale for sale in self.faults.days.lost if book.find(sale) is None})
        return f"the host has not got back {', '.join(lost)}" if lost else ""

    def _close(self) -> None:
        engine = self.terminal.engine
        assert engine is not None
        self._check_books()
        facts = self.facts
        if Facts.read(engine.ledger.connection) != facts:
            raise Broken("durable", "the journal is not what was committed to it")
        inv.check_host(facts, self.forecourt.book)
        inv.check_told(engine.site, self.forecourt.book)
        check_rest(engine.site)
        check_settled(engine.site, self.forecourt.book, lost=bool(self.faults.days.lost))
        self.pumps.check(facts)
        check_permitted(self.plan.scenario, self.forecourt.book.token_of, facts)
        if not self.faults.days.lost:  # a host that loses records gives their fuel away once more
            check_limits(self.plan.scenario, self.forecourt.book.token_of, taken(facts, self.plan.overrun_ml, self.pumps.excess(facts)))
            inv.check_counted(facts, self.forecourt.book)
        self.trace.add(self.now, "end", "ledger", f"rows={engine.ledger.head[0]} head={engine.ledger.head[1].hex()[:12]}")
        self.terminal.crash(engine.ledger)
        self._secrets.check_files(self.folder)
        self._secrets.check_shown([*self.terminal.screens, *self.trace.lines])
        inv.check_verify(self.folder / "ledger.db")


def run(seed: int, fuellings: int, *, keep_trace: bool = False) -> Result:
    """Run a seed. Never raises for what the product does."""
    root = RAM_DISK if RAM_DISK.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="swarm-", dir=root) as folder:
        world = World(seed, Path(folder), fuellings)
        failure: Failure | None = None
        try:
            world.run()
        except Broken as broken:
            failure = Failure(broken.name, broken.what)
        except Exception as error:  # noqa: BLE001 - whatever the product raises is the finding
            failure = Failure(type(error).__name__, f"{error} ({place_of(error)})")
        if failure is not None:
            world.trace.add(world.now, "BROKEN", failure.name, failure.what)
        engine = world.terminal.engine
        if engine is not None:
            world.terminal.crash(engine.ledger)
        return Result(
            seed,
            failure,
            world.trace.digest,
            tuple(world.trace.lines if keep_trace else world.trace.lines[-LAST:]),
            world.delivered,
            world.attempts,
            len(world.facts.sales),
            world.cuts,
            world.pumps.known,
            world.now,
            world.faults.mix.words(),
            dict(world.tally),
            {"register lied": world.pumps.lied, "unattributed_ml": world.pumps.unattributed, "engine_steps": world.steps},
        )
