"""Listening to a DART line that others speak on (firmware_notes/dart.md, Frames)."""

from __future__ import annotations

from drivers.dispenser.dart import codec, frames
from drivers.dispenser.protocol import Heard


class DartEar:
    """As ``AztEar``, of a DART line."""

    def __init__(self) -> None:
        self._decoder = codec.Decoder()

    def hear(self, data: bytes, t_ms: int) -> list[Heard]:
        """What these bytes completed."""
        return [_dart_heard(item, t_ms) for item in self._decoder.receive(data)]

    def silence(self, t_ms: int) -> list[Heard]:
        """The line has been silent: what had begun is given up."""
        noise = self._decoder.flush()
        return [] if noise is None else [_dart_heard(noise, t_ms)]


def _dart_heard(item: frames.Frame | frames.Noise, t_ms: int) -> Heard:
    match item:
        case frames.Noise(count):
            return Heard(t_ms, "", f"noise, {count} bytes")
        case frames.Data(address, number, transactions, rest):
            parts = [f"{each.code:02X}({_hex(each.data)})" for each in transactions] + ([f"and {_hex(rest)}"] if rest else [])
            says = f"{address:02X}: data {number}: {' '.join(parts)}"
        case frames.Poll(address) | frames.Restart(address):
            says = f"{address:02X}: {type(item).__name__.lower()}"
        case _:
            says = f"{item.address:02X}: {type(item).__name__.lower()} {item.number}"
    return Heard(t_ms, _hex(codec.encode(item)), says, isinstance(item, frames.Poll | frames.Eot))


def _hex(data: bytes) -> str:
    return data.hex(" ").upper()
