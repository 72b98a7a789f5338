"""The readable side of a kept book: tables for people and reports, written in the transaction of the input that they come from.

Source: firmware_notes/host-command.md, "The book", and host-api.md for what the fields mean. Nothing is ever read back from these tables:
the host is what its inputs make of it, so a table can be wrong, but never make the host wrong. Amounts in millilitres, minor units and
1/10000 per litre as in the contract; instants as RFC 3339 text. A card is its token and its last four characters.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hal_sim.host.book import HostBook
from hal_sim.host.messages import instant_text

LAYOUT = 1
SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE input (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL CHECK (kind IN ('call', 'control')),
  what TEXT NOT NULL, key TEXT, body TEXT NOT NULL, status INTEGER, answer TEXT NOT NULL, slot TEXT UNIQUE
);
CREATE TABLE sale (
  sale TEXT PRIMARY KEY, terminal TEXT, epoch INTEGER, sequence INTEGER, received_at TEXT, authorized_at TEXT, ended_at TEXT,
  fuelling_point INTEGER, nozzle INTEGER, product TEXT, price INTEGER, quantity_ml INTEGER, value_minor INTEGER, currency TEXT,
  ended_by TEXT, decided_by TEXT, authorization TEXT, card_token TEXT, card_last4 TEXT, account TEXT, customer TEXT, driver TEXT,
  cost_centre TEXT, medium TEXT, prompts TEXT, list_version INTEGER, flags TEXT, corrections INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX sale_by_time ON sale (ended_at);
CREATE TABLE authorization (
  sale TEXT PRIMARY KEY, authorization TEXT, terminal TEXT, asked_at TEXT, answered_at TEXT, fuelling_point INTEGER, card_token TEXT,
  card_last4 TEXT, account TEXT, customer TEXT, decision TEXT, reason TEXT, quantity_ml INTEGER, value_minor INTEGER, products TEXT,
  state TEXT NOT NULL CHECK (state IN ('open', 'booked', 'reversed', 'declined')), closed_at TEXT
) WITHOUT ROWID;
CREATE TABLE deny (
  kind TEXT, value TEXT, lifted INTEGER, event INTEGER, epoch TEXT, list_version INTEGER, said_at TEXT, effective_at TEXT, acked_at TEXT,
  PRIMARY KEY (kind, value)
) WITHOUT ROWID;
CREATE TABLE closing (
  scope TEXT, name TEXT, closed INTEGER, why TEXT, event INTEGER, said_at TEXT, effective_at TEXT, acked_at TEXT, PRIMARY KEY (scope, name)
) WITHOUT ROWID;
CREATE TABLE list_version (
  epoch TEXT, version INTEGER, row_count INTEGER, content_hash TEXT, issued_at TEXT, confirm_shrink INTEGER, adopted_at TEXT,
  PRIMARY KEY (epoch, version)
) WITHOUT ROWID;
CREATE TABLE correction (
  correction TEXT PRIMARY KEY, event INTEGER, sale TEXT, kind TEXT, quantity_ml INTEGER, value_minor INTEGER, account TEXT, customer TEXT,
  prompts TEXT, why TEXT, said_at TEXT, effective_at TEXT, acked_at TEXT, refused TEXT
) WITHOUT ROWID;
CREATE TABLE batch (
  key TEXT PRIMARY KEY, terminal TEXT, epoch INTEGER, batch INTEGER, attempt INTEGER, at TEXT, first_sequence INTEGER,
  last_sequence INTEGER, records INTEGER, empty INTEGER, quantity_ml INTEGER,
  value_minor INTEGER, result TEXT, missing TEXT, resend_all INTEGER, totals TEXT
) WITHOUT ROWID;
CREATE TABLE terminal_state (
  terminal TEXT PRIMARY KEY, received_at TEXT, version TEXT, in_service INTEGER, clock TEXT, unsent INTEGER, quarantined INTEGER,
  next_sequence INTEGER, epoch INTEGER, list_version INTEGER, faults TEXT, state TEXT
) WITHOUT ROWID;
CREATE VIEW day AS
  SELECT substr(ended_at, 1, 10) AS day_utc, product, customer, count(*) AS sales, sum(quantity_ml) / 1000.0 AS litres,
         sum(value_minor) AS value_minor
  FROM sale WHERE quantity_ml > 0 GROUP BY 1, 2, 3;
"""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that changed something, with what was answered."""

    path: tuple[str, ...]
    message: dict[str, Any]
    answer: dict[str, Any]
    at: str


def insert(db: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    """One row, in the place of an older one with the same key. Names come from this module only, values are bound."""
    names = ", ".join(row)
    marks = ", ".join("?" * len(row))
    db.execute(f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})", [_plain(value) for value in row.values()])  # noqa: S608


def _plain(value: Any) -> Any:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False) if isinstance(value, dict | list | tuple) else value


class Tables:
    """Writes what one input changed. Every method runs inside the caller's transaction."""

    def __init__(self, db: sqlite3.Connection, book: HostBook) -> None:
        self._db = db
        self._book = book

    def after_call(self, call: Call) -> None:
        """A terminal's call."""
        match call.path:
            case ("v1", "authorizations"):
                self._authorization(call)
            case ("v1", "authorizations", sale, "completion"):
                self._sales([sale], call.at)
            case ("v1", "authorizations", sale, "reversal"):
                self._end_authorization(sale, "reversed", call.at)
            case ("v1", "transactions"):
                self._sales([item["sale"] for item in call.message["items"] if type(item.get("sale")) is str], call.at)
            case ("v1", "terminals", _, "events", event, "ack"):
                self._acknowledged(int(event), call)
            case ("v1", "terminals", terminal, "state"):
                self._state(terminal, call)
            case ("v1", "terminals", _, "lists", "cards", "applied"):
                self._adopted(call.message)
            case ("v1", "terminals", _, "batches", _, "close"):
                self._batch(call)

    def after_control(self, at: str, said: Iterable[dict[str, Any]]) -> None:
        """A control: the newest list, and what the stream of events has said since (name and data of each event)."""
        self.list_published()
        for event in said:
            data = event["data"]
            match event["event"]:
                case "deny":
                    self._deny(data, at)
                case "closing":
                    row = {name: data[name] for name in ("scope", "name", "closed", "why")}
                    insert(self._db, "closing", row | {"event": data["id"], "said_at": at})
                case "correction":
                    names = ("correction", "sale", "kind", "quantity_ml", "value_minor", "account", "customer", "prompts", "why")
                    insert(self._db, "correction", {name: data[name] for name in names} | {"event": data["id"], "said_at": at})
                    self._db.execute("UPDATE sale SET corrections = corrections + 1 WHERE sale = ?", [data["sale"]])

    def list_published(self) -> None:
        """The newest version of the list, if it is not there yet."""
        edition = self._book.shelf.newest
        self._db.execute(
            "INSERT OR IGNORE INTO list_version (epoch, version, row_count, content_hash, issued_at, confirm_shrink)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [
                edition.epoch,
                edition.version,
                len(edition.lines),
                edition.content_hash,
                instant_text(edition.issued_ms),
                edition.confirm_shrink,
            ],
        )

    def _authorization(self, call: Call) -> None:
        asked, answer = call.message, call.answer
        held = next((each for each in self._book.open_authorizations() if each.sale == asked["sale"]), None)
        row = {name: answer[name] for name in ("authorization", "decision", "reason", "quantity_ml", "value_minor", "products")}
        row |= {"sale": asked["sale"], "terminal": asked["terminal"], "fuelling_point": asked["fuelling_point"]}
        row |= {"asked_at": asked["requested_at"], "answered_at": call.at, "state": "declined" if held is None else "open"}
        row |= {"card_token": asked["card"]["token"], "card_last4": asked["card"]["last4"]}
        if held is not None:
            row |= {"account": held.account, "customer": held.customer}
        insert(self._db, "authorization", row)

    def _end_authorization(self, sale: str, state: str, at: str) -> None:
        self._db.execute("UPDATE authorization SET state = ?, closed_at = ? WHERE sale = ? AND state = 'open'", [state, at, sale])

    def _sales(self, sales: list[str], at: str) -> None:
        for sale in sales:
            entry = self._book.find(sale)
            if entry is None:
                continue
            record, names = entry.record, (
                "sale", "terminal", "epoch", "sequence", "authorized_at", "ended_at", "fuelling_point", "nozzle", "product", "price",
                "quantity_ml", "value_minor", "currency", "decided_by", "authorization", "medium", "prompts", "list_version",
            )  # fmt: skip
            row = {name: record[name] for name in names} | {"driver": record.get("driver"), "cost_centre": record.get("cost_centre")}
            row |= {"card_token": record["card"]["token"], "card_last4": record["card"]["last4"], "ended_by": record["end"]}
            row |= {"account": entry.account, "customer": entry.customer, "flags": list(entry.flags)}
            row["received_at"] = instant_text(entry.received_at_ms)
            (count,) = self._db.execute("SELECT count(*) FROM correction WHERE sale = ?", [sale]).fetchone()
            insert(self._db, "sale", row | {"corrections": count})
            self._end_authorization(sale, "booked", at)

    def _deny(self, data: dict[str, Any], at: str) -> None:
        ((kind, value),) = data["deny"].items()
        shown = value if isinstance(value, str) else "-".join(value)
        row = {"kind": kind, "value": shown, "lifted": data["lifted"], "event": data["id"], "epoch": data["epoch"]}
        insert(self._db, "deny", row | {"list_version": data["list_version"], "said_at": at})

    def _acknowledged(self, event: int, call: Call) -> None:
        for table in ("deny", "closing", "correction"):
            self._db.execute(
                f"UPDATE {table} SET effective_at = ?, acked_at = ? WHERE event = ? AND acked_at IS NULL",  # noqa: S608
                [call.message["effective_at"], call.at, event],
            )
        if call.message.get("refused") is not None:
            self._db.execute("UPDATE correction SET refused = ? WHERE event = ? AND refused IS NULL", [call.message["refused"], event])

    def _adopted(self, message: dict[str, Any]) -> None:
        self._db.execute(
            "UPDATE list_version SET adopted_at = coalesce(adopted_at, ?) WHERE epoch = ? AND version = ?",
            [message["at"], message["epoch"], message["version"]],
        )

    def _batch(self, call: Call) -> None:
        asked = call.message
        names = ("key", "terminal", "epoch", "batch", "attempt", "first_sequence", "last_sequence", "records", "empty", "totals")
        row = {name: asked[name] for name in names} | {name: call.answer[name] for name in ("result", "missing", "resend_all")}
        row |= {"quantity_ml": sum(each["quantity_ml"] for each in asked["totals"])}
        row |= {"value_minor": sum(each["value_minor"] for each in asked["totals"]), "at": call.at}
        insert(self._db, "batch", row)

    def _state(self, terminal: str, call: Call) -> None:
        state = call.message
        row: dict[str, Any] = {"terminal": terminal, "received_at": call.at, "state": state}
        for column, path in STATE_COLUMNS.items():
            value: Any = state
            for name in path:
                value = value.get(name) if isinstance(value, dict) else None
            row[column] = value
        insert(self._db, "terminal_state", row)


STATE_COLUMNS = {
    "version": ("version",),
    "in_service": ("in_service",),
    "clock": ("clock", "state"),
    "unsent": ("queue", "unsent"),
    "quarantined": ("queue", "quarantined"),
    "next_sequence": ("next_sequence",),
    "epoch": ("epoch",),
    "list_version": ("lists", "cards", "version"),
    "faults": ("faults",),
}
