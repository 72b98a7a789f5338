"""A bank card as a name: its number never leaves as such, nothing but reading is asked of it, and cards that lie are strangers."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.events import MediumKind, MediumPresented, Trust
from drivers.smartcard.dialogue import CardDialogue
from drivers.smartcard.emv import NAME, OPTIONS_MAX, RECORDS_MAX, SCHEMES, EmvDialogue
from drivers.smartcard.fleet import CardRefused, FleetCard
from hal_sim.smartcard.card import BANK_AID, BankCard, Card, Habits, make_card, tlv
from terminal.core.card_table import is_bank_name, token_of_name
from tests.drivers.test_smartcard_fleet import EVERY_HABIT

NUMBER = "4111111111111111"
RIDS = {"A000000003", "A000000004", "A000000025", "A000000042", "A000000065", "A000000152", "A000000333"}


def token(number: str) -> str:
    return hashlib.sha256(number.encode()).hexdigest()[:32]


def talk(card: Card, *, wanted: bool = True, longest: int = 60) -> FleetCard:
    """The whole conversation. Raises CardRefused."""
    dialogue = CardDialogue(card.habits.t0, None, bytes(16), token=token if wanted else None)
    step: bytes | FleetCard = dialogue.start()
    for _ in range(longest):
        if isinstance(step, FleetCard):
            return step
        card.heard.append(step)
        step = dialogue.receive(card.apdu(step))
    raise AssertionError("the conversation has no end")


@pytest.mark.parametrize("habits", EVERY_HABIT, ids=str)
@pytest.mark.parametrize("directory", [True, False])
def test_every_habit(habits: Habits, directory: bool) -> None:
    card = BankCard(NUMBER, habits, directory=directory)
    found = talk(card)
    assert found == FleetCard(f"EMV-{token(NUMBER)}-1111", "2912", proven=False)
    assert found.trust is Trust.T0
    assert {command[1] for command in card.heard} <= {0xA4, 0xA8, 0xB2, 0xC0}, "no VERIFY, no cryptogram"


@pytest.mark.parametrize("number", ["411111111111", "4111111111111111119", "49927398716"[:11] + "00"])
def test_numbers_of_every_length(number: str) -> None:
    assert talk(BankCard(number, Habits())).number == f"EMV-{token(number)}-{number[-4:]}"


def test_off_it_hears_of_the_fleets_application_alone() -> None:
    card = BankCard(NUMBER, Habits())
    with pytest.raises(CardRefused, match="no card of this fleet"):
        talk(card, wanted=False)
    assert len(card.heard) == 1


def test_a_card_of_the_fleet_is_never_asked_for_a_bank_card() -> None:
    """Nor is one that is forged or out of shape: only a card that has not our application at all."""
    for make in ("fleet", "copy", "no proof"):
        card = make_card(make, "7001231234567890123", Habits(), bytes(32))
        talk(card)
        assert not any(command[1] in (0xA8, 0xB2) for command in card.heard)


def test_the_schemes_whose_pin_nobody_may_ask_for_are_known_by_name() -> None:
    """Reference 1.2: for all of them, and every other that is read by this way, there is no PIN."""
    assert {aid.hex().upper()[:10] for aid in SCHEMES} == RIDS
    assert BANK_AID in SCHEMES


def test_the_name_is_the_cores_too() -> None:
    """Written apart, because drivers and core know nothing of each other."""
    found = talk(BankCard(NUMBER, Habits()))
    assert found.number.startswith(NAME)
    assert is_bank_name(found.number)
    assert token_of_name(found.number) == token(NUMBER)
    for other in (NUMBER, "EMV-", f"EMV-{token(NUMBER)}", f"EMV-{token(NUMBER).upper()}-1111", f"X{found.number}", f"{found.number}\n"):
        assert not is_bank_name(other)
    assert found.number not in repr(MediumPresented(1, MediumKind.SMART_CARD, found.number))
    assert NUMBER not in repr(found)


def test_the_example_of_the_reference_is_read() -> None:
    """A payment directory of a contactless card, as the reference on security has it (section 3): its AID is selected next."""
    directory = bytes.fromhex(
        "6F3A840E325041592E5359532E4444463031A528BF0C2561234F07A0000000031010500A566973612044656269748701019F0A080001050100000000"
    )
    dialogue = EmvDialogue(False, token)
    assert dialogue.start() == bytes.fromhex("00A404000E315041592E5359532E444446303100")
    assert dialogue.receive(b"\x6a\x82") == bytes.fromhex("00A404000E325041592E5359532E444446303100")
    assert dialogue.receive(directory + b"\x90\x00") == bytes.fromhex("00A4040007A000000003101000")


# --- cards that lie ---------------------------------------------------------------------------------------------------


class Told(Card):
    """A card with these answers, by instruction; each list's last one again and again."""

    def __init__(self, **answers: list[bytes]) -> None:
        self.answers = {int(name[1:], 16): list(said) for name, said in answers.items()}
        super().__init__(Habits())

    def execute(self, ins: int, p1: int, p2: int, data: bytes) -> bytes:
        if data == bytes.fromhex("F0464C45455401"):
            return b"\x6a\x82"
        said = self.answers.get(ins, [b"\x6d\x00"])
        return said.pop(0) if len(said) > 1 else said[0]


FCI = tlv(0x6F, tlv(0x84, BANK_AID) + tlv(0xA5, b"\x50\x01A")) + b"\x90\x00"
DIRECTORY = tlv(0x6F, tlv(0xA5, b"\x88\x01\x01")) + b"\x90\x00"
ENTRY = tlv(0x70, tlv(0x61, tlv(0x4F, BANK_AID))) + b"\x90\x00"
NO_RECORD = b"\x6a\x83"
OPTIONS = bytes.fromhex("80063900100102009000")


def with_pan(value: bytes) -> bytes:
    return tlv(0x70, tlv(0x5A, value)) + b"\x90\x00"


@pytest.mark.parametrize(
    "answers",
    [
        {"xA4": [DIRECTORY], "xB2": [ENTRY]},
        {"xA4": [DIRECTORY], "xB2": [tlv(0x70, tlv(0x61, tlv(0x4F, b"AID"))) + b"\x90\x00"]},
        {"xA4": [tlv(0x6F, tlv(0xA5, b"\x88\x01\x00")) + b"\x90\x00"]},
        {"xA4": [tlv(0x6F, tlv(0xA5, b"\x88\x01\x0b")) + b"\x90\x00"]},
        {"xA4": [b"\x90\x00"]},
        {"xA4": [DIRECTORY, FCI], "xB2": [ENTRY, NO_RECORD], "xA8": [b"\x69\x85"]},
        {"xA4": [DIRECTORY, FCI], "xB2": [ENTRY, NO_RECORD], "xA8": [b"\x80\x01\x00\x90\x00"]},
        {"xA4": [DIRECTORY, FCI], "xB2": [ENTRY, NO_RECORD], "xA8": [bytes.fromhex("80053900100102") + b"\x90\x00"]},
        {"xA4": [DIRECTORY, FCI], "xB2": [ENTRY, NO_RECORD], "xA8": [bytes.fromhex("800639000001FF009000")]},
        {"xA4": [DIRECTORY, FCI], "xB2": [ENTRY, NO_RECORD], "xA8": [bytes.fromhex("800639001002010090009000")]},
        {"xA4": [DIRECTORY, FCI], "xB2": [ENTRY, NO_RECORD, with_pan(b"\x41\x11")], "xA8": [OPTIONS]},
        {"xA4": [DIRECTORY, FCI], "xB2": [ENTRY, NO_RECORD, with_pan(b"\x4a" * 8)], "xA8": [OPTIONS]},
        {"xA4": [DIRECTORY, FCI], "xB2": [ENTRY, NO_RECORD, with_pan(b"\x41" * 11)], "xA8": [OPTIONS]},
        {"xA4": [DIRECTORY, FCI], "xB2": [ENTRY, NO_RECORD, with_pan(b"")], "xA8": [OPTIONS]},
        {"xA4": [DIRECTORY, FCI], "xB2": [ENTRY, NO_RECORD, b"\x70\x80\x5a\x00\x00\x00\x90\x00"], "xA8": [OPTIONS]},
        {"xA4": [DIRECTORY, FCI], "xB2": [ENTRY, NO_RECORD], "xA8": [OPTIONS]},
    ],
    ids=range(16),
)
def test_a_card_that_lies_is_a_stranger_and_comes_to_an_end(answers: dict[str, list[bytes]]) -> None:
    card = Told(**answers)
    with pytest.raises(CardRefused, match=r"^no card of this fleet$") as refused:
        talk(card)
    assert not refused.value.forged
    assert len(card.heard) <= 2 + RECORDS_MAX + 3 * len(SCHEMES) + RECORDS_MAX


@pytest.mark.parametrize(("size", "good"), [(OPTIONS_MAX, True), (OPTIONS_MAX + 1, False)])
def test_its_wishes_are_answered_with_zeros_and_have_an_end(size: int, good: bool) -> None:
    fci = tlv(0x6F, tlv(0xA5, tlv(0x9F38, b"\x9f\x1a" + bytes((size,))))) + b"\x90\x00"
    card = Told(xA4=[DIRECTORY, fci], xB2=[ENTRY, NO_RECORD, with_pan(bytes.fromhex(NUMBER))], xA8=[OPTIONS])
    if good:
        assert talk(card).number.endswith("-1111")
        (asked,) = (command for command in card.heard if command[1] == 0xA8)
        assert asked[5:-1] == bytes((0x83, size)) + bytes(size)
    else:
        with pytest.raises(CardRefused):
            talk(card)


def test_the_token_is_asked_for_once_and_gets_the_digits_alone() -> None:
    asked: list[str] = []

    def note(number: str) -> str:
        asked.append(number)
        return token(number)

    card = BankCard(NUMBER, Habits())
    dialogue = EmvDialogue(False, note)
    step: bytes | FleetCard = dialogue.start()
    while isinstance(step, bytes):
        step = dialogue.receive(card.apdu(step))
    assert asked == [NUMBER]
    assert not any(NUMBER.encode() in bytes(one) for one in vars(dialogue).values() if isinstance(one, (bytes, bytearray)))


@given(st.lists(st.one_of(st.binary(max_size=260), st.binary(max_size=60).map(lambda body: body + b"\x90\x00")), min_size=1, max_size=40))
def test_whatever_a_card_says_ends_in_words(answers: list[bytes]) -> None:
    dialogue = EmvDialogue(False, token)
    dialogue.start()
    try:
        for answer in answers:
            if isinstance(dialogue.receive(answer), FleetCard):
                return
    except CardRefused as refused:
        said = str(refused)
    else:
        return
    assert said == "no card of this fleet"


def test_no_file_of_the_product_can_send_a_pin_to_a_card() -> None:
    """VERIFY is 00 20; nothing under drivers/smartcard builds a command with that instruction."""
    for path in Path("drivers/smartcard").glob("*.py"):
        assert "0x20," not in path.read_text(encoding="utf-8")
