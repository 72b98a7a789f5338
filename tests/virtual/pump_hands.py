"""Hands at the pumps in virtual time, and what happens to pumps and their wires."""

from __future__ import annotations

from abc import ABC, abstractmethod
from random import Random

from drivers.events import EMERGENCY_STOP, SiteInputChanged
from hal_sim.dispensers.head import HeadState
from hal_sim.wire import FaultRates, Faults
from tests.behaviour.setup import Setup
from tests.behaviour.world import Amount, Release
from tests.virtual.forecourt import Forecourt
from tests.virtual.heap import Heap
from tests.virtual.terminal import VirtualTerminal
from tests.virtual.wires import WireKind

READ_MS = 100
NOISE_MS = 5_000
NOISE = FaultRates(drop=20_000, flip=150_000, duplicate=20_000, split=100_000, noise=150_000)
FLOW_LIMIT_MS = 3_600_000


class PumpHands(ABC):
    """The part of ``VirtualWorld`` that stands at the pumps."""

    setup: Setup
    station: Forecourt
    terminal: VirtualTerminal
    heap: Heap
    wire: WireKind | None
    _button_in = False

    @abstractmethod
    def pass_time(self, duration_ms: int) -> None:
        """See ``World.pass_time``."""

    def lift(self, fp: int, nozzle: int) -> None:
        """See ``World.lift``."""
        self.station.heads[fp].lift(nozzle, self.heap.now)

    def flow(self, fp: int, volume_ml: int) -> None:
        """See ``World.flow``."""
        head = self.station.heads[fp]
        if not head.valve_open:
            return
        head.squeeze(volume_ml, self.heap.now)
        self.heap.run_until(self.heap.now + FLOW_LIMIT_MS, lambda: not head.delivering)
        head.release_trigger(self.heap.now)

    def hang_up(self, fp: int) -> None:
        """See ``World.hang_up``."""
        self.station.heads[fp].hang_up(self.heap.now)

    def cut_line(self, fp: int) -> None:
        """See ``World.cut_line``."""
        self.station.position(fp).connected = False

    def restore_line(self, fp: int) -> None:
        """See ``World.restore_line``."""
        self.station.position(fp).connected = True

    def noise(self, fp: int) -> None:
        """See ``World.noise``."""
        line = self.station.lines[fp]
        line.wire.set_faults(Faults(NOISE, Random(f"down {fp}")), Faults(NOISE, Random(f"up {fp}")))  # noqa: S311 - a seeded fault

        def over() -> None:
            if self.wire is None:
                line.wire.set_faults(None, None)
            else:
                self.wire.restore(line)

        self.heap.after(NOISE_MS, over)

    def press_stop(self, fp: int) -> None:
        """See ``World.press_stop``."""
        self.station.heads[fp].press_stop(self.heap.now)

    def emergency_stop(self, pressed: bool) -> None:
        """See ``World.emergency_stop``."""
        for head in self.station.heads.values():
            head.emergency_stop(pressed, self.heap.now)
        if self.setup.emergency_input:
            self._button_in = pressed
            self.terminal.post(SiteInputChanged(EMERGENCY_STOP, pressed))
        self.pass_time(READ_MS)

    def look_at_button(self) -> None:
        """The terminal has started: the input's driver says how the contact stands."""
        if self.setup.emergency_input:
            self.terminal.post(SiteInputChanged(EMERGENCY_STOP, self._button_in))

    def head_habit(self, fp: int, habit: str) -> None:
        """See ``World.head_habit``."""
        setattr(self.station.heads[fp], habit, True)

    def live(self, fp: int) -> tuple[int, int]:
        """See ``World.live``."""
        engine = self.terminal.engine
        return (0, 0) if engine is None else (engine.site.points[fp].flowed_ml, engine.site.points[fp].flowed_minor)

    def head_alarm(self, fp: int, code: int) -> None:
        """See ``World.head_alarm``."""
        self.station.heads[fp].raise_alarm(code, self.heap.now)

    def dispense_unreleased(self, fp: int, nozzle: int, volume_ml: int) -> None:
        """See ``World.dispense_unreleased``."""
        self.station.heads[fp].dispense_locally(nozzle, volume_ml, self.heap.now)

    def exchange_head(self, fp: int) -> None:
        """See ``World.exchange_head``."""
        self.station.heads[fp].exchange(self.heap.now)

    def release(self, fp: int) -> Release | None:
        """See ``World.release``."""
        head = self.station.heads[fp]
        nozzle = head.nozzle_out
        if head.state not in (HeadState.AUTHORIZED, HeadState.FILLING) or nozzle is None:
            return None
        volume_ml, amount_minor = head.preset
        return Release(nozzle, Amount(volume_ml, amount_minor), head.prices[nozzle])
