"""The kinds of ledger that tests play with: whoever keeps its ledgers encrypted here has the forecourt's station do so too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from terminal.store.ledger_key import LedgerKey
from terminal.store.sqlite_kind import keep_ledgers, ledger_key

KEY = LedgerKey(bytes(range(7, 39)))
CREDENTIAL = "ledger.key"


@contextmanager
def kept(*, encrypted: bool) -> Iterator[None]:
    """While this lasts ledgers are of this kind."""
    keep_ledgers(KEY if encrypted else None)
    try:
        yield
    finally:
        keep_ledgers(None)


def configured(text: str, credentials: Path) -> tuple[str, dict[str, str]]:
    """A terminal's configuration for the kind that is kept now, with its credential in this folder; and the environment that it needs."""
    key = ledger_key()
    if key is None:
        return text, {}
    credentials.mkdir(mode=0o700)
    (credentials / CREDENTIAL).write_text(key.content().hex())
    text = text.replace("[keys]\n", f'[keys]\nledger = "credential:{CREDENTIAL}"\n').replace("[storage]\n", "[storage]\nencrypted = true\n")
    return text, {"CREDENTIALS_DIRECTORY": str(credentials)}
