"""The badge's half of EV2: mutual authentication and secure messaging, and the frame of a chip around them.

Source: ``firmware_notes/badges.md``, "Facts" (after NXP NT4H2421Gx and AN12196). A chip takes APDUs and gives responses; every error ends
its session, as on the real ones. Answers longer than a frame go out in parts, fetched with AF.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from hal_sim.badge.crypto import cmac, decipher, encipher, padded, short_cmac, unpadded

OK, MORE = 0x00, 0xAF
NO_COMMAND, BAD_MAC, NO_KEY, BAD_LENGTH, NOT_ALLOWED = 0x1C, 0x1E, 0x40, 0x7E, 0x9D
NO_APPLICATION, NOT_AUTHENTIC, BEYOND, ABORTED, NO_FILE = 0xA0, 0xAE, 0xBE, 0xCA, 0xF0
FREE, NEVER = 0xE, 0xF
FRAME_BYTES = 59
"""Content of one native frame (a DESFire frame of 64 less its wrapping)."""


class Mode(Enum):
    """How a file is protected on the air; the value is its code in the file settings."""

    PLAIN = 0
    MAC = 1
    FULL = 3


@dataclass(slots=True)
class StandardFile:
    """A standard data file. ``read``: the key number that may read it, FREE or NEVER."""

    content: bytes
    mode: Mode = Mode.FULL
    read: int = 0

    def settings(self) -> bytes:
        """As GetFileSettings tells them: type, mode, rights (read-write and change by key 0), size."""
        return bytes([0x00, self.mode.value, 0x00, self.read << 4 | 0x0]) + len(self.content).to_bytes(3, "little")


@dataclass(slots=True)
class Application:
    """Keys by number, files by number, and the ISO name if it has one."""

    keys: dict[int, bytes]
    files: dict[int, StandardFile]
    name: bytes = b""


class Fault(Exception):
    """The command is refused with this native status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status:02X}")
        self.status = status


class Session:
    """What an authentication leaves on the badge: two keys, the transaction's identifier and the commands counted in it."""

    def __init__(self, key_number: int, enc: bytes, mac: bytes, transaction: bytes, counter: int = 0) -> None:
        self.key_number = key_number
        self.transaction = transaction
        self.counter = counter
        self._enc, self._mac = enc, mac

    def _place(self) -> bytes:
        return self.counter.to_bytes(2, "little") + self.transaction

    def _iv(self, kind: bytes) -> bytes:
        return encipher(self._enc, kind + self.transaction + self.counter.to_bytes(2, "little") + bytes(8))

    def opened(self, ins: int, body: bytes, header: int, mode: Mode) -> bytes:
        """Header and data of a command in clear. Raises Fault. The command counts from here on."""
        text = body
        if mode is not Mode.PLAIN:
            text, mac = body[:-8], body[-8:]
            if mac != short_cmac(self._mac, bytes([ins]) + self._place() + text):
                raise Fault(BAD_MAC)
            if mode is Mode.FULL and len(text) > header:
                clear = unpadded(decipher(self._enc, text[header:], self._iv(b"\xa5\x5a")))
                if clear is None:
                    raise Fault(BAD_MAC)
                text = text[:header] + clear
        self.counter += 1
        return text

    def closed(self, data: bytes, mode: Mode) -> bytes:
        """An answer as it goes out."""
        if mode is Mode.PLAIN:
            return data
        if mode is Mode.FULL and data:
            data = encipher(self._enc, padded(data), self._iv(b"\x5a\xa5"))
        return data + short_cmac(self._mac, bytes([OK]) + self._place() + data)


class Ev2Chip(ABC):
    """What DESFire EV2/EV3 and NTAG 424 DNA have in common. ``draw`` gives so many random bytes."""

    def __init__(self, uid: bytes, draw: Callable[[int], bytes], frame_bytes: int = FRAME_BYTES) -> None:
        self.uid = uid
        self._draw = draw
        self._frame_bytes = frame_bytes
        self.forget()

    def forget(self) -> None:
        """The field went off, or the badge was activated anew."""
        self.application: Application | None = None
        self.session: Session | None = None
        self._challenge: tuple[bool, int, bytes, bytes] | None = None
        self._rest: list[bytes] = []

    @abstractmethod
    def iso(self, ins: int, p1: int, p2: int, data: bytes, le: int) -> bytes:
        """An ISO 7816 command of class 00; the response with its status."""

    @abstractmethod
    def plain(self, ins: int, body: bytes) -> list[bytes]:
        """A native command that this chip alone has, outside secure messaging; the answer's parts. Raises Fault."""

    def __call__(self, apdu: bytes) -> bytes:
        if len(apdu) < 4:
            return b"\x67\x00"
        data, le = b"", 0
        if len(apdu) > 5:
            data, le = apdu[5 : 5 + apdu[4]], apdu[5 + apdu[4]] if len(apdu) > 5 + apdu[4] else 0
        elif len(apdu) == 5:
            le = apdu[4]
        if apdu[0] == 0x00:
            return self.iso(apdu[1], apdu[2], apdu[3], data, le or 256)
        if apdu[0] != 0x90 or apdu[2:4] != b"\x00\x00":
            return b"\x6e\x00"
        try:
            return self._native(apdu[1], data)
        except Fault as fault:
            self.session, self._challenge, self._rest = None, None, []
            return bytes([0x91, fault.status])

    def _native(self, ins: int, body: bytes) -> bytes:
        if ins == 0xAF and self._challenge is not None:
            return self._authenticate(body) + bytes([0x91, OK])
        if ins == 0xAF:
            if not self._rest:
                raise Fault(ABORTED)
            return self._next_part()
        self._challenge, self._rest = None, []
        if ins in (0x71, 0x77):
            return self._begin(ins == 0x71, body)
        secured = {0x51: self._card_uid, 0xAD: self._read, 0xF5: self._settings}.get(ins)
        parts = [secured(body)] if secured is not None else self.plain(ins, body)
        size = self._frame_bytes
        self._rest = [part[at : at + size] for part in parts for at in range(0, max(1, len(part)), size)]
        return self._next_part()

    def _next_part(self) -> bytes:
        part = self._rest.pop(0)
        return part + bytes([0x91, MORE if self._rest else OK])

    # --- authentication

    def _begin(self, first: bool, body: bytes) -> bytes:
        if len(body) < (2 if first else 1) or (first and len(body) != 2 + body[1]):
            raise Fault(BAD_LENGTH)
        if self.application is None or body[0] not in self.application.keys:
            raise Fault(NO_KEY)
        if not first and self.session is None:
            raise Fault(NOT_ALLOWED)
        key, challenge = self.application.keys[body[0]], self._draw(16)
        self._challenge = (first, body[0], key, challenge)
        return encipher(key, challenge) + bytes([0x91, MORE])

    def _authenticate(self, body: bytes) -> bytes:
        if self._challenge is None or len(body) != 32:
            raise Fault(BAD_LENGTH)
        first, number, key, b = self._challenge
        self._challenge = None
        text = decipher(key, body)
        a = text[:16]
        if text[16:] != b[1:] + b[:1]:
            raise Fault(NOT_AUTHENTIC)
        shared = a[:2] + bytes(x ^ y for x, y in zip(a[2:8], b[:6], strict=True)) + b[6:] + a[8:]
        keys = cmac(key, bytes.fromhex("A55A00010080") + shared), cmac(key, bytes.fromhex("5AA500010080") + shared)
        if first or self.session is None:
            transaction = self._draw(4)
            self.session = Session(number, *keys, transaction)
            return encipher(key, transaction + a[1:] + a[:1] + bytes(12))
        self.session = Session(number, *keys, self.session.transaction, self.session.counter)
        return encipher(key, a[1:] + a[:1])

    # --- secured commands

    def _card_uid(self, body: bytes) -> bytes:
        if self.session is None:
            raise Fault(NOT_ALLOWED)
        if self.session.opened(0x51, body, 0, Mode.FULL):
            raise Fault(BAD_LENGTH)
        return self.session.closed(self.uid, Mode.FULL)

    def _file(self, body: bytes) -> StandardFile:
        if not body or self.application is None or body[0] not in self.application.files:
            raise Fault(NO_FILE)
        return self.application.files[body[0]]

    def _read(self, body: bytes) -> bytes:
        file, session = self._file(body), self.session
        mine = session is not None and file.read == session.key_number
        if not mine and file.read != FREE:
            raise Fault(NOT_ALLOWED)
        mode = file.mode if mine else Mode.PLAIN
        text = session.opened(0xAD, body, 7, mode) if session is not None else body
        if len(text) != 7:
            raise Fault(BAD_LENGTH)
        offset, length = int.from_bytes(text[1:4], "little"), int.from_bytes(text[4:7], "little")
        content = self.content(text[0], file)
        if offset + length > len(content) or (length == 0 and offset >= len(content)):
            raise Fault(BEYOND)
        found = content[offset : offset + length] if length else content[offset:]
        return session.closed(found, mode) if session is not None else found

    def content(self, number: int, file: StandardFile) -> bytes:
        """What a read of this file finds now."""
        return file.content

    def _settings(self, body: bytes) -> bytes:
        file = self._file(body)
        if self.session is None:
            return file.settings()
        if len(self.session.opened(0xF5, body, 1, Mode.MAC)) != 1:
            raise Fault(BAD_LENGTH)
        return self.session.closed(file.settings(), Mode.MAC)

    def _version(self, hardware_type: int, major: int, storage: int) -> list[bytes]:
        """GetVersion's three parts: hardware, software, production."""
        part = bytes([0x04, hardware_type, 0x01, major, 0x00, storage, 0x05])
        production = self.uid.ljust(7, b"\x00")[:7] + bytes.fromhex("CF") * 5 + b"\x20\x26"
        return [part, part, production]
