"""A damaged ledger made anew: kept aside untouched, and rebuilt from every journal row of it, or of its backup, that the chain proves.

The chain does more than accuse. A row whose hash is right is genuine, wherever it is read from; and where one bit of a row was flipped,
that bit is the only one whose flip makes the hash right again, so it is found by trying. Rows are taken up to the first that cannot be
proved, the tables are what these rows lead to, and messages are those whose digest is right, or are made from the sale (rebooking.py).
(design/architecture.md, Storage; reference security-and-reliability 5.2, Start-up self-check and repair.)
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from terminal.core import records as r
from terminal.core.ids import MessageKind
from terminal.core.messages import Booking, Reverse
from terminal.core.rollback_mark import LedgerPruned
from terminal.store.anchor import table_names, write
from terminal.store.damaged_file import opened
from terminal.store.ledger import Ledger, LedgerError, Stamp, StorageFailed, message_digest
from terminal.store.proved_rows import Proved, proved
from terminal.store.rebooking import rebooked
from terminal.store.replay import Replay
from terminal.store.row_shelf import RowShelf

LOG = logging.getLogger("terminal")
MOST_ASIDE = 5
"""Damaged ledgers that are kept; a disk that damages one more is not used any further."""
FINISHED = "finished"
"""In the folder of a damaged ledger whose successor is ready to stand in its place: the epoch that its sales are numbered in."""

Encode = Callable[[Booking | Reverse], bytes]


@dataclass(frozen=True, slots=True)
class Salvaged:
    """``rows`` were saved; ``lost``: there were more. ``messages_lost``: keys without a body. ``aside``: where the damaged files are."""

    rows: int
    lost: bool
    messages_lost: tuple[str, ...]
    aside: Path


Tell = Callable[[Path, Salvaged], int]


def salvage(
    path: Path, backups: tuple[Path, ...], why: str, encode: Encode, tell: Tell, *, gone: bool = False, kept: Path | None = None
) -> None:
    """Keep the ledger aside and put one in its place that is whole. ``gone``: it is known that rows are missing from it.

    ``tell`` writes into the new ledger, before it stands in its place, what has happened, and returns the epoch of its sales. ``kept``:
    where ``keep`` has put it. Raises ``LedgerError`` when nothing can be saved, ``StorageFailed`` when the disk does not let us; the
    damaged files are there then.
    """
    try:
        if kept is not None:
            _take_away(path)
        elif path.exists():
            kept = _set_aside(path)
        else:
            kept = last_aside(path)
            if kept is None or (kept / FINISHED).exists():
                backups += () if kept is None else (kept / path.name,)  # it may have rows that no backup has
                kept = _place_aside(path)
            _follow(path, kept)
        _rebuild(path, kept, backups, encode, tell, gone=gone)
    except OSError as error:
        raise StorageFailed(f"the damaged ledger ({why}) cannot be made anew: {error}") from error


def last_aside(path: Path) -> Path | None:
    """The newest folder of a damaged ledger. With no ledger beside it, and not marked finished, its restoration was interrupted."""
    return next((one for one in reversed(_asides(path)) if (one / path.name).exists()), None)


def last_epoch(path: Path) -> int:
    """The highest epoch that a restoration left behind, by its folder; 0 without one. The ledger that knew it may be gone since."""
    marks = [one / FINISHED for one in _asides(path) if (one / FINISHED).exists()]
    return max((int(text) for text in (mark.read_text("ascii", "replace") for mark in marks) if text.isdecimal()), default=0)


def _asides(path: Path) -> list[Path]:
    return [path.with_name(f"{path.name}.damaged-{number}") for number in range(1, MOST_ASIDE + 1)]


def keep(path: Path) -> Path:
    """Copy a ledger that is still open, as it is, before closing it folds its log. Raises ``StorageFailed``."""
    try:
        aside = _place_aside(path)
        for name in (f"{path.name}-wal", path.name):
            if path.with_name(name).exists():
                shutil.copyfile(path.with_name(name), aside / name)
                _sync(aside / name)
        _sync(aside)
        _sync(path.parent)
    except OSError as error:
        raise StorageFailed(f"{path}: damaged, and it cannot be kept aside: {error}") from error
    return aside


def _place_aside(path: Path) -> Path:
    """A new folder, or one that nothing came into."""
    for aside in _asides(path):
        if not (aside / path.name).exists() and not (aside / FINISHED).exists():
            break
    else:
        raise StorageFailed(f"{path}: damaged again, and {MOST_ASIDE} damaged ones are kept beside it already; replace the disk")
    aside.mkdir(exist_ok=True)
    return aside


def _set_aside(path: Path) -> Path:
    """Rename ledger and log into a folder of their own. The ledger first: with its log alone gone it would look whole, and older."""
    aside = _place_aside(path)
    os.replace(path, aside / path.name)
    _follow(path, aside)
    return aside


def _follow(path: Path, aside: Path) -> None:
    """The log goes where its ledger went, or away when it is there: it must never be played into another file."""
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and not (aside / log.name).exists():
        os.replace(log, aside / log.name)
    log.unlink(missing_ok=True)
    _sync(aside)
    _sync(path.parent)


def _take_away(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_name(f"{path.name}-wal").unlink(missing_ok=True)
    _sync(path.parent)


def _rebuild(path: Path, aside: Path, backups: tuple[Path, ...], encode: Encode, tell: Tell, *, gone: bool) -> None:
    """Everything is in the new ledger before it gets its name: a power cut leaves none, or one that says what it is."""
    work = path.with_name(f"{path.name}.rebuilt")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    template = work / "template.db"
    Ledger(template).close()
    damaged = opened(work / "damaged.db", aside / path.name, (*backups, template))
    sources = [damaged, *(_backup(work / f"backup-{at}.db", one, template) for at, one in enumerate(backups))]
    found = [source for source in sources if source is not None]
    try:
        with closing(RowShelf(work / "rows.db")) as shelf:
            saved = proved(found, shelf)
            if saved is None:
                raise LedgerError(f"{path}: damaged, and nothing of it can be saved; it is kept in {aside}. Put a backup in its place")
            fresh = work / path.name
            _lay_down_messages(found, shelf)
            messages_lost = _write(fresh, saved, encode)
    except sqlite3.OperationalError as error:
        raise StorageFailed(str(error)) from error
    finally:
        for source in found:
            source.close()
    epoch = tell(fresh, Salvaged(saved.last, gone or damaged is None or saved.most > saved.last, messages_lost, aside))
    if fresh.with_name(f"{fresh.name}-wal").exists():
        raise StorageFailed("the disk did not take what was made anew of the damaged ledger")  # a closing that cannot fold says nothing
    _sync(fresh)
    mark = aside / FINISHED
    mark.write_text(str(epoch), "ascii")
    _sync(mark)
    _sync(aside)
    os.replace(fresh, path)
    _sync(path.parent)
    shutil.rmtree(work, ignore_errors=True)


def _backup(copy: Path, backup: Path, template: Path) -> sqlite3.Connection | None:
    """A backup as a source; one on a disk that cannot read it is none. Raises ``OSError`` when the ledger's own disk is full."""
    try:
        return opened(copy, backup, (template,))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        LOG.error("event=BackupUnreadable path=%r why=%r", str(backup), error.strerror)
        return None


# --- writing it anew --------------------------------------------------------------------------------------------------------------


def _write(path: Path, saved: Proved, encode: Encode) -> tuple[str, ...]:
    """A new ledger of these rows; the keys of messages that cannot be written again. Row by row: a ledger may be more than memory."""
    replay = Replay(frozenset(saved.shelf.keys()), lambda what, where: None)
    ledger = Ledger(path)
    missing: list[str] = []
    try:
        with closing(replay):
            if saved.start.snapshot is not None:
                replay.begin(saved.start.snapshot)
            db = ledger.connection
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)", saved.kept)
            for row in saved.rows():
                replay.take(row[0], row[1], row[3], row[4])
                db.execute("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)", row)
            write(db.execute, saved.start.content)
            for table in table_names(replay.db):
                copied = replay.db.execute(f"SELECT * FROM {table}")  # noqa: S608 - our own words
                db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(copied.description))})", copied)  # noqa: S608
            for key, quarantined in replay.db.execute("SELECT key, quarantined FROM outbox ORDER BY id"):
                body = saved.shelf.message(key) or _made_again(db, key, encode)
                if body is None:
                    missing.append(key)
                    continue
                values = (key, quarantined, body, message_digest(key, body))
                db.execute("INSERT INTO outbox (key, quarantined, body, digest) VALUES (?, ?, ?, ?)", values)
            db.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        raise StorageFailed(str(error)) from error
    finally:
        ledger.close()
    if not saved.vouched:
        _vouch(path, saved)
    _sync(path)
    return tuple(missing)


def _vouch(path: Path, saved: Proved) -> None:
    """The row that spoke for the anchor is lost with the newest ones: one more says it. The chain goes on from the anchor's own hash."""
    start, newest = saved.start, saved.newest
    ledger = Ledger(path)
    try:
        told = LedgerPruned(start.seq, start.link.hex(), start.digest, (), (), 0)
        ledger.commit(Stamp(newest[1], newest[2]), [told], [])
    finally:
        ledger.close()


def _lay_down_messages(sources: list[sqlite3.Connection], shelf: RowShelf) -> None:
    """The messages whose digest is right."""
    for source in sources:
        for key, body in _messages(source):
            shelf.put_message(key, body)


def _messages(source: sqlite3.Connection) -> Iterator[tuple[str, bytes]]:
    try:
        for key, body, digest in source.execute("SELECT key, body, digest FROM outbox"):
            if isinstance(key, str) and isinstance(body, bytes) and message_digest(key, body) == digest:
                yield key, body
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        return  # what came before it is there


def _made_again(db: sqlite3.Connection, key: str, encode: Encode) -> bytes | None:
    sale, _, kind = key.rpartition("/")
    if kind == MessageKind.REVERSE.value:
        return _reversed(db, sale, encode)
    booking = rebooked(db, int(sale.rpartition("-")[2])) if kind in ("complete", "advice") else None
    return None if booking is None else encode(booking)


def _reversed(db: sqlite3.Connection, sale: str, encode: Encode) -> bytes | None:
    found = db.execute("SELECT epoch, sequence FROM sale WHERE id = ?", (sale,)).fetchone()
    if found is None:
        return None
    (epoch, sequence) = found
    for (body,) in db.execute("SELECT body FROM journal WHERE kind = ? ORDER BY seq DESC", (r.ReversalQueued.__name__,)):
        fact = msgspec.json.decode(body, type=r.ReversalQueued)
        if fact.sale == sale:
            return encode(Reverse(fact.sale, epoch, sequence, fact.reason))
    return None


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
