"""The configuration's devices as threads of their drivers: pump lines, keypads, displays, badge, stripe and card readers.

None opens before ``start``.
"""

from __future__ import annotations

from collections.abc import Callable

from drivers.badge.reader_thread import BadgeReader
from drivers.device_thread import DeviceThread
from drivers.dispenser.azt import profile as azt
from drivers.dispenser.azt.line import AztLine
from drivers.dispenser.dart import profile as dart
from drivers.dispenser.dart.line import DartLine
from drivers.dispenser.line_thread import LineMaster, LineThread
from drivers.display.device import Display
from drivers.display.lk204 import CodePage
from drivers.events import EMERGENCY_STOP
from drivers.keypad.device import Keypad
from drivers.magstripe.device import StripeReader
from drivers.magstripe.wedge import WedgeLayout
from drivers.serial_port import SerialPort
from drivers.site_input.device import SiteInput
from drivers.smartcard.certificate import FleetAuthority
from drivers.smartcard.fleet import ChipKey
from terminal.badges import profiles_of
from terminal.config import Config, ConfigError, resolve
from terminal.config_tables import FuellingPointTable, KeysTable, LineTable, SideTable
from terminal.store.vault import KeyFileError, read_key


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

    def _add_line(self, table: LineTable, config: Config) -> None:
        points = [point for point in config.fuelling_point if point.line == table.name]
        master, port = _LINES[table.protocol](table, points, config.decimals)
        thread = LineThread(f"line-{table.name}", master, port, self._post, self._clock)
        self.threads.append(thread)
        self.lines |= {point.number: thread for point in points}

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
            self.threads.append(
                CardReader(name, side.number, reader.name, post, clock, self._chip_key, self._chip_ca, self._utc_ms, token)
            )


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


# --- pump lines: one builder a protocol -----------------------------------------------------------------------------------------------


def _dart(table: LineTable, points: list[FuellingPointTable], currency_decimals: int) -> tuple[LineMaster, SerialPort]:
    positions = [
        dart.PositionProfile(
            point.number,
            point.address,
            point.volume_decimals,
            point.amount_decimals,
            point.price_decimals,
            point.total_decimals,
            currency_decimals,
            point.combined_start,
            prices_twice=point.prices_twice,
        )
        for point in points
    ]
    profile = dart.LineProfile(
        baudrate=table.baudrate,
        turn_round_ms=table.turn_round_ms,
        ack_turn_round_ms=table.ack_turn_round_ms,
        answer_window_ms=table.answer_window_ms,
        misses_until_lost=table.misses_until_lost,
        live_interval_ms=table.live_interval_ms,
        echo=table.echo,
    )
    return DartLine(table.name, positions, profile), SerialPort(table.port, table.baudrate, "O")


def _azt(table: LineTable, points: list[FuellingPointTable], currency_decimals: int) -> tuple[LineMaster, SerialPort]:
    positions = [
        azt.PositionProfile(
            point.number,
            point.address,
            point.nozzles[0].nozzle,
            point.volume_decimals,
            point.amount_decimals,
            point.price_decimals,
            point.total_decimals,
            currency_decimals,
            slow_down_ml=point.slow_down_ml,
            dose_readback=point.dose_readback,
        )
        for point in points
    ]
    profile = azt.LineProfile(
        baudrate=table.baudrate,
        turn_round_ms=table.turn_round_ms,
        answer_window_ms=table.answer_window_ms,
        misses_until_lost=table.misses_until_lost,
        live_interval_ms=table.live_interval_ms,
    )
    return AztLine(table.name, positions, profile), SerialPort(table.port, table.baudrate, "E", bytesize=7, stopbits=2)


_LINES: dict[str, Callable[[LineTable, list[FuellingPointTable], int], tuple[LineMaster, SerialPort]]] = {"dart": _dart, "azt": _azt}
