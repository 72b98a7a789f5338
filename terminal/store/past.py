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
from terminal.store.at_rest import reading
from terminal.store.ledger import CHAIN_START, LedgerBusy, LedgerError, chain_hash, chained_body
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
        row = db.execute("SELECT reserved_row, authorized_row FROM sale WHERE id = ?", (sale,)).fetchone()
        if row is None:
            raise NotFound(f"{path}: there is no sale {sale!r}; a sale is named terminal-epoch-sequence, as OPT1-1-42")
        reserved, authorized = row
        nothing = f"{path}: no decision was written down with sale {sale}"
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


def _fact(path: Path, db: sqlite3.Connection, seq: int, kind: type[T]) -> T:
    """A journal row that is what its chain says."""
    row = db.execute("SELECT utc, clock, kind, body, hash FROM journal WHERE seq = ?", (seq,)).fetchone()
    before = db.execute("SELECT hash FROM journal WHERE seq = ?", (seq - 1,)).fetchone()
    damaged = LedgerError(f"{path}: journal row {seq} is damaged or was edited; python -m terminal verify tells more")
    if row is None or row[2] != kind.__name__ or (before is None and seq > 1):
        raise damaged
    utc, clock, name, body, link = row
    if chain_hash(CHAIN_START if before is None else before[0], seq, chained_body(utc, clock, name, body)) != link:
        raise damaged
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise damaged from error


def _judged(found: Judged | None, otherwise: str) -> Judged:
    if found is None:
        raise NotFound(otherwise)
    return found
