"""The one place where the program opens its ledger: examined first, and made anew when it is damaged.

A damaged ledger is kept aside, never written to again. What was saved of it serves on, with one fault that says what happened: without a
loss a warning, with a loss only the host decides until its people have confirmed the ledger. A loss begins a new epoch of sale ids, because
ids of the lost sales may be in the host's books. (features.md F57; reference security-and-reliability 5.2.)
"""

from __future__ import annotations

import filecmp
import logging
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from terminal.core.faults import FaultCode
from terminal.core.records import FaultRaised, Record, SaleInDoubt
from terminal.core.returned_record import LEFT_OPEN, first_of
from terminal.core.rollback_mark import LedgerRestored
from terminal.store.backup import NEWEST, OLDER, backups_of
from terminal.store.backup_folder import is_there, unsearchable
from terminal.store.damaged_file import first_bytes_right
from terminal.store.ledger import Ledger, LedgerBusy, LedgerError, Stamp, StorageFailed
from terminal.store.log_repair import examine_log
from terminal.store.salvage import FINISHED, Encode, Salvaged, keep, last_aside, last_epoch, salvage
from terminal.store.schema import MIGRATIONS
from terminal.store.sqlite_kind import connect, refuse_other_kind
from terminal.store.start_check import damage, schema_at, schema_of

LOG = logging.getLogger("terminal")
SUBJECT = "ledger"
_OPEN = "SELECT id FROM sale WHERE state IN ('reserved', 'authorized', 'delivering') ORDER BY sequence"
"""Sales that may have ended in the rows that are lost: what became of them the host must say (core/return_desk.py)."""


class _Damaged(Exception):
    """``gone``: rows are known to be missing. ``kept``: where the files were copied to."""

    def __init__(self, why: str, *, gone: bool = False, kept: Path | None = None) -> None:
        super().__init__(why)
        self.gone = gone
        self.kept = kept


def open_ledger(path: Path, backups: Path, encode: Encode, held: Callable[[Ledger], None] = lambda ledger: None) -> Ledger:
    """The ledger, whole. ``backups``: the folder of its backups; ``encode``: a record for the host as bytes.

    ``held`` is called with the ledger once its lock is ours and it is of a kind that we can use, before it is examined; and with the one
    that was made anew, for which the lock was given back.

    Raises ``LedgerError`` (a person must act; ``LedgerBusy``: another program has it) and ``StorageFailed`` (the disk does not let us).
    """
    try:
        _look(path, backups)
        return _examined(path, backups, held)
    except _Damaged as trouble:
        why = str(trouble)
        _refuse_other_backups(path, backups, trouble)
        salvage(
            path,
            backups_of(backups),
            why,
            encode,
            lambda fresh, saved: _told(fresh, saved, why, last_epoch(path)),
            gone=trouble.gone,
            kept=trouble.kept,
        )
        ledger = Ledger(path)
        held(ledger)
        return ledger


def _examined(path: Path, backups: Path, held: Callable[[Ledger], None]) -> Ledger:
    kept: list[Path] = []
    try:
        ledger = Ledger(path, on_damage=lambda: kept.append(keep(path)))
    except LedgerBusy:
        raise
    except LedgerError as error:
        if kept:
            raise _Damaged(str(error), kept=kept[0]) from error
        raise
    with ExitStack() as unless_whole:
        unless_whole.callback(ledger.close)
        held(ledger)
        with _base(backups) as base:
            found = damage(ledger.connection, base)
            if found is not None and base is not None:
                told, found = found, damage(ledger.connection)
                if found is None:
                    _drop(backups / NEWEST, told)
        if found is not None:
            raise _Damaged(found, kept=keep(path))
        unless_whole.pop_all()
    return ledger


def _look(path: Path, backups: Path) -> None:
    """What must be seen before SQLite opens it: a log that it would cut, a ledger that is gone, a version that would be migrated."""
    log = path.with_name(f"{path.name}-wal")
    _refuse_other_kind(path, log, backups)
    try:
        if not any(part.exists() and part.stat().st_size for part in (path, log)):
            _look_for_another(path, backups)
        report = examine_log(log.read_bytes()) if log.exists() else None
        if report is not None and report.broken is not None:
            raise _Damaged(report.broken, gone=True)
        if report is not None and report.torn and report.mended is not None:
            _put_right(log, report.mended)
        elif report is not None and report.flipped:
            raise _Damaged("bits of its log were flipped")
        if path.exists() and path.stat().st_size and _strange(path, plain=True):
            with tempfile.TemporaryDirectory(prefix=".look-", dir=path.parent) as folder:
                for part in filter(Path.exists, (path, log)):
                    shutil.copyfile(part, Path(folder) / part.name)
                if _strange(Path(folder) / path.name, plain=False):
                    raise _Damaged("its first pages were changed")
    except OSError as error:
        raise StorageFailed(str(error)) from error


def _refuse_other_kind(path: Path, log: Path, backups: Path) -> None:
    """Of a ledger that is gone: is there one of its copies that this configuration can read? Raises ``LedgerError``."""
    aside = last_aside(path)
    copies = (*backups_of(backups), *(() if aside is None else (aside / path.name,)))
    refusal: LedgerError | None = None
    for one in (path,) if path.exists() or log.exists() else copies:
        try:
            refuse_other_kind(one)
            return
        except LedgerError as error:
            refusal = refusal or error
    if refusal is not None:
        raise refusal


def _refuse_other_backups(path: Path, backups: Path, trouble: _Damaged) -> None:
    """Of a damaged ledger: are there backups, and none that it could be made anew from because of their kind? Raises ``LedgerError``.

    A conversion that was cut leaves them so. A person decides, for they may have the very rows that the ledger has lost.
    """
    found = backups_of(backups)
    if not found or any(not _other_kind(one) for one in found):
        return
    if trouble.kept is not None:
        _not_twice(path, trouble.kept)  # the next starts are refused as well, and damaged ones are kept five times only
    raise LedgerError(
        f"{path}: damaged ({trouble}), and its backups are not of its kind, as {found[0]}: one is encrypted and the other is not, or with "
        "another key. Nothing was made anew. Either convert a copy of the backup with a configuration of its own (python -m terminal "
        "ledger encrypt, or decrypt) and put it in the backup's place, or move the backups away: the ledger is made anew without them then"
    ) from trouble


def _not_twice(path: Path, kept: Path) -> None:
    """What was kept aside goes again when it is what still stands there."""
    log = kept / f"{path.name}-wal"
    try:
        if not (log.exists() and log.stat().st_size) and filecmp.cmp(path, kept / path.name, shallow=False):
            shutil.rmtree(kept)
    except OSError as error:
        LOG.warning("event=NotSwept path=%r why=%r", str(kept), error.strerror)


def _other_kind(backup: Path) -> str:
    """Why this configuration cannot read this backup; "" when it is of the ledger's kind, or damaged."""
    try:
        refuse_other_kind(backup)
    except LedgerError as error:
        return str(error)
    return ""


def _put_right(log: Path, mended: bytes) -> None:
    """In place, and only what differs: a power cut leaves the log as it was or as it is to be."""
    LOG.warning("event=LogMended why=%r", "a bit of its last commit was wrong")
    with log.open("r+b", buffering=0) as file:
        for at, (was, should) in enumerate(zip(file.read(), mended, strict=False)):
            if was != should:
                os.pwrite(file.fileno(), bytes([should]), at)
        os.fsync(file.fileno())


def _look_for_another(path: Path, backups: Path) -> None:
    """Of a ledger that is not there: was there one? What was in it behind the others that are here is not known, so it counts as lost."""
    aside = last_aside(path)
    if aside is not None and not (aside / FINISHED).exists():
        raise _Damaged("its restoration was interrupted", gone=True)
    silent = unsearchable(backups / NEWEST) or unsearchable(backups / OLDER)
    if silent:
        raise StorageFailed(f"there is no ledger, and whether there is a backup of one cannot be told: {silent}")
    if backups_of(backups):
        raise _Damaged("the file is gone, and there is a backup of it", gone=True)
    if aside is not None or last_epoch(path):
        raise _Damaged("the file is gone, and it was restored before", gone=True)


def _strange(path: Path, *, plain: bool) -> bool:
    """Is this a ledger whose tables are not those of its version? A newer program's is not strange, nor what was never a ledger.

    ``plain``: of the file alone, which a power cut may have left half folded.
    """
    with path.open("rb") as file:
        head = file.read(100)  # the file may be more than memory
    try:
        with closing(connect(path, "mode=ro&immutable=1" if plain else "mode=rw")) as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            found = schema_of(db)
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        return True
    known = [schema_at(one) for one in range(len(MIGRATIONS) + 1)]
    if found in known[1:]:
        return version > len(MIGRATIONS) or found != known[version] or not first_bytes_right(head)
    return plain and version <= len(MIGRATIONS)


@contextmanager
def _base(backups: Path) -> Iterator[sqlite3.Connection | None]:
    """The newest backup for reading, or none. One of the other kind says nothing of the ledger, and stays."""
    try:
        there = is_there(backups / NEWEST)
        other = _other_kind(backups / NEWEST) if there else ""
        if other:
            LOG.warning("event=BackupOfOtherKind why=%r", other)
        db = connect(backups / NEWEST, "mode=ro&immutable=1") if there and not other else None
    except sqlite3.Error as error:
        LOG.error("event=BackupUnreadable path=%r why=%r", str(backups / NEWEST), str(error))
        db = None
    try:
        yield db
    finally:
        if db is not None:
            db.close()


def _drop(backup: Path, told: str) -> None:
    """The ledger is whole by itself, so what differs is the backup. Without it the keeper makes the next one at once (backup.py)."""
    LOG.error("event=BackupDropped path=%r why=%r", str(backup), told)
    try:
        backup.unlink()
    except OSError as error:
        LOG.error("event=BackupNotDropped why=%r", str(error))


def _told(fresh: Path, found: Salvaged, why: str, marked: int) -> int:
    """Write into the new ledger what has happened. ``marked``: the epoch of an earlier restoration, which backups may not know of.

    Returns the epoch of the sales to come. Raises ``LedgerError`` when the new ledger is not whole.
    """
    ledger = Ledger(fresh)
    try:
        db = ledger.connection
        still = damage(db)
        if still is not None:
            raise LedgerError(f"damaged ({why}), and what was made of it is not whole ({still}); it is kept in {found.aside}")
        (epoch, last) = db.execute("SELECT coalesce(max(epoch), 1), coalesce(max(sequence), 0) FROM sale").fetchone()
        (utc, clock) = db.execute("SELECT utc, clock FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
        epoch = max(epoch, *(int(value) for (value,) in db.execute("SELECT value FROM meta WHERE name = 'epoch'")), 1)
        if found.lost:
            epoch = max(epoch, marked) + 1
        first = first_of(epoch, last) if found.lost else last + 1
        code = FaultCode.STORAGE_DAMAGED if found.lost else FaultCode.LEDGER_RESTORED
        detail = f"{why}; {found.rows} rows saved" + (", newer ones are lost" if found.lost else ", nothing lost")
        if found.messages_lost:
            detail += f"; {len(found.messages_lost)} messages to the host are gone, the first is {found.messages_lost[0]}"
        records: list[Record] = [LedgerRestored(why, found.rows, found.lost, epoch, first, found.messages_lost)]
        records += [SaleInDoubt(sale, LEFT_OPEN) for (sale,) in db.execute(_OPEN)] if found.lost else []
        active = {code for (code,) in db.execute("SELECT code FROM fault WHERE subject = ?", (SUBJECT,))}
        if code.value not in active:
            records.append(FaultRaised(code.value, SUBJECT, detail))
        ledger.commit(Stamp(utc, clock), records, [])
    finally:
        ledger.close()
    return int(epoch)
