"""The terminal's one TOML file, read once, strictly: an unknown name, a missing one or a value out of range stops the start.

Prices are written as text (``"1.729"``), because a TOML number with a point is a float. ``credential:NAME`` as a path means the file of
that name that systemd handed us in $CREDENTIALS_DIRECTORY.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from terminal.badge_tables import BadgeProfileTable, badge_problems
from terminal.config_tables import (
    EmergencyStopTable,
    FuellingPointTable,
    HostTable,
    KeysTable,
    LineTable,
    NozzleTable,
    PolicyTable,
    SideTable,
    StorageTable,
    Table,
    TerminalTable,
    TimesTable,
)
from terminal.core.card_data import Nozzle
from terminal.core.card_desk import OfflineTrust
from terminal.core.currencies import CURRENCIES, decimals_of
from terminal.core.facts import Policy
from terminal.core.host_link import HostTimes
from terminal.core.point_config import PointConfig, PointTimes
from terminal.core.session import SessionTimes
from terminal.core.site import SiteConfig
from terminal.core.teller import SiteRules
from terminal.core.texts import LANGUAGES
from terminal.core.windows import UnknownZone, zone_of
from terminal.pump_profiles import AuthorizeWhen, PumpProfile, profile_named, profile_problems
from terminal.pump_protocols import PROTOCOLS, PumpProtocol
from terminal.pump_tables import addresses_of, point_profile_problems, with_profiles

CODE_PAGES = ("iso-8859-1", "cp1251")
CYRILLIC = ("uk",)
NUMBER_PROFILES = ("uid", "auto", "none")
STRIPE_LAYOUTS = ("us", "fr")
"""What the drivers know (drivers/display/lk204.py, badge/uid.py, magstripe/wedge.py); a test holds both together."""
_PRICE = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4})?")
_KEY_ITSELF = re.compile(r"[0-9A-Fa-f]{32,}")
_CREDENTIAL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_WORDS = (
    ("^[A-Za-z0-9]{1,16}", "1 to 16 letters and digits"),
    ("^[A-Za-z0-9._-]{1,32}", "1 to 32 letters, digits, dots, hyphens and underscores"),
    ("^/[A-Za-z0-9/_.:+-]+", "a device's whole path, as /dev/forecourt/pump-line-1"),
    ("^[0-9a-f]{32}", "an account's token, 32 hex digits"),
    ("^([0-9A-Fa-f]{2}){3,16}", "6 to 32 hex digits"),
    ("^[ -~]{0,24}", "at most 24 letters, digits and signs without accents"),
    ("^[A-Za-z0-9_-]{1,32}", "a parameter's name: 1 to 32 letters, digits, hyphens and underscores"),
    ("^/", "a whole path that begins with /"),
    ("^[A-Z]{3}", "three capital letters, as EUR"),
    ("^https://", "https://NAME or https://NAME:PORT with nothing behind it"),
)


class ConfigError(Exception):
    """The configuration cannot be used; the text names file and key and is meant for people."""


class Config(Table, frozen=True):
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
    badge_profile: tuple[BadgeProfileTable, ...] = ()
    pump_profile: tuple[PumpProfile, ...] = ()
    emergency_stop: EmergencyStopTable | None = None

    def __post_init__(self) -> None:
        """What is not written of lines and points is that of their profiles and protocols."""
        lines, points = with_profiles(self.line, self.fuelling_point, self.pump_profile)
        msgspec.structs.force_setattr(self, "line", lines)
        msgspec.structs.force_setattr(self, "fuelling_point", points)

    @property
    def decimals(self) -> int:
        """Decimals of the site's currency."""
        return decimals_of(self.terminal.currency)

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that every display of the site can show: one for Western Europe has no Cyrillic, one with it drops accents."""
        pages = {side.display.code_page for side in self.side if side.display is not None}
        return tuple(one for one in LANGUAGES if one not in CYRILLIC or pages <= {"cp1251"})

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
                exposure=self.policy.exposure(),
            ),
            self.policy.on_deny,
            self.policy.batch_sales,
            networks=self.terminal.networks,
            bank_cards=self.policy.bank_cards,
            trust=OfflineTrust(self.policy.offline_from, self.policy.offline_without_pin_from),
            host_resets_emergency_stop=self.policy.host_resets_emergency_stop,
            test_most_ml=self.policy.test_most_ml,
        )
        points = tuple(
            PointConfig(
                point.number,
                tuple(_nozzle(row) for row in sorted(point.nozzles, key=lambda row: row.nozzle)),
                point.minimum_ml,
                point.price_decimals,
                _digits(self, point),
                point.resolution_ml,
                point.authorize is AuthorizeWhen.BEFORE_LIFT,
            )
            for point in self.fuelling_point
        )
        times, host = self.times, self.host
        return SiteConfig(
            rules,
            points,
            tuple(side.number for side in self.side),
            self.terminal.language,
            PointTimes(times.lift_ms, times.flow_ms, times.record_ms, times.settle_ms, times.longest_ms),
            SessionTimes(times.input_ms, times.notice_ms, times.same_medium_ms),
            HostTimes(host.authorize_ms, host.probe_ms, host.lists_ms, host.retry_first_ms, host.retry_cap_ms, host.state_ms),
            version,
            self.languages,
            self.policy.price_jump_percent,
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
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply") from error
    problems = _problems(config)
    if problems:
        raise ConfigError(f"{path}: {'; '.join(problems)}")
    return config


def resolve(name: str) -> Path:
    """A path of the configuration; ``credential:NAME`` is a file that systemd handed us. Raises ``ConfigError``."""
    kind, colon, rest = name.partition(":")
    if not colon or kind != "credential":
        return Path(name)
    if not _CREDENTIAL.fullmatch(rest):
        raise ConfigError(f"{name!r}: behind credential: comes a plain name, as credential:tls.key")
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if directory is None:
        raise ConfigError(f"{name}: there is no $CREDENTIALS_DIRECTORY; start the terminal by its systemd unit or name a file")
    return Path(directory) / rest


def _plain(text: str) -> str:
    """The library's words with the key in front, where a person looks for it: ``host.url: …``."""
    said, at, place = text.partition(" - at `")
    where = place.rstrip("`").removeprefix("$").removeprefix(".") if at else ""
    said = said.replace("Object contains unknown field", "unknown name").replace("Object missing required field", "missing name")
    for pattern, words in _WORDS:
        if said.startswith(f"Expected `str` matching regex '{pattern}") or said.startswith(
            f"Expected `str | null` matching regex '{pattern}"
        ):
            said = f"{words} is expected"
            break
    for kind, words in (("array", "list"), ("object", "table"), ("str", "text"), ("int", "whole number"), ("float", "number with a point")):
        said = re.sub(rf"\b{kind}\b(?=[^`]*`)", words, said) if said.startswith("Expected") else said
    said = said.replace(" | null", "")
    return f"{where}: {said}" if where else said


def _problems(config: Config) -> list[str]:
    found = [*_terminal_problems(config), *_line_problems(config), *_point_problems(config), *_side_problems(config)]
    return found + badge_problems(config.badge_profile, config.keys) + _bank_problems(config) + profile_problems(config.pump_profile)


def _terminal_problems(config: Config) -> list[str]:
    found: list[str] = []
    terminal = config.terminal
    try:
        zone_of(terminal.zone)
    except UnknownZone:
        found.append(f"terminal.zone: {terminal.zone!r} is no time zone of this machine, as Europe/Paris would be")
    if terminal.currency not in CURRENCIES:
        found.append(f"terminal.currency: {terminal.currency!r} is no currency of ISO 4217")
    if terminal.language not in LANGUAGES:
        found.append(f"terminal.language: {terminal.language!r}; known are {', '.join(LANGUAGES)}")
    try:
        url = urlsplit(config.host.url)
        named = url.hostname and (url.port is None or url.port > 0)
    except ValueError:
        named = False
    if not named:
        found.append("host.url: https://NAME or https://NAME:PORT with nothing behind it is expected")
    if config.storage.encrypted and config.keys.ledger is None:
        found.append("storage.encrypted: keys.ledger is missing, the file or credential with the ledger's key")
    for name in ("token", "pin", "card", "chip", "badge_master", "sun_meta", "sun_file", "ledger"):
        if _KEY_ITSELF.fullmatch(getattr(config.keys, name) or ""):
            found.append(f"keys.{name}: this is a key, and the name of a file that holds it is expected; take the key for known by others")
    return found


def _line_problems(config: Config) -> list[str]:
    found = _twice("line.name", [line.name for line in config.line])
    for line in config.line:
        protocol = PROTOCOLS.get(line.protocol)
        if protocol is None:
            found.append(f"line.protocol: {line.protocol!r} of line {line.name}; known are {', '.join(PROTOCOLS)}")
        elif line.baudrate not in protocol.baudrates:
            known = ", ".join(map(str, sorted(protocol.baudrates)))
            found.append(f"line.baudrate: {line.baudrate} of line {line.name}; known are {known} for {protocol.title}")
        elif line.answer_window_ms < protocol.shortest_window_ms:
            found.append(
                f"line.answer_window_ms: {line.answer_window_ms} of line {line.name}; an {protocol.title} head may take "
                f"{protocol.shortest_window_ms} ms, and its answer does not say whose it is"
            )
        if all(point.line != line.name for point in config.fuelling_point):
            found.append(f"line.name: no fuelling_point is on line {line.name}")
    return found


def _point_problems(config: Config) -> list[str]:
    lines = {line.name: PROTOCOLS.get(line.protocol) for line in config.line}
    found = _twice("fuelling_point.number", [point.number for point in config.fuelling_point])
    taken = [(point.line, address) for point in config.fuelling_point for address in addresses_of(point)]
    found += _twice("fuelling_point.address on one line", taken)
    for point in config.fuelling_point:
        if point.line not in lines:
            found.append(f"fuelling_point.line: fuelling point {point.number} is on {point.line!r}, and there is no such line")
        found += _twice(f"fuelling_point.nozzles.nozzle of fuelling point {point.number}", [row.nozzle for row in point.nozzles])
        found += [
            f'fuelling_point.nozzles.price: {row.price!r} of fuelling point {point.number}, nozzle {row.nozzle}, is not written as "1.729"'
            for row in point.nozzles
            if not _PRICE.fullmatch(row.price)
        ]
        protocol = lines.get(point.line)
        if protocol is not None:
            found += _protocol_problems(point, protocol)
            found += point_profile_problems(point, protocol, config.pump_profile)
    return found


def _protocol_problems(point: FuellingPointTable, protocol: PumpProtocol) -> list[str]:
    """What this protocol's heads cannot be."""
    found, title, number = [], protocol.title, point.number
    for address, nozzles in addresses_of(point).items():
        if address not in protocol.addresses:
            found.append(f"fuelling_point.address: {address} of fuelling point {number}; {title} has {protocol.address_words}")
        if len(nozzles) > protocol.nozzles:
            found.append(
                f"fuelling_point.nozzles: {len(nozzles)} at address {address} of fuelling point {number}; an {title} address is one hose, "
                "so each further one needs an address of its own"
            )
    for row in point.nozzles:
        whole, _, part = row.price.partition(".")
        units = whole.lstrip("0") + part.rstrip("0").ljust(point.price_decimals, "0")
        if not _PRICE.fullmatch(row.price):
            continue  # said already
        if len(part.rstrip("0")) > point.price_decimals or len(units.lstrip("0")) > protocol.price_digits:
            found.append(
                f"fuelling_point.nozzles.price: {row.price!r} of fuelling point {number}, nozzle {row.nozzle}: the head shows "
                f"{protocol.price_digits} digits, {point.price_decimals} of them decimals (price_decimals)"
            )
    return found


def _bank_problems(config: Config) -> list[str]:
    asked = any(side.card_reader is not None and side.card_reader.bank_cards for side in config.side)
    return ["side.card_reader.bank_cards: needs policy.bank_cards"] if asked and not config.policy.bank_cards else []


def _side_problems(config: Config) -> list[str]:
    found = _twice("side.number", [side.number for side in config.side])
    ports = [line.port for line in config.line]
    for side in config.side:
        ports += _ports(side)
        if side.badge_reader is not None and side.badge_reader.profile == "none" and not config.badge_profile:
            found.append("side.badge_reader.profile: none, and there is no badge_profile either: no badge would be read")
        if side.badge_reader is not None and side.badge_reader.profile not in NUMBER_PROFILES:
            found.append(f"side.badge_reader.profile: {side.badge_reader.profile!r}; known are {', '.join(NUMBER_PROFILES)}")
        if side.display is not None and side.display.code_page not in CODE_PAGES:
            found.append(f"side.display.code_page: {side.display.code_page!r}; known are {', '.join(CODE_PAGES)}")
        for name, device in (("keypad", side.keypad), ("stripe_reader", side.stripe_reader)):
            if device is not None and bool(device.path) == bool(device.phys):
                found.append(f"side.{name}: side {side.number}'s needs either path or phys")
        if side.stripe_reader is not None and side.stripe_reader.layout not in STRIPE_LAYOUTS:
            found.append(f"side.stripe_reader.layout: {side.stripe_reader.layout!r}; known are {', '.join(STRIPE_LAYOUTS)}")
    button, problems = _button(config)
    ports += button
    found += problems
    found += _twice("port (two devices on one)", [os.path.realpath(port) for port in ports])
    found += _twice("side.card_reader.name", [side.card_reader.name for side in config.side if side.card_reader is not None])
    if config.keys.chip is not None and all(side.card_reader is None for side in config.side):
        found.append("keys.chip: no side has a card_reader that would need it")
    if config.keys.chip_ca is not None and all(side.card_reader is None for side in config.side):
        found.append("keys.chip_ca: no side has a card_reader that would need it")
    return found + _phys_problems(config)


def _button(config: Config) -> tuple[list[str], list[str]]:
    """The path of the emergency stop's contact, and what is wrong with it."""
    button = config.emergency_stop
    if button is None:
        return [], []
    wrong = bool(button.path) == bool(button.phys)
    return [button.path] if button.path else [], ["emergency_stop: needs either path or phys"] if wrong else []


def _phys_problems(config: Config) -> list[str]:
    """Two input devices in one socket: also when one is named by the socket and the other by an input of it."""
    places: list[tuple[str, str]] = []
    for side in config.side:
        for name, device in (("keypad", side.keypad), ("stripe_reader", side.stripe_reader)):
            if device is not None and device.phys:
                places.append((f"side.{name}.phys", device.phys))
    found = []
    for index, (name, place) in enumerate(places):
        for earlier, taken in places[:index]:
            if place == taken or place.startswith(f"{taken}/") or taken.startswith(f"{place}/"):
                found.append(f"{name}: {place} is given twice (also as {earlier})")
    return found


def _ports(side: SideTable) -> list[str]:
    devices = (side.badge_reader, side.display)
    found = [device.port for device in devices if device is not None]
    return found + [device.path for device in (side.keypad, side.stripe_reader) if device is not None and device.path]


def _twice(what: str, values: list[object] | list[str] | list[int] | list[tuple[str, int]]) -> list[str]:
    seen: set[object] = set()
    found = []
    for value in values:
        if value in seen:
            found.append(f"{what}: {value} is given twice")
        seen.add(value)
    return found


def _digits(config: Config, point: FuellingPointTable) -> int:
    """How many digits of a price this point's head shows."""
    protocol = next(PROTOCOLS[line.protocol] for line in config.line if line.name == point.line)
    return profile_named(point.profile, protocol.name, config.pump_profile).price_digits or protocol.price_digits


def _nozzle(row: NozzleTable) -> Nozzle:
    whole, _, part = row.price.partition(".")
    return Nozzle(row.nozzle, row.product, int(whole) * 10_000 + int((part + "0000")[:4]))
