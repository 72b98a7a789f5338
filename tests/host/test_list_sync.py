"""Fetching lists over real HTTPS: packed, resumed where a line broke, never believed without a signature of a pinned key."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest

from hal_sim.host import HostServer
from hal_sim.host.book import Answer as BookAnswer
from hal_sim.host.book import HostBook
from terminal.core.card_lists import NO_LIST, ListMark
from terminal.core.events import HostTrouble, ListsCurrent, ListsReady, ListsRefused
from terminal.host import workers
from terminal.host.client import Answer, Endpoint, HostClient, Trouble
from terminal.host.json_lane import Call, Lane
from terminal.host.list_head import HeadRefused, KeyFileError, ListKeys
from terminal.host.list_sync import Changes, Fetched, Known, ListSync, ListTrouble
from terminal.store.card_file import CardFile
from terminal.store.card_import import ImportProcess, build
from tests.hal_sim.host_kit import Clock, card, scenario
from tests.host.kit import HEAD, NEW_KEY, OLD_KEY, STRANGER, raw, signed
from tests.store.list_kit import canonical

LANE = Lane("OPT1", "S1", "EUR")
MANY = 2_000
CUT = 20_000


class Watched(HostBook):
    """Remembers how the list was asked for."""

    asked: list[Mapping[str, str]]

    def handle(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> BookAnswer:
        answer = super().handle(method, path, headers, body)
        if "/lists/cards/e" in path:
            self.asked.append({**headers, "answer": str(answer[0])})
        return answer


class Site:
    """A host, a client, and what fetches lists."""

    def __init__(self, folder: Path) -> None:
        rows = [card(f"70010000{number:08d}") for number in range(MANY)]
        self.book = Watched(scenario(cards=rows), Clock())
        self.book.asked = []
        self.server = HostServer(self.book, folder / "host")
        url = self.server.start()
        pair = Path(self.server.client_cert_path), Path(self.server.client_key_path)
        self.client = HostClient(Endpoint(url, Path(self.server.ca_path), *pair), lambda: time.monotonic_ns() // 1_000_000)
        self.state = folder / "state"
        self.state.mkdir()
        self.keys = ListKeys.from_files(Path(self.server.list_key_path), None)
        self.sync = ListSync(LANE, self.keys, self.state, 5_000, build)

    def check(self, known: Known | None = None) -> Any:
        """One check."""
        return self.sync.check(self.client, known or Known())[0]

    @property
    def download(self) -> Path:
        return self.state / "cards-e1-1.download"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.client.close()
    made.server.stop()
    assert made.server.errors == []


def rows_of(site: Site, found: Any) -> int:
    """The rows of what was fetched, all of them read."""
    assert isinstance(found, Fetched)
    file = CardFile(site.state / found.file)
    assert file.content_hash() == file.head.content_hash == found.offer.content_hash
    rows = file.head.rows
    file.close()
    return rows


def test_a_list_is_fetched_packed(site: Site) -> None:
    assert rows_of(site, site.check()) > MANY
    (asked,) = site.book.asked
    assert (asked["Accept-Encoding"], "Range" in asked) == ("gzip", False)
    assert not site.download.exists()


def test_a_list_is_built_by_a_process_of_its_own(site: Site) -> None:
    site.sync = ListSync(LANE, site.keys, site.state, 5_000, ImportProcess())
    assert rows_of(site, site.check()) > MANY


def test_the_log_is_not_folded_while_changes_may_be_being_applied(site: Site) -> None:
    folded: list[int] = []
    site.sync = ListSync(LANE, site.keys, site.state, 5_000, build, tidy=lambda: folded.append(1))
    found = site.check()
    assert isinstance(found, Fetched)
    live = Known(found.offer.epoch, found.offer.version)
    site.book.publish()
    assert isinstance(site.check(live), Changes)
    assert len(folded) == 2
    site.check(live)
    assert len(folded) == 2, "the core has not said that it has them"
    site.check(Known(found.offer.epoch, found.offer.version + 1))
    assert len(folded) == 3


def test_a_line_that_breaks_costs_only_what_had_not_come(site: Site) -> None:
    site.server.faults.cut_after = CUT
    for tries in (1, 2):
        with pytest.raises(ListTrouble) as trouble:
            site.check()
        assert trouble.value.kind is HostTrouble.TECHNICAL
        assert site.download.stat().st_size == tries * CUT
    site.server.faults.cut_after = 0
    site.sync = ListSync(LANE, site.keys, site.state, 5_000, build)  # the program may have been restarted in between
    assert rows_of(site, site.check()) > MANY
    assert [(asked.get("Range"), asked["answer"]) for asked in site.book.asked] == [
        (None, "200"),
        (f"bytes={CUT}-", "206"),
        (f"bytes={2 * CUT}-", "206"),
    ]
    assert not site.download.exists()


def test_another_list_is_not_put_behind_the_half_of_the_first(site: Site) -> None:
    site.server.faults.cut_after = CUT
    with pytest.raises(ListTrouble):
        site.check()
    site.server.faults.cut_after = 0
    site.book.publish()
    assert rows_of(site, site.check()) > MANY
    assert not site.download.exists()
    assert site.book.asked[-1].get("Range") is None


def test_a_half_that_is_of_something_else_is_thrown_away(site: Site) -> None:
    """Not of this version's bytes: what is built is refused by its hash, and the next check begins anew."""
    site.download.write_bytes(b"\x1f\x8bnonsense" * 100)
    with pytest.raises(ListTrouble, match="cannot be unpacked") as trouble:
        site.check()
    assert trouble.value.kind is None
    assert not site.download.exists()
    assert rows_of(site, site.check()) > MANY


def test_a_file_that_is_longer_than_the_list_is_thrown_away(site: Site) -> None:
    site.download.write_bytes(bytes(1 << 20))
    with pytest.raises(ListTrouble, match="416"):
        site.check()
    assert not site.download.exists()
    assert rows_of(site, site.check()) > MANY


def test_a_disk_that_takes_nothing_is_no_fault_of_the_list(site: Site) -> None:
    site.state.rename(site.state.with_name("gone"))
    with pytest.raises(ListTrouble, match="the list cannot be stored") as trouble:
        site.check()
    assert trouble.value.kind is None


# --- who signed it ----------------------------------------------------------------------------------------------------------------


def test_the_current_and_the_next_key_may_sign_and_no_other() -> None:
    keys = ListKeys(raw(OLD_KEY), raw(NEW_KEY))
    for key in (OLD_KEY, NEW_KEY):
        assert keys.head(signed(key), "OPT1").version == 7
    for data in (
        signed(STRANGER),
        signed(OLD_KEY, domain=b"fleet/list/v2\0"),
        canonical(HEAD),
        b"[]",
        b"null",
        b"{",
        b"\xff",
        b"[" * 100_000,
    ):
        with pytest.raises(HeadRefused):
            keys.head(data, "OPT1")
    with pytest.raises(HeadRefused, match="pinned"):
        ListKeys(raw(OLD_KEY)).head(signed(NEW_KEY), "OPT1")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"terminal": "OPT2"}, "another terminal's"),
        ({"list": "prices"}, "another list"),
        ({"epoch": "../../etc"}, "contract"),
        ({"epoch": ".."}, "contract"),
        ({"version": 0}, "Expected"),
        ({"version": True}, "Expected"),
        ({"rows": -1}, "Expected"),
        ({"bytes": 2**41}, "Expected"),
        ({"sha256": "AB" * 32}, "contract"),
        ({"issued_at": "1970-01-01T00:00:00.000Z"}, "not of this century"),
        ({"issued_at": "2026-03-28T22:50:00.000"}, "without a zone"),
        ({"colour": "red"}, "unknown field `colour`"),
        ({"confirm_shrink": "yes"}, "Expected"),
    ],
)
def test_a_signed_head_is_read_strictly_all_the_same(change: dict[str, Any], why: str) -> None:
    with pytest.raises(HeadRefused, match=why):
        ListKeys(raw(OLD_KEY)).head(signed(OLD_KEY, HEAD | change), "OPT1")


@pytest.mark.parametrize("content", [None, b"", b"00" * 31, b"not hex", b"\xff" * 32])
def test_a_key_file_that_is_none_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "list.pub"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(KeyFileError, match=r"list\.pub"):
        ListKeys.from_files(path, None)


# --- ten thousand lists that are not to be taken ------------------------------------------------------------------------------------


class Told:
    """A host that says what the test wants."""

    def __init__(self, head: bytes, body: bytes) -> None:
        self.head, self.body, self.fetched = head, body, 0

    def call(self, call: Call, deadline_ms: int) -> Answer | Trouble:
        """The head; no changes."""
        if "deltas" in call.path:
            return Answer(410, b'{"error":"gone","message":""}')
        return Answer(200, b'{"time":"2026-03-28T22:51:00.000Z","lists":{"cards":' + self.head + b"}}")

    def stream(self, call: Call, deadline_ms: int, cap: int, stall_ms: int | None = None) -> Iterator[int | bytes | Trouble]:
        """The list."""
        self.fetched += 1
        yield 200
        yield self.body


def _mutated(random: Random, head: bytes) -> bytes:
    data = bytearray(head)
    for _ in range(random.randint(1, 3)):
        place = random.randrange(len(data))
        data[place] = random.choice(b'0123456789abcdef":,{}-eTZ')
    return bytes(data)


def test_mutated_older_foreign_and_expired_lists_are_never_taken(tmp_path: Path) -> None:
    """S-7 of the security bars: ten thousand, of every kind, against a terminal that adopted version 7; and the good one is."""
    random = Random("never taken")
    rows = [{"row": "product", "product": "GAZOLE", "restricted": False}]
    text = canonical(rows[0]) + b"\n"
    from tests.store.list_kit import body, content_hash  # noqa: PLC0415 - next to its only use

    whole, digest = body(rows)
    assert whole.startswith(text)
    good = HEAD | {"version": 8, "rows": 1, "bytes": len(whole), "sha256": digest, "content_hash": content_hash(rows)}
    mark = ListMark("e1", 7, 1, 1_774_000_000_000, "cd" * 32, ("e0",))
    sync = ListSync(LANE, ListKeys(raw(OLD_KEY), raw(NEW_KEY)), tmp_path, 1_000, build)
    kinds: tuple[Callable[[], bytes], ...] = (
        lambda: _mutated(random, signed(OLD_KEY, good)),
        lambda: signed(OLD_KEY, good | {"version": random.randint(1, 6)}),
        lambda: signed(OLD_KEY, good | {"version": 7}),
        lambda: signed(OLD_KEY, good | {"epoch": "e0", "version": random.randint(1, 99)}),
        lambda: signed(OLD_KEY, good | {"epoch": "e2", "issued_at": f"2026-03-{random.randint(1, 19):02d}T00:00:00.000Z"}),
        lambda: signed(OLD_KEY, good | {"terminal": f"OPT{random.randint(2, 99)}"}),
        lambda: signed(OLD_KEY, good | {"not_after": f"2026-03-28T22:{random.randint(0, 51):02d}:00.000Z"}),
        lambda: signed(OLD_KEY, good | {"issued_at": f"20{random.randint(27, 99)}-01-01T00:00:00.000Z"}),
        lambda: signed(STRANGER, good),
        lambda: signed(OLD_KEY, good | {"sha256": f"{random.getrandbits(256):064x}"}),
        lambda: signed(OLD_KEY, good | {"content_hash": f"{random.getrandbits(256):064x}"}),
    )
    packed, taken = gzip.compress(whole), 0
    for number in range(10_000):
        head = kinds[number % len(kinds)]()
        if _same(head, good):
            continue
        came = workers.check_lists(sync, Told(head, packed), Known("e1", 7, mark))
        taken += isinstance(came, ListsReady | ListsCurrent)
    assert taken == 0
    assert list(tmp_path.glob("*.db")) == []
    assert isinstance(workers.check_lists(sync, Told(signed(NEW_KEY, good), packed), Known("e1", 7, mark)), ListsReady)


def _same(head: bytes, good: dict[str, Any]) -> bool:
    """Blanks and the spelling of a signature's padding are not the head's content."""
    try:
        found = json.loads(head)
        return isinstance(found, dict) and {name: value for name, value in found.items() if name != "signature"} == good
    except ValueError:
        return False


def test_what_is_refused_is_not_fetched(tmp_path: Path) -> None:
    host = Told(signed(STRANGER), b"")
    sync = ListSync(LANE, ListKeys(raw(OLD_KEY)), tmp_path, 1_000, build)
    came = workers.check_lists(sync, host, Known("", 0, NO_LIST))
    assert came == ListsRefused("cards: its signature is of none of the keys that are pinned here")
    assert host.fetched == 0
