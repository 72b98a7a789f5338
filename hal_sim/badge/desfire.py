"""DESFire EV2/EV3 as far as identification needs it: applications, AES keys, files. Source: ``firmware_notes/badges.md``."""

from __future__ import annotations

from collections.abc import Callable

from hal_sim.badge.ev2 import FRAME_BYTES, NO_APPLICATION, NO_COMMAND, NOT_ALLOWED, Application, Ev2Chip, Fault


class Desfire(Ev2Chip):
    """``applications`` by their AID (three bytes, as they stand on the badge). At first the card itself is selected: no files, no keys."""

    def __init__(
        self, uid: bytes, applications: dict[bytes, Application], draw: Callable[[int], bytes], frame_bytes: int = FRAME_BYTES
    ) -> None:
        if any(len(aid) != 3 for aid in applications):
            raise ValueError("an AID has three bytes")
        self._applications = applications
        super().__init__(uid, draw, frame_bytes)

    def iso(self, ins: int, p1: int, p2: int, data: bytes, le: int) -> bytes:
        """SELECT of an application by its ISO name."""
        if ins != 0xA4 or p1 != 0x04:
            return b"\x6d\x00"
        found = [each for each in self._applications.values() if each.name and each.name == data]
        self.session = None
        if not found:
            return b"\x6a\x82"
        self.application = found[0]
        return b"\x90\x00"

    def plain(self, ins: int, body: bytes) -> list[bytes]:
        """SelectApplication, GetApplicationIDs, GetFileIDs, GetVersion."""
        if ins == 0x5A:
            return [self._select(body)]
        if ins == 0x6A:
            return [b"".join(self._applications)]
        if ins == 0x6F:
            if self.application is None:
                raise Fault(NOT_ALLOWED)
            return [bytes(self.application.files)]
        if ins == 0x60:
            return self._version(0x01, 0x12, 0x18)
        raise Fault(NO_COMMAND)

    def _select(self, aid: bytes) -> bytes:
        self.session = None
        if aid == bytes(3):
            self.application = None
        elif aid in self._applications:
            self.application = self._applications[aid]
        else:
            raise Fault(NO_APPLICATION)
        return b""
