"""The rows of a card file that tell media and answers: the card table, rules of prompts, odometers. Few, so the table is read whole.

What the rows are: row_shapes.py; what they mean: core/card_table.py and core/prompt_rules.py. (features.md F07, F11.)
"""

from __future__ import annotations

import sqlite3

import msgspec

from terminal.core.card_data import SubjectKind
from terminal.core.card_table import CardRange, ambiguous
from terminal.core.prompt_rules import Odometer, PromptRule
from terminal.core.units import UtcMs
from terminal.store.list_rows import subject_key, subject_of
from terminal.store.row_shapes import OdometerRow, PromptRow

TABLES = """
CREATE TABLE IF NOT EXISTS card_range (first TEXT NOT NULL, last TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (first, last)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS prompt (subject TEXT NOT NULL, prompt TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (subject, prompt)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS odometer (account TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID;
"""
KEYS: dict[str, tuple[str, ...]] = {"card_range": ("first", "last"), "prompt": ("subject", "prompt"), "odometer": ("account",)}

_decode_range = msgspec.json.Decoder(CardRange).decode
_decode_prompt = msgspec.json.Decoder(PromptRow).decode
_decode_odometer = msgspec.json.Decoder(OdometerRow).decode


def missing(connection: sqlite3.Connection) -> bool:
    """A card file of an earlier program has none of these tables."""
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'card_range'").fetchone() is None


def ranges(connection: sqlite3.Connection) -> tuple[CardRange, ...]:
    """The whole card table."""
    return tuple(_decode_range(body) for (body,) in connection.execute("SELECT body FROM card_range"))


def doubt(connection: sqlite3.Connection) -> str | None:
    """What makes the card table one that nobody could follow; it names no number."""
    found = ambiguous(ranges(connection))
    return None if found is None else "two ranges of the card table are as particular as each other and share numbers"


def rules(connection: sqlite3.Connection, account: str, customer: str | None) -> tuple[PromptRule, ...]:
    """The rules of prompts of an account and of its customer."""
    subjects = [subject_key(SubjectKind.CARD, account)]
    if customer is not None:
        subjects.append(subject_key(SubjectKind.CUSTOMER, customer))
    found = []
    for subject in subjects:
        for (body,) in connection.execute("SELECT body FROM prompt WHERE subject = ? ORDER BY prompt", (subject,)):
            row = _decode_prompt(body)
            found.append(
                PromptRule(
                    subject_of(row.subject.card, row.subject.customer),
                    row.prompt.upper(),
                    row.min_digits,
                    row.max_digits,
                    None if row.answers is None else frozenset(row.answers),
                    row.min_step,
                    row.max_step,
                    _per_100(row.most_per_100km_ml, row.most_per_hour_ml),
                    row.wrong,
                    _per_100(row.least_per_100km_ml, row.least_per_hour_ml),
                    row.implausible,
                )
            )
    return tuple(found)


def _per_100(of_km: int | None, of_hours: int | None) -> int | None:
    """Per hundred of what the instrument counts; a rate a hour is a hundred times that for a hundred."""
    return of_hours * 100 if of_km is None and of_hours is not None else of_km


def odometer(connection: sqlite3.Connection, account: str) -> Odometer | None:
    """The reading that the host knows."""
    row = connection.execute("SELECT body FROM odometer WHERE account = ?", (account,)).fetchone()
    if row is None:
        return None
    known = _decode_odometer(row[0])
    return Odometer(known.reading, UtcMs(round(known.at.timestamp() * 1000)))
