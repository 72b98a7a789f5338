"""An AZT 2.0 line with several heads on it, from the dispensers' side.

Line rules: ``firmware_notes/azt.md`` and the project's protocol fact sheet 3. A head answers to its own addresses alone, never to a
broadcast, and to nothing that is malformed. Masters of the field are tolerated: no lead-in or several, requests repeated, more data than
is known.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hal_sim.dispensers import azt_codec as codec
from hal_sim.dispensers.azt_head import AztHead
from hal_sim.dispensers.azt_pump import AztPosition, AztSettings

__all__ = ["ANSWER_DELAY_MS", "AztBus", "AztHead", "AztPosition", "AztSettings"]

ANSWER_DELAY_MS: Final = 10
"""``azt.md``, Timing; a head has 400 ms."""
_RESET_ALL = b"4"


class AztBus:
    """One RS-485 line (a ``hal_sim.wire.Device``). ``lead_in`` is put before every answer: turn-round noise of the transceivers.

    Raises ``ValueError`` when two positions share an address.
    """

    def __init__(self, positions: Iterable[AztPosition], *, answer_delay_ms: int = ANSWER_DELAY_MS) -> None:
        self.positions: dict[int, AztPosition] = {}
        self._nozzles: dict[int, int] = {}
        for position in positions:
            for nozzle, address in position.addresses.items():
                if address in self.positions:
                    raise ValueError(f"two positions at {address}")
                self.positions[address] = position
                self._nozzles[address] = nozzle
        self._unique = tuple(dict.fromkeys(self.positions.values()))
        self._asks_status = {codec.request(address, ord("1")): address for address in self.positions}
        self.answer_delay_ms = answer_delay_ms
        self.lead_in = b""
        self._reader = codec.RequestReader()
        self._output: list[tuple[int, bytes]] = []

    @property
    def rejected(self) -> int:
        """What began like a request and was none: bad check byte, torn, noise."""
        return self._reader.rejected

    def on_bytes(self, data: bytes, now: int) -> None:
        """Bytes of the master that arrived at ``now`` (ms); answers start ``answer_delay_ms`` later."""
        for request in self._reader.feed(data, now):
            if request.address is None:
                self._broadcast(request, now)
                continue
            position = self.positions.get(request.address)
            if position is not None and not position.silent:
                answer = position.obey(self._nozzles[request.address], request, now)
                self._output.append((now + self.answer_delay_ms, self.lead_in + answer))

    def _broadcast(self, request: codec.Request, now: int) -> None:
        """To all, and nobody answers. The network number (code 5D) sets nothing here."""
        if request.command == ord("W") and request.data[:1] == _RESET_ALL:
            for position in self._unique:
                if not position.silent:
                    position.head.advance(now)
                    position.reset_all(now)

    def on_time(self, now: int) -> None:
        """Let every head live up to ``now`` (ms)."""
        for position in self._unique:
            position.head.advance(now)

    def next_wakeup(self) -> int | None:
        """When the next head changes by itself, or None."""
        earliest: int | None = None
        for position in self._unique:
            at = position.head.next_change()
            if at is not None and (earliest is None or at < earliest):
                earliest = at
        return earliest

    def take_output(self) -> list[tuple[int, bytes]]:
        """Answers, each once: (instant at which it starts, bytes)."""
        taken, self._output = self._output, []
        return taken

    # skipping idle polls in virtual time, as ``DartBus`` has it

    def idle_answer(self, address: int) -> bytes | None:
        """The status, when that is what the master heard last and will hear as long as no head changes; else None."""
        position = self.positions.get(address)
        if position is None or position.silent or self.lead_in or not self._reader.idle or position.can_next or position.has_something:
            return None
        return position.status_answer(self._nozzles[address])

    def idle_poll(self, data: bytes) -> bytes | None:
        """``idle_answer`` to these bytes, when they are a whole status request and nothing else."""
        address = self._asks_status.get(data)
        return None if address is None else self.idle_answer(address)

    def quiet_until(self, now: int) -> int | None:
        """From when on a status may be another one than was heard last, if nobody commands and nobody touches a head.

        None: never. ``now``: already, which includes a position that does not answer at all.
        """
        earliest: int | None = None
        for position in self._unique:
            if position.silent or position.can_next or position.has_something:
                return now
            at = position.head.next_change()
            if at is not None:
                if at <= now:
                    return now
                if earliest is None or at < earliest:
                    earliest = at
        return earliest
