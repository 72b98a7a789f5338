"""The same wire with a short way for what nearly always happens: one clean transmission, one clean answer, nothing else meanwhile."""

from __future__ import annotations

from typing import Any

from hal_sim.dispensers.dart import DartBus
from hal_sim.wire import LineRate, Wire

POLL_BYTES = 3
POLL = 0x20


class QuickWire(Wire):
    """Instants and effects are those of ``Wire``; only the detour over its queues is left out."""

    def __init__(self, bus: Any, rate: LineRate | None = None) -> None:
        super().__init__(bus, rate)
        self._bus = bus

    @property
    def disturbed(self) -> bool:
        """Not every transmission arrives as it was sent."""
        return self.cut or self._down.faults is not None or self._up.faults is not None

    def reckoned(self, data: bytes, reply: bytes | None, sent: int, until: int) -> tuple[int, bytes] | None:
        """An idle poll of the past: its answer and when it was here. None: there is none, or it is still on its way at ``until``."""
        down, up = self._down, self._up
        heard = sent + down.duration_ms(len(data))
        if heard >= until:
            self.send(data, sent)
            return None
        down.busy_until = heard
        if reply is None:
            return None
        here = up.busy_until = heard + self._bus.answer_delay_ms + up.duration_ms(len(reply))
        if here >= until:
            up.arrivals.append((here, reply))
            return None
        return here, reply

    def idle_poll(self, data: bytes, now: int, until: int) -> tuple[int, bytes] | None:
        """The usual answer to a poll and when it is here, when nothing else can happen before; None: it must go the long way."""
        down, up = self._down, self._up
        if self.cut or down.arrivals or up.arrivals or down.faults is not None or up.faults is not None or down.busy_until > now:
            return None
        answer = self._idle_answer(data)
        if answer is None:
            return None
        sent = now + down.duration_ms(len(data))
        arrives = sent + self._bus.answer_delay_ms + up.duration_ms(len(answer))
        waking = self._bus.next_wakeup()
        if arrives >= until or (waking is not None and waking <= arrives):
            return None
        down.busy_until, up.busy_until = sent, arrives
        return arrives, answer

    def _idle_answer(self, data: bytes) -> bytes | None:
        """What these bytes are answered with as long as nothing changes; None where they are no poll, or the answer is news."""
        bus = self._bus
        if not isinstance(bus, DartBus):
            answer: bytes | None = bus.idle_poll(data)
            return answer
        return bus.idle_answer(data[0]) if len(data) == POLL_BYTES and data[1] == POLL else None

    def next_event(self) -> int | None:
        """See ``Wire.next_event``."""
        due = self.device.next_wakeup()
        for direction in (self._down, self._up):
            if direction.arrivals and (due is None or direction.arrivals[0][0] < due):
                due = direction.arrivals[0][0]
        return due

    def send_alone(self, data: bytes, now: int, until: int) -> int | None:
        """Send; when it will arrive, if nothing else happens before that, else None."""
        self.send(data, now)
        down = self._down
        if self.cut or down.faults is not None or len(down.arrivals) != 1 or self._up.arrivals:
            return None
        arrives = down.arrivals[0][0]
        waking = self.device.next_wakeup()
        return None if arrives >= until or (waking is not None and waking <= arrives) else arrives

    def arrive(self) -> None:
        """Let the device have what was sent alone."""
        at, data = self._down.arrivals.popleft()
        self.device.on_bytes(data, at)
        self._collect()

    def answer(self, until: int) -> tuple[int, bytes] | None:
        """Take the one answer that is on its way, if nothing happens before it arrives; else None, and it stays on its way."""
        arrivals = self._up.arrivals
        if len(arrivals) != 1 or arrivals[0][0] >= until:
            return None
        waking = self.device.next_wakeup()
        return None if waking is not None and waking <= arrivals[0][0] else arrivals.popleft()
