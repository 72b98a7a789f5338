"""The JSON lane: core values to request bytes, answer bytes to core values. Pure; ``client`` does the talking.

The contract is ``firmware_notes/host-api.openapi.yaml``. Answers are decoded strictly in what we use and liberally in what we do not:
unknown fields are left alone, wrong types make the whole answer unusable (``LaneError``), never half used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec

from terminal.core.batch_events import CloseAnswered
from terminal.core.card_data import HostAnswer, HostDecision
from terminal.core.events import UploadResult
from terminal.core.ids import MessageKey, MessageKind
from terminal.core.messages import Authorize, Booking, CloseBatch, SaleMessage
from terminal.core.reasons import Reason
from terminal.core.records import MediumRef
from terminal.core.units import UtcMs
from terminal.store.plain_words import complaint

_REASONS = {reason.value: reason for reason in Reason}
Amount = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
Authorization = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,64}\Z")]
"""We send it back with the booking, so one that the contract does not know would make that booking refused for good."""
EARLIEST = UtcMs(946_684_800_000)
LATEST = UtcMs(4_102_444_800_000)
"""2000-01-01 and 2100-01-01. The terminal's time never goes back, so a single absurd answer would stay its time for ever."""
REFUSED_LENGTH = 200
REFUSED_FOR_GOOD = (400, 404, 409, 413, 422)
NOT_COMMISSIONED = "unknown_terminal"


class LaneError(Exception):
    """The host's answer is none; the text has no content of it beyond field names."""


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTPS request: method, path, body and the idempotency key (None where the contract has none)."""

    method: str
    path: str
    body: bytes | None = None
    key: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    packed: bool = False
    """The answer is wanted as it travels, not unpacked."""


class _Authorized(msgspec.Struct):
    time: datetime
    decision: HostDecision
    authorization: Authorization | None = None
    quantity_ml: Amount | None = None
    value_minor: Amount | None = None
    products: list[str] | None = None
    reason: str | None = None


class _Booked(msgspec.Struct):
    time: datetime
    result: UploadResult


class _Item(msgspec.Struct):
    key: str
    result: UploadResult


class _BookedItems(msgspec.Struct):
    time: datetime
    results: list[_Item]


class _Closed(msgspec.Struct):
    time: datetime
    result: Literal["balanced", "unbalanced"]
    missing: Annotated[list[Annotated[int, msgspec.Meta(ge=1)]], msgspec.Meta(max_length=1000)]
    resend_all: bool


class _Time(msgspec.Struct):
    time: datetime


class _Error(msgspec.Struct):
    error: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]{1,40}\Z")]
    message: str


@dataclass(frozen=True, slots=True)
class Lane:
    """Knows who this terminal is; everything else comes with the message."""

    terminal: str
    site: str
    currency: str

    # --- requests ---------------------------------------------------------------------------------------------------------

    def authorize(self, message: Authorize) -> Call:
        """The question before a fuelling."""
        body = {
            "key": message.key,
            "terminal": self.terminal,
            "site": self.site,
            "sale": message.sale,
            "epoch": message.epoch,
            "sequence": message.sequence,
            "fuelling_point": message.fp,
            **_medium(message.card),
            "second_card": _second(message.second),
            **_pin(message),
            "prompts": dict(message.prompts),
            "products": [{"nozzle": ref.nozzle, "product": ref.product, "price": ref.price} for ref in message.nozzles],
            "wish": _wish(message),
            "requested_at": instant_text(message.requested_at),
            "clock": message.clock,
            "list_version": message.list_version,
        }
        return Call("POST", "/v1/authorizations", msgspec.json.encode(body), message.key)

    def encode(self, message: SaleMessage) -> bytes:
        """The bytes of an outbox message; made once, stored, and sent unchanged on every try."""
        if isinstance(message, Booking):
            return msgspec.json.encode(self._booking(message))
        if isinstance(message, CloseBatch):
            return msgspec.json.encode(_close(message))
        return msgspec.json.encode(
            {
                "key": message.key,
                "terminal": self.terminal,
                "sale": message.sale,
                "epoch": message.epoch,
                "sequence": message.sequence,
                "reason": message.reason,
            }
        )

    def upload(self, key: str, body: bytes, *more: bytes) -> Call:
        """The request that carries a stored message, or an advice with ``more`` behind it."""
        sale, _, kind = key.rpartition("/")
        if kind == MessageKind.CLOSE.value:
            batch = sale.rpartition("-B")[2].partition(".")[0]
            return Call("POST", f"/v1/terminals/{self.terminal}/batches/{batch}/close", body, key)
        if kind == MessageKind.COMPLETE.value:
            return Call("POST", f"/v1/authorizations/{sale}/completion", body, key)
        if kind == MessageKind.REVERSE.value:
            return Call("POST", f"/v1/authorizations/{sale}/reversal", body, key)
        terminal = msgspec.json.encode(self.terminal)
        return Call("POST", "/v1/transactions", b'{"terminal":' + terminal + b',"items":[' + b",".join((body, *more)) + b"]}", key)

    def probe(self) -> Call:
        """What time is it?"""
        return Call("GET", "/v1/time")

    def list_heads(self) -> Call:
        """Which lists are the newest?"""
        return Call("GET", f"/v1/terminals/{self.terminal}/lists")

    def snapshot(self, epoch: str, version: int, start: int, tag: str) -> Call:
        """The whole card list of one version, packed, from this byte on; of another entity than ``tag`` it comes from its beginning."""
        resume = (("Range", f"bytes={start}-"), ("If-Range", tag)) if start else ()
        return Call("GET", f"/v1/terminals/{self.terminal}/lists/cards/{epoch}/{version}", headers=resume, packed=True)

    def deltas(self, epoch: str, version: int) -> Call:
        """Which changes lead from this version to the newest?"""
        return Call("GET", f"/v1/terminals/{self.terminal}/lists/cards/deltas?epoch={epoch}&from={version}")

    def delta(self, epoch: str, version: int) -> Call:
        """The changes that lead to this version."""
        return Call("GET", f"/v1/terminals/{self.terminal}/lists/cards/{epoch}/{version}/delta")

    def events(self, last_event: int) -> Call:
        """The stream of what the host says unasked, from behind this event on; 0: from its beginning."""
        resume = (("Last-Event-ID", str(last_event)),) if last_event else ()
        headers = (("Accept", "text/event-stream"), ("Accept-Encoding", "identity"), ("Cache-Control", "no-store"), *resume)
        return Call("GET", f"/v1/terminals/{self.terminal}/events", headers=headers)

    def acknowledge(self, event: int, effective_at: int, refused: str | None = None) -> Call:
        """The event is durable here and counts since that instant; ``refused``: it cannot be done, and why."""
        said = {} if refused is None else {"refused": refused[:REFUSED_LENGTH]}
        body = msgspec.json.encode({"effective_at": instant_text(effective_at), "durable": True, **said})
        return Call("POST", f"/v1/terminals/{self.terminal}/events/{event}/ack", body)

    # --- answers ----------------------------------------------------------------------------------------------------------

    def authorized(self, body: bytes) -> tuple[HostAnswer, UtcMs]:
        """The host's decision. A reason that is none of ours counts as ``HOST_DECLINED``. Raises ``LaneError``."""
        answer = decode(body, _Authorized)
        reason = _REASONS.get(answer.reason or "")
        products = None if answer.products is None else frozenset(answer.products)
        return (
            HostAnswer(answer.decision, answer.quantity_ml, answer.value_minor, reason, answer.authorization, products),
            utc_ms(answer.time),
        )

    def booked(self, key: str, body: bytes) -> tuple[UploadResult, UtcMs]:
        """The host's verdict on one stored message. Raises ``LaneError``."""
        if not key.endswith(f"/{MessageKind.ADVICE.value}"):
            single = decode(body, _Booked)
            return single.result, utc_ms(single.time)
        ((_, result),), host_time = self.booked_items((key,), body)
        return result, host_time

    def booked_items(self, keys: Sequence[str], body: bytes) -> tuple[tuple[tuple[MessageKey, UploadResult], ...], UtcMs]:
        """The host's verdict on each of these advices, in their order. Raises ``LaneError`` also for an answer that names one of them not
        at all or twice, or another one."""
        several = decode(body, _BookedItems)
        found = {item.key: item.result for item in several.results}
        if len(found) != len(several.results):
            raise LaneError("the answer names a message more than once")
        if found.keys() != set(keys):
            raise LaneError("the answer does not name the messages that were sent")
        return tuple((MessageKey(key), found[key]) for key in keys), utc_ms(several.time)

    def closed(self, key: str, body: bytes) -> CloseAnswered:
        """What the host found comparing a batch. Raises ``LaneError``."""
        answer = decode(body, _Closed)
        return CloseAnswered(MessageKey(key), answer.result == "balanced", tuple(answer.missing), answer.resend_all, utc_ms(answer.time))

    def refused(self, body: bytes) -> str:
        """The code of an error that the host itself gave. Raises ``LaneError`` for what a proxy or a portal on the way says."""
        return str(decode(body, _Error).error)

    def time(self, body: bytes) -> UtcMs:
        """The host's time. Raises ``LaneError``."""
        return utc_ms(decode(body, _Time).time)

    def _booking(self, message: Booking) -> dict[str, Any]:
        return {
            "key": message.key,
            "terminal": self.terminal,
            "site": self.site,
            "sale": message.sale,
            "epoch": message.epoch,
            "sequence": message.sequence,
            "authorization": message.authorization,
            "decided_by": message.decided_by,
            "fuelling_point": message.fp,
            "nozzle": message.nozzle,
            **_medium(message.card),
            "pin": "verified" if message.pin_verified else "none",
            "prompts": dict(message.prompts),
            "product": message.product,
            "price": message.price,
            "currency": self.currency,
            "quantity_ml": message.quantity_ml,
            "value_minor": message.value_minor,
            "authorized_at": instant_text(message.authorized_at),
            "ended_at": instant_text(message.ended_at),
            "end": message.end,
            "totaliser_start_ml": message.total_start_ml,
            "totaliser_end_ml": message.total_end_ml,
            "clock": message.clock,
            "list_version": message.list_version,
            "cost_centre": message.cost_centre,
            "driver": message.driver,
            "second_card": _second(message.second),
            "marks": list(message.marks) or None,
        }


def _close(message: CloseBatch) -> dict[str, Any]:
    return {
        "key": message.key,
        "terminal": message.terminal,
        "epoch": message.epoch,
        "batch": message.batch,
        "attempt": message.attempt,
        "first_sequence": message.first,
        "last_sequence": message.last,
        "records": message.records,
        "open": message.open,
        "quarantined": message.quarantined,
        "totals": [asdict(total) for total in message.totals],
        "empty": message.empty,
    }


def decode(body: bytes, shape: type[Any]) -> Any:
    """Strictly, with the field's name but none of its content in the error. Raises ``LaneError``."""
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        # Not "from error": its text may quote what the host sent.
        raise LaneError(f"not an answer of the contract: {complaint(error)}") from None


def instant_text(utc: int) -> str:
    """RFC 3339 UTC with milliseconds."""
    return f"{_second_text(utc // 1000)}.{utc % 1000:03d}Z"


@lru_cache(maxsize=256)
def _second_text(second: int) -> str:
    """Kept: a report of the state says mostly the same instants as the one before."""
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]


def utc_ms(instant: datetime) -> UtcMs:
    """Milliseconds since 1970 of an aware datetime. Raises ``LaneError`` for one without a zone or outside 2000...2099."""
    if instant.tzinfo is None:
        raise LaneError("an instant without a zone")
    delta = instant - datetime(1970, 1, 1, tzinfo=UTC)
    found = UtcMs((delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000)
    if not EARLIEST <= found < LATEST:
        raise LaneError("an instant that is not of this century")
    return found


def _second(card: MediumRef | None) -> dict[str, Any] | None:
    return None if card is None else {"token": card.token, "last4": card.last4, "sealed": card.sealed}


def _pin(message: Authorize) -> dict[str, Any]:
    """How the PIN was checked; one that the host is to check goes with its block, beside one that we checked as well."""
    sent = message.pin_block
    if sent is None:
        return {"pin": "verified" if message.pin_verified else "none"}
    return {"pin": "verified" if message.pin_verified else "sent", "pin_block": sent.block, "ksn": sent.ksn}


def _medium(card: MediumRef) -> dict[str, Any]:
    return {"card": {"token": card.token, "last4": card.last4, "sealed": card.sealed}, "medium": card.medium, "trust": card.trust}


def _wish(message: Authorize) -> dict[str, int] | None:
    if message.wish_ml is not None:
        return {"quantity_ml": message.wish_ml}
    return None if message.wish_minor is None else {"value_minor": message.wish_minor}
