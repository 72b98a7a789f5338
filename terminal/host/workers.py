"""The threads that talk to the host: one for drivers' questions, one for the outbox, one for time and lists.

They are apart so that a long backlog or a big list never delays a driver. Each takes calls from a queue and posts what came of them;
none knows what it means.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from terminal.core.events import (
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
from terminal.core.ids import MessageKey
from terminal.core.messages import Authorize
from terminal.host.client import Answer, HostClient, Trouble
from terminal.host.json_lane import Lane, LaneError
from terminal.host.list_sync import ListSync, ListTrouble
from terminal.store.ledger import QueuedMessage

Post = Callable[[object], None]
Task = Callable[[], object]

LOG = logging.getLogger("terminal.host")
REFUSED_FOR_GOOD = (400, 404, 409, 413, 422)


class HostWorker:
    """A daemon thread that runs tasks in order and posts what each returns."""

    def __init__(self, name: str, client: HostClient, post: Post) -> None:
        self.client = client
        self._post = post
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, task: Task) -> None:
        """Run this after what waits already."""
        self._tasks.put(task)

    def stop(self) -> None:
        """End after the task under way, which the connection's end cuts short."""
        self._tasks.put(None)
        self.client.close()
        self._thread.join(0.5)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                self._post(task())
            except Exception:  # noqa: BLE001 - top of this thread: a bug here must not silence the host for good
                LOG.exception("a call to the host failed in an unexpected way")


class HostDesk:
    """The engine's calls to the host, spread over three workers."""

    def __init__(
        self, lane: Lane, connect: Callable[[], HostClient], post: Post, sync: ListSync, authorize_ms: int, upload_ms: int
    ) -> None:
        self._lane = lane
        self._sync = sync
        self._authorize_ms = authorize_ms
        self._upload_ms = upload_ms
        self._questions = HostWorker("host-authorize", connect(), post)
        self._outbox = HostWorker("host-upload", connect(), post)
        self._lists = HostWorker("host-lists", connect(), post)
        self._workers = (self._questions, self._outbox, self._lists)

    def start(self) -> None:
        """Start all three."""
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        """End all three."""
        for worker in self._workers:
            worker.stop()

    def ask(self, question: Authorize) -> None:
        """See ``Outside.ask_host``."""
        self._questions.submit(lambda: authorize(self._lane, self._questions.client, question, self._authorize_ms))

    def upload(self, message: QueuedMessage) -> None:
        """See ``Outside.upload``."""
        self._outbox.submit(lambda: upload(self._lane, self._outbox.client, message, self._upload_ms))

    def probe(self) -> None:
        """See ``Outside.probe_host``."""
        self._lists.submit(lambda: probe(self._lane, self._lists.client, self._authorize_ms))

    def check_lists(self, epoch: str, version: int) -> None:
        """See ``Outside.check_lists``."""
        self._lists.submit(lambda: self._check_lists(epoch, version))

    def _check_lists(self, epoch: str, version: int) -> object:
        try:
            found, host_time = self._sync.check(self._lists.client, epoch, version)
        except ListTrouble as trouble:
            return ProbeFailed(trouble.kind, trouble.why) if trouble.kind is not None else ListsRefused(trouble.why)
        if found is None:
            return ListsCurrent(host_time)
        return ListsReady(found.file, found.epoch, found.version, found.rows, host_time)


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


def upload(lane: Lane, client: HostClient, message: QueuedMessage, deadline_ms: int) -> UploadAnswered | UploadFailed:
    """Send a stored message once more."""
    key = MessageKey(message.key)
    came = client.call(lane.upload(message.key, message.body), deadline_ms)
    if isinstance(came, Trouble):
        return UploadFailed(key, came.kind, came.why)
    return upload_result(lane, key, came)


def upload_result(lane: Lane, key: str, came: Answer) -> UploadAnswered | UploadFailed:
    """What an answer means for a stored message: 4xx of the contract are for good, everything else is tried again."""
    name = MessageKey(key)
    if came.status in REFUSED_FOR_GOOD:
        return UploadAnswered(name, UploadResult.REJECTED_PERMANENT, None)
    if came.status != 200:
        return UploadFailed(name, HostTrouble.TECHNICAL, f"status {came.status}")
    try:
        result, host_time = lane.booked(key, came.body)
    except LaneError as error:
        return UploadFailed(name, HostTrouble.TECHNICAL, str(error))
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
