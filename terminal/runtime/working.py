"""Signs of life for the service manager while the ledger is examined or made anew, which may take longer than any of its deadlines.

Sent by a thread of its own for as long as the one that works does work, told by its processor time: a disk that hangs stops that clock, and
after some patience (a big file's sync) nothing is sent any more, so that the manager's deadlines hold. Nor does work without end count as
work: no ledger that fits its disk takes an hour. (sd_notify(3), EXTEND_TIMEOUT_USEC.)
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from terminal.runtime.clock import own_work
from terminal.runtime.watchdog import Notifier

EVERY_S = 2.0
PATIENCE_S = 60.0
"""So long its processor time may stand still: a card of the slow kind syncs hundreds of MiB in that."""

LONGEST_S = 3_600.0


@contextmanager
def while_working(
    notifier: Notifier, every_s: float = EVERY_S, patience_s: float = PATIENCE_S, longest_s: float = LONGEST_S
) -> Iterator[None]:
    """Tell the service manager that the caller's thread works, for as long as it does. Seconds."""
    work = own_work()
    done = threading.Event()

    def tell() -> None:
        spent, still_s, all_s = work(), 0.0, 0.0
        while all_s < longest_s and not done.wait(every_s):
            all_s += every_s
            before, spent = spent, work()
            still_s = 0.0 if spent > before else still_s + every_s
            if still_s <= patience_s:
                notifier.working()

    thread = threading.Thread(target=tell, name="ledger-examined", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
