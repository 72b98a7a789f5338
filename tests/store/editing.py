"""Writing what the core would not, and asking ``verify`` about it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from terminal.core.internal_events import EndCause, FillRecorded
from terminal.core.sale import Sale
from terminal.store.integrity import Severity, verify
from terminal.store.ledger import CHAIN_START, chain_hash, chained_body
from terminal.store.sqlite_kind import connect
from tests.store.books import Station


def sold(station: Station, draw: int, volume: int, *, apart: int = 0) -> Sale:
    """One whole sale; the totaliser moves by ``apart`` more than the fill."""
    one = station.reserve(draw)
    station.grant(one, 0)
    station.take_nozzle(one, 0)
    station.totals[one.fp, 1] += volume + apart
    station.fire(one, FillRecorded(one.id, volume, 100, station.totals[one.fp, 1], EndCause.NOZZLE))
    return one


@contextmanager
def edited(path: Path) -> Iterator[sqlite3.Connection]:
    db = connect(path)
    db.isolation_level = "DEFERRED"
    with db:
        yield db
    db.close()


def chain_again(db: sqlite3.Connection) -> None:
    """What an editor who knows the chain's recipe would do."""
    link = CHAIN_START
    for seq, utc, clock, kind, body in db.execute("SELECT seq, utc, clock, kind, body FROM journal ORDER BY seq").fetchall():
        link = chain_hash(link, seq, chained_body(utc, clock, kind, body))
        db.execute("UPDATE journal SET hash = ? WHERE seq = ?", (link, seq))


def errors(path: Path) -> list[tuple[str, str]]:
    report = verify(path)
    assert not report.sound
    return [(finding.where, finding.what) for finding in report.findings if finding.severity is Severity.ERROR]
