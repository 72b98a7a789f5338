"""Hands with badges in virtual time: the emulators' chips meet the drivers' profiles and proofs, without a reader between them.

What the reader's thread adds (nfcpy, the PN532's frames, anticollision, waiting times, a badge on its way out) is the rig's to show, and is
said here in its words: ``taken away too early``, ``two badges``.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod

from drivers.badge.profiles import NotGenuine, identify
from drivers.badge.uid import BadgeRefused, NumberProfile, classify
from drivers.events import MediumKind, MediumPresented, MediumRemoved, MediumUnreadable, Trust
from hal_sim.badge.catalogue import Badges
from hal_sim.badge.tags import Ntag21x, Tag, Type4A
from tests.behaviour.setup import Setup
from tests.drivers.issuer import secure_profile, signing_profile
from tests.virtual.forecourt import SIDE
from tests.virtual.terminal import VirtualTerminal

READ_MS = 100
_NDEF_NAME, _NDEF_FILE = bytes.fromhex("00A4040007D276000085010100"), bytes.fromhex("00A4000C02E104")
_READ = 0xB0


class _Torn(Exception):
    """The badge was pulled away in the middle."""


class _Held:
    """A tag of the emulator as the profiles ask it: ``drivers.badge.profiles.Held``. Torn away after so many exchanges (0: never)."""

    def __init__(self, tag: Tag, exchanges: int) -> None:
        self._tag = tag
        self._left = exchanges or -1
        self.uid = tag.uid
        self.family = classify(tag.sens_res, tag.sel_res)

    def _exchange(self) -> None:
        if self._left == 0:
            raise _Torn
        self._left -= 1

    def transceive(self, apdu: bytes) -> bytes:
        """See ``Held``."""
        self._exchange()
        return self._tag.apdu(apdu) if isinstance(self._tag, Type4A) else b""

    def ndef(self) -> bytes | None:
        """See ``Held``."""
        if isinstance(self._tag, Ntag21x):
            return self._of_memory()
        for select in (_NDEF_NAME, _NDEF_FILE):
            if self.transceive(select) != b"\x90\x00":
                return None
        size = int.from_bytes(self._read(0, 2), "big")
        return self._read(2, size) if size else None

    def _read(self, offset: int, size: int) -> bytes:
        return self.transceive(bytes([0x00, _READ]) + offset.to_bytes(2, "big") + bytes([size]))[:-2]

    def _of_memory(self) -> bytes | None:
        """The first TLV of a Type 2 tag, read four pages at a time."""
        memory = b""
        self._tag.select()
        for page in range(4, 4 + 64, 4):
            self._exchange()
            reply = self._tag.exchange(bytes([0x30, page]))
            memory += b"" if reply is None or not reply.crc else reply.data
        if not memory.startswith(b"\x03"):
            return None
        at, size = (4, int.from_bytes(memory[2:4], "big")) if memory[1] == 0xFF else (2, memory[1])
        return memory[at : at + size] or None


class BadgeHands(ABC):
    """The part of ``VirtualWorld`` that holds badges out."""

    setup: Setup
    terminal: VirtualTerminal

    @abstractmethod
    def pass_time(self, duration_ms: int) -> None:
        """See ``World.pass_time``."""

    def lay_badges_out(self) -> None:
        """Before the first step: one issuer, whose keys the terminal has when a card of the table is a secure badge."""
        self._badges = Badges(0)
        proving = any(card.medium == "secure badge" for card in self.setup.cards)
        own = (secure_profile(self._badges), signing_profile(self._badges)) if proving else ()
        self._profiles = (*own, NumberProfile.AUTO)

    def present_badge(self, number: str, *, make: str = "", second: str = "", tear_after: int = 0) -> None:
        """See ``World.present_badge``."""
        tag = self._badges.make(number, make or self.setup.tag_of(number))
        self.pass_time(READ_MS)
        told = MediumUnreadable(SIDE, MediumKind.BADGE, "two badges") if second else self._read_badge(tag, tear_after)
        self.terminal.post(told)
        self.pass_time(READ_MS)
        if isinstance(told, MediumPresented):
            self.terminal.post(MediumRemoved(SIDE, told.kind))

    def _read_badge(self, tag: Tag, tear_after: int) -> MediumPresented | MediumUnreadable:
        """What the reader's thread says of it (``drivers/badge/reader_thread.py``)."""
        try:
            found = identify(_Held(tag, tear_after), self._profiles, os.urandom)
        except _Torn:
            return MediumUnreadable(SIDE, MediumKind.BADGE, "taken away too early")
        except BadgeRefused as refusal:
            return MediumUnreadable(SIDE, MediumKind.BADGE, str(refusal), isinstance(refusal, NotGenuine))
        kind = MediumKind.BADGE if found.trust is Trust.T0 else MediumKind.SECURE_BADGE
        return MediumPresented(SIDE, kind, found.number, found.trust, counter=found.counter)
