"""The emulator's DART codec against the golden frames, both directions, and against noise."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal_sim.dispensers import dart_codec as codec
from hal_sim.dispensers.dart import DartBus, DartPosition
from hal_sim.dispensers.head import Head

GOLDEN: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).parents[2] / "firmware_notes" / "dart.frames.toml").read_text(encoding="utf-8"),
)["frame"]
GOOD = [frame for frame in GOLDEN if frame["valid"]]
BAD = [frame for frame in GOLDEN if not frame["valid"]]
POLL = bytes.fromhex("5020FA")


def name_of(frame: dict[str, Any]) -> str:
    return str(frame["name"])


def test_crc_check_value() -> None:
    assert codec.crc16(b"123456789") == 0xBB3D


@pytest.mark.parametrize("golden", GOOD, ids=name_of)
def test_golden_frames_are_read(golden: dict[str, Any]) -> None:
    reader = codec.FrameReader(accept_unescaped=False)
    (frame,) = reader.feed(bytes.fromhex(golden["wire"]), 0)
    assert (frame.address, frame.control) == (golden["address"], golden["control"])
    parts = [codec.transaction(trans, data).hex(" ").upper() for trans, data in codec.split_transactions(frame.data)]
    assert parts == golden["transactions"]
    assert reader.rejected == 0


@pytest.mark.parametrize("golden", GOOD, ids=name_of)
def test_golden_frames_are_written(golden: dict[str, Any]) -> None:
    data = bytes.fromhex("".join(golden["transactions"]))
    assert codec.encode(golden["address"], golden["control"], data) == bytes.fromhex(golden["wire"])


@pytest.mark.parametrize("golden", BAD, ids=name_of)
def test_bad_frames_are_refused(golden: dict[str, Any]) -> None:
    assert codec.FrameReader(accept_unescaped=False).feed(bytes.fromhex(golden["wire"]), 0) == []


@pytest.mark.parametrize("golden", [frame for frame in BAD if frame["fault"] == "unescaped"], ids=name_of)
def test_a_master_that_never_escapes_is_understood(golden: dict[str, Any]) -> None:
    (frame,) = codec.FrameReader().feed(bytes.fromhex(golden["wire"]), 0)
    assert frame.data == bytes.fromhex("02080000064100067305")


@given(address=st.integers(0x50, 0x6F), number=st.integers(0, 15), data=st.binary(max_size=60), strict=st.booleans())
def test_what_is_written_is_read(address: int, number: int, data: bytes, strict: bool) -> None:
    wire = codec.encode(address, codec.DATA | number, data)
    assert codec.FrameReader(not strict).feed(wire, 0) == [codec.Frame(address, codec.DATA | number, data)]


@given(st.binary(max_size=40))
def test_after_any_noise_and_silence_a_poll_is_read(noise: bytes) -> None:
    reader = codec.FrameReader()
    reader.feed(noise, 0)
    assert reader.feed(POLL, 16) == [codec.Frame(0x50, codec.POLL)]


@pytest.mark.parametrize("stray", ["BC", "FE", "FC", "B8", "DC", "FF", "DE", "F8", "50", "5F", "6F", "5050"])
def test_a_stray_byte_before_a_poll_costs_nothing(stray: str) -> None:
    assert codec.FrameReader().feed(bytes.fromhex(stray) + POLL, 0) == [codec.Frame(0x50, codec.POLL)]


# chunks


SCRIPT = [
    "5020FA",
    *(frame["wire"] for frame in GOLDEN if frame["direction"] != "from pump"),
    "BC5020FA",
    "50C0FA",
    "50315020FA",
]


@given(
    frames=st.lists(st.one_of(st.sampled_from(SCRIPT).map(bytes.fromhex), st.binary(max_size=12)), max_size=25),
    cuts=st.lists(st.integers(1, 30), max_size=60),
)
def test_chunks_do_not_matter(frames: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(frames)

    def run(sizes: list[int]) -> tuple[bytes, int]:
        bus = DartBus([DartPosition(address, Head({1: "GAZOLE"}, {1: 17290})) for address in (0x50, 0x51)])
        rest = stream
        out = b""
        for size in [*sizes, len(stream)]:
            chunk, rest = rest[:size], rest[size:]
            bus.on_bytes(chunk, 100)
            out += b"".join(data for _, data in bus.take_output())
        return out, bus.rejected

    assert run([]) == run(cuts) == run([1] * len(stream))
