"""What must be true of a disk after a power cut: nothing that was acknowledged is missing, nothing is there twice, the rest is whole.

Two proofs. Of every disk: SQLite itself recovers the ledger and folds its log, and the file that comes of it is, byte for byte, one
that was examined before (integrity, chain, every table against what the program saw when it committed that row), with a head that this
cut allows.
Of a sample, and of each file that is met for the first time where ``thorough``: the product's own way up, ``verify``, recovery, the books
against an account of the journal that knows nothing of them, one more commit, and ``verify`` again.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from bisect import bisect_left
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from terminal.core.account_book import AccountBook, UseState
from terminal.core.messages import Booking, Reverse
from terminal.core.records import TerminalStarted
from terminal.store.card_file import CardFile, CardFileError
from terminal.store.integrity import Severity, verify
from terminal.store.ledger import CHAIN_START, LedgerError, Stamp, StorageFailed, chain_hash, chained_body
from terminal.store.live_lists import LiveLists
from terminal.store.log_repair import examine_log
from terminal.store.opening import open_ledger
from terminal.store.pin_keys import FILE as PIN_KEYS
from terminal.store.pin_keys import PinKeys
from terminal.store.recovery import cards_file, recover
from terminal.store.schema import MIGRATIONS
from terminal.store.sqlite_kind import connect
from tests.powercut.day import PIN_NUMBER, Committed, Listed, PinUsed, table_digest, typed_pin
from tests.powercut.recorder import Records
from tests.powercut.states import State
from tests.simulation.journal_facts import Broken, Facts
from tests.virtual.forecourt import KEYS

LEDGER = "ledger.db"
THOROUGH_EVERY = 25
"""One disk in so many is taken the product's own way up."""


@dataclass(frozen=True, slots=True)
class Known:
    """A folded ledger that was examined. ``seq`` 0: not yet a ledger, or an empty one."""

    seq: int
    hash: bytes
    cards: str | None = None
    mark: tuple[str, int] = ("", 0)


@dataclass(slots=True)
class Tally:
    """What was found, in numbers."""

    states: int = 0
    recovered: int = 0
    images: int = 0
    thorough: int = 0
    behind: int = 0  # states without the commit under way
    ahead: int = 0  # states with it, though nobody was told
    lost_pieces: int = 0
    cards: int = 0
    policies: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)


class Acknowledged:
    """What had been acknowledged at each record of the journal, and what came next."""

    def __init__(self, records: Records) -> None:
        marks = [(at, record[1]) for at, record in enumerate(records) if record[0] == "mark"]
        self._commits = [(at, what) for at, what in marks if isinstance(what, Committed)]
        self._lists = [(at, what) for at, what in marks if isinstance(what, Listed)]
        self._pins = [(at, what.counter) for at, what in marks if isinstance(what, PinUsed)]
        self._committed_at = [at for at, _ in self._commits]
        self.of_row = {what.seq: what for _, what in self._commits}

    def at(self, cut: int) -> tuple[Committed | None, Committed | None]:
        """The last commit that had returned, and the one that was next."""
        done = bisect_left(self._committed_at, cut)
        last = self._commits[done - 1][1] if done else None
        return last, (self._commits[done][1] if done < len(self._commits) else None)

    def list_at(self, cut: int, file: str) -> tuple[str, int]:
        """The newest version that this card file was durably changed to."""
        found = [(what.epoch, what.version) for at, what in self._lists if at < cut and what.file == file]
        return found[-1] if found else ("", 0)

    def pin_at(self, cut: int) -> int:
        """The highest counter of a key that had been used."""
        return max((counter for at, counter in self._pins if at < cut), default=0)


class Checker:
    """Examines disks in ``folder``; remembers what it has examined."""

    def __init__(self, records: Records, folder: Path, *, thorough_every: int = THOROUGH_EVERY) -> None:
        self.acknowledged = Acknowledged(records)
        self.folder = folder
        self.tally = Tally()
        self._thorough_every = thorough_every
        self._ledgers: dict[bytes, Known] = {}
        self._disks: dict[bytes, Known] = {}
        self._cards: dict[bytes, tuple[str, int]] = {}
        self._pins: dict[bytes, int] = {}

    def check(self, state: State) -> Broken | None:
        """None, or what is wrong with this disk."""
        tally = self.tally
        tally.states += 1
        tally.policies[state.policy] += 1
        tally.lost_pieces += state.lost
        self._put(state)
        try:
            known = self._ledger(state)
            self._check_head(state, known)
            self._check_cards(state, known)
            self._check_pins(state)
            if tally.states % self._thorough_every == 0:
                self._put(state)
                self._way_up(state, known)
        except Broken as broken:
            tally.broken[broken.name] += 1
            return broken
        except (sqlite3.Error, LedgerError, StorageFailed, CardFileError) as error:
            tally.broken["does not come up"] += 1
            return Broken("does not come up", f"{type(error).__name__}: {error}")
        return None

    def _put(self, state: State) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for path, content in state.files.items():
            if not path.endswith("-shm") and not path.startswith("/."):  # an index in shared memory is made anew
                (self.folder / path[1:]).write_bytes(content)

    # --- every disk -----------------------------------------------------------------------------------------------------------

    def _ledger(self, state: State) -> Known:
        digest = hashlib.blake2b()
        for name in (LEDGER, f"{LEDGER}-wal", f"{LEDGER}-journal"):
            content = state.files.get(f"/{name}")
            digest.update(b"-" if content is None else len(content).to_bytes(8, "big") + content)
        key = digest.digest()
        known = self._disks.get(key)
        if known is None:
            known = self._disks[key] = self._recovered()
        return known

    def _recovered(self) -> Known:
        """SQLite's own recovery, then the folded file among those that are known."""
        path = self.folder / LEDGER
        if not path.exists():
            return Known(0, CHAIN_START)
        self.tally.recovered += 1
        with closing(connect(path)) as db:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        image = hashlib.blake2b(path.read_bytes()).digest()
        known = self._ledgers.get(image)
        if known is None:
            self.tally.images += 1
            known = self._ledgers[image] = self._examined(path)
        return known

    def _examined(self, path: Path) -> Known:
        with closing(connect(path)) as db:
            (word,) = db.execute("PRAGMA integrity_check").fetchone()
            if word != "ok":
                raise Broken("corrupt", str(word))
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version < len(MIGRATIONS):
                return Known(0, CHAIN_START)
            seq, link = 0, CHAIN_START
            for row, utc, clock, kind, body, told in db.execute("SELECT seq, utc, clock, kind, body, hash FROM journal ORDER BY seq"):
                seq, link = seq + 1, chain_hash(link, row, chained_body(utc, clock, kind, body))
                if row != seq or link != told:
                    raise Broken("chain", f"broken at row {row}")
            committed = self.acknowledged.of_row.get(seq)
            if seq and (committed is None or committed.hash != link):
                raise Broken("made up", f"row {seq} is the head, and no commit ended there")
            if committed is not None and table_digest(db) != committed.tables:
                raise Broken("tables", f"at row {seq} the tables are not what they were when it was committed")
            meta = dict(db.execute("SELECT name, value FROM meta WHERE name IN ('cards_file')"))
            live = db.execute("SELECT body FROM journal WHERE kind = 'ListsAdopted' ORDER BY seq DESC LIMIT 1").fetchone()
        return Known(seq, link, meta.get("cards_file"), _adopted(live))

    def _check_head(self, state: State, known: Known) -> None:
        done, following = self.acknowledged.at(state.cut)
        least = 0 if done is None else done.seq
        if known.seq < least:
            raise Broken("lost", f"row {least} was acknowledged, the head is row {known.seq}")
        if known.seq > least:
            if following is None or known.seq != following.seq:
                raise Broken("made up", f"row {known.seq} is the head, and at most the commit behind row {least} had begun")
            self.tally.ahead += 1
        else:
            self.tally.behind += following is not None

    def _check_cards(self, state: State, known: Known) -> None:
        """The file that the ledger names is there, whole, and as new as anybody was told."""
        if known.cards is None:
            return
        self.tally.cards += 1
        digest = hashlib.blake2b()
        for name in (known.cards, f"{known.cards}-wal"):
            digest.update(state.files.get(f"/{name}", b"-") + b"\0")
        key = digest.digest()
        if key not in self._cards:
            self._cards[key] = _whole_cards(self.folder / known.cards)
        found = self._cards[key]
        for wanted in (known.mark, self.acknowledged.list_at(state.cut, known.cards)):
            if wanted[0] and (wanted[0] != found[0] or found[1] < wanted[1]):
                raise Broken("card file", f"{known.cards} holds {'/'.join(map(str, found))}, and {wanted[0]}/{wanted[1]} was acknowledged")

    def _check_pins(self, state: State) -> None:
        """No key for PIN blocks comes a second time."""
        used = self.acknowledged.pin_at(state.cut)
        content = state.files.get(f"/{PIN_KEYS}")
        if not used:
            return
        if content is None:
            raise Broken("PIN keys", "the file is gone")
        if content not in self._pins:
            block = PinKeys(self.folder / PIN_KEYS, KEYS[1]).encipher(PIN_NUMBER, typed_pin())
            if block is None:
                raise Broken("PIN keys", "the file cannot be read")
            self._pins[content] = int(block.ksn[-8:], 16)
        if self._pins[content] <= used:
            raise Broken("PIN keys", f"key {used} was used, and {self._pins[content]} comes next")

    # --- the product's own way up ---------------------------------------------------------------------------------------------

    def _way_up(self, state: State, known: Known) -> None:
        self.tally.thorough += 1
        path = self.folder / LEDGER
        _, following = self.acknowledged.at(state.cut)
        may_be = {known.seq}
        if following is not None and examine_log(state.files.get(f"/{LEDGER}-wal", b"")).torn:
            may_be.add(following.seq)  # SQLite drops the commit under way, of which one bit is missing; the product mends it
        if known.seq:
            _check_verified(path)
        ledger = open_ledger(path, self.folder / "backup", _no_encoding)
        try:
            if list(self.folder.glob("*.damaged-*")):
                raise Broken("taken for damage", "a power cut's disk was kept aside")
            if ledger.head[0] not in may_be or (ledger.head[0] == known.seq and ledger.head[1] != known.hash):
                raise Broken("head", "the product finds another head than SQLite's recovery did")
            found = recover(ledger, "OPT1", "boot-after")
            facts = Facts.read(ledger.connection)
            held = {use.sale: (use.quantity_ml, use.value_minor) for use in found.uses if use.state is not UseState.DELIVERED}
            if held != facts.held():
                raise Broken("holds", f"{len(held)} holds in memory, {len(facts.held())} by the journal, or other amounts")
            told = {
                use.sale: (use.quantity_ml, use.value_minor)
                for use in AccountBook(found.uses).snapshot()
                if use.state is UseState.DELIVERED
            }
            counted = {sale: one.counted() for sale, one in facts.sales.items() if one.delivered is not None}
            wanted = {sale: (one.quantity_ml, one.value_minor) for sale, one in counted.items() if one.quantity_ml or one.value_minor}
            if told != wanted:
                raise Broken("use", "what counts on limits is not what the journal's sales delivered")
            if found.minting.next_sequence != facts.last_sequence + 1:
                raise Broken("sequence", f"next is {found.minting.next_sequence}, the last was {facts.last_sequence}")
            file = cards_file(ledger)
            if file is not None:
                lists = LiveLists(self.folder)
                lists.use(file, found.list_mark)
                lists.close()
            ledger.commit(Stamp(1_900_000_000_000, "untrusted"), [TerminalStarted("boot-after", "1.0")], [])
        finally:
            ledger.close()
        if known.seq:
            _check_verified(path)


def _no_encoding(message: Booking | Reverse) -> bytes:
    raise Broken("taken for damage", f"a record is made again: {message.key}")


def _check_verified(path: Path) -> None:
    errors = [finding for finding in verify(path).findings if finding.severity is Severity.ERROR]
    if errors:
        raise Broken("verify", f"{errors[0].where}: {errors[0].what}")


def _whole_cards(path: Path) -> tuple[str, int]:
    """Epoch and version of a card file of which every row is as its head says."""
    with closing(CardFile(path, own=True)) as file:
        (word,) = file.connection.execute("PRAGMA integrity_check").fetchone()
        if word != "ok":
            raise Broken("card file", f"{path.name}: {word}")
        if file.content_hash() != file.head.content_hash:
            raise Broken("card file", f"{path.name} is not what its head says")
        return file.head.epoch, file.head.version


def _adopted(row: tuple[bytes] | None) -> tuple[str, int]:
    if row is None:
        return "", 0
    found = msgspec.json.decode(row[0])
    return str(found["epoch"]), int(found["version"])
