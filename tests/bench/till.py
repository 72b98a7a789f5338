"""The terminal's inside on a real ledger and a real card file, offline, without devices: for what a driver's last key costs.

Drivers come one after another to the only pump; the terminal's time is a number, so that the armed pump of a driver who never lifts is
free again at once. What is timed is the one step that answers the last key: decide, hold, commit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from drivers.commands import DeviceCommand, ReadTotal
from drivers.events import Key, KeyPressed, MediumKind, MediumPresented, MediumRemoved, PumpStatus, PumpSurveyed, TotalReported
from terminal.core.card_data import PinRule
from terminal.core.card_lists import ListDelta
from terminal.core.events import ChangesApplied, HostTrouble, ListsRefused
from terminal.core.facts import Policy
from terminal.core.ids import SaleId
from terminal.core.messages import SaleMessage
from terminal.core.pin import PinBlock, PinEntry
from terminal.core.point_config import PointConfig
from terminal.core.records import Record, SaleReserved
from terminal.core.site import Site, SiteConfig
from terminal.core.teller import SiteRules
from terminal.core.units import Instant, UtcMs
from terminal.host.json_lane import Lane
from terminal.runtime.engine import Engine
from terminal.store.ledger import Ledger, QueuedMessage, Stamp
from terminal.store.live_lists import LiveLists
from terminal.store.projection import Execute
from terminal.store.recovery import recover
from tests.bench.lists import NOW, NOZZLES

TERMINAL = "OPT1"
TOTAL_ML = 100_000
NEVER_FOLDED = 10_000_000
"""Pages of the log before SQLite folds it into the file: the log only grows, and by how much is what a commit has written."""
ROUND_MS = 240_000
CLONES_A_COMMIT = 200


class _Vault:
    """Drivers' numbers are places in the list of tokens; every PIN is right, and checked at an earlier key."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tokens

    def token(self, number: str) -> str:
        return self._tokens[int(number) % len(self._tokens)]

    def seal(self, number: str, sale: SaleId) -> str:
        return "8FSAaYwfBXR+5wIBK9E3Tmc9KuWD4B7fJRn20kyW"

    def seal_second(self, number: str, sale: SaleId) -> str:
        return self.seal(number, sale)

    def answer(self, subject: str, prompt: str, answer: str) -> str:
        return "00" * 16

    def pin_block(self, number: str, pin: PinEntry) -> PinBlock | None:
        return None

    def pin_matches(self, rule: PinRule, account: str, pin: PinEntry) -> bool:
        return True


class _Timed(Ledger):
    """The ledger, and how long its last commit took."""

    last_ms = 0.0

    def commit(
        self,
        stamp: Stamp,
        records: Sequence[Record],
        messages: Sequence[QueuedMessage],
        also: Callable[[Execute], None] = lambda execute: None,
    ) -> None:
        began = time.perf_counter_ns()
        super().commit(stamp, records, messages, also)
        self.last_ms = (time.perf_counter_ns() - began) / 1e6


class _Room:
    """The disk has room."""

    def ready(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Step:
    """The step that answered a driver's last key: the commit with the hold, all of it, and what went into the log."""

    hold_ms: float
    ms: float
    log_bytes: int


@dataclass
class Till:
    """Engine, site and ledger. ``approved`` counts the drivers who were sent to the pump."""

    folder: Path
    lists: LiveLists
    tokens: Sequence[str]
    name: str = "ledger.db"
    fold_after_pages: int = NEVER_FOLDED
    approved: int = 0
    _asked: list[DeviceCommand] = field(default_factory=list)
    _records: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lane = Lane(TERMINAL, "S1", "EUR")
        self.ledger = _Timed(self.folder / self.name, autocheckpoint_pages=self.fold_after_pages)
        self.log = self.folder / f"{self.name}-wal"
        self.now = Instant(1_000_000)
        self._open()

    def _open(self) -> None:
        rules = SiteRules(TERMINAL, "S1", "Europe/Paris", "EUR", 2, Policy())
        config = SiteConfig(rules, (PointConfig(1, NOZZLES),), (1,), "en")
        began = time.perf_counter_ns()
        known = recover(self.ledger, TERMINAL, "b")
        site = Site(config, known, boot="b", lists=self.lists, vault=_Vault(self.tokens), storage=_Room())
        self.recovered_ms = (time.perf_counter_ns() - began) / 1e6
        self.site = site
        self.engine = Engine(site, self.ledger, self)
        self.engine.committed = self._records.extend
        self.engine.boot(self.now)
        site.link.failed(HostTrouble.NO_LINE, "unplugged")
        self._step(PumpSurveyed(1, PumpStatus.RESET, None))
        self._trust()

    # --- the engine's outside -------------------------------------------------------------------------------------------------

    def send(self, command: DeviceCommand) -> None:
        """Kept until the step is over."""
        self._asked.append(command)

    def encode(self, message: SaleMessage) -> bytes:
        """As the terminal's own."""
        return self.lane.encode(message)

    def use_cards(self, file: str) -> None:
        """See ``Outside``."""
        self.lists.use(file)

    def apply_changes(self, deltas: tuple[ListDelta, ...]) -> ChangesApplied | ListsRefused:
        """See ``Outside``."""
        return self.lists.changed(deltas)

    def __getattr__(self, name: str) -> Any:
        """The host is away: nothing else is answered."""
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *told: None

    # --- a driver ---------------------------------------------------------------------------------------------------------------

    def driver(self, number: int) -> Step:
        """One driver who is sent to the pump and never lifts the nozzle. Raises RuntimeError when he is not sent there."""
        self._trust()
        self._step(MediumPresented(1, MediumKind.BADGE, str(number)))
        self._step(MediumRemoved(1, MediumKind.BADGE))
        for key in ("1", "2", "3", "4", "enter", "1"):
            self._step(KeyPressed(1, Key(key)))
        size, count = self.log.stat().st_size, len(self._records)
        event = KeyPressed(1, Key.ENTER)
        began = time.perf_counter_ns()
        self.engine.step(event, self.now)
        took = (time.perf_counter_ns() - began) / 1e6
        grown = self.log.stat().st_size - size
        kinds = [type(record) for record in self._records[count:]]
        if SaleReserved not in kinds:
            raise RuntimeError(f"a driver was not sent to the pump: {kinds} {self.site.desk.faults.active}")
        self._answer()
        self.approved += 1
        self._pass(ROUND_MS)
        return Step(self.ledger.last_ms, took, grown)

    def event(self, event: object) -> None:
        """One step, with what follows from it."""
        self._step(event)

    def utc(self) -> UtcMs:
        """The terminal's time."""
        return self.site.desk.clock.utc(self.now)

    def sample(self, number: int) -> tuple[list[Record], list[QueuedMessage]]:
        """The facts and messages of one such driver, to be made many of."""
        count = len(self._records)
        self.driver(number)
        rows = self.ledger.connection.execute("SELECT key, body FROM outbox ORDER BY id DESC LIMIT 1").fetchall()
        return [one for one in self._records[count:] if hasattr(one, "sale")], [QueuedMessage(key, body) for key, body in rows]

    def close(self) -> None:
        """Close the ledger."""
        self.ledger.close()

    # --- inside -----------------------------------------------------------------------------------------------------------------

    def _step(self, event: object) -> None:
        self.engine.step(event, self.now)
        self._answer()

    def _answer(self) -> None:
        while self._asked:
            command = self._asked.pop(0)
            if isinstance(command, ReadTotal):
                self.engine.step(TotalReported(command.fp, command.nozzle, TOTAL_ML), self.now)

    def _pass(self, ms: int) -> None:
        end = self.now + ms
        while (due := self.engine.deadlines.next_due()) is not None and due <= end:
            self.now = Instant(max(self.now, due))
            self.engine.fire_due(self.now)
            self._answer()
        self.now = Instant(end)

    def _trust(self) -> None:
        """The host was heard a moment ago and is away again: the clock and the lists are as good as they can be offline."""
        utc = UtcMs(NOW + self.now)
        self.site.desk.clock.host_said(utc, self.now)
        self.site.teller.lists_checked = utc


def unsent(folder: Path, name: str, lists: LiveLists, tokens: Sequence[str], count: int, fold_after_pages: int = NEVER_FOLDED) -> Till:
    """A till whose ledger has so many unsent sales: one was played, the others are its facts and message under other names and cards.

    Each of them is in the journal, in the tables and in the outbox as if it had been played; the terminal is started again on that ledger.
    """
    till = Till(folder, lists, tokens, name)
    records, (message,) = till.sample(0)
    pattern = next(one for one in records if isinstance(one, SaleReserved))
    body: dict[str, Any] = msgspec.json.decode(message.body)
    clock = till.site.desk.clock
    stamp = Stamp(clock.utc(till.now), clock.state(till.now).value)
    first, left = pattern.sequence + 1, list(range(pattern.sequence + 1, pattern.sequence + 1 + count))
    while left:
        now, left = left[:CLONES_A_COMMIT], left[CLONES_A_COMMIT:]
        facts, messages = [], []
        for sequence in now:
            sale = SaleId(f"{TERMINAL}-1-{sequence}")
            token = tokens[(sequence - first) % len(tokens)]
            for record in records:
                facts.append(_renamed(record, sale, sequence, token))
            key = message.key.replace(str(pattern.sale), str(sale))
            changed = {**body, "key": key, "sale": sale, "sequence": sequence, "card": {**body["card"], "token": token}}
            messages.append(QueuedMessage(key, msgspec.json.encode(changed)))
        till.ledger.commit(stamp, facts, messages)
    till.close()
    return Till(folder, lists, tokens, name, fold_after_pages)


def _renamed(record: Any, sale: SaleId, sequence: int, token: str) -> Any:
    changes: dict[str, Any] = {"sale": sale}
    if isinstance(record, SaleReserved):
        changes |= {"sequence": sequence, "account": token, "card": replace(record.card, token=token)}
    return replace(record, **changes)
