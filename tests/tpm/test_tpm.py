"""The TPM itself: a key that is the same every time and in no other chip, a counter that nothing brings back, and answers out of shape."""

from __future__ import annotations

import fcntl
import os
import struct
import threading
import time
import tty
from pathlib import Path
from random import Random

import pytest

from terminal.core.card_data import PinRule
from terminal.core.pin import PinEntry
from terminal.store import tpm_codec as codec
from terminal.store.tpm import Tpm, TpmError, second_layer
from terminal.store.vault import KeyVault
from tests.tpm.chip import Chip

V1 = bytes.fromhex("1e05479cec35d4fce704acc62dab3a1d")


def test_the_second_layer_is_the_chips_alone_and_the_same_after_power(chip: Chip, tmp_path: Path) -> None:
    tpm = Tpm(chip.device)
    made = second_layer(tpm, [V1, V1[::-1]])
    assert len(set(made)) == 2
    assert V1 not in made
    assert all(len(one) == 16 for one in made)
    chip.off()
    chip.on()
    assert second_layer(tpm, [V1, V1[::-1]]) == made
    other = Chip(tmp_path / "other")
    try:
        assert second_layer(Tpm(other.device), [V1]) != made[:1]
    finally:
        other.off()


def test_the_counter_only_goes_up_over_power_and_definition(chip: Chip) -> None:
    tpm = Tpm(chip.device)
    assert tpm.counter() is None
    values = [tpm.count_up() for _ in range(3)]
    assert values == list(range(values[0], values[0] + 3))
    chip.off()
    chip.on()
    assert tpm.counter() == values[-1]
    _undefine(tpm)
    assert tpm.counter() is None
    assert tpm.count_up() > values[-1]


def _undefine(tpm: Tpm) -> None:
    """What a thief with a program of his own could do: TPM2_NV_UndefineSpace (0x122), by the owner."""
    with tpm._open() as ask:
        ask(codec._authorized(0x122, (0x4000_0001, codec.COUNTER_INDEX), b""))


def test_the_key_cannot_be_taken_out(chip: Chip) -> None:
    """TPM2_Duplicate (0x14B) of it is refused: it is bound to its chip, and so is its parent, which is the chip's own seed."""
    with Tpm(chip.device)._open() as ask:
        from terminal.store.tpm import _LABEL

        key = codec.handle_of(ask(codec.create_key(_LABEL)))
        duplicate = codec._authorized(0x14B, (key, 0x4000_0007), codec._sized(b"") + struct.pack(">H", 0x10))
        with pytest.raises(TpmError, match="refuses"):
            ask(duplicate)
        ask(codec.flush(key))


def test_many_conversations_leave_no_handle_behind_and_two_threads_do_not_disturb_each_other(chip: Chip) -> None:
    tpm = Tpm(chip.device)
    (wanted,) = second_layer(tpm, [V1])
    found: list[bytes] = []

    def ask() -> None:
        for _ in range(20):
            found.extend(second_layer(tpm, [V1]))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == [wanted] * 40


def test_a_chip_that_is_not_there_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(TpmError, match="no-such-tpm cannot be opened: No such file"):
        Tpm(tmp_path / "no-such-tpm").counter()


class Stranger:
    """Something else at the device's place, which answers the first question with these bytes."""

    def __init__(self, answer: bytes) -> None:
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.device = Path(os.ttyname(self.slave))
        self._answer = answer
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        os.read(self.master, codec.ANSWER_MAX)
        os.write(self.master, self._answer)

    def close(self) -> None:
        self._thread.join(5)
        os.close(self.slave)
        os.close(self.master)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (struct.pack(">HII", 0x8001, 10, 0x101), r"refuses \(0x101\)"),
        (struct.pack(">HII", 0x8001, 9, 0), "out of shape"),
        (struct.pack(">HII", 0x8001, 5_000, 0), "out of shape"),
        (struct.pack(">HII", 0x1234, 10, 0), "out of shape"),
        (struct.pack(">HIII", 0x8002, 14, 0, 0), "out of shape"),
        (b"\xff" * 40, "out of shape"),
    ],
)
def test_a_strange_answer_is_told_and_shows_nothing(answer: bytes, why: str) -> None:
    stranger = Stranger(answer)
    try:
        with pytest.raises(TpmError, match=why):
            Tpm(stranger.device).counter()
    finally:
        stranger.close()


def test_whatever_is_answered_only_tpmerror_comes_out() -> None:
    random = Random(4)
    for _ in range(2_000):
        body = random.randbytes(random.randrange(60))
        good = struct.pack(">HII", random.choice((0x8001, 0x8002, 0)), 10 + len(body), random.choice((0, 0, 0, 0x922, 0x18B))) + body
        answer = bytearray(good if random.random() < 0.8 else random.randbytes(random.randrange(30)))
        for read in (codec.handle_of, codec.hmac_of, codec.counter_of):
            said = ""
            try:
                read(codec.checked(bytes(answer)))
            except TpmError as error:
                said = str(error)
            assert len(body) < 2 or body.hex() not in said


def test_a_driver_s_pin_has_its_turn_while_a_list_is_imported(chip: Chip) -> None:
    """The import gives many verifiers in one conversation, and lets others in."""
    done = threading.Event()

    def imports() -> None:
        second_layer(Tpm(chip.device), [number.to_bytes(16, "big") for number in range(800)])
        done.set()

    thread = threading.Thread(target=imports)
    thread.start()
    time.sleep(0.3)
    for _ in range(3):
        assert second_layer(Tpm.of_the_core(chip.device), [V1])
    served_meanwhile = not done.is_set()
    thread.join()
    assert served_meanwhile


def test_the_core_does_not_wait_for_a_program_that_never_lets_go(tmp_path: Path) -> None:
    device = tmp_path / "tpm"
    device.write_bytes(b"")
    with device.open("r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        began = time.monotonic()
        with pytest.raises(TpmError, match="held by another program"):
            second_layer(Tpm.of_the_core(device), [V1])
        assert time.monotonic() - began < 10
        vault = KeyVault(bytes(32), bytes(32), bytes(32), tpm=Tpm.of_the_core(device))
        assert vault.pin_matches(PinRule("opin1-tpm", 1, "00" * 16, 3), "00" * 16, PinEntry()) is None


def test_a_chip_that_does_not_answer_costs_the_core_little(tmp_path: Path) -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    began = time.monotonic()
    with pytest.raises(TpmError, match="gives no answer"):
        Tpm.of_the_core(Path(os.ttyname(slave))).counter()
    assert time.monotonic() - began < 10
    os.close(master)
    os.close(slave)
