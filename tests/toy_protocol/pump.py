"""The toy's heads, from the dispensers' side: the emulated head of ``hal_sim`` behind the toy's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hal_sim.dispensers.head import Head, HeadOptions
from hal_sim.wire import LineRate
from tests.toy_protocol.wire import Decoder, encode
from tests.virtual.pumps import Emulated

RATE = LineRate(9600, 10)


class ToyPump:
    """One head at one address. ``connected`` False is a cut drop."""

    def __init__(self, address: int, head: Head) -> None:
        self.address = address
        self.head = head
        self.connected = True

    @property
    def silent(self) -> bool:
        """Nothing is answered."""
        return not self.connected or not self.head.powered

    @property
    def has_something(self) -> bool:
        """It speaks only when it is asked."""
        return False

    def answer(self, said: tuple[str, ...], now: int) -> bytes:
        """To one request."""
        head = self.head
        head.advance(now)
        match said:
            case ("S",):
                out = head.nozzle_out or 0
                reply: tuple[object, ...] = ("S", int(head.state), out, head.prices.get(out, 0), head.fill_ml(now), head.fill_minor(now))
            case ("F",):
                reply = ("F", head.fill_ml(now), head.fill_minor(now))
            case ("T", nozzle):
                reply = ("T", nozzle, head.total_ml(int(nozzle), now))
            case ("Q",):
                reply = ("Q", *(head.prices.get(nozzle, 0) for nozzle in head.nozzles))
            case _:
                reply = ("K",) if self._obey(said, now) else ("N",)
        return encode(self.address, *reply)

    def _obey(self, said: tuple[str, ...], now: int) -> bool:
        head = self.head
        match said:
            case ("R", nozzle, volume_ml, amount_minor):
                head.set_allowed((int(nozzle),), now)
                return head.set_preset(int(volume_ml), int(amount_minor), now) and head.authorize(now)
            case ("H",):
                return head.stop(now)
            case ("C",):
                return head.reset(now)
            case ("P", *prices):
                return head.set_prices(map(int, prices), now)
            case _:
                return False


class ToyBus:
    """A line of them (``hal_sim.wire.Device``)."""

    answer_delay_ms = 5
    lead_in = b""

    def __init__(self, pumps: list[ToyPump]) -> None:
        self.positions = {pump.address: pump for pump in pumps}
        self._decoder = Decoder()
        self._output: list[tuple[int, bytes]] = []

    def on_bytes(self, data: bytes, now: int) -> None:
        """A request, or several."""
        for words in self._decoder.receive(data):
            pump = self.positions.get(words.address)
            if pump is not None and not pump.silent:
                self._output.append((now + self.answer_delay_ms, pump.answer(words.said, now)))

    def on_time(self, now: int) -> None:
        """Let every head live up to now."""
        for pump in self.positions.values():
            pump.head.advance(now)

    def next_wakeup(self) -> int | None:
        """When the next head changes by itself."""
        return min((at for pump in self.positions.values() if (at := pump.head.next_change()) is not None), default=None)

    def take_output(self) -> list[tuple[int, bytes]]:
        """Answers, each once."""
        taken, self._output = self._output, []
        return taken

    def idle_answer(self, address: int) -> bytes | None:
        """Never certain."""
        return None

    def idle_poll(self, data: bytes) -> bytes | None:
        """No short way."""
        return None

    def quiet_until(self, now: int) -> int | None:
        """Nothing is skipped."""
        return now


def emulate(points: Mapping[int, list[Mapping[str, Any]]], options: HeadOptions) -> Emulated:
    """The heads of a scenario's points, at addresses 1, 2, …"""
    heads = {
        fp: Head({row["nozzle"]: row["product"] for row in rows}, {row["nozzle"]: row["price"] for row in rows}, options=options)
        for fp, rows in points.items()
    }
    addresses = {fp: place for place, fp in enumerate(points, start=1)}
    return Emulated(ToyBus([ToyPump(addresses[fp], head) for fp, head in heads.items()]), heads, addresses, RATE)
