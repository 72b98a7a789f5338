"""A host's book that survives: every input that changes it is in SQLite before its answer leaves, and is played again at the next start.

Source: firmware_notes/host-command.md, "The book". ``HostBook`` is pure: the same inputs at the same instants make the same host, with
the same answers, holds, versions and identities. So the inputs are the book, and the tables beside them (``tables``) are for people.
A replay compares every answer with the one that was given, so a host that would not be the same one does not start.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from hal_sim.host.book import Answer, HostBook
from hal_sim.host.crypto import Sealer
from hal_sim.host.messages import encode, instant_text
from hal_sim.host.office import Control, obey
from hal_sim.host.records import Entry
from hal_sim.host.tables import LAYOUT, SCHEMA, Call, Tables

FILE = "book.db"
KEY_HEADER = "idempotency-key"
STORED_ERRORS = 400


class BookBroken(OSError):
    """The book cannot be written: what the host knows is ahead of the file. Nothing more may be answered."""


class CannotOpen(Exception):
    """There is a book, but this host may not go on with it; the text says why, for a person."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The host's four secrets, 32 bytes each."""

    token: bytes = field(repr=False)
    pin: bytes = field(repr=False)
    card: bytes = field(repr=False)
    lists: bytes = field(repr=False)

    def fingerprint(self) -> str:
        """By which a book knows that these are the keys that it was begun with."""
        return hashlib.sha256(b"fleet/book/v1\0" + self.token + self.pin + self.card + self.lists).hexdigest()


class BookClock:
    """The machine's time, standing still while one input is worked on, so that the input has one instant."""

    def __init__(self, now_utc_ms: Callable[[], int]) -> None:
        self._now = now_utc_ms
        self._held: int | None = None

    def __call__(self) -> int:
        """UTC milliseconds."""
        return self._now() if self._held is None else self._held

    @contextmanager
    def at(self, utc_ms: int) -> Iterator[None]:
        """Everything inside happens at this instant."""
        before, self._held = self._held, utc_ms
        try:
            yield
        finally:
            self._held = before


@dataclass(frozen=True, slots=True)
class Heard:
    """One call or control that was taken, for whoever watches. ``message`` and ``answer`` are None where they are no JSON object."""

    at_ms: int
    what: str
    status: int
    message: dict[str, Any] | None
    answer: dict[str, Any] | None


def _object(data: bytes | str) -> dict[str, Any] | None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def connect(folder: Path) -> sqlite3.Connection:
    """The file of a folder, opened so that what is committed survives a power cut. Raises ``sqlite3.Error`` and ``OSError``."""
    os.close(os.open(folder / FILE, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives the files beside it the same rights
    db = sqlite3.connect(folder / FILE, isolation_level=None, check_same_thread=False, timeout=5)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    return db


class SqliteBook(HostBook):
    """``HostBook`` whose calls and controls are kept. One thread at a time, as ``HostBook``.

    ``heard`` is called behind the commit of each call and control, ``broken`` once when the book can no longer be written. ``db`` is the
    open file, ``new`` whether this is its first start, ``replayed`` how many inputs were played again.
    """

    def __init__(self, scenario: dict[str, Any], folder: Path, keys: Keys, now_utc_ms: Callable[[], int]) -> None:
        """Opens or begins the book and plays it. Raises ``CannotOpen``, ``ScenarioError`` and ``sqlite3.Error``."""
        self.heard: Callable[[Heard], None] = lambda heard: None
        self.broken: Callable[[str], None] = lambda why: None
        self._broken = ""
        self.db = connect(folder)
        self._clock = BookClock(now_utc_ms)
        self._keeper = Sealer(keys.card)
        digest = hashlib.sha256(json.dumps(scenario, sort_keys=True).encode()).hexdigest()
        marks = {"layout": str(LAYOUT), "scenario": digest, "keys": keys.fingerprint()}
        self.new = not self.db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
        began_ms = now_utc_ms() if self.new else self._check(marks)
        with self._clock.at(began_ms):
            super().__init__(scenario, self._clock, token_key=keys.token, pin_key=keys.pin, card_key=keys.card, list_key=keys.lists)
        self._tables = Tables(self.db, self)
        self._told = self.cursor({})
        if self.new:
            self._begin(marks | {"began_ms": str(began_ms), "began": instant_text(began_ms)})
        self.replayed = self._replay_inputs()

    def _begin(self, marks: dict[str, str]) -> None:
        self.db.executescript(f"BEGIN IMMEDIATE;{SCHEMA}")
        self.db.executemany("INSERT INTO meta (name, value) VALUES (?, ?)", marks.items())
        self._tables.list_published()
        self.db.execute("COMMIT")

    def _check(self, marks: dict[str, str]) -> int:
        kept = dict(self.db.execute("SELECT name, value FROM meta"))
        if kept.get("layout") != marks["layout"]:
            raise CannotOpen(f"the book has layout {kept.get('layout')}, this program knows {marks['layout']}")
        if kept.get("keys") != marks["keys"]:
            raise CannotOpen("the keys in the folder are not those that the book was begun with")
        if kept.get("scenario") != marks["scenario"]:
            raise CannotOpen("the scenario is not the one that the book was begun with; another scenario needs another folder")
        return int(kept["began_ms"])

    def entries(self) -> list[Entry]:
        """Every booked record, without copying."""
        return self._journal.entries

    def shut(self) -> None:
        """Closes the file. The book can still be read, but takes nothing more."""
        self._broken = self._broken or "the book is closed"
        self.db.close()

    # --- what comes in --------------------------------------------------------------------------------------------------

    def handle(self, method: str, path: str, headers: Any, body: bytes) -> Answer:
        """As ``HostBook.handle``; what changes the book is committed before this returns. Raises ``BookBroken``."""
        if self._broken:
            raise BookBroken(self._broken)
        at_ms = self._clock()
        message = _object(body) if method in ("POST", "PUT") else None
        known = message is None or self._is_repeated(message)
        with self._clock.at(at_ms):
            answer = super().handle(method, path, headers, body)
        content = _object(answer[2]) if answer[1].get("Content-Type") == "application/json" else None
        if message is not None and not known and answer[0] < STORED_ERRORS and content is not None:
            key = next((value for name, value in headers.items() if name.lower() == KEY_HEADER), None)
            self._keep_call(at_ms, f"{method} {path}", key, body, answer, message, content)
        self.heard(Heard(at_ms, f"{method} {path}", answer[0], message, content))
        return answer

    def control(self, control: Control) -> dict[str, Any]:
        """What the office does: obeyed, kept and committed. Raises ``ValueError`` for what cannot be, and ``BookBroken``."""
        if self._broken:
            raise BookBroken(self._broken)
        at_ms = self._clock()
        with self._clock.at(at_ms):
            answer = obey(self, control)
        with self._written():
            number = self._next_input()
            kept = control.sealed(lambda card: {"sealed": self._keeper.seal(card, f"control-{number}"), "token": self.token_of(card)})
            row = (number, at_ms, instant_text(at_ms), "control", control.name, encode(kept).decode(), encode(answer).decode())
            self.db.execute("INSERT INTO input (id, at_ms, at, kind, what, body, answer) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            self._tables.after_control(instant_text(at_ms), self._said())
        self.heard(Heard(at_ms, control.name, 0, None, answer))
        return answer

    def _is_repeated(self, message: dict[str, Any]) -> bool:
        # A stored answer that comes again changes nothing: a terminal that repeats for days does not make the book longer.
        items = message.get("items", [message])
        if type(items) is not list or not items:
            return False
        for item in items:
            key = item.get("key") if type(item) is dict else None
            stored = self._answers.get(key) if type(key) is str else None
            if stored is None or stored[0] != item:
                return False
        return True

    def _keep_call(
        self, at_ms: int, what: str, key: str | None, body: bytes, answer: Answer, message: dict[str, Any], content: dict[str, Any]
    ) -> None:
        parts = tuple(unquote(part) for part in what.partition(" ")[2].partition("?")[0].strip("/").split("/"))
        # Of a terminal's states only the newest says anything, and those that began an epoch: the one before gives its place.
        slot = "/".join(parts) if parts[-1] == "state" and not self.begun else None
        at = instant_text(at_ms)
        with self._written():
            if slot is not None:
                self.db.execute("DELETE FROM input WHERE slot = ?", [slot])
            row = (at_ms, at, "call", what, key, body.decode(), answer[0], answer[2].decode(), slot)
            names = "at_ms, at, kind, what, key, body, status, answer, slot"
            self.db.execute(f"INSERT INTO input ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608
            self._tables.after_call(Call(parts, message, content, at))

    def _next_input(self) -> int:
        found = self.db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'input'").fetchone()
        return 1 if found is None else int(found[0]) + 1

    @contextmanager
    def _written(self) -> Iterator[None]:
        """One transaction. When it fails the book in memory is ahead of the file, and nothing more may be answered from it."""
        try:
            self.db.execute("BEGIN IMMEDIATE")
            yield
            self.db.execute("COMMIT")
        except sqlite3.Error as error:
            self._broken = f"{FILE} cannot be written: {error}"
            self.broken(self._broken)
            raise BookBroken(self._broken) from error

    def _said(self) -> list[dict[str, Any]]:
        """What the stream of events has said since this was last asked."""
        text, self._told = self.news(self._told)
        said = []
        for block in text.decode().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
            if "data" in fields:
                said.append({"event": fields.get("event", ""), "data": json.loads(fields["data"])})
        return said

    # --- playing it again ------------------------------------------------------------------------------------------------

    def _replay_inputs(self) -> int:
        count = 0
        rows = self.db.execute("SELECT id, at_ms, kind, what, key, body, status, answer FROM input ORDER BY id")
        for number, at_ms, kind, what, key, body, status, answer in rows:
            with self._clock.at(at_ms):
                again = self._again(number, kind, what, key, body)
            if again != (status, answer):
                raise CannotOpen(f"input {number} ({what}) is answered otherwise than it was: this is not the program that wrote the book")
            count += 1
        self._said()
        return count

    def _again(self, number: int, kind: str, what: str, key: str | None, body: str) -> tuple[int | None, str]:
        if kind == "control":
            control = Control.unsealed(what, json.loads(body), lambda card: self._keeper.open(card["sealed"], f"control-{number}"))
            return None, encode(obey(self, control)).decode()
        method, _, path = what.partition(" ")
        status, _, content = super().handle(method, path, {} if key is None else {KEY_HEADER: key}, body.encode())
        return status, content.decode()
