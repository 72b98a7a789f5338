"""How this process opens ledgers: plain, by the standard library's SQLite, or encrypted, by SQLCipher.

The only place that opens a ledger's file, a backup's or a copy's. Who starts the process says once which it is (``keep_ledgers``), so that
nothing in between has the key among its arguments. (reference security-and-reliability 5.1, 5.2: ``open_ledger`` in one place.)
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from terminal.store.ledger_key import NAME, LedgerKey
from terminal.store.log_repair import FRAME, HEADER
from terminal.store.sealed_pages import any_page_of

PLAIN_NAME = b"SQLite format 3\0"
MOST_FLIPPED = 4
"""Bits by which the first bytes may differ and still be taken for what they were."""
INSTALL = "an encrypted ledger needs the package sqlcipher3: pip install 'forecourt-terminal[encrypted]'"


class LedgerError(Exception):
    """The ledger cannot be used; the text says what to do and is meant for people."""


_key: LedgerKey | None = None


def keep_ledgers(key: LedgerKey | None) -> None:
    """From now on ledgers are encrypted with this key; None: plain. Raises ``LedgerError`` when SQLCipher is not installed."""
    global _key
    if key is not None:
        try:
            import sqlcipher3  # noqa: F401
        except ImportError:
            raise LedgerError(INSTALL) from None
    _key = key


def ledger_key() -> LedgerKey | None:
    """The key that ledgers are opened with; None: they are plain."""
    return _key


def connect(path: Path, query: str = "", *, timeout: float = 0) -> sqlite3.Connection:
    """Open a ledger's file without implicit transactions; ``query`` is that of SQLite's URI, ``timeout`` in seconds.

    Raises ``sqlite3.Error``. A file of the other kind, or of another key, is one that is no database: ``refuse_other_kind`` says which.
    """
    name = f"{path.absolute().as_uri()}?{query}" if query else str(path)
    if _key is None:
        return sqlite3.connect(name, uri=bool(query), isolation_level=None, timeout=timeout)
    from terminal.store import cipher

    return cipher.connect(name, bool(query), _key, timeout)


def refuse_other_kind(path: Path) -> None:
    """Raise ``LedgerError`` for a ledger that is plain and must not be, that is encrypted and must not be, or with another key.

    What is neither is damaged, or nothing yet, and not for this to say; nor is a file that cannot be read. Not for a ledger that this
    process has open: closing any descriptor of a file lets go of SQLite's locks on it.
    """
    try:
        found = first_bytes(path)
        if len(found) < len(PLAIN_NAME):
            return
        if _key is None:
            if _alike(found[: len(NAME)], NAME):
                raise LedgerError(f"{path}: encrypted; [storage] encrypted = true and [keys] ledger are missing in the configuration")
        elif not _alike(found, _key.salt):
            if _alike(found, PLAIN_NAME):
                raise LedgerError(f"{path}: not encrypted, and [storage] encrypted = true; first: python -m terminal ledger encrypt")
            if _alike(found[: len(NAME)], NAME) and not any_page_of(path, _log(path), _key):
                raise LedgerError(f"{path}: not with this key; [keys] ledger is not the one that this ledger was made with")
    except OSError:
        return


def first_bytes(path: Path) -> bytes:
    """The file's first 16 bytes, or of one that is still empty those of the first page in its log. Raises ``OSError``."""
    for part, at in ((path, 0), (_log(path), HEADER + FRAME)):
        if part.is_file() and part.stat().st_size > at:
            with part.open("rb") as file:
                file.seek(at)
                return file.read(len(PLAIN_NAME))
    return b""


def is_encrypted(path: Path) -> bool:
    """By its first bytes. Raises ``OSError``."""
    return _alike(first_bytes(path)[: len(NAME)], NAME)


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _alike(found: bytes, wanted: bytes) -> bool:
    return len(found) == len(wanted) and (int.from_bytes(found) ^ int.from_bytes(wanted)).bit_count() <= MOST_FLIPPED
