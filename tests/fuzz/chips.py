"""What chip cards and a TPM may say: answers of a conversation, objects, certificates."""

from __future__ import annotations

import hashlib
import struct
from functools import cache
from random import Random

from drivers.smartcard.apdu import ApduError, Command, Done, Exchange, Send, parse_response
from drivers.smartcard.certificate import FleetAuthority
from drivers.smartcard.emv import EmvDialogue
from drivers.smartcard.fleet import CardRefused, ChipKey, FleetCard, FleetDialogue
from drivers.smartcard.tlv import Tlv, TlvError, encode, find, parse
from hal_sim.smartcard.card import BankCard, Habits
from terminal.core.card_table import is_bank_name
from terminal.store import tpm_codec as codec
from terminal.store.tpm_codec import TpmError
from tests.fuzz.cards import ROUNDS, spoilt, talk
from tests.fuzz.surface import Script, Surface, demand, golden, mutated


@cache
def _card() -> tuple[dict[bytes, bytes], dict[bytes, bytes], ChipKey, str, bytes]:
    said = golden("chip-card.frames.toml")
    t1, t0 = ({bytes.fromhex(row["wire"]): bytes.fromhex(row["answer"]) for row in said[name]} for name in ("t1", "t0"))
    card = said["card"]
    return t1, t0, ChipKey(bytes.fromhex(card["master"]), card["version"]), card["number"], bytes.fromhex(card["challenge"])


def fleet(data: bytes) -> bool:
    """A fleet's card and somebody between it and the reader: its number, proven where a key is demanded, or nothing."""
    script = Script(data)
    how = script.byte()
    t1, t0, key, number, challenge = _card()
    dialogue = FleetDialogue(bool(how & 1), None if how & 2 else key, challenge)
    wire = dialogue.start()
    for _ in range(ROUNDS):
        step = dialogue.receive(spoilt(script, (t0 if how & 1 else t1).get(wire, b"\x6d\x00")))
        if isinstance(step, FleetCard):
            demand(step.proven is not bool(how & 2), "what is proven and what is not is mixed up")
            demand(not step.proven or step.number == number, "a number was proven that is not the card's")
            return True
        wire = step
    demand(False, "the conversation has no end")
    return False


def certified(data: bytes) -> bool:
    """A card with a certificate and somebody in between: its number with the golden proof, or nothing."""
    script = Script(data)
    authority, answers, number, challenge, now = _certified_card()
    dialogue = FleetDialogue(False, None, challenge, authority, now)
    wire = dialogue.start()
    for _ in range(ROUNDS * 20):
        step = dialogue.receive(spoilt(script, answers.get(wire[:4], b"\x6d\x00")))
        if isinstance(step, FleetCard):
            demand(step.certified and step.number == number, "something was proven that the card does not hold")
            return True
        wire = step
    demand(False, "the conversation has no end")
    return False


@cache
def _certified_card() -> tuple[FleetAuthority, dict[bytes, bytes], str, bytes, int]:
    said = golden("chip-card.frames.toml")
    card, own = said["card"], said["certified"]
    certificate = bytes.fromhex(own["certificate"])
    answers = {
        bytes.fromhex("00A40400"): b"\x90\x00",
        bytes.fromhex("00B08100"): bytes.fromhex(own["identity"]) + b"\x90\x00",
        bytes.fromhex("00B08200"): certificate[:256] + b"\x90\x00",
        bytes.fromhex("00B00100"): certificate[256:] + b"\x90\x00",
        bytes.fromhex("00880180"): bytes.fromhex(own["proof"]) + b"\x90\x00",
    }
    return FleetAuthority(own["authority"].encode()), answers, card["number"], bytes.fromhex(card["challenge"]), own["at_utc_ms"]


def bank(data: bytes) -> bool:
    """A bank card and somebody in between: a token, never a number, and no command but those that read."""
    script = Script(data)
    card = BankCard("4111111111111111", Habits(), directory=bool(script.byte() & 1))
    dialogue = EmvDialogue(False, lambda number: hashlib.sha256(number.encode()).hexdigest()[:32])
    wire = dialogue.start()
    for _ in range(400):
        demand(wire[1] in (0xA4, 0xA8, 0xB2, 0xC0), "a command that does not only read")
        step = dialogue.receive(spoilt(script, card.apdu(wire)))
        if isinstance(step, FleetCard):
            demand(is_bank_name(step.number) and not step.proven, "another name than that of a bank card")
            return True
        wire = step
    demand(False, "the conversation has no end")
    return False


def tpm(data: bytes) -> bool:
    """Answers of a TPM."""
    body = codec.checked(data)
    for read in (codec.handle_of, codec.hmac_of, codec.counter_of):
        try:
            read(body)
        except TpmError:
            continue
    return True


_TPM_ANSWERS = (
    bytes.fromhex("80010000000E00000000") + b"\x80\x00\x00\x01",
    struct.pack(">HIIIH", 0x8002, 53, 0, 34, 32) + bytes(range(32)) + bytes.fromhex("0000010000"),
    struct.pack(">HIIIHQ", 0x8002, 29, 0, 10, 8, 7) + bytes.fromhex("0000010000"),
    bytes.fromhex("80010000000A0000018B"),
)


def a_tpm_answer(dice: Random) -> bytes:
    """An answer, changed, mostly with the length that it has."""
    text = bytearray(mutated(dice, dice.choice(_TPM_ANSWERS)))
    if len(text) >= 6 and dice.random() < 0.8:
        text[2:6] = len(text).to_bytes(4, "big")
    return bytes(text)


def apdu(data: bytes) -> bool:
    """One command up to its last answer."""
    script = Script(data)
    exchange = Exchange(Command(0, script.byte(), 0, 0, script.take(script.byte()), script.byte() or None), bool(script.byte() & 1))
    step: Send | Done = exchange.start()
    for _ in range(ROUNDS):
        if isinstance(step, Done):
            return parse_response(step.data[-250:] + step.status.to_bytes(2, "big")).status == step.status
        step = exchange.receive(spoilt(script, b"\x61\x05" if script.byte() & 3 else b"\x90\x00"))
    demand(False, "the conversation has no end")
    return False


def tlv(data: bytes) -> bool:
    """What is read can be written again and read as the same."""
    objects = parse(data)
    for one in objects:
        demand(parse(encode(one.tag, one.value)) == (one,), "written again it is something else")
        demand(_deep(one) <= 6, "nested deeper than allowed")
    find(objects, 0xE0, 0xC0)
    return True


def _deep(one: Tlv) -> int:
    return 1 + max((_deep(child) for child in one.children), default=0)


def a_tlv(dice: Random) -> bytes:
    """A card's identity, or objects in objects, changed."""
    good = bytes.fromhex(golden_identity())
    for _ in range(dice.choice((0, 0, 1, 5, 9))):
        good = encode(dice.choice((0xE0, 0x6F, 0x7F21, 0x5F20)), good)
    words = (b"\xe0\x02\xc0\x00", b"\x1f", b"\x81", b"\x84\xff\xff\xff\xff", b"\x80", b"\x00\x00", b"\xe0" * 40, b"\x83\xff\xff\xff")
    return good if dice.random() < 0.05 else mutated(dice, good, words)


@cache
def golden_identity() -> str:
    """The EF.ID of the golden card."""
    return str(golden("chip-card.frames.toml")["card"]["identity"])


SURFACES = (
    Surface("chip-card", "answers of a fleet's chip card", talk, fleet, (CardRefused,)),
    Surface("chip-certificate", "answers of a chip card with a certificate", talk, certified, (CardRefused,)),
    Surface("chip-bank", "answers of a bank card", talk, bank, (CardRefused,)),
    Surface("tpm", "answers of a TPM", a_tpm_answer, tpm, (TpmError,)),
    Surface("chip-apdu", "answers to one command", talk, apdu, (ApduError,)),
    Surface("chip-tlv", "BER-TLV", a_tlv, tlv, (TlvError,)),
)
