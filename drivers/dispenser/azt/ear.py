"""Listening to an AZT line that others speak on (firmware_notes/azt.md, Frames)."""

from __future__ import annotations

from drivers.dispenser.azt import codec, frames
from drivers.dispenser.protocol import Heard


class AztEar:
    """Bytes of an AZT line in, what they say out. ``t_ms`` are milliseconds since listening began."""

    def __init__(self) -> None:
        self._decoder = codec.Decoder()
        self._asked: frames.Request | None = None

    def hear(self, data: bytes, t_ms: int) -> list[Heard]:
        """What these bytes completed."""
        return [self._heard(item, t_ms) for item in self._decoder.receive(data)]

    def silence(self, t_ms: int) -> list[Heard]:
        """The line has been silent: what had begun is given up."""
        rest = self._decoder.flush()
        return [] if rest is None else [self._heard(rest, t_ms)]

    def _heard(self, item: frames.Frame | frames.Noise, t_ms: int) -> Heard:
        match item:
            case frames.Noise(count):
                return Heard(t_ms, "", f"noise, {count} bytes")
            case frames.Request(address, command, data):
                self._asked = item
                says = f"to {address}: {_azt_name(command)}" + (f" {data.decode('ascii')}" if data else "")
            case frames.Answer(data):
                # An answer carries no address: it is of whoever was asked last.
                says = f"{self._of()}{data.decode('ascii')}"
            case frames.Short(word):
                says = f"{self._of()}{word.name}"
        idle = self._asked is not None and self._asked.command == frames.Command.STATUS.value
        return Heard(t_ms, codec.encode(item).hex(" ").upper(), says, idle)

    def _of(self) -> str:
        asked = self._asked
        return "from ?: " if asked is None else f"from {asked.address}, {_azt_name(asked.command)}: "


def _azt_name(command: int) -> str:
    try:
        return frames.Command(command).name.lower().replace("_", " ")
    except ValueError:
        return f"command {command:02X}"
