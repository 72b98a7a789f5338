"""A master of an AZT line that does exactly what it is told, and heads to try it on."""

from __future__ import annotations

from dataclasses import dataclass

from hal_sim.dispensers import azt_codec as codec
from hal_sim.dispensers.azt import AztBus, AztHead, AztPosition, AztSettings
from hal_sim.dispensers.head import HeadOptions

ACK, CAN, NAK = "ACK", "CAN", "NAK"
SHORT = {bytes((codec.ACK,)): ACK, bytes((codec.CAN,)): CAN, bytes((codec.NAK,)): NAK}
PRICE = 450_000  # 45.00 a litre, as in the golden frames


@dataclass
class Hand:
    """A master that does exactly what it is told, one exchange at a time."""

    bus: AztBus
    now: int = 0
    address: int = 1

    def exchange(self, wire: bytes) -> bytes:
        self.now += 50
        self.bus.on_bytes(wire, self.now)
        answers = self.bus.take_output()
        assert all(at == self.now + self.bus.answer_delay_ms for at, _ in answers)
        return b"".join(data for _, data in answers)

    def ask(self, command: str, data: str = "", address: int | None = None) -> str:
        """The answer's digits, or ACK, CAN, NAK; "" for silence."""
        wire = self.exchange(codec.request(address or self.address, ord(command), data.encode("ascii")))
        if len(wire) == 2:
            return SHORT[wire[1:]]
        if not wire:
            return ""
        assert wire == codec.answer(wire[2:-3:2])
        return wire[2:-3:2].decode("ascii")

    @property
    def status(self) -> str:
        return self.ask("1")

    def wait(self, ms: int) -> None:
        self.now += ms
        self.bus.on_time(self.now)


def make_head(nozzles: int = 1, **options: int) -> AztHead:
    numbers = range(1, nozzles + 1)
    made = HeadOptions(**options)  # type: ignore[arg-type]
    return AztHead({n: f"P{n}" for n in numbers}, dict.fromkeys(numbers, PRICE), options=made)


def make(head: AztHead | None = None, settings: AztSettings | None = None) -> tuple[Hand, AztHead]:
    head = head if head is not None else make_head()
    return Hand(AztBus([AztPosition({n: n for n in head.nozzles}, head, settings)])), head


def filled(hand: Hand, head: AztHead, volume_ml: int = 2_000, nozzle: int = 1) -> None:
    """A whole fill up to state 4."""
    assert hand.ask("T", "00500", nozzle) == ACK
    assert hand.ask("2", address=nozzle) == ACK
    head.lift(nozzle, hand.now)
    head.squeeze(volume_ml, hand.now)
    hand.wait(60_000)
    head.hang_up(hand.now)
    assert hand.ask("1", address=nozzle) == "40"


def in_state(state: str) -> tuple[Hand, AztHead]:
    hand, head = make()
    if state == "1":
        head.lift(1, hand.now)
    elif state == "8":
        head.enter_dose(1, 5_000, hand.now)
    elif state != "0":
        hand.ask("T", "00500")
        hand.ask("2")
        if state in "34":
            head.lift(1, hand.now)
        if state == "4":
            head.hang_up(hand.now)
    assert hand.status[0] == state
    return hand, head
