"""What badges, chip cards and their readers may say: answers of a conversation, messages, ATS, frames of the reader's chip."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from random import Random

from drivers.badge.apdu import EV2Error
from drivers.badge.chip_frames import ChipFrames
from drivers.badge.ev2_session import CommMode
from drivers.badge.learn import layout_of, look
from drivers.badge.proof import BadgeProof, ProofProfile
from drivers.badge.reader_rules import check_port_path, chip_timeout
from drivers.badge.sun import SunLayout, SunRefused, has_parameters, verify_text
from drivers.badge.uid import MAX_NUMBER_LENGTH, BadgeFamily, BadgeRefused, NumberProfile, badge_number, classify, first_link, full_ats
from drivers.smartcard.apdu import Done
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


SURFACES = (
    Surface("badge-proof", "answers in the proof of a badge", talk, prove, (EV2Error,)),
    Surface("badge-look", "answers to learn-badge", talk, study, (BadgeRefused,)),
    Surface("badge-link", "signed links", a_link, sign, (SunRefused,)),
    Surface("badge-number", "UID, ATQA, SAK and NDEF", a_message, tell, (BadgeRefused,)),
    Surface("badge-ats", "ATS", an_ats, ats, (BadgeRefused,)),
    Surface("badge-chip", "frames of the PN532", a_frame, chip),
    Surface("badge-port", "names of ports", a_port, port, (ValueError,)),
)
