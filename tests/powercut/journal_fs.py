"""A file system that writes down everything that is done to it: ``python -m tests.powercut.journal_fs BACKING MOUNT JOURNAL [UID GID]``.

A pass-through in user space (FUSE by mfusepy). Each change of a file, each sync and each change of a name becomes one record of the
journal, in the order in which the kernel asked for them, whoever asked. What is written to ``MOUNT/.mark`` is a record too and nothing
else: so an acknowledgement stands in the same order as the writes. (Reference hardware-simulation, F.)

A line written to ``MOUNT/.fault`` arms a failure: ``KIND NTH ERRNO TIMES`` (``TIMES`` 0: until ``off``); KIND is write, sync, open, name
or any, and what fails is not done. ``KIND NTH hang MS``: it is done, but only after so many milliseconds, and nothing else meanwhile: a
disk that neither answers nor fails. Whoever waits for it cannot be killed, as with a real one.
"""

from __future__ import annotations

import errno
import os
import pickle
import sys
import time
from typing import Any

from mfusepy import FUSE, FuseOSError, Operations

MARK, FAULT = "/.mark", "/.fault"
CONTROLS = (MARK, FAULT)
_STAT = ("st_mode", "st_nlink", "st_size", "st_ino", "st_uid", "st_gid")
_STATVFS = ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_favail", "f_ffree", "f_files", "f_flag", "f_frsize", "f_namemax")


class _Armed:
    """The failure that is to come."""

    def __init__(self, line: str) -> None:
        kind, nth, number, times = line.split()
        self.kind, self.wait, self.number = kind, int(nth), 0 if number == "hang" else int(number)
        self.hang_s = int(times) / 1000 if number == "hang" else 0.0
        self.left = 1 if self.hang_s else int(times) or None

    def hits(self, kind: str) -> bool:
        """One operation of this kind; does it fail?"""
        if self.kind not in (kind, "any") or self.left == 0:
            return False
        self.wait -= 1
        if self.wait > 0:
            return False
        if self.left is not None:
            self.left -= 1
        return True


class JournalFs(Operations):  # type: ignore[misc]  # the library has no types
    """One thread serves it, so the journal's order is the order of things."""

    use_ns = True

    def __init__(self, backing: str, journal: str) -> None:
        self._backing = backing
        self._journal = open(journal, "ab", buffering=0)  # noqa: SIM115
        self._armed: _Armed | None = None
        self._shared: set[str] = set()  # indexes in shared memory: the kernel writes them when it likes, and no start reads them
        for control in CONTROLS:
            open(backing + control, "wb").close()  # noqa: SIM115

    def _at(self, path: str) -> str:
        return self._backing + path

    def _note(self, kind: str, *record: object) -> None:
        if record[0] not in self._shared and not (isinstance(record[0], str) and record[0].endswith("-shm")):
            self._journal.write(pickle.dumps((kind, *record)))

    def _may(self, kind: str, path: str) -> None:
        """Count the operation, and fail it when it is its turn."""
        if path not in CONTROLS and self._armed is not None and self._armed.hits(kind):
            if self._armed.hang_s:
                self._note("hung", kind, path)
                time.sleep(self._armed.hang_s)
                return
            self._note("failed", kind, path)
            raise FuseOSError(self._armed.number)

    # --- looking --------------------------------------------------------------------------------------------------------------

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        """See ``mfusepy.Operations``, as all below."""
        found = os.lstat(self._at(path))
        times = {"st_mtime": found.st_mtime_ns, "st_ctime": found.st_ctime_ns, "st_atime": found.st_atime_ns}
        return {name: getattr(found, name) for name in _STAT} | times

    def readdir(self, path: str, fh: int) -> list[str]:
        """See there. The two control files are not for those who list a directory."""
        return [".", "..", *(name for name in os.listdir(self._at(path)) if f"/{name}" not in CONTROLS)]

    def statfs(self, path: str) -> dict[str, int]:
        """See there."""
        found = os.statvfs(self._at(path))
        return {name: getattr(found, name) for name in _STATVFS}

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """See there."""
        return os.pread(fh, size, offset)

    # --- changing -------------------------------------------------------------------------------------------------------------

    def open(self, path: str, flags: int) -> int:
        """See there. Where a file ends is the kernel's to say: it sends the offset of every write."""
        self._may("open", path)
        if path not in CONTROLS:
            self._note("open", path)
        handle = os.open(self._at(path), (flags | (os.O_RDWR if flags & os.O_WRONLY else 0)) & ~(os.O_APPEND | os.O_WRONLY))
        if flags & os.O_TRUNC and path not in CONTROLS:
            self._note("trunc", path, 0)
        return handle

    def create(self, path: str, mode: int, fi: object = None) -> int:
        """See there."""
        self._may("open", path)
        handle = os.open(self._at(path), os.O_RDWR | os.O_CREAT, mode)
        self._note("create", path)
        return handle

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        """See there; the control files are not files."""
        if path == MARK:
            self._note("mark", pickle.loads(data))  # noqa: S301 - our own words
            return len(data)
        if path == FAULT:
            line = data.decode().strip()
            self._armed = None if line == "off" else _Armed(line)
            return len(data)
        if not path.endswith("-shm"):
            self._may("write", path)
        self._note("write", path, offset, bytes(data))
        return os.pwrite(fh, data, offset)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        """See there."""
        if path in CONTROLS:
            return 0
        self._may("write", path)
        self._note("trunc", path, length)
        os.truncate(self._at(path), length)
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        """See there."""
        self._may("sync", path)
        self._note("fsync", path)
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        """See there."""
        self._may("sync", path)
        self._note("fsyncdir", path)
        return 0

    def unlink(self, path: str) -> int:
        """See there."""
        self._may("name", path)
        self._note("unlink", path)
        os.unlink(self._at(path))
        return 0

    def rename(self, old: str, new: str, flags: int = 0) -> int:
        """See there."""
        if flags:
            raise FuseOSError(errno.EINVAL)
        self._may("name", old)
        self._note("rename", old, new)
        if old.endswith("-shm"):
            self._shared.add(new)  # the name that the library gives to a file that is deleted and still open
        os.rename(self._at(old), self._at(new))
        return 0

    def mkdir(self, path: str, mode: int) -> int:
        """See there. A folder is there as soon as it is made: the store makes none of its own while it works."""
        self._may("name", path)
        os.mkdir(self._at(path), mode)
        return 0

    def rmdir(self, path: str) -> int:
        """See there."""
        os.rmdir(self._at(path))
        return 0

    def release(self, path: str, fh: int) -> int:
        """See there."""
        os.close(fh)
        return 0

    def flush(self, path: str, fh: int) -> int:
        """See there."""
        return 0

    def utimens(self, path: str, times: object = None) -> int:
        """See there."""
        return 0

    def chmod(self, path: str, mode: int) -> int:
        """See there."""
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        """See there."""
        return 0


if __name__ == "__main__":
    # Everything belongs to this user and group, and not to root alone: for a service that is not root.
    owner = {"allow_other": True, "uid": int(sys.argv[4]), "gid": int(sys.argv[5])} if len(sys.argv) > 4 else {}
    FUSE(JournalFs(sys.argv[1], sys.argv[3]), sys.argv[2], foreground=True, nothreads=True, default_permissions=True, **owner)
