"""The host at the other end of a line with its own conduct, in virtual time. The real lane makes the bytes on one side, the host's book
answers on the other; what the terminal hears is made by the same functions that the worker threads use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hal_sim.host.book import HostBook
from terminal.core.card_lists import NO_LIST, ListMark
from terminal.core.events import HostTrouble
from terminal.core.messages import Authorize
from terminal.core.terminal_state import TerminalState
from terminal.host import sales_lane, state_lane, workers
from terminal.host.client import Answer, Trouble
from terminal.host.json_lane import Call, Lane
from terminal.host.list_head import ListKeys
from terminal.host.list_sync import Known, ListSync
from terminal.store import card_import
from terminal.store.ledger import QueuedMessage
from tests.virtual.heap import Heap
from tests.virtual.push import VirtualPush

TRAVEL_MS = 20
REFUSAL_MS = 5


@dataclass(slots=True)
class Conduct:
    """How line and host behave now."""

    reachable: bool = True
    delay_ms: int = 0
    lose_answers: bool = False
    always_500: bool = False
    garbage: bool = False  # answered 200 with what is no answer; nothing is booked
    repeat: bool = False  # the request arrives twice, and the answer to an authorization is told twice
    tardy_ms: int = 0  # the answer came in time and enters the inbox so much later


@dataclass(frozen=True, slots=True)
class Came:
    """A client that has one answer."""

    answer: Answer | Trouble

    def call(self, call: Call, deadline_ms: int) -> Answer | Trouble:
        """What came."""
        return self.answer


@dataclass(slots=True)
class _Asking:
    """A client whose first answer has come; what follows from it is asked at once."""

    book: HostBook
    first: Answer | Trouble | None

    def call(self, call: Call, deadline_ms: int) -> Answer | Trouble:
        """The answer that came, then the book's."""
        first, self.first = self.first, None
        if first is not None:
            return first
        status, _, body = self.book.handle(call.method, call.path, {}, b"")
        return Answer(status, body)

    def stream(self, call: Call, deadline_ms: int, cap: int, stall_ms: int | None = None) -> Iterator[int | bytes | Trouble]:
        """The book's answer, packed."""
        status, _, body = self.book.handle(call.method, call.path, {"Accept-Encoding": "gzip", **dict(call.headers)}, b"")
        yield status
        yield body


Fate = Callable[[str], Conduct]


class VirtualHost:
    """Carries calls to the book and answers back. ``fate`` may give every call a conduct of its own."""

    def __init__(self, heap: Heap, book: HostBook, lane: Lane, cards: Path, authorize_ms: int, upload_ms: int) -> None:
        self.heap = heap
        self.book = book
        self.lane = lane
        self._conduct = Conduct()
        self.fate: Fate = lambda kind: self.conduct
        self.authorize_ms = authorize_ms
        self.upload_ms = upload_ms
        self._sync = ListSync(lane, ListKeys(book.shelf.public), cards, authorize_ms, card_import.build)
        self._post: Callable[[object], None] = lambda event: None
        self._generation = 0
        self.push = VirtualPush(heap, book, lane, self._stream_opens)

    @property
    def conduct(self) -> Conduct:
        """How line and host behave now."""
        return self._conduct

    @conduct.setter
    def conduct(self, conduct: Conduct) -> None:
        self._conduct = conduct
        if not conduct.reachable:
            self.push.cut()

    def _stream_opens(self) -> bool:
        conduct = self.fate("push")
        return conduct.reachable and not (conduct.always_500 or conduct.garbage or conduct.lose_answers)

    def connect(self, post: Callable[[object], None]) -> None:
        """The terminal starts: answers go here from now on."""
        self._generation += 1
        self._post = post
        self.push.connect(post)

    def disconnect(self) -> None:
        """The terminal lost its power: what is under way to it is lost."""
        self._generation += 1
        self.push.disconnect()

    def ask(self, question: Authorize) -> None:
        """See ``Outside.ask_host``."""
        self._carry(
            "authorize",
            self.lane.authorize(question),
            self.authorize_ms,
            lambda came: workers.authorize(self.lane, Came(came), question, self.authorize_ms),  # type: ignore[arg-type]
        )

    def upload(self, messages: tuple[QueuedMessage, ...]) -> None:
        """See ``Outside.upload``."""
        self._carry(
            "upload",
            self.lane.upload(messages[0].key, *(message.body for message in messages)),
            self.upload_ms,
            lambda came: workers.upload(self.lane, Came(came), messages, self.upload_ms),  # type: ignore[arg-type]
        )

    def probe(self) -> None:
        """See ``Outside.probe_host``."""
        self._carry(
            "probe",
            self.lane.probe(),
            self.authorize_ms,
            lambda came: workers.probe(self.lane, Came(came), self.authorize_ms),  # type: ignore[arg-type]
        )

    def ack_event(self, event: int, effective_at: int, refused: str | None = None) -> None:
        """See ``Outside.ack_event``."""
        self._carry(
            "ack",
            self.lane.acknowledge(event, effective_at, refused),
            self.upload_ms,
            lambda came: workers.acknowledge(self.lane, Came(came), event, effective_at, self.upload_ms),  # type: ignore[arg-type]
        )

    def report_state(self, state: TerminalState) -> None:
        """See ``Outside.report_state``; each is sent, in its order."""
        self._carry(
            "state",
            state_lane.state_call(self.lane, state),
            self.upload_ms,
            lambda came: state_lane.report_state(self.lane, Came(came), state, self.upload_ms),  # type: ignore[arg-type]
        )

    def tell_applied(self, epoch: str, version: int, at: int) -> None:
        """See ``Outside.tell_applied``."""
        self._carry(
            "applied",
            state_lane.applied_call(self.lane, epoch, version, at),
            self.upload_ms,
            lambda came: state_lane.tell_applied(self.lane, Came(came), epoch, version, at, self.upload_ms),  # type: ignore[arg-type]
        )

    def fetch_sales(self, epoch: int, after: int) -> None:
        """See ``Outside.fetch_sales``."""
        self._carry(
            "sales",
            sales_lane.sales_call(self.lane, epoch, after),
            self.upload_ms,
            lambda came: sales_lane.fetch_sales(self.lane, Came(came), epoch, after, self.upload_ms),
        )

    def check_lists(self, epoch: str, version: int, mark: ListMark = NO_LIST, whole: bool = False) -> None:
        """See ``Outside.check_lists``: all questions are asked at the moment when the first one arrives, by the real code."""
        known = Known(epoch, version, mark, whole)
        self._carry(
            "lists",
            self.lane.list_heads(),
            self.authorize_ms,
            lambda came: workers.check_lists(self._sync, _Asking(self.book, came), known),
        )

    def _carry(self, kind: str, call: Call, deadline_ms: int, event_of: Callable[[Answer | Trouble], object]) -> None:
        generation = self._generation
        conduct = self.fate(kind)

        def deliver(came: Answer | Trouble) -> None:
            if generation == self._generation:
                self._post(event_of(came))

        def arrive() -> None:
            answer = self._handle(call, conduct)
            if conduct.repeat and not conduct.lose_answers:
                answer = self._handle(call, conduct)
            if conduct.delay_ms + 2 * TRAVEL_MS <= deadline_ms:
                wait = conduct.delay_ms + TRAVEL_MS + conduct.tardy_ms
                self.heap.after(wait, lambda: deliver(answer))
                if conduct.repeat and kind == "authorize":
                    self.heap.after(wait + TRAVEL_MS, lambda: deliver(answer))

        if not conduct.reachable:
            self.heap.after(REFUSAL_MS, lambda: deliver(Trouble(HostTrouble.NO_LINE, "the host refuses the connection or cannot be found")))
            return
        self.heap.after(TRAVEL_MS, arrive)
        if conduct.delay_ms + 2 * TRAVEL_MS > deadline_ms:
            self.heap.after(deadline_ms, lambda: deliver(Trouble(HostTrouble.TIMED_OUT, "no answer in time")))

    def _handle(self, call: Call, conduct: Conduct) -> Answer | Trouble:
        if conduct.always_500:
            return Answer(500, b'{"error":"internal","message":"told to"}')
        if conduct.garbage:
            return Answer(200, b"<html>please sign in</html>")
        headers = {} if call.key is None else {"Idempotency-Key": call.key}
        status, _, body = self.book.handle(call.method, call.path, headers, call.body or b"")
        if conduct.lose_answers:
            return Trouble(HostTrouble.TECHNICAL, "the connection broke (ConnectionError)")
        return Answer(status, body)
