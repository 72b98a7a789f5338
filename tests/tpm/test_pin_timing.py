"""A PIN check with the second key goes the same way whatever is wrong (the first key alone: tests/machines/test_pin_timing.py)."""

from __future__ import annotations

from terminal.store.tpm import Tpm
from terminal.store.vault import KeyVault
from tests.machines.test_pin_timing import KEY, WRONG, typed, way_of
from tests.tpm.chip import Chip


def test_with_a_second_key_too(chip: Chip) -> None:
    """One conversation with the chip, of the same commands, whatever is wrong."""
    vault = KeyVault(KEY, KEY, KEY, tpm=Tpm(chip.device))
    ways = []
    for rule, account, digits in WRONG.values():
        entry = typed(digits)
        vault.pin_matches(rule, account, entry)
        ways.append([name for name in way_of(lambda each=(rule, account, entry): vault.pin_matches(*each)) if name != "read"])  # type: ignore[misc]
    assert ways[0].count("hmac") == 1
    assert all(way == ways[0] for way in ways)
