"""The composition root: the only file that knows every class. Builds the terminal from its configuration, runs it, takes it down.

A ledger that cannot be written ends the program's inside and starts it again when it can: the pumps are asked, nothing is assumed.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path

from drivers.commands import DeviceCommand, ShowLines
from drivers.events import MediumPresented
from terminal import papers
from terminal.config import Config, ConfigError
from terminal.core.card_lists import ListDelta, ListMark
from terminal.core.clock import ClockState, TerminalClock
from terminal.core.events import ChangesApplied, ListsRefused
from terminal.core.messages import Authorize, SaleMessage
from terminal.core.reasons import Reason
from terminal.core.records import Record
from terminal.core.rest import a_sale_is_open
from terminal.core.rollback import CountedUp
from terminal.core.screens import Screen, reason_text, render
from terminal.core.site import Site
from terminal.core.terminal_state import TerminalState
from terminal.core.units import Instant
from terminal.devices import Devices
from terminal.host.certificates import Pair, PairShelf, known_time
from terminal.host.client import HostClient
from terminal.host.json_lane import Lane
from terminal.host.list_sync import ListSync
from terminal.host.renewal import Renewal
from terminal.host.workers import HostDesk
from terminal.runtime import loop
from terminal.runtime.clock import SystemClock
from terminal.runtime.engine import Engine
from terminal.runtime.inbox import Inbox
from terminal.runtime.logs import line_of
from terminal.runtime.orders import OrderSocket
from terminal.runtime.pulse import StorePulse, silent_ones
from terminal.runtime.status import StatusFile
from terminal.runtime.watchdog import Notifier
from terminal.runtime.working import while_working
from terminal.store.card_file import CardFileError
from terminal.store.card_import import ImportProcess
from terminal.store.care import LedgerCare
from terminal.store.disk_room import DiskRoom
from terminal.store.ledger import Ledger, QueuedMessage, StorageFailed
from terminal.store.live_lists import LiveLists
from terminal.store.recovery import cards_file, points_in_use, recover
from terminal.store.sqlite_kind import keep_ledgers

LOG = logging.getLogger("terminal")
RETRY_STORAGE_MS = 2_000


def version() -> str:
    """The installed version, or that of a source tree."""
    try:
        return installed_version("forecourt-terminal")
    except PackageNotFoundError:
        return "source"


class Terminal:
    """Everything of one run; also the engine's ``Outside``."""

    def __init__(self, config: Config, clock: SystemClock, inbox: Inbox, suspected: set[str]) -> None:
        """``suspected``: see ``LedgerCare``. Raises ``ConfigError`` for keys and certificates that are missing."""
        self.config = config
        self.clock = clock
        self.inbox = inbox
        self.state_dir = Path(config.terminal.state_dir)
        self.lane = Lane(config.terminal.id, config.terminal.site, config.terminal.currency)
        self.care = _care(config, self.lane.encode, suspected)
        self.vault = papers.vault(config)
        self.lists = LiveLists(self.state_dir, layered=self.vault.tpm is not None)
        endpoint = papers.endpoint(config)
        self.importing = ImportProcess()
        sync = ListSync(
            self.lane,
            papers.list_keys(config),
            self.state_dir,
            config.host.upload_ms,
            self.importing,
            tidy=self.lists.tidy,
            tpm=config.keys.tpm or "",
            previous=self._live_file,
            reserve_bytes=config.storage.reserve_mib << 20,
        )
        self._utc_ms: int | None = None
        self._host_valid: tuple[int, int] | None = None
        self._pairs = PairShelf(self.state_dir / "tls", Pair(0, endpoint.certificate, endpoint.key))
        self._known_time = known_time(None, trusted=False, own=self._pairs.current.certificate)

        def connect(pair: Callable[[], Pair] = lambda: self._pairs.current) -> HostClient:
            return HostClient(endpoint, clock.instant, lambda: self._known_time, pair, self._saw_host)

        renewal = Renewal(self.lane, self._pairs, connect, lambda: self._known_time, clock.instant, config.host.upload_ms)
        self.host = HostDesk(self.lane, connect, inbox.post, sync, config.host.authorize_ms, config.host.upload_ms, renewal, inbox.room)
        self.devices = Devices(config, inbox.post, clock.instant, lambda: self._utc_ms, self.vault.token)
        self.orders = OrderSocket(Path(config.terminal.runtime_dir), inbox.post)
        self._started = False

    def _saw_host(self, valid: tuple[int, int]) -> None:
        """From any of the host's threads, before the host has said anything over that connection."""
        self._host_valid = valid

    def _live_file(self) -> str:
        file = self.lists.file
        return "" if file is None else str(file.path)

    # --- running ----------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start every thread that ``open`` has not started."""
        self.devices.start()
        self.host.start()
        self.orders.start()
        self._started = True

    def stop(self) -> None:
        """End every thread; what a pump does goes on and is read at the next start."""
        self.devices.stop(2_000)
        self.orders.stop()
        self.importing.stop()
        if self._started:
            self.host.stop()
        self.lists.close()

    def open(self) -> Ledger:
        """The ledger, whole. While it is examined the pumps are asked how they are: with many rows both take a second.

        Raises ``LedgerError`` and ``StorageFailed``. No device is touched before the ledger's lock was ours: a terminal that serves has it,
        and must not be disturbed at its ports.
        """
        return self.care.open(lambda ledger: self.devices.start_lines(points_in_use(ledger)))

    def serve(self, ledger: Ledger, boot: str, notifier: Notifier, status: StatusFile) -> None:
        """Recover, boot, and serve until ``Shutdown``. Raises ``StorageFailed``."""
        known = recover(ledger, self.config.terminal.id, boot)
        known.counter = self.vault.counter()
        self.devices.remember(known.settled, {sale.fp for sale in known.open_sales})
        file = cards_file(ledger)
        if file is not None:
            try:
                self.lists.use(file, known.list_mark)
            except CardFileError as error:
                LOG.warning("event=CardFileUnreadable why=%r", str(error))
                self.inbox.post(ListsRefused(f"cards: {error}"))
        site = Site(
            self.config.site(version()),
            known,
            boot=boot,
            lists=self.lists,
            vault=self.vault,
            storage=self.care.room,
        )
        site.desk.clock.host_valid = lambda: self._host_valid
        self.care.room.in_use = lambda: a_sale_is_open(site)
        engine = Engine(site, ledger, self)
        engine.committed = _log
        engine.boot(self.clock.instant())
        self._note_time(site.desk.clock, self.clock.instant())
        notifier.ready(f"serving {len(site.points)} fuelling points")
        store = StorePulse(engine)
        notifier.silent = lambda now: silent_ones(self.devices.threads, store, now)

        def between_steps(now: Instant) -> None:
            store.beat(now)
            status.update(site, now)
            for seen in self.care.news(now):
                self.inbox.post(seen)
            self._note_time(site.desk.clock, now)
            self.orders.answer(site.orders.take_answers())
            engine.prune(self.care.prune, now)

        self.care.begin(ledger, self.clock.instant())
        try:
            loop.run(engine, self.inbox, self.clock, notifier, between_steps)
        finally:
            self.care.end()

    def _note_time(self, clock: TerminalClock, now: Instant) -> None:
        """For the threads that judge certificates."""
        self._utc_ms = clock.known_utc(now)
        trusted = clock.state(now) is ClockState.TRUSTED
        self._known_time = known_time(self._utc_ms, trusted=trusted, own=self._pairs.current.certificate, passed_ms=clock.passed_utc(now))

    def wait_for_storage(self, why: str, notifier: Notifier, status: StatusFile) -> bool:
        """Nobody can be served: say so, refuse whoever comes, until a write succeeds. False when asked to stop instead."""
        LOG.error("event=StorageFailed why=%r", why)
        if not self._started:
            self.start()
        notifier.silent = lambda now: silent_ones(self.devices.threads, None, now)
        notifier.ready("waiting for the ledger's disk")
        status.write(
            {
                "state": "waiting for storage",
                "version": version(),
                "pid": os.getpid(),
                "detail": why,
                "faults": [{"code": "STORAGE_FAILED", "subject": "ledger", "detail": why}],
            }
        )
        self._show_all(Screen.OUT_OF_SERVICE, code="STORAGE_FAILED")
        due = self.clock.instant() + RETRY_STORAGE_MS
        while True:
            now = self.clock.instant()
            notifier.feed(now)
            if now >= due:
                return True
            item = self.inbox.take(due - now)
            if item is not None and isinstance(item.event, loop.Shutdown):
                return False
            if item is not None and isinstance(item.event, MediumPresented):
                self._show_all(Screen.REFUSED, reason=reason_text(Reason.TERMINAL_NOT_READY, self.config.terminal.language), code="")

    def _show_all(self, screen: Screen, **fields: object) -> None:
        for side in self.devices.displays:
            self.send(ShowLines(side, render(screen, self.config.terminal.language, **fields)))

    # --- Outside ----------------------------------------------------------------------------------------------------------

    def send(self, command: DeviceCommand) -> None:
        """See ``runtime.engine.Outside``."""
        if isinstance(command, ShowLines):
            display = self.devices.displays.get(command.side)
            if display is not None:
                display.submit(command)
        else:
            self.devices.lines[command.fp].submit(command)

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
        """See ``runtime.engine.Outside``. A file that cannot be opened leaves the old one serving; the next check fetches it again."""
        try:
            self.lists.use(file)
        except CardFileError as error:
            self.inbox.post(ListsRefused(f"cards: {error}"))

    def apply_changes(self, deltas: tuple[ListDelta, ...]) -> ChangesApplied | ListsRefused:
        """See ``runtime.engine.Outside``."""
        return self.lists.changed(deltas)

    def open_push(self, last_event: int) -> None:
        """See ``runtime.engine.Outside``."""
        self.host.open_push(last_event)

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

    def count_up(self) -> CountedUp:
        """See ``runtime.engine.Outside``."""
        return self.vault.count_up()

    def encode(self, message: SaleMessage) -> bytes:
        """See ``runtime.engine.Outside``."""
        return self.lane.encode(message)


def _log(records: list[Record]) -> None:
    for record in records:
        LOG.info("%s", line_of(record))


def run(config: Config) -> None:
    """Run the terminal until it is asked to stop. Raises ``ConfigError`` and ``LedgerError`` in plain words."""
    check(config)  # before anything is made or opened
    clock = SystemClock()
    boot = clock.boot()
    notifier = Notifier.from_environment()
    for directory in (config.terminal.state_dir, config.terminal.runtime_dir):
        _make(Path(directory))
    status = StatusFile(Path(config.terminal.runtime_dir), version())
    gc.freeze()  # what is loaded stays for good: a full collection would walk all of it in the middle of a driver's step
    stop = _Stop()
    suspected = set[str]()  # outlives the terminals below: what the examination does not share must not end one after the other
    while not stop.asked:
        inbox = Inbox(clock)
        stop.post = inbox.post
        if stop.asked:
            break  # between the two lines above
        terminal = _build(config, clock, inbox, suspected)
        try:
            _serve_once(terminal, boot, notifier, status, stop)
            stop.asked = True
        except StorageFailed as error:
            stop.listen()
            if terminal.care.room.give():
                LOG.error("event=BallastGiven why=%r", error)  # what runs is recorded in its place, nothing new is sold
            else:
                if not terminal.wait_for_storage(str(error), notifier, status):
                    stop.asked = True  # and never taken back: the signal may come at any moment
        finally:
            if stop.asked:
                notifier.stopping()
            terminal.stop()


def _care(config: Config, encode: Callable[[SaleMessage], bytes], suspected: set[str]) -> LedgerCare:
    state_dir, storage = Path(config.terminal.state_dir), config.storage
    room = DiskRoom(state_dir, storage.reserve_mib << 20, own_disk=storage.own_disk)
    backups = Path(storage.backup_dir) if storage.backup_dir else state_dir / "backup"
    care = LedgerCare(room, state_dir, backups, storage.backup_minutes * 60_000, encode, suspected)
    care.keep_months = storage.keep_months
    return care


def _serve_once(terminal: Terminal, boot: str, notifier: Notifier, status: StatusFile, stop: _Stop) -> None:
    with while_working(notifier):
        ledger = terminal.open()
    try:
        stop.listen()
        terminal.start()
        ledger.probe()
        terminal.serve(ledger, boot, notifier, status)
    finally:
        ledger.close()


class _Stop:
    """SIGTERM and SIGINT become an event like any other, once ``listen`` was called: a first long examination they may end at once."""

    def __init__(self) -> None:
        self.asked = False
        self.post: Callable[[object], None] = lambda event: None

    def listen(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: object) -> None:
        self.asked = True
        self.post(loop.Shutdown())


def check(config: Config) -> None:
    """Everything that ``run`` would refuse before it opens a device; says how ledgers are kept. Raises ``ConfigError``, ``LedgerError``."""
    keep_ledgers(papers.ledger_key(config) if config.storage.encrypted else None)
    _build(config, SystemClock(), Inbox(SystemClock()), set())


def _build(config: Config, clock: SystemClock, inbox: Inbox, suspected: set[str]) -> Terminal:
    try:
        return Terminal(config, clock, inbox, suspected)
    except ValueError as error:
        raise ConfigError(str(error)) from error  # what a driver knows better than the configuration's own bounds


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{directory}: cannot be made ({error.strerror})") from error
