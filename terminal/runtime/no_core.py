"""No core file of this process, whoever allows them: its memory has PINs and keys. Systemd forbids them to the unit; this holds anywhere.

Not dumpable also means that no other process of the same user may look into this one. (reference security-and-reliability 1.3.)
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource

LOG = logging.getLogger("terminal")
_PR_SET_DUMPABLE = 4


def forbid_core_files() -> None:
    """For this process and what it starts. A kernel that refuses is told in the log; the limit of no bytes holds all the same."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        LOG.warning("event=Dumpable why=%r", os.strerror(ctypes.get_errno()))
