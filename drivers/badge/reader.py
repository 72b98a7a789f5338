"""Contactless badges through a PN532 on a serial port. The only file that imports nfcpy.

Sources: NXP UM0701-02 (PN532 user manual: InListPassiveTarget 7.3.5, SetSerialBaudRate 7.2.8); nfcpy 1.0.4;
the reference on hardware, section B (opening by path, the chip left at high speed, the shell command),
reference/security-and-reliability.md 0.5 and 2.1 (guard rail). What a badge's bytes mean is in ``drivers.badge.uid``.
"""

from __future__ import annotations

import os
import struct
import termios
from collections.abc import Callable
from typing import Any, TypeVar

import nfc
import nfc.clf
import nfc.clf.pn53x
import nfc.clf.pn532
import nfc.clf.transport
import nfc.tag

from drivers.badge.chip_frames import ChipFrames
from drivers.badge.profiles import BadgeProfile, Reading, identify
from drivers.badge.reader_rules import ReaderLost, Sighting, check_port_path, chip_timeout
from drivers.badge.uid import BadgeRefused, check_uid, classify, full_ats, is_random

T = TypeVar("T")

PRESENTATION_LIMIT_MS = 1_500
"""Longest time spent on one badge held out, in milliseconds of the driver's clock."""

QUICK_GATHER_MS = 3
"""Sleep so long after a command while nothing is in the field: its ACK and its response are read together, with one wake."""

_SLICE_MS = 100
"""While the chip listens, look so often whether the reader is to stop."""

_GIVEN_UP_MS = 5
"""A badge may answer just when the chip is told to stop listening."""

_ASK_ONCE, _ASK_ON = b"\x01\x00\x01", b"\x01\x00\xff"
"""RFConfiguration item 5: how often the chip asks for a badge, as nfcpy sets it and for ever (UM0701-02 7.3.1)."""

_SLOW = 115_200
_FAST = (921_600, 460_800, 230_400)
_WAKE_UP = bytearray(10)
_SET_SLOW = bytes.fromhex("0000ff03fdd410041800")
_SET_SLOW_DONE = bytes.fromhex("0000ff02fed5111a00")
_LIST_ONE_TYPE_A = b"\x01\x00"
_LIST_TWO_TYPE_A = b"\x02\x00"
_OPENING_MS = 200
"""At the opening the chip is asked at several speeds in turn, and is silent at all but one."""
_DEAD_MS = 1_000
"""The chip itself ends an exchange in time and says so: this is for a chip that is dead, and must outlast a busy processor."""
_ATTEMPTS = 2
_RATS = 0xE0
_RANDOM = b"random UID"

PORT_FAULTS = (OSError, termios.error, TypeError, IndexError, nfc.clf.pn53x.Chipset.Error)
"""What nfcpy raises for a chip that does not answer or answers noise: IndexError for a frame shorter than its header."""

_BADGE_FAULTS = (
    nfc.clf.Error,
    nfc.clf.pn53x.Chipset.Error,
    nfc.tag.TagCommandError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)
"""What nfcpy raises, by contract or by accident, for a badge that does not behave. Not OSError: that is the reader's own port."""


class _OutOfTime(Exception):
    """The presentation's limit is over. No kin of nfcpy's errors, which it would catch and try again."""


class _Tty(nfc.clf.transport.TTY):  # type: ignore[misc]
    """nfcpy's transport over ``ChipFrames``: its own costs an idle reader twice as much."""

    least_ms = _OPENING_MS

    def open(self, port: str, baudrate: int = _SLOW) -> None:
        super().open(port, baudrate)
        self.frames = ChipFrames(self.tty.fileno())

    def write(self, frame: Any) -> None:
        self.tty.reset_input_buffer()
        self.frames.send(frame)

    def read(self, timeout: float) -> bytearray:
        return self.frames.take(max(int(timeout), self.least_ms))


class _Frontend(nfc.ContactlessFrontend):  # type: ignore[misc]
    """nfcpy's front end with a time limit, with every ATS spelled out, and with a memory of failed exchanges.

    nfcpy waits up to 5 s for one answer when the badge says so, follows a badge's wish for more time without end, and reports a badge
    that was torn away during the reading of its text as one without a text.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        super().__init__()
        self._clock = clock
        self.ends_at: int | None = None
        self.failures = 0

    def _left_ms(self) -> int | None:
        if self.ends_at is None:
            return None
        left = self.ends_at - self._clock()
        if left <= 0:
            raise _OutOfTime
        return left

    def sense(self, *targets: Any, **options: Any) -> Any:
        self._left_ms()
        return super().sense(*targets, **options)

    def exchange(self, send_data: bytes, timeout: float) -> Any:
        left = self._left_ms()
        try:
            answer = super().exchange(send_data, timeout if left is None else min(timeout, chip_timeout(left)))
        except nfc.clf.CommunicationError:
            self.failures += 1
            raise
        # An ISO-DEP block never begins with E0, so this is the activation itself.
        return bytearray(full_ats(bytes(answer))) if send_data[0] == _RATS else answer


def bring_back(path: str) -> bool:
    """Find a PN532 that was left at a higher speed and set it back to 115200. True when it answered.

    nfcpy moves the chip to 921600 (or what the port can do) at each open, and only an orderly close moves it back: after a kill or a
    power cut of the controller alone the chip answers to nobody at 115200 until it loses power itself. Raises ``OSError`` for a lost port.
    """
    tty = nfc.clf.transport.TTY(path)
    try:
        for speed in _FAST:
            tty.open(path, speed)
            try:
                tty.write(_WAKE_UP + _SET_SLOW)
                if tty.read(timeout=100) == nfc.clf.pn53x.Chipset.ACK and tty.read(timeout=100) == _SET_SLOW_DONE:
                    # The chip changes over once its answer is acknowledged. Flushed, because the close throws away what is unsent.
                    tty.write(nfc.clf.pn53x.Chipset.ACK)
                    tty.tty.flush()
                    return True
            except PORT_FAULTS:
                continue
        return False
    finally:
        _shut(tty)


def _shut(tty: Any) -> None:
    """Close the port for certain: nfcpy's own close stops half-way when the port is gone, and the descriptor stays open."""
    port = tty.tty
    tty.tty = None
    if port is not None:
        port.close()


class Pn532:
    """One open reader. Raises ``OSError`` when the port cannot be opened or no chip answers; so may every method but ``close``."""

    def __init__(self, path: str, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._tty = _Tty(check_port_path(path))
        try:
            device = self._initialise(path)
        except PORT_FAULTS as fault:
            _shut(self._tty)
            raise ReaderLost(f"no PN532 answers on {path} ({type(fault).__name__})") from fault
        # nfcpy names the device by this in its own messages and sets it only when it has searched for the port itself.
        device._path = path
        self._tty.least_ms = _DEAD_MS
        self._clf = _Frontend(clock)
        self._clf.device = device
        self._asks_on = False
        self.listened = False
        """The last ``hear`` took its whole time: the next may follow at once."""

    def _initialise(self, path: str) -> Any:
        try:
            return nfc.clf.pn532.init(self._tty)
        except PORT_FAULTS:
            _shut(self._tty)
            if not bring_back(path):
                raise
        self._tty = _Tty(path)
        return nfc.clf.pn532.init(self._tty)

    def close(self) -> None:
        """Set the chip back to its first speed and let it sleep; never raises, and the port is closed in any case."""
        try:
            self._clf.close()
        except PORT_FAULTS:
            pass  # The port is gone or the chip is silent: ``bring_back`` finds it at the next open.
        finally:
            _shut(self._tty)

    def sense(self) -> Any:
        """The type A badge in the field, activated as far as its UID, or None. Takes a few milliseconds."""
        self._ask_on(False)
        return self._clf.sense(nfc.clf.RemoteTarget("106A"))

    def hear(self, limit_ms: int, stopping: Callable[[], bool]) -> bool:
        """Let the chip ask for a type A badge until one answers, for at most so long. True as soon as one does; else the field is off.

        A badge that answered here stays selected until the next ``sense`` or ``count``.
        """
        frames, chipset = self._tty.frames, self._clf.device.chipset
        frames.gather_ms = QUICK_GATHER_MS
        try:
            self._ask_on(True)
            chipset.command(0x4A, _LIST_ONE_TYPE_A, timeout=0)
            self.listened = not self._answered(limit_ms, stopping)
            if self.listened:
                chipset.send_ack()
            found = False
            if not self.listened or frames.ready(_GIVEN_UP_MS):
                answer = chipset.command(0x4A, None, timeout=1.0)
                found = bool(answer and answer[0])
            if not found:
                self._clf.device.mute()
            return found
        finally:
            frames.gather_ms = 0

    def _answered(self, limit_ms: int, stopping: Callable[[], bool]) -> bool:
        left_ms = limit_ms
        while not self._tty.frames.ready(min(left_ms, _SLICE_MS)):
            left_ms -= _SLICE_MS
            if left_ms <= 0 or stopping():
                return False
        return True

    def _ask_on(self, asks_on: bool) -> None:
        """Whether the chip asks for a badge for ever or, as nfcpy needs it, once."""
        if asks_on is not self._asks_on:
            self._clf.device.chipset.rf_configuration(0x05, _ASK_ON if asks_on else _ASK_ONCE)
            self._asks_on = asks_on

    def count(self) -> Sighting:
        """How many badges are in the field; three and more count as two.

        nfcpy cannot tell: whatever it is asked, it lists one target, and the chip's anticollision quietly picks one of two badges. So the
        chip is asked directly. Two badges whose signals drown each other stay invisible to both, as if there was none.
        """
        self._ask_on(False)
        self._clf.device.mute()
        answer = self._clf.device.chipset.command(0x4A, _LIST_TWO_TYPE_A, timeout=1.0)
        found = answer[0] if answer else 0
        return Sighting.NONE if found == 0 else Sighting.ONE if found == 1 else Sighting.TWO

    def read(self, target: Any, profiles: tuple[BadgeProfile, ...]) -> Reading:
        """What the badge ``target`` that ``sense`` has just found is, by the first profile that fits it.

        Raises ``BadgeRefused``, and ``NotGenuine`` for a forgery, with a phrase for the event.
        """
        return self.ask(target, lambda badge: identify(badge, profiles, os.urandom))

    def ask(self, target: Any, question: Callable[[HeldBadge], T]) -> T:
        """Put a question to the badge ``target`` that ``sense`` has just found.

        Raises ``BadgeRefused`` with a phrase for the event, after at most ``PRESENTATION_LIMIT_MS``. A badge is often still on its way into
        the field when it is first heard, so one failed reading is followed by a second.
        """
        uid = identity(target)
        self._clf.ends_at = self._clock() + PRESENTATION_LIMIT_MS
        try:
            for _ in range(_ATTEMPTS):
                try:
                    return question(HeldBadge(self._clf, target))
                except BadgeRefused:
                    raise
                except _BADGE_FAULTS:
                    target = self.sense()
                    if target is None or identity(target) != uid:
                        raise BadgeRefused("taken away too early") from None
            raise BadgeRefused("does not answer as it should")
        except _OutOfTime:
            raise BadgeRefused("takes too long") from None
        finally:
            self._clf.ends_at = None


class HeldBadge:
    """The badge in the field through nfcpy: ``drivers.badge.profiles.Held``. Activated once, at the first thing that needs it."""

    def __init__(self, clf: _Frontend, target: Any) -> None:
        """Raises ``BadgeRefused`` for a badge of an unknown make."""
        self._clf = clf
        self._target = target
        self._tag: Any = None
        self.sak = target.sel_res[0] if target.sel_res else None
        self.atqa = bytes(target.sens_res)
        self.family = classify(self.atqa, self.sak)
        self.uid = bytes(target.sdd_res)
        check_uid(self.uid)

    def _activated(self) -> Any:
        if self._tag is None:
            self._tag = nfc.tag.activate(self._clf, self._target)
            if self._tag is None:
                raise nfc.clf.TimeoutError
        return self._tag

    def transceive(self, apdu: bytes) -> bytes:
        """See ``Held``."""
        return bytes(self._activated().transceive(bytearray(apdu)) or b"")

    def ndef(self) -> bytes | None:
        """The NDEF message, None when the badge says that it has none. A badge that says nothing is a fault, not a badge without text."""
        tag = self._activated()
        self._clf.failures = 0
        ndef = tag.ndef
        if ndef is not None:
            return bytes(ndef.octets)
        if self._clf.failures:
            raise nfc.clf.TimeoutError
        return None


def identity(target: Any) -> bytes:
    """What tells whether the badge in the field is still the same one: a random UID changes at every look, its kind does not."""
    uid = bytes(target.sdd_res or target.rid_res or b"")
    return _RANDOM if is_random(uid) else uid
