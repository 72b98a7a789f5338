"""The folder of the backups may be on a disk that is dead, not mounted, or full: that costs backups, never the ledger's service."""

from __future__ import annotations

import errno
import logging
import os
import tempfile
from pathlib import Path

LOG = logging.getLogger("terminal")


def is_there(path: Path) -> bool:
    """Is there such a file? A folder that answers with an error (``EACCES``, ``EIO``, ``ESTALE``) is told in the log, and has none."""
    try:
        return path.is_file()
    except OSError as error:
        LOG.error("event=BackupUnreadable path=%r why=%r", str(path), error.strerror)
        return False


def unsearchable(path: Path) -> str:
    """Why it cannot be told whether there is such a file; "" when it can."""
    try:
        path.stat()
    except OSError as error:
        return "" if error.errno in (errno.ENOENT, errno.ENOTDIR) else f"{path}: {error.strerror}"
    return ""


def not_writable(folder: Path) -> str:
    """Why this process cannot write into a folder that is there; "" when it can, or the folder is still to be made."""
    try:
        if folder.exists():
            with tempfile.TemporaryFile(dir=folder):
                pass
    except OSError as error:
        return f"{folder}: {error.strerror}"
    return ""


def no_room(source: Path, folder: Path, reserve_bytes: int) -> str:
    """Why no backup of this ledger may be begun in this folder; "" when one may.

    Room for the file, twice its log (as it is, and folded) and the reserve that new sales need, which may be on the same disk. Raises
    ``OSError``.
    """
    log = source.with_name(f"{source.name}-wal")
    needed = source.stat().st_size + (2 * log.stat().st_size if log.exists() else 0) + reserve_bytes
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    return "" if free >= needed else f"no room for a backup: {free >> 20} MiB free, {(needed >> 20) + 1} MiB needed"
