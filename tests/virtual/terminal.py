"""The terminal in the virtual world: the real site, engine and ledger on real files, without threads. Power comes and goes."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from drivers.commands import DeviceCommand, ShowLines
from drivers.events import MediumPresented
from terminal.core.card_lists import ListDelta, ListMark
from terminal.core.events import ChangesApplied, ListsRefused
from terminal.core.messages import Authorize, SaleMessage
from terminal.core.reasons import Reason
from terminal.core.rest import a_sale_is_open
from terminal.core.rollback import CountedUp
from terminal.core.screens import Screen, reason_text, render
from terminal.core.site import Site, SiteConfig
from terminal.core.terminal_state import TerminalState
from terminal.core.units import Instant
from terminal.host.json_lane import Lane
from terminal.runtime.engine import Engine, Outside
from terminal.store.card_file import CardFileError
from terminal.store.ledger import Ledger, QueuedMessage, StorageFailed
from terminal.store.live_lists import LiveLists
from terminal.store.opening import open_ledger
from terminal.store.recovery import cards_file, recover
from terminal.store.sqlite_kind import connect
from terminal.store.vault import KeyVault
from tests.virtual.heap import Heap
from tests.virtual.host import VirtualHost
from tests.virtual.line import VirtualLine

RETRY_STORAGE_MS = 2_000


class PowerLost(Exception):
    """The power goes in the middle of a step; raised by what a test puts between engine and ledger."""


class Space:
    """The disk's room, as the terminal asks for it."""

    def __init__(self) -> None:
        self.full = False
        self.ballast = True
        self.eaten = False
        self.in_use: Callable[[], bool] = lambda: False
        self.given: Callable[[], None] = lambda: None

    @property
    def takes_nothing(self) -> bool:
        """Full, and the ballast is still there, or another program has taken what it gave."""
        return self.full and (self.ballast or self.eaten)

    def ready(self) -> bool:
        """See ``core.ports.Storage`` and ``terminal.store.disk_room``, which this stands for."""
        if self.full and not self.in_use():
            self.give()
        return not self.full

    def give(self) -> bool:
        """See ``terminal.store.disk_room.DiskRoom.give``."""
        if not (self.full and self.ballast):
            return False
        self.ballast = False
        self.given()
        return True

    def set_full(self, full: bool) -> None:
        """The disk is full, or has room again, and then the ballast is made anew. What was given is gone when it is full once more."""
        self.eaten = full and self.full and not self.ballast
        self.full, self.ballast = full, self.ballast or not full


def _refuse_writes(connection: sqlite3.Connection, full: bool) -> None:
    """Whatever writes fails as on a full disk; what only reads goes on."""
    connection.set_progress_handler((lambda: int(connection.in_transaction)) if full else None, 1)


class VirtualTerminal:
    """Implements ``Outside`` for its engine, and ``Actor`` for its deadlines."""

    def __init__(
        self, heap: Heap, folder: Path, config: SiteConfig, vault: KeyVault, lane: Lane, host: VirtualHost, lines: dict[int, VirtualLine]
    ) -> None:
        self.heap = heap
        self.folder = folder
        self.config = config
        self.vault = vault
        self.lane = lane
        self.host = host
        self.lines = lines
        self.space = Space()
        self.space.given = self._apply_space
        self.engine: Engine | None = None
        self.powered = False
        self.boots = 0
        self.screens: list[str] = []
        self.after_step: Callable[[], None] = lambda: None
        self.ledger_made: Callable[[Path], Ledger] = lambda path: open_ledger(path, folder / "backup", lane.encode)
        self.engine_made: Callable[[Site, Ledger, Outside], Engine] = Engine
        self.examines: Callable[[], int] = lambda: 0
        """How long the ledger will be examined at this start, in milliseconds: its pumps are asked meanwhile."""
        self._heard: list[object] | None = None
        self._lists: LiveLists | None = None
        self._stepping = False
        self._later: deque[Callable[[Engine], object]] = deque()

    # --- power ------------------------------------------------------------------------------------------------------------

    def power_on(self) -> None:
        """Start the program on a new boot of the machine."""
        if not self.powered:
            self.powered = True
            self.boots += 1
            self.start()

    def start(self) -> None:
        """Start the program; with a disk that takes nothing it waits and says so on the display."""
        took = self.examines()
        if not took:
            self._serve([])
            return
        heard: list[object] = []
        self._heard = heard
        self._ask_pumps()

        def examined() -> None:
            if self._heard is heard:
                self._heard = None
                self._serve(heard)

        self.heap.after(took, examined)

    def _ask_pumps(self, running: Collection[int] = ()) -> None:
        for line in set(self.lines.values()):
            line.power_on(self._hear, running)

    def _hear(self, event: object) -> None:
        """From the lines: while the ledger is examined it waits in the inbox."""
        if self._heard is None:
            self.post(event)
        else:
            self._heard.append(event)

    def _serve(self, heard: Sequence[object]) -> None:
        """``heard``: what the pumps have told while the ledger was examined; empty when that took no time."""
        lists = LiveLists(self.folder)
        boot = f"boot-{self.boots}"
        try:
            ledger = self.ledger_made(self.folder / "ledger.db")
        except StorageFailed:
            self.crash(None)
            self._wait_for_storage()
            return
        if self.space.takes_nothing:
            _refuse_writes(ledger.connection, True)
        try:
            ledger.probe()
            known = recover(ledger, self.config.rules.terminal, boot)
            refused = self._open_cards(lists, cards_file(ledger), known.list_mark)
            site = Site(self.config, known, boot=boot, lists=lists, vault=self.vault, storage=self.space)
            self.space.in_use = lambda: a_sale_is_open(site)
            self.engine = self.engine_made(site, ledger, self)
            self.host.connect(self.post)
            if all(line.master is None for line in self.lines.values()):
                self._ask_pumps({sale.fp for sale in known.open_sales})
            for line in set(self.lines.values()):
                line.remember(known.settled)
            self.engine.boot(Instant(self.heap.now))
            for event in heard if refused is None else (*heard, refused):
                self.post(event)
        except StorageFailed:
            self.crash(ledger)
            self._storage_failed()
        except PowerLost:
            self.powered = False
            self.crash(ledger)
            self.after_step()

    def _open_cards(self, lists: LiveLists, file: str | None, mark: ListMark) -> ListsRefused | None:
        self._lists = lists
        try:
            if file is not None:
                lists.use(file, mark)
        except CardFileError as error:
            return ListsRefused(f"cards: {error}")
        return None

    def power_off(self) -> None:
        """Everything in memory is gone; the files stay as they are."""
        if self.powered:
            self.powered = False
            self.crash(self.engine.ledger if self.engine is not None else None)

    def crash(self, ledger: Ledger | None) -> None:
        """The program ends, in whatever state."""
        self.engine = None
        self._heard = None
        self._later.clear()
        self.host.disconnect()
        for line in set(self.lines.values()):
            line.power_off()
        if self._lists is not None:
            self._lists.close()
        if ledger is not None:
            with contextlib.suppress(sqlite3.Error):
                ledger.connection.set_progress_handler(None, 0)
                ledger.close()

    def _storage_failed(self) -> None:
        """As the program does: up again at once in the ballast's place, or when a write succeeds."""
        if self.space.give():
            self.start()
        else:
            self._wait_for_storage()

    def _wait_for_storage(self) -> None:
        self._show(render(Screen.OUT_OF_SERVICE, self.config.language, code="STORAGE_FAILED"))
        boots = self.boots

        def again() -> None:
            if self.powered and self.engine is None and boots == self.boots:
                self.start()

        self.heap.after(RETRY_STORAGE_MS, again)

    def set_full(self, full: bool) -> None:
        """The ledger's disk takes no further byte, or has room again."""
        self.space.set_full(full)
        self._apply_space()

    def _apply_space(self) -> None:
        if self.engine is not None:
            _refuse_writes(self.engine.ledger.connection, self.space.takes_nothing)

    # --- events -----------------------------------------------------------------------------------------------------------

    def post(self, event: object) -> None:
        """An event enters the inbox and is handled at once: virtual threads do not wait."""
        self.step(lambda engine: engine.step(event, Instant(self.heap.now)))
        if self.engine is None and self.powered and isinstance(event, MediumPresented):
            language = self.config.language
            reason = reason_text(Reason.TERMINAL_NOT_READY, language)
            self._show(render(Screen.REFUSED, language, reason=reason, code=""))

    def step(self, action: Callable[[Engine], object]) -> None:
        """One or more steps of the engine; a disk that fails ends the program and starts it again."""
        self._later.append(action)
        if self._stepping:
            return  # what a step causes at once waits in the inbox like everything else
        self._stepping = True
        try:
            while self._later:
                self._one(self._later.popleft())
        finally:
            self._stepping = False

    def _one(self, action: Callable[[Engine], object]) -> None:
        engine = self.engine
        if engine is None:
            return
        try:
            action(engine)
        except StorageFailed:
            self.crash(engine.ledger)
            self._storage_failed()
        except PowerLost:
            self.power_off()
        self.after_step()

    def next_due(self, now: int) -> int | None:
        """See ``heap.Actor``."""
        return None if self.engine is None else self.engine.deadlines.next_due()

    def look(self, now: int) -> None:
        """See ``heap.Actor``: nothing is done to it without a word."""

    def run(self, now: int, horizon: int) -> None:
        """See ``heap.Actor``: one deadline at a time."""
        self.step(lambda engine: engine.fire_due(Instant(now)))

    # --- Outside ----------------------------------------------------------------------------------------------------------

    def send(self, command: DeviceCommand) -> None:
        """See ``runtime.engine.Outside``."""
        if isinstance(command, ShowLines):
            self._show(command.lines)
        else:
            self.lines[command.fp].submit(command, self.heap.now)

    def ask_host(self, question: Authorize) -> None:
        """See ``runtime.engine.Outside``."""
        self.host.ask(question)

    def upload(self, messages: tuple[QueuedMessage, ...]) -> None:
        """See ``runtime.engine.Outside``."""
        self.host.upload(messages)

    def probe_host(self) -> None:
        """See ``runtime.engine.Outside``."""
        self.host.probe()

    def check_lists(self, epoch: str, version: int, mark: ListMark, whole: bool) -> None:
        """See ``runtime.engine.Outside``."""
        self.host.check_lists(epoch, version, mark, whole)

    def use_cards(self, file: str) -> None:
        """See ``runtime.engine.Outside``."""
        self._live().use(file)
        self._live().tidy()

    def apply_changes(self, deltas: tuple[ListDelta, ...]) -> ChangesApplied | ListsRefused:
        """See ``runtime.engine.Outside``."""
        return self._live().changed(deltas)

    def open_push(self, last_event: int) -> None:
        """See ``runtime.engine.Outside``."""
        self.host.push.open(last_event)

    def ack_event(self, event: int, effective_at: int, refused: str | None) -> None:
        """See ``runtime.engine.Outside``."""
        self.host.ack_event(event, effective_at, refused)

    def report_state(self, state: TerminalState) -> None:
        """See ``runtime.engine.Outside``."""
        self.host.report_state(state)

    def tell_applied(self, epoch: str, version: int, at: int) -> None:
        """See ``runtime.engine.Outside``."""
        self.host.tell_applied(epoch, version, at)

    def fetch_sales(self, epoch: int, after: int) -> None:
        """See ``runtime.engine.Outside``."""
        self.host.fetch_sales(epoch, after)

    def utc_ms(self) -> int | None:
        """The terminal's time, as the card reader is told it; None where it has none."""
        if self.engine is None:
            return None
        return self.engine.site.desk.clock.known_utc(Instant(self.heap.now))

    def count_up(self) -> CountedUp:
        """See ``runtime.engine.Outside``."""
        return CountedUp(None, "there is no TPM")

    def _live(self) -> LiveLists:
        if self._lists is None:
            raise AssertionError("the terminal has no power")
        return self._lists

    def encode(self, message: SaleMessage) -> bytes:
        """See ``runtime.engine.Outside``."""
        return self.lane.encode(message)

    def _show(self, lines: tuple[str, ...]) -> None:
        self.screens.append("\n".join(lines))

    # --- looking ----------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The ledger for reading, with or without power."""
        if self.engine is not None:
            handler = self.space.takes_nothing
            if handler:
                self.engine.ledger.connection.set_progress_handler(None, 0)
            yield self.engine.ledger.connection
            if handler and self.engine is not None:
                _refuse_writes(self.engine.ledger.connection, True)
            return
        connection = connect(self.folder / "ledger.db")
        try:
            yield connection
        finally:
            connection.close()
