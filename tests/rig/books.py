"""The terminal's ledger, read from copies of its files: the program itself holds it under an exclusive lock."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from terminal.core.account_book import AccountBook
from terminal.core.units import UtcMs
from terminal.store.ledger import Ledger
from terminal.store.live_lists import LiveLists
from terminal.store.recovery import cards_file, recover
from terminal.store.sqlite_kind import connect
from terminal.store.vault import KeyVault
from tests.behaviour import ledger_view
from tests.behaviour.world import Setup, Subject

ATTEMPTS = 20
TICK_NS = 50_000_000
_Stamp = tuple[tuple[int, int], ...]


class LedgerCopy:
    """A readable copy, as fresh as the files are. A copy that was torn by a write is taken again."""

    def __init__(self, state_dir: Path, scratch: Path) -> None:
        self._state_dir = state_dir
        self._scratch = scratch
        scratch.mkdir()
        self._stamp: _Stamp | None = None
        self._copy = scratch / "ledger.db"

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The ledger as of now. An empty one is empty of everything, as before the first start."""
        self._refresh()
        connection = connect(self._copy)
        try:
            yield connection
        finally:
            connection.close()

    def remaining(
        self,
        setup: Setup,
        vault: KeyVault,
        now_utc: UtcMs,
        subject: Subject,
        period: str,
        measure: str,
        products: tuple[str, ...] | None,
    ) -> int | None:
        """What the program's own recovery and arithmetic make of the copy."""
        self._refresh()
        ledger = Ledger(self._copy)
        try:
            recovered = recover(ledger, setup.terminal, "")
            name = cards_file(ledger)
        finally:
            ledger.close()
        lists = LiveLists(self._scratch)
        if name is not None:
            for part in (name, f"{name}-wal"):
                (self._scratch / part).unlink(missing_ok=True)
                with contextlib.suppress(FileNotFoundError):
                    shutil.copyfile(self._state_dir / part, self._scratch / part)
            lists.use(name)
        try:
            book = AccountBook(recovered.uses)
            return ledger_view.remaining(setup, vault.token, lists, book, now_utc, subject, period, measure, products)
        finally:
            if lists.file is not None:
                lists.file.close()

    def copy(self, into: Path) -> Path:
        """A copy of the copy in another folder, where whoever looks at it does it no harm."""
        self._refresh()
        for suffix in ("", "-wal"):
            source = Path(f"{self._copy}{suffix}")
            if source.exists():
                shutil.copyfile(source, into / source.name)
        return into / self._copy.name

    def _refresh(self) -> None:
        """Copy log and file unless the last copy is of the same ones."""
        for _ in range(ATTEMPTS):
            before = self._stamp_now()
            if before == self._stamp:
                return
            self._stamp = None
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self._copy}{suffix}").unlink(missing_ok=True)
            for suffix in ("", "-wal"):
                source = self._state_dir / f"ledger.db{suffix}"
                if source.exists():
                    shutil.copyfile(source, f"{self._copy}{suffix}")
            if self._stamp_now() == before and self._sound():
                # A file system's clock has coarse ticks: what was written just now may be written again under the same stamp.
                settled = time.time_ns() - max(changed for _, changed in before) > TICK_NS
                self._stamp = before if settled else None
                return
        raise AssertionError("the ledger changed under every attempt to copy it")

    def _stamp_now(self) -> _Stamp:
        found = []
        for name in ("ledger.db", "ledger.db-wal"):
            try:
                seen = (self._state_dir / name).stat()
                found.append((seen.st_size, seen.st_mtime_ns))
            except FileNotFoundError:
                found.append((0, 0))
        return tuple(found)

    def _sound(self) -> bool:
        try:
            connection = connect(self._copy)
            try:
                connection.execute("SELECT count(*) FROM journal").fetchone()
            finally:
                connection.close()
        except sqlite3.DatabaseError:
            return False
        return True
