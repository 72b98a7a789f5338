"""Where every thread puts what it has heard. Bounded; live readings coalesce, facts are never dropped; posting never blocks."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from drivers.events import FillProgressed
from terminal.core.units import Instant
from terminal.runtime.clock import Clock

CAPACITY = 10_000
ROOM = 1_000
"""With more than these waiting, who can leave his news where it is (the host's stream) shall wait."""


class InboxOverflow(Exception):
    """Facts came faster than they could be handled for a long time: the program starts again and asks the pumps."""


@dataclass(slots=True)
class Stamped:
    """An event with the instant at which it entered the inbox."""

    event: object
    at: Instant


class Inbox:
    """Many threads post, one takes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._items: deque[Stamped] = deque()
        self._live: dict[int, Stamped] = {}
        self._overflow = False
        self._ready = threading.Condition()

    def post(self, event: object) -> None:
        """Put an event in, stamped now. A newer reading of a running fill replaces an older one that nobody has taken yet.

        It takes the older one's place and stamp: stamps never go back from one event to the next. Any thread, and a signal handler too:
        the lock is re-entrant.
        """
        with self._ready:
            at = self._clock.instant()
            if isinstance(event, FillProgressed):
                waiting = self._live.get(event.fp)
                if waiting is not None:
                    waiting.event = event
                    return
                item = Stamped(event, at)
                self._live[event.fp] = item
            else:
                item = Stamped(event, at)
                # What comes behind another fact of the same point must not overtake it.
                fp = getattr(event, "fp", None)
                if fp is not None:
                    self._live.pop(fp, None)
            if len(self._items) < CAPACITY:
                self._items.append(item)
            elif isinstance(event, FillProgressed):
                del self._live[event.fp]  # the next reading says the same and more
            else:
                self._overflow = True
            self._ready.notify()

    def take(self, timeout_ms: int) -> Stamped | None:
        """The oldest event; None when none came in time. Raises ``InboxOverflow``."""
        with self._ready:
            if not self._items and timeout_ms > 0:
                self._ready.wait(timeout_ms / 1000)
            if self._overflow:
                raise InboxOverflow(f"more than {CAPACITY} events waited")
            if not self._items:
                return None
            item = self._items.popleft()
            if isinstance(item.event, FillProgressed) and self._live.get(item.event.fp) is item:
                del self._live[item.event.fp]
            return item

    def oldest(self) -> Instant | None:
        """The stamp of the event that is taken next; None when none waits."""
        with self._ready:
            return self._items[0].at if self._items else None

    def room(self) -> bool:
        """Few enough wait that more may be fetched from where nothing is lost by waiting. Any thread."""
        return len(self._items) <= ROOM

    def __len__(self) -> int:
        return len(self._items)
