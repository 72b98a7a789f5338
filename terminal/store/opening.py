"""The one place where the program opens its ledger: examined first, and made anew when it is damaged.

A damaged ledger is kept aside, never written to again. What was saved of it serves on, with one fault that says what happened: without a
loss a warning, with a loss only the host decides until its people have confirmed the ledger. A loss begins a new epoch of sale ids, because
ids of the lost sales may be in the host's books. (features.md F57; reference security-and-reliability 5.2.)
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from terminal.core.faults import FaultCode
from terminal.core.records import FaultRaised, Record
from terminal.core.rollback_mark import LedgerRestored
from terminal.store.backup import backups_of
from terminal.store.ledger import Ledger, LedgerBusy, LedgerError, Stamp, StorageFailed
from terminal.store.log_repair import examine_log
from terminal.store.salvage import Encode, Salvaged, keep, last_aside, salvage
from terminal.store.schema import MIGRATIONS
from terminal.store.start_check import damage, schema_at, schema_of

SUBJECT = "ledger"


class _Damaged(Exception):
    """``gone``: rows are known to be missing. ``kept``: where the files were copied to."""

    def __init__(self, why: str, *, gone: bool = False, kept: Path | None = None) -> None:
        super().__init__(why)
        self.gone = gone
        self.kept = kept


def open_ledger(path: Path, backups: Path, encode: Encode) -> Ledger:
    """The ledger, whole. ``backups``: the folder of its backups; ``encode``: a record for the host as bytes.

    Raises ``LedgerError`` (a person must act; ``LedgerBusy``: another program has it) and ``StorageFailed`` (the disk does not let us).
    """
    try:
        _look(path, backups)
        ledger = Ledger(path)
        try:
            with _base(backups) as base:
                found = damage(ledger.connection, base)
            if found is None:
                return ledger
            raise _Damaged(found, kept=keep(path))
        except BaseException:
            ledger.close()
            raise
    except _Damaged as trouble:
        why, gone, kept = str(trouble), trouble.gone, trouble.kept
    except (LedgerBusy, StorageFailed):
        raise
    except LedgerError as error:
        why, gone, kept = _why_not(path, error), False, None
    return _restored(path, salvage(path, backups_of(backups), why, encode, gone=gone, kept=kept), why)


def _look(path: Path, backups: Path) -> None:
    """What must be seen before SQLite opens it: a log that it would cut, a ledger that is gone."""
    log = path.with_name(f"{path.name}-wal")
    try:
        if not path.exists() and last_aside(path) is not None:
            raise _Damaged("its restoration was interrupted")
        if not path.exists() and backups_of(backups):
            raise _Damaged("the file is gone, and there is a backup of it", gone=True)
        report = examine_log(log.read_bytes()) if log.exists() else None
    except OSError as error:
        raise StorageFailed(str(error)) from error
    if report is not None and report.broken is not None:
        raise _Damaged(report.broken, gone=True)
    if report is not None and report.flipped:
        raise _Damaged("bits of its log were flipped")


def _why_not(path: Path, error: LedgerError) -> str:
    """Why a ledger that SQLite would not open, or that has no version of ours, is damaged. Raises ``error`` where it is not."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
            if schema_of(db) != schema_at(len(MIGRATIONS)):
                raise error  # a newer program's, or no ledger at all
    except sqlite3.DatabaseError:
        return str(error)
    return "its version was changed"


@contextmanager
def _base(backups: Path) -> Iterator[sqlite3.Connection | None]:
    """The newest backup for reading, or none."""
    found = backups_of(backups)
    if not found:
        yield None
        return
    with closing(sqlite3.connect(f"{found[0].absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
        yield db


def _restored(path: Path, found: Salvaged, why: str) -> Ledger:
    ledger = Ledger(path)
    try:
        still = damage(ledger.connection)
        if still is not None:
            raise LedgerError(f"{path}: damaged ({why}), and what was made of it is not whole ({still}); it is kept in {found.aside}")
        (epoch, last) = ledger.connection.execute("SELECT coalesce(max(epoch), 1), coalesce(max(sequence), 0) FROM sale").fetchone()
        (utc, clock) = ledger.connection.execute("SELECT utc, clock FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
        epoch = max(epoch, *(int(value) for (value,) in ledger.connection.execute("SELECT value FROM meta WHERE name = 'epoch'")), 1)
        code = FaultCode.STORAGE_DAMAGED if found.lost else FaultCode.LEDGER_RESTORED
        detail = f"{why}; {found.rows} rows saved" + (", newer ones are lost" if found.lost else ", nothing lost")
        if found.messages_lost:
            detail += f"; {len(found.messages_lost)} messages to the host are gone, the first is {found.messages_lost[0]}"
        records: list[Record] = [LedgerRestored(why, found.rows, found.lost, epoch + found.lost, last + 1)]
        active = {code for (code,) in ledger.connection.execute("SELECT code FROM fault WHERE subject = ?", (SUBJECT,))}
        if code.value not in active:
            records.append(FaultRaised(code.value, SUBJECT, detail))
        ledger.commit(Stamp(utc, clock), records, [])
    except BaseException:
        ledger.close()
        raise
    return ledger
