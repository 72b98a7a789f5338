"""What the host says to a terminal unasked: the newest word about each subject, with ids that are kept, and the acknowledgements.

Source: firmware_notes/host-api.md, section "Push". Pure: ``news`` makes the bytes, whoever has the connection sends them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

HELLO = b": the fleet-card host speaks\n\n"
HEARTBEAT = b": \n\n"


@dataclass(frozen=True, slots=True)
class Word:
    """Something said unasked: the event's name and its data, but for the id."""

    id: int
    event: str
    data: dict[str, Any] = field(repr=False)
    said_at_ms: int

    def as_json(self) -> dict[str, Any]:
        """The data of the event."""
        return {"id": self.id, **self.data}


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What the terminal said of an event: since when it counts there, when we heard of it, and why it cannot do it. UTC milliseconds."""

    effective_at_ms: int
    received_at_ms: int
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a stream has been told: the last event's id, and the newest lists (None: nothing yet)."""

    last_id: int = 0
    lists: tuple[str, int] | None = None


class PushLog:
    """Of each subject only the newest word is kept: what it replaces would say nothing to anybody any more.

    Every correction and every order is a subject of its own, and is kept until it is acknowledged.
    """

    def __init__(self) -> None:
        self.newest_id = 0
        self._words: dict[tuple[str, ...], Word] = {}

    def say(self, event: str, subject: tuple[str, ...], data: dict[str, Any], now_ms: int) -> int:
        """A new word about this subject, in the place of the one before. Its id."""
        self.newest_id += 1
        self._words.pop((event, *subject), None)
        self._words[(event, *subject)] = Word(self.newest_id, event, data, now_ms)
        return self.newest_id

    def acknowledged(self, event_id: int) -> None:
        """The terminal has it: what is done once is not said again. What is closed or denied stays, for terminals that lost it."""
        for subject, word in list(self._words.items()):
            if word.id == event_id and word.event in ("correction", "order", "ledger"):
                del self._words[subject]

    def forget(self, event_id: int) -> None:
        """Nobody needs this word any more."""
        for subject, word in list(self._words.items()):
            if word.id == event_id:
                del self._words[subject]

    def words(self) -> list[Word]:
        """The newest word about each subject, in the order of their ids."""
        return list(self._words.values())

    def resume(self, last_event_id: str) -> Cursor:
        """Where a terminal goes on that has heard up to this event; at the beginning when that is none of ours."""
        known = last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 16 and int(last_event_id) <= self.newest_id
        return Cursor(int(last_event_id) if known else 0)

    def news(self, cursor: Cursor, epoch: str, version: int) -> tuple[bytes, Cursor]:
        """The events that this stream has not been told, in the order of their ids, then the lists, and where it stands then."""
        text = b"".join(_event(word.event, word.as_json(), word.id) for word in self._words.values() if word.id > cursor.last_id)
        lists = (epoch, version)
        if lists != cursor.lists:
            text += _event("lists", {"epoch": epoch, "version": version}, None)
        return text, Cursor(self.newest_id, lists)


def _event(name: str, data: dict[str, Any], number: int | None) -> bytes:
    identity = b"" if number is None else b"id: %d\n" % number
    return b"event: " + name.encode() + b"\n" + identity + b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"
