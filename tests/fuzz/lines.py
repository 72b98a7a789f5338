"""What pump heads may say: bytes for the codecs, and whole conversations with a line master that was never told to authorize.

Whatever comes, a master without ``AuthorizeFuellingPoint`` sends no release: that is looked for in the bytes, by readers written apart.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from drivers.commands import ConfirmFill, PumpCommand, ReadFill, ReadTotal, SetPrices, StopFuellingPoint
from drivers.dispenser.azt import codec as azt
from drivers.dispenser.azt import frames as azt_frames
from drivers.dispenser.azt.line import AztLine
from drivers.dispenser.azt.profile import PositionProfile as AztPosition
from drivers.dispenser.dart import codec as dart
from drivers.dispenser.dart import frames as dart_frames
from drivers.dispenser.dart.line import DartLine
from drivers.dispenser.dart.profile import PositionProfile as DartPosition
from tests.drivers.azt_bench import Hose, long_answer, request_of
from tests.drivers.dart_bench import Head
from tests.fuzz.surface import Script, Surface, demand, golden, junk, mutated

WIRES = {name: [bytes.fromhex(row["wire"]) for row in golden(f"{name}.frames.toml")["frame"]] for name in ("dart", "azt")}
COMMANDS: tuple[PumpCommand, ...] = (StopFuellingPoint(1), ReadFill(1), ReadTotal(1, 1), ConfirmFill(1), SetPrices(1, (17290,)))
STEPS = 48
"""Longest conversation, in steps of its script."""
DART_AUTHORIZE, AZT_AUTHORIZE, AZT_UNCONDITIONAL = b"\x06", "2", "V"


# --- codecs -----------------------------------------------------------------------------------------------------------------------


def wires(name: str) -> Callable[[Random], bytes]:
    """Golden frames one behind the other, changed; the first byte says how they are cut."""
    good, words = WIRES[name], (b"\xfa", b"\x10\xfa", b"\x03\xfa", b"\x7f\x02", b"\x03\x03", b"\x7f", b"\x50\x30", b"\x01" * 600)

    def make(dice: Random) -> bytes:
        frames = b"".join(dice.choice(good) for _ in range(dice.choice((1, 2, 3))))
        return bytes((dice.randrange(256),)) + (mutated(dice, frames, words) if dice.random() < 0.9 else junk(dice, 200))

    return make


def _cut(data: bytes) -> list[bytes]:
    size = 1 + data[0] % 40 if data else 1
    return [data[at : at + size] for at in range(1, len(data), size)]


def dart_bytes(data: bytes) -> bool:
    """Frames do not depend on the pieces, are held within bounds, and written again are the same."""
    whole, cut = dart.Decoder(), dart.Decoder()
    at_once: list[object] = [*whole.receive(data[1:]), whole.flush()]
    by_pieces: list[object] = []
    for piece in _cut(data):
        by_pieces += cut.receive(piece)
        demand(cut.pending <= dart.MAX_FRAME + len(piece), "more is held than the longest frame")
    by_pieces.append(cut.flush())
    demand(at_once == by_pieces, "the frames depend on the pieces")
    frames = [item for item in at_once if item is not None and not isinstance(item, dart_frames.Noise)]
    for frame in frames:
        demand(dart.Decoder().receive(dart.encode(frame)) == [frame], "written again it is something else")  # type: ignore[arg-type]
    return bool(frames)


def azt_bytes(data: bytes) -> bool:
    """The same for AZT."""
    whole, cut = azt.Decoder(), azt.Decoder()
    at_once: list[object] = [*whole.receive(data[1:]), whole.flush()]
    by_pieces: list[object] = []
    for piece in _cut(data):
        by_pieces += cut.receive(piece)
        demand(cut.pending <= azt.MAX_FRAME + len(piece), "more is held than the longest frame")
    by_pieces.append(cut.flush())
    demand(at_once == by_pieces, "the frames depend on the pieces")
    frames = [item for item in at_once if item is not None and not isinstance(item, azt_frames.Noise)]
    for frame in frames:
        demand(azt.Decoder().receive(azt.encode(frame)) == [frame], "written again it is something else")
    return bool(frames)


# --- is it a release? ---------------------------------------------------------------------------------------------------------------


def dart_releases(wire: bytes) -> bool:
    """Does this DATA frame hold the command AUTHORIZE? Bytes that are no whole frame raise ``Broken``."""
    if wire[1] & 0xF0 != 0x30:
        return False
    body, at, found = wire[2:-2].replace(b"\x10\xfa", b"\xfa")[:-2], 0, False
    while at < len(body):
        demand(at + 2 + body[at + 1 : at + 2].ljust(1, b"\xff")[0] <= len(body), "the master sent a frame out of shape")
        said = body[at + 2 : at + 2 + body[at + 1]]
        found = found or (body[at] == 1 and said == DART_AUTHORIZE)
        at += 2 + len(said)
    return found


def azt_releases(wire: bytes) -> bool:
    """Is this request a start? An ``AssertionError`` for bytes that are no request."""
    return request_of(wire)[1] in (AZT_AUTHORIZE, AZT_UNCONDITIONAL)


# --- conversations --------------------------------------------------------------------------------------------------------------------


class Talk:
    """A line master and the script of what it hears. ``right``: what an honest head says to a transmission."""

    def __init__(self, line: DartLine | AztLine, releases: Callable[[bytes], bool], right: Callable[[bytes], bytes | None]) -> None:
        self.line = line
        self.now = 1_000
        self.last: bytes | None = None
        self._releases = releases
        self._right = right

    def turn(self) -> None:
        """Up to the next transmission, and the right answer to it in ``last``."""
        for _ in range(40):
            wire = self.line.next_transmission(self.now)
            if wire is not None:
                demand(not self._releases(wire), "a release that nobody asked for")
                self.last = self._right(wire)
                return
            wakeup = self.line.next_wakeup()
            demand(wakeup is not None and wakeup > self.now, "the master asks to be woken without end")
            self.now = wakeup or self.now
        demand(False, "the master never sends again")

    def hear(self, data: bytes | None) -> None:
        """So much arrives, a moment after."""
        self.now += 12
        if data:
            self.line.receive(data, self.now)

    def play(self, script: Script, made: Callable[[Script], bytes], people: Callable[[Script], None]) -> bool:
        """The whole script; True when the master heard anything that it tells of besides noise."""
        told = 0
        for _ in range(STEPS):
            if script.over:
                break
            self.turn()
            kind = script.byte()
            if kind >= 250:
                self.line.port_lost("unplugged", self.now)
            elif kind >= 235:
                self.line.submit(COMMANDS[kind % len(COMMANDS)], self.now)
                self.hear(self.last)
            elif kind >= 210:
                people(script)
                self.hear(self.last)
            else:
                self.hear(self._said(kind, script, made))
            told += sum(type(event).__name__ != "LineNoise" for event in self.line.take_events())
        return told > 2

    def _said(self, kind: int, script: Script, made: Callable[[Script], bytes]) -> bytes | None:
        right = self.last
        if kind < 90:
            return right
        if kind < 110:
            return None
        if kind < 130:
            at = script.byte() % len(right) if right else 0
            return right[:at] + bytes((script.byte(),)) + right[at + 1 :] if right else None
        if kind < 190:
            return made(script)
        return (right or b"")[:2] + script.take(script.byte() % 40)


def dart_line(data: bytes) -> bool:
    """A DART line with two heads that lie, go deaf, lose bytes and are unplugged."""
    heads = (Head(0x50), Head(0x51))
    line = DartLine("line-1", [DartPosition(fp=1, address=0x50), DartPosition(fp=2, address=0x51)])

    def right(wire: bytes) -> bytes | None:
        replies = [head.answer(frame) for frame in dart.Decoder().receive(wire) for head in heads if head.address == wire[0]]  # type: ignore[arg-type]
        return next((reply for reply in replies if reply is not None), None)

    def made(script: Script) -> bytes:
        parts = tuple(
            dart_frames.Transaction((0x01, 0x02, 0x03, 0x65, script.byte())[script.byte() % 5], script.take(script.byte() % 18))
            for _ in range(script.byte() % 4)
        )
        return dart.encode(dart_frames.Data(0x50 + script.byte() % 3, script.byte() & 0xF, parts, script.take(script.byte() % 3)))

    def people(script: Script) -> None:
        head, what = heads[script.byte() & 1], script.byte() % 3
        if what == 0:
            head.say_nozzle(script.byte() % 4)
        elif what == 1:
            head.say_status(script.byte() % 9)
        else:
            head.volume, head.amount = script.byte() * 1000, script.byte() * 1000
            head.say(head.fill_word())

    return Talk(line, dart_releases, right).play(Script(data), made, people)


def azt_line(data: bytes) -> bool:
    """An AZT line with two hoses that do."""
    hoses = (Hose(1), Hose(2))
    line = AztLine("line-1", [AztPosition(fp=1, address=1), AztPosition(fp=2, address=2)])
    line.remember({}, 0)

    def right(wire: bytes) -> bytes | None:
        address, command, said = request_of(wire)
        return next((hose.answer(command, said) for hose in hoses if hose.address == address), None)

    def made(script: Script) -> bytes:
        if (kind := script.byte()) < 100:
            return (b"\x7f\x06", b"\x7f\x15", b"\x7f\x18", b"\x06")[kind & 3]
        return long_answer("".join(chr(0x30 + byte % 0x2F) for byte in script.take(script.byte() % 28)) or "0")

    def people(script: Script) -> None:
        hose, what = hoses[script.byte() & 1], script.byte() % 4
        if what == 0:
            hose.lift()
        elif what == 1:
            hose.hang_up()
        elif what == 2:
            hose.leak(script.byte() * 100)
        else:
            hose.state, hose.cause = script.byte() % 10, script.byte() % 2

    return Talk(line, azt_releases, right).play(Script(data), made, people)


def a_talk(dice: Random) -> bytes:
    """A script: the survey mostly undisturbed, then whatever."""
    script = bytearray(dice.choice((0, 8, 14)))
    for _ in range(dice.choice((2, 4, 8, 14))):
        script += bytes((dice.randrange(256),)) + junk(dice, 14)
    return bytes(script)


SURFACES = (
    Surface("dart-bytes", "bytes of a DART line", wires("dart"), dart_bytes),
    Surface("dart-line", "a DART master without a command to authorize", a_talk, dart_line),
    Surface("azt-bytes", "bytes of an AZT line", wires("azt"), azt_bytes),
    Surface("azt-line", "an AZT master without a command to authorize", a_talk, azt_line),
)
