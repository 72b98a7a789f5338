"""The threads that talk to the host: one for drivers' questions, one for the outbox, one for time and lists, one for acknowledgements,
one for reports, and the one that listens (``push``).

They are apart so that a long backlog or a big list never delays a driver. Each takes calls from a queue and posts what came of them;
none knows what it means.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from functools import partial

from terminal.core.batch_events import CloseAnswered, ItemsAnswered
from terminal.core.card_lists import ListMark
from terminal.core.events import (
    AckAnswered,
    AckFailed,
    ChangesReady,
    HostAnswered,
    HostFailed,
    HostTrouble,
    ListsCurrent,
    ListsReady,
    ListsRefused,
    ProbeAnswered,
    ProbeFailed,
    UploadAnswered,
    UploadFailed,
    UploadResult,
)
from terminal.core.host_events import AppliedFailed, CertificateSeen, StateFailed
from terminal.core.ids import MessageKey, MessageKind
from terminal.core.list_events import ListsFailed
from terminal.core.messages import Authorize
from terminal.core.returned_sales import SalesBackFailed
from terminal.core.terminal_state import TerminalState
from terminal.host.client import Answer, HostClient, Trouble
from terminal.host.json_lane import NOT_COMMISSIONED, REFUSED_FOR_GOOD, Lane, LaneError
from terminal.host.list_sync import Changes, Client, Known, ListSync, ListTrouble
from terminal.host.push import PushThread
from terminal.host.renewal import Renewal
from terminal.host.sales_lane import fetch_sales
from terminal.host.state_lane import Newest, report_state, tell_applied
from terminal.store.ledger import QueuedMessage

Post = Callable[[object], None]
Task = Callable[[], object]
Uploaded = UploadAnswered | ItemsAnswered | CloseAnswered | UploadFailed

KEY_REUSE = "key_reuse"
LOG = logging.getLogger("terminal.host")
UNEXPECTED = "an unexpected error of this program, see the log"


class HostWorker:
    """A daemon thread that runs tasks in order and posts what each returns."""

    def __init__(self, name: str, client: HostClient, post: Post) -> None:
        self.client = client
        self._post = post
        self._tasks: queue.SimpleQueue[tuple[Task, object] | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, task: Task, otherwise: object) -> None:
        """Run this after what waits already. ``otherwise`` is posted should it die of a bug: whoever waits for it must not wait on."""
        self._tasks.put((task, otherwise))

    def stop(self) -> None:
        """End after the task under way, which the connection's end cuts short; what waits behind it is not run."""
        self._stopping.set()
        self._tasks.put(None)
        self.client.close()
        self._thread.join(0.5)

    def _run(self) -> None:
        while (waiting := self._tasks.get()) is not None and not self._stopping.is_set():
            task, came = waiting
            try:
                came = task()
            except Exception:  # noqa: BLE001 - top of this thread: a bug here must not silence the host for good
                LOG.exception("a call to the host failed in an unexpected way")
            self._post(came)


class HostDesk:
    """The engine's calls to the host, spread over five workers and the listener."""

    def __init__(
        self,
        lane: Lane,
        connect: Callable[[], HostClient],
        post: Post,
        sync: ListSync,
        authorize_ms: int,
        upload_ms: int,
        renewal: Renewal | None = None,
        room: Callable[[], bool] = lambda: True,
    ) -> None:
        """``connect`` makes one connection; ``renewal`` looks after the certificate by which they prove the terminal.

        ``room``: see ``PushThread``.
        """
        self._lane = lane
        self._sync = sync
        self._authorize_ms = authorize_ms
        self._upload_ms = upload_ms
        self._questions = HostWorker("host-authorize", connect(), post)
        self._outbox = HostWorker("host-upload", connect(), post)
        self._lists = HostWorker("host-lists", connect(), post)
        self._acks = HostWorker("host-acks", connect(), post)
        self._reports = HostWorker("host-reports", connect(), post)
        self._push = PushThread(lane, connect(), post, room=room)
        self._workers = (self._questions, self._outbox, self._lists, self._acks, self._reports)
        self._newest_state = Newest()
        self._renewal = renewal
        self._checking = False  # set by the core's thread, cleared by the lists' own

    def start(self) -> None:
        """Start all of them."""
        for worker in self._workers:
            worker.start()
        self._push.start()

    def stop(self) -> None:
        """End all of them."""
        self._push.stop()
        for worker in self._workers:
            worker.stop()

    def ask(self, question: Authorize) -> None:
        """See ``Outside.ask_host``. Its time counts from here, so that one slow answer does not make the next drivers' questions late."""
        client = self._questions.client
        due = client.clock() + self._authorize_ms

        def task() -> HostAnswered | HostFailed:
            left = due - client.clock()
            if left <= 0:
                return HostFailed(question.sale, HostTrouble.NO_LINE, "the questions before it took all its time")
            return authorize(self._lane, client, question, left)

        self._questions.submit(task, HostFailed(question.sale, HostTrouble.TECHNICAL, UNEXPECTED))

    def upload(self, messages: tuple[QueuedMessage, ...]) -> None:
        """See ``Outside.upload``."""
        self._outbox.submit(
            lambda: upload(self._lane, self._outbox.client, messages, self._upload_ms),
            UploadFailed(MessageKey(messages[0].key), HostTrouble.TECHNICAL, UNEXPECTED, len(messages)),
        )

    def open_push(self, last_event: int) -> None:
        """See ``Outside.open_push``."""
        self._push.open(last_event)

    def ack_event(self, event: int, effective_at: int, refused: str | None) -> None:
        """See ``Outside.ack_event``. A list that is being fetched does not delay it."""
        self._acks.submit(
            lambda: acknowledge(self._lane, self._acks.client, event, effective_at, self._upload_ms, refused),
            AckFailed(event, HostTrouble.TECHNICAL, UNEXPECTED),
        )

    def report_state(self, state: TerminalState) -> None:
        """See ``Outside.report_state``. The certificate is looked at when the terminal reports, which it does while the host is there."""
        if self._renewal is not None and self._renewal.due():
            self._reports.submit(partial(self._renewal.look, self._reports.client), CertificateSeen(None, UNEXPECTED))
        if self._newest_state.put(state):
            self._reports.submit(
                lambda: report_state(self._lane, self._reports.client, self._newest_state.take(), self._upload_ms), StateFailed(UNEXPECTED)
            )

    def tell_applied(self, epoch: str, version: int, at: int) -> None:
        """See ``Outside.tell_applied``."""
        self._reports.submit(
            lambda: tell_applied(self._lane, self._reports.client, epoch, version, at, self._upload_ms),
            AppliedFailed(epoch, version, UNEXPECTED),
        )

    def fetch_sales(self, epoch: int, after: int) -> None:
        """See ``Outside.fetch_sales``."""
        self._reports.submit(
            lambda: fetch_sales(self._lane, self._reports.client, epoch, after, self._upload_ms),
            SalesBackFailed(UNEXPECTED),
        )

    def probe(self) -> None:
        """See ``Outside.probe_host``."""
        self._lists.submit(
            lambda: probe(self._lane, self._lists.client, self._authorize_ms), ProbeFailed(HostTrouble.TECHNICAL, UNEXPECTED)
        )

    def check_lists(self, epoch: str, version: int, mark: ListMark, whole: bool) -> None:
        """See ``Outside.check_lists``. While a check is under way another one would only fetch the same list again."""
        if not self._checking:
            self._checking = True
            known = Known(epoch, version, mark, whole)
            self._lists.submit(lambda: self._check_lists(known), ListsFailed(HostTrouble.TECHNICAL, UNEXPECTED))

    def _check_lists(self, known: Known) -> object:
        try:
            return check_lists(self._sync, self._lists.client, known)
        finally:
            self._checking = False


def check_lists(sync: ListSync, client: Client, known: Known) -> object:
    """Ask for newer lists, fetch and check them; what came of it, as an event."""
    try:
        found, host_time = sync.check(client, known)
    except ListTrouble as trouble:
        return ListsFailed(trouble.kind, trouble.why) if trouble.kind is not None else ListsRefused(trouble.why, trouble.whole)
    if found is None:
        return ListsCurrent(host_time)
    if isinstance(found, Changes):
        return ChangesReady(found.deltas, host_time)
    offer = found.offer
    return ListsReady(
        found.file,
        offer.epoch,
        offer.version,
        offer.rows,
        host_time,
        offer.issued_at,
        offer.not_after,
        offer.content_hash,
        offer.confirm_shrink,
    )


def authorize(lane: Lane, client: HostClient, question: Authorize, deadline_ms: int) -> HostAnswered | HostFailed:
    """Ask once. An authorization is never repeated: what has no answer in time is reversed."""
    came = client.call(lane.authorize(question), deadline_ms)
    if isinstance(came, Trouble):
        return HostFailed(question.sale, came.kind, came.why)
    if came.status != 200:
        return HostFailed(question.sale, HostTrouble.TECHNICAL, f"status {came.status}")
    try:
        answer, host_time = lane.authorized(came.body)
    except LaneError as error:
        return HostFailed(question.sale, HostTrouble.TECHNICAL, str(error))
    return HostAnswered(question.sale, answer, host_time)


def upload(lane: Lane, client: HostClient, messages: Sequence[QueuedMessage], deadline_ms: int) -> Uploaded:
    """Send a stored message, or several advices, once more."""
    keys = [message.key for message in messages]
    came = client.call(lane.upload(keys[0], *(message.body for message in messages)), deadline_ms)
    if isinstance(came, Trouble):
        return UploadFailed(MessageKey(keys[0]), came.kind, came.why, len(keys))
    return upload_result(lane, keys[0], came, *keys[1:])


def upload_result(lane: Lane, key: str, came: Answer, *more: str) -> Uploaded:
    """What an answer means for a stored message, or for several: the contract's 4xx are for good, everything else is tried again.

    Only the host itself may refuse for good. A 404 page of something on the way, or of a host that does not know this terminal yet,
    would otherwise set every sale aside that waits. Of several messages a refusal says only that they cannot go together.
    """
    name, items = MessageKey(key), 1 + len(more)
    if came.status in REFUSED_FOR_GOOD:
        try:
            code = lane.refused(came.body)
        except LaneError:
            return UploadFailed(name, HostTrouble.TECHNICAL, f"status {came.status}, and not from the host", items)
        if code == NOT_COMMISSIONED or items > 1:
            return UploadFailed(name, HostTrouble.TECHNICAL, f"status {came.status} {code}", items, refused=code != NOT_COMMISSIONED)
        return UploadAnswered(name, UploadResult.REJECTED_PERMANENT, None, key_reuse=code == KEY_REUSE)
    if came.status != 200:
        return UploadFailed(name, HostTrouble.TECHNICAL, f"status {came.status}", items)
    try:
        if more:
            results, host_time = lane.booked_items((key, *more), came.body)
            return ItemsAnswered(results, host_time)
        if key.endswith(f"/{MessageKind.CLOSE.value}"):
            return lane.closed(key, came.body)
        result, host_time = lane.booked(key, came.body)
    except LaneError as error:
        return UploadFailed(name, HostTrouble.TECHNICAL, str(error), items)
    return UploadAnswered(name, result, host_time)


def probe(lane: Lane, client: HostClient, deadline_ms: int) -> ProbeAnswered | ProbeFailed:
    """Ask for the time."""
    came = client.call(lane.probe(), deadline_ms)
    if isinstance(came, Trouble):
        return ProbeFailed(came.kind, came.why)
    try:
        return ProbeAnswered(lane.time(came.body)) if came.status == 200 else ProbeFailed(HostTrouble.TECHNICAL, f"status {came.status}")
    except LaneError as error:
        return ProbeFailed(HostTrouble.TECHNICAL, str(error))


def acknowledge(
    lane: Lane, client: HostClient, event: int, effective_at: int, deadline_ms: int, refused: str | None = None
) -> AckAnswered | AckFailed:
    """Tell the host that an event is durable. What it refuses itself, for good, is not said again."""
    came = client.call(lane.acknowledge(event, effective_at, refused), deadline_ms)
    if isinstance(came, Trouble):
        return AckFailed(event, came.kind, came.why)
    try:
        if came.status == 200:
            lane.time(came.body)
            return AckAnswered(event, taken=True)
        if came.status in REFUSED_FOR_GOOD and lane.refused(came.body) != NOT_COMMISSIONED:
            return AckAnswered(event, taken=False)
    except LaneError as error:
        return AckFailed(event, HostTrouble.TECHNICAL, f"status {came.status}: {error}")
    return AckFailed(event, HostTrouble.TECHNICAL, f"status {came.status}")
