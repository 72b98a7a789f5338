"""An ext4 on a disk whose every write and flush is recorded, mounted by this machine's own kernel.

QEMU's storage daemon shows a disk image as a file (FUSE) through its ``blklogwrites`` filter; the kernel makes a disk of that file (loop)
and mounts it. A flush of the disk reaches the log as one: loop makes it fsync, FUSE hands that on, the daemon flushes its image. Source:
qemu-storage-daemon(1), Linux drivers/block/loop.c (lo_req_flush); the log: ``write_log``.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from pathlib import Path

from tests.machine.write_log import Entry, entries
from tests.rig.process import _die_with_parent, wait_for

MIB = 64
PATIENCE_S = 20.0


class DiskFailed(AssertionError):
    """The disk cannot be made or mounted here; the text says why."""


class LoggedDisk:
    """``files`` is where it is mounted, ``base`` what was on it before the first recorded request, ``log`` the record."""

    def __init__(self, folder: Path) -> None:
        """Make, show and mount it. Raises DiskFailed."""
        self.base, self.log, self.files = folder / "base.img", folder / "log.img", folder / "files"
        self._shown = folder / "disk.img"
        self._image = folder / "image.img"
        with self._image.open("wb") as file:
            file.truncate(MIB << 20)
        _run("mke2fs", "-q", "-t", "ext4", str(self._image))
        shutil.copyfile(self._image, self.base)
        self.log.touch()
        self._shown.touch()
        self.files.mkdir()
        command = ["qemu-storage-daemon", "--blockdev", f"driver=file,node-name=image,filename={self._image}"]
        command += ["--blockdev", f"driver=file,node-name=record,filename={self.log}"]
        command += ["--blockdev", "driver=blklogwrites,node-name=disk,file=image,log=record"]
        command += ["--export", f"type=fuse,id=shown,node-name=disk,mountpoint={self._shown},writable=on"]
        self._daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent)  # noqa: PLW1509 - nothing here runs threads
        try:
            if not wait_for(lambda: self._shown.stat().st_size == MIB << 20, PATIENCE_S):
                raise DiskFailed("qemu-storage-daemon does not show the disk")
            _run("mount", "-t", "ext4", "-o", "loop,noatime,errors=remount-ro", str(self._shown), str(self.files))
        except BaseException:
            self.close()
            raise

    def requests(self) -> list[Entry]:
        """Everything that it was asked so far."""
        return entries(self.log)

    def close(self) -> None:
        """Take it down. Safe to call twice."""
        subprocess.run(["umount", "-l", str(self.files)], capture_output=True, check=False)
        self._daemon.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._daemon.wait(10)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DiskFailed(f"{' '.join(command)}: {done.stderr.strip()}")
