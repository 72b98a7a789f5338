"""PN532 frames out of one buffer: however the bytes come, and what a silent, a torn and a vanished port are."""

from __future__ import annotations

import errno
import os
import threading
import tty
from collections.abc import Iterator

import pytest

from drivers.badge.chip_frames import ChipFrames
from drivers.badge.reader import Pn532
from tests.drivers.small_pn532 import Chip, Ntag

ACK = b"\x00\x00\xff\x00\xff\x00"
VERSION = bytes.fromhex("0000ff06fad50332010607e800")
LONG = bytes.fromhex("0000ffffff010c") + bytes([0xF3]) + b"\xd5\x41" + bytes(266) + b"\xea\x00"
"""An extended frame: the size in two bytes, 266 and two."""


class Pair:
    """A pty: the chip's end and the frames of the other."""

    def __init__(self) -> None:
        self.chip, self.descriptor = os.openpty()
        tty.setraw(self.descriptor)
        os.set_blocking(self.descriptor, False)
        self.frames = ChipFrames(self.descriptor)

    def close(self) -> None:
        for end in (self.chip, self.descriptor):
            if end >= 0:
                os.close(end)


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()


def test_an_ack_and_a_response_that_came_together_are_two_frames(pair: Pair) -> None:
    os.write(pair.chip, ACK + VERSION + ACK)
    assert [bytes(pair.frames.take(1_000)) for _ in range(3)] == [ACK, VERSION, ACK]


def test_a_frame_may_come_byte_by_byte(pair: Pair) -> None:
    def drip() -> None:
        for byte in ACK + LONG:
            os.write(pair.chip, bytes((byte,)))

    thread = threading.Thread(target=drip)
    thread.start()
    assert bytes(pair.frames.take(5_000)) == ACK
    assert bytes(pair.frames.take(5_000)) == LONG
    thread.join()


def test_what_came_before_a_command_is_not_its_answer(pair: Pair) -> None:
    os.write(pair.chip, ACK + VERSION)
    assert bytes(pair.frames.take(1_000)) == ACK
    pair.frames.send(b"\x55")
    os.write(pair.chip, ACK)
    assert bytes(pair.frames.take(1_000)) == ACK
    assert os.read(pair.chip, 10) == b"\x55"


def test_silence_half_a_frame_and_a_lost_port_differ(pair: Pair) -> None:
    with pytest.raises(OSError, match="silent") as silence:
        pair.frames.take(20)
    assert silence.value.errno == errno.ETIMEDOUT
    os.write(pair.chip, VERSION[:7])
    with pytest.raises(OSError, match="silent") as half:
        pair.frames.take(20)
    assert half.value.errno == errno.EIO
    os.close(pair.chip)
    pair.chip = -1
    with pytest.raises(OSError, match=r"gone|Input/output"):
        pair.frames.take(1_000)


def test_a_chip_that_asks_on_answers_when_a_badge_comes_and_is_told_to_stop_when_none_does() -> None:
    chip = Chip()
    reader = Pn532(chip.path, lambda: 0)
    chip.asks_on = True
    try:
        assert not reader.hear(150, lambda: False)
        assert reader.listened
        assert chip.kept is None, "the host's ACK has ended the question"
        stops = iter((False, True))
        assert not reader.hear(60_000, lambda: next(stops))
        assert next(stops, None) is None, "a reader that is to stop does not wait for the end"
        coming = threading.Timer(0.15, lambda: chip.badges.append(Ntag(bytes.fromhex("04A1B2C3D4E580"), None)))
        coming.start()
        assert reader.hear(60_000, lambda: False)
        assert not reader.listened
        coming.join()
        chip.asks_on = False
        assert reader.sense() is not None
    finally:
        reader.close()
        chip.close()


def test_the_chip_listens_by_itself_and_a_full_look_finds_the_same_badge() -> None:
    chip = Chip()
    asked: list[int] = []
    obey = chip._obey
    chip._obey = lambda frame: (asked.append(frame[1]), obey(frame))[1]  # type: ignore[method-assign, func-returns-value]
    reader = Pn532(chip.path, lambda: 0)
    try:
        asked.clear()
        assert not reader.hear(50, lambda: False)
        assert asked == [0x32, 0x4A, 0x32], "it shall ask on, one question, then the field off"
        assert not reader.listened, "this chip does not wait: it says at once that nobody is there"
        asked.clear()
        assert not reader.hear(50, lambda: False)
        assert asked == [0x4A, 0x32]
        asked.clear()
        assert reader.sense() is None
        assert asked == [0x32, 0x32, 0x4A, 0x06, 0x32], "it shall ask once, then nfcpy's own four"
        chip.badges.append(Ntag(bytes.fromhex("04A1B2C3D4E580"), None))
        assert reader.hear(50, lambda: False)
        target = reader.sense()
        assert bytes(target.sdd_res) == bytes.fromhex("04A1B2C3D4E580")
    finally:
        reader.close()
        chip.close()
