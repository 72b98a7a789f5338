"""What a person in front of the display has seen: every picture that stood still for a moment, in order."""

from __future__ import annotations

from hal_sim.display.lk204 import Lk204

STILL_MS = 25
"""A picture counts once nothing was written for so long: four lines take 50 ms on the wire, a gap between two of them less than this."""


class WatchedLk204(Lk204):
    """The display with a memory. ``pictures`` holds the four lines of each, the last one is there now or about to be.

    ``drawn`` counts how often something was drawn and stood still, also when it was the same picture again.
    """

    def __init__(self, code_page: str = "iso-8859-1") -> None:
        super().__init__(code_page)
        self.pictures: list[tuple[str, ...]] = [self.lines()]
        self.drawn = 0
        self._still_at: int | None = None

    def on_bytes(self, data: bytes, now: int) -> None:
        """See ``Lk204``."""
        self.on_time(now)
        super().on_bytes(data, now)
        self._still_at = now + STILL_MS

    def on_time(self, now: int) -> None:
        """Keep the picture once it stands still."""
        if self._still_at is not None and now >= self._still_at:
            self._still_at = None
            self.drawn += 1
            lines = self.lines()
            if lines != self.pictures[-1]:
                self.pictures.append(lines)

    def next_wakeup(self) -> int | None:
        """When the picture stands still."""
        return self._still_at
