"""The second layer of the PIN verifiers of a card file: put on by the TPM while the list is imported, never taken off.

What the list says of a PIN (V1) is not written to the disk then: the row has V2 = HMAC_TPM(V1) and the scheme that says so. That takes one
call of the TPM a PIN, so what the file before has of the same card, account and epoch is taken over: a new PIN has a new epoch. The list's
own hashes are made of the rows as they came, before this. (reference security-and-reliability 1.3; firmware_notes/decisions/0010.)
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from terminal.store.tpm import SCHEME, TPM_SCHEME, Tpm, second_layer

Rows = list[tuple[bytes | str, ...]]
Layer = Callable[[Rows], Rows]
_TABLE = "pin_layer"


def layered(connection: sqlite3.Connection) -> bool:
    """Does this card file have the second layer?"""
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (_TABLE,)).fetchone() is not None


@contextlib.contextmanager
def layering(connection: sqlite3.Connection, tpm: str, previous: str) -> Iterator[Layer]:
    """What is done to the cards' rows (token and body) of a file that is being built. ``tpm`` "": nothing.

    Using it raises ``TpmError``.
    """
    if not tpm:
        yield lambda rows: rows
        return
    connection.execute(f"CREATE TABLE {_TABLE} (scheme TEXT NOT NULL) STRICT")
    connection.execute(f"INSERT INTO {_TABLE} VALUES (?)", (TPM_SCHEME,))  # noqa: S608 - our own words
    with contextlib.closing(_Before(previous)) as before:
        yield lambda rows: _put_on(rows, Tpm(Path(tpm)), before)


def _put_on(rows: Rows, tpm: Tpm, before: _Before) -> Rows:
    done, missing = [], []
    for token, body in rows:
        row: dict[str, Any] = msgspec.json.decode(body)
        pin = row.get("pin")
        if pin is not None and pin["scheme"] == SCHEME:
            pin["scheme"] = TPM_SCHEME
            known = before.verifier(token, row["account"], pin["epoch"])
            if known is None:
                missing.append(pin)
            else:
                pin["verifier"] = known
        done.append((token, row))
    made = second_layer(tpm, [bytes.fromhex(pin["verifier"]) for pin in missing]) if missing else []
    for pin, verifier in zip(missing, made, strict=True):
        pin["verifier"] = verifier.hex()
    return [(token, msgspec.json.encode(row)) for token, row in done]


class _Before:
    """The card file that is live, looked at by another process while the terminal reads it."""

    def __init__(self, path: str) -> None:
        self._connection: sqlite3.Connection | None = None
        with contextlib.suppress(sqlite3.Error):
            if path and Path(path).is_file():
                connection = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
                if layered(connection):
                    self._connection = connection
                else:
                    connection.close()

    def verifier(self, token: bytes | str, account: str, epoch: int) -> str | None:
        """What this card's PIN has there; None where it has none or another."""
        row = None
        with contextlib.suppress(sqlite3.Error):
            row = self._connection and self._connection.execute("SELECT body FROM card WHERE token = ?", (token,)).fetchone()
        known = msgspec.json.decode(row[0]) if row else {}
        pin = known.get("pin")
        if pin is None or (known["account"], pin["epoch"], pin["scheme"]) != (account, epoch, TPM_SCHEME):
            return None
        return str(pin["verifier"])

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
