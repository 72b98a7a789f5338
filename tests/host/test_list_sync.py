"""Lists over HTTPS into a card file: what is wrong leaves nothing behind, and the old file goes on serving."""

from __future__ import annotations

import json
import resource
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hal_sim.host import HostServer
from terminal.core.events import HostTrouble
from terminal.host.client import Answer, Trouble
from terminal.host.list_sync import Head, ListSync, ListTrouble, _lines, lines_of, newer
from terminal.store.card_file import LiveLists
from tests.hal_sim.host_kit import world
from tests.host.hostile import answer, context_of, host_with, request_of
from tests.host.kit import CUSTOMER, LANE, card_row, client_of, lines_for

TIME = "2026-03-28T22:50:00.120Z"
ZEROS = "0" * 64


def sync_in(folder: Path) -> ListSync:
    """Builds card files there."""
    folder.mkdir(exist_ok=True)
    return ListSync(LANE, folder, 2_000)


def heads(**changes: Any) -> Answer:
    """What the host says of its newest list."""
    head = {"epoch": "e1", "version": 3, "rows": 0, "sha256": ZEROS, "bytes": 1} | changes
    return Answer(200, json.dumps({"time": TIME, "lists": {"cards": head}}).encode())


def built(folder: Path, number: int = 1, version: int = 1, count: int = 1) -> tuple[Head, list[bytes]]:
    """A head and lines that belong together."""
    lines, digest, rows = lines_for([CUSTOMER, *(card_row(each) for each in range(number, number + count))])
    return Head("e1", version, rows, digest), lines


def left_in(folder: Path) -> set[str]:
    """Names of all files there."""
    return {path.name for path in folder.iterdir()}


# --- heads ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "came",
    [
        heads(version=0),
        heads(version=-3),
        heads(version=2**63),
        heads(version=3.0),
        heads(version="3"),
        heads(rows=-1),
        heads(rows=10**30),
        heads(sha256="0" * 63),
        heads(sha256="G" * 64),
        heads(sha256=ZEROS + "\n"),
        heads(epoch=None),
        Answer(200, b'{"time":"%s","lists":{}}' % TIME.encode()),
        Answer(200, b'{"time":"%s"}' % TIME.encode()),
        Answer(200, b"<html>"),
        Answer(404, b""),
        Answer(302, b""),
        Trouble(HostTrouble.TECHNICAL, "broken"),
    ],
    ids=range(17),
)
def test_heads_that_are_none(tmp_path: Path, came: Answer | Trouble) -> None:
    """The host failed; the lists are neither refused nor current."""
    with pytest.raises(ListTrouble) as trouble:
        sync_in(tmp_path).head(came)
    assert trouble.value.kind is HostTrouble.TECHNICAL


@pytest.mark.parametrize("epoch", ["", ".", "..", "../x", "a/b", "/etc", "e1\n", "e\0", "é1", "e" * 33, "e 1", "%2e%2e", "e1?x=1"])
def test_an_epoch_is_a_plain_name(tmp_path: Path, epoch: str) -> None:
    """It becomes part of a file's name and of a path: what is no name gets no file, and is not asked for either."""
    folder = tmp_path / "cards"
    asked: list[object] = []

    class Client:
        """Gives the heads, and notes whether it was asked for more."""

        def call(self, call: object, deadline_ms: int) -> Answer:
            """The heads."""
            return heads(epoch=epoch)

        def stream(self, *arguments: object) -> Iterator[bytes]:
            """Must not be asked."""
            asked.append(arguments)
            return iter(())

    with pytest.raises(ListTrouble):
        sync_in(folder).check(Client(), "e1", 1)  # type: ignore[arg-type]
    head, lines = built(folder)
    with pytest.raises(ListTrouble):
        sync_in(folder).build(Head(epoch, 1, head.rows, head.sha256), iter(lines))
    assert asked == []
    assert left_in(folder) == set()
    assert left_in(tmp_path) == {"cards"}


@pytest.mark.parametrize("epoch", ["e1", "2026-03", "a.b_c-d", "E" * 32])
def test_every_name_of_the_contract_is_taken(tmp_path: Path, epoch: str) -> None:
    """Letters, digits, dots, hyphens and underscores."""
    head, lines = built(tmp_path)
    fetched = sync_in(tmp_path).build(Head(epoch, 7, head.rows, head.sha256), iter(lines))
    lists = LiveLists(tmp_path)
    lists.use(fetched.file)
    assert (lists.epoch, lists.version, fetched.rows) == (epoch, 7, 2)


def test_news_is_a_higher_version_or_another_epoch() -> None:
    """An old version of the same epoch is never news."""
    head = Head("e1", 3, 0, ZEROS)
    assert [newer(head, "e1", version) for version in (2, 3, 4)] == [True, False, False]
    assert newer(head, "e0", 99)


# --- building -----------------------------------------------------------------------------------------------------------------------


def _cut(lines: list[bytes]) -> list[bytes]:
    return lines[:-1]


def _doubled(lines: list[bytes]) -> list[bytes]:
    rows = [CUSTOMER, card_row(2), card_row(2)]
    return lines_for(rows)[0]


def _two_customers(lines: list[bytes]) -> list[bytes]:
    return lines_for([CUSTOMER, CUSTOMER, card_row(2)])[0]


def _changed(lines: list[bytes]) -> list[bytes]:
    return [lines[0].replace(b"active", b"blocked"), *lines[1:]]


def _behind(lines: list[bytes]) -> list[bytes]:
    return [*lines, lines[0]]


@pytest.mark.parametrize("spoil", [_cut, _doubled, _two_customers, _changed, _behind])
def test_a_wrong_list_leaves_nothing_and_the_old_one_serves(tmp_path: Path, spoil: Callable[[list[bytes]], list[bytes]]) -> None:
    """Cut short, a card or a customer twice, another content, rows behind the end."""
    sync = sync_in(tmp_path)
    head, lines = built(tmp_path)
    lists = LiveLists(tmp_path)
    lists.use(sync.build(head, iter(lines)).file)
    before = left_in(tmp_path)
    spoiled = spoil(built(tmp_path, 2, 2)[1])
    digest = json.loads(spoiled[-1]).get("sha256", ZEROS)
    with pytest.raises(ListTrouble) as trouble:
        sync.build(Head("e1", 2, 2 if spoil in (_cut, _changed, _behind) else 3, digest), iter(spoiled))
    assert trouble.value.kind is None
    assert left_in(tmp_path) == before
    assert lists.card(f"{1:032x}") is not None
    assert (lists.version, lists.card(f"{2:032x}")) == (1, None)


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file of this process may grow beyond: a write then fails as on a full disk (the interpreter ignores the signal)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_nothing_and_the_old_one_serves(tmp_path: Path) -> None:
    """The write fails in the middle; later, with room, the same list goes live."""
    sync = sync_in(tmp_path)
    lists = LiveLists(tmp_path)
    head, lines = built(tmp_path)
    lists.use(sync.build(head, iter(lines)).file)
    before = left_in(tmp_path)
    head, lines = built(tmp_path, 1, 2, 2_000)
    with disk_of(64 << 10), pytest.raises(ListTrouble, match="cannot be written") as trouble:
        sync.build(head, iter(lines))
    assert trouble.value.kind is None
    assert left_in(tmp_path) == before
    assert lists.card(f"{1:032x}") is not None
    lists.use(sync.build(head, iter(lines)).file)
    assert lists.card(f"{2_000:032x}") is not None


def test_a_folder_that_went_away_is_a_refusal(tmp_path: Path) -> None:
    """Unmounted while we ran."""
    head, lines = built(tmp_path)
    with pytest.raises(ListTrouble) as trouble:
        ListSync(LANE, tmp_path / "nowhere", 1_000).build(head, iter(lines))
    assert trouble.value.kind is None


def test_a_name_that_is_taken_by_a_folder_is_a_refusal(tmp_path: Path) -> None:
    """The rename fails: an error of the file system, not of the database."""
    head, lines = built(tmp_path)
    (tmp_path / "cards-e1-1.db").mkdir()
    with pytest.raises(ListTrouble, match="cannot be written"):
        sync_in(tmp_path).build(head, iter(lines))
    assert left_in(tmp_path) == {"cards-e1-1.db"}


def test_twenty_thousand_cards_are_built_in_bounded_memory(tmp_path: Path) -> None:
    """Rows go from the wire into the file one by one."""
    head, lines = built(tmp_path, count=20_000)
    body = b"\n".join(lines)
    pieces = (body[start : start + 65_536] for start in range(0, len(body), 65_536))
    tracemalloc.start()
    try:
        fetched = sync_in(tmp_path).build(head, _lines(pieces))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    lists = LiveLists(tmp_path)
    lists.use(fetched.file)
    assert fetched.rows == 20_001
    assert lists.card(f"{20_000:032x}") is not None
    assert peak < 4 << 20


# --- over the wire ------------------------------------------------------------------------------------------------------------------


def test_from_the_host_to_a_live_file(tmp_path: Path) -> None:
    """Heads, snapshot, file; then nothing newer."""
    book, _, _ = world()
    server = HostServer(book, tmp_path / "host")
    client = client_of(tmp_path / "host", server.start())
    try:
        sync = sync_in(tmp_path / "cards")
        fetched, _ = sync.check(client, "", 0)
        assert fetched is not None
        lists = LiveLists(tmp_path / "cards")
        lists.use(fetched.file)
        assert (lists.epoch, lists.version) == (book.list_epoch, book.list_version)
        assert sync.check(client, lists.epoch, lists.version)[0] is None
        with server.lock:
            book.publish()
        assert sync.check(client, lists.epoch, lists.version)[0] is not None
        server.set_reachable(False)
        with pytest.raises(ListTrouble) as trouble:
            sync.check(client, lists.epoch, lists.version)
        assert trouble.value.kind is HostTrouble.NO_LINE
    finally:
        client.close()
        server.stop()


SNAPSHOTS: dict[str, tuple[Callable[[bytes], bytes], HostTrouble | None]] = {
    "cut by the line": (lambda body: answer(body[: len(body) // 2], length=len(body)), HostTrouble.TECHNICAL),
    "cut by the host": (lambda body: answer(body[: len(body) // 2]), None),
    "gone": (lambda body: answer(b'{"error":"gone","message":""}', status="410 Gone"), HostTrouble.TECHNICAL),
    "a portal": (lambda body: answer(b"<html>Welcome</html>"), None),
    "a redirect": (lambda body: answer(b"", "Location: /", status="302 Found"), HostTrouble.TECHNICAL),
    "nothing": (lambda body: b"", HostTrouble.TECHNICAL),
    "another list": (lambda body: answer(b"\n".join(lines_for([CUSTOMER])[0])), None),
}


@pytest.mark.parametrize("what", SNAPSHOTS)
def test_a_snapshot_that_does_not_come_whole(pki: Path, tmp_path: Path, what: str) -> None:
    """The line's fault is told from the list's, and nothing is left behind."""
    lines, digest, rows = lines_for([CUSTOMER, *(card_row(number) for number in range(1, 50))])
    body = b"\n".join(lines) + b"\n"
    make, kind = SNAPSHOTS[what]

    def serve(connection: Any) -> None:
        request_of(connection)
        connection.sendall(answer(heads(sha256=digest, rows=rows).body))
        if request_of(connection):
            connection.sendall(make(body))

    def only(connection: Any) -> None:
        if request_of(connection):
            connection.sendall(make(body))

    with host_with(context_of(pki), serve, only) as host, pytest.raises(ListTrouble) as trouble:
        sync_in(tmp_path).check(client_of(pki, host.url), "e1", 1)
    assert trouble.value.kind is kind
    assert left_in(tmp_path) == set()


def test_lines_of_a_whole_body() -> None:
    """What the virtual world uses."""
    assert list(lines_of(b"a\nb\n")) == list(lines_of(b"a\nb")) == [b"a", b"b"]
