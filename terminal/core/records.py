"""The journal's facts. Each is one row of the hash chain; the store derives its tables from them and nothing else.

No clear card number is ever here: ``token`` is the keyed token, ``last4`` what may be shown, ``sealed`` the one encrypted field.
Volumes in millilitres, money in minor units, prices in 1/10000 of the major unit per litre.
"""

from __future__ import annotations

from dataclasses import dataclass

from terminal.core.attempt import MediumRef as MediumRef
from terminal.core.attempt import SaleExtra
from terminal.core.badge_counter import BadgeCounter
from terminal.core.facts import Judged
from terminal.core.ids import MessageKey, SaleId
from terminal.core.price_records import PriceRecord
from terminal.core.prompt_rules import OdometerRead
from terminal.core.rollback_mark import LedgerRecord
from terminal.core.site_records import SiteRecord


@dataclass(frozen=True, slots=True)
class NozzleRef:
    """A logical nozzle of the chosen point, with its product and unit price at that moment."""

    nozzle: int
    product: str
    price: int


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may be taken of one product. ``by_value``: the money bound is the tighter one and becomes the preset."""

    product: str
    quantity_ml: int
    value_minor: int
    by_value: bool
    bound_by: str


@dataclass(frozen=True, slots=True)
class TerminalStarted:
    """The program came up on this boot of the machine."""

    boot: str
    version: str


@dataclass(frozen=True, slots=True)
class SaleReserved:
    """A sale exists and its hold counts. ``asked_host``: the authorize message is stored with it and goes out next."""

    sale: SaleId
    epoch: int
    sequence: int
    side: int
    fp: int
    card: MediumRef
    account: str
    customer: str | None
    pin_verified: bool
    prompts: tuple[tuple[str, str], ...]
    nozzles: tuple[NozzleRef, ...]
    wish_ml: int | None
    wish_minor: int | None
    hold_ml: int
    hold_minor: int
    hold_products: tuple[str, ...]
    asked_host: bool
    authorized_at: int
    list_version: int
    cost_centre: str | None = None
    driver: str | None = None
    extra: SaleExtra = SaleExtra()


@dataclass(frozen=True, slots=True)
class SaleAuthorized:
    """The sale may fuel: decided by the host or offline, with these bounds. ``judged``: everything that the decision looked at."""

    sale: SaleId
    decided_by: str
    authorization: str | None
    allowed: tuple[Allowed, ...]
    hold_ml: int
    hold_minor: int
    hold_products: tuple[str, ...]
    judged: Judged | None = None


@dataclass(frozen=True, slots=True)
class SaleReleased:
    """The intent before the pump is authorized: this nozzle, this preset, this totaliser."""

    sale: SaleId
    nozzle: int
    product: str
    price: int
    preset_ml: int | None
    preset_minor: int | None
    hold_ml: int
    hold_minor: int
    total_start_ml: int


@dataclass(frozen=True, slots=True)
class SaleDelivered:
    """What flowed. The message for the host is stored by the same commit."""

    sale: SaleId
    volume_ml: int
    amount_minor: int
    total_end_ml: int | None
    end: str
    ended_at: int


@dataclass(frozen=True, slots=True)
class SaleEnded:
    """Ended without a drop. ``reversed``: an unknown authorization was; ``decided_by``, ``authorization``: of an approval never used."""

    sale: SaleId
    end: str
    ended_at: int
    reversed: bool
    decided_by: str | None = None
    authorization: str | None = None


@dataclass(frozen=True, slots=True)
class SaleInDoubt:
    """Nobody here can say what flowed, the pump or a ledger that has lost rows; the hold stays."""

    sale: SaleId
    why: str


@dataclass(frozen=True, slots=True)
class ReversalQueued:
    """The host is told to forget an authorization that we will not use."""

    sale: SaleId
    reason: str


@dataclass(frozen=True, slots=True)
class MessageAcknowledged:
    """The host has this message; ``result`` is its word."""

    key: MessageKey
    result: str


@dataclass(frozen=True, slots=True)
class MessageQuarantined:
    """The host refuses this message for good; it is kept, counted and shown."""

    key: MessageKey
    why: str


@dataclass(frozen=True, slots=True)
class PinTried:
    """One PIN try of an account, written before the PIN is compared."""

    account: str
    epoch: int
    tries: int


@dataclass(frozen=True, slots=True)
class PinCleared:
    """The right PIN came; the account's tries start at zero again."""

    account: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A driver was told no. ``code``: the six characters on the display; ``judged``: what the decision looked at, if one was made."""

    side: int
    reason: str
    card: MediumRef | None
    fp: int | None
    code: str | None = None
    sale: SaleId | None = None
    judged: Judged | None = None


@dataclass(frozen=True, slots=True)
class TotalRead:
    """A nozzle's totaliser as last read with nothing under way."""

    fp: int
    nozzle: int
    volume_ml: int


@dataclass(frozen=True, slots=True)
class Unattributed:
    """Fuel that left a nozzle without a sale of ours, from the totaliser's difference."""

    fp: int
    nozzle: int
    volume_ml: int
    total_start_ml: int
    total_end_ml: int


@dataclass(frozen=True, slots=True)
class ClockAnchored:
    """The host's time and the boot-time instant at which it held, on this boot."""

    host_time: int
    instant: int
    boot: str


@dataclass(frozen=True, slots=True)
class ListsAdopted:
    """A card file went live."""

    file: str
    epoch: str
    version: int
    rows: int
    issued_at: int = 0
    content_hash: str = ""


@dataclass(frozen=True, slots=True)
class ListsChecked:
    """The host confirmed at this time that the live lists are the newest."""

    at: int


@dataclass(frozen=True, slots=True)
class DenyAdded:
    """The host denied somebody by push. ``kind`` card, customer or range; the value of a card is its token, ``upto`` ends a range.

    ``effective_at``: UTC milliseconds from which this terminal decided nothing without it; the acknowledgement says the same.
    """

    event: int
    kind: str
    value: str
    upto: str
    epoch: str
    list_version: int
    effective_at: int


@dataclass(frozen=True, slots=True)
class DenyLifted:
    """The host lifted a deny by push; the fields are those of ``DenyAdded``."""

    event: int
    kind: str
    value: str
    upto: str
    epoch: str
    list_version: int
    effective_at: int


@dataclass(frozen=True, slots=True)
class SaleCorrected:
    """A sale counts otherwise from now on; its own rows stay as they are. ``kind``: cancel, refund, settle or amend (core/corrections.py).

    ``event`` is the host's, 0 for one made at the site; ``correction`` is its name, which comes once. What does not change is None.
    """

    event: int
    correction: str
    sale: SaleId
    kind: str
    quantity_ml: int | None
    value_minor: int | None
    account: str | None
    customer: str | None
    prompts: tuple[tuple[str, str], ...]
    why: str
    effective_at: int


@dataclass(frozen=True, slots=True)
class ClosingSet:
    """The site, a product or a fuelling point was closed, or opened again. ``event`` is the host's, 0 for one made at the site."""

    event: int
    scope: str
    name: str
    closed: bool
    why: str
    effective_at: int


@dataclass(frozen=True, slots=True)
class BatchSent:
    """The sums over these sequences go to the host, for the ``attempt``-th time. ``open``: sequences in between that had not ended.

    ``missing`` and ``resend_all``: what the host said to the attempt before. ``resent``: records that are queued again by this commit.
    """

    batch: int
    attempt: int
    epoch: int
    first: int
    last: int
    open: tuple[int, ...]
    missing: tuple[int, ...] = ()
    resend_all: bool = False
    resent: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchSettled:
    """The host agrees with a batch, or never will (``balanced`` False, and a fault says so)."""

    batch: int
    balanced: bool
    why: str


@dataclass(frozen=True, slots=True)
class EventPassed:
    """An event of the host that changed nothing: the live list, or a later event, has said it (``why``) at the latest by then.

    ``refused``: it cannot be done, and the host is told why.
    """

    event: int
    why: str
    effective_at: int
    refused: bool = False


@dataclass(frozen=True, slots=True)
class EventAcknowledged:
    """The host has our acknowledgement; ``taken`` False: it does not want it."""

    event: int
    taken: bool


@dataclass(frozen=True, slots=True)
class FaultRaised:
    """A fault of the catalogue began."""

    code: str
    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class FaultCleared:
    """A fault of the catalogue ended."""

    code: str
    subject: str


Record = (
    TerminalStarted
    | SaleReserved
    | SaleAuthorized
    | SaleReleased
    | SaleDelivered
    | SaleEnded
    | SaleInDoubt
    | ReversalQueued
    | MessageAcknowledged
    | MessageQuarantined
    | PinTried
    | PinCleared
    | BadgeCounter
    | OdometerRead
    | LedgerRecord
    | Refused
    | TotalRead
    | Unattributed
    | ClockAnchored
    | ListsAdopted
    | ListsChecked
    | DenyAdded
    | DenyLifted
    | SaleCorrected
    | ClosingSet
    | PriceRecord
    | SiteRecord
    | BatchSent
    | BatchSettled
    | EventPassed
    | EventAcknowledged
    | FaultRaised
    | FaultCleared
)
