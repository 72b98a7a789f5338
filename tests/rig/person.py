"""The person in front of the rig's terminal: holds badges out, presses keys, and reads the display to know when the terminal is done."""

from __future__ import annotations

import time
from collections.abc import Callable

from drivers.display.lk204 import CodePage
from terminal.core.screens import Screen
from tests.behaviour.world import Amount
from tests.rig.display import QUESTIONS, Seen, recognise
from tests.rig.forecourt_client import ForecourtClient
from tests.rig.process import TerminalProcess

TOUCH_MS = 700
"""A person's touch of a badge to a reader that shows nothing."""
READ_MS = 350
"""Nobody is quicker than this, and the reader needs half of it."""
UNASKED_MS = 900
"""So long he holds it to a display that has changed and asks nothing: that may have been another's picture."""
HOLD_MS = 6_000
"""So long somebody holds a badge to a terminal that does not look."""
LOOKS = 5
LOOKS_UNTIL_GONE = 3
GONE_MS = 600
EFFECT_MS = 1_500
"""After ENTER the terminal has so long to show something else."""
STILL_MS = 120
"""A picture that has stood so long is what the terminal has come to."""
KEY_MS = 150
CLEARS = 4


class Person:
    """``wait`` lets the world live on until something holds, at most so many milliseconds."""

    def __init__(self, forecourt: ForecourtClient, terminal: TerminalProcess, wait: Callable[[Callable[[], bool], int], bool]) -> None:
        self._forecourt = forecourt
        self._terminal = terminal
        self._wait = wait
        self.pictures: list[tuple[str, ...]] = []
        self._new_picture_at = time.monotonic()

    # --- eyes ---------------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Read what came up on the display since the last look."""
        fresh = self._forecourt.do("pictures", since=len(self.pictures))["pictures"]
        if fresh:
            self.pictures += [tuple(line.rstrip() for line in picture) for picture in fresh]
            self._new_picture_at = time.monotonic()

    def seen(self) -> Seen | None:
        """The screen that stands on the display."""
        self.look()
        return recognise(self.pictures[-1], CodePage.LATIN_1)

    def asked(self) -> str | None:
        """What the terminal asks for; None without power, whatever the display still shows."""
        seen = self.seen() if self._terminal.powered else None
        return None if seen is None else QUESTIONS.get(seen.screen)

    def still(self) -> None:
        """Wait until the display stands still."""
        self._wait(self.is_still, EFFECT_MS)

    def is_still(self) -> bool:
        """It has stood for a moment: what it shows is what the terminal has come to."""
        return time.monotonic() - self._new_picture_at >= STILL_MS / 1000

    # --- hands --------------------------------------------------------------------------------------------------------

    def present(self, *tags: tuple[str, str], tear_after: int = 0) -> None:
        """Hold them out (number and make) until the terminal shows something, or has looked and does not care; then take them away."""
        self.look()
        before, looks, start = len(self.pictures), self._looks(), time.monotonic()
        if tear_after:
            self._forecourt.do("reader", tear_after=tear_after)
        for number, make in tags:
            self._forecourt.do("present", number=number, medium="badge", tag=make, stays=True)

        def seen() -> bool:
            held_ms = (time.monotonic() - start) * 1000
            if len(self.pictures) > before:
                # The new picture may have been another's: a notice that was over just now. A question is an answer to this badge.
                return held_ms >= (READ_MS if self.asked() else UNASKED_MS)
            return held_ms >= TOUCH_MS and (not self._terminal.powered or self._looks() - looks >= LOOKS)

        self._wait(seen, HOLD_MS)
        self._take_away()
        self.still()

    def _take_away(self) -> None:
        """No badge is there, and the reader has seen that: the next one may be the same."""
        self._forecourt.do("remove")
        looks = self._looks()
        if self._terminal.powered:
            self._wait(lambda: self._looks() - looks > LOOKS_UNTIL_GONE, GONE_MS)

    def _looks(self) -> int:
        return int(self._forecourt.do("reader")["looks"])

    def wish(self, amount: Amount) -> None:
        """CLEAR goes on from the point to money, from money to litres."""
        wanted = Screen.WISH_MONEY if amount.amount_minor is not None else Screen.WISH_VOLUME
        for _ in range(CLEARS):
            seen = self.seen()
            if seen is None or QUESTIONS.get(seen.screen) != "FUELLING POINT":
                return
            if seen.screen is wanted:
                break
            self.press("clear")
        self.type(str(amount.amount_minor if amount.amount_minor is not None else (amount.volume_ml or 0) // 10))

    def choose(self, fp: int) -> None:
        """A point that is offered already is cleared first."""
        seen = self.seen()
        if seen is not None and seen.screen in (Screen.FUELLING_POINT, Screen.TEST_POINT) and seen.typed:
            self.press("clear")
        self.type(str(fp))

    def press(self, *keys: str) -> None:
        """Press keys and look until what they do stands on the display; a terminal without power hears none."""
        if not self._terminal.powered:
            return
        self.look()
        before = len(self.pictures)
        self._forecourt.do("keys", keys=list(keys))
        self._wait(lambda: len(self.pictures) > before, EFFECT_MS if self.seen() is not None and self.asked() else KEY_MS)
        self.still()

    def type(self, digits: str) -> None:
        """Digits and ENTER; the entry that echoes them is not yet what ENTER does."""
        question = self.asked() is not None
        self.press(*digits, "enter")

        def answered() -> bool:
            seen = self.seen()
            return seen is None or not (seen.typed and seen.screen in QUESTIONS)

        if question:
            self._wait(answered, EFFECT_MS)
            self.still()
