"""SQLCipher for the ledger: a connection with a key, used as one of the standard library is, exceptions included.

Only ``sqlite_kind`` imports this, and only when a ledger is encrypted: the package ``sqlcipher3`` need not be there otherwise.
``cipher_memory_security`` stays off, as SQLCipher delivers it: it wipes and locks every buffer, at a price on each, against somebody who
reads this process's memory; such a one has the key too. Swap and core files are off (systemd/, runtime/no_core.py).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, cast

from sqlcipher3 import dbapi2

from terminal.store.ledger_key import LedgerKey
from terminal.store.schema import PAGE_SIZE

_SETTINGS = (
    ("cipher_page_size", str(PAGE_SIZE), str(PAGE_SIZE)),
    ("cipher_use_hmac", "ON", "1"),
    ("cipher_hmac_algorithm", "HMAC_SHA512", "HMAC_SHA512"),
    ("cipher_plaintext_header_size", "0", "0"),
    ("cipher_memory_security", "OFF", "0"),
)


def connect(name: str, uri: bool, key: LedgerKey, timeout: float) -> sqlite3.Connection:
    """Open with every setting read back. Raises ``sqlite3.Error``, also when this SQLCipher does not do as it is told."""
    db = Connection(name, uri=uri, isolation_level=None, timeout=timeout)
    try:
        db.execute("PRAGMA cipher_log_level = NONE")  # or it tells standard error of every page that it cannot prove
        db.execute(key.statement())
        for name, value, _ in _SETTINGS:
            db.execute(f"PRAGMA {name} = {value}")
        for name, wanted in (("cipher_status", "1"), *((name, wanted) for name, _, wanted in _SETTINGS)):
            found = db.execute(f"PRAGMA {name}").fetchone()
            if found is None or found[0] != wanted:
                raise sqlite3.OperationalError(f"this SQLCipher does not keep {name}={wanted}; nothing would be safe")
    except sqlite3.Error:
        db.close()
        raise
    return cast(sqlite3.Connection, db)


def _ours(method: Callable[..., Any]) -> Callable[..., Any]:
    """The same, raising the standard library's exception of the same name."""

    def call(*arguments: Any, **named: Any) -> Any:
        try:
            return method(*arguments, **named)
        except dbapi2.Error as error:
            ours = getattr(sqlite3, type(error).__name__)(str(error))
            for name in ("sqlite_errorcode", "sqlite_errorname"):
                if hasattr(error, name):
                    setattr(ours, name, getattr(error, name))
            raise ours from None

    return call


class Cursor(dbapi2.Cursor):  # type: ignore[misc]
    """See ``_ours``."""

    execute = _ours(dbapi2.Cursor.execute)
    executemany = _ours(dbapi2.Cursor.executemany)
    executescript = _ours(dbapi2.Cursor.executescript)
    fetchone = _ours(dbapi2.Cursor.fetchone)
    fetchmany = _ours(dbapi2.Cursor.fetchmany)
    fetchall = _ours(dbapi2.Cursor.fetchall)
    __next__ = _ours(dbapi2.Cursor.__next__)


class Connection(dbapi2.Connection):  # type: ignore[misc]
    """See ``_ours``; ``execute`` and its like go through ``cursor``."""

    __init__ = _ours(dbapi2.Connection.__init__)
    commit = _ours(dbapi2.Connection.commit)
    rollback = _ours(dbapi2.Connection.rollback)
    close = _ours(dbapi2.Connection.close)

    @_ours
    def cursor(self, factory: type[Any] = Cursor) -> Any:
        """See ``sqlite3.Connection``."""
        return super().cursor(factory)
