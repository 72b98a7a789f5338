"""What a pump line's wire log says about the line itself: exchanges, rounds, missed answers. For DART and AZT alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from drivers.dispenser.azt.codec import Decoder as AztDecoder
from drivers.dispenser.azt.frames import Request
from drivers.dispenser.dart.frames import Data, Poll
from tests.bench.wires import NS_PER_MS, Record, frames

LONGEST_GAP_MS = 15.0
"""Bytes of one transmission follow each other closer than this."""
CHAR_BITS = 11


@dataclass(frozen=True, slots=True)
class Exchange:
    """What the master sent, what came back (nothing: b""), and the instants of the last byte of each."""

    request: bytes
    asked_ns: int
    answer: bytes
    answered_ns: int


def exchanges(log: Sequence[Record]) -> list[Exchange]:
    """Every transmission of the master with the bytes that followed before its next one."""
    found: list[Exchange] = []
    request, answer = bytearray(), bytearray()
    asked_ns = answered_ns = last_ns = 0
    for record in log:
        new = not record.out and (bool(answer) or record.at_ns - last_ns > LONGEST_GAP_MS * NS_PER_MS)
        if new and request:
            found.append(Exchange(bytes(request), asked_ns, bytes(answer), answered_ns))
            request.clear()
            answer.clear()
        if record.out:
            answer += record.data
            answered_ns = record.at_ns
        else:
            request += record.data
            asked_ns = record.at_ns
        last_ns = record.at_ns
    return found


@dataclass(frozen=True, slots=True)
class Rounds:
    """Idle rounds of a line: their lengths, and what one of them cannot be shorter than."""

    lengths_ms: list[float]
    floor_ms: float
    answer_ms: float
    characters: int


def idle_rounds(log: Sequence[Record], positions: int, baud: int, turn_round_ms: int) -> Rounds:
    """From one question to a position to the next one to it, the same question to each of the others between.

    The floor: the characters of both sides at the line's speed, the emulators' time from question to answer by their own log, and the
    configured pause behind each answer. Raises ValueError where no round is whole.
    """
    char_ms = CHAR_BITS * 1000 / baud
    all_of_them = exchanges(log)
    usual = {request for request, _ in Counter(each.request for each in all_of_them if each.answer).most_common(positions)}
    lengths, floors = list[float](), list[float]()
    waits, characters = list[float](), 0
    for start in range(len(all_of_them) - positions):
        these = all_of_them[start : start + positions]
        if all_of_them[start + positions].request != these[0].request or {each.request for each in these} != usual:
            continue
        if not all(each.answer for each in these):
            continue
        answers = [(each.answered_ns - each.asked_ns) / NS_PER_MS - len(each.answer) * char_ms for each in these]
        characters = sum(len(each.request) + len(each.answer) for each in these)
        waits += answers
        floors.append(characters * char_ms + sum(answers) + positions * turn_round_ms)
        lengths.append((all_of_them[start + positions].asked_ns - these[0].asked_ns) / NS_PER_MS)
    if not lengths:
        raise ValueError(f"no idle round of {positions} positions in {len(all_of_them)} exchanges")
    return Rounds(lengths, sorted(floors)[len(floors) // 2], sorted(waits)[len(waits) // 2], characters)


def is_idle(log: Sequence[Record], positions: int) -> bool:
    """Whether the last two rounds of the log were the same questions to so many positions, and nothing else."""
    last = [each.request for each in exchanges(log)[-2 * positions - 1 : -1]]
    return len(last) == 2 * positions and last[:positions] == last[positions:] and len(set(last)) == positions


@dataclass(frozen=True, slots=True)
class Missed:
    """Questions that were asked, those without an answer before the next transmission, and the longest that an answer took to its end.

    ``late_pumps``: the pumps' process itself slept meanwhile and found question and next transmission together, closer than the window.
    """

    asked: int
    missed: int
    late_pumps: int
    slowest_ms: float
    around: list[list[str]]
    """What was on the line around the first ones, milliseconds from the question on."""


def missed_answers(log: Sequence[Record], protocol: str, window_ms: int) -> Missed:
    """The master's questions that nobody answered in the time it gave: it sent its next transmission first."""
    sent = _dart(log) if protocol == "dart" else _azt(log)
    asked = missed = late = 0
    slowest, around = 0.0, list[list[str]]()
    for place, (at_ns, out, question) in enumerate(sent[:-1]):
        if out or not question:
            continue
        asked += 1
        after = sent[place + 1]
        if after[1]:
            slowest = max(slowest, (after[0] - at_ns) / NS_PER_MS)
        else:
            together = after[0] - at_ns < window_ms * NS_PER_MS
            late, missed = late + together, missed + (not together)
            near = sent[max(0, place - 2) : place + 4]
            around.append([f"{(each[0] - at_ns) / NS_PER_MS:.1f} {'<' if each[1] else '>'}" for each in near])
    return Missed(asked, missed, late, slowest, around[:5])


def _dart(log: Sequence[Record]) -> list[tuple[int, bool, bool]]:
    return [(each.at_ns, each.out, not each.out and isinstance(each.frame, Poll | Data)) for each in frames(list(log))]


def _azt(log: Sequence[Record]) -> list[tuple[int, bool, bool]]:
    decoders = {False: AztDecoder(), True: AztDecoder()}
    found = []
    for record in log:
        for byte in record.data:
            for item in decoders[record.out].receive(bytes((byte,))):
                found.append((record.at_ns, record.out, isinstance(item, Request)))
    return found
