"""The three workers: what an answer means, and that whoever waits for one always gets a word."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hal_sim.host import HostServer
from terminal.core.batch_events import ItemsAnswered
from terminal.core.card_data import HostDecision
from terminal.core.card_lists import NO_LIST, ListMark
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
from terminal.core.host_events import AppliedAnswered, AppliedFailed
from terminal.core.ids import MessageKey, MessageKind
from terminal.core.list_events import ListsFailed
from terminal.core.records import MediumRef
from terminal.host.client import Answer
from terminal.host.list_head import ListKeys
from terminal.host.list_sync import ListSync
from terminal.host.workers import UNEXPECTED, HostDesk, HostWorker, upload_result
from terminal.store.card_import import build
from terminal.store.ledger import QueuedMessage
from tests.hal_sim.host_kit import BADGE, Clock, Terminal, world
from tests.host.hostile import Conduct, answer, context_of, host_with, request_of
from tests.host.kit import HEAD, LANE, OLD_KEY, authorize, booking, client_of, raw, signed

KEY = "OPT1-1-42/complete"
PATIENCE_S = 60.0
KEYS = ListKeys(raw(OLD_KEY))


class Desk:
    """A desk whose posts can be waited for."""

    def __init__(self, folder: Path, url: str, cards: Path, authorize_ms: int = 3_000, keys: ListKeys = KEYS) -> None:
        self.posts: queue.SimpleQueue[object] = queue.SimpleQueue()
        sync = ListSync(LANE, keys, cards, 3_000, build)
        self.desk = HostDesk(LANE, lambda: client_of(folder, url), self.posts.put, sync, authorize_ms, 3_000)
        self.desk.start()

    def next(self) -> object:
        """What came next."""
        return self.posts.get(timeout=PATIENCE_S)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Desk, HostServer, Clock]]:
    """The host of the tests and a desk that talks to it."""
    book, _, clock = world()
    server = HostServer(book, tmp_path)
    url = server.start()
    desk = Desk(tmp_path, url, tmp_path, keys=ListKeys.from_files(Path(server.list_key_path), None))
    yield desk, server, clock
    desk.desk.stop()
    server.stop()


def test_all_five_calls(site: tuple[Desk, HostServer, Clock]) -> None:
    """Question, completion, time, lists, and lists again."""
    desk, server, clock = site
    terminal = Terminal(server.book, clock)
    sealed = terminal.sealed(BADGE, "OPT1-1-42")
    question = authorize(card=_card(sealed), nozzles=authorize().nozzles[:1], fp=1, pin_verified=False, prompts=())
    desk.desk.ask(question)
    answered = desk.next()
    assert isinstance(answered, HostAnswered)
    assert answered.answer.decision is HostDecision.APPROVED
    message = booking(card=question.card, authorization=answered.answer.authorization)
    for expected in (UploadResult.ACCEPTED, UploadResult.ACCEPTED):
        desk.desk.upload((QueuedMessage(message.key, LANE.encode(message)),))
        posted = desk.next()
        assert isinstance(posted, UploadAnswered)
        assert posted.result is expected
    assert len(server.book.records()) == 1
    desk.desk.probe()
    assert isinstance(desk.next(), ProbeAnswered)
    desk.desk.check_lists("", 0, NO_LIST, False)
    ready = desk.next()
    assert isinstance(ready, ListsReady)
    mark = ListMark(ready.epoch, ready.version, ready.rows, ready.issued_at, ready.content_hash)
    desk.desk.check_lists(ready.epoch, ready.version, mark, False)
    assert isinstance(desk.next(), ListsCurrent)


def _card(sealed: dict[str, str]) -> MediumRef:
    return MediumRef(sealed["token"], sealed["last4"], "badge", "T0", sealed["sealed"])


@pytest.mark.parametrize("fault", ["always_500", "garbage", "lose_answers"])
def test_a_host_out_of_order(site: tuple[Desk, HostServer, Clock], fault: str) -> None:
    """Every call ends in its own failure, and the next one in an answer."""
    desk, server, _ = site
    setattr(server.faults, fault, True)
    desk.desk.ask(authorize())
    failed = desk.next()
    assert isinstance(failed, HostFailed)
    assert (failed.sale, failed.trouble) == ("OPT1-1-42", HostTrouble.TECHNICAL)
    desk.desk.upload((QueuedMessage(KEY, LANE.encode(booking())),))
    assert isinstance(desk.next(), UploadFailed)
    desk.desk.probe()
    assert isinstance(desk.next(), ProbeFailed)
    desk.desk.check_lists("", 0, NO_LIST, False)
    assert isinstance(desk.next(), ListsFailed)
    server.faults.clear()
    desk.desk.probe()
    assert isinstance(desk.next(), ProbeAnswered)


# --- what a status means ------------------------------------------------------------------------------------------------------------


def _error(code: str) -> bytes:
    return json.dumps({"error": code, "message": "words"}).encode()


@pytest.mark.parametrize(
    ("status", "code"), [(400, "bad_request"), (404, "not_found"), (409, "key_reuse"), (413, "too_large"), (422, "wrong_site")]
)
def test_the_hosts_own_refusal_is_for_good(status: int, code: str) -> None:
    """Repeating does not help; the message is set aside."""
    found = upload_result(LANE, KEY, Answer(status, _error(code)))
    assert found == UploadAnswered(MessageKey(KEY), UploadResult.REJECTED_PERMANENT, None, key_reuse=code == "key_reuse")


@pytest.mark.parametrize("body", [b"", b"<html>404</html>", b"{}", b'{"error":"Not Found","message":""}', b'"not_found"'])
@pytest.mark.parametrize("status", [400, 404, 409, 413, 422])
def test_somebody_elses_refusal_is_tried_again(status: int, body: bytes) -> None:
    """A proxy's page must not set aside all sales that wait."""
    assert isinstance(upload_result(LANE, KEY, Answer(status, body)), UploadFailed)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, _error("unknown_terminal")),
        (403, _error("unknown_terminal")),
        (401, b""),
        (429, b""),
        (500, _error("internal")),
        (302, b""),
        (204, b""),
    ],
)
def test_what_may_change_is_tried_again(status: int, body: bytes) -> None:
    """A terminal that is not commissioned yet, a host out of order."""
    assert isinstance(upload_result(LANE, KEY, Answer(status, body)), UploadFailed)


# --- threads -------------------------------------------------------------------------------------------------------------------------


def test_a_bug_in_a_task_is_told_and_the_worker_lives(pki: Path) -> None:
    """Whoever waits gets the substitute: an upload that is never answered would stop the outbox for ever."""
    posts: queue.SimpleQueue[object] = queue.SimpleQueue()
    worker = HostWorker("test", client_of(pki, "https://127.0.0.1:1"), posts.put)
    worker.start()
    worker.submit(lambda: 1 // 0, "substitute")
    worker.submit(lambda: "answer", "substitute")
    assert [posts.get(timeout=PATIENCE_S), posts.get(timeout=PATIENCE_S)] == ["substitute", "answer"]
    worker.stop()
    assert posts.empty()


def test_a_bug_under_an_upload_is_a_failed_upload(pki: Path, tmp_path: Path) -> None:
    """What is no message breaks our own code, not the queue."""
    desk = Desk(pki, "https://127.0.0.1:1", tmp_path)
    desk.desk.upload((QueuedMessage(7, b""),))  # type: ignore[arg-type]
    assert desk.next() == UploadFailed(7, HostTrouble.TECHNICAL, UNEXPECTED)  # type: ignore[arg-type]
    desk.desk.stop()


def _slow(asked: threading.Event, over: threading.Event) -> Conduct:
    def serve(connection: object) -> None:
        request_of(connection)  # type: ignore[arg-type]
        asked.set()
        over.wait(PATIENCE_S)

    return serve


def test_a_question_that_waited_out_its_time_never_leaves(pki: Path, tmp_path: Path) -> None:
    """Behind a slow one: its own deadline has passed, so the host must not open a hold for it."""
    asked, over = threading.Event(), threading.Event()
    with host_with(context_of(pki), _slow(asked, over)) as host:
        desk = Desk(pki, host.url, tmp_path, authorize_ms=300)
        desk.desk.ask(authorize(1))
        desk.desk.ask(authorize(2))
        first, second = desk.next(), desk.next()
        over.set()
        desk.desk.stop()
        assert isinstance(first, HostFailed)
        assert isinstance(second, HostFailed)
        assert (first.trouble, second.trouble) == (HostTrouble.TIMED_OUT, HostTrouble.NO_LINE)
        assert host.connections == 1


def test_stop_cuts_the_call_under_way_and_drops_the_rest(pki: Path, tmp_path: Path) -> None:
    """Nothing is posted behind the end of the call that was cut."""
    asked, over = threading.Event(), threading.Event()
    with host_with(context_of(pki), _slow(asked, over)) as host:
        desk = Desk(pki, host.url, tmp_path, authorize_ms=60_000)
        desk.desk.ask(authorize(1))
        desk.desk.ask(authorize(2))
        assert asked.wait(PATIENCE_S)
        desk.desk.stop()
        cut = desk.next()
        over.set()
        assert isinstance(cut, HostFailed)
        assert cut.trouble is HostTrouble.TECHNICAL
        assert desk.posts.empty()
        assert host.connections == 1


def test_a_second_check_of_the_lists_waits_for_the_first(pki: Path, tmp_path: Path) -> None:
    """A big list on a slow line takes longer than the interval: it is not fetched twice."""
    asked, over = threading.Event(), threading.Event()

    def serve(connection: object) -> None:
        while request_of(connection):  # type: ignore[arg-type]
            asked.set()
            over.wait(PATIENCE_S)
            connection.sendall(answer(b"{}"))  # type: ignore[attr-defined]

    with host_with(context_of(pki), serve) as host:
        desk = Desk(pki, host.url, tmp_path)
        desk.desk.check_lists("e1", 1, NO_LIST, False)
        assert asked.wait(PATIENCE_S)
        desk.desk.check_lists("e1", 1, NO_LIST, False)
        desk.desk.probe()
        over.set()
        assert [type(desk.next()), type(desk.next())] == [ListsFailed, ProbeFailed]
        assert desk.posts.empty()
        desk.desk.check_lists("e1", 1, NO_LIST, False)
        assert isinstance(desk.next(), ListsFailed)
        desk.desk.stop()


def test_acknowledgements_that_hang_hold_up_no_report(pki: Path, tmp_path: Path) -> None:
    over = threading.Event()

    def serve(connection: object) -> None:
        while asked := request_of(connection):  # type: ignore[arg-type]
            if b"/ack" in asked.split(b"\r\n")[0]:
                over.wait(PATIENCE_S)
            connection.sendall(answer(b'{"time":"2026-03-28T22:50:00.120Z"}'))  # type: ignore[attr-defined]

    with host_with(context_of(pki), serve) as host:
        desk = Desk(pki, host.url, tmp_path)
        for event in (1, 2, 3):
            desk.desk.ack_event(event, 7, None)
        desk.desk.tell_applied("e1", 1, 7)
        first = desk.next()
        over.set()
        desk.desk.stop()
    assert isinstance(first, AppliedAnswered | AppliedFailed)


def test_a_list_that_is_wrong_is_refused(pki: Path, tmp_path: Path) -> None:
    """The host is there; its list is not used."""
    no_list = b"no list"
    head = signed(OLD_KEY, HEAD | {"version": 2, "bytes": len(no_list)})
    heads = b'{"time":"2026-03-28T22:50:00.120Z","lists":{"cards":' + head + b"}}"

    def serve(connection: object) -> None:
        for body in (heads, no_list):
            request_of(connection)  # type: ignore[arg-type]
            connection.sendall(answer(body))  # type: ignore[attr-defined]

    with host_with(context_of(pki), serve) as host:
        desk = Desk(pki, host.url, tmp_path)
        desk.desk.check_lists("", 0, NO_LIST, False)
        refused = desk.next()
        desk.desk.stop()
    assert isinstance(refused, ListsRefused)
    assert refused.why.startswith("cards e1/2: line 1: ")
    assert not list(tmp_path.glob("cards-*"))


# --- several advices in one call ------------------------------------------------------------------------------------------------------

ITEMS = ("OPT1-1-1/advice", "OPT1-1-2/advice", "OPT1-1-3/advice")


@pytest.mark.parametrize(("status", "code"), [(400, "bad_request"), (409, "key_reuse"), (413, "too_large"), (422, "unknown_fields")])
def test_a_refused_call_with_several_sets_nothing_aside(status: int, code: str) -> None:
    """It may be one of them only: fewer go next."""
    found = upload_result(LANE, ITEMS[0], Answer(status, _error(code)), *ITEMS[1:])
    assert isinstance(found, UploadFailed)
    assert (found.key, found.items, found.refused) == (ITEMS[0], 3, True)


@pytest.mark.parametrize(("status", "body"), [(500, b""), (404, _error("unknown_terminal")), (413, b"<html>"), (200, b"{}")])
def test_what_may_change_is_tried_again_for_several_too(status: int, body: bytes) -> None:
    found = upload_result(LANE, ITEMS[0], Answer(status, body), *ITEMS[1:])
    assert isinstance(found, UploadFailed)
    assert (found.items, found.refused) == (3, False)


def test_the_real_host_takes_several_in_one_call(site: tuple[Desk, HostServer, Clock]) -> None:
    """One of them is no record at all; the others are booked."""
    desk, server, _ = site
    good = [booking(MessageKind.ADVICE, n, authorization=None, decided_by="offline") for n in (1, 2)]
    stored = [QueuedMessage(message.key, LANE.encode(message)) for message in good]
    desk.desk.upload((stored[0], QueuedMessage(ITEMS[2], b'{"key":"OPT1-1-3/advice"}'), stored[1]))
    found = desk.next()
    assert isinstance(found, ItemsAnswered)
    assert [key for key, _ in found.results] == [ITEMS[0], ITEMS[2], ITEMS[1]]
    assert found.results[1][1] is UploadResult.REJECTED_PERMANENT
    assert [record["sequence"] for record in server.book.records()] == [1, 2]
