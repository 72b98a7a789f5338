"""Hands at the rig's pumps, and what happens to pumps and their wires: over the forecourt's pipe."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from tests.behaviour.world import Amount, Release
from tests.rig.forecourt_client import ForecourtClient
from tests.rig.process import TerminalProcess

NOISE_MS = 5_000
NOISE_PPM = 150_000


class PumpHands(ABC):
    """The part of ``RigWorld`` that stands at the pumps."""

    _forecourt: ForecourtClient
    _terminal: TerminalProcess
    _noise: dict[int, float]

    @abstractmethod
    def wait(self, until: Callable[[], bool], at_most_ms: int) -> bool:
        """See ``World.wait``."""

    def lift(self, fp: int, nozzle: int) -> None:
        """See ``World.lift``."""
        self._forecourt.ask("lift", fp=fp, nozzle=nozzle)

    def flow(self, fp: int, volume_ml: int) -> None:
        """See ``World.flow``."""
        if self.release(fp) is None:
            return
        self._forecourt.do("squeeze", fp=fp, volume_ml=volume_ml)
        longest_ms = 5_000 + volume_ml  # ten litres a second, and a pump may be slow to begin
        self.wait(lambda: not self._pump(fp)["delivering"], longest_ms)
        self._forecourt.do("release", fp=fp)

    def hang_up(self, fp: int) -> None:
        """See ``World.hang_up``; an error says that no nozzle is out."""
        self._forecourt.ask("hang_up", fp=fp)

    def cut_line(self, fp: int) -> None:
        """See ``World.cut_line``."""
        self._forecourt.do("line", fp=fp, connected=False)

    def restore_line(self, fp: int) -> None:
        """See ``World.restore_line``."""
        self._forecourt.do("line", fp=fp, connected=True)

    def noise(self, fp: int) -> None:
        """See ``World.noise``."""
        self._forecourt.do("noise", fp=fp, on=True, ppm=NOISE_PPM)
        self._noise[fp] = time.monotonic() + NOISE_MS / 1000

    def press_stop(self, fp: int) -> None:
        """See ``World.press_stop``."""
        self._forecourt.do("stop", fp=fp)

    def emergency_stop(self, pressed: bool) -> None:
        """See ``World.emergency_stop``."""
        self._forecourt.do("emergency_stop", pressed=pressed)

    def head_habit(self, fp: int, habit: str) -> None:
        """See ``World.head_habit``."""
        self._forecourt.do("habit", fp=fp, name=habit)

    def live(self, fp: int) -> tuple[int, int]:
        """See ``World.live``."""
        status = self._terminal.status()
        points = [] if status is None else status.get("fuelling_points", [])
        return next(((int(each["volume_ml"]), int(each["amount_minor"])) for each in points if each["fp"] == fp), (0, 0))

    def head_alarm(self, fp: int, code: int) -> None:
        """See ``World.head_alarm``."""
        self._forecourt.do("alarm", fp=fp, code=code)

    def dispense_unreleased(self, fp: int, nozzle: int, volume_ml: int) -> None:
        """See ``World.dispense_unreleased``."""
        self._forecourt.do("take", fp=fp, nozzle=nozzle, volume_ml=volume_ml)

    def exchange_head(self, fp: int) -> None:
        """See ``World.exchange_head``."""
        self._forecourt.do("exchange", fp=fp)

    def release(self, fp: int) -> Release | None:
        """See ``World.release``."""
        pump = self._pump(fp)
        nozzle = pump["nozzle"]
        if pump["state"] not in ("authorized", "filling") or nozzle is None:
            return None
        return Release(nozzle, Amount(pump["preset"]["volume_ml"], pump["preset"]["amount_minor"]), pump["prices"][str(nozzle)])

    def _pump(self, fp: int) -> dict[str, Any]:
        found: dict[str, Any] = next(pump for pump in self._forecourt.do("pumps")["pumps"] if pump["fp"] == fp)
        return found
