"""The host at the other end of a line with its own conduct, in virtual time. The real lane makes the bytes on one side, the host's book
answers on the other; what the terminal hears is made by the same functions that the worker threads use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hal_sim.host.book import HostBook
from terminal.core.events import HostTrouble, ListsCurrent, ListsReady, ListsRefused, ProbeFailed
from terminal.core.messages import Authorize
from terminal.host import workers
from terminal.host.client import Answer, Trouble
from terminal.host.json_lane import Call, Lane
from terminal.host.list_sync import ListSync, ListTrouble, lines_of, newer
from terminal.store.ledger import QueuedMessage
from tests.virtual.heap import Heap

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


Fate = Callable[[str], Conduct]


class VirtualHost:
    """Carries calls to the book and answers back. ``fate`` may give every call a conduct of its own."""

    def __init__(self, heap: Heap, book: HostBook, lane: Lane, cards: Path, authorize_ms: int, upload_ms: int) -> None:
        self.heap = heap
        self.book = book
        self.lane = lane
        self.conduct = Conduct()
        self.fate: Fate = lambda kind: self.conduct
        self.authorize_ms = authorize_ms
        self.upload_ms = upload_ms
        self._sync = ListSync(lane, cards, authorize_ms)
        self._post: Callable[[object], None] = lambda event: None
        self._generation = 0

    def connect(self, post: Callable[[object], None]) -> None:
        """The terminal starts: answers go here from now on."""
        self._generation += 1
        self._post = post

    def disconnect(self) -> None:
        """The terminal lost its power: what is under way to it is lost."""
        self._generation += 1

    def ask(self, question: Authorize) -> None:
        """See ``Outside.ask_host``."""
        self._carry(
            "authorize",
            self.lane.authorize(question),
            self.authorize_ms,
            lambda came: workers.authorize(self.lane, Came(came), question, self.authorize_ms),  # type: ignore[arg-type]
        )

    def upload(self, message: QueuedMessage) -> None:
        """See ``Outside.upload``."""
        self._carry(
            "upload",
            self.lane.upload(message.key, message.body),
            self.upload_ms,
            lambda came: workers.upload(self.lane, Came(came), message, self.upload_ms),  # type: ignore[arg-type]
        )

    def probe(self) -> None:
        """See ``Outside.probe_host``."""
        self._carry(
            "probe",
            self.lane.probe(),
            self.authorize_ms,
            lambda came: workers.probe(self.lane, Came(came), self.authorize_ms),  # type: ignore[arg-type]
        )

    def check_lists(self, epoch: str, version: int) -> None:
        """See ``Outside.check_lists``: the heads, then the snapshot, checked and built by the real code."""
        self._carry("lists", self.lane.list_heads(), self.authorize_ms, lambda came: self._lists(came, epoch, version))

    def _lists(self, came: Answer | Trouble, epoch: str, version: int) -> object:
        try:
            head, host_time = self._sync.head(came)
            if head is None or not newer(head, epoch, version):
                return ListsCurrent(host_time)
            status, _, body = self.book.handle("GET", self.lane.snapshot(head.epoch, head.version).path, {}, b"")
            if status != 200:
                return ProbeFailed(HostTrouble.TECHNICAL, f"status {status}")
            found = self._sync.build(head, lines_of(body))
        except ListTrouble as trouble:
            return ProbeFailed(trouble.kind, trouble.why) if trouble.kind is not None else ListsRefused(trouble.why)
        return ListsReady(found.file, found.epoch, found.version, found.rows, host_time)

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
