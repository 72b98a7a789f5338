"""Backups of the ledger: made every hour by a process of their own, examined before they count, and put in place whole.

The ledger has one connection and never a second one (reference security-and-reliability 5.2: SQLite's WAL-reset race needs two). So a
backup is made without SQLite: while the log is not folded the file does not change and the log only grows, and a copy of both is a ledger
as a power cut would have left it. The core only says that nothing is to be folded meanwhile; its commits do not wait. The process
(``python -m terminal.store.backup``) copies, lets SQLite fold the copy's log, examines it as ``terminal verify`` does, and renames it.
It must be another process: closing the source of a copy takes the ledger's locks away from the process that holds them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess  # noqa: S404 - starts this very module, with a fixed command line
import sys
from contextlib import closing
from pathlib import Path

from terminal.store.integrity import Severity, verify
from terminal.store.ledger import Ledger, LedgerError
from terminal.store.log_repair import HEADER, examine_log

NEWEST, OLDER = "ledger-backup.db", "ledger-backup-older.db"
FINDING = 3
"""The process's exit code when the ledger's copy is not sound."""


def backups_of(folder: Path) -> tuple[Path, ...]:
    """The backups that are there, newest first."""
    return tuple(folder / name for name in (NEWEST, OLDER) if (folder / name).is_file())


def make(source: Path, folder: Path) -> str | None:
    """Make a backup of the ledger, whose log is not being folded. Returns what is wrong with the ledger, None when it was sound.

    Raises ``OSError``, ``sqlite3.Error`` and ``LedgerError`` when the backup cannot be made; the ones before it are as they were then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / "ledger-backup.part"
    log, log_part = source.with_name(f"{source.name}-wal"), part.with_name(f"{part.name}-wal")
    try:
        shutil.copyfile(source, part)
        if log.exists():
            _copy_log(log, log_part)
            report = examine_log(log_part.read_bytes())
            if report.flipped or report.broken is not None:
                return report.broken or "bits of its log were flipped"
        with closing(sqlite3.connect(part, isolation_level=None)) as db:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("PRAGMA journal_mode = DELETE").fetchone()
        found = next((one for one in verify(part).findings if one.severity is Severity.ERROR), None)
        if found is not None:
            return f"{found.where}: {found.what}"
        _sync(part)
        if (folder / NEWEST).exists():
            os.replace(folder / NEWEST, folder / OLDER)
        os.replace(part, folder / NEWEST)
        _sync(folder)
        return None
    finally:
        for left in (part, log_part, part.with_name(f"{part.name}-journal"), part.with_name(f"{part.name}-shm")):
            left.unlink(missing_ok=True)


class BackupKeeper:
    """Has a backup made when one is due. All on the core's thread; none of it waits."""

    def __init__(self, ledger: Ledger, folder: Path, every_ms: int, now: int) -> None:
        """``now`` and ``every_ms`` in milliseconds; the first backup is made at once where there is none, or the newest was dropped."""
        self._ledger = ledger
        self._folder = folder
        self._every_ms = every_ms
        self._due = now + every_ms if (folder / NEWEST).is_file() else now
        self._child: subprocess.Popen[bytes] | None = None

    def look(self, now: int) -> tuple[bool, str] | None:
        """Start one that is due. Of one that has ended: is the ledger damaged, and why is there no backup ("": there is one)."""
        if self._child is None:
            if now >= self._due:
                self._due = now + self._every_ms
                return self._start()
            return None
        if self._child.poll() is None:
            return None
        return self._ended(self._child)

    def _start(self) -> tuple[bool, str] | None:
        root = str(Path(__file__).resolve().parents[2])
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}
        self._ledger.hold_folding(True)
        command = [sys.executable, "-m", "terminal.store.backup", str(self._ledger.path), str(self._folder)]
        try:
            self._child = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment)  # noqa: S603
        except OSError as error:
            self._ledger.hold_folding(False)
            return False, f"the backup cannot be started: {error.strerror}"
        return None

    def _ended(self, child: subprocess.Popen[bytes]) -> tuple[bool, str]:
        self._child = None
        self._ledger.hold_folding(False)
        words = child.communicate()[0].decode(errors="replace").strip()[:2_000]
        if child.returncode == 0:
            return False, ""
        return child.returncode == FINDING, words or f"the backup ended with {child.returncode}"

    def stop(self) -> None:
        """End the one under way; the backups before it stay."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None


def _copy_log(log: Path, copy: Path) -> None:
    """A log that begins afresh while it is copied would be a mixture: then once more. Between two foldings it begins afresh only once."""
    while True:
        before = _log_header(log)
        shutil.copyfile(log, copy)
        if _log_header(log) == before == _log_header(copy):
            return


def _log_header(log: Path) -> bytes:
    with log.open("rb") as file:
        return file.read(HEADER)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def main(arguments: list[str]) -> int:
    """``SOURCE FOLDER``. 0: there is a new backup; 3: the ledger is not sound; 1: it could not be made. Standard output says why."""
    with contextlib.suppress(OSError):
        os.nice(19)
    try:
        found = make(Path(arguments[0]), Path(arguments[1]))
    except (OSError, sqlite3.Error, LedgerError) as error:
        sys.stdout.write(f"{error}\n")
        return 1
    if found is not None:
        sys.stdout.write(f"{found}\n")
        return FINDING
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
