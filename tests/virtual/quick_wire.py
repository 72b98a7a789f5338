"""The same wire with a short way for what nearly always happens: one clean transmission, one clean answer, nothing else meanwhile."""

from __future__ import annotations

from hal_sim.dispensers.dart import DartBus
from hal_sim.wire import Wire

POLL_BYTES = 3
POLL = 0x20


class QuickWire(Wire):
    """Instants and effects are those of ``Wire``; only the detour over its queues is left out."""

    def __init__(self, bus: DartBus) -> None:
        super().__init__(bus)
        self._bus = bus
        self._trip_ms = self._down.duration_ms(POLL_BYTES)

    def idle_poll(self, data: bytes, now: int, until: int) -> tuple[int, bytes] | None:
        """The EOT to a poll and when it is here, when nothing else can happen before; None: it must go the long way."""
        down, up = self._down, self._up
        if len(data) != POLL_BYTES or data[1] != POLL or self.cut or down.arrivals or up.arrivals:
            return None
        if down.faults is not None or up.faults is not None or down.busy_until > now:
            return None
        answer = self._bus.idle_answer(data[0])
        sent = now + self._trip_ms
        arrives = sent + self._bus.answer_delay_ms + self._trip_ms
        waking = self._bus.next_wakeup()
        if answer is None or arrives >= until or (waking is not None and waking <= arrives):
            return None
        down.busy_until, up.busy_until = sent, arrives
        return arrives, answer

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
