"""The configuration of stripe and chip card readers: every mistake is named with its key, and the chip key reaches its reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from hal_sim.smartcard.certified import CardAuthority
from terminal.config import ConfigError
from terminal.devices import Devices
from tests.test_config import example, load_text, refusal

STRIPE = "# stripe_reader = "
MISTAKES: list[tuple[str, str, str, str]] = [
    (STRIPE, "stripe_reader = {}  # ", "side.stripe_reader", "path or phys"),
    (STRIPE, 'stripe_reader = { path = "/dev/a", layout = "de" }  # ', "side.stripe_reader.layout", "known are us, fr"),
    (STRIPE, 'stripe_reader = { path = "/dev/a", lrc = "yes" }  # ', "side[0].stripe_reader.lrc", "bool"),
    (STRIPE, 'stripe_reader = { path = "/dev/forecourt/keypad-1" }  # ', "port (two devices on one)", "twice"),
    ("# card_reader = { name = ", 'card_reader = { name = "" }  # ', "side[0].card_reader.name", "length"),
    ("# chip = ", 'chip = "/k"  # ', "keys.chip", "no side has a card_reader"),
    ("# chip = ", f'chip = "{"0" * 64}"  # ', "keys.chip", "take the key for known by others"),
    ("# tpm = ", 'tpm = "tpmrm0"  # ', "keys.tpm", "a device's whole path"),
    ("# chip_version = 1", "chip_version = 32", "keys.chip_version", "<= 31"),
]


@pytest.mark.parametrize(("old", "new", "key", "word"), MISTAKES, ids=range(len(MISTAKES)))
def test_every_mistake_is_named(tmp_path: Path, old: str, new: str, key: str, word: str) -> None:
    """In plain words, with its key in front."""
    said = refusal(tmp_path, example((old, new)))
    assert said.startswith(key)
    assert word in said


@pytest.mark.parametrize(
    ("keypad", "stripe", "refused"),
    [
        ("usb-1-1/input0", "usb-1-1/input0", True),
        ("usb-1-1", "usb-1-1/input1", True),
        ("usb-1-1/input1", "usb-1-1", True),
        ("usb-1-1/input0", "usb-1-1/input1", False),
        ("usb-1-1", "usb-1-10", False),
    ],
)
def test_keypad_and_stripe_reader_have_sockets_of_their_own(tmp_path: Path, keypad: str, stripe: str, refused: bool) -> None:
    """Named in any way: the one must never be taken for the other."""
    pad = ('keypad = { path = "/dev/forecourt/keypad-1" }', f'keypad = {{ phys = "{keypad}" }}')
    text = example(pad, (STRIPE, f'stripe_reader = {{ phys = "{stripe}" }}  # '))
    if refused:
        assert refusal(tmp_path, text) == f"side.stripe_reader.phys: {stripe} is given twice (also as side.keypad.phys)"
    else:
        table = load_text(tmp_path, text).side[0].stripe_reader
        assert table is not None
        assert (table.phys, table.layout, table.lrc) == (stripe, "us", False)


def test_the_chip_key_reaches_the_card_reader_or_is_named(tmp_path: Path) -> None:
    """A key file that is missing, or none, stops the start; its content is never repeated."""
    file = tmp_path / "chip.key"
    named = ("# chip = ", f'chip = "{file}"  # '), ("# card_reader = ", "card_reader = ")
    config = load_text(tmp_path, example(*named))
    with pytest.raises(ConfigError, match=r"keys\.chip: .*chip\.key: No such file"):
        Devices(config, lambda event: None, lambda: 0)
    file.write_text("0123" * 15, encoding="ascii")
    with pytest.raises(ConfigError, match=r"keys\.chip: .*30 bytes, 32 expected") as refused:
        Devices(config, lambda event: None, lambda: 0)
    assert "0123" not in str(refused.value)
    file.write_text("0123" * 16, encoding="ascii")
    names = [thread.name for thread in Devices(config, lambda event: None, lambda: 0).threads]
    assert [name for name in names if name.startswith("card-")] == ["card-1"]


def test_the_authority_of_card_certificates_is_read_at_the_start(tmp_path: Path) -> None:
    """A file that is missing, or holds no authority, stops the start."""
    file = tmp_path / "chip-ca.pem"
    config = load_text(tmp_path, example(("# chip_ca = ", f'chip_ca = "{file}"  # '), ("# card_reader = ", "card_reader = ")))
    with pytest.raises(ConfigError, match=r"keys\.chip_ca: .*chip-ca\.pem: No such file"):
        Devices(config, lambda event: None, lambda: 0)
    file.write_bytes(b"not a certificate")
    with pytest.raises(ConfigError, match=r"keys\.chip_ca: .*: not one to four certificates of authorities"):
        Devices(config, lambda event: None, lambda: 0)
    file.write_bytes(CardAuthority().pem())
    Devices(config, lambda event: None, lambda: 0)


def test_bank_cards_are_wanted_twice(tmp_path: Path) -> None:
    """By the reader and by the policy: nobody reads bank cards by one slip."""
    reader = ("# card_reader = ", 'card_reader = { name = "R", bank_cards = true }  # ')
    assert refusal(tmp_path, example(reader)) == "side.card_reader.bank_cards: needs policy.bank_cards"
    config = load_text(tmp_path, example(reader, ("# bank_cards = false", "bank_cards = true ")))
    assert config.side[0].card_reader is not None
    assert config.side[0].card_reader.bank_cards
