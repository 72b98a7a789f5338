"""The DART codec against the written golden frames and against any bytes at all (reference dispenser-protocols 1.3, 1.4)."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.dispenser.dart.codec import MAX_FRAME, Decoder, crc16, encode, from_bcd, to_bcd
from drivers.dispenser.dart.frames import Ack, AckPoll, Data, Eot, Frame, Nak, Noise, Poll, Restart, Transaction

GOLDEN = Path(__file__).resolve().parents[2] / "firmware_notes" / "dart.frames.toml"
FRAMES: list[dict[str, Any]] = tomllib.loads(GOLDEN.read_text(encoding="utf-8"))["frame"]
VALID = [frame for frame in FRAMES if frame["valid"]]
DAMAGED = [frame for frame in FRAMES if not frame["valid"]]


def named(frame: dict[str, Any]) -> str:
    return str(frame["name"])


def expected(golden: dict[str, Any]) -> Frame:
    """The value that a golden frame's address, control byte and transactions mean."""
    address, control = golden["address"], golden["control"]
    number = control & 0xF
    match control & 0xF0:
        case 0x20:
            return Poll(address)
        case 0x30:
            raw = [bytes.fromhex(text) for text in golden["transactions"]]
            assert all(each[1] == len(each) - 2 for each in raw)
            return Data(address, number, tuple(Transaction(each[0], each[2:]) for each in raw))
        case 0x50:
            return Nak(address, number)
        case 0x70:
            return Eot(address, number)
        case 0xC0:
            return Ack(address, number)
    raise AssertionError(f"a golden frame with control {control:#x}")


@pytest.mark.parametrize("golden", VALID, ids=named)
def test_golden_frame_is_read_and_written(golden: dict[str, Any]) -> None:
    wire = bytes.fromhex(golden["wire"])
    assert Decoder().receive(wire) == [expected(golden)]
    assert encode(expected(golden)) == wire


@pytest.mark.parametrize("golden", DAMAGED, ids=named)
def test_damaged_golden_frame_is_noise_and_the_next_one_is_not_lost(golden: dict[str, Any]) -> None:
    wire = bytes.fromhex(golden["wire"])
    assert Decoder().receive(wire + b"\x50\x70\xfa") == [Noise(len(wire)), Eot(0x50, 0)]


def test_crc_check_value() -> None:
    assert crc16(b"123456789") == 0xBB3D


def test_bcd() -> None:
    assert to_bcd(67305, 4) == bytes.fromhex("00067305")
    assert from_bcd(bytes.fromhex("00067305")) == 67305
    assert from_bcd(b"\x1a") is None
    assert from_bcd(b"") is None
    for value, size in ((100, 1), (-1, 2), (-1, 1)):
        with pytest.raises(ValueError, match="does not fit"):
            to_bcd(value, size)


@pytest.mark.parametrize(
    "frame",
    [
        Poll(0x4F),
        Poll(0x70),
        Ack(0x50, 16),
        Data(0x50, -1, ()),
        Data(0x50, 0, (Transaction(256, b""),)),
        Data(0x50, 0, (Transaction(1, bytes(256)),)),
        Data(0x50, 0, (Transaction(1, bytes(250)),) * 3),
    ],
)
def test_what_the_line_cannot_carry_is_refused(frame: Frame) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own words
        encode(frame)


addresses = st.integers(0x50, 0x6F)
numbers = st.integers(0, 15)
# SF, DLE and ETX far more often than chance would have them: they are what escaping is about.
awkward = st.lists(st.one_of(st.sampled_from([0xFA, 0x10, 0x03, 0x50]), st.integers(0, 255)), max_size=20).map(bytes)
transactions = st.builds(Transaction, st.integers(0, 255), awkward)
datas = st.builds(Data, addresses, numbers, st.lists(transactions, max_size=5).map(tuple))
shorts = st.one_of(
    st.builds(Poll, addresses),
    st.builds(Restart, addresses),
    *(st.builds(kind, addresses, numbers) for kind in (Nak, Eot, Ack, AckPoll)),
)
frames = st.one_of(shorts, datas)
# No address byte in it, so it cannot begin a frame of its own.
harmless = st.binary(min_size=1, max_size=12).map(lambda data: bytes(byte for byte in data if not 0x50 <= byte <= 0x6F))


def decoded(pieces: list[bytes]) -> list[Frame | Noise]:
    decoder = Decoder()
    found = [item for piece in pieces for item in decoder.receive(piece)]
    rest = decoder.flush()
    return [*found, rest] if rest else found


def cut(data: bytes, places: list[int]) -> list[bytes]:
    marks = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[low:high] for low, high in zip(marks, marks[1:], strict=False)]


@given(st.lists(frames, max_size=6))
def test_round_trip(values: list[Frame]) -> None:
    assert decoded([b"".join(encode(value) for value in values)]) == values


@given(datas, st.binary(max_size=3))
def test_a_payload_that_does_not_divide_is_kept(data: Data, tail: bytes) -> None:
    # An announced length that the frame does not hold: still a CRC-valid frame, which must be acknowledged.
    rest = bytes((0x02, 0xFF)) + tail
    value = Data(data.address, data.number, data.transactions, rest)
    assert decoded([encode(value)]) == [value]


@given(st.lists(st.one_of(frames.map(encode), st.binary(max_size=12)), max_size=6), st.lists(st.integers(0, 10_000), max_size=20))
def test_pieces_do_not_matter(parts: list[bytes], places: list[int]) -> None:
    stream = b"".join(parts)
    whole = decoded([stream])
    assert decoded(cut(stream, places)) == whole
    assert decoded([bytes((byte,)) for byte in stream]) == whole


@given(harmless, frames)
def test_stray_lead_bytes_are_skipped(lead: bytes, frame: Frame) -> None:
    assert decoded([lead + encode(frame)]) == ([Noise(len(lead))] if lead else []) + [frame]


@pytest.mark.parametrize("lead", ["BC", "FE", "50", "50 30", "5F 20", "50 70", "51 30 65 01 01 22", "50 50 50", "10", "FA FA"])
def test_a_false_start_does_not_cost_the_frame_behind_it(lead: str) -> None:
    junk = bytes.fromhex(lead)
    frame = Data(0x52, 3, (Transaction(2, bytes.fromhex("0000064100067305")),))
    assert decoded([junk + encode(frame)]) == [Noise(len(junk)), frame]


@given(frames, frames)
def test_a_foreign_frame_beside_ours_costs_neither(foreign: Frame, ours: Frame) -> None:
    assert decoded([encode(foreign) + encode(ours)]) == [foreign, ours]


def test_foreign_frame_and_ours_in_one_piece_are_both_found() -> None:
    ours = Data(0x52, 1, (Transaction(1, b"\x01"),))
    assert decoded([b"\x6f\x70\xfa" + encode(ours)]) == [Eot(0x6F, 0), ours]


@given(st.binary(max_size=2000), st.lists(st.integers(0, 10_000), max_size=8))
def test_any_bytes_are_survived_counted_and_bounded(data: bytes, places: list[int]) -> None:
    decoder = Decoder()
    total = 0
    for piece in cut(data, places):
        for item in decoder.receive(piece):
            total += item.count if isinstance(item, Noise) else len(encode(item))
        assert decoder.pending < MAX_FRAME
    rest = decoder.flush()
    total += rest.count if rest else 0
    # A frame that needed no escape may have come with one (DLE before an SF is the same either way), never the other way round.
    assert total == len(data)
    assert decoder.pending == 0


def test_a_frame_that_never_ends_is_given_up() -> None:
    decoder = Decoder()
    found: list[Frame | Noise] = []
    for _ in range(100):
        found += decoder.receive(b"\x50\x31" * 100)
        assert decoder.pending <= MAX_FRAME
    found += decoder.receive(encode(Eot(0x51, 0)))
    assert found == [Noise(20_000), Eot(0x51, 0)]
