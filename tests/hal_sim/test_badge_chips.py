"""The badges' chips of the emulator against the published examples (firmware_notes/badges.vectors.toml), and their refusals."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from hal_sim.badge.catalogue import APPLICATION, FILE_NUMBER, KEY_NUMBER, KINDS, Badges, SmartTag, Tampered, uid_of
from hal_sim.badge.crypto import badge_key, cmac, decipher
from hal_sim.badge.desfire import Desfire
from hal_sim.badge.ev2 import FREE, Application, Fault, Mode, Session, StandardFile
from hal_sim.badge.ntag424 import COUNTER_MAX, LINK, NAME, Ntag424, SignedLink

VECTORS: dict[str, list[dict[str, Any]]] = tomllib.loads(
    (Path(__file__).resolve().parents[2] / "firmware_notes" / "badges.vectors.toml").read_text()
)
UID = bytes.fromhex("04A1B2C3D4E580")
MODES = {"plain": Mode.PLAIN, "mac": Mode.MAC, "full": Mode.FULL}


def each(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", VECTORS[kind], ids=lambda case: str(case["name"]).replace(" ", "-"))


def raw(case: dict[str, Any], name: str) -> bytes:
    return bytes.fromhex(case[name])


def draws(*values: bytes) -> Callable[[int], bytes]:
    """Luck that was drawn before."""
    left: Iterator[bytes] = iter(values)

    def draw(size: int) -> bytes:
        value = next(left)
        assert len(value) == size
        return value

    return draw


@each("cmac")
def test_cmac(case: dict[str, Any]) -> None:
    assert cmac(raw(case, "key"), raw(case, "message")) == raw(case, "mac")


def test_a_diversified_key() -> None:
    case = VECTORS["diversified"][0]
    assert badge_key(raw(case, "master"), raw(case, "uid"), raw(case, "aid"), raw(case, "system")) == raw(case, "key")
    with pytest.raises(ValueError, match="17 to 32"):
        badge_key(raw(case, "master"), raw(case, "uid"), b"", b"short")


@each("authentication")
def test_an_authentication(case: dict[str, Any]) -> None:
    key, first = raw(case, "key"), case["first"]
    challenge = decipher(key, raw(case, "answer_1")[:16])
    chip = Ntag424(UID, {case["key_number"]: key}, draws(challenge, *([raw(case, "transaction")] if first else [])))
    if not first:
        chip.session = Session(3, bytes(16), bytes(16), raw(case, "transaction"), 7)
    assert chip(raw(case, "command_1")) == raw(case, "answer_1")
    assert chip(raw(case, "command_2")) == raw(case, "answer_2")
    assert chip.session is not None
    assert (chip.session._enc, chip.session._mac) == (raw(case, "enc"), raw(case, "mac"))
    assert chip.session.counter == (0 if first else 7)


@each("command")
def test_a_command_under_a_session(case: dict[str, Any]) -> None:
    mode, header = MODES[case["mode"]], raw(case, "header")
    session = Session(0, raw(case, "enc"), raw(case, "mac"), raw(case, "transaction"), case["counter"])
    assert session.opened(case["ins"], raw(case, "apdu")[5:-1], len(header), mode) == header + raw(case, "data")
    assert session.closed(raw(case, "content"), mode) + b"\x91\x00" == raw(case, "answer")
    if mode is Mode.PLAIN:
        return
    spoilt = bytearray(raw(case, "apdu")[5:-1])
    spoilt[0] ^= 1
    with pytest.raises(Fault):
        Session(0, raw(case, "enc"), raw(case, "mac"), raw(case, "transaction"), case["counter"]).opened(
            case["ins"], bytes(spoilt), len(header), mode
        )


@each("sun")
def test_a_signed_link(case: dict[str, Any]) -> None:
    key, values = raw(case, "key"), re.findall(r"=([0-9A-F]+)", case["text"])
    chip = Ntag424(raw(case, "uid"), {}, draws(decipher(key, bytes.fromhex(values[0]))[11:]), counter=case["counter"])
    link = chip.signed(SignedLink("https://x", key, key, raw(case, "file_data") or None))
    assert re.findall(r"=([0-9A-F]+)", link) == values


# --- what a chip refuses


def ask(chip: Callable[[bytes], bytes], text: str) -> str:
    return chip(bytes.fromhex(text)).hex().upper()


def desfire() -> Desfire:
    application = Application({0: bytes(16)}, {1: StandardFile(b"closed"), 2: StandardFile(b"open to all", Mode.PLAIN, FREE)}, b"\xa0name")
    return Desfire(UID, {APPLICATION: application}, Random(1).randbytes)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("905A000003010203" + "00", "91A0"),
        ("9071000002000000", "9140"),
        ("90AF000000", "91CA"),
        ("9051000000", "919D"),
        ("90AD0000070100000000000000", "91F0"),
        ("906F000000", "919D"),
        ("9099000000", "911C"),
        ("8000000000", "6E00"),
        ("0001000000", "6D00"),
        ("00A4040402123400", "6A82"),
        ("9060", "6700"),
    ],
)
def test_refusals_of_a_card_without_an_application(said: str, status: str) -> None:
    assert ask(desfire(), said) == status


def test_what_is_free_is_read_without_a_key_and_what_is_not_is_not() -> None:
    chip = desfire()
    assert ask(chip, "906A000000") == "F5A1109100"
    assert ask(chip, "905A000003F5A11000") == "9100"
    assert ask(chip, "906F000000") == "01029100"
    assert chip(bytes.fromhex("90AD00000702000000000000" + "00")) == b"open to all\x91\x00"
    assert ask(chip, "90AD0000070200000000010000") == "91BE"
    assert ask(chip, "90AD00000701000000000000" + "00") == "919D"
    assert ask(chip, "90F50000010200") == "000000E00B00009100"
    assert ask(chip, "00A4040005" + b"\xa0name".hex()) == "9000"


def test_the_version_comes_in_three_frames() -> None:
    chip = desfire()
    assert ask(chip, "9060000000") == "040101120018" + "05" + "91AF"
    assert ask(chip, "90AF000000")[-4:] == "91AF"
    last = ask(chip, "90AF000000")
    assert last[:14] == UID.hex().upper()
    assert last[-4:] == "9100"


def test_a_wrong_proof_ends_everything() -> None:
    chip = desfire()
    ask(chip, "905A000003F5A11000")
    assert ask(chip, "9071000002000000")[-4:] == "91AF"
    assert ask(chip, "90AF000020" + "00" * 32 + "00") == "91AE"
    assert chip.session is None
    assert ask(chip, "90AF000000") == "91CA"


def test_a_counter_at_its_end_signs_no_more() -> None:
    chip = Ntag424(UID, {}, Random(1).randbytes, link=SignedLink("https://x", bytes(16), bytes(16)), counter=COUNTER_MAX - 1)
    for wanted in ("00", "00"):
        assert ask(chip, "00A4040007D276000085010100") == "9000"
        assert ask(chip, "00A4000C02E104") == "9000"
        assert ask(chip, "00B0000001") == wanted + "9000"
    assert chip.counter == COUNTER_MAX
    assert chip.content(LINK, chip._only.files[LINK]) == bytes(256)


def test_a_link_is_signed_anew_at_each_selection_and_stays_while_it_is_read() -> None:
    chip = Badges(1).ntag424("TRUCK-1")
    seen = []
    for _ in range(2):
        chip.forget()
        ask(chip, "00A4040007" + NAME.hex() + "00")
        ask(chip, "00A4000C02E104")
        seen.append(chip(bytes.fromhex("00B0000200")))
        assert chip(bytes.fromhex("00B0000200")) == seen[-1]
    assert seen[0] != seen[1]
    assert chip.counter == 2


# --- the catalogue


def test_every_kind_can_be_held_out() -> None:
    badges = Badges(1)
    badges.ntag424("04A1B2C3D4E580").shown = b"link"
    for kind in KINDS:
        assert badges.make("04A1B2C3D4E580", kind).uid == UID
    with pytest.raises(ValueError, match="one of auto"):
        badges.make("04A1B2C3D4E580", "gold")
    with pytest.raises(ValueError, match="needs a number"):
        badges.make("", "desfire")
    with pytest.raises(ValueError, match="has not signed"):
        badges.make("TRUCK-9", "replay")
    with pytest.raises(ValueError, match="room for"):
        badges.make("N" * 33, "desfire")


def test_keys_are_the_issuers_and_differ_by_badge(tmp_path: Path) -> None:
    badges, again, other = Badges(1), Badges(1), Badges(2)
    told = badges.write_keys(tmp_path)
    assert bytes.fromhex(Path(str(told["master_key"])).read_text()) == badges.master == again.master
    assert other.master != badges.master
    keys = {number: badges.desfire(number)._applications[APPLICATION].keys[KEY_NUMBER] for number in ("A", "B")}
    assert keys["A"] == badge_key(badges.master, uid_of("A"), APPLICATION, b"FORECOURT")
    assert keys["A"] != keys["B"]
    assert badges.desfire("A")._applications[APPLICATION].files[FILE_NUMBER].content.rstrip(b"\0") == b"A"


def test_a_random_uid_changes_with_the_field() -> None:
    tag = SmartTag(desfire(), drawn=Random(3))
    before = tag.uid
    assert before[0] == 0x08
    tag.field_lost()
    assert tag.uid != before


def test_a_tampered_answer_has_one_bit_turned() -> None:
    bent = Tampered(desfire(), 1, 3)
    assert ask(bent, "906A000000") == "F5A1109100"
    assert ask(bent, "906A000000") == "FDA1109100"
    assert ask(bent, "906A000000") == "F5A1109100"
