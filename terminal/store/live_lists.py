"""Whichever card file is live: reads from it, changes it, puts another one in its place, and folds its log in another thread's time.

What a card file is: card_file.py. Why its journal is a log: firmware_notes/decisions/0007-card-file-wal.md.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from terminal.core.card_data import Balance, Baseline, Card, Customer, DenyList, Limit, Share
from terminal.core.card_lists import NAME, NO_LIST, ListDelta, ListMark
from terminal.core.card_table import CardRange
from terminal.core.events import ChangesApplied, ListsRefused
from terminal.core.prompt_rules import Odometer, PromptRule
from terminal.store.card_file import CardFile, CardFileError


def _second(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=0)


class _Deny:
    def __init__(self, lists: LiveLists) -> None:
        self._lists = lists

    def card(self, token: str) -> bool:
        return self._lists.file is not None and self._lists.file.card_denied(token)

    def customer(self, name: str) -> bool:
        return self._lists.file is not None and self._lists.file.customer_denied(name)

    def in_range(self, number: str) -> bool:
        return self._lists.file is not None and self._lists.file.number_denied(number)


class LiveLists:
    """Whichever card file is live; none at all before the first list arrived. ``own`` False: only looks, and changes no file."""

    def __init__(self, directory: Path, *, own: bool = True, layered: bool | None = None) -> None:
        """``layered``: PINs must have their second layer, or must not; None: nobody checks a PIN by these."""
        self.directory = directory
        self.own = own
        self.layered = layered
        self.file: CardFile | None = None
        self._retired: deque[CardFile] = deque()
        self.epoch = ""
        self.version = 0
        self.deny: DenyList = _Deny(self)

    def use(self, name: str, mark: ListMark = NO_LIST) -> None:
        """Read from this file of the directory from now on. Raises ``CardFileError``; the old one goes on serving then.

        A file that is older than ``mark``, what the ledger knows to have been adopted, is refused: somebody restored it.
        """
        path = self.directory / name
        if self.file is not None and self.file.path == path:
            return
        fresh = CardFile(path, own=self.own)
        if fresh.head.epoch in mark.left or (fresh.head.epoch == mark.epoch and fresh.head.version < mark.version):
            fresh.close()
            found = f"{fresh.head.epoch}/{fresh.head.version}"
            raise CardFileError(f"{path.name}: holds list {found}, older than {mark.epoch}/{mark.version}, which was adopted here")
        if self.layered is not None and fresh.layered is not self.layered:
            fresh.close()
            raise CardFileError(f"{path.name}: its PINs are guarded otherwise than this terminal's; the list is fetched anew")
        old, self.file = self.file, fresh
        self._note(fresh)
        if old is not None:
            old.shrink()  # two lists' pages at once would be 8 MiB more than a terminal has for them
            self._retired.append(old)  # closing folds its log: not in a driver's time, and for nobody's good
        if self.own:
            for other in self.directory.glob("cards-*.db*"):
                if not other.name.startswith(name):  # nor its log and the log's index
                    other.unlink(missing_ok=True)

    def changed(self, deltas: Sequence[ListDelta]) -> ChangesApplied | ListsRefused:
        """Take deltas into the live file, all or none, and say what came of it."""
        if self.file is None:
            return ListsRefused(f"{NAME}: there is no live card file to change", whole=True)
        try:
            self.file.apply(deltas)
        except CardFileError as error:
            return ListsRefused(f"{NAME} {self.epoch}: {error}", whole=True)
        self._note(self.file)
        return ChangesApplied(self.file.path.name, deltas[-1].offer)

    def _note(self, file: CardFile) -> None:
        self.epoch, self.version = file.head.epoch, file.head.version

    def tidy(self) -> None:
        """Close what is no longer live and fold the live file's log into it. On another thread than the core's, which goes on meanwhile."""
        while self._retired:
            self._retired.popleft().close()
        file = self.file
        if file is None or not self.own:
            return
        with contextlib.suppress(sqlite3.Error), contextlib.closing(_second(file.path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def close(self) -> None:
        """Let go of the live file and of those before it."""
        while self._retired:
            self._retired.popleft().close()
        if self.file is not None:
            self.file.close()
            self.file = None

    def card(self, token: str) -> Card | None:
        """See ``core.card_data.CardSource``."""
        return None if self.file is None else self.file.card(token)

    def customer(self, name: str) -> Customer | None:
        """See ``core.card_data.CardSource``."""
        return None if self.file is None else self.file.customer(name)

    def limits(self, account: str, customer: str | None) -> tuple[Limit, ...]:
        """See ``core.card_data.CardSource``."""
        return () if self.file is None else self.file.limits(account, customer)

    def balances(self, account: str, customer: str | None) -> tuple[Balance, ...]:
        """See ``core.card_data.CardSource``."""
        return () if self.file is None else self.file.balances(account, customer)

    def baselines(self, account: str, customer: str | None) -> tuple[Baseline, ...]:
        """See ``core.card_data.CardSource``."""
        return () if self.file is None else self.file.baselines(account, customer)

    def shares(self, account: str, customer: str | None) -> tuple[Share, ...]:
        """See ``core.card_data.CardSource``."""
        return () if self.file is None else self.file.shares(account, customer)

    def online_only(self, number: str) -> bool:
        """See ``core.card_data.CardSource``."""
        return self.file is not None and self.file.online_only(number)

    def ranges(self) -> tuple[CardRange, ...]:
        """See ``core.ports.Lists``."""
        return () if self.file is None else self.file.ranges

    def prompt_rules(self, account: str, customer: str | None) -> tuple[PromptRule, ...]:
        """See ``core.ports.Lists``."""
        return () if self.file is None else self.file.prompt_rules(account, customer)

    def odometer(self, account: str) -> Odometer | None:
        """See ``core.ports.Lists``."""
        return None if self.file is None else self.file.odometer(account)

    def denied_ranges(self, number: str) -> tuple[tuple[str, str], ...]:
        """See ``core.ports.Lists``."""
        return () if self.file is None else self.file.ranges_of(number)
