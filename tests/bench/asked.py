"""Decides offline for cards of a list, alone: gather what a decision needs, decide. And its floor on the same file."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from terminal.core.account_book import AccountBook
from terminal.core.authorization import decide, gather
from terminal.core.clock import ClockState
from terminal.core.facts import PinResult, Policy, Request
from terminal.store.live_lists import LiveLists
from tests.bench.lists import NOW, NOZZLES

POLICY = Policy()


class Asked:
    """Decides offline for random cards of a list."""

    def __init__(self, lists: LiveLists, tokens: Sequence[str]) -> None:
        self._lists = lists
        self._tokens = tokens
        self._book = AccountBook([])

    def decide(self, token: str) -> bool:
        """One whole decision: gather what it needs, decide."""
        request = Request(token, "7001234567890", PinResult.RIGHT, NOZZLES, None)
        facts = gather(
            request, None, self._lists, self._lists.deny, self._book, site="S1", zone="Europe/Paris", decimals=2, now_utc=NOW,
            clock_state=ClockState.TRUSTED, lists_checked_utc=NOW, policy=POLICY,
        )  # fmt: skip
        return decide(facts, POLICY).approved

    def times_us(self) -> list[float]:
        """How long each took, one right after the other."""
        return _times(self.decide, self._tokens)

    def floor_us(self) -> list[float]:
        """A bare SELECT by primary key of the same cards, on the same file and over the same connection."""
        file = self._lists.file
        if file is None:
            raise RuntimeError("no list is live")
        execute = file.connection.execute
        keys = [bytes.fromhex(token) for token in self._tokens]
        select = "SELECT body FROM card WHERE token = ?"
        return _times(lambda key: execute(select, (key,)).fetchone(), keys)


def _times(do: Callable[[Any], object], values: Sequence[Any]) -> list[float]:
    clock, found = time.perf_counter_ns, []
    for value in values:
        start = clock()
        do(value)
        found.append((clock() - start) / 1000)
    return found
