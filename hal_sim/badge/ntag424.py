"""NTAG 424 DNA: one application with ISO files, EV2, and the link that it signs anew at each reading (SUN).

Sources: ``firmware_notes/badges.md``; NXP NT4H2421Gx rev. 3.0 (files 8.2, SDM 9.3), AN12196 rev. 2.0 tables 2 and 5 and section 3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hal_sim.badge.crypto import cmac, encipher, short_cmac
from hal_sim.badge.ev2 import FREE, NO_COMMAND, Application, Ev2Chip, Fault, StandardFile

NAME = bytes.fromhex("D2760000850101")
CONTAINER, LINK, PROPRIETARY = 1, 2, 3
_IDENTIFIERS = {0xE103: CONTAINER, 0xE104: LINK, 0xE105: PROPRIETARY}
_CONTAINER = bytes.fromhex("001720010000FF0406E104010000000506E10500808283").ljust(32, b"\x00")
LINK_BYTES = 256
COUNTER_MAX = 0xFFFFFF
_PUBLISHED = {
    bytes.fromhex("041D3C8A2D6B80"): bytes.fromhex(
        "A438FEB368DC45F9B8899C2926A985BE5D08E342CE016E9F08F3FDAE388BB4D6B3DFD7DEA2E1977CCD2E4C9F82F245D4DE08FB7FCB8043E3"
    )
}
"""The one originality signature that everybody knows (AN12196); other badges here are signed by nobody."""


@dataclass(frozen=True, slots=True)
class SignedLink:
    """How the link is made: what stands before its parameters, both keys, and the file data (16 bytes) to be enciphered, if any."""

    base: str
    meta_key: bytes
    file_key: bytes
    data: bytes | None = None


class Ntag424(Ev2Chip):
    """``counter``: how often the link was read; the first reading of its file behind each selection makes it one more. ``shown``: the
    file as it was read last."""

    def __init__(
        self,
        uid: bytes,
        keys: dict[int, bytes],
        draw: Callable[[int], bytes],
        *,
        link: SignedLink | None = None,
        secret: StandardFile | None = None,
        counter: int = 0,
    ) -> None:
        self.link = link
        self.counter = counter
        self._selected = 0
        self._fresh = True
        self.shown = b""
        files = {
            CONTAINER: StandardFile(_CONTAINER, read=FREE),
            LINK: StandardFile(bytes(LINK_BYTES), read=FREE),
            PROPRIETARY: secret or StandardFile(bytes(128)),
        }
        self._only = Application(keys, files, NAME)
        super().__init__(uid, draw, 250)

    def forget(self) -> None:
        """See ``Ev2Chip``."""
        super().forget()
        self._selected, self._fresh = 0, True
        self.application = self._only

    def iso(self, ins: int, p1: int, p2: int, data: bytes, le: int) -> bytes:
        """SELECT by name or file identifier, READ BINARY."""
        if ins == 0xA4:
            return self._select(p1, data)
        if ins != 0xB0:
            return b"\x6d\x00"
        file = self._only.files.get(self._selected)
        if file is None:
            return b"\x69\x86"
        if file.read != FREE:
            return b"\x69\x82"
        content, offset = self.content(self._selected, file), p1 << 8 | p2
        if offset > len(content):
            return b"\x6b\x00"
        return content[offset : offset + le] + b"\x90\x00"

    def _select(self, p1: int, data: bytes) -> bytes:
        self.session = None
        if p1 == 0x04:
            self._selected = 0
            return b"\x90\x00" if data == NAME else b"\x6a\x82"
        number = _IDENTIFIERS.get(int.from_bytes(data, "big"), 0)
        if number:
            self._selected, self._fresh = number, True
        return b"\x90\x00" if number else b"\x6a\x82"

    def content(self, number: int, file: StandardFile) -> bytes:
        """The link's file is written anew at the first reading behind each selection."""
        if number != LINK or self.link is None:
            return file.content
        if self._fresh:
            self._fresh = False
            ended = self.counter >= COUNTER_MAX
            self.counter += not ended
            self.shown = bytes(LINK_BYTES) if ended else link_file(self.signed(self.link))
        return self.shown

    def signed(self, link: SignedLink) -> str:
        """The link as of the present counter."""
        count = self.counter.to_bytes(3, "little")
        picc = encipher(link.meta_key, b"\xc7" + self.uid + count + self._draw(5))
        text = f"{link.base}?picc_data={picc.hex().upper()}"
        place = self.uid + count
        covered = ""
        if link.data is not None:
            key = cmac(link.file_key, (bytes.fromhex("C33C00010080") + place).ljust(16, b"\x00"))
            covered = encipher(key, link.data, encipher(key, count.ljust(16, b"\x00"))).hex().upper()
            text += f"&enc={covered}"
            covered += "&cmac="
        mac_key = cmac(link.file_key, (bytes.fromhex("3CC300010080") + place).ljust(16, b"\x00"))
        return f"{text}&cmac={short_cmac(mac_key, covered.encode()).hex().upper()}"

    def plain(self, ins: int, body: bytes) -> list[bytes]:
        """GetVersion, Read_Sig."""
        if ins == 0x60:
            return self._version(0x04, 0x30, 0x11)
        if ins == 0x3C:
            return [_PUBLISHED.get(self.uid, bytes(56))]
        raise Fault(NO_COMMAND)


def link_file(link: str) -> bytes:
    """An NDEF file with this https link: length, one short record of type U, zeros. Raises ValueError when it does not fit."""
    rest = link.removeprefix("https://").encode("ascii")
    record = bytes([0xD1, 0x01, 1 + len(rest)]) + b"U\x04" + rest
    if len(rest) > 254 or len(record) + 2 > LINK_BYTES:
        raise ValueError("the link does not fit into the badge")
    return (len(record).to_bytes(2, "big") + record).ljust(LINK_BYTES, b"\x00")
