"""What a process does that works for the terminal in the background: it gives way, in time and in memory.

The service and its children share one bound of memory (``MemoryMax=`` of the unit). When it is met, the kernel is to end the import or the
backup, which is made again later, and not the core.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

FIRST_TO_GO = 1_000
_OWN = Path("/proc/self/oom_score_adj")


def give_way() -> None:
    """Last in line for the processor, first to be ended when memory runs out. A kernel that refuses either changes nothing else."""
    with contextlib.suppress(OSError):
        os.nice(19)
    with contextlib.suppress(OSError):
        _OWN.write_text(f"{FIRST_TO_GO}", "ascii")
