"""Card files whose PINs have the second layer: nothing of V1 on the disk, the same PIN right and every other wrong, only with this chip."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from terminal.core.pin import PinEntry, opin1
from terminal.store.card_file import CardFile, CardFileError
from terminal.store.card_import import ImportFailed, ImportProcess, build
from terminal.store.live_lists import LiveLists
from terminal.store.tpm import TPM_SCHEME, Tpm, second_layer
from terminal.store.vault import KeyVault
from tests.store.list_kit import Row, card, delta, job, product
from tests.tpm.chip import Chip

KEY = bytes(range(32))
TOKENS = [f"{number:032x}" for number in range(1, 6)]


def typed(digits: str) -> PinEntry:
    entry = PinEntry()
    for digit in digits:
        entry.add(digit)
    return entry


def verifier(token: str, pin: str, epoch: int = 1) -> str:
    return opin1(KEY, bytes.fromhex(token), epoch, typed(pin)).hex()


def with_pin(token: str, pin: str = "4711", epoch: int = 1, **changes: object) -> Row:
    return card(token, pin={"scheme": "opin1", "epoch": epoch, "verifier": verifier(token, pin, epoch), "tries": 3}, **changes)


ROWS: list[Row] = [product(), *(with_pin(token) for token in TOKENS[:4]), card(TOKENS[4])]


def built(folder: Path, rows: list[Row], version: int, chip: Chip, previous: Path | None = None) -> Path:
    work = msgspec.structs.replace(job(folder, rows, version), tpm=str(chip.device), previous=str(previous or ""))
    build(work)
    return Path(work.target)


def test_a_pin_is_right_by_this_chip_alone(chip: Chip, tmp_path: Path) -> None:
    path = built(tmp_path, ROWS, 1, chip)
    data = path.read_bytes()
    for token in TOKENS[:4]:
        assert verifier(token, "4711").encode() not in data
    lists = LiveLists(tmp_path, layered=True)
    lists.use(path.name)
    found = lists.card(TOKENS[0])
    assert found is not None
    assert found.pin is not None
    assert found.pin.scheme == TPM_SCHEME
    assert lists.card(TOKENS[4]) == CardFile(path).card(TOKENS[4])
    vault = KeyVault(KEY, KEY, KEY, tpm=Tpm(chip.device))
    assert vault.pin_matches(found.pin, TOKENS[0], typed("4711")) is True
    assert vault.pin_matches(found.pin, TOKENS[0], typed("4712")) is False
    assert vault.pin_matches(found.pin, TOKENS[1], typed("4711")) is False
    assert KeyVault(KEY, KEY, KEY).pin_matches(found.pin, TOKENS[0], typed("4711")) is False
    # Who has the disk and K_dev, and not the chip: all ten thousand PINs, and none of them is found.
    assert all(opin1(KEY, bytes.fromhex(TOKENS[0]), 1, typed(f"{pin:04}")).hex() != found.pin.verifier for pin in range(10_000))
    chip.off()
    assert vault.pin_matches(found.pin, TOKENS[0], typed("4711")) is None
    lists.close()


def test_what_has_its_layer_is_taken_over_and_a_new_epoch_is_made_anew(chip: Chip, tmp_path: Path) -> None:
    first = built(tmp_path, ROWS, 1, chip)
    before = {token: CardFile(first).card(token) for token in TOKENS}
    chip.off()
    changed = [product(), *(with_pin(token, status="blocked") for token in TOKENS[:4]), card(TOKENS[4])]
    second = built(tmp_path, changed, 2, chip, first)  # without the chip: nothing is new
    for token in TOKENS[:4]:
        old, new = before[token], CardFile(second).card(token)
        assert old is not None
        assert new is not None
        assert (new.pin, new.status.value) == (old.pin, "blocked")
    chip.on()
    third = built(tmp_path, [product(), with_pin(TOKENS[0], "1234", 2), with_pin(TOKENS[1])], 3, chip, second)
    found = CardFile(third).card(TOKENS[0])
    assert found is not None
    assert found.pin is not None
    assert found.pin.verifier == second_layer(Tpm(chip.device), [bytes.fromhex(verifier(TOKENS[0], "1234", 2))])[0].hex()


def test_without_the_chip_a_new_list_is_not_taken(chip: Chip, tmp_path: Path) -> None:
    chip.off()
    with pytest.raises(ImportFailed, match="the PINs cannot be guarded: the TPM at .* cannot be opened"):
        built(tmp_path, ROWS, 1, chip)
    assert not list(tmp_path.glob("cards-*"))


def test_the_process_that_imports_does_the_same(chip: Chip, tmp_path: Path) -> None:
    here = built(tmp_path, ROWS, 1, chip)
    wanted = CardFile(here).card(TOKENS[0])
    folder = tmp_path / "process"
    folder.mkdir()
    work = msgspec.structs.replace(job(folder, ROWS), tpm=str(chip.device))
    ImportProcess()(work)
    assert CardFile(Path(work.target)).card(TOKENS[0]) == wanted


def test_a_file_of_the_other_kind_is_refused_and_fetched_anew(chip: Chip, tmp_path: Path) -> None:
    plain = job(tmp_path, ROWS, 1)
    build(plain)
    with pytest.raises(CardFileError, match="guarded otherwise"):
        LiveLists(tmp_path, layered=True).use(Path(plain.target).name)
    layered = built(tmp_path, ROWS, 2, chip)
    with pytest.raises(CardFileError, match="guarded otherwise"):
        LiveLists(tmp_path, layered=False).use(layered.name)


def test_changes_of_cards_need_the_whole_list_others_do_not(chip: Chip, tmp_path: Path) -> None:
    path = built(tmp_path, ROWS, 1, chip)
    lists = LiveLists(tmp_path, layered=True)
    lists.use(path.name)
    refused = lists.changed((delta(1, ROWS, [*ROWS[:-1], card(TOKENS[4], status="blocked")]),))
    assert getattr(refused, "whole", False)
    assert lists.version == 1
    lists.changed((delta(1, ROWS, [*ROWS, product("SP95")]),))
    assert lists.version == 2
    lists.close()
