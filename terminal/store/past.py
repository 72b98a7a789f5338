"""A decision of the past: its whole input, found in a ledger by the code on the display or by the sale that it led to.

The row is checked against the journal's chain before it is believed. Works on a stopped terminal's ledger, on a backup, or on a copy of
its two files.
(features.md F30, F66.)
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from terminal.core.facts import Judged
from terminal.core.records import Refused, SaleAuthorized
from terminal.core.refusal_code import read_code
from terminal.store.anchor import AnchorError, Start, start_of
from terminal.store.at_rest import reading
from terminal.store.ledger import LedgerBusy, LedgerError, chain_hash, chained_body
from terminal.store.schema import MIGRATIONS

T = TypeVar("T")


class NotFound(Exception):
    """The ledger has no such decision; the text says why and is meant for people."""


def by_code(path: Path, code: str) -> Judged:
    """The decision behind a refusal code. Raises ``BadCode``, ``NotFound``, and ``LedgerError`` for a ledger that cannot be read."""
    wanted = read_code(code)

    def look(db: sqlite3.Connection) -> Judged:
        row = db.execute("SELECT row FROM refusal WHERE code = ?", (wanted,)).fetchone()
        if row is None:
            raise NotFound(f"{path}: this terminal has shown no refusal code {wanted}")
        return _judged(_fact(path, db, row[0], Refused).judged, f"{path}: no decision was written down with refusal code {wanted}")

    return _look(path, look)


def by_sale(path: Path, sale: str) -> Judged:
    """The decision that authorized a sale, or that declined it. Raises ``NotFound``, and ``LedgerError`` as ``by_code``."""

    def look(db: sqlite3.Connection) -> Judged:
        row = db.execute("SELECT reserved_row, authorized_row, ended_row FROM sale WHERE id = ?", (sale,)).fetchone()
        if row is None:
            _refuse_pruned(path, db, sale)
            raise NotFound(f"{path}: there is no sale {sale!r}; a sale is named terminal-epoch-sequence, as OPT1-1-42")
        reserved, authorized, ended = row
        nothing = f"{path}: no decision was written down with sale {sale}"
        if authorized is None and ended == reserved:
            raise NotFound(f"{nothing} here: the ledger had lost it, and it came back from the host")
        if authorized is not None:
            return _judged(_fact(path, db, authorized, SaleAuthorized).judged, f"{nothing}; an earlier program may have made it")
        declined = db.execute(
            "SELECT seq FROM journal WHERE seq > ? AND kind = 'Refused' AND json_extract(CAST(body AS TEXT), '$.sale') = ? LIMIT 1",
            (reserved, sale),
        ).fetchone()
        if declined is None:
            raise NotFound(f"{nothing}: it was given up before one was made")
        return _judged(_fact(path, db, declined[0], Refused).judged, nothing)

    return _look(path, look)


def _look(path: Path, look: Callable[[sqlite3.Connection], Judged]) -> Judged:
    try:
        with reading(path) as db:
            _check_schema(path, db)
            return look(db)
    except LedgerBusy as error:
        copy = "or name a backup, or a copy of the two files ledger.db and ledger.db-wal, with --ledger"
        raise LedgerBusy(f"{error}, {copy}") from error
    except sqlite3.DatabaseError as error:
        raise LedgerError(f"{path}: not a ledger, or damaged ({error}); python -m terminal verify tells more") from error


def _check_schema(path: Path, db: sqlite3.Connection) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise LedgerError(f"{path}: written by a newer program (schema {version}, this one knows {len(MIGRATIONS)}); ask that one")
    if version < _FIRST_SCHEMA:
        raise LedgerError(f"{path}: no ledger, or one of an earlier program, which wrote down no decisions")


_FIRST_SCHEMA = 3
_FIRST_PRUNED = 5
"""Since this schema there is an anchor, and rows may have been pruned."""


def _fact(path: Path, db: sqlite3.Connection, seq: int, kind: type[T]) -> T:
    """A journal row that is what its chain says."""
    row = db.execute("SELECT utc, clock, kind, body, hash FROM journal WHERE seq = ?", (seq,)).fetchone()
    damaged = LedgerError(f"{path}: journal row {seq} is damaged or was edited; python -m terminal verify tells more")
    before = _before(db, seq)
    if row is None or row[2] != kind.__name__ or before is None:
        raise damaged
    utc, clock, name, body, link = row
    if chain_hash(before, seq, chained_body(utc, clock, name, body)) != link:
        raise damaged
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise damaged from error


def _before(db: sqlite3.Connection, seq: int) -> bytes | None:
    """The hash of the row before this one: where that was pruned, the anchor has it."""
    start = _start(db)
    if seq == start.seq + 1:
        return start.link
    for one in start.kept:
        if one.seq == seq:
            return bytes.fromhex(one.before)
    row = db.execute("SELECT hash FROM journal WHERE seq = ?", (seq - 1,)).fetchone()
    return None if row is None else bytes(row[0])


def _start(db: sqlite3.Connection) -> Start:
    if db.execute("PRAGMA user_version").fetchone()[0] < _FIRST_PRUNED:
        return Start()
    try:
        return start_of(db)
    except AnchorError as error:
        raise LedgerError(f"the ledger is damaged: {error}; python -m terminal verify tells more") from error


def _refuse_pruned(path: Path, db: sqlite3.Connection, sale: str) -> None:
    snapshot, number = _start(db).snapshot, sale.rpartition("-")[2]
    if snapshot is not None and number.isdecimal() and any(first <= int(number) <= last for first, last in snapshot.gone):
        raise NotFound(f"{path}: sale {sale} was pruned; the host has it, and so have exports of its time")


def _judged(found: Judged | None, otherwise: str) -> Judged:
    if found is None:
        raise NotFound(otherwise)
    return found
