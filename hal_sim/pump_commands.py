"""What people do at a pump and what happens to it, as commands: one object in, one out. Used by the forecourt and by a single dispenser.

The list with examples is in ``firmware_notes/rig.md``, "Commands". As in ``control``, a command that cannot be obeyed changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hal_sim.arguments import Arguments, Refused
from hal_sim.clock import monotonic_ms
from hal_sim.dispensers.azt import AztHead
from hal_sim.pump_lines import HABITS, Point

Answer = dict[str, Any]


class PumpCommands:
    """Obeys commands on pumps; ``points`` by number."""

    def __init__(self, points: dict[int, Point]) -> None:
        self._points = points
        self.commands: dict[str, Callable[[Arguments], Answer]] = {
            "lift": self._lift,
            "hang_up": self._simple(lambda point, now: point.head.hang_up(now)),
            "squeeze": self._squeeze,
            "release": self._simple(lambda point, now: point.head.release_trigger(now)),
            "stop": self._simple(lambda point, now: point.head.press_stop(now)),
            "alarm": self._alarm,
            "power": self._power,
            "exchange": self._simple(lambda point, now: point.head.exchange(now)),
            "line": self._line,
            "habit": self._habit,
            "dose": self._dose,
            "take": self._take,
            "price_at_head": self._price_at_head,
        }

    def point(self, args: Arguments) -> Point:
        """The point that ``fp`` names. Raises Refused where there is none."""
        point = self._points.get(args.whole("fp"))
        if point is None:
            raise Refused(f"no such fuelling point; there are {', '.join(map(str, sorted(self._points)))}")
        return point

    def _simple(self, does: Callable[[Point, int], None]) -> Callable[[Arguments], Answer]:
        def obey(args: Arguments) -> Answer:
            point = self.point(args)
            args.nothing_else()
            does(point, monotonic_ms())
            return {"ok": True}

        return obey

    def _alarm(self, args: Arguments) -> Answer:
        """The head reports an alarm of its own (a DC5 code; AZT heads have no word for it)."""
        point, code = self.point(args), args.whole("code", low=1, high=255)
        args.nothing_else()
        point.head.raise_alarm(code, monotonic_ms())
        return {"ok": True}

    def _nozzle(self, point: Point, args: Arguments) -> int:
        nozzle = args.whole("nozzle")
        if nozzle not in point.products:
            raise Refused(f"there is no nozzle {nozzle}; there are {', '.join(map(str, sorted(point.products)))}")
        return nozzle

    def _lift(self, args: Arguments) -> Answer:
        point, nozzle = self.point(args), args.whole("nozzle")
        args.nothing_else()
        point.head.lift(nozzle, monotonic_ms())
        return {"ok": True}

    def _squeeze(self, args: Arguments) -> Answer:
        point, volume_ml = self.point(args), args.whole("volume_ml", low=1)
        args.nothing_else()
        point.head.squeeze(volume_ml, monotonic_ms())
        return {"ok": True}

    def _power(self, args: Arguments) -> Answer:
        point, on = self.point(args), args.flag("on")
        args.nothing_else()
        if on:
            point.head.power_on(monotonic_ms())
        else:
            point.head.power_off(monotonic_ms())
        return {"ok": True}

    def _line(self, args: Arguments) -> Answer:
        point, connected = self.point(args), args.flag("connected")
        args.nothing_else()
        point.position.connected = connected
        return {"ok": True}

    def _habit(self, args: Arguments) -> Answer:
        """Another, or a worse, head from now on."""
        point, name, on = self.point(args), args.text("name"), args.flag("on", True)
        args.nothing_else()
        known = [habit for habit in HABITS if hasattr(point.head, habit)]
        if name not in known:
            raise Refused(f"habit: name is one of {', '.join(known)}")
        setattr(point.head, name, on)
        return {"ok": True}

    def _dose(self, args: Arguments) -> Answer:
        """A person types a dose at the pump itself."""
        point = self.point(args)
        nozzle, volume_ml = self._nozzle(point, args), args.whole("volume_ml", low=1)
        args.nothing_else()
        if not isinstance(point.head, AztHead):
            raise Refused("dose: this dispenser has no keys")
        point.head.enter_dose(nozzle, volume_ml, monotonic_ms())
        return {"ok": True}

    def _price_at_head(self, args: Arguments) -> Answer:
        """A person changes a price at the pump itself."""
        point = self.point(args)
        nozzle, price = self._nozzle(point, args), args.whole("price", high=999_999_999)
        args.nothing_else()
        point.head.price_at_head(nozzle, price, monotonic_ms())
        return {"ok": True}

    def _take(self, args: Arguments) -> Answer:
        """Fuel leaves without any release."""
        point = self.point(args)
        nozzle, volume_ml = self._nozzle(point, args), args.whole("volume_ml", low=1)
        args.nothing_else()
        point.head.dispense_locally(nozzle, volume_ml, monotonic_ms())
        return {"ok": True}
