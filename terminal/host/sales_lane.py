"""Sales that this terminal has lost and the host gives back: the question for a page of them, and what its answer means.

Read more strictly than other answers, for what is taken here is a sale of this terminal from then on: another terminal, another epoch, a
number out of its order, a record that does not agree with itself or has a field that the contract does not know make the page unusable.
Contract: firmware_notes/host-api.md, "Sales that the terminal lost".
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

import msgspec

from terminal.core.attempt import TEST, SaleExtra
from terminal.core.host_events import CorrectionKind
from terminal.core.ids import SaleId, sale_id
from terminal.core.internal_events import EndCause
from terminal.core.meter_tests import account_of
from terminal.core.records import MediumRef, NozzleRef, SaleCorrected
from terminal.core.returned_record import SaleReturned
from terminal.core.returned_sales import BackHold, BackSale, SalesBack, SalesBackFailed
from terminal.host.client import Answer, Trouble
from terminal.host.json_lane import Authorization, Call, Lane, LaneError, decode, utc_ms

PAGE = 50
"""Sales of one page: some 60 KB."""

Token = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
Short = Annotated[str, msgspec.Meta(max_length=64)]
Product = Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
Epoch = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Sequence = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Quantity = Annotated[int, msgspec.Meta(ge=0, le=999_999_999)]
Value = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
Price = Annotated[int, msgspec.Meta(ge=0, le=10**9)]
Total = Annotated[int, msgspec.Meta(ge=0, le=10**15)]
Nozzle = Annotated[int, msgspec.Meta(ge=1, le=99)]
Point = Annotated[int, msgspec.Meta(ge=1, le=9999)]
Prompts = Annotated[dict[Annotated[str, msgspec.Meta(max_length=32)], Short], msgspec.Meta(max_length=16)]
Medium = Literal["badge", "secure badge", "stripe", "smart card"]
Trust = Literal["T0", "T1", "T2", "T3"]
Clock = Literal["trusted", "holdover", "untrusted"]


class _Strict(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing that the contract does not know."""


class _Card(_Strict):
    token: Token
    last4: Annotated[str, msgspec.Meta(max_length=4)]
    sealed: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9+/]{1,400}={0,2}\Z")]


class _Record(_Strict):
    key: str
    terminal: str
    site: str
    sale: str
    epoch: Epoch
    sequence: Sequence
    authorization: Authorization | None
    decided_by: Literal["host", "offline"]
    fuelling_point: Point
    nozzle: Nozzle | None
    card: _Card
    medium: Medium
    trust: Trust
    pin: Literal["verified", "none"]
    prompts: Prompts
    product: Product | None
    price: Price | None
    currency: str
    quantity_ml: Quantity
    value_minor: Value
    authorized_at: datetime
    ended_at: datetime
    end: EndCause
    totaliser_start_ml: Total | None
    totaliser_end_ml: Total | None
    clock: Clock
    list_version: Count
    cost_centre: Short | None
    driver: Short | None
    second_card: _Card | None = None
    marks: Annotated[list[Annotated[str, msgspec.Meta(pattern=r"^[A-Z0-9_ ]{1,32}\Z")]], msgspec.Meta(max_length=16)] | None = None


class _Correction(_Strict):
    correction: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,32}\Z")]
    kind: CorrectionKind
    quantity_ml: Quantity | None
    value_minor: Value | None
    account: Token | None
    customer: Short | None
    prompts: Prompts
    why: Annotated[str, msgspec.Meta(max_length=200)]


class _Sale(msgspec.Struct):
    record: _Record
    account: Token | None
    customer: Short | None
    second_account: Token | None
    corrections: Annotated[list[_Correction], msgspec.Meta(max_length=100)]


class _Offered(_Strict):
    nozzle: Nozzle
    product: Product
    price: Price


class _Request(_Strict):
    key: str
    terminal: str
    site: str
    sale: str
    epoch: Epoch
    sequence: Sequence
    fuelling_point: Point
    card: _Card
    second_card: _Card | None
    medium: Medium
    trust: Trust
    pin: Literal["verified", "sent", "none"]
    prompts: Prompts
    products: Annotated[list[_Offered], msgspec.Meta(min_length=1, max_length=16)]
    wish: dict[str, int] | None
    requested_at: datetime
    clock: Clock
    list_version: Count


class _Hold(msgspec.Struct):
    request: _Request
    authorization: Authorization
    account: Token
    customer: Short | None
    second_account: Token | None
    quantity_ml: Quantity | None
    value_minor: Value | None


class _Page(msgspec.Struct):
    time: datetime
    terminal: str
    epoch: Epoch
    last: Count
    more: bool
    sales: Annotated[list[_Sale], msgspec.Meta(max_length=100)]
    holds: Annotated[list[_Hold], msgspec.Meta(max_length=100)]


class Client(Protocol):
    """What is used of ``HostClient``."""

    def call(self, call: Call, deadline_ms: int) -> Answer | Trouble:
        """One call."""


def sales_call(lane: Lane, epoch: int, after: int) -> Call:
    """The question for the next page."""
    return Call("GET", f"/v1/terminals/{lane.terminal}/sales?epoch={epoch}&after={after}&limit={PAGE}")


def fetch_sales(lane: Lane, client: Client, epoch: int, after: int, deadline_ms: int) -> SalesBack | SalesBackFailed:
    """Ask, and read the answer; why not, in words that hold nothing of it."""
    came = client.call(sales_call(lane, epoch, after), deadline_ms)
    if isinstance(came, Trouble):
        return SalesBackFailed(came.why)
    if came.status != 200:
        return SalesBackFailed(f"status {came.status}")
    try:
        return page(lane, came.body, epoch, after)
    except LaneError as error:
        return SalesBackFailed(str(error))


def page(lane: Lane, body: bytes, epoch: int, after: int) -> SalesBack:
    """An answer, read. Raises ``LaneError``, whose text names what is wrong and repeats no value."""
    found: _Page = decode(body, _Page)
    _demand((found.terminal, found.epoch) == (lane.terminal, epoch), "another terminal or epoch than was asked")
    sales = tuple(_sale(lane, one) for one in found.sales)
    holds = tuple(_hold(lane, one) for one in found.holds)
    _rising(after, (one.fact for one in sales), epoch)
    _rising(0, (one.fact for one in holds), epoch)
    booked = {one.fact.sale for one in sales}
    _demand(not any(one.fact.sale in booked for one in holds), "a sale that is booked and held")
    _demand(not found.more or (bool(sales) and not holds), "more is to come behind a page that cannot be the first")
    last = max([one.fact.sequence for one in sales] + [one.fact.sequence for one in holds], default=0)
    _demand(found.last >= last, "a number above the last one")
    return SalesBack(epoch, after, found.last, found.more, sales, holds, utc_ms(found.time))


def _demand(good: bool, why: str) -> None:
    if not good:
        raise LaneError(f"lost sales: {why}")


def _rising(after: int, facts: Iterable[SaleReturned], epoch: int) -> None:
    for fact in facts:
        _demand(fact.epoch == epoch, "a sale of another epoch than was asked")
        _demand(fact.sequence > after, "a number out of its order")
        after = fact.sequence


def _named(lane: Lane, said: _Record | _Request, calls: tuple[str, ...]) -> SaleId:
    """The sale's name, which key, terminal, epoch and number must agree with."""
    name = sale_id(lane.terminal, said.epoch, said.sequence)
    _demand(said.terminal == lane.terminal and said.site == lane.site, "a sale of another terminal or site")
    _demand(said.sale == name and said.key in {f"{name}/{call}" for call in calls}, "a sale whose name and key do not agree")
    return name


def _sale(lane: Lane, said: _Sale) -> BackSale:
    record = said.record
    name = _named(lane, record, ("complete", "advice"))
    by_host = record.key.endswith("/complete")
    _demand((record.decided_by == "host") == by_host, "a record under the key of the other kind")
    _demand(record.currency == lane.currency, "another currency")
    whole = None not in (record.nozzle, record.product, record.price, record.totaliser_start_ml)
    _demand(record.quantity_ml == 0 or whole, "fuel without nozzle, product, price or totaliser")
    _demand(record.quantity_ml > 0 or record.value_minor == 0, "money for no fuel")
    start, end = record.totaliser_start_ml, record.totaliser_end_ml
    fact = SaleReturned(
        sale=name,
        epoch=record.epoch,
        sequence=record.sequence,
        fp=record.fuelling_point,
        nozzle=record.nozzle,
        card=_medium(record.card, record),
        account=_account(said.account, record),
        customer=None if TEST in (record.marks or ()) else said.customer,
        pin_verified=record.pin == "verified",
        prompts=tuple(sorted(record.prompts.items())),
        product=record.product,
        price=record.price,
        quantity_ml=record.quantity_ml,
        value_minor=record.value_minor,
        decided_by=record.decided_by,
        authorization=record.authorization,
        authorized_at=utc_ms(record.authorized_at),
        ended_at=utc_ms(record.ended_at),
        end=record.end.value,
        total_start_ml=start,
        total_end_ml=end,
        clock=record.clock,
        list_version=record.list_version,
        cost_centre=record.cost_centre,
        driver=record.driver,
        extra=_extra(record.second_card, record, said.second_account, record.marks),
    )
    return BackSale(fact, tuple(_correction(name, one) for one in said.corrections))


def _correction(sale: SaleId, said: _Correction) -> SaleCorrected:
    return SaleCorrected(
        event=0,
        correction=said.correction,
        sale=sale,
        kind=said.kind.value,
        quantity_ml=said.quantity_ml,
        value_minor=said.value_minor,
        account=said.account,
        customer=said.customer,
        prompts=tuple(sorted(said.prompts.items())),
        why=said.why,
        effective_at=0,
    )


def _hold(lane: Lane, said: _Hold) -> BackHold:
    request = said.request
    asked = utc_ms(request.requested_at)
    fact = SaleReturned(
        sale=_named(lane, request, ("authorize",)),
        epoch=request.epoch,
        sequence=request.sequence,
        fp=request.fuelling_point,
        nozzle=None,
        card=_medium(request.card, request),
        account=said.account,
        customer=said.customer,
        pin_verified=request.pin == "verified",
        prompts=tuple(sorted(request.prompts.items())),
        product=None,
        price=None,
        quantity_ml=0,
        value_minor=0,
        decided_by="host",
        authorization=said.authorization,
        authorized_at=asked,
        ended_at=asked,
        end=EndCause.POWER.value,
        total_start_ml=None,
        total_end_ml=None,
        clock=request.clock,
        list_version=request.list_version,
        extra=_extra(request.second_card, request, said.second_account, None),
        found=True,
    )
    nozzles = tuple(NozzleRef(one.nozzle, one.product, one.price) for one in request.products)
    return BackHold(fact, nozzles, said.quantity_ml, said.value_minor)


def _medium(card: _Card, said: _Record | _Request) -> MediumRef:
    return MediumRef(token=card.token, last4=card.last4, medium=said.medium, trust=said.trust, sealed=card.sealed)


def _account(account: str | None, record: _Record) -> str:
    """Where it counts: nowhere for a technician's test, and for a card that the host does not know on the card itself."""
    if TEST in (record.marks or ()):
        return account_of(record.card.token)
    return account or record.card.token


def _extra(second: _Card | None, said: _Record | _Request, account: str | None, marks: Any) -> SaleExtra:
    if second is None:
        return SaleExtra(marks=tuple(marks or ()))
    return SaleExtra(_medium(second, said), account or second.token, tuple(marks or ()))
