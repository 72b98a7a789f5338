"""Which of the ledger's oldest rows may go: what is older than the months that are kept, and what the host has said it has.

Found out by the backup's own process, on the copy that it has just examined (backup.py): it plays the journal up to the row behind which
the chain is to begin and writes what that led to beside the backup. The core only takes it (pruning.py).

Age is proven time. The newest of it is what the host said last (``ClockAnchored``), never a wall clock; and a gap between two rows counts
for a week at most, so that a clock which leaps ahead by years, the host's included, makes nothing old. (features.md F50.)
"""

from __future__ import annotations

import calendar
import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from terminal.core import records as r
from terminal.core.rollback_mark import LedgerPruned
from terminal.store.anchor import Kept, Start, digest_of, merged, packed, start_of
from terminal.store.backup_folder import is_there
from terminal.store.integrity import known_keys, known_lost
from terminal.store.replay import FINISHED, Replay
from terminal.store.sqlite_kind import connect

LEAP_MS = 7 * 24 * 3_600_000
"""What a gap between two rows proves at most."""
MOST_ROWS = 20_000
"""So many rows go at once, or as many more as the next settled batch needs; what is left over goes after the next backup."""
PROPOSAL = "ledger-prune.db"


class Proposal(msgspec.Struct, frozen=True):
    """What the backup's process has found: the row for the journal, and the snapshot as it is stored."""

    record: LedgerPruned
    content: bytes


def propose(db: sqlite3.Connection, keep_months: int) -> Proposal | None:
    """What may be pruned of this examined ledger; None when nothing may."""
    start = start_of(db)
    through = _through(db, start, keep_months)
    if through is None:
        return None
    (utc, link) = db.execute("SELECT utc, hash FROM journal WHERE seq = ?", (through,)).fetchone()
    with closing(Replay(known_keys(db), lambda what, where: None)) as replay:
        if start.snapshot is not None:
            replay.begin(start.snapshot)
        for row in db.execute("SELECT seq, utc, kind, body FROM journal WHERE seq > ? AND seq <= ? ORDER BY seq", (start.seq, through)):
            replay.take(*row)
        record = LedgerPruned(through, bytes(link).hex(), "", *_finished(replay.db), 0)
        replay.take(through, utc, LedgerPruned.__name__, msgspec.json.encode(record))
        kept = _kept(db, start, replay.db, through)
        snapshot = replay.snapshot(through, bytes(link), utc, known_lost(db, start))
        content = packed(msgspec.structs.replace(snapshot, kept=kept))
    return Proposal(replace(record, digest=digest_of(content), rows=through - start.seq + len(start.kept) - len(kept)), content)


def write(proposal: Proposal | None, folder: Path) -> None:
    """Lay it into this folder, in the place of an earlier one: a file of the ledger's own kind, encrypted where that is.

    Raises ``OSError`` and ``sqlite3.Error``.
    """
    part = folder / f"{PROPOSAL}.part"
    for one in (folder / PROPOSAL, part, folder / f"{PROPOSAL}.part-journal"):
        one.unlink(missing_ok=True)
    if proposal is None:
        return
    with closing(connect(part)) as db:
        db.execute("CREATE TABLE proposal (content BLOB NOT NULL)")
        db.execute("INSERT INTO proposal VALUES (?)", (msgspec.json.encode(proposal),))
    os.replace(part, folder / PROPOSAL)


def read(folder: Path) -> Proposal | None:
    """The proposal of this folder, if there is one that is whole."""
    if not is_there(folder / PROPOSAL):
        return None
    try:
        with closing(connect(folder / PROPOSAL, "mode=ro&immutable=1")) as db:
            (content,) = db.execute("SELECT content FROM proposal").fetchone()
        found = msgspec.json.decode(content, type=Proposal)
    except (sqlite3.Error, msgspec.DecodeError, TypeError, UnicodeDecodeError):
        return None
    return found if digest_of(found.content) == found.record.digest else None


# --- how far ------------------------------------------------------------------------------------------------------------------


def months_before(utc: int, months: int) -> int:
    """The same hour so many months earlier (UTC milliseconds), on the month's last day where it has no such day."""
    at = datetime.fromtimestamp(utc // 1000, UTC)
    year, month = divmod(at.year * 12 + at.month - 1 - months, 12)
    day = min(at.day, calendar.monthrange(year, month + 1)[1])
    return int(at.replace(year=year, month=month + 1, day=day).timestamp()) * 1000


def _through(db: sqlite3.Connection, start: Start, keep_months: int) -> int | None:
    """The row behind which the chain may begin: one with which a batch was agreed, so that hardly any sale is under way there."""
    anchor = db.execute("SELECT value FROM meta WHERE name = 'clock_anchor'").fetchone()
    if anchor is None:
        return None
    proven = int(str(anchor[0]).split(" ")[0])
    before = months_before(proven, keep_months)
    oldest = db.execute("SELECT utc FROM journal WHERE seq = ?", (start.seq + 1,)).fetchone()
    if oldest is None or oldest[0] >= before:
        return None
    (young,) = db.execute("SELECT min(seq) FROM journal WHERE seq > ? AND utc >= ?", (start.seq, before)).fetchone()
    limit = min(_old_enough(db, start, proven - before), start.seq if young is None else young - 1)
    found = None
    for seq, body in db.execute(
        "SELECT seq, body FROM journal WHERE kind = 'BatchSettled' AND seq > ? AND seq <= ? ORDER BY seq", (start.seq, limit)
    ):
        if found is not None and seq > start.seq + MOST_ROWS:
            break
        if msgspec.json.decode(body, type=r.BatchSettled).balanced:
            found = int(seq)
    return found


def _old_enough(db: sqlite3.Connection, start: Start, age_ms: int) -> int:
    """The newest row since which so much time is proved by the rows themselves."""
    proved, later = 0, None
    for seq, utc in db.execute("SELECT seq, utc FROM journal WHERE seq > ? ORDER BY seq DESC", (start.seq,)):
        proved += 0 if later is None else min(max(0, later - utc), LEAP_MS)
        later = utc
        if proved >= age_ms:
            return int(seq)
    return start.seq


# --- what goes and what stays ---------------------------------------------------------------------------------------------------


def _finished(db: sqlite3.Connection) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
    """Runs of the sales, and of the batches, of these tables that are over: the host has every message of them, and has agreed.

    The newest batch stays, and the newest sale of each epoch: the next is numbered behind it, and lost ones are asked for behind it.
    """
    newest = {int(sequence) for (sequence,) in db.execute("SELECT max(sequence) FROM sale GROUP BY epoch")}
    unheard = {str(key).rpartition("/")[0] for (key,) in db.execute("SELECT key FROM outbox")}
    agreed = db.execute("SELECT first, last FROM batch WHERE state = 'balanced'").fetchall()
    covered = _Runs(merged(agreed))
    sales: list[int] = []
    stay: list[int] = []
    select = "SELECT sequence, id, state, reserved_row IS ended_row FROM sale ORDER BY sequence"
    for sequence, sale, state, came_back in db.execute(select):
        agreed_on = came_back or sequence in covered  # what came back from the host stands in its books
        over = state in FINISHED and sequence not in newest and sale not in unheard and agreed_on
        (sales if over else stay).append(int(sequence))
    (last,) = db.execute("SELECT max(batch) FROM batch").fetchone()
    (settled,) = db.execute("SELECT max(batch) FROM batch WHERE state <> 'sent'").fetchone()
    batches = [
        int(batch)
        for batch, first, until in db.execute("SELECT batch, first, last FROM batch WHERE state = 'balanced' ORDER BY batch")
        if batch not in (last, settled) and not any(first <= sequence <= until for sequence in stay)
    ]
    return tuple(merged((one, one) for one in sales)), tuple(merged((one, one) for one in batches))


class _Runs:
    def __init__(self, runs: list[tuple[int, int]]) -> None:
        self._runs = runs

    def __contains__(self, number: int) -> bool:
        return any(first <= number <= last for first, last in self._runs)


class _Named(msgspec.Struct):
    """Any fact: the sale that it names, if it does."""

    sale: str | None = None


def _kept(db: sqlite3.Connection, start: Start, tables: sqlite3.Connection, through: int) -> list[Kept]:
    """The rows that stay: those that name a sale which stays, and those that another table refers to."""
    sales = {str(sale) for (sale,) in tables.execute("SELECT id FROM sale")}
    wanted = {int(row) for (row,) in tables.execute("SELECT row FROM price_plan UNION SELECT row FROM correction")}
    wanted |= {int(row) for (row,) in tables.execute("SELECT sent_row FROM batch WHERE state = 'sent'")}
    known = {one.seq: one for one in start.kept}
    found: list[Kept] = []
    before = start.link
    for seq, body, link in db.execute("SELECT seq, body, hash FROM journal WHERE seq <= ? ORDER BY seq", (through,)):
        if seq <= start.seq and seq not in known:
            continue  # pruned before, and not deleted yet
        if seq in wanted or msgspec.json.decode(body, type=_Named).sale in sales:
            found.append(known.get(seq) or Kept(seq, before.hex(), bytes(link).hex()))
        if seq > start.seq:
            before = bytes(link)
    return found
