"""``terminal verify``: is a stopped ledger, or a backup of one, whole, unedited and true in its sums?

Reads only. The journal is the truth: its chain is recomputed, and every table must be what replaying the journal gives. Then the books
are compared: each nozzle's totaliser against its sales and its unattributed deliveries. (design/features.md F65; reference
security-and-reliability 4.1 and 5.2.) What a chain cannot show is a cut tail: for that, compare the head with what the host has seen.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

import msgspec

from terminal.core.returned_record import may_begin
from terminal.core.rollback_mark import LedgerRestored
from terminal.store import returned
from terminal.store.anchor import AnchorError, Start, kept_rows_wrong, start_of
from terminal.store.at_rest import reading
from terminal.store.ledger import LedgerError, chain_hash, chained_body
from terminal.store.replay import MAX_OF_ONE_KIND, NozzleJournal, Replay
from terminal.store.schema import MIGRATIONS


class Severity(Enum):
    """ERROR: the ledger is damaged, edited or wrong. WARNING: the ledger is right and shows something that somebody should look at."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be; ``where`` names a row, a sale, a message or a nozzle."""

    severity: Severity
    what: str
    where: str


@dataclass(frozen=True, slots=True)
class NozzleBook:
    """One nozzle in numbers since the ledger began, in ml. ``went_back_ml``: taken off its totaliser by new meters or roll-overs."""

    fp: int
    nozzle: int
    first_ml: int
    now_ml: int
    sales: int
    sold_ml: int
    unattributed_ml: int
    went_back_ml: int


@dataclass(frozen=True, slots=True)
class Report:
    """What ``verify`` found. ``head`` is the newest journal row's hash in hex, ``rows`` its number.

    ``first_row``: from which row on the journal is there; ``pruned_utc``: when the row before it was written (UTC milliseconds), None where
    nothing was pruned.
    """

    path: str
    findings: tuple[Finding, ...]
    rows: int
    sales: int
    open_sales: int
    unsent: int
    refused_by_host: int
    nozzles: tuple[NozzleBook, ...]
    head: str
    first_row: int = 1
    pruned_utc: int | None = None

    @property
    def sound(self) -> bool:
        """No error; warnings are allowed."""
        return all(finding.severity is not Severity.ERROR for finding in self.findings)

    def as_json(self) -> str:
        """For programs: the fields as they are named here, and ``sound``."""
        return msgspec.json.encode({"sound": self.sound, **msgspec.to_builtins(self)}).decode()

    def lines(self) -> tuple[str, ...]:
        """For people."""
        text = [
            f"{self.path}: {self.rows} journal rows, {self.sales} sales, {self.open_sales} of them open",
            f"for the host: {self.unsent} messages wait, {self.refused_by_host} were refused for good",
            f"head: row {self.rows}, {self.head}",
        ]
        if self.pruned_utc is not None:
            day = datetime.fromtimestamp(self.pruned_utc // 1000, UTC).date()
            text.insert(1, f"the journal is here from row {self.first_row} on; what was written until {day} was pruned, its sums are kept")
        for book in self.nozzles:
            text.append(
                f"fp {book.fp} nozzle {book.nozzle}: {book.sales} sales, {_litres(book.sold_ml)} l; "
                f"without a sale {_litres(book.unattributed_ml)} l; totaliser {_litres(book.first_ml)} → {_litres(book.now_ml)} l"
            )
        text.extend(f"{finding.severity.value.upper()}: {finding.where}: {finding.what}" for finding in self.findings)
        text.append("sound" if self.sound else "NOT SOUND: keep this file as it is and tell the host's operator")
        return tuple(text)


def verify(path: Path) -> Report:
    """Examine a ledger that no program has open. The file, its log and its directory stay as they are.

    Raises ``LedgerBusy`` when a program has it open, ``LedgerError`` when there is no ledger of this schema to examine.
    """
    with reading(path) as db:
        return _Examination(path, db).run()


def known_keys(db: sqlite3.Connection) -> frozenset[str]:
    """Every final message that exists or existed, by key; what a sale without authorization ended with stands nowhere else."""
    keys = {str(key) for (key,) in db.execute("SELECT key FROM outbox")}
    for (body,) in db.execute("SELECT body FROM journal WHERE kind = 'MessageAcknowledged' AND typeof(body) = 'blob'"):
        try:
            keys.add(msgspec.json.decode(body, type=dict[str, str]).get("key", ""))
        except msgspec.DecodeError:
            continue  # the replay names the row
    return frozenset(keys)


def known_lost(db: sqlite3.Connection, start: Start) -> frozenset[str]:
    """Keys of messages that a restoration could not write again: told then, with a fault, and no damage of today."""
    keys = set[str]() if start.snapshot is None else set(start.snapshot.lost)
    rows = db.execute("SELECT body FROM journal WHERE kind = 'LedgerRestored' AND typeof(body) = 'blob' AND seq > ?", (start.seq,))
    for (body,) in rows:
        try:
            keys.update(msgspec.json.decode(body, type=LedgerRestored).messages)
        except msgspec.DecodeError:
            continue  # the replay names the row
    return frozenset(keys)


# --- examining ------------------------------------------------------------------------------------------------------------

COMPARED: dict[str, str] = {
    "sale": "SELECT 'sale ' || sequence, * FROM sale",
    "outbox": "SELECT key, quarantined FROM outbox",
    "total": "SELECT 'fp ' || fp || ' nozzle ' || nozzle, volume_ml FROM total",
    "pin": "SELECT account, epoch, tries FROM pin",
    "badge_counter": "SELECT token, counter FROM badge_counter",
    "odometer": "SELECT account, reading, at, since_ml FROM odometer",
    "deny": "SELECT 'event ' || event, * FROM deny",
    "ack": "SELECT 'event ' || event, effective_at, refused FROM ack",
    "correction": "SELECT correction, sequence, row FROM correction",
    "closing": "SELECT scope || ' ' || name, why, event, since FROM closing",
    "fault": "SELECT code || ' ' || subject, detail, since FROM fault",
    "batch": "SELECT 'batch ' || batch, * FROM batch",
    "price": "SELECT 'fp ' || fp || ' nozzle ' || nozzle, product, price, version, since FROM price",
    "price_plan": "SELECT 'version ' || version, row FROM price_plan",
    "meta": "SELECT name, value FROM meta",
}
"""Table → a row's name, and what is compared of it. A message's body is the host lane's and not in the journal."""


class _Examination:
    """One run over one opened ledger."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self.path = path
        self.db = db
        self.findings: list[Finding] = []
        self.start = Start()
        self.rows = 0
        self.head = self.start.link
        self._counted: Counter[str] = Counter()

    def run(self) -> Report:
        self._check_kind()
        nozzles: tuple[NozzleBook, ...] = ()
        try:
            self._check_file()
            self._check_start()
            self._check_chain()
            with closing(Replay(known_keys(self.db), lambda what, where: self._error("replay", what, where))) as replay:
                if self.start.snapshot is not None:
                    replay.begin(self.start.snapshot)
                for seq, utc, kind, body in self.db.execute(
                    "SELECT seq, utc, kind, body FROM journal WHERE typeof(body) = 'blob' AND seq > ? ORDER BY seq", (self.start.seq,)
                ):
                    replay.take(seq, utc, kind, body)
                self._compare(replay)
                self._check_sequence(replay.gone)
                nozzles = tuple(self._book(fp, nozzle, journal) for (fp, nozzle), journal in sorted(replay.nozzles.items()))
            numbers = [self._one(query) for query in _NUMBERS]
        except sqlite3.DatabaseError as error:
            self._error("file", f"cannot be read to its end ({error}); what follows was not examined", "the file")
            numbers = [0] * len(_NUMBERS)
        self._say_what_was_left_out()
        sales, open_sales, unsent, refused = numbers
        snapshot = self.start.snapshot
        return Report(
            str(self.path),
            tuple(self.findings),
            self.rows,
            sales,
            open_sales,
            unsent,
            refused,
            nozzles,
            self.head.hex(),
            self.start.seq + 1,
            None if snapshot is None else snapshot.utc,
        )

    # --- findings ---------------------------------------------------------------------------------------------------------

    def _error(self, check: str, what: str, where: str) -> None:
        self._counted[check] += 1
        if self._counted[check] <= MAX_OF_ONE_KIND:
            self.findings.append(Finding(Severity.ERROR, what, where))

    def _warn(self, what: str, where: str) -> None:
        self.findings.append(Finding(Severity.WARNING, what, where))

    def _say_what_was_left_out(self) -> None:
        for check, count in self._counted.items():
            if count > MAX_OF_ONE_KIND:
                self.findings.append(Finding(Severity.ERROR, f"{count - MAX_OF_ONE_KIND} more of this kind", check))

    def _one(self, query: str) -> int:
        (number,) = self.db.execute(query).fetchone()
        return int(number)

    # --- checks -----------------------------------------------------------------------------------------------------------

    def _check_kind(self) -> None:
        try:
            version = self._one("PRAGMA user_version")
            known = self._one("SELECT count(*) FROM sqlite_schema WHERE name = 'journal'")
        except sqlite3.DatabaseError as error:
            raise LedgerError(f"{self.path}: not a ledger, or damaged from its first page on ({error})") from error
        if version > len(MIGRATIONS):
            newest = len(MIGRATIONS)
            raise LedgerError(
                f"{self.path}: written by a newer program (schema {version}, this one knows {newest}); verify it with that one"
            )
        if not version or not known:
            raise LedgerError(f"{self.path}: not a ledger")
        if version < len(MIGRATIONS):
            raise LedgerError(
                f"{self.path}: written by an older program (schema {version}); start this one on a copy of it, then verify that"
            )

    def _check_file(self) -> None:
        self.db.execute("PRAGMA cell_size_check = ON")
        for (text,) in self.db.execute(f"PRAGMA integrity_check({MAX_OF_ONE_KIND})"):
            if text != "ok":
                self._error("file", str(text), "the file")

    def _check_start(self) -> None:
        """Behind which row the chain begins, and the older rows that stay. What is before it and does not stay is being deleted."""
        try:
            self.start = start_of(self.db)
        except AnchorError as error:
            self._error("anchor", f"{error}; what follows is examined without it", "the anchor")
            return
        self.rows, self.head = self.start.seq, self.start.link
        wrong = kept_rows_wrong(self.db, self.start)
        if wrong is not None:
            self._error("anchor", wrong, "the rows that stay")

    def _check_chain(self) -> None:
        """Numbers without holes, and every hash made again. Only the first broken link is named: those behind it say nothing new."""
        broken, proved = False, self.start.snapshot is None
        rows = self.db.execute("SELECT seq, utc, clock, kind, body, hash FROM journal WHERE seq > ? ORDER BY seq", (self.start.seq,))
        for seq, utc, clock, kind, body, link in rows:
            self.rows += 1
            if seq != self.rows and not broken:
                self._error("chain", f"row {self.rows} is missing", f"journal row {seq}")
                broken = True
            if not isinstance(body, bytes) or not isinstance(link, bytes) or not isinstance(utc, int):
                self._error("chain", "the row is torn: its values are of no kind that was ever written", f"journal row {seq}")
                broken = True
                continue
            if not broken and chain_hash(self.head, seq, chained_body(utc, clock, kind, body)) != link:
                self._error("chain", "the hash chain breaks here: this row or the one before was changed", f"journal row {seq}")
                broken = True
            self.head = link
            proved = proved or self.start.proved_by(kind, body)
        if not proved:
            self._error("anchor", "not the one that the journal tells of", "the anchor")

    def _compare(self, replay: Replay) -> None:
        lost = known_lost(self.db, self.start)
        for table, query in COMPARED.items():
            wanted = {str(row[0]): _digest(row) for row in replay.db.execute(query)}  # not the rows: they may be more than memory
            unlike = set[str]()
            for row in self.db.execute(query):
                name = str(row[0])
                if wanted.get(name) == _digest(row):
                    del wanted[name]
                else:
                    unlike.add(name)
            for name in sorted(unlike | wanted.keys()):
                where = f"table {table}" if table == "pin" else f"table {table}, {name}"  # an account is nobody's business here
                if name not in unlike and table == "outbox" and name in lost:
                    self._warn("this message was lost when the damaged ledger was made anew; the host never had it from here", where)
                elif name not in unlike:
                    words = "this message is neither queued nor acknowledged" if table == "outbox" else "missing"
                    self._error(table, f"{words}; the journal says it must be there", where)
                elif name not in wanted:
                    self._error(table, "there, and the journal knows nothing of it", where)
                else:
                    self._error(table, "not what the journal says", where)

    def _check_sequence(self, gone: list[tuple[int, int]]) -> None:
        """Within an epoch no number is left out but those that were pruned, or that were lost and did not come back."""
        last = last_epoch = 0
        query = "SELECT epoch, sequence, reserved_row IS ended_row FROM sale ORDER BY epoch, sequence"
        for epoch, sequence, came_back in self.db.execute(query):
            behind = next((first for first, until in gone if first < sequence <= until + 1), sequence)  # what was pruned right before it
            begins = came_back or (epoch != last_epoch and (behind == 1 or may_begin(behind)))
            if behind != last + 1 and not begins:
                self._error("sequence", f"the number before is {last}; sales are numbered without holes", f"epoch {epoch}, sale {sequence}")
            last, last_epoch = sequence, epoch

    def _book(self, fp: int, nozzle: int, journal: NozzleJournal) -> NozzleBook:
        """Totaliser against sales and unattributed fuel: the totaliser and the sales from the tables, the rest from the journal."""
        where = f"fp {fp} nozzle {nozzle}"
        row = self.db.execute("SELECT volume_ml FROM total WHERE fp = ? AND nozzle = ?", (fp, nozzle)).fetchone()
        now = journal.first_ml if row is None else int(row[0])
        query = "SELECT count(*), coalesce(sum(quantity_ml), 0) FROM sale WHERE fp = ? AND nozzle = ? AND state IN ('delivered', 'booked')"
        sales, sold = self.db.execute(query, (fp, nozzle)).fetchone()
        sales, sold = sales + journal.sales, sold + journal.sold_ml
        book = NozzleBook(fp, nozzle, journal.first_ml, now, sales, sold, journal.unattributed_ml, journal.went_back_ml)
        missing = (now + journal.went_back_ml - journal.first_ml) - (sold + journal.unattributed_ml + journal.apart_ml)
        if missing:
            self._error("sums", f"totaliser, sales and unattributed fuel differ by {_litres(missing)} l", where)
        for sale, volume, moved in journal.mismatches:
            self._warn(f"the pump's record says {_litres(volume)} l, its totaliser moved {_litres(moved)} l", f"sale {sale}, {where}")
        if journal.unattributed_ml < 0 and returned.missing(self.db) is None:
            self._warn(f"sales have {_litres(-journal.unattributed_ml)} l more than its totaliser moved, as far as it was read", where)
        if journal.went_back_ml:
            self._warn(f"the totaliser went back by {_litres(journal.went_back_ml)} l: meter exchanged or rolled over", where)
        return book


_NUMBERS = (
    "SELECT count(*) FROM sale",
    "SELECT count(*) FROM sale WHERE state IN ('reserved', 'authorized', 'delivering', 'in doubt')",
    "SELECT count(*) FROM outbox WHERE quarantined = 0",
    "SELECT count(*) FROM outbox WHERE quarantined = 1",
)


def _litres(volume_ml: int) -> str:
    sign = "-" if volume_ml < 0 else ""
    return f"{sign}{abs(volume_ml) // 1000}.{abs(volume_ml) % 1000:03d}"


def _digest(row: Iterable[object]) -> bytes:
    return hashlib.blake2b(repr(row).encode(errors="surrogatepass"), digest_size=16).digest()
