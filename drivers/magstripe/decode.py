"""A stripe reader's input events into what the terminal is told: characters, swipes, tracks, one event a swipe. Pure.

Source: ``firmware_notes/stripes.md``. The number is the PAN of track 2, of track 1 when only that came.
"""

from __future__ import annotations

from drivers.events import MediumKind, MediumPresented, MediumUnreadable
from drivers.magstripe.swipe import SwipeCollector, Unreadable
from drivers.magstripe.tracks import Swipe
from drivers.magstripe.wedge import Mark, WedgeDecoder, WedgeLayout

StripeEvent = MediumPresented | MediumUnreadable


class StripeDecoder:
    """One reader at one terminal side. ``lrc_sent``: it types the check character after each track. Times are ms of the driver's clock."""

    def __init__(self, side: int, layout: WedgeLayout, lrc_sent: bool = False) -> None:
        self._side = side
        self._lrc_sent = lrc_sent
        self._wedge = WedgeDecoder(layout)
        self._swipes = SwipeCollector(lrc_sent)

    def feed(self, kind: int, code: int, value: int, now: int) -> list[StripeEvent]:
        """One input event's type, code and value; what ended with it."""
        typed = self._wedge.feed(kind, code, value)
        if typed is Mark.TORN:
            ended = self._swipes.tick(now)
            self._swipes.torn(now)
        elif typed is None:
            return []
        else:
            ended = self._swipes.receive(typed, now)
        return [self._told(one) for one in ended]

    def tick(self, now: int) -> list[StripeEvent]:
        """What ended by a pause."""
        return [self._told(one) for one in self._swipes.tick(now)]

    def next_wakeup(self) -> int | None:
        """When to ask ``tick`` again, None when nothing is under way."""
        return self._swipes.next_wakeup()

    def forget(self) -> None:
        """Start anew: after a reopen."""
        self._wedge.forget()
        self._swipes = SwipeCollector(self._lrc_sent)

    def _told(self, swipe: Swipe | Unreadable) -> StripeEvent:
        if isinstance(swipe, Unreadable):
            return MediumUnreadable(self._side, MediumKind.STRIPE, swipe.fault.value)
        track = swipe.track_2 or swipe.track_1
        if track is None:
            raise ValueError("a swipe has at least one track")
        return MediumPresented(
            self._side,
            MediumKind.STRIPE,
            track.pan,
            expiry=track.expiry,
            service_code=track.service_code,
            discretionary=track.discretionary,
        )
