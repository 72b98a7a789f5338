"""The tables of the terminal's TOML file: names, kinds, bounds and what stands where nothing is written. Read by ``terminal.config``."""

from __future__ import annotations

from typing import Annotated

import msgspec

from drivers.events import Trust
from terminal.core import facts
from terminal.core.batch_desk import BATCH_SALES
from terminal.core.deny_book import OnDeny
from terminal.core.facts import ExposureCaps
from terminal.core.prices import PRICE_JUMP_PERCENT
from terminal.core.site_rules import TEST_MOST_ML
from terminal.pump_profiles import AuthorizeWhen

Ms = Annotated[int, msgspec.Meta(ge=50, le=3_600_000)]
Millilitre = Annotated[int, msgspec.Meta(ge=0, le=10_000_000)]
Cap = Annotated[int, msgspec.Meta(ge=0, le=10**12)] | None
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,32}\Z")]
Device = Annotated[str, msgspec.Meta(pattern=r"^/[A-Za-z0-9/_.:+-]+\Z")]
Account = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
Decimals = Annotated[int, msgspec.Meta(ge=0, le=8)]
File = Annotated[str, msgspec.Meta(min_length=1)]
AS_USUAL = -1
"""Nothing was written."""
Folder = Annotated[str, msgspec.Meta(pattern=r"^/")]


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table in which an unknown name stops the start."""


class TerminalTable(Table, frozen=True):
    """Who and where this terminal is."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9]{1,16}\Z")]
    site: Name
    zone: str
    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}\Z")]
    state_dir: Folder
    runtime_dir: Folder
    language: str = "fr"
    networks: tuple[Name, ...] = ()


class PolicyTable(Table, frozen=True):
    """The operator's own rules; amounts in millilitres and minor units. Accounts are tokens (32 hex digits).

    ``bank_cards``: those of the card table may be used as identifiers; a PIN is never asked for them.
    ``price_jump_percent``: how far the host may move a price at once without confirming that somebody has looked at it.
    ``offline_from``: media that are easier to copy (T0 to T3) are never decided without the host; ``offline_without_pin_from``: those
    that are easier need a PIN that is checked here. ``test_most_ml``: the most of one test fuelling. ``exposure_…``: how much may be
    let go offline that the host has not answered for yet; what is left out does not bind.
    """

    terminal_cap_ml: Millilitre = 990_000
    terminal_cap_minor: Annotated[int, msgspec.Meta(ge=1)] | None = None
    only_terminal: bool = False
    emergency_accounts: tuple[Account, ...] = ()
    restricted_products: tuple[Name, ...] = ()
    max_open: Annotated[int, msgspec.Meta(ge=1, le=32)] = 1
    on_deny: OnDeny = OnDeny.STOP
    batch_sales: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = BATCH_SALES
    bank_cards: bool = False
    host_resets_emergency_stop: bool = False
    price_jump_percent: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = PRICE_JUMP_PERCENT
    offline_from: Trust = Trust.T0
    offline_without_pin_from: Trust = Trust.T0
    test_most_ml: Annotated[int, msgspec.Meta(ge=1, le=990_000)] = TEST_MOST_ML
    exposure_card_ml: Cap = None
    exposure_card_minor: Cap = None
    exposure_card_count: Cap = None
    exposure_customer_ml: Cap = None
    exposure_customer_minor: Cap = None
    exposure_customer_count: Cap = None
    exposure_terminal_ml: Cap = None
    exposure_terminal_minor: Cap = None
    exposure_terminal_count: Cap = None

    def exposure(self) -> ExposureCaps | None:
        """The caps as the decision takes them; None when there is none."""
        caps = ExposureCaps(
            facts.Cap(self.exposure_card_ml, self.exposure_card_minor, self.exposure_card_count),
            facts.Cap(self.exposure_customer_ml, self.exposure_customer_minor, self.exposure_customer_count),
            facts.Cap(self.exposure_terminal_ml, self.exposure_terminal_minor, self.exposure_terminal_count),
        )
        return None if caps == ExposureCaps() else caps


class HostTable(Table, frozen=True):
    """Where the fleet-card host is, how we prove ourselves, how long we wait."""

    url: Annotated[str, msgspec.Meta(pattern=r"^https://[A-Za-z0-9.:\[\]-]+\Z")]
    authority: File
    certificate: File
    key: File
    authorize_ms: Ms = 8_000
    upload_ms: Ms = 15_000
    connect_ms: Ms = 3_000
    probe_ms: Ms = 5_000
    lists_ms: Ms = 300_000
    retry_first_ms: Ms = 1_000
    retry_cap_ms: Ms = 300_000
    state_ms: Ms = 60_000


class KeysTable(Table, frozen=True):
    """Files with 64 hex digits each. ``list_current`` and ``list_next``: the public keys that may sign lists, one of them for a change.

    ``chip``: the master key of the fleet's chip cards and its number, ``chip_ca``: the PEM file of the authorities that sign cards'
    certificates (one to four); without both, cards are believed without a proof.
    ``badge_master``, ``sun_meta``, ``sun_file``: of badges that prove themselves, 32 hex digits each (``terminal.badge_tables``).
    ``ledger``: of an encrypted ledger (``storage.encrypted``).
    ``tpm``: the device of a TPM 2.0 for the second layer of PINs, as /dev/tpmrm0; without it ``pin`` alone guards them.
    """

    token: File
    pin: File
    card: File
    list_current: File
    list_next: File | None = None
    chip: File | None = None
    chip_version: Annotated[int, msgspec.Meta(ge=1, le=31)] = 1
    chip_ca: File | None = None
    badge_master: File | None = None
    sun_meta: File | None = None
    sun_file: File | None = None
    tpm: Device | None = None
    ledger: File | None = None


class TimesTable(Table, frozen=True):
    """How long drivers and pumps may take."""

    lift_ms: Ms = 60_000
    flow_ms: Ms = 90_000
    record_ms: Ms = 3_000
    settle_ms: Ms = 2_000
    longest_ms: Ms = 3_600_000
    input_ms: Ms = 30_000
    notice_ms: Ms = 6_000
    same_medium_ms: Ms = 3_000


class StorageTable(Table, frozen=True):
    """Free space below which nothing new is sold; what runs is still recorded from it."""

    reserve_mib: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 16
    own_disk: bool = False
    """The state directory is on a disk of its own: nothing is served, and no new ledger begun, while that one is not mounted."""
    backup_minutes: Annotated[int, msgspec.Meta(ge=1, le=1_440)] = 60
    backup_dir: Annotated[str, msgspec.Meta(pattern="^(/.*)?$")] = ""
    """Where the ledger's backups go; empty: the folder ``backup`` of the state directory. Better on another disk."""
    keep_months: Annotated[int, msgspec.Meta(ge=15, le=120)] = 15
    """So long the ledger keeps what the host has acknowledged; what it has not is kept until it has."""
    encrypted: bool = False
    """The ledger and its backups are encrypted with ``keys.ledger``."""


class LineTable(Table, frozen=True):
    """One serial line with dispensers. Timing in milliseconds, see firmware_notes/dart.md and azt.md.

    What is not written is that of its pumps' profiles, once the whole file is read, else the protocol's own. ``ack_turn_round_ms`` and
    ``echo`` are DART's; an AZT line knows its own echo.
    """

    name: Name
    port: Device
    protocol: str = "dart"
    baudrate: Annotated[int, msgspec.Meta(ge=300, le=115_200)] = AS_USUAL
    turn_round_ms: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = AS_USUAL
    ack_turn_round_ms: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = AS_USUAL
    answer_window_ms: Annotated[int, msgspec.Meta(ge=10, le=5_000)] = AS_USUAL
    misses_until_lost: Annotated[int, msgspec.Meta(ge=1, le=100)] = AS_USUAL
    live_interval_ms: Annotated[int, msgspec.Meta(ge=200, le=60_000)] = AS_USUAL
    echo: bool | None = None


class NozzleTable(Table, frozen=True):
    """A logical nozzle, its product and its price a litre as text. ``address``: where it is not the point's own (AZT hoses, satellites)."""

    nozzle: Annotated[int, msgspec.Meta(ge=1, le=15)]
    product: Name
    price: str
    address: Annotated[int, msgspec.Meta(ge=0, le=255)] | None = None


class FuellingPointTable(Table, frozen=True):
    """One pump position. What is not written is that of its pump profile, else the protocol's own, once the whole file is read.

    ``combined_start`` and ``prices_twice`` are DART's, ``dose_readback`` and ``slow_down_ml`` AZT's.
    """

    number: Annotated[int, msgspec.Meta(ge=1, le=99)]
    line: Name
    address: Annotated[int, msgspec.Meta(ge=0, le=255)]
    nozzles: Annotated[tuple[NozzleTable, ...], msgspec.Meta(min_length=1)]
    profile: Name | None = None
    minimum_ml: Millilitre = AS_USUAL
    resolution_ml: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = AS_USUAL
    authorize: AuthorizeWhen | None = None
    volume_decimals: Decimals | None = None
    amount_decimals: Decimals | None = None
    price_decimals: Annotated[int, msgspec.Meta(ge=0, le=4)] = AS_USUAL
    total_decimals: Decimals | None = None
    combined_start: bool | None = None
    prices_twice: bool | None = None
    dose_readback: bool | None = None
    slow_down_ml: Annotated[int, msgspec.Meta(ge=0, le=9_990)] | None = None


class BadgeReaderTable(Table, frozen=True):
    """A PN532 on a serial port. ``profile``: what a badge is that fits no ``[[badge_profile]]``."""

    port: Device
    profile: str = "auto"


class KeypadTable(Table, frozen=True):
    """A keypad by event device or, better, by the physical path of its socket."""

    path: Device | None = None
    phys: str | None = None


class EmergencyStopTable(Table, frozen=True):
    """A contact of the site's emergency stop, on a GPIO pin that Linux shows as a key. ``code``: the key (128 is KEY_STOP)."""

    path: Device | None = None
    phys: str | None = None
    code: Annotated[int, msgspec.Meta(ge=1, le=767)] = 128


class StripeReaderTable(Table, frozen=True):
    """A stripe reader that types, found as a keypad is. ``layout``: the keyboard that it was set to be; ``lrc``: it types that too."""

    path: Device | None = None
    phys: str | None = None
    layout: str = "us"
    lrc: bool = False


class CardReaderTable(Table, frozen=True):
    """A chip card reader by its PC/SC name, in which * and ? stand for what varies.

    ``bank_cards``: a bank card is asked for its number, of which only a keyed token leaves the reader; needs ``policy.bank_cards``.
    """

    name: Annotated[str, msgspec.Meta(min_length=1)]
    bank_cards: bool = False


class DisplayTable(Table, frozen=True):
    """A 20 x 4 serial display."""

    port: Device
    code_page: str = "iso-8859-1"
    baudrate: Annotated[int, msgspec.Meta(ge=300, le=115_200)] = 19200


class SideTable(Table, frozen=True):
    """One side of the terminal: what a driver stands in front of."""

    number: Annotated[int, msgspec.Meta(ge=1, le=4)] = 1
    badge_reader: BadgeReaderTable | None = None
    keypad: KeypadTable | None = None
    stripe_reader: StripeReaderTable | None = None
    card_reader: CardReaderTable | None = None
    display: DisplayTable | None = None
