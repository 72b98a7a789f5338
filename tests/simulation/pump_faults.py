"""What pumps, their wires and hands at them do to a day: every episode ends by itself, ``whole`` ends all of them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Protocol

from hal_sim.dispensers.azt import AztHead, AztPosition
from hal_sim.dispensers.head import HeadState
from hal_sim.wire import FaultRates, Faults
from tests.virtual.forecourt import Forecourt

Later = Callable[[int, int, Callable[[], None]], None]


class Yard(Protocol):
    """What is done harm to."""

    @property
    def now(self) -> int:
        """Virtual time."""

    @property
    def forecourt(self) -> Forecourt:
        """The station."""

    def dispense_locally(self, fp: int, nozzle: int, volume_ml: int) -> None:
        """Fuel leaves without a release."""

    def register_lies(self, fp: int, off_ml: int) -> None:
        """A head's register tells so much more than its totaliser."""

    def note_fault(self, subject: str, what: str, kind: str = "") -> None:
        """For the trace and the tally."""


class CountedFaults(Faults):
    """Tells what became of each transmission that did not arrive as it was sent."""

    def __init__(self, rates: FaultRates, rng: Random, tell: Callable[[str], None]) -> None:
        super().__init__(rates, rng)
        self._tell = tell

    def apply(self, data: bytes) -> list[bytes]:
        """See ``Faults``."""
        pieces = super().apply(data)
        if pieces != [data]:
            whole = b"".join(pieces)
            kind = "lost" if not pieces else "doubled" if whole == 2 * data else "byte by byte" if whole == data else "spoilt"
            self._tell(f"line: frame {kind}")
        return pieces


class PumpFaults:
    """``later(low_ms, high_ms, action)`` runs something when its time comes, unless everything is whole by then."""

    def __init__(self, yard: Yard, later: Later, down: Random, up: Random, tell: Callable[[str], None]) -> None:
        self._yard = yard
        self._later = later
        self._down, self._up = down, up
        self._tell = tell

    def whole(self) -> None:
        """Wires clean, heads obedient and under power."""
        court = self._yard.forecourt
        for line in dict.fromkeys(court.lines.values()):
            line.wire.set_faults(None, None)
        for fp, head in court.heads.items():
            position = court.position(fp)
            position.connected = True
            head.acks_and_does_nothing = head.never_leaves_5 = False
            if isinstance(position, AztPosition):
                position.can_next = 0
            else:
                position.nak_next = 0
            head.power_on(self._yard.now)

    def _any(self, rng: Random) -> int:
        return rng.choice(sorted(self._yard.forecourt.heads))

    def noise(self, rng: Random) -> None:
        """One line is noisy."""

        def rate(top: int) -> int:
            return rng.randrange(top) if rng.randrange(2) else 0

        rates = FaultRates(
            drop=rate(150_000), drop_byte=rate(80_000), flip=rate(80_000), duplicate=rate(80_000), split=rate(150_000), noise=rate(150_000)
        )
        line = self._yard.forecourt.lines[self._any(rng)]
        line.wire.set_faults(CountedFaults(rates, self._down, self._tell), CountedFaults(rates, self._up, self._tell))
        self._yard.note_fault(line.name, "noise", "line: noise begins")

        def quiet() -> None:
            line.wire.set_faults(None, None)
            self._yard.note_fault(line.name, "clean")

        self._later(1_000, 20_000, quiet)

    def line_cut(self, rng: Random) -> None:
        """One drop is cut; the head lives on."""
        fp = self._any(rng)
        self._connect(fp, False)
        self._later(300, rng.choice([3_000, 60_000]), lambda: self._connect(fp, True))

    def _connect(self, fp: int, connected: bool) -> None:
        self._yard.forecourt.position(fp).connected = connected
        self._yard.note_fault(f"fp {fp}", "line restored" if connected else "line cut", "" if connected else "line: drop cut")

    def head_power(self, rng: Random) -> None:
        """One head is dark; its totals are kept, its record by most makes."""
        fp = self._any(rng)
        head = self._yard.forecourt.heads[fp]
        self._yard.note_fault(f"fp {fp}", "dispenser dark", "pump: without power")
        head.power_off(self._yard.now)

        def back() -> None:
            self._yard.note_fault(f"fp {fp}", "dispenser back")
            head.power_on(self._yard.now)

        self._later(200, rng.choice([3_000, 60_000]), back)

    def local_stop(self, rng: Random) -> None:
        """The stop of one point is pressed."""
        fp = self._any(rng)
        self._yard.note_fault(f"fp {fp}", "stop pressed", "pump: stop pressed")
        self._yard.forecourt.heads[fp].press_stop(self._yard.now)

    def deaf_head(self, rng: Random) -> None:
        """AUTHORIZE is acknowledged and nothing happens."""
        fp = self._any(rng)
        head = self._yard.forecourt.heads[fp]
        head.acks_and_does_nothing = True
        self._yard.note_fault(f"fp {fp}", "acknowledges AUTHORIZE and does nothing", "pump: ignores AUTHORIZE")

        def hears() -> None:
            head.acks_and_does_nothing = False

        self._later(1_000, 40_000, hears)

    def stuck_head(self, rng: Random) -> None:
        """RESET, or the confirm, is acknowledged and nothing happens."""
        fp = self._any(rng)
        head = self._yard.forecourt.heads[fp]
        head.never_leaves_5 = True
        self._yard.note_fault(f"fp {fp}", "acknowledges RESET and does nothing", "pump: ignores RESET")

        def moves() -> None:
            head.never_leaves_5 = False

        self._later(1_000, 40_000, moves)

    def refusals(self, rng: Random) -> None:
        """The next commands are refused: NAK on a DART line, CAN on an AZT one."""
        fp, count = self._any(rng), rng.randint(1, 6)
        position = self._yard.forecourt.position(fp)
        if isinstance(position, AztPosition):
            position.can_next = count
        else:
            position.nak_next = count
        self._yard.note_fault(f"fp {fp}", f"refuses {count} commands", "pump: refuses commands")

    def local_fuel(self, rng: Random) -> None:
        """Fuel leaves without a release, of a resting head or beside a running fill."""
        fp = self._any(rng)
        head = self._yard.forecourt.heads[fp]
        if head.powered and (head.state is HeadState.RESET or head.delivering):
            self._yard.dispense_locally(fp, rng.choice(sorted(head.nozzles)), 10 * rng.randint(5, 800))

    def local_dose(self, rng: Random) -> None:
        """Somebody types a dose at an AZT pump."""
        fp = self._any(rng)
        head = self._yard.forecourt.heads[fp]
        if isinstance(head, AztHead) and head.powered and head.state is HeadState.RESET and fp not in self._released():
            head.enter_dose(head.last_nozzle, 10 * rng.randint(100, 3_000), self._yard.now)
            self._yard.note_fault(f"fp {fp}", "a dose is typed at the pump", "pump: dose typed at the head")

    def _released(self) -> set[int]:
        engine = self._yard.forecourt.terminal.engine
        return set() if engine is None else {point.number for point in engine.site.points.values() if point.releasing}

    def hook(self, rng: Random) -> None:
        """The nozzle slips back into its hook for a moment."""
        fp = self._any(rng)
        head = self._yard.forecourt.heads[fp]
        nozzle = head.nozzle_out
        if nozzle is None:
            return
        self._yard.note_fault(f"fp {fp}", "nozzle slips into its hook", "pump: nozzle slips into its hook")
        head.hang_up(self._yard.now)

        def out() -> None:
            if head.nozzle_out is None:
                head.lift(nozzle, self._yard.now)
                self._yard.note_fault(f"fp {fp}", "nozzle out again")

        self._later(30, rng.choice([300, 3_000]), out)

    def meter(self, rng: Random) -> None:
        """A meter dies: the register tells something else than the totaliser for a while."""
        fp = self._any(rng)
        off = 10 * rng.choice([1, -1, rng.randint(-50, 50)])
        self._yard.register_lies(fp, off)
        self._later(20_000, 300_000, lambda: self._yard.register_lies(fp, 0))
