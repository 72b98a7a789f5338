"""The core's thread: deadlines, inbox, step, watchdog. Ends when asked to, or when the ledger cannot be written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from terminal.core.units import Instant
from terminal.runtime.clock import Clock
from terminal.runtime.engine import Engine
from terminal.runtime.inbox import Inbox
from terminal.runtime.watchdog import Notifier

IDLE_MS = 250
"""The longest nap: the status file and the service manager are told so often, also when nothing happens."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Posted when the process is asked to end."""


def run(engine: Engine, inbox: Inbox, clock: Clock, notifier: Notifier, after_step: Callable[[Instant], None]) -> None:
    """Serve until ``Shutdown``. ``after_step`` is called between steps. Raises ``StorageFailed`` and ``InboxOverflow``.

    Deadlines and events are handled in the order of their instants: what came in time was in time, however long the step before took.
    """
    while True:
        now = clock.instant()
        while engine.fire_due(_until(inbox, now)):
            now = clock.instant()
        notifier.feed(now)
        after_step(now)
        due = engine.deadlines.next_due()
        idle = min(IDLE_MS, notifier.interval_ms or IDLE_MS)
        item = inbox.take(idle if due is None else max(0, min(idle, due - now)))
        if item is None:
            continue
        if isinstance(item.event, Shutdown):
            engine.close(clock.instant())
            return
        engine.step(item.event, item.at)


def _until(inbox: Inbox, now: Instant) -> Instant:
    oldest = inbox.oldest()
    return now if oldest is None else min(now, oldest)
