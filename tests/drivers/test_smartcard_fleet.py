"""What is said to a chip card of the fleet: the golden exchange, cards of every habit and make, and cards that lie.

The cards are the emulator's, written from the same page with a CMAC of its own (``firmware_notes/chip-card.md``).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.smartcard.fleet import CHALLENGE_BYTES, FLEET_AID, CardRefused, ChipKey, FleetCard, FleetDialogue, card_key, proof_of
from hal_sim.smartcard.card import MAKES, Card, Habits, Personal, cmac, diversified, make_card
from hal_sim.smartcard.card import FleetCard as EmulatedCard

GOLDEN: dict[str, Any] = tomllib.loads((Path(__file__).resolve().parents[2] / "firmware_notes" / "chip-card.frames.toml").read_text())
CARD: dict[str, str] = GOLDEN["card"]
MASTER = bytes.fromhex(CARD["master"])
KEY = ChipKey(MASTER, 1)
CHALLENGE = bytes.fromhex(CARD["challenge"])
NUMBER = CARD["number"]
EVERY_HABIT = [
    Habits(t0=t0, get_response=get_response, exact_length=exact)
    for t0 in (False, True)
    for get_response in (False, True)
    for exact in (False, True)
]


def golden_card(**habits: bool) -> Card:
    personal = Personal(NUMBER, CARD["expiry"], 1, bytes.fromhex(CARD["serial"]), bytes.fromhex(CARD["key"]))
    return EmulatedCard(personal, Habits(**habits))


def talk(card: Card, key: ChipKey | None = KEY, challenge: bytes = CHALLENGE) -> FleetCard:
    """The whole conversation. Raises CardRefused."""
    dialogue = FleetDialogue(card.habits.t0, key, challenge)
    step: bytes | FleetCard = dialogue.start()
    for _ in range(40):
        if isinstance(step, FleetCard):
            return step
        card.heard.append(step)
        step = dialogue.receive(card.apdu(step))
    raise AssertionError("the conversation has no end")


# --- the golden exchange ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["t1", "t0"])
def test_the_golden_exchange(protocol: str) -> None:
    """What we send, and what the emulator answers, byte for byte."""
    dialogue = FleetDialogue(protocol == "t0", KEY, CHALLENGE)
    card = golden_card(t0=protocol == "t0", exact_length=protocol == "t0")
    step: bytes | FleetCard = dialogue.start()
    for row in GOLDEN[protocol]:
        assert isinstance(step, bytes)
        assert step == bytes.fromhex(row["wire"]), row["name"]
        answer = card.apdu(step)
        assert answer == bytes.fromhex(row["answer"]), row["name"]
        step = dialogue.receive(answer)
    assert step == FleetCard(NUMBER, CARD["expiry"], proven=True)


def test_key_and_proof() -> None:
    serial, identity = bytes.fromhex(CARD["serial"]), bytes.fromhex(CARD["identity"])
    own = bytes.fromhex(CARD["key"])
    assert card_key(KEY, serial) == diversified(MASTER, serial, 1) == own
    assert proof_of(own, CHALLENGE, identity) == bytes.fromhex(CARD["proof"])
    assert cmac(own, b"FLEET-CHIP-1" + CHALLENGE + identity) == bytes.fromhex(CARD["proof"])
    assert card_key(ChipKey(MASTER, 2), serial) != own


# --- cards as they are ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("habits", EVERY_HABIT, ids=str)
@pytest.mark.parametrize("key", [KEY, None], ids=["proof", "belief"])
def test_every_habit(habits: Habits, key: ChipKey | None) -> None:
    card = make_card("fleet", NUMBER, habits, MASTER, expiry="2712")
    assert talk(card, key) == FleetCard(NUMBER, "2712", proven=key is not None)


@pytest.mark.parametrize("habits", EVERY_HABIT, ids=str)
@pytest.mark.parametrize(
    ("make", "why", "forged"),
    [
        ("copy", "gives a wrong proof", True),
        ("no proof", "gives no proof", True),
        ("foreign", "no card of this fleet", False),
        ("bank", "no card of this fleet", False),
    ],
)
def test_every_other_make(habits: Habits, make: str, why: str, forged: bool) -> None:
    card = make_card(make, NUMBER, habits, MASTER)
    with pytest.raises(CardRefused) as refused:
        talk(card)
    assert (str(refused.value), refused.value.forged) == (why, forged)
    assert "copy" in MAKES


def test_a_bank_card_hears_of_our_application_and_of_nothing_else() -> None:
    """Neither its payment directory nor an application of it is selected, and no PIN is sent."""
    for habits in EVERY_HABIT:
        card = make_card("bank", "", habits, MASTER)
        with pytest.raises(CardRefused):
            talk(card)
        assert [command[:12] for command in card.heard] == [bytes((0x00, 0xA4, 0x04, 0x00, len(FLEET_AID))) + FLEET_AID]


def test_no_command_but_three_is_ever_sent() -> None:
    """SELECT, READ BINARY, INTERNAL AUTHENTICATE, and what T=0 needs between them."""
    for make in ("fleet", "copy", "no proof"):
        for habits in EVERY_HABIT:
            card = make_card(make, NUMBER, habits, MASTER)
            try:
                talk(card)
            except CardRefused:
                pass
            assert {command[1] for command in card.heard} <= {0xA4, 0xB0, 0x88, 0xC0}


def test_another_key_version_is_not_believed() -> None:
    with pytest.raises(CardRefused, match="by another key than ours") as refused:
        talk(make_card("fleet", NUMBER, Habits(), MASTER, version=2))
    assert refused.value.forged
    assert talk(make_card("fleet", NUMBER, Habits(), MASTER, version=2), ChipKey(MASTER, 2)).proven


def test_a_proof_is_good_for_one_challenge() -> None:
    card = golden_card()
    assert talk(card).proven

    class Replayed(Card):
        def execute(self, ins: int, p1: int, p2: int, data: bytes) -> bytes:
            if ins == 0xA4:
                return b"\x90\x00"
            return bytes.fromhex(CARD["identity"] if ins == 0xB0 else CARD["proof"]) + b"\x90\x00"

    assert talk(Replayed(Habits())).proven, "the same challenge"
    with pytest.raises(CardRefused, match="a wrong proof"):
        talk(Replayed(Habits()), challenge=bytes(CHALLENGE_BYTES))


@given(st.integers(0, len(bytes.fromhex(CARD["identity"])) * 8 - 1))
def test_no_bit_of_the_identity_can_be_changed_on_the_way(bit: int) -> None:
    """A man in the middle who shows another EF.ID and lets the real card prove it gets nothing."""
    real = golden_card()

    class Middle(Card):
        def execute(self, ins: int, p1: int, p2: int, data: bytes) -> bytes:
            answer = real.execute(ins, p1, p2, data)
            if ins != 0xB0:
                return answer
            changed = bytearray(answer)
            changed[bit // 8] ^= 1 << bit % 8
            return bytes(changed)

    with pytest.raises(CardRefused) as refused:
        talk(Middle(Habits()))
    assert NUMBER[:6] not in str(refused.value)


# --- cards that lie ---------------------------------------------------------------------------------------------------


def identity(**fields: bytes) -> bytes:
    values = {"number": b"7001", "expiry": b"\x29\x12", "version": b"\x01", "serial": bytes(8)} | fields
    tags = {"number": 0xC0, "expiry": 0xC1, "version": 0xC2, "serial": 0xC3, "more": 0xC4}
    body = b"".join(bytes((tags[name], len(value))) + value for name, value in values.items())
    return bytes((0xE0, len(body))) + body


def reading(content: bytes, status: bytes = b"\x90\x00") -> FleetCard:
    """A card that is believed, with this EF.ID."""
    dialogue = FleetDialogue(False, None, CHALLENGE)
    dialogue.start()
    assert isinstance(dialogue.receive(b"\x90\x00"), bytes)
    card = dialogue.receive(content + status)
    assert isinstance(card, FleetCard)
    return card


def test_what_is_right() -> None:
    assert reading(identity()) == FleetCard("7001", "2912", proven=False)
    assert reading(identity(), b"\x62\x82").number == "7001", "the end of the file before the length asked for"
    assert reading(identity(expiry=b"")).expiry is None
    assert reading(identity(number=b"TRUCK-0815")).number == "TRUCK-0815"
    assert "7001" not in repr(reading(identity()))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\xe0\x00", b"\xe0\x80", b"\x90\x00", identity()[:-1], identity() + identity(), identity() + b"\xc0\x01A",
        identity(number=b""), identity(number=b"7" * 33), identity(number=b"70\x0001"), identity(number=b"7001 "), identity(number=b"\xff"),
        identity(number=b"abc"), identity(number="٧".encode()), identity(expiry=b"\x29"), identity(expiry=b"\x29\x13"),
        identity(expiry=b"\x29\x00"), identity(expiry=b"\x2a\x12"), identity(version=b""), identity(version=b"\x20"),
        identity(version=b"\x00\x01"), identity(serial=bytes(7)), identity(serial=bytes(9)), identity(more=b""),
        identity(more=b"x" * 90), bytes(200),
    ],
)  # fmt: skip
def test_another_shape_is_refused_and_not_repeated(content: bytes) -> None:
    with pytest.raises(CardRefused, match=r"^its data are out of shape$") as refused:
        reading(content)
    assert not refused.value.forged


@pytest.mark.parametrize("status", ["6A82", "6982", "6281", "6F00", "9001"])
def test_a_file_that_cannot_be_read(status: str) -> None:
    with pytest.raises(CardRefused, match="its data cannot be read"):
        reading(identity(), bytes.fromhex(status))


WORDS = {
    "no card of this fleet", "its data cannot be read", "its data are out of shape", "does not answer as it should",
    "proves itself by another key than ours", "gives no proof", "gives a wrong proof",
}  # fmt: skip


def said_to(answers: Iterable[bytes], t0: bool, key: ChipKey | None) -> str | FleetCard | None:
    """How a card with these answers is taken; None when it has not come to an end."""
    dialogue = FleetDialogue(t0, key, CHALLENGE)
    dialogue.start()
    try:
        for answer in answers:
            if isinstance(step := dialogue.receive(answer), FleetCard):
                return step
    except CardRefused as refused:
        return str(refused)
    return None


@given(st.lists(st.binary(max_size=270), min_size=1, max_size=40), st.booleans(), st.booleans())
def test_whatever_a_card_says_ends_in_words(answers: list[bytes], t0: bool, with_key: bool) -> None:
    """No answer raises anything else or gives a proof."""
    taken = said_to(answers, t0, KEY if with_key else None)
    assert taken is None or taken in WORDS or (isinstance(taken, FleetCard) and not taken.proven)


def test_a_card_that_always_has_more_comes_to_an_end() -> None:
    assert said_to([b"\x61\x00"] * 12, False, KEY) == "does not answer as it should"
    assert said_to([b"\x90\x00", *[b"\x6c\x10"] * 2], False, KEY) == "does not answer as it should"


@pytest.mark.parametrize(("master", "version"), [(bytes(16), 1), (bytes(31), 1), (bytes(32), 0), (bytes(32), 32)])
def test_keys_that_are_none(master: bytes, version: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        ChipKey(master, version)


def test_keys_and_challenges_stay_out_of_sight() -> None:
    assert MASTER.hex() not in repr(KEY)
    assert repr(MASTER)[2:20] not in repr(KEY)
    with pytest.raises(ValueError, match="16 bytes"):
        FleetDialogue(False, KEY, bytes(8))
