"""A small PN532 on a pty, and badges before it, for the badge reader's tests.

The chip is written from NXP UM0701-02 and reference/hardware-simulation.md B. It breaks on demand: silence, a speed left behind (bytes at
another speed are noise), badges that lie, drag their feet or are torn away.
"""

from __future__ import annotations

import os
import pty
import select
import termios
import threading
import tty
from collections.abc import Callable

SPEEDS = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600, 1288000)

Answer = tuple[bytes, bool] | None
"""What a badge says: the bytes and whether a checksum follows; None for silence."""


def crc_a(data: bytes) -> bytes:
    crc = 0x6363
    for byte in data:
        byte ^= crc & 0xFF
        byte ^= (byte << 4) & 0xFF
        crc = (crc >> 8) ^ (byte << 8) ^ (byte << 3) ^ (byte >> 4)
    return (crc & 0xFFFF).to_bytes(2, "little")


class Badge:
    """Answers nothing beyond its UID."""

    atqa, sak = b"\x04\x00", 0x08

    def __init__(self, uid: bytes) -> None:
        self.uid = uid
        self.asked = 0

    def select(self) -> None:
        pass

    def ask(self, command: bytes) -> Answer:
        self.asked += 1
        return self.reply(command)

    def reply(self, command: bytes) -> Answer:
        return None


class Ntag(Badge):
    atqa, sak = b"\x44\x00", 0x00

    def __init__(self, uid: bytes, message: bytes | None) -> None:
        super().__init__(uid)
        self.pages = bytearray(180)
        if message is not None:
            self.pages[12:16] = b"\xe1\x10\x12\x00"
            self.pages[16 : 19 + len(message)] = bytes([3, len(message)]) + message + b"\xfe"
        self.mute = False

    def select(self) -> None:
        self.mute = False

    def reply(self, command: bytes) -> Answer:
        if self.mute:
            return None
        if command[0] == 0x60:
            return bytes.fromhex("0004040201000F03"), True
        if command[0] == 0x30:
            at = command[1] * 4
            return bytes((self.pages * 2)[at : at + 16]), True
        self.mute = True
        return b"\x00", False


class IsoCard(Badge):
    atqa, sak = b"\x44\x03", 0x20

    def __init__(self, uid: bytes, message: bytes | None, ats: bytes = bytes.fromhex("067577810280")) -> None:
        super().__init__(uid)
        self.ats = ats
        self.files = {} if message is None else {b"\xe1\x03": bytes.fromhex("000F20003B00340406E104008000FF"), b"\xe1\x04": b""}
        if message is not None:
            self.files[b"\xe1\x04"] = len(message).to_bytes(2, "big") + message
        self.file = b""

    def reply(self, command: bytes) -> Answer:
        if command[0] == 0xE0:
            return self.ats, True
        if command[0] & 0xE2 == 0x02:
            return bytes([0x02 | command[0] & 1]) + self.apdu(command[1:]), True
        return None

    def apdu(self, apdu: bytes) -> bytes:
        if apdu[:4] == b"\x00\xa4\x04\x00" and apdu[5:12] == bytes.fromhex("D2760000850101") and self.files:
            return b"\x90\x00"
        if apdu[:3] == b"\x00\xa4\x00" and apdu[5:7] in self.files:
            self.file = self.files[apdu[5:7]]
            return b"\x90\x00"
        if apdu[:2] == b"\x00\xb0" and self.file:
            at = int.from_bytes(apdu[2:4], "big")
            return self.file[at : at + apdu[4]] + b"\x90\x00"
        return b"\x6a\x82"


class Scripted(IsoCard):
    """An ISO-DEP card whose blocks after the activation come from a function."""

    def __init__(self, uid: bytes, say: Callable[[bytes], bytes | None], ats: bytes = bytes.fromhex("067577810280")) -> None:
        super().__init__(uid, None, ats)
        self.say = say

    def reply(self, command: bytes) -> Answer:
        if command[0] == 0xE0:
            return self.ats, True
        said = self.say(command)
        return None if said is None else (said, True)


class Chip:
    """A PN532 at its serial port."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.path = os.ttyname(self.slave)
        self.badges: list[Badge] = []
        self.registers = {0x6302: 0x80, 0x6303: 0x80, 0x6304: 0x80, 0x6339: 0x26}
        self.speed = 115200
        self.silent = False
        self.asks_on = False
        """It keeps a question until somebody comes, when it is told to ask for ever (UM0701-02 7.3.5)."""
        self.kept: bytes | None = None
        self.looks = 0
        self.blind_looks = 0
        self._running = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._running = False
        self._thread.join(5)
        os.close(self.master)
        os.close(self.slave)

    def _run(self) -> None:
        buffer = bytearray()
        while self._running:
            if not select.select([self.master], [], [], 0.02)[0]:
                if self.kept is not None and self.badges:
                    self._answer(self.kept)
                continue
            data = os.read(self.master, 4096)
            heard = termios.tcgetattr(self.slave)[5]
            if heard != getattr(termios, f"B{self.speed}"):
                buffer.clear()
                continue
            buffer += data
            while (frame := self._frame(buffer)) is not None:
                if frame and not self.silent:
                    self._obey(frame)
                elif not frame:
                    self.kept = None

    @staticmethod
    def _frame(buffer: bytearray) -> bytes | None:
        """Take one frame's data, b"" for an ACK, None when there is no whole frame."""
        at = buffer.find(b"\x00\xff")
        if at < 0 or len(buffer) < at + 4:
            return None
        if buffer[at + 2 : at + 4] == b"\x00\xff":
            del buffer[: at + 4]
            return b""
        head, size = (4, buffer[at + 2])
        if buffer[at + 2 : at + 4] == b"\xff\xff":
            head, size = 7, int.from_bytes(buffer[at + 4 : at + 6], "big")
        end = at + head + size + 1
        if len(buffer) < end:
            return None
        data = bytes(buffer[at + head : end - 1])
        del buffer[:end]
        return data

    def _obey(self, frame: bytes) -> None:
        os.write(self.master, b"\x00\x00\xff\x00\xff\x00")
        if frame[1] == 0x4A and self.asks_on and not self.badges:
            self.kept = frame
        else:
            self._answer(frame)

    def _answer(self, frame: bytes) -> None:
        self.kept = None
        answer = self._command(frame[1], frame[2:])
        body = bytes([0xD5, frame[1] + 1]) + answer
        size, marker = len(body).to_bytes(1 + (len(body) > 255), "big"), b"\xff\xff" if len(body) > 255 else b""
        size = marker + size + bytes([-sum(size) & 0xFF])
        os.write(self.master, b"\x00\x00\xff" + size + body + bytes([-sum(body) & 0xFF, 0]))
        if frame[1] == 0x10:
            self.speed = SPEEDS[frame[2]]

    def _command(self, code: int, data: bytes) -> bytes:
        match code:
            case 0x00:
                return data
            case 0x02:
                return bytes.fromhex("32010607")
            case 0x06:
                return bytes(self.registers.get(int.from_bytes(data[i : i + 2], "big"), 0) for i in range(0, len(data), 2))
            case 0x08:
                for i in range(0, len(data), 3):
                    self.registers[int.from_bytes(data[i : i + 2], "big")] = data[i + 2]
                return b""
            case 0x16:
                return b"\x00"
            case 0x4A:
                return self._list(data)
            case 0x42:
                return self._through(data)
            case _:
                return b""

    def _list(self, data: bytes) -> bytes:
        self.looks += 1
        if data[1] != 0 or not self.badges or self.blind_looks > 0:
            self.blind_looks -= 1
            self.registers[0x6339] = 0x26 if data[1] == 0 else 0
            return b"\x00"
        self.registers[0x6339] = 0
        self.registers[0x6303] |= 0x80
        wanted = data[2:]
        found = [badge for badge in self.badges if not wanted or wanted[-len(badge.uid) :] == badge.uid or wanted[1:4] == badge.uid[:3]]
        out = bytearray([len(found[: data[0]])])
        for number, badge in enumerate(found[: data[0]], start=1):
            badge.select()
            out += bytes([number]) + badge.atqa[::-1] + bytes([badge.sak, len(badge.uid)]) + badge.uid
        return bytes(out)

    def _through(self, data: bytes) -> bytes:
        answer = self.badges[0].ask(data) if self.badges else None
        if answer is None:
            return b"\x01"
        said, checked = answer
        if self.registers[0x6303] & 0x80:
            return b"\x00" + said if checked else b"\x02"
        return b"\x00" + (said + crc_a(said) if checked else said)
