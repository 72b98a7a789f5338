"""The configuration's devices as threads of their drivers: pump lines, keypads, displays, badge, stripe and card readers.

None opens before ``start``.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from drivers.badge.reader_thread import BadgeReader
from drivers.commands import PumpCommand
from drivers.device_thread import DeviceThread
from drivers.dispenser.line_thread import LineThread
from drivers.display.device import Display
from drivers.display.lk204 import CodePage
from drivers.events import EMERGENCY_STOP, DeviceEvent
from drivers.keypad.device import Keypad
from drivers.magstripe.device import StripeReader
from drivers.magstripe.wedge import WedgeLayout
from drivers.serial_port import PortLost, SerialPort
from drivers.site_input.device import SiteInput
from drivers.smartcard.certificate import FleetAuthority
from drivers.smartcard.fleet import ChipKey
from terminal.badges import profiles_of
from terminal.config import Config, ConfigError, resolve
from terminal.config_tables import KeysTable, LineTable, SideTable
from terminal.pump_protocols import PROTOCOLS
from terminal.pump_tables import line_settings, profiles_on, seats_of
from terminal.runtime.clock import SystemClock
from terminal.store.vault import KeyFileError, read_key

REOPEN_S = 0.1
"""Some drivers of ports refuse to be set twice within a moment."""


class Devices:
    """All threads of the hardware; ``lines`` by fuelling point and ``displays`` by side take commands."""

    def __init__(
        self,
        config: Config,
        post: Callable[[object], None],
        clock: Callable[[], int],
        utc_ms: Callable[[], int | None] = lambda: None,
        token: Callable[[str], str] | None = None,
    ) -> None:
        """``post`` takes what the devices tell, ``clock`` gives milliseconds, ``utc_ms`` the terminal's time (None: unknown),
        ``token`` a number's keyed token.

        Raises ``ValueError`` for bounds of a driver, ``ConfigError`` for a key that cannot be read.
        """
        self._config = config
        self._post = post
        self._clock = clock
        self.displays: dict[int, Display] = {}
        self.lines: dict[int, LineThread] = {}
        self.threads: list[DeviceThread] = []
        self._started: set[DeviceThread] = set()
        self._chip_key = _chip_key(config.keys)
        self._chip_ca = _chip_ca(config.keys)
        self._utc_ms = utc_ms
        self._token = token
        for line in config.line:
            self._add_line(line, config)
        for side in config.side:
            self._add_side(side)
        button = config.emergency_stop
        if button is not None:
            self.threads.append(SiteInput("emergency-stop", post, clock, EMERGENCY_STOP, button.code, button.path, button.phys))

    def start_lines(self, running: Collection[int]) -> None:
        """The threads of the pump lines. ``running``: points at which a sale has not ended, which are asked first."""
        lines = dict.fromkeys(self.lines.values())
        for line in lines:
            line.survey_first(running)
        self._start(lines)

    def start(self) -> None:
        """All threads that were not started yet."""
        self._start(self.threads)

    def _start(self, threads: Iterable[DeviceThread]) -> None:
        for thread in threads:
            if thread not in self._started:
                self._started.add(thread)
                thread.start()

    def stop(self, limit_ms: int) -> None:
        """End all threads, waiting so long for each."""
        for thread in self.threads:
            thread.stop(limit_ms)

    def remember(self, settled: Mapping[tuple[int, int], int], running: Collection[int]) -> None:
        """For the lines, before any command to them: what the ledger, now that it is known to be whole, says of the heads' own counts, and
        at which points a sale has not ended.
        """
        for line in dict.fromkeys(self.lines.values()):
            line.survey_first(running)
            line.remember(settled)

    def _add_line(self, table: LineTable, config: Config) -> None:
        thread = pump_line(config, table, self._post, self._clock)
        self.threads.append(thread)
        self.lines |= {point.number: thread for point in config.fuelling_point if point.line == table.name}

    def _add_side(self, side: SideTable) -> None:
        post, clock = self._post, self._clock
        if side.display is not None:
            display = Display(
                f"display-{side.number}",
                side.number,
                side.display.port,
                post,
                clock,
                CodePage(side.display.code_page),
                side.display.baudrate,
            )
            self.displays[side.number] = display
            self.threads.append(display)
        if side.badge_reader is not None:
            profiles = profiles_of(self._config, side.badge_reader)
            self.threads.append(BadgeReader(f"badge-{side.number}", side.number, side.badge_reader.port, post, clock, profiles))
        if side.keypad is not None:
            self.threads.append(Keypad(f"keypad-{side.number}", side.number, post, clock, side.keypad.path, side.keypad.phys))
        if side.stripe_reader is not None:
            stripe = side.stripe_reader
            layout = WedgeLayout(stripe.layout)
            name = f"stripe-{side.number}"
            self.threads.append(StripeReader(name, side.number, post, clock, stripe.path, stripe.phys, layout, stripe.lrc))
        if side.card_reader is not None:
            # Here, not above: the library looks for the PC/SC service's own as soon as it is loaded, and a terminal without a card
            # reader need not have it.
            from drivers.smartcard.reader import CardReader

            name, reader, token = f"card-{side.number}", side.card_reader, self._token if side.card_reader.bank_cards else None
            self.threads.append(CardReader(name, side.number, reader.name, post, clock, self._chip_key, self._chip_ca, self._utc_ms, token))


def pump_line(config: Config, table: LineTable, post: Callable[[object], None], clock: Callable[[], int]) -> LineThread:
    """The thread of one pump line with all its fuelling points. Raises ``ValueError`` for bounds of the driver."""
    points = [point for point in config.fuelling_point if point.line == table.name]
    protocol, own = PROTOCOLS[table.protocol], config.pump_profile
    settings = line_settings(table, protocol, profiles_on(points, protocol, own))
    master = protocol.build(table.name, seats_of(points, protocol, own), settings, config.decimals)
    return LineThread(f"line-{table.name}", master, serial_port(table), post, clock)


class PumpLines:
    """The pump lines alone, for a hand that is no terminal: ``events`` gives what their heads tell. A context manager."""

    def __init__(self, config: Config) -> None:
        self._told: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._clock = SystemClock().instant
        self._threads: list[LineThread] = []
        self._by_point: dict[int, LineThread] = {}
        self._ports = [serial_port(table) for table in config.line]
        for table in config.line:
            thread = pump_line(config, table, self._told.put, self._clock)
            self._threads.append(thread)
            self._by_point |= {point.number: thread for point in config.fuelling_point if point.line == table.name}

    def __enter__(self) -> PumpLines:
        """Raises ConfigError for a port that cannot be had: said now, and not as heads that do not answer."""
        for port in self._ports:
            try:
                port.open()
            except PortLost as error:
                raise ConfigError(str(error)) from error
            port.close()
        threading.Event().wait(REOPEN_S)
        for thread in self._threads:
            thread.start()
            thread.remember({})  # there is no ledger: a head's own word is believed
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.stop()

    def submit(self, command: PumpCommand) -> None:
        """Tell a head."""
        self._by_point[command.fp].submit(command)

    def events(self, limit_ms: int) -> Iterator[DeviceEvent]:
        """What the heads tell, as it comes, until so much time is over."""
        end = self._clock() + limit_ms
        while True:
            try:
                yield self._told.get(timeout=max(0, end - self._clock()) / 1000)
            except queue.Empty:
                return


def serial_port(table: LineTable) -> SerialPort:
    """The port of a pump line, as its protocol wants it."""
    mode = PROTOCOLS[table.protocol].serial
    return SerialPort(table.port, table.baudrate, mode.parity, bytesize=mode.bytesize, stopbits=mode.stopbits)


def _chip_key(keys: KeysTable) -> ChipKey | None:
    if keys.chip is None:
        return None
    try:
        return ChipKey(read_key(resolve(keys.chip)), keys.chip_version)
    except KeyFileError as error:
        raise ConfigError(f"keys.chip: {error}") from error


def _chip_ca(keys: KeysTable) -> FleetAuthority | None:
    if keys.chip_ca is None:
        return None
    path = resolve(keys.chip_ca)
    try:
        return FleetAuthority(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"keys.chip_ca: {path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"keys.chip_ca: {path}: {error}") from error
