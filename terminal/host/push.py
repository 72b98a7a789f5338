"""The stream that the host talks over unasked: what its events mean, when to try again, and the thread that holds it open.

The thread has a connection of its own and is stopped by closing its socket. It knows nothing of cards: what it reads becomes events of
the core, and what it cannot read becomes the wish to look at the lists. Contract: firmware_notes/host-api.md, "Push".
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from typing import Annotated

import msgspec

from terminal.core.deny_subject import DenyKind, DenySubject
from terminal.core.events import DenyPushed, ListHint, PushDown, PushUnreadable, PushUp
from terminal.core.host_events import ClosingPushed, ClosingScope, CorrectionKind, CorrectionPushed, EventUnusable, LedgerConfirmed
from terminal.core.orders import OrderPushed
from terminal.core.prices import PricesPushed
from terminal.host.client import HostClient, Trouble
from terminal.host.event_stream import EventParser, Heartbeat, StreamEvent
from terminal.host.json_lane import Amount, Lane, LaneError, decode
from terminal.host.price_events import prices
from terminal.host.push_orders import order

LOG = logging.getLogger("terminal.host")
SILENCE_MS = 60_000
"""The host comments every 25 s; behind more than two of them missed the line is taken for dead."""
STREAM_MS = 86_400_000
STREAM_CAP = 1 << 40
RETRY_FIRST_MS = 500
RETRY_CAP_MS = 30_000
ROOM_S = 0.05
STEADY_MS = 10_000
"""A stream that lasted so long was a good one: the next try may come soon."""

EventId = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
Version = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Epoch = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,32}\Z")]
Token = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
CustomerName = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Number = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
SaleName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9]{1,16}-[0-9]{1,16}-[0-9]{1,16}\Z")]
PromptName = Annotated[str, msgspec.Meta(pattern=r"^[A-Z0-9_ ]{1,32}\Z")]
PromptText = Annotated[str, msgspec.Meta(max_length=64)]
Why = Annotated[str, msgspec.Meta(max_length=200)]


class _Subject(msgspec.Struct):
    card: Token | None = None
    customer: CustomerName | None = None
    range: tuple[Number, Number] | None = None


class _Deny(msgspec.Struct):
    id: EventId
    deny: _Subject
    lifted: bool
    epoch: Epoch
    list_version: Version


class _Hint(msgspec.Struct):
    epoch: Epoch
    version: Version


class _Correction(msgspec.Struct):
    id: EventId
    correction: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,32}\Z")]
    sale: SaleName
    kind: CorrectionKind
    why: Why
    quantity_ml: Amount | None = None
    value_minor: Amount | None = None
    account: Token | None = None
    customer: CustomerName | None = None
    prompts: dict[PromptName, PromptText] = {}


class _Closing(msgspec.Struct):
    id: EventId
    scope: ClosingScope
    name: Annotated[str, msgspec.Meta(max_length=64)]
    closed: bool
    why: Why


class _Ledger(msgspec.Struct):
    id: EventId
    why: Why


class _Numbered(msgspec.Struct):
    id: EventId


PushEvent = (
    DenyPushed | CorrectionPushed | ClosingPushed | OrderPushed | PricesPushed | LedgerConfirmed | EventUnusable | ListHint | PushUnreadable
)
NUMBERED = (DenyPushed, CorrectionPushed, ClosingPushed, OrderPushed, PricesPushed, LedgerConfirmed, EventUnusable)
"""What has an id of the stream, behind which it is resumed."""


def meaning(event: StreamEvent) -> PushEvent | None:
    """What an event of the stream says; None for a kind that the contract does not know, which a newer host may send."""
    if event.name not in ("deny", "lists", "correction", "closing", "order", "ledger", "prices"):
        return None
    if event.spoilt:
        return PushUnreadable(f"a {event.name} event is longer than allowed")
    try:
        if event.name == "correction":
            return _correction(event.data)
        if event.name == "closing":
            return _closing(event.data)
        if event.name == "ledger":
            return _ledger(event.data)
        if event.name == "order":
            return order(event.data)
        if event.name == "prices":
            return prices(event.data)
        if event.name == "lists":
            hint = decode(event.data, _Hint)
            return ListHint(hint.epoch, hint.version)
        deny = decode(event.data, _Deny)
        return DenyPushed(deny.id, _subject(deny.deny), deny.lifted, deny.epoch, deny.list_version)
    except LaneError as error:
        return PushUnreadable(f"{event.name}: {error}")


def _correction(data: bytes) -> CorrectionPushed | EventUnusable:
    try:
        said = decode(data, _Correction)
    except LaneError as error:
        return EventUnusable(decode(data, _Numbered).id, f"correction: {error}")
    prompts = tuple(sorted(said.prompts.items()))
    return CorrectionPushed(
        said.id, said.correction, said.sale, said.kind, said.quantity_ml, said.value_minor, said.account, said.customer, prompts, said.why
    )


def _closing(data: bytes) -> ClosingPushed | EventUnusable:
    try:
        said = decode(data, _Closing)
    except LaneError as error:
        return EventUnusable(decode(data, _Numbered).id, f"closing: {error}")
    if (said.name == "") is not (said.scope is ClosingScope.SITE):
        return EventUnusable(said.id, "closing: the site has no name, everything else has one")
    return ClosingPushed(said.id, said.scope, said.name, said.closed, said.why)


def _ledger(data: bytes) -> LedgerConfirmed | EventUnusable:
    try:
        said = decode(data, _Ledger)
    except LaneError as error:
        return EventUnusable(decode(data, _Numbered).id, f"ledger: {error}")
    return LedgerConfirmed(said.id, said.why)


def _subject(subject: _Subject) -> DenySubject:
    if sum(named is not None for named in (subject.card, subject.customer, subject.range)) == 1:
        if subject.card is not None:
            return DenySubject(DenyKind.CARD, subject.card)
        if subject.customer is not None:
            return DenySubject(DenyKind.CUSTOMER, subject.customer)
        if subject.range is not None and len(subject.range[0]) == len(subject.range[1]) and subject.range[0] <= subject.range[1]:
            return DenySubject(DenyKind.RANGE, *subject.range)
    raise LaneError("a deny names either a card, a customer, or the first and last of a range of equal lengths")


class Backoff:
    """How long to wait before the next try: doubled each time up to the cap, spread so that a fleet does not come back at once."""

    def __init__(self, first_ms: int, cap_ms: int, draw: Callable[[int], int] = secrets.randbelow) -> None:
        """``draw(n)`` gives 0 to n - 1."""
        self._first_ms = first_ms
        self._cap_ms = cap_ms
        self._draw = draw
        self._tries = 0

    def worked(self) -> None:
        """The next wait is the shortest again."""
        self._tries = 0

    def next_ms(self) -> int:
        """Between half of the wait and the whole."""
        whole = min(self._cap_ms, self._first_ms << min(self._tries, 20))
        self._tries += 1
        return whole - self._draw(whole // 2 + 1)


class Listener:
    """One opening of the stream, from its first byte to its end: pure, so that every world reads it the same way."""

    def __init__(self, post: Callable[[object], None]) -> None:
        self._post = post
        self._parser = EventParser()
        self.up = False
        self.last_event: int | None = None

    def feed(self, piece: bytes) -> None:
        """Post what these bytes complete."""
        for found in self._parser.feed(piece):
            said = None if isinstance(found, Heartbeat) else meaning(found)
            if isinstance(said, PushUnreadable):
                LOG.warning("event=PushUnreadable why=%r", said.why)
            if not self.up and not isinstance(said, PushUnreadable):
                self.up = True
                self._post(PushUp())
            if said is not None:
                self._post(said)
            if isinstance(said, NUMBERED):
                self.last_event = said.event

    def ended(self, why: str) -> None:
        """Post that it is over, when it had begun."""
        if self.up:
            self.up = False
            self._post(PushDown(why))


class PushThread:
    """Holds the stream open for ever, resumed behind the last event that was handed on."""

    def __init__(
        self,
        lane: Lane,
        client: HostClient,
        post: Callable[[object], None],
        backoff: Backoff | None = None,
        silence_ms: int = SILENCE_MS,
        room: Callable[[], bool] = lambda: True,
    ) -> None:
        """``room``: what was posted is taken fast enough. Without it the stream is not read on, and the line makes the host wait."""
        self._room = room
        self._lane = lane
        self._client = client
        self._post = post
        self._backoff = backoff or Backoff(RETRY_FIRST_MS, RETRY_CAP_MS)
        self._silence_ms = silence_ms
        self._last_event = 0
        self._opened = threading.Event()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="host-push", daemon=True)

    def start(self) -> None:
        """Start the thread; it waits for ``open``."""
        self._thread.start()

    def open(self, last_event: int) -> None:
        """From this event on when it is the first time; later: do not wait any longer for the next try."""
        if not self._opened.is_set():
            self._last_event = last_event
            self._opened.set()
        self._wake.set()

    def stop(self) -> None:
        """End now, in the middle of whatever is read."""
        self._stopping.set()
        self._opened.set()
        self._wake.set()
        self._client.close()
        if self._thread.is_alive():
            self._thread.join(0.5)

    def _run(self) -> None:
        self._opened.wait()
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                self._listen()
            except Exception:  # noqa: BLE001 - top of this thread: a bug here must not silence the host for good
                LOG.exception("the stream from the host failed in an unexpected way")
            if not self._stopping.is_set():
                self._wake.wait(self._backoff.next_ms() / 1000)

    def _listen(self) -> None:
        listener = Listener(self._post)
        why = "the host ended it"
        begun = self._client.clock()
        try:
            for piece in self._client.stream(self._lane.events(self._last_event), STREAM_MS, STREAM_CAP, self._silence_ms):
                if isinstance(piece, Trouble):
                    why = piece.why
                    return
                if isinstance(piece, int):
                    if piece != 200:
                        why = f"status {piece}"
                        return
                    continue
                while not self._room() and not self._stopping.wait(ROOM_S):
                    pass
                listener.feed(piece)
                if listener.last_event is not None:
                    self._last_event = listener.last_event
                if listener.up and self._client.clock() - begun >= STEADY_MS:
                    self._backoff.worked()
        finally:
            listener.ended(why)
