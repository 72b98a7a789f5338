"""The PIN block against published values and against a host's way back (firmware_notes/pins.vectors.toml)."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from terminal.core.pin import PinEntry
from terminal.store.pin_block import PinBlockError, encipher

VECTORS: dict[str, Any] = tomllib.loads((Path(__file__).resolve().parents[2] / "firmware_notes" / "pins.vectors.toml").read_text())
KEY = bytes.fromhex("00112233445566778899AABBCCDDEEFF")

DIGITS = st.text("0123456789")
PINS = st.text("0123456789", min_size=4, max_size=12)
PANS = st.text("0123456789", min_size=1, max_size=19)


def entry(digits: str) -> PinEntry:
    pin = PinEntry()
    for digit in digits:
        pin.add(digit)
    return pin


def opened(key: bytes, pan: str, block: bytes) -> str | None:
    """The host's way back, written from the standard a second time; None when nothing sensible comes out."""

    def decrypt(data: bytes) -> bytes:
        cipher = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).decryptor()
        return cipher.update(data) + cipher.finalize()

    pan_digits = pan.zfill(12)
    pan_field = bytes.fromhex((str(len(pan_digits) - 12) + pan_digits + "0" * 32)[:32])
    text = decrypt(bytes(a ^ b for a, b in zip(decrypt(block), pan_field, strict=True))).hex()
    length = int(text[1], 16)
    digits, fill = text[2 : 2 + length], text[2 + length : 16]
    return digits if text[0] == "4" and 4 <= length <= 12 and digits.isdigit() and set(fill) <= {"a"} else None


@pytest.mark.parametrize("case", VECTORS["pin_block"], ids=lambda case: case["block"][:8])
def test_published_blocks(case: dict[str, str]) -> None:
    key, random = bytes.fromhex(case["key"]), bytes.fromhex(case["random"])
    assert encipher(key, entry(case["pin"]).view(), case["pan"], random).hex().upper() == case["block"]
    assert opened(key, case["pan"], bytes.fromhex(case["block"])) == case["pin"]
    assert case["source"]


@pytest.mark.parametrize("case", VECTORS["pin_block"], ids=lambda case: case["block"][:8])
def test_no_flipped_bit_of_a_block_keeps_the_pin(case: dict[str, str]) -> None:
    """A block has no MAC: the host notices a changed one by its form, or by the PIN being another. It never opens to the right PIN."""
    for bit in range(128):
        changed = bytearray.fromhex(case["block"])
        changed[bit // 8] ^= 1 << bit % 8
        assert opened(bytes.fromhex(case["key"]), case["pan"], bytes(changed)) != case["pin"]


@given(PINS, PANS, st.binary(min_size=8, max_size=8), st.sampled_from([16, 32]))
def test_the_host_reads_what_was_entered_under_the_right_pan_only(pin: str, pan: str, random: bytes, key_size: int) -> None:
    key = KEY * (key_size // 16)
    block = encipher(key, entry(pin).view(), pan, random)
    assert opened(key, pan, block) == pin
    other = str((int(pan[-1]) + 1) % 10)
    assert opened(key, pan[:-1] + other, block) != pin


@given(PINS, PANS, st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=8))
def test_the_same_pin_twice_gives_two_blocks(pin: str, pan: str, one: bytes, two: bytes) -> None:
    same = encipher(KEY, entry(pin).view(), pan, one) == encipher(KEY, entry(pin).view(), pan, two)
    assert same is (one == two)


@pytest.mark.parametrize("pin", ["", "123", "1234567890123", "12a4", "12 4", "123:", "123/", "123\xb2", "+123"])
def test_what_is_no_pin_is_refused_without_a_trace_of_it(pin: str) -> None:
    with pytest.raises(PinBlockError) as refusal:
        encipher(KEY, bytearray(pin.encode("latin-1")), "7001231234567890123", bytes(8))
    assert not (pin and pin in str(refusal.value))
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize(
    ("key", "pan", "random"),
    [
        (KEY, "", bytes(8)),
        (KEY, "70012312345678901234", bytes(8)),
        (KEY, "7001 23", bytes(8)),
        (KEY, "٧٠٠١", bytes(8)),
        (KEY, "7001", bytes(7)),
        (KEY[:8], "7001", bytes(8)),
    ],
)
def test_other_parts_are_checked_too(key: bytes, pan: str, random: bytes) -> None:
    with pytest.raises(PinBlockError) as refusal:
        encipher(key, bytearray(b"9175"), pan, random)
    assert "9175" not in str(refusal.value)


def test_a_pin_is_taken_where_it_stands_and_left_to_its_owner() -> None:
    digits = bytearray(b"9175")
    encipher(KEY, digits, "7001", bytes(8))
    assert digits == b"9175"
    pin = entry("9175")
    pin.wipe()
    with pytest.raises(PinBlockError, match="4 to 12"):
        encipher(KEY, pin.view(), "7001", bytes(8))
