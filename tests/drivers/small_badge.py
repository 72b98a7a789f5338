"""The badge's half of EV2, written from the same documents a second time and kept small: for proving the terminal's half against it."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC


def aes(key: bytes, iv: bytes, data: bytes, decrypt: bool = False) -> bytes:
    cipher = Cipher(algorithms.AES(key), modes.CBC(iv))
    worker = cipher.decryptor() if decrypt else cipher.encryptor()
    return worker.update(data) + worker.finalize()


def mac16(key: bytes, data: bytes) -> bytes:
    worker = CMAC(algorithms.AES(key))
    worker.update(data)
    return worker.finalize()


class SmallBadge:
    """One application with one key and files; answers APDUs. ``frame`` cuts answers into AF frames of so many bytes."""

    def __init__(self, key: bytes, uid: bytes, files: dict[int, bytes], rnd_b: bytes, ti: bytes, frame: int = 250) -> None:
        self.key, self.uid, self.files, self.rnd_b, self.ti, self.frame = key, uid, files, rnd_b, ti, frame
        self.name = bytes.fromhex("D2760000850101")
        self.mode = "full"
        self.counter = 0
        self.enc = self.mac = b""
        self.waiting: str | None = None
        self.rest = b""

    def answer(self, apdu: bytes) -> bytes:
        if apdu[:4] == bytes.fromhex("00A4040C"):
            return b"\x90\x00" if apdu[5:-1] == self.name else b"\x6a\x82"
        ins, body = apdu[1], apdu[5:-1]
        assert apdu[0] == 0x90
        assert apdu[2:4] == b"\0\0"
        assert len(apdu) == 5 or apdu[4] == len(body)
        if ins == 0xAF and self.rest:
            return self.framed()
        if ins in (0x71, 0x77):
            self.waiting = "first" if ins == 0x71 else "next"
            return aes(self.key, bytes(16), self.rnd_b) + b"\x91\xaf"
        if ins == 0xAF and self.waiting:
            return self.authenticate(body)
        return self.secured(ins, body)

    def authenticate(self, body: bytes) -> bytes:
        text = aes(self.key, bytes(16), body, decrypt=True)
        first, self.waiting = self.waiting == "first", None
        a, b = text[:16], self.rnd_b
        if text[16:] != b[1:] + b[:1]:
            return b"\x91\xae"
        shared = a[:2] + bytes(x ^ y for x, y in zip(a[2:8], b[:6], strict=True)) + b[6:] + a[8:]
        self.enc = mac16(self.key, bytes.fromhex("A55A00010080") + shared)
        self.mac = mac16(self.key, bytes.fromhex("5AA500010080") + shared)
        proof = a[1:] + a[:1]
        if first:
            self.counter = 0
            proof = self.ti + proof + bytes(12)
        return aes(self.key, bytes(16), proof) + b"\x91\x00"

    def secured(self, ins: int, body: bytes) -> bytes:
        place = self.counter.to_bytes(2, "little") + self.ti
        plain = ins == 0xAD and self.mode == "plain"
        if not plain:
            if not self.mac or body[-8:] != mac16(self.mac, bytes((ins,)) + place + body[:-8])[1::2]:
                return b"\x91\x1e"
            body = body[:-8]
        self.counter += 1
        if ins == 0x51:
            return self.protected(self.uid, "full")
        if ins == 0xAD and body[0] in self.files:
            offset, length = int.from_bytes(body[1:4], "little"), int.from_bytes(body[4:7], "little")
            content = self.files[body[0]][offset : offset + length]
            return self.protected(content, self.mode) if len(content) == length else b"\x91\xbe"
        return b"\x91\xf0"

    def protected(self, data: bytes, mode: str) -> bytes:
        place = self.counter.to_bytes(2, "little") + self.ti
        if mode == "full":
            iv = aes(self.enc, bytes(16), b"\x5a\xa5" + self.ti + self.counter.to_bytes(2, "little") + bytes(8))
            data = aes(self.enc, iv, (data + b"\x80").ljust((len(data) // 16 + 1) * 16, b"\0"))
        self.rest = data if mode == "plain" else data + mac16(self.mac, b"\0" + place + data)[1::2]
        return self.framed()

    def framed(self) -> bytes:
        part, self.rest = self.rest[: self.frame], self.rest[self.frame :]
        return part + (b"\x91\xaf" if self.rest else b"\x91\x00")
