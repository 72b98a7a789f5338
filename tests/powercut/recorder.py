"""A folder under the journalling file system, for as long as a ``with`` lasts; and the journal that it leaves."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MOUNT_S = 10.0
ROOT = Path(__file__).resolve().parents[2]

Records = list[tuple[Any, ...]]


class NoFuse(Exception):
    """This machine cannot mount the recorder's file system."""


class Recorder:
    """The mounted folder."""

    def __init__(self, folder: Path, journal: Path, server: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.journal = journal
        self._server = server
        self._mark = os.open(folder / ".mark", os.O_WRONLY)
        self._fault = os.open(folder / ".fault", os.O_WRONLY)
        self._handles: tuple[int, ...] = (self._mark, self._fault)

    def mark(self, what: object) -> None:
        """An acknowledgement, in order with everything that was written before it."""
        os.pwrite(self._mark, pickle.dumps(what), 0)

    def fail(self, kind: str, nth: int, number: int, times: int = 1) -> None:
        """The ``nth`` operation of this kind from now on fails with this errno; ``times`` 0: and all behind it."""
        os.pwrite(self._fault, f"{kind} {nth} {number} {times}\n".encode(), 0)

    def hang(self, kind: str, nth: int, ms: int) -> None:
        """The ``nth`` operation of this kind from now on takes so long, and everything behind it waits."""
        os.pwrite(self._fault, f"{kind} {nth} hang {ms}\n".encode(), 0)

    def vanish(self) -> None:
        """The disk is gone for good, also for those who wait for it: they are told so."""
        self._server.kill()
        self._server.wait()

    def heal(self) -> None:
        """Nothing fails any more."""
        os.pwrite(self._fault, b"off\n", 0)

    def close(self) -> None:
        """Let go of the control files. May be called twice.

        Whoever starts processes while the disk hangs must: a child closes what it inherits, and the disk is asked about that.
        """
        handles, self._handles = self._handles, ()
        for handle in handles:
            os.close(handle)


@contextlib.contextmanager
def recording(place: Path, owner: tuple[int, int] | None = None) -> Iterator[Recorder]:
    """Mount below ``place`` (an empty folder), as ``owner``'s (user, group) when one is given; at the end the journal is whole.

    Raises ``NoFuse``.
    """
    backing, mount, journal = place / "disk", place / "mount", place / "journal"
    backing.mkdir()
    mount.mkdir()
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise NoFuse("there is no /dev/fuse that may be used here; power cuts are recorded through it (in a container: --device /dev/fuse)")
    with (place / "log").open("wb") as log:
        command = [sys.executable, "-m", "tests.powercut.journal_fs", str(backing), str(mount), str(journal), *map(str, owner or ())]
        server = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_for(mount, server, place / "log")
        recorder = Recorder(mount, journal, server)
        try:
            yield recorder
        finally:
            recorder.close()
    finally:
        _unmount(mount, server)


def _wait_for(mount: Path, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + MOUNT_S
    while not os.path.ismount(mount):
        if server.poll() is not None or time.monotonic() > until:
            words = log.read_text(errors="replace").strip().splitlines()
            raise NoFuse(f"the recorder's file system cannot be mounted: {words[-1] if words else 'no answer'}")
        time.sleep(0.01)


def _unmount(mount: Path, server: subprocess.Popen[bytes]) -> None:
    if os.path.ismount(mount) or server.poll() is not None:  # of a dead server's nobody can say whether it is mounted
        subprocess.run(["fusermount3", "-u", "-z", str(mount)], check=False, stderr=subprocess.DEVNULL)
    try:
        server.wait(MOUNT_S)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGKILL)
        server.wait()


def read_journal(path: Path) -> Records:
    """Every record, in order."""
    found: Records = []
    with path.open("rb") as file:
        while True:
            try:
                found.append(pickle.load(file))  # noqa: S301 - written by our own file system
            except EOFError:
                return found
