"""The emulator's AZT codec against the golden frames, both directions, and against noise."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal_sim.dispensers import azt_codec as codec
from hal_sim.dispensers.azt import AztBus, AztHead, AztPosition

GOLDEN: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).parents[2] / "firmware_notes" / "azt.frames.toml").read_text(encoding="utf-8"),
)["frame"]
GOOD = [frame for frame in GOLDEN if frame["valid"]]
REQUESTS = [frame for frame in GOOD if frame["direction"] == "to pump"]
BAD = [frame for frame in GOLDEN if not frame["valid"]]
SHORT = {"ack": codec.ACK, "nak": codec.NAK, "can": codec.CAN}


def name_of(frame: dict[str, Any]) -> str:
    return str(frame["name"])


def meant(golden: dict[str, Any]) -> codec.Request:
    return codec.Request(golden.get("address"), golden["command"], golden["data"].encode("ascii"))


@pytest.mark.parametrize("golden", REQUESTS, ids=name_of)
def test_golden_requests_are_read_and_written(golden: dict[str, Any]) -> None:
    wire, request = bytes.fromhex(golden["wire"]), meant(golden)
    reader = codec.RequestReader()
    assert reader.feed(wire, 0) == [request]
    assert (reader.rejected, reader.idle) == (0, True)
    assert codec.request(request.address, request.command, request.data) == wire


@pytest.mark.parametrize("golden", [frame for frame in GOOD if frame["direction"] == "from pump"], ids=name_of)
def test_golden_answers_are_written(golden: dict[str, Any]) -> None:
    made = codec.short_answer(SHORT[golden["short"]]) if "short" in golden else codec.answer(golden["data"].encode("ascii"))
    assert made == bytes.fromhex(golden["wire"])


@pytest.mark.parametrize("golden", BAD, ids=name_of)
def test_bad_frames_are_refused_and_do_not_hurt_the_next(golden: dict[str, Any]) -> None:
    reader = codec.RequestReader()
    assert reader.feed(bytes.fromhex(golden["wire"]), 0) == []
    assert reader.feed(codec.request(7, 0x31), 5) == [codec.Request(7, 0x31)]


def test_every_address_has_its_own_bytes() -> None:
    wires = {codec.request(address, 0x31): address for address in range(1, 226)}
    assert len(wires) == 225
    for wire, address in wires.items():
        assert codec.RequestReader().feed(wire, 0) == [codec.Request(address, 0x31)]
    for address in (0, 226, -1):
        with pytest.raises(ValueError, match=r"1\.\.\.225"):
            codec.request(address, 0x31)


@pytest.mark.parametrize("lead", ["", "7F7F7F", "FF00", "7F02", "7F02215E", "06", "1815"])
def test_what_stands_before_a_request_costs_nothing(lead: str) -> None:
    wire = codec.request(1, 0x31)
    assert codec.RequestReader().feed(bytes.fromhex(lead) + wire[1:], 0) == [codec.Request(1, 0x31)]


def test_a_pause_inside_a_request_drops_it() -> None:
    wire, reader = codec.request(1, 0x31), codec.RequestReader()
    assert reader.feed(wire[:5], 0) == []
    assert reader.feed(wire[5:], 50) == [codec.Request(1, 0x31)]
    assert reader.feed(wire[:5], 100) == []
    assert reader.feed(wire[5:], 151) == []
    assert reader.rejected == 1


def test_a_parity_bit_that_comes_through_is_taken_off() -> None:
    wire = bytes(byte | (byte.bit_count() % 2) << 7 for byte in codec.request(1, 0x54, b"00500"))
    assert max(wire) > 0x7F
    assert codec.RequestReader().feed(wire, 0) == [codec.Request(1, 0x54, b"00500")]


def test_requests_without_an_end_are_given_up() -> None:
    reader = codec.RequestReader()
    assert reader.feed(b"\x02" + b"\x30\x4f" * 200, 0) == []
    assert reader.idle
    assert reader.rejected == 1


@given(
    address=st.one_of(st.none(), st.integers(1, 225)),
    command=st.sampled_from(b"12345678NOPQRSTUVWXY"),
    data=st.lists(st.integers(0x30, 0x5E), max_size=20).map(bytes),
)
def test_what_is_written_is_read(address: int | None, command: int, data: bytes) -> None:
    assert codec.RequestReader().feed(codec.request(address, command, data), 0) == [codec.Request(address, command, data)]


@given(st.binary(max_size=60))
def test_after_any_noise_and_silence_a_request_is_read(noise: bytes) -> None:
    reader = codec.RequestReader()
    reader.feed(noise, 0)
    assert reader.feed(codec.request(1, 0x31), 51) == [codec.Request(1, 0x31)]


@pytest.mark.parametrize("frame", REQUESTS, ids=lambda frame: frame["wire"])
def test_one_flipped_bit_is_never_another_request(frame: dict[str, str]) -> None:
    """To a head: any bit behind the start byte, which nothing covers. A complement may become a start byte, and what follows it a request
    without an address (of a dose's digits, where the check byte happens to fit); a head on a line has one.
    """
    wire = bytes.fromhex(frame["wire"])
    for place in range(2, len(wire)):
        for bit in range(7):
            hurt = bytearray(wire)
            hurt[place] ^= 1 << bit
            assert [request for request in codec.RequestReader().feed(bytes(hurt), 0) if request.address is not None] == []


@given(
    frames=st.lists(
        st.one_of(st.sampled_from([frame["wire"] for frame in GOLDEN]).map(bytes.fromhex), st.binary(max_size=12)), max_size=25
    ),
    cuts=st.lists(st.integers(1, 30), max_size=60),
)
def test_chunks_do_not_matter(frames: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(frames)

    def run(sizes: list[int]) -> tuple[bytes, int]:
        bus = AztBus([AztPosition({1: address}, AztHead({1: "AI95"}, {1: 450_000})) for address in (1, 16)])
        rest = stream
        out = b""
        for size in [*sizes, len(stream)]:
            chunk, rest = rest[:size], rest[size:]
            bus.on_bytes(chunk, 100)
            out += b"".join(data for _, data in bus.take_output())
        return out, bus.rejected

    assert run([]) == run(cuts) == run([1] * len(stream))
