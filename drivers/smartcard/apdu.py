"""Command and response APDUs of ISO/IEC 7816-4, and what a card's 61xx and 6Cxx ask for: sans-IO, no reader needed.

Sources: ISO/IEC 7816-3 (T=0, case 4), ISO/IEC 7816-4 sections 5.1 to 5.3 (short APDUs, GET RESPONSE, status bytes);
reference/security-and-reliability.md 3 (limits). Cards are hostile until proven: whatever is out of shape raises ``ApduError``, which never
carries data of the card.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ANSWER_MAX = 258
"""Bytes of the longest short response: 256 and two of status."""

GET_RESPONSE_MAX = 10
"""How often one command may be followed by GET RESPONSE."""

_GET_RESPONSE = 0xC0
_CHANNEL = 0x03


class ApduError(Exception):
    """The command cannot be written or the card answers out of shape. The text carries no data."""


@dataclass(frozen=True, slots=True)
class Command:
    """One short command APDU. ``le`` is the number of bytes wanted, 1 to 256, or None for none."""

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = field(default=b"", repr=False)
    le: int | None = None

    def encode(self, t0: bool = False) -> bytes:
        """The bytes to send; over T=0 a command with data goes without its Le (7816-3 case 4). Raises ``ApduError``."""
        if any(not 0 <= byte <= 0xFF for byte in (self.cla, self.ins, self.p1, self.p2)):
            raise ApduError("a header byte is no byte")
        if len(self.data) > 0xFF or (self.le is not None and not 1 <= self.le <= 0x100):
            raise ApduError("too long for a short command")
        body = bytes((len(self.data),)) + self.data if self.data else b""
        wanted = b"" if self.le is None or (t0 and self.data) else bytes((self.le & 0xFF,))
        if t0 and not body and not wanted:
            wanted = b"\x00"  # T=0 always has a P3.
        return bytes((self.cla, self.ins, self.p1, self.p2)) + body + wanted


@dataclass(frozen=True, slots=True)
class Response:
    """What a card answered."""

    data: bytes = field(repr=False)
    sw1: int
    sw2: int

    @property
    def status(self) -> int:
        """Both status bytes as one number, 0x9000 for success."""
        return self.sw1 << 8 | self.sw2


def parse_response(answer: bytes) -> Response:
    """Raises ``ApduError`` when there are no status bytes or more than a short response can hold."""
    if not 2 <= len(answer) <= ANSWER_MAX:
        raise ApduError("an answer of impossible length")
    sw1, sw2 = answer[-2:]
    if sw1 >> 4 not in (0x6, 0x9) or sw1 == 0x60:
        raise ApduError("no status at the end of the answer")
    return Response(bytes(answer[:-2]), sw1, sw2)


@dataclass(frozen=True, slots=True)
class Send:
    """Send this to the card and hand back what it answers."""

    apdu: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Done:
    """The conversation is over. ``data`` is everything that the card said, ``status`` its last word."""

    data: bytes = field(repr=False)
    status: int


Step = Send | Done


class Exchange:
    """One command up to its last answer: follows 61xx with GET RESPONSE and repeats once with the length that 6Cxx names.

    ``start`` gives the first bytes to send, ``receive`` takes each answer. Raises ``ApduError`` for an answer out of shape and for a card
    that never comes to an end.
    """

    def __init__(self, command: Command, t0: bool = False) -> None:
        self._command = command
        self._t0 = t0
        self._data = bytearray()
        self._rounds = 0
        self._corrected = False
        self._waiting = False

    def start(self) -> Send:
        """The command itself."""
        if self._waiting or self._rounds:
            raise ApduError("one exchange is one command")
        self._waiting = True
        return Send(self._command.encode(self._t0))

    def receive(self, answer: bytes) -> Step:
        """The next thing to do after this answer."""
        if not self._waiting:
            raise ApduError("an answer to nothing")
        self._waiting = False
        response = parse_response(answer)
        if response.sw1 == 0x6C and not self._rounds:
            return self._again(response)
        self._data += response.data
        if response.sw1 == 0x61:
            return self._more(response)
        return Done(bytes(self._data), response.status)

    def _again(self, response: Response) -> Send:
        if self._corrected or response.data:
            raise ApduError("the card keeps naming another length")
        self._corrected = True
        self._waiting = True
        command = self._command
        return Send(Command(command.cla, command.ins, command.p1, command.p2, command.data, response.sw2 or 0x100).encode(self._t0))

    def _more(self, response: Response) -> Send:
        self._rounds += 1
        if self._rounds > GET_RESPONSE_MAX:
            raise ApduError("the card's answer has no end")
        self._waiting = True
        return Send(Command(self._command.cla & _CHANNEL, _GET_RESPONSE, 0, 0, le=response.sw2 or 0x100).encode(self._t0))


def select(name: bytes, next_one: bool = False) -> Command:
    """SELECT a DF by its name (AID, 5 to 16 bytes; a fleet's own may be shorter, down to 1), answer wanted. Raises ``ApduError``."""
    if not 1 <= len(name) <= 16:
        raise ApduError("a DF name has 1 to 16 bytes")
    return Command(0x00, 0xA4, 0x04, 0x02 if next_one else 0x00, bytes(name), 0x100)
