"""A badge reader's thread on real nfcpy before the forecourt's PN532 on a pseudo-terminal: what is held out, what the thread says."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drivers.badge.profiles import BadgeProfile
from drivers.badge.reader_thread import BadgeReader
from drivers.badge.uid import NumberProfile
from drivers.events import DeviceEvent, DeviceUp
from hal_sim.badge.catalogue import Badges
from hal_sim.badge.pn532 import Pn532
from hal_sim.badge.tags import Tag
from hal_sim.clock import monotonic_ms
from hal_sim.pty_port import Loop, PtyPort
from tests.drivers.issuer import secure_profile, signing_profile

EVENT_S = 10


class Place:
    """The reader, the hand before it, and the inbox behind it. ``profiles``: the issuer's two, then the UID, unless others are given."""

    def __init__(self, folder: Path, profiles: tuple[BadgeProfile, ...] | None = None) -> None:
        self.badges = Badges(7)
        self.chip = Pn532()
        self.loop = Loop()
        self.path = str(self.loop.add(PtyPort(self.chip, folder / "pn532")).link)
        self.events: queue.SimpleQueue[DeviceEvent] = queue.SimpleQueue()
        chosen = (secure_profile(self.badges), signing_profile(self.badges), NumberProfile.AUTO) if profiles is None else profiles
        self.reader = BadgeReader("badge-1", 1, self.path, self.events.put, monotonic_ms, chosen)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                self.loop.step(2)

    def hold(self, *tags: Tag, tear_after: int | None = None) -> None:
        """Hold these out; torn away after so many more exchanges."""
        with self._lock:
            if tear_after is not None:
                self.chip.tear_after(tear_after)
            for tag in tags:
                self.chip.present(tag, monotonic_ms())

    def take_away(self) -> None:
        """Nothing is there any more."""
        with self._lock:
            self.chip.remove()

    def said(self) -> DeviceEvent:
        """The next event that is not about the reader itself."""
        while isinstance(event := self.events.get(timeout=EVENT_S), DeviceUp):
            pass
        return event

    def asked(self) -> int:
        """How many commands the chip has had."""
        return len(self.chip.commands)

    def close(self) -> None:
        """End both threads."""
        assert self.reader.stop()
        self._stop.set()
        self._thread.join(5)
        self.loop.close()


@contextmanager
def place(folder: Path, profiles: tuple[BadgeProfile, ...] | None = None) -> Iterator[Place]:
    """A running place."""
    made = Place(folder, profiles)
    made.reader.start()
    try:
        yield made
    finally:
        made.close()
