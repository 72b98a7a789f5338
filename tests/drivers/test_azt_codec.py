"""The AZT codec against the written golden frames and against any bytes at all (reference dispenser-protocols 3.2)."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.dispenser.azt.codec import MAX_FRAME, Decoder, check, encode
from drivers.dispenser.azt.frames import Answer, Command, Frame, Noise, Request, Short, Word

GOLDEN = Path(__file__).resolve().parents[2] / "firmware_notes" / "azt.frames.toml"
FRAMES: list[dict[str, Any]] = tomllib.loads(GOLDEN.read_text(encoding="utf-8"))["frame"]
VALID = [frame for frame in FRAMES if frame["valid"]]
DAMAGED = [frame for frame in FRAMES if not frame["valid"]]
NEXT = Answer(b"0")


def named(frame: dict[str, Any]) -> str:
    return str(frame["name"])


def expected(golden: dict[str, Any]) -> Frame:
    """The value that a golden frame's fields mean."""
    if "short" in golden:
        return Short(Word[golden["short"].upper()])
    if "command" in golden:
        return Request(golden["address"], golden["command"], golden["data"].encode())
    return Answer(golden["data"].encode())


@pytest.mark.parametrize("golden", VALID, ids=named)
def test_golden_frame_is_read_and_written(golden: dict[str, Any]) -> None:
    wire = bytes.fromhex(golden["wire"])
    assert Decoder().receive(wire) == [expected(golden)]
    assert encode(expected(golden)) == wire


@pytest.mark.parametrize("golden", DAMAGED, ids=named)
def test_damaged_golden_frame_is_noise_and_the_next_one_is_not_lost(golden: dict[str, Any]) -> None:
    wire = bytes.fromhex(golden["wire"])
    decoder = Decoder()
    found = [*decoder.receive(wire + encode(NEXT)), decoder.flush()]
    assert found == [Noise(len(wire.replace(b"\x7f", b""))), NEXT, None]


def test_the_golden_frames_are_of_every_kind() -> None:
    commands = {frame["command"] for frame in VALID if "command" in frame}
    assert commands >= {command.value for command in Command}
    assert {frame["fault"] for frame in DAMAGED} >= {"check", "complement", "frame", "address"}


@pytest.mark.parametrize("word", Word)
def test_a_short_answer_without_its_lead_in_is_known_by_the_silence_behind_it(word: Word) -> None:
    decoder = Decoder()
    assert decoder.receive(bytes((word.value,))) == []
    assert decoder.pending
    assert decoder.flush() == Short(word)
    assert decoder.flush() is None
    assert decoder.receive(bytes((word.value,)) + encode(NEXT)) == [Noise(1), NEXT]
    assert decoder.receive(b"\x40" + bytes((word.value,))) == []
    assert decoder.flush() == Noise(2)


def test_lead_ins_are_no_noise() -> None:
    decoder = Decoder()
    assert decoder.receive(b"\x7f" * 300 + encode(NEXT) + b"\x7f" * 300) == [NEXT]
    assert decoder.pending == 1
    assert decoder.flush() is None
    assert decoder.receive(encode(NEXT)[1:]) == [NEXT]


def test_a_check_byte_may_be_a_lead_in() -> None:
    # 21 ^ 5E ^ 03 = 7C; a data byte of 33 behind makes it 4F, so look for one that gives 7F
    frame = next(each for code in range(0x30, 0x5F) for each in [Answer(bytes((0x30, code)))] if check(each.data) == 0x7F)
    assert encode(frame)[-1] == 0x7F
    assert Decoder().receive(encode(frame) + encode(NEXT)) == [frame, NEXT]


@pytest.mark.parametrize(
    "frame",
    [
        Request(0, 0x31),
        Request(226, 0x31),
        Request(1, 0x30),
        Request(1, 0x5F),
        Request(1, 0x31, b"\x2f"),
        Answer(b""),
        Answer(b"\x5f"),
        Answer(b"0" * 60),
    ],
)
def test_what_the_line_cannot_carry_is_refused(frame: Frame) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own words
        encode(frame)


body = st.lists(st.integers(0x30, 0x5E), max_size=40).map(bytes)
requests = st.builds(Request, st.integers(1, 225), st.integers(0x31, 0x5E), body)
answers = body.filter(bool).map(Answer)
frames = st.one_of(requests, answers, st.sampled_from(Word).map(Short))
# Bytes that begin nothing, however they stand.
harmless = st.lists(st.sampled_from([0x00, 0x01, 0x03, 0x04, 0x20, 0x31, 0x5E, 0x80, 0xFF]), min_size=1, max_size=12).map(bytes)
# Start bytes, ETX, short answers and lead-ins far more often than chance would have them.
awkward = st.lists(st.one_of(st.sampled_from([2, 3, 6, 7, 0x14, 0x15, 0x18, 0x21, 0x5E, 0x7F]), st.integers(0, 255)), max_size=20).map(
    bytes
)


def decoded(pieces: list[bytes]) -> list[Frame | Noise]:
    decoder = Decoder()
    found: list[Frame | Noise] = [item for piece in pieces for item in decoder.receive(piece)]
    rest = decoder.flush()
    return [*found, rest] if rest else found


def cut(data: bytes, places: list[int]) -> list[bytes]:
    marks = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[low:high] for low, high in zip(marks, marks[1:], strict=False)]


@given(st.lists(frames, max_size=6))
def test_round_trip(values: list[Frame]) -> None:
    assert decoded([b"".join(encode(value) for value in values)]) == values


@given(requests)
def test_no_two_addresses_look_alike(request: Request) -> None:
    assert decoded([encode(request)]) == [request]
    wire = encode(request)
    assert wire[1] in (2, *range(0x07, 0x15))
    assert 0x21 <= wire[2] <= 0x2F


@given(st.lists(st.one_of(frames.map(encode), awkward), max_size=6), st.lists(st.integers(0, 10_000), max_size=20))
def test_pieces_do_not_matter(parts: list[bytes], places: list[int]) -> None:
    stream = b"".join(parts)
    whole = decoded([stream])
    assert decoded(cut(stream, places)) == whole
    assert decoded([bytes((byte,)) for byte in stream]) == whole


@given(harmless, frames)
def test_garbage_in_front_is_skipped_and_counted(lead: bytes, frame: Frame) -> None:
    assert decoded([lead + encode(frame)]) == [Noise(len(lead)), frame]


@pytest.mark.parametrize(
    "lead", ["02", "02 34", "02 34 4B", "02 34 4B 03", "02 34 4B 03 03", "07 21 5E 31", "02 02 02", "06", "18 15", "7F 02"]
)
def test_a_false_start_does_not_cost_the_frame_behind_it(lead: str) -> None:
    junk = bytes.fromhex(lead)
    frame = Answer(b"40")
    assert decoded([junk + encode(frame)]) == [Noise(len(junk.replace(b"\x7f", b""))), frame]


@given(frames, frames)
def test_a_foreign_frame_beside_ours_costs_neither(foreign: Frame, ours: Frame) -> None:
    assert decoded([encode(foreign) + encode(ours)]) == [foreign, ours]


def test_what_belongs_to_others_is_found_beside_ours() -> None:
    foreign, ours = Request(200, 0x31), Answer(b"00000003")
    assert decoded([encode(foreign) + encode(ours)]) == [foreign, ours]


@given(frames, st.integers(0, 10_000), st.integers(1, 127))
def test_one_changed_byte_is_noticed_or_changes_the_address_group(frame: Frame, place: int, mask: int) -> None:
    """The start byte is the one that neither complement nor check covers: a head then answers for another group, and stays unsurveyed."""
    wire = bytearray(encode(frame))
    if isinstance(frame, Short):
        return
    at = 2 + place % (len(wire) - 2)
    wire[at] ^= mask
    assert frame not in decoded([bytes(wire)])
    assert not any(isinstance(item, Answer | Request) for item in decoded([bytes(wire)]))


@given(st.one_of(st.binary(max_size=1000), st.lists(awkward, max_size=30).map(b"".join)), st.lists(st.integers(0, 10_000), max_size=8))
def test_any_bytes_are_survived_counted_and_bounded(data: bytes, places: list[int]) -> None:
    decoder = Decoder()
    found: list[Frame | Noise] = []
    for piece in cut(data, places):
        found += decoder.receive(piece)
        assert decoder.pending <= MAX_FRAME
    rest = decoder.flush()
    found += [rest] if rest else []
    assert decoder.pending == 0
    # Lead-ins are not counted, and a frame needs none; everything else is in a frame or in the noise.
    counted = sum(item.count if isinstance(item, Noise) else len(encode(item)) - 1 for item in found)
    checks = sum(1 for item in found if not isinstance(item, Noise | Short) and encode(item)[-1] == 0x7F)
    assert counted == len(data) - data.count(0x7F) + checks


def test_a_frame_that_never_ends_is_given_up() -> None:
    decoder = Decoder()
    found: list[Frame | Noise] = []
    for _ in range(100):
        found += decoder.receive(b"\x02" + b"\x30\x4f" * 100)
        assert decoder.pending <= MAX_FRAME
    found += decoder.receive(encode(NEXT))
    assert found == [Noise(20_100), NEXT]
