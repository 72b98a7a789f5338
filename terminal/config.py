"""The terminal's one TOML file, read once, strictly: an unknown name, a missing one or a value out of range stops the start.

Prices are written as text (``"1.729"``), because a TOML number with a point is a float. ``credential:NAME`` as a path means the file of
that name that systemd handed us in $CREDENTIALS_DIRECTORY.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from terminal.core.card_data import Nozzle
from terminal.core.currencies import decimals_of
from terminal.core.deny_book import OnDeny
from terminal.core.facts import Policy
from terminal.core.host_link import HostTimes
from terminal.core.point_config import PointConfig, PointTimes
from terminal.core.session import SessionTimes
from terminal.core.site import SiteConfig
from terminal.core.teller import SiteRules
from terminal.core.texts import LANGUAGES

Ms = Annotated[int, msgspec.Meta(ge=50, le=3_600_000)]
Millilitre = Annotated[int, msgspec.Meta(ge=0, le=10_000_000)]
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,40}$")]
_PRICE = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4})?")


class ConfigError(Exception):
    """The configuration cannot be used; the text names file and key and is meant for people."""


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class TerminalTable(_Table, frozen=True):
    """Who and where this terminal is."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9]{1,16}$")]
    site: Name
    zone: str
    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$")]
    state_dir: str
    runtime_dir: str
    language: str = "fr"


class PolicyTable(_Table, frozen=True):
    """The operator's own rules; amounts in millilitres and minor units. Accounts are tokens (32 hex digits)."""

    terminal_cap_ml: Millilitre = 990_000
    terminal_cap_minor: Annotated[int, msgspec.Meta(ge=1)] | None = None
    only_terminal: bool = False
    emergency_accounts: tuple[str, ...] = ()
    restricted_products: tuple[str, ...] = ()
    max_open: Annotated[int, msgspec.Meta(ge=1, le=32)] = 1
    on_deny: OnDeny = OnDeny.STOP


class HostTable(_Table, frozen=True):
    """Where the fleet-card host is, how we prove ourselves, how long we wait."""

    url: Annotated[str, msgspec.Meta(pattern=r"^https://[^/]+$")]
    authority: str
    certificate: str
    key: str
    authorize_ms: Ms = 8_000
    upload_ms: Ms = 15_000
    connect_ms: Ms = 3_000
    probe_ms: Ms = 5_000
    lists_ms: Ms = 300_000
    retry_first_ms: Ms = 1_000
    retry_cap_ms: Ms = 300_000


class KeysTable(_Table, frozen=True):
    """Files with 64 hex digits each. ``list_current`` and ``list_next``: the public keys that may sign lists, one of them for a change."""

    token: str
    pin: str
    card: str
    list_current: str
    list_next: str | None = None


class TimesTable(_Table, frozen=True):
    """How long drivers and pumps may take."""

    lift_ms: Ms = 60_000
    flow_ms: Ms = 90_000
    record_ms: Ms = 3_000
    settle_ms: Ms = 2_000
    input_ms: Ms = 30_000
    notice_ms: Ms = 6_000
    same_medium_ms: Ms = 3_000


class StorageTable(_Table, frozen=True):
    """Free space below which nothing new is sold; what runs is still recorded from it."""

    reserve_mib: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 16


class LineTable(_Table, frozen=True):
    """One serial line with dispensers. Timing in milliseconds, see firmware_notes/dart.md."""

    name: Name
    port: str
    protocol: str = "dart"
    baudrate: int = 9600
    turn_round_ms: int = 35
    ack_turn_round_ms: int = 5
    answer_window_ms: int = 120
    misses_until_lost: int = 5
    live_interval_ms: int = 1_000
    echo: bool = False


class NozzleTable(_Table, frozen=True):
    """A logical nozzle, its product and its price a litre as text."""

    nozzle: Annotated[int, msgspec.Meta(ge=1, le=15)]
    product: Name
    price: str


class FuellingPointTable(_Table, frozen=True):
    """One pump position."""

    number: Annotated[int, msgspec.Meta(ge=1, le=99)]
    line: Name
    address: Annotated[int, msgspec.Meta(ge=0, le=255)]
    nozzles: Annotated[tuple[NozzleTable, ...], msgspec.Meta(min_length=1)]
    minimum_ml: Millilitre = 2_000
    volume_decimals: int = 2
    amount_decimals: int = 2
    price_decimals: int = 3
    total_decimals: int = 2
    combined_start: bool = True
    prices_twice: bool = False


class BadgeReaderTable(_Table, frozen=True):
    """A PN532 on a serial port."""

    port: str
    profile: str = "auto"


class KeypadTable(_Table, frozen=True):
    """A keypad by event device or, better, by the physical path of its socket."""

    path: str | None = None
    phys: str | None = None


class DisplayTable(_Table, frozen=True):
    """A 20 x 4 serial display."""

    port: str
    code_page: str = "iso-8859-1"
    baudrate: int = 19200


class SideTable(_Table, frozen=True):
    """One side of the terminal: what a driver stands in front of."""

    number: Annotated[int, msgspec.Meta(ge=1, le=4)] = 1
    badge_reader: BadgeReaderTable | None = None
    keypad: KeypadTable | None = None
    display: DisplayTable | None = None


class Config(_Table, frozen=True):
    """The whole file."""

    terminal: TerminalTable
    host: HostTable
    keys: KeysTable
    line: Annotated[tuple[LineTable, ...], msgspec.Meta(min_length=1)]
    fuelling_point: Annotated[tuple[FuellingPointTable, ...], msgspec.Meta(min_length=1)]
    side: Annotated[tuple[SideTable, ...], msgspec.Meta(min_length=1)]
    policy: PolicyTable = PolicyTable()
    times: TimesTable = TimesTable()
    storage: StorageTable = StorageTable()

    @property
    def decimals(self) -> int:
        """Decimals of the site's currency."""
        return decimals_of(self.terminal.currency)

    def site(self, version: str) -> SiteConfig:
        """What the core needs of it."""
        rules = SiteRules(
            self.terminal.id,
            self.terminal.site,
            self.terminal.zone,
            self.terminal.currency,
            self.decimals,
            Policy(
                terminal_cap_ml=self.policy.terminal_cap_ml,
                terminal_cap_minor=self.policy.terminal_cap_minor,
                only_terminal=self.policy.only_terminal,
                emergency_accounts=frozenset(self.policy.emergency_accounts),
                restricted_products=frozenset(self.policy.restricted_products),
                max_open=self.policy.max_open,
            ),
            self.policy.on_deny,
        )
        points = tuple(
            PointConfig(point.number, tuple(_nozzle(row) for row in sorted(point.nozzles, key=lambda row: row.nozzle)), point.minimum_ml)
            for point in self.fuelling_point
        )
        times, host = self.times, self.host
        return SiteConfig(
            rules,
            points,
            tuple(side.number for side in self.side),
            self.terminal.language,
            PointTimes(times.lift_ms, times.flow_ms, times.record_ms, times.settle_ms),
            SessionTimes(times.input_ms, times.notice_ms, times.same_medium_ms),
            HostTimes(host.authorize_ms, host.probe_ms, host.lists_ms, host.retry_first_ms, host.retry_cap_ms),
            version,
        )


def load(path: Path) -> Config:
    """Read and check the file. Raises ``ConfigError`` for everything that is not as it must be."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    try:
        config = msgspec.toml.decode(raw, type=Config)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: {_plain(str(error))}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text") from error
    for problem in _problems(config):
        raise ConfigError(f"{path}: {problem}")
    return config


def resolve(name: str) -> Path:
    """A path of the configuration; ``credential:NAME`` is a file that systemd handed us. Raises ``ConfigError``."""
    kind, colon, rest = name.partition(":")
    if not colon or kind != "credential":
        return Path(name)
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if directory is None:
        raise ConfigError(f"{name}: there is no $CREDENTIALS_DIRECTORY; start the terminal by its systemd unit or name a file")
    return Path(directory) / rest


def _plain(text: str) -> str:
    """The library's words with the key where a person looks for it: ``$.host.url`` reads ``host.url``."""
    return (
        text.replace("$.", "")
        .replace("Object contains unknown field", "unknown name")
        .replace("Object missing required field", "missing name")
    )


def _problems(config: Config) -> list[str]:
    found: list[str] = []
    terminal = config.terminal
    try:
        ZoneInfo(terminal.zone)
    except (ZoneInfoNotFoundError, ValueError):
        found.append(f"terminal.zone: {terminal.zone!r} is no time zone of this machine")
    if terminal.language not in LANGUAGES:
        found.append(f"terminal.language: {terminal.language!r}; known are {', '.join(LANGUAGES)}")
    lines = [line.name for line in config.line]
    found += _twice("line.name", lines)
    found += [f"line.protocol: {line.protocol!r} of line {line.name}; known is dart" for line in config.line if line.protocol != "dart"]
    found += _twice("fuelling_point.number", [point.number for point in config.fuelling_point])
    found += _twice("fuelling_point address on one line", [(point.line, point.address) for point in config.fuelling_point])
    found += _twice("side.number", [side.number for side in config.side])
    for point in config.fuelling_point:
        if point.line not in lines:
            found.append(f"fuelling_point {point.number}: there is no line {point.line!r}")
        found += _twice(f"fuelling_point {point.number}, nozzle", [row.nozzle for row in point.nozzles])
        found += [
            f'fuelling_point {point.number}, nozzle {row.nozzle}: price {row.price!r} is not written as "1.729"'
            for row in point.nozzles
            if not _PRICE.fullmatch(row.price)
        ]
    found += _twice(
        "port (two devices on one)", [line.port for line in config.line] + [port for side in config.side for port in _ports(side)]
    )
    return found


def _ports(side: SideTable) -> list[str]:
    devices = (side.badge_reader, side.display)
    return [device.port for device in devices if device is not None]


def _twice(what: str, values: list[object] | list[str] | list[int] | list[tuple[str, int]]) -> list[str]:
    seen: set[object] = set()
    found = []
    for value in values:
        if value in seen:
            found.append(f"{what}: {value} is given twice")
        seen.add(value)
    return found


def _nozzle(row: NozzleTable) -> Nozzle:
    whole, _, part = row.price.partition(".")
    return Nozzle(row.nozzle, row.product, int(whole) * 10_000 + int((part + "0000")[:4]))
