"""What badges, chip cards and their readers may say: answers of a conversation, messages, ATS, frames of the reader's chip."""

from __future__ import annotations

import errno
import hashlib
import os
import struct
from dataclasses import dataclass
from functools import cache
from random import Random

from drivers.badge.apdu import EV2Error
from drivers.badge.chip_frames import ChipFrames
from drivers.badge.ev2_session import CommMode
from drivers.badge.learn import layout_of, look
from drivers.badge.proof import BadgeProof, ProofProfile
from drivers.badge.reader_rules import check_port_path, chip_timeout
from drivers.badge.sun import SunLayout, SunRefused, has_parameters, verify_text
from drivers.badge.uid import MAX_NUMBER_LENGTH, BadgeFamily, BadgeRefused, NumberProfile, badge_number, classify, first_link, full_ats
from drivers.smartcard.apdu import ApduError, Command, Done, Exchange, Send, parse_response
from drivers.smartcard.certificate import FleetAuthority
from drivers.smartcard.emv import EmvDialogue
from drivers.smartcard.fleet import CardRefused, ChipKey, FleetCard, FleetDialogue
from drivers.smartcard.tlv import Tlv, TlvError, encode, find, parse
from hal_sim.smartcard.card import BankCard, Habits
from terminal.core.card_table import is_bank_name
from terminal.store import tpm_codec as codec
from terminal.store.tpm_codec import TpmError
from tests.drivers.small_badge import SmallBadge
from tests.fuzz.surface import Script, Surface, demand, golden, junk, mutated

KEY, UID, TI = bytes(range(16)), bytes.fromhex("04A1B2C3D4E5F6"), b"\x01\x02\x03\x04"
CONTENT = b"FLEET-0000000007"
HONEST, FLIP, CUT, LONGER = 160, 200, 215, 225
"""Script: below ``HONEST`` the answer is the right one; then a byte of it changed, its end cut off, bytes before it; above all junk."""
ROUNDS = 60


def spoilt(script: Script, right: bytes) -> bytes:
    """The answer as the script wants it."""
    kind = script.byte()
    if kind < HONEST:
        return right
    if kind < FLIP:
        at, mask = script.byte() % max(1, len(right)), script.byte()
        return right[:at] + bytes(byte ^ mask for byte in right[at : at + 1]) + right[at + 1 :]
    if kind < CUT:
        return right[: script.byte()]
    if kind < LONGER:
        return script.take(script.byte()) + right
    said = script.take(script.byte())
    return said + (b"\x91\x00", b"\x91\xaf", b"\x90\x00", b"\x61\x10", b"\x6c\x10", b"")[script.byte() % 6]


def talk(dice: Random) -> bytes:
    """A script for a conversation: some right answers, then what the dice say."""
    script = bytearray((dice.randrange(256),))
    script += bytes(dice.choice((0, 0, 1, 2, 3, 4, 5)))
    for _ in range(dice.choice((0, 1, 1, 2, 6))):
        said = junk(dice, dice.choice((4, 20, 80)))
        script += bytes((dice.randrange(HONEST - 20, 256), len(said) or dice.randrange(256))) + said + bytes((dice.randrange(256),))
    return bytes(script) if dice.random() < 0.9 else junk(dice, 200)


# --- badges ---------------------------------------------------------------------------------------------------------------------


def prove(data: bytes) -> bool:
    """A badge that has its key, and somebody between it and the reader: the number in its file or nothing."""
    script = Script(data)
    how = script.byte()
    native, mode = bool(how & 1), CommMode.MAC if how & 2 else CommMode.FULL
    badge = SmallBadge(KEY, UID, {2: CONTENT}, bytes(range(16, 32)), TI, (5, 16, 30, 250)[how >> 2 & 3])
    badge.mode = mode.value
    profile = ProofProfile(b"\xf5\x42\x30" if native else badge.name, 0, 2, 0, 16, mode, random_uid=bool(how & 16))
    proof = BadgeProof(profile, UID, lambda uid: KEY, bytes(range(32, 48)))
    send = proof.start()
    for _ in range(ROUNDS):
        right = b"\x91\x00" if send.apdu[1] == 0x5A else badge.answer(send.apdu)
        step = proof.receive(spoilt(script, right))
        if isinstance(step, Done):
            demand(step.data == CONTENT, "something was proven that the badge does not hold")
            return True
        send = step
    demand(False, "the conversation has no end")
    return False


@dataclass
class ScriptedBadge:
    """A badge that says what a script says."""

    script: Script
    uid: bytes
    family: BadgeFamily
    atqa: bytes = b"\x44\x03"
    sak: int | None = 0x20
    asked: int = 0

    def ndef(self) -> bytes | None:
        """Its message."""
        return self.script.take(self.script.byte()) or None

    def transceive(self, apdu: bytes) -> bytes:
        """Its answer."""
        self.asked += 1
        demand(self.asked < 20_000, "it is asked without end")
        return spoilt(self.script, _SAID.get(apdu[1], b"") + b"\x91\x00")


_SAID = {
    0x60: bytes.fromhex("040101330016050401010300160504A1B2C3D4E5F600000000001924"),
    0x6A: b"\xf5\x42\x30\xf5\x48\x10",
    0x6F: b"\x02\x03",
}


def study(data: bytes) -> bool:
    """What ``learn-badge`` makes of it."""
    script = Script(data)
    uid = script.take((4, 7, 10, 0)[script.byte() & 3])
    found = look(ScriptedBadge(script, uid, tuple(BadgeFamily)[script.byte() % len(BadgeFamily)]))
    return found.make is not None or found.text is not None


_SUNS = [row for row in golden("badges.vectors.toml")["sun"] if set(row["key"]) == {"0"}]
_LAYOUTS = (SunLayout("e", "c"), SunLayout("picc_data", "cmac", "enc"))
_TRUE = {(bytes.fromhex(row["uid"]), row["counter"]) for row in _SUNS}
_URL = (b"?", b"&", b"#", b"e=", b"&c=", b"&enc=", b"&cmac=", b"picc_data=", b"0", b"AF", b"%00", b"\xe9", b"0" * 600)


def sign(data: bytes) -> bool:
    """A signed link: only readings that the key made."""
    text = data[1:].decode("latin-1")
    layout = _LAYOUTS[data[0] & 1] if data else _LAYOUTS[0]
    layout_of(text)
    has_parameters(text, layout)
    reading = verify_text(text, layout, bytes(16), lambda uid: bytes(16))
    demand((reading.uid, reading.counter) in _TRUE, "a reading was proven that nobody made")
    return True


def a_link(dice: Random) -> bytes:
    """A golden link under its layout, changed."""
    row = dice.choice(_SUNS)
    text = row["text"].encode()
    return bytes(("enc_name" in row,)) + (text if dice.random() < 0.05 else mutated(dice, text, _URL))


def tell(data: bytes) -> bool:
    """UID, ATQA, SAK and NDEF of a badge: its number."""
    script = Script(data)
    uid = script.take((4, 7, 10, script.byte())[script.byte() & 3])
    family = classify(script.take(2), script.byte() if script.byte() else None)
    message = script.rest()
    first_link(message)
    number = badge_number(uid, message, tuple(NumberProfile)[family is not BadgeFamily.TYPE_2])
    demand(0 < len(number) <= MAX_NUMBER_LENGTH and number.isprintable(), "a number that none can be")
    return True


_NDEF = (
    b"\xd1\x01\x07T\x02enA-17",
    b"\x91\x01\x05U\x04a.de\x51\x01\x07T\x02deB-18",
    b"\xc1\x01\0\0\0\x07T\x82en\0A\0B",
    b"\xd1\x01\x04T\x02\xff\xfe\xff",
)
_ATS = tuple(bytes.fromhex(text) for text in ("06757771028031", "0202", "067577810280", "0578778002", "01", "0D75778102C1052F2F0035C7AB"))


def a_message(dice: Random) -> bytes:
    """A badge with a message, changed."""
    message = mutated(dice, dice.choice(_NDEF)) if dice.random() < 0.9 else dice.choice(_NDEF)
    uid = dice.choice((b"\x04" + dice.randbytes(6), b"\x08" + dice.randbytes(6), dice.randbytes(10)))
    return bytes((dice.randrange(12), dice.randrange(4))) + uid + b"\x44\x03" + bytes((1, dice.choice((0, 8, 0x20, 0x28)))) + message


def an_ats(dice: Random) -> bytes:
    """An ATS, changed, mostly with the length that it has, and now and then a long one."""
    good = dice.choice(_ATS) + bytes(dice.choice((0, 0, 0, 240, 252)))
    text = mutated(dice, good)
    return bytes((len(text) & 0xFF,)) + text[1:] if text and dice.random() < 0.7 else text


def ats(data: bytes) -> bool:
    """An ATS spelled out is an ATS, and spelled out again the same."""
    full = full_ats(data)
    demand(full[0] == len(full) and full_ats(full) == full, "an ATS that contradicts itself was made")
    return True


# --- the reader's chip ------------------------------------------------------------------------------------------------------------

_ACK, _VERSION = b"\x00\x00\xff\x00\xff\x00", bytes.fromhex("0000ff06fad50332010607e800")
_LONG = bytes.fromhex("0000ffffff010c") + bytes((0xF3,)) + b"\xd5\x41" + bytes(266) + b"\xea\x00"


def chip(data: bytes) -> bool:
    """Bytes on the port: frames, then silence or the end, and nothing else."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    try:
        os.write(writing, data[: 1 << 15])
        if data and data[-1] & 1:
            os.close(writing)
            writing = -1
        frames, taken = ChipFrames(reading), 0
        for _ in range(len(data) + 1):
            try:
                taken += len(frames.take(0))
            except OSError as error:
                demand(error.errno in (errno.EIO, errno.ETIMEDOUT), "an error that the port does not have")
                break
        demand(taken <= len(data), "more bytes came out than went in")
        return taken > 0
    finally:
        for end in (reading, writing):
            if end >= 0:
                os.close(end)


def a_frame(dice: Random) -> bytes:
    """Frames of the chip, changed."""
    good = b"".join(dice.choice((_ACK, _ACK, _VERSION, _LONG)) for _ in range(dice.choice((1, 2, 4))))
    return mutated(dice, good, (_ACK, b"\x00\x00\xff", b"\xff", b"\x00", b"\x00\x00\xff\xff\xff\xff\xff"))


def port(data: bytes) -> bool:
    """A port's name that passes can do no harm in a shell."""
    chip_timeout(int.from_bytes(data[:4], "little"))
    path = check_port_path(data.decode("utf-8", "replace"))
    demand(path.startswith("/") and not set(path) & set(" \t\n\r;&|$`'\"\\<>()*?[]{}~!#\0"), "a port's name with a word of the shell")
    return True


def a_port(dice: Random) -> bytes:
    """A name, changed."""
    return mutated(dice, b"/dev/serial/by-id/usb-1:2", (b";", b" ", b"\n", b"$(", b"\xc3\xa9"))


# --- chip cards ---------------------------------------------------------------------------------------------------------------------


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
    Surface("badge-proof", "answers in the proof of a badge", talk, prove, (EV2Error,)),
    Surface("badge-look", "answers to learn-badge", talk, study, (BadgeRefused,)),
    Surface("badge-link", "signed links", a_link, sign, (SunRefused,)),
    Surface("badge-number", "UID, ATQA, SAK and NDEF", a_message, tell, (BadgeRefused,)),
    Surface("badge-ats", "ATS", an_ats, ats, (BadgeRefused,)),
    Surface("badge-chip", "frames of the PN532", a_frame, chip),
    Surface("badge-port", "names of ports", a_port, port, (ValueError,)),
    Surface("chip-card", "answers of a fleet's chip card", talk, fleet, (CardRefused,)),
    Surface("chip-certificate", "answers of a chip card with a certificate", talk, certified, (CardRefused,)),
    Surface("chip-bank", "answers of a bank card", talk, bank, (CardRefused,)),
    Surface("tpm", "answers of a TPM", a_tpm_answer, tpm, (TpmError,)),
    Surface("chip-apdu", "answers to one command", talk, apdu, (ApduError,)),
    Surface("chip-tlv", "BER-TLV", a_tlv, tlv, (TlvError,)),
)
