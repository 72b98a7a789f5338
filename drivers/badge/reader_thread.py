"""The thread of one badge reader: who comes, who stays, who leaves. What is asked of the chip is in ``drivers.badge.reader``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drivers.badge.profiles import BadgeProfile, NotGenuine
from drivers.badge.reader import PORT_FAULTS, Pn532, identity
from drivers.badge.reader_rules import ReaderLost, Sighting, check_port_path
from drivers.badge.uid import BadgeRefused, NumberProfile
from drivers.device_thread import DeviceThread
from drivers.events import DeviceEvent, MediumKind, MediumPresented, MediumRemoved, MediumUnreadable, Trust

ROUND_MS = 90
"""Pause between two looks at a badge that is in the field, in milliseconds."""

LISTEN_MS = 250
"""So long the chip asks by itself, again and again, whether a badge is there: it says so at once, and an idle reader is not kept awake."""

ABSENT_ROUNDS = 3
"""Looks without a badge after which it counts as gone: one look in many fails while a badge is held still."""

FULL_LOOK_ROUNDS = 2
"""While nothing is in the field, behind so many of the chip's looks comes one of nfcpy's, which also finds what does not answer to them."""

_TWO = b"two badges"


class BadgeReader(DeviceThread):
    """One PN532 at one terminal side, at an explicit port path (any path, by-id links included).

    Posts ``MediumPresented`` (SECURE_BADGE when it has proven itself) or ``MediumUnreadable`` once for a badge that comes and stays;
    ``MediumRemoved`` when one that was presented has been out of the field for ``ABSENT_ROUNDS`` looks, or when the reader is lost.
    ``DeviceUp`` and ``DeviceDown`` carry ``name``. Raises ``ValueError`` for a port path that is not plain.
    """

    def __init__(
        self,
        name: str,
        side: int,
        path: str,
        post: Callable[[DeviceEvent], None],
        clock: Callable[[], int],
        profiles: tuple[BadgeProfile, ...] = (NumberProfile.AUTO,),
    ) -> None:
        super().__init__(name, post, clock)
        self.side = side
        self._path = check_port_path(path)
        self._profiles = profiles
        self._present: bytes | None = None
        self._announced: MediumKind | None = None
        self._misses = 0
        self._looks = 0

    def serve(self) -> None:
        """Look for badges until stopped. Raises ``OSError`` (``ReaderLost`` for a silent chip) when the reader is lost."""
        chip = Pn532(self._path, self.clock)
        try:
            while not self.stopping:
                self.alive(LISTEN_MS)
                self._look(chip)
                self.is_up()  # Only now: a chip that opens but cannot look is not up.
                if self._present is not None or not chip.listened:
                    self.pause(ROUND_MS)
        except PORT_FAULTS as fault:
            raise ReaderLost(f"the PN532 on {self._path} stopped answering ({type(fault).__name__})") from fault
        finally:
            if not self.stopping:
                self._leave()
            chip.close()

    def _look(self, chip: Pn532) -> None:
        if not self._newcomer(chip):
            return
        self._misses = 0
        if chip.count() is Sighting.TWO:
            if self._present != _TWO:
                self._leave()
                self._present = _TWO
                self._refuse("two badges")
            return
        self._leave()
        target = chip.sense()
        if target is not None:
            self._arrive(chip, target)

    def _newcomer(self, chip: Pn532) -> bool:
        """Whether another badge is in the field than at the last look; takes note of one that is not there any more."""
        if self._present is None:
            if chip.hear(LISTEN_MS, lambda: self.stopping):
                return True
            self._looks += 1
            if self._looks % FULL_LOOK_ROUNDS:
                return False
        target = chip.sense()
        if target is None:
            self._misses += 1
            if self._misses >= ABSENT_ROUNDS:
                self._leave()
            return False
        self._misses = 0
        return identity(target) != self._present

    def _arrive(self, chip: Pn532, target: Any) -> None:
        self._present = identity(target)
        try:
            found = chip.read(target, self._profiles)
        except BadgeRefused as refusal:
            self._refuse(str(refusal), isinstance(refusal, NotGenuine))
            return
        self._announced = MediumKind.BADGE if found.trust is Trust.T0 else MediumKind.SECURE_BADGE
        self.post(MediumPresented(self.side, self._announced, found.number, found.trust, counter=found.counter))

    def _refuse(self, why: str, forged: bool = False) -> None:
        self.post(MediumUnreadable(self.side, MediumKind.BADGE, why, forged))

    def _leave(self) -> None:
        """Nothing known is in the field any more. After a loss of the reader too: what happened meanwhile, nobody saw."""
        if self._announced is not None:
            self.post(MediumRemoved(self.side, self._announced))
        self._present = None
        self._announced = None
