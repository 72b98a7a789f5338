"""Room on the ledger's disk: a reserve below which nothing new is sold, and a ballast that is given up so that what runs is recorded.

The reserve is only a threshold: another program may take it between a release and the end of the fill. The ballast is a file of our own,
written and synced beforehand. When a write fails because the disk is full it is deleted, and the ledger goes on in its place; as long as it
cannot be made again nothing new is sold. While a sale is open nothing else takes it: what fills the disk may go on, and would have what is
given too early before the fill ends. (features.md F57; reference security-and-reliability 5.2, Disk full.)
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

BALLAST = "ballast.bin"
BALLAST_BYTES = 2 << 20
"""A log that was not folded yet (0.8 MiB) twice over: what open sales and their bookkeeping need at most."""
FULL_BYTES = 1 << 20
"""With less than this free a failed write is put down to a full disk."""
LAST_BYTES = 1 << 16
_PIECE_BYTES = 1 << 16


class DiskRoom:
    """``core.ports.Storage`` for a directory."""

    def __init__(self, directory: Path, reserve_bytes: int, *, own_disk: bool = False) -> None:
        """``reserve_bytes``: free space, ballast not counted, that a new sale needs.

        ``own_disk``: the directory is meant to be on another disk than the root.
        """
        self._directory = directory
        self.reserve_bytes = reserve_bytes
        self._own_disk = own_disk
        self._ballast = directory / BALLAST
        self.in_use: Callable[[], bool] = lambda: False
        """Is a sale open, which is still to be recorded?"""

    def missing(self) -> str | None:
        """Why this is not the disk that it should be; None when it is."""
        if not self._own_disk:
            return None
        try:
            same = self._directory.stat().st_dev == os.stat("/").st_dev
        except OSError as error:
            return f"{self._directory}: {error.strerror}"
        return f"{self._directory}: its disk is not mounted" if same else None

    def ready(self) -> bool:
        """Room for one more sale to its end, on a disk that may be written. Makes the ballast when it is not there; gives it up on a disk
        that is full to the last, so that this can be told, unless a sale is open."""
        try:
            found = os.statvfs(self._directory)
        except OSError:
            return False
        free = found.f_bavail * found.f_frsize
        if free < LAST_BYTES and not self.in_use():
            self.give()
        if found.f_flag & os.ST_RDONLY or free < self.reserve_bytes:
            return False
        return self._has_ballast() or self._make()

    def keeps(self) -> bool:
        """The disk is full to the last, and the ballast is kept for a sale that is open: what can wait is not to be written now."""
        try:
            found = os.statvfs(self._directory)
        except OSError:
            return False
        return found.f_bavail * found.f_frsize < LAST_BYTES and self.in_use() and self._has_ballast()

    def low(self) -> str:
        """Why there is no room for a new sale; "" when there is."""
        if self.ready():
            return ""
        try:
            found = os.statvfs(self._directory)
        except OSError as error:
            return f"{self._directory}: {error.strerror}"
        free = found.f_bavail * found.f_frsize
        return f"{free >> 20} MiB free in {self._directory}; new sales need {self.reserve_bytes >> 20} MiB and the ballast"

    def give(self) -> bool:
        """The disk is full: delete the ballast. False when there is none, or when the disk has room and something else is wrong."""
        try:
            found = os.statvfs(self._directory)
            if found.f_bavail * found.f_frsize >= FULL_BYTES:
                return False
            self._ballast.unlink()
        except OSError:
            return False
        return True

    def _has_ballast(self) -> bool:
        try:
            return self._ballast.stat().st_size >= BALLAST_BYTES
        except OSError:
            return False

    def _make(self) -> bool:
        """Written and not only reserved: a sparse file, or one that a compressing disk made small, would give nothing back."""
        try:
            handle = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                for _ in range(BALLAST_BYTES // _PIECE_BYTES):
                    if os.write(handle, os.urandom(_PIECE_BYTES)) != _PIECE_BYTES:
                        raise OSError("cut short")
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError:
            with contextlib.suppress(OSError):
                self._ballast.unlink()
            return False
        return True
