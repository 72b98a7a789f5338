"""A technician who walks the fuelling points: does what he is told, reads the displays, and makes the slips that he is told to make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from tests.behaviour.world import Release

RELEASE_WAIT_MS = 20_000
READ_MS = 1_000


class Pumps(Protocol):
    """What a world lets him do and see."""

    def wait(self, until: Any, at_most_ms: int) -> bool: ...
    def lift(self, fp: int, nozzle: int) -> None: ...
    def flow(self, fp: int, volume_ml: int) -> None: ...
    def hang_up(self, fp: int) -> None: ...
    def release(self, fp: int) -> Release | None: ...
    def emergency_stop(self, pressed: bool) -> None: ...
    def head_price(self, fp: int, nozzle: int) -> int | None: ...
    def display(self, fp: int) -> tuple[int, int]: ...


class Walker:
    """``slips``: a question's name to another answer than the honest one, or ``fp 1 nozzle 1 lift`` to the nozzle that he takes instead."""

    def __init__(self, pumps: Pumps, slips: Mapping[str, str]) -> None:
        self.pumps = pumps
        self.slips = slips
        self._pressed = False
        self._read = {"volume": "", "amount": ""}
        self.asked: list[str] = []

    def do(self, said: Mapping[str, Any]) -> None:
        """One instruction: ``do`` names it."""
        act, fp, nozzle = said["do"], said["fp"], said["nozzle"]
        if act == "lift":
            self.pumps.lift(fp, int(self.slips.get(f"fp {fp} nozzle {nozzle} lift", nozzle)))
        elif act == "deliver":
            self._deliver(fp, said["volume_ml"])
        elif act == "hang up":
            self.pumps.hang_up(fp)
        else:
            self._pressed = act == "press the emergency stop"
            self.pumps.emergency_stop(self._pressed)

    def _deliver(self, fp: int, volume_ml: int) -> None:
        if self.pumps.wait(lambda: self.pumps.release(fp) is not None, RELEASE_WAIT_MS):
            self.pumps.flow(fp, volume_ml + 1_000)
        self.pumps.wait(lambda: self.pumps.release(fp) is None, READ_MS)
        filled_ml, amount_minor = self.pumps.display(fp)
        self._read = {"volume": _point(filled_ml, 3), "amount": _point(amount_minor, 2)}
        self.pumps.hang_up(fp)

    def answer(self, name: str) -> str:
        """What he says."""
        self.asked.append(name)
        if name in self.slips:
            return self.slips[name]
        if not name.startswith("fp "):
            return {"technician": "Meier", "date": "2026-03-29"}[name]
        _, fp, *rest = name.split(" ")
        match rest:
            case ["nozzle", nozzle, "price"]:
                return _point(self.pumps.head_price(int(fp), int(nozzle)) or 0, 4)
            case ["nozzle", _, "ready"]:
                return "yes"
            case ["nozzle", _, what]:
                return self._read[what]
            case ["emergency", "stop"]:
                return "yes" if self._pressed and self.pumps.release(int(fp)) is None else "no"
        raise KeyError(name)


def _point(value: int, decimals: int) -> str:
    return f"{value // 10**decimals}.{value % 10**decimals:0{decimals}d}"
