"""What the ledger keeps of prices: the one in force at each nozzle, and the changes that wait for their starts."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from terminal.core.price_records import PriceSet, PricesPlanned, PricesTaken
from terminal.core.prices import PriceMemory

Execute = Callable[[str, Sequence[Any]], Any]


def _meta(execute: Execute, name: str, value: int) -> None:
    execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, str(value)))


def planned(execute: Execute, fact: PricesPlanned, seq: int, utc: int) -> None:
    """A change is announced: the stream resumes behind it. It is acknowledged when it is in force."""
    execute("INSERT INTO price_plan VALUES (?, ?)", (fact.version, seq))
    _meta(execute, "price_version", fact.version)
    _meta(execute, "last_event", fact.event)


def in_force(execute: Execute, fact: PriceSet, seq: int, utc: int) -> None:
    """A nozzle has another price."""
    execute(
        "INSERT OR REPLACE INTO price VALUES (?, ?, ?, ?, ?, ?)",
        (fact.fp, fact.nozzle, fact.product, fact.price, fact.version, fact.effective_at),
    )


def taken(execute: Execute, fact: PricesTaken, seq: int, utc: int) -> None:
    """A change is over, and the host is to be told."""
    execute("DELETE FROM price_plan WHERE version = ?", (fact.version,))
    execute("INSERT OR REPLACE INTO ack VALUES (?, ?, ?)", (fact.event, fact.effective_at, fact.refused))


def remembered(db: sqlite3.Connection) -> PriceMemory:
    """Everything that the core must know of prices."""
    found = PriceMemory()
    for row in db.execute("SELECT fp, nozzle, product, price, version, since FROM price"):
        fact = PriceSet(*row)
        found.in_force[fact.fp, fact.nozzle] = fact
    bodies = db.execute("SELECT body FROM price_plan JOIN journal ON journal.seq = price_plan.row ORDER BY version").fetchall()
    found.planned = [msgspec.json.decode(body, type=PricesPlanned) for (body,) in bodies]
    newest = db.execute("SELECT value FROM meta WHERE name = 'price_version'").fetchone()
    found.newest = 0 if newest is None else int(newest[0])
    return found
