"""Hardware does not wait for this machine's processor: the process that stands for it goes before those that are no hardware.

A PN532, a stripe reader and a pump answer in their own time whatever the terminal's machine is busy with. Their emulators are one process,
and on a busy machine its turn comes late, once for each exchange; the terminal then counts that wait as the device's silence. What the
terminal itself loses on a busy machine stays as it is: its processes keep their priority.
"""

from __future__ import annotations

import os

HARDWARE_NICENESS = -15
"""Before every ordinary process, behind what the system itself needs."""


def as_hardware() -> bool:
    """Give this process, and all threads and children that it starts from now on, its priority. False where it may not (it is not root)."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, HARDWARE_NICENESS)
    except PermissionError:
        return False
    return True
