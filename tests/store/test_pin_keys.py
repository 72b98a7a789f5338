"""Keys for PIN blocks: each used once, whatever is cut or copied, and the host opens what they close."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hal_sim.host.identification import PinChecks
from hal_sim.host.pin_opening import counter_of, initial_key, opened
from terminal.core.pin import PinEntry
from terminal.store import pin_keys as module
from terminal.store.pin_keys import FILE, PinKeys, PinKeysError

DEVICE = bytes(range(32))
BASE = bytes(range(0x40, 0x50))
KEY_ID = bytes.fromhex("1234567890123456")
NUMBER = "7001000000000012"


def typed(digits: str) -> PinEntry:
    pin = PinEntry()
    for digit in digits:
        pin.add(digit)
    return pin


def loaded(folder: Path) -> PinKeys:
    keys = PinKeys(folder / FILE, DEVICE)
    keys.load(initial_key(BASE, KEY_ID), KEY_ID)
    return keys


def ksn_of(keys: PinKeys) -> int:
    block = keys.encipher(NUMBER, typed("4711"))
    assert block is not None
    return counter_of(block.ksn)


@pytest.mark.parametrize("pin", ["4711", "00000", "123456789012"])
@pytest.mark.parametrize("number", [NUMBER, "7", "7001231234567890123"])
def test_the_host_opens_what_the_terminal_closes(tmp_path: Path, pin: str, number: str) -> None:
    block = loaded(tmp_path).encipher(number, typed(pin))
    assert block is not None
    assert opened(BASE, block.ksn, block.block, number) == pin
    assert opened(BASE, block.ksn, block.block, str(int(number) + 1)) != pin
    assert opened(BASE[::-1], block.ksn, block.block, number) != pin
    assert block.block not in repr(block)


def test_every_pin_has_a_key_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESERVED", 7)
    keys = loaded(tmp_path)
    found = [ksn_of(keys) for _ in range(30)]
    assert found == sorted(set(found))


def test_a_cut_of_the_power_loses_keys_and_repeats_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESERVED", 5)
    keys = loaded(tmp_path)
    used: list[int] = []
    for lived in range(12):
        used += [ksn_of(keys) for _ in range(lived % 6)]
        keys = PinKeys(tmp_path / FILE, DEVICE)
    assert used == sorted(set(used))


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_disk_that_fails_gives_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    keys = loaded(tmp_path)

    def fail(*args: object, **more: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        if step == "write":
            broken.setattr(os, "fdopen", fail)
        else:
            broken.setattr(os, step, fail)
        assert keys.encipher(NUMBER, typed("4711")) is None
    assert ksn_of(keys) >= 1


def test_an_initial_key_is_loaded_once(tmp_path: Path) -> None:
    keys = loaded(tmp_path)
    before = ksn_of(keys)
    with pytest.raises(PinKeysError, match="loaded before"):
        keys.load(initial_key(BASE, KEY_ID), KEY_ID)
    assert ksn_of(keys) > before
    other = KEY_ID[::-1]
    keys.load(initial_key(BASE, other), other)
    assert ksn_of(keys) == 1


def test_without_keys_or_with_anothers_there_is_no_block(tmp_path: Path) -> None:
    assert PinKeys(tmp_path / FILE, DEVICE).encipher(NUMBER, typed("4711")) is None
    loaded(tmp_path)
    assert PinKeys(tmp_path / FILE, DEVICE[::-1]).encipher(NUMBER, typed("4711")) is None
    keys = PinKeys(tmp_path / FILE, DEVICE)
    assert keys.encipher("04A1B2C3D4E5F6", typed("4711")) is None, "no block can be bound to what is no number"
    assert keys.encipher(NUMBER, typed("471")) is None
    assert ksn_of(keys) == 3, "a key that was taken for a block that could not be made is gone"
    with pytest.raises(PinKeysError, match="16 or 32 bytes"):
        keys.load(b"short", KEY_ID)


def test_the_file_shows_nothing_and_is_ours_alone(tmp_path: Path) -> None:
    keys = loaded(tmp_path)
    assert ksn_of(keys) == 1
    content = (tmp_path / FILE).read_bytes()
    assert KEY_ID not in content
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0
    (tmp_path / FILE).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert PinKeys(tmp_path / FILE, DEVICE).encipher(NUMBER, typed("4711")) is None


def test_the_host_counts_and_locks_and_takes_each_serial_number_once(tmp_path: Path) -> None:
    checks = PinChecks(DEVICE, 3)
    key, key_id = checks.initial("OPT1")
    keys = PinKeys(tmp_path / FILE, DEVICE)
    keys.load(key, key_id)

    def tried(pin: str) -> str | None:
        block = keys.encipher(NUMBER, typed(pin))
        assert block is not None
        return checks.judge("account", "4711", NUMBER, block.block, block.ksn)

    assert [tried("0000"), tried("4711"), tried("0000"), tried("1111")] == ["PIN_WRONG", None, "PIN_WRONG", "PIN_WRONG"]
    again = keys.encipher(NUMBER, typed("4711"))
    assert again is not None
    assert checks.judge("account", "4711", NUMBER, again.block, again.ksn) is None
    assert checks.judge("account", "4711", NUMBER, again.block, again.ksn) == "PIN_WRONG", "the same block again is a copy"
    assert [tried("0000"), tried("2222"), tried("4711")] == ["PIN_WRONG", "PIN_LOCKED", "PIN_LOCKED"]
    checks.unlock("account")
    assert tried("4711") is None
