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
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from terminal.store import retention
from terminal.store.anchor import AnchorError
from terminal.store.at_rest import reading
from terminal.store.background import give_way
from terminal.store.backup_folder import is_there, no_room
from terminal.store.integrity import Severity, verify
from terminal.store.ledger import Ledger, LedgerError
from terminal.store.ledger_key import LedgerKey
from terminal.store.log_repair import HEADER, examine_log
from terminal.store.sqlite_kind import connect, keep_ledgers, ledger_key

NEWEST, OLDER, PART = "ledger-backup.db", "ledger-backup-older.db", "ledger-backup.part"
LATE_MS = 30 * 60_000
"""A backup that has not ended then hangs, and is killed: while one is made the log is not folded, and only grows."""
FIRST_MS = 10 * 60_000
"""A terminal that never runs as long as the interval (a site whose power fails) still makes backups."""
REAP_S = 2.0
FINDING = 3
"""The process's exit code when the ledger's copy is not sound."""
ENCRYPTED = "encrypted"
KEEP = "keep-months="
RESERVE = "reserve-bytes="


def backups_of(folder: Path) -> tuple[Path, ...]:
    """The backups that are there, newest first."""
    return tuple(folder / name for name in (NEWEST, OLDER) if is_there(folder / name))


def make(source: Path, folder: Path, reserve_bytes: int = 0) -> str | None:
    """Make a backup of the ledger, whose log is not being folded. Returns what is wrong with the ledger, None when it was sound.

    ``reserve_bytes``: what must stay free on the folder's disk meanwhile.
    Raises ``OSError``, ``sqlite3.Error`` and ``LedgerError`` when the backup cannot be made; the ones before it are as they were then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / PART
    log, log_part = source.with_name(f"{source.name}-wal"), part.with_name(f"{part.name}-wal")
    _clear(part)  # of one that was killed: SQLite would take its journal for this one's
    full = no_room(source, folder, reserve_bytes)
    if full:
        raise OSError(full)
    try:
        shutil.copyfile(source, part)
        if log.exists():
            _copy_log(log, log_part)
            report = examine_log(log_part.read_bytes())
            if report.torn and report.mended is not None:
                log_part.write_bytes(report.mended)
            elif report.flipped or report.broken is not None:
                return report.broken or "bits of its log were flipped"
        with closing(connect(part)) as db:
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
        _clear(part)


class BackupKeeper:
    """Has a backup made when one is due. All on the core's thread; none of it waits."""

    def __init__(self, ledger: Ledger, folder: Path, every_ms: int, now: int) -> None:
        """``now`` and ``every_ms`` in milliseconds.

        The first backup is made at once where there is none, or the newest was dropped; else soon, and then every interval.
        """
        self._ledger = ledger
        self._folder = folder
        self._every_ms = every_ms
        self.keep_months = 0
        """Rows older than that may be pruned: the process says which (retention.py); 0: it does not."""
        self.reserve_bytes = 0
        """What must stay free where the backup is made."""
        self._due = now + min(every_ms, FIRST_MS) if is_there(folder / NEWEST) else now
        self._late = 0
        self._killed = False
        self._child: subprocess.Popen[bytes] | None = None

    def look(self, now: int) -> tuple[bool, str] | None:
        """Start one that is due. Of one that has ended: is the ledger damaged, and why is there no backup ("": there is one)."""
        child = self._child
        if child is None:
            if now >= self._due:
                self._due, self._late = now + self._every_ms, now + LATE_MS
                return self._start()
            return None
        if child.poll() is not None:
            return self._ended(child)
        if now >= self._late and not self._killed:
            return self._give_up(child)
        return None

    def _start(self) -> tuple[bool, str] | None:
        root = str(Path(__file__).resolve().parents[2])
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}
        self._ledger.hold_folding(True)
        key = ledger_key()
        command = [sys.executable, "-m", "terminal.store.backup", str(self._ledger.path), str(self._folder)]
        command += [f"{KEEP}{self.keep_months}"] if self.keep_months else []
        command += [f"{RESERVE}{self.reserve_bytes}"] if self.reserve_bytes else []
        try:
            with _piped(b"" if key is None else key.content()) as stdin:
                command += [] if key is None else [ENCRYPTED]
                self._child = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=stdin, env=environment)  # noqa: S603
        except OSError as error:
            self._ledger.hold_folding(False)
            return False, f"the backup cannot be started: {error.strerror}"
        return None

    def _give_up(self, child: subprocess.Popen[bytes]) -> tuple[bool, str]:
        """It hangs. One that hangs in its disk is not gone by this, but does nothing more; until it is gone there is no other one."""
        child.kill()
        self._killed = True
        self._ledger.hold_folding(False)
        return False, f"the backup did not end within {LATE_MS // 60_000} minutes and was killed"

    def _ended(self, child: subprocess.Popen[bytes]) -> tuple[bool, str] | None:
        self._child = None
        if self._killed:
            self._killed = False
            child.communicate()
            return None  # was told when it was killed
        self._ledger.hold_folding(False)
        words = child.communicate()[0].decode(errors="replace").strip()[:2_000]
        if child.returncode == 0:
            return False, ""
        return child.returncode == FINDING, words or f"the backup ended with {child.returncode}"

    @property
    def under_way(self) -> bool:
        """Is one being made?"""
        return self._child is not None

    def stop(self) -> None:
        """End the one under way; the backups before it stay."""
        if self._child is not None:
            self._child.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):  # hangs in its disk: the program's end does not wait for that
                self._child.communicate(timeout=REAP_S)
            self._child = None


@contextlib.contextmanager
def _piped(content: bytes) -> Iterator[int]:
    """A pipe's end with these few bytes to be read from it, which nobody else can see as they would an argument or the environment."""
    reading, writing = os.pipe()
    try:
        os.write(writing, content)
        os.close(writing)
        yield reading
    finally:
        os.close(reading)


def _clear(part: Path) -> None:
    for name in (part.name, f"{part.name}-wal", f"{part.name}-journal", f"{part.name}-shm"):
        part.with_name(name).unlink(missing_ok=True)


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


def _propose(folder: Path, months: int) -> None:
    """The backup is made whatever comes of this; what may be pruned may be so an hour later too."""
    never = (OSError, sqlite3.Error, LedgerError, AnchorError, ValueError, OverflowError)  # the last two: a time that is in no calendar
    with contextlib.suppress(*never), reading(folder / NEWEST) as db:
        retention.write(retention.propose(db, months), folder)


def main(arguments: list[str]) -> int:
    """``SOURCE FOLDER``, and ``encrypted`` when standard input has the ledger's key.

    0: there is a new backup; 3: the ledger is not sound; 1: it could not be made. Standard output says why.
    """
    give_way()
    try:
        if ENCRYPTED in arguments[2:]:
            keep_ledgers(LedgerKey(sys.stdin.buffer.read()))
        reserve = sum(int(one.removeprefix(RESERVE)) for one in arguments[2:] if one.startswith(RESERVE))
        found = make(Path(arguments[0]), Path(arguments[1]), reserve)
    except (OSError, ValueError, sqlite3.Error, LedgerError) as error:
        sys.stdout.write(f"{error}\n")
        return 1
    if found is not None:
        sys.stdout.write(f"{found}\n")
        return FINDING
    for months in (one.removeprefix(KEEP) for one in arguments[2:] if one.startswith(KEEP)):
        _propose(Path(arguments[1]), int(months))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
