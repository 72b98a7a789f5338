"""Commands to a running forecourt: what people do, what breaks, and what can be seen. One JSON object in, one out.

The list with examples is in ``firmware_notes/rig.md``. A command that cannot be obeyed is answered with ``error`` and changes nothing;
an error never repeats a number or a key that was given. Commands that wait are answered when their condition is met or their time is over.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hal_sim.arguments import Arguments, Refused
from hal_sim.badge.catalogue import KINDS
from hal_sim.card_parts import CardCommands
from hal_sim.clock import monotonic_ms
from hal_sim.forecourt import KEY_STOP, Forecourt
from hal_sim.host import HostServer
from hal_sim.host_commands import HostCommands
from hal_sim.keypad.layout import codes_of
from hal_sim.keypad.testbed import InputFailed
from hal_sim.pump_commands import PumpCommands
from hal_sim.views import books_view, display_view, host_view, pictures_view, pump_view, pumps_view

Answer = dict[str, Any]
FARTHEST_NS = 4 * 10**18
LIST_PASSIVE = 0x4A  # the PN532's command that looks for badges
HOLD_MS = 700
"""How long a badge is held against the reader when nothing else is said: a person's touch."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An answer that comes later: ``look`` gives it, or None while there is none; at ``until`` (monotonic ms) it is an error."""

    look: Callable[[], Answer | None]
    until: int
    what: str


class Control:
    """Obeys commands on one forecourt. ``waiting`` is the command that is not answered yet; until then no further one is taken."""

    def __init__(self, forecourt: Forecourt) -> None:
        self._court = forecourt
        self._pumps = PumpCommands(forecourt.points)
        self.waiting: Waiting | None = None
        self._waiting_id: object = None
        self._commands: dict[str, Callable[[Arguments], Answer | Waiting]] = {
            **self._pumps.commands,
            "noise": self._noise,
            "emergency_stop": self._emergency_stop,
            "present": self._present,
            "remove": self._remove,
            "reader": self._reader,
            "keys": self._keys,
            "host": self._host,
            "wall_clock": self._wall_clock,
            "pass_time": self._pass_time,
            "pumps": self._shown(pumps_view),
            "display": self._shown(display_view),
            "pictures": self._pictures,
            "quiet": self._shown(lambda court: {"quiet": court.quiet()}),
            "host_books": self._host_books,
            "wait_flow": self._wait_flow,
            "wait_display": self._wait_display,
            "wait_quiet": self._wait_quiet,
            **CardCommands(forecourt.cards).commands,
            **HostCommands(self._server).commands,
        }

    # --- lines

    def obey(self, line: bytes) -> Answer | None:
        """Obey one line. None when the answer comes later, from ``later``."""
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            return {"error": "not JSON"}
        if not isinstance(fields, dict) or not isinstance(fields.get("do"), str):
            return {"error": 'a JSON object with "do" is expected, such as {"do":"pumps"}'}
        identity = fields.pop("id", None)
        command = self._commands.get(fields["do"])
        if command is None:
            return self._signed({"error": f"unknown command; known are {', '.join(self._commands)}"}, identity)
        try:
            answer = command(Arguments(fields))
        except (Refused, ValueError, KeyError) as error:
            return self._signed({"error": str(error)}, identity)
        if isinstance(answer, Waiting):
            self.waiting, self._waiting_id = answer, identity
            return self.later()
        return self._signed(answer, identity)

    def later(self) -> Answer | None:
        """The answer of the waiting command, once it is there."""
        if self.waiting is None:
            return None
        answer = self.waiting.look()
        if answer is None and monotonic_ms() >= self.waiting.until:
            answer = {"error": f"{self.waiting.what} did not happen in time"}
        if answer is None:
            return None
        self.waiting = None
        return self._signed(answer, self._waiting_id)

    @staticmethod
    def _signed(answer: Answer, identity: object) -> Answer:
        return answer if identity is None else {"id": identity} | answer

    # --- pumps

    def _noise(self, args: Arguments) -> Answer:
        point, on, ppm = self._pumps.point(args), args.flag("on"), args.whole("ppm", 50_000)
        args.nothing_else()
        self._court.set_noise(point.fp, on, ppm)
        return {"ok": True}

    def _emergency_stop(self, args: Arguments) -> Answer:
        """The hard-wired stop: every head at once, and the contact that tells of it where one is wired."""
        pressed = args.flag("pressed")
        args.nothing_else()
        for point in self._court.points.values():
            point.head.emergency_stop(pressed, monotonic_ms())
        if self._court.button is not None:
            try:
                self._court.button.hold(KEY_STOP, pressed)
            except InputFailed as error:
                raise Refused(f"emergency_stop: {error}") from error
        return {"ok": True}

    # --- people at the terminal

    def _present(self, args: Arguments) -> Answer:
        reader = self._court.reader
        if reader is None:
            raise Refused("present: there is no badge reader")
        medium, number = args.text("medium", "badge"), args.text("number")
        hold_ms = None if args.flag("stays", False) else args.whole("hold_ms", HOLD_MS, low=1)
        kind = args.text("tag", "auto")
        args.nothing_else()
        if medium != "badge" or kind not in KINDS:
            raise Refused(f'present: the medium is "badge", the tag one of {", ".join(KINDS)}')
        reader.present(self._court.badges.make(number, kind), monotonic_ms(), hold_ms)
        return {"ok": True, "held": len(reader.tags)}

    def _remove(self, args: Arguments) -> Answer:
        args.nothing_else()
        return {"ok": True, "removed": 0 if self._court.reader is None else self._court.reader.remove()}

    def _reader(self, args: Arguments) -> Answer:
        reader, port = self._court.reader, self._court.reader_port
        if reader is None or port is None:
            raise Refused("reader: there is no badge reader")
        mute = args.flag("mute", reader.mute)
        stuck = args.flag("stuck", port.stuck)
        tear_after = args.whole("tear_after") if args.has("tear_after") else None
        cycle = args.flag("power_cycle", False)
        args.nothing_else()
        reader.mute = mute
        port.stick(stuck)
        if tear_after is not None:
            reader.tear_after(tear_after)
        if cycle:
            reader.power_cycle()
        return {
            "ok": True,
            "mute": reader.mute,
            "stuck": port.stuck,
            "baud": reader.baud,
            "field": reader.field_on,
            "looks": reader.commands.count(LIST_PASSIVE),
        }

    def _keys(self, args: Arguments) -> Answer:
        keypad = self._court.keypad
        if keypad is None:
            raise Refused("keys: there is no keypad")
        codes = codes_of(args.texts("keys"), self._court.keypad_layout)
        args.nothing_else()
        try:
            keypad.press(codes)
        except InputFailed as error:
            raise Refused(f"keys: {error}") from error
        return {"ok": True, "pressed": len(codes)}

    # --- the host

    def _server(self) -> HostServer:
        if self._court.server is None:
            raise Refused("there is no host in this scenario")
        return self._court.server

    def _host(self, args: Arguments) -> Answer:
        server, faults = self._server(), self._server().faults
        if args.empty:
            return host_view(server)
        restore = args.flag("restore", False)
        reachable = args.flag("reachable", server.reachable)
        delay_ms, before_ms = args.whole("delay_ms", faults.delay_ms), args.whole("delay_before_ms", faults.delay_before_ms)
        drip_ms = args.whole("drip_ms", faults.drip_ms)
        lose, broken = args.flag("lose_answers", faults.lose_answers), args.flag("status_500", faults.always_500)
        garbage, busy = args.flag("garbage", faults.garbage), args.flag("busy", server.book.busy)
        args.nothing_else()
        if restore:
            server.restore()
            server.book.busy = False
        else:
            faults.delay_ms, faults.delay_before_ms, faults.drip_ms = delay_ms, before_ms, drip_ms
            faults.lose_answers, faults.always_500, faults.garbage = lose, broken, garbage
            server.book.busy = busy
            server.set_reachable(reachable)
        return {"ok": True, "url": server.url, "reachable": server.reachable}

    # --- clocks

    def _wall_clock(self, args: Arguments) -> Answer:
        offset_ns = args.whole("offset_ns", low=-FARTHEST_NS, high=FARTHEST_NS)
        args.nothing_else()
        self._court.set_wall_offset(offset_ns)
        return {"ok": True}

    def _pass_time(self, args: Arguments) -> Answer:
        by_ms = args.whole("ms")
        args.nothing_else()
        self._court.pass_time(by_ms)
        return {"ok": True}

    # --- what can be seen

    def _shown(self, view: Callable[[Forecourt], Answer]) -> Callable[[Arguments], Answer]:
        def look(args: Arguments) -> Answer:
            args.nothing_else()
            return view(self._court)

        return look

    def _pictures(self, args: Arguments) -> Answer:
        since = args.whole("since", 0)
        args.nothing_else()
        return pictures_view(self._court, since)

    def _host_books(self, args: Arguments) -> Answer:
        args.nothing_else()
        return books_view(self._court, self._server())

    # --- waiting

    def _wait_flow(self, args: Arguments) -> Waiting:
        point, volume_ml = self._pumps.point(args), args.whole("volume_ml", 1)
        until = monotonic_ms() + args.whole("timeout_ms", 10_000)
        args.nothing_else()

        def look() -> Answer | None:
            seen = pump_view(point)
            return {"ok": True, "pump": seen} if seen["fill_ml"] >= volume_ml else None

        return Waiting(look, until, "that much flow")

    def _wait_display(self, args: Arguments) -> Waiting:
        text = args.text("contains")
        until = monotonic_ms() + args.whole("timeout_ms", 10_000)
        args.nothing_else()

        def look() -> Answer | None:
            seen = display_view(self._court)
            joined = " ".join(" ".join(seen["lines"]).split())  # however it is laid out on the four lines
            return {"ok": True} | seen if text in joined or any(text in line for line in seen["lines"]) else None

        return Waiting(look, until, "that text on the display")

    def _wait_quiet(self, args: Arguments) -> Waiting:
        until = monotonic_ms() + args.whole("timeout_ms", 10_000)
        args.nothing_else()
        return Waiting(lambda: {"ok": True, "quiet": True} if self._court.quiet() else None, until, "quiet")
