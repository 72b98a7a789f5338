"""Badges as they behave on the air: ISO/IEC 14443-3 type A states, NTAG21x memory, ISO-DEP with a small NDEF application.

Sources: NXP NTAG213/215/216 data sheet (commands 10, memory 8.5, UID 8.5.1); NFC Forum Type 2 Tag (TLV) and Type 4 Tag
(NDEF application, capability container) mapping; ISO/IEC 14443-4 (RATS/ATS, I-, R- and S-blocks); NFC Forum RTD Text.
The CRC_A of the air interface is the reader's business: a tag here takes a command without and gives an answer without CRC.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Reply:
    """What a tag sends back. ``crc`` is False for the four-bit acknowledge, which carries no checksum."""

    data: bytes
    crc: bool = True


class AirState(Enum):
    """ISO/IEC 14443-3 states that a reader can tell apart."""

    IDLE = "idle"
    ACTIVE = "active"
    HALTED = "halted"


class Tag(Protocol):
    """What the reader's radio needs of a badge."""

    @property
    def uid(self) -> bytes: ...

    @property
    def sens_res(self) -> bytes:
        """ATQA, first byte on the air first."""

    @property
    def sel_res(self) -> int: ...

    @property
    def listening(self) -> bool:
        """Whether a REQA is answered: not while halted."""

    def field_lost(self) -> None:
        """The field went off or the tag left it: everything volatile is forgotten."""

    def select(self) -> None:
        """Anticollision has picked this tag."""

    def exchange(self, command: bytes) -> Reply | None:
        """One command without CRC; None when the tag stays silent."""


def crc_a(data: bytes) -> bytes:
    """CRC_A of ISO/IEC 14443-3 annex B, low byte first."""
    crc = 0x6363
    for byte in data:
        byte ^= crc & 0xFF
        byte ^= (byte << 4) & 0xFF
        crc = (crc >> 8) ^ (byte << 8) ^ (byte << 3) ^ (byte >> 4)
    return (crc & 0xFFFF).to_bytes(2, "little")


def text_message(text: str, language: str = "en") -> bytes:
    """An NDEF message of one well-known Text record in UTF-8 (RTD Text 3). Raises ValueError when longer than a short record."""
    payload = bytes([len(language)]) + language.encode("ascii") + text.encode("utf-8")
    if len(payload) > 255:
        raise ValueError("the text does not fit in a short NDEF record (255 bytes)")
    return bytes([0xD1, 0x01, len(payload)]) + b"T" + payload


class _TypeA(ABC):
    """UID, answers to anticollision and the three air states, common to all badges here."""

    def __init__(self, uid: bytes, sens_res: bytes, sel_res: int) -> None:
        if len(uid) not in (4, 7, 10):
            raise ValueError("a type A UID has 4, 7 or 10 bytes")
        self._uid, self._sens_res, self._sel_res = uid, sens_res, sel_res
        self.state = AirState.IDLE

    @property
    def uid(self) -> bytes:
        return self._uid

    @property
    def sens_res(self) -> bytes:
        return self._sens_res

    @property
    def sel_res(self) -> int:
        return self._sel_res

    @property
    def listening(self) -> bool:
        return self.state is not AirState.HALTED

    def field_lost(self) -> None:
        self.state = AirState.IDLE

    def select(self) -> None:
        self.state = AirState.ACTIVE

    def exchange(self, command: bytes) -> Reply | None:
        if self.state is not AirState.ACTIVE or not command:
            return None
        if command == b"\x50\x00":  # HLTA is never answered
            self.state = AirState.HALTED
            return None
        return self._answer(command)

    @abstractmethod
    def _answer(self, command: bytes) -> Reply | None:
        """The reply to a command of an active tag; None for silence."""

    def _refuse(self) -> None:
        self.state = AirState.IDLE


class UidOnlyTag(_TypeA):
    """A badge of which only the UID can be read, such as a MIFARE Classic without its keys (SAK 0x08): silent to every command."""

    def __init__(self, uid: bytes) -> None:
        super().__init__(uid, {4: b"\x04\x00", 7: b"\x44\x00", 10: b"\x84\x00"}[len(uid)] if len(uid) in (4, 7, 10) else b"", 0x08)

    def _answer(self, command: bytes) -> Reply | None:
        self._refuse()
        return None


# model: pages in all, capability container's size byte, GET_VERSION's storage size byte (data sheet tables 4 and 28)
_NTAG_MODELS = {"NTAG213": (45, 0x12, 0x0F), "NTAG215": (135, 0x3E, 0x11), "NTAG216": (231, 0x6D, 0x13)}


class Ntag21x(_TypeA):
    """NTAG213/215/216: a Type 2 tag with a seven-byte UID and, on demand, an NDEF text record."""

    def __init__(self, uid: bytes, text: str | None = None, *, language: str = "en", model: str = "NTAG213") -> None:
        """Raises ValueError for a UID of another length, an unknown model, or a text too long for the memory."""
        if len(uid) != 7:
            raise ValueError("an NTAG21x has a UID of 7 bytes")
        if model not in _NTAG_MODELS:
            raise ValueError(f"unknown NTAG model, known are {', '.join(_NTAG_MODELS)}")
        super().__init__(uid, b"\x44\x00", 0x00)
        pages, size, storage = _NTAG_MODELS[model]
        self._version = bytes([0x00, 0x04, 0x04, 0x02, 0x01, 0x00, storage, 0x03])
        check0 = 0x88 ^ uid[0] ^ uid[1] ^ uid[2]
        check1 = uid[3] ^ uid[4] ^ uid[5] ^ uid[6]
        memory = bytearray(pages * 4)
        memory[0:10] = uid[:3] + bytes([check0]) + uid[3:] + bytes([check1, 0x48])
        memory[12:16] = bytes([0xE1, 0x10, size, 0x00])
        message = b"" if text is None else text_message(text, language)
        length = bytes([len(message)]) if len(message) < 255 else b"\xff" + len(message).to_bytes(2, "big")
        block = b"\x03" + length + message + b"\xfe"
        if len(block) > size * 8:
            raise ValueError(f"the text does not fit in an {model}")
        memory[16 : 16 + len(block)] = block
        memory[(pages - 4) * 4 + 3] = 0xFF  # AUTH0: no page is protected by a password
        self._memory = memory

    def _answer(self, command: bytes) -> Reply | None:
        code, pages = command[0], len(self._memory) // 4
        if code == 0x30 and len(command) == 2 and command[1] < pages:  # READ rolls over at the end
            start = command[1] * 4
            return Reply(bytes((self._memory + self._memory[:16])[start : start + 16]))
        if code == 0x60 and len(command) == 1:
            return Reply(self._version)
        if code == 0x3A and len(command) == 3 and command[1] <= command[2] < pages:
            return Reply(bytes(self._memory[command[1] * 4 : (command[2] + 1) * 4]))
        if code == 0x3C and len(command) == 2:  # READ_SIG: present, but signed by nobody
            return Reply(bytes(32))
        if code == 0xA2 and len(command) == 6 and 2 <= command[1] < pages:
            self._write(command[1], command[2:])
            return Reply(b"\x0a", crc=False)
        self._refuse()
        return Reply(b"\x00", crc=False)

    def _write(self, page: int, data: bytes) -> None:
        start = page * 4
        if page == 2:  # only the lock bytes, and only from 0 to 1
            self._memory[start + 2] |= data[2]
            self._memory[start + 3] |= data[3]
        elif page == 3:  # one-time programmable
            for i in range(4):
                self._memory[start + i] |= data[i]
        else:
            self._memory[start : start + 4] = data


class NdefFiles:
    """The NDEF application of a Type 4 tag: select by name, capability container E103, one read-only file E104."""

    NAME = bytes.fromhex("D2760000850101")

    def __init__(self, text: str, language: str = "en") -> None:
        message = text_message(text, language)
        content = len(message).to_bytes(2, "big") + message
        container = bytes.fromhex("000F20003B0034") + bytes.fromhex("0406E104") + len(content).to_bytes(2, "big") + b"\x00\xff"
        self._files = {0xE103: container, 0xE104: content}
        self._selected: int | None = None
        self._open = False

    def __call__(self, apdu: bytes) -> bytes:
        if len(apdu) < 4:
            return b"\x67\x00"
        instruction, p1 = apdu[1], apdu[2]
        if instruction == 0xA4 and len(apdu) > 5:
            data = apdu[5 : 5 + apdu[4]]
            if p1 == 0x04:
                self._open, self._selected = data == self.NAME, None
                return b"\x90\x00" if self._open else b"\x6a\x82"
            number = int.from_bytes(data, "big")
            if not self._open or number not in self._files:
                return b"\x6a\x82"
            self._selected = number
            return b"\x90\x00"
        if instruction == 0xB0:
            if self._selected is None:
                return b"\x69\x86"
            content, offset = self._files[self._selected], (p1 << 8) | apdu[3]
            if offset > len(content):
                return b"\x6b\x00"
            wanted = (apdu[4] or 256) if len(apdu) > 4 else 256
            return content[offset : offset + wanted] + b"\x90\x00"
        return b"\x6d\x00"


class Type4A(_TypeA):
    """An ISO-DEP card: RATS, I-blocks with chaining both ways, R-blocks, S(DESELECT). The application answers one APDU with one response.

    ``ats`` may be as short as one byte (TL = 1, no format byte), which ISO/IEC 14443-4 5.2 allows and some readers trip over.
    """

    def __init__(self, uid: bytes, application: Callable[[bytes], bytes], ats: bytes = bytes.fromhex("067577810280")) -> None:
        if not ats or ats[0] != len(ats):
            raise ValueError("the first byte of an ATS is its length")
        super().__init__(uid, b"\x44\x03" if len(uid) == 7 else b"\x04\x00", 0x20)
        self.ats = ats
        self._application = application
        self._reset()

    def _reset(self) -> None:
        self.iso_dep = False
        self._number = 1
        self._frame_size = 256
        self._received = b""
        self._to_send: list[bytes] = []
        self._last = b""

    def field_lost(self) -> None:
        super().field_lost()
        self._reset()

    def select(self) -> None:
        super().select()
        self._reset()

    def apdu(self, command: bytes) -> bytes:
        """The application's answer, for a reader whose firmware does the ISO-DEP blocks itself."""
        return self._application(command)

    def _answer(self, command: bytes) -> Reply | None:
        if not self.iso_dep:
            if command[0] == 0xE0 and len(command) == 2:
                self.iso_dep = True
                self._frame_size = (16, 24, 32, 40, 48, 64, 96, 128, 256)[min(command[1] >> 4, 8)]
                return Reply(self.ats)
            self._refuse()
            return None
        block = command[0]
        if block & 0xF7 == 0xC2:  # S(DESELECT) leaves the card halted
            self._reset()
            self.state = AirState.HALTED
            return Reply(bytes([block]))
        if block & 0xE2 == 0x02:
            return Reply(self._information(block, command[1:]))
        if block & 0xE6 == 0xA2:
            return Reply(self._supervisory(block))
        return None

    def _information(self, block: int, data: bytes) -> bytes:
        self._number = block & 1
        self._received += data
        if block & 0x10:  # the reader chains: acknowledge and wait for the rest
            self._last = bytes([0xA2 | self._number])
            return self._last
        response, self._received = self._application(self._received), b""
        room = self._frame_size - 3  # one byte of PCB, two of CRC
        self._to_send = [response[i : i + room] for i in range(0, len(response), room)] or [b""]
        return self._next_block()

    def _supervisory(self, block: int) -> bytes:
        if block & 1 == self._number and self._last:
            return self._last  # sent again, ISO/IEC 14443-4 7.5.5.3 rule 11
        if block & 0x10 or not self._to_send:
            return bytes([0xA2 | self._number])  # R(NAK) with the other number: R(ACK), rule 12
        self._number ^= 1
        return self._next_block()

    def _next_block(self) -> bytes:
        part = self._to_send.pop(0)
        self._last = bytes([0x02 | (0x10 if self._to_send else 0) | self._number]) + part
        return self._last


def tag_for_number(number: str, *, type_4: bool = False) -> Tag:
    """The badge that carries this number: 8, 14 or 20 hexadecimal digits are its UID, any other text its first NDEF text record.

    A badge with a text gets a UID that depends on the text alone, so that the same badge is the same tag each time. ``type_4`` makes it
    an ISO-DEP card in place of an NTAG. Raises ValueError when the number is empty or too long.
    """
    if not number:
        raise ValueError("a badge needs a number")
    if len(number) in (8, 14, 20) and all(c in "0123456789abcdefABCDEF" for c in number):
        uid = bytes.fromhex(number)
        if type_4:
            return Type4A(uid, NdefFiles(""))
        return Ntag21x(uid) if len(uid) == 7 else UidOnlyTag(uid)
    made_up = b"\x04" + hashlib.sha256(number.encode("utf-8")).digest()[:6]
    return Type4A(made_up, NdefFiles(number)) if type_4 else Ntag21x(made_up, number, model="NTAG216")
