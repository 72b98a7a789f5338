"""Where one swipe ends and the next begins, from the characters of a keyboard-wedge reader. Pure.

Source: the reference on hosts 4.1; a wedge types all tracks in one go, a few milliseconds a key, and closes with Enter when it is set to.
Times are milliseconds of the driver's clock, passed in.
"""

from __future__ import annotations

from dataclasses import dataclass

from drivers.magstripe.tracks import SWIPE_MAX, Swipe, SwipeError, SwipeFault, parse_swipe
from drivers.magstripe.wedge import ENTER

IDLE_MS = 300
"""Pause after which a swipe without Enter is over."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A swipe that gave nothing."""

    fault: SwipeFault


class SwipeCollector:
    """Gathers characters into swipes. Each ends with Enter, or with a pause of ``IDLE_MS``; what stood in it is forgotten at once."""

    def __init__(self, lrc_sent: bool = False) -> None:
        self._lrc_sent = lrc_sent
        self._text: list[str] = []
        self._torn = False
        self._last: int | None = None

    def receive(self, text: str, now: int) -> list[Swipe | Unreadable]:
        """Characters as they were typed, however cut; the swipes that ended with them."""
        ended = self.tick(now)
        for character in text:
            if character == ENTER:
                ended += self._end()
                continue
            self._last = now
            # One beyond the limit is enough to know that it is too long; a stuck reader must not fill the memory.
            if len(self._text) <= SWIPE_MAX:
                self._text.append(character)
        return ended

    def torn(self, now: int) -> None:
        """Events were lost: whatever is under way, before and after, is no number."""
        self._torn = True
        self._last = now

    def tick(self, now: int) -> list[Swipe | Unreadable]:
        """The swipe that ended by a pause, if one did."""
        wakeup = self.next_wakeup()
        return self._end() if wakeup is not None and now >= wakeup else []

    def next_wakeup(self) -> int | None:
        """When to ask ``tick`` again, None when nothing is under way."""
        return None if self._last is None else self._last + IDLE_MS

    def _end(self) -> list[Swipe | Unreadable]:
        text, torn = "".join(self._text), self._torn
        self._text.clear()
        self._torn = False
        self._last = None
        if torn:
            return [Unreadable(SwipeFault.TORN)]
        if not text:
            return []  # An Enter on its own: the end of a swipe that a pause had ended already.
        try:
            return [parse_swipe(text, self._lrc_sent)]
        except SwipeError as error:
            return [Unreadable(error.fault)]
