"""The host's stream in virtual time: the book's bytes, the terminal's own reader and its own waits between two tries, no thread.

An open stream is cut when the host becomes unreachable, as the real server cuts its connections; the terminal then tries again by the
same rule as the thread does, without its spread, or at once when it is told that the host is back.
"""

from __future__ import annotations

from collections.abc import Callable

from hal_sim.host.book import HostBook
from hal_sim.host.push import Cursor
from terminal.host.json_lane import Lane
from terminal.host.push import RETRY_CAP_MS, RETRY_FIRST_MS, Backoff, Listener
from tests.virtual.heap import Heap

TRAVEL_MS = 20


class VirtualPush:
    """One terminal's stream. ``may_open`` says whether a try that starts now gets through."""

    def __init__(self, heap: Heap, book: HostBook, lane: Lane, may_open: Callable[[], bool]) -> None:
        self.heap = heap
        self.book = book
        self.lane = lane
        self.may_open = may_open
        self._life = 0  # of the terminal's program; what is under way to an older one is lost
        self._try = 0
        self._post: Callable[[object], None] = lambda event: None
        self._listener: Listener | None = None
        self._wanted = False
        self._cursor: Cursor | None = None  # None: no stream is open
        self._last_event = 0
        self._backoff = Backoff(RETRY_FIRST_MS, RETRY_CAP_MS, lambda n: 0)
        book.listeners.append(self._news)

    def connect(self, post: Callable[[object], None]) -> None:
        """The terminal's program starts."""
        self.disconnect()
        self._post = post

    def disconnect(self) -> None:
        """It ends, with whatever it had heard and not yet told."""
        self._life += 1
        self._try += 1
        self._wanted = False
        self._cursor = self._listener = None
        self._backoff.worked()

    def open(self, last_event: int) -> None:
        """See ``Outside.open_push``."""
        if not self._wanted:
            self._wanted = True
            self._last_event = last_event
        if self._cursor is None:
            self._attempt()

    def cut(self) -> None:
        """The host cannot be reached any more."""
        if self._cursor is not None:
            self._cursor = None
            self._try += 1
            self._later(TRAVEL_MS, self._ended)

    def _ended(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.ended("the connection broke")
        self._again()

    def _again(self) -> None:
        self._try += 1
        number = self._try
        self._later(self._backoff.next_ms(), lambda: self._attempt() if number == self._try else None)

    def _attempt(self) -> None:
        self._try += 1
        if not self.may_open():
            self._again()
            return
        number = self._try
        self._later(TRAVEL_MS, lambda: self._arrive() if number == self._try else None)

    def _arrive(self) -> None:
        call = self.lane.events(self._last_event)
        headers = dict(call.headers)
        status, _, body = self.book.handle(call.method, call.path, headers, b"")
        if status != 200:
            self._again()
            return
        _, self._cursor = self.book.news(self.book.cursor(headers))
        self._listener = Listener(self._post)
        self._deliver(body)

    def _news(self) -> None:
        if self._cursor is not None:
            text, self._cursor = self.book.news(self._cursor)
            if text:
                self._deliver(text)

    def _deliver(self, text: bytes) -> None:
        listener = self._listener

        def arrive() -> None:
            if listener is None or listener is not self._listener or self._cursor is None:
                return  # the stream was cut with this on its way
            self._backoff.worked()
            listener.feed(text)
            if listener is self._listener and listener.last_event is not None:  # else the program ended while it took this
                self._last_event = listener.last_event

        self._later(TRAVEL_MS, arrive)

    def _later(self, delay_ms: int, action: Callable[[], object]) -> None:
        life = self._life

        def act() -> None:
            if life == self._life:
                action()

        self.heap.after(delay_ms, act)
