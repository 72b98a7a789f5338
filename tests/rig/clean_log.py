"""What stands in a program's log although nobody expects it there: a death, a bug in a thread, an exception that somebody swallowed.

``terminal/runtime/logs.py`` prints no traceback, ever; so the lines are known by the words that it and the threads' tops use instead. A
device that is lost is told in the same way as a bug of its driver; the kind of the exception tells them apart: our own faults and the
operating system's are the device's, Python's own are ours.
"""

from __future__ import annotations

import builtins
import re

MARKS = (
    "event=Died",  # the program's last words (logs.py)
    "unexpected way",  # the tops of the host's threads (workers.py, push.py)
    "event=OrdersDeaf",
    "event=Unwritable",
    "Traceback",  # what went round the log: before it began, or from a library's own thread
    "Exception ignored",
    "Fatal Python error",
)
_ERROR = re.compile(r"(?P<device>\S+ failed )?error=(?P<kind>\w+) at=")
_NAMELESS = {"error", "Error"}
"""``struct.error`` and ``binascii.Error``: bytes that nobody had looked at."""


def unexpected(log: str) -> list[str]:
    """The lines of a bug, without those of a device that was lost."""
    return [line for line in log.splitlines() if any(mark in line for mark in MARKS) or _is_bug(line)]


def _is_bug(line: str) -> bool:
    return any(not found["device"] or _is_ours(found["kind"]) for found in _ERROR.finditer(line))


def _is_ours(kind: str) -> bool:
    known = getattr(builtins, kind, None)
    return kind in _NAMELESS or (isinstance(known, type) and issubclass(known, Exception) and not issubclass(known, OSError))
