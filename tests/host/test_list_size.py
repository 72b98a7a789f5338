"""How much of the line, of memory and of the disk a list and its changes may take, and what becomes of what is longer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from hal_sim.host.book import Answer as BookAnswer
from terminal.core.events import ListsReady, ListsRefused
from terminal.core.list_events import ListsFailed
from terminal.host import client as client_module
from terminal.host import workers
from terminal.host.client import Trouble
from terminal.host.json_lane import Call
from terminal.host.list_head import ListKeys
from terminal.host.list_sync import CHANGES_TRIES, PACKING_BYTES, Changes, Fetched, Known, ListSync, ListTrouble
from terminal.store.card_import import build
from tests.host.kit import HEAD, OLD_KEY, raw, signed
from tests.host.test_list_sync import CUT, LANE, Site, Told


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.client.close()
    made.server.stop()
    assert made.server.errors == []


# --- room on the ledger's disk --------------------------------------------------------------------------------------------------


class _Endless(Told):
    """A host that never stops sending what cannot be unpacked."""

    sent = 0

    def stream(self, call: Call, deadline_ms: int, cap: int, stall_ms: int | None = None) -> Iterator[int | bytes | Trouble]:
        self.fetched += 1
        yield 200
        while True:
            self.sent += 1 << 16
            yield bytes(1 << 16)


def test_a_list_that_does_not_end_is_cut_at_the_length_that_was_announced_and_goes(tmp_path: Path) -> None:
    host = _Endless(signed(OLD_KEY), b"")
    came = workers.check_lists(ListSync(LANE, ListKeys(raw(OLD_KEY)), tmp_path, 1_000, build), host, Known())
    assert isinstance(came, ListsRefused)
    assert "it is longer than" in came.why
    assert host.sent <= HEAD["bytes"] + PACKING_BYTES + (1 << 16)
    assert list(tmp_path.iterdir()) == []


def test_the_longest_answer_that_is_taken_is_the_list_s_own(site: Site) -> None:
    """Over HTTPS, where the line's reader stops it."""
    handle = site.book.handle

    def longer(method: str, path: str, headers: Mapping[str, str], body: bytes) -> BookAnswer:
        status, told, answer = handle(method, path, headers, body)
        return status, told, answer + bytes(2 << 20) if "/lists/cards/e" in path else answer

    site.book.handle = longer  # type: ignore[method-assign]
    with pytest.raises(ListTrouble, match="it is longer than") as trouble:
        site.check()
    assert trouble.value.kind is None
    assert list(site.state.iterdir()) == []


def test_a_list_never_takes_the_room_that_sales_need(site: Site) -> None:
    """Nothing is fetched for which there is no room, and the half that was there goes."""
    site.server.faults.cut_after = CUT
    with pytest.raises(ListTrouble):
        site.check()
    assert site.download.stat().st_size == CUT
    site.server.faults.cut_after = 0
    asked = len(site.book.asked)
    site.sync = ListSync(LANE, site.keys, site.state, 5_000, build, reserve_bytes=1 << 60)
    with pytest.raises(ListTrouble, match="cannot be stored .No space left") as trouble:
        site.check()
    assert trouble.value.kind is None
    assert len(site.book.asked) == asked
    assert list(site.state.iterdir()) == []


def test_a_disk_that_fills_while_a_list_comes_gets_its_room_back(tmp_path: Path) -> None:
    """Somebody else takes what was free at the beginning."""
    reserve = 1 << 60
    sync = ListSync(LANE, ListKeys(raw(OLD_KEY)), tmp_path, 1_000, build)

    class Filling(_Endless):
        def stream(self, call: Call, deadline_ms: int, cap: int, stall_ms: int | None = None) -> Iterator[int | bytes | Trouble]:
            yield 200
            yield bytes(1_000)
            sync._reserve_bytes = reserve
            yield bytes(1_000)
            self.sent += 1

    host = Filling(signed(OLD_KEY), b"")
    came = workers.check_lists(sync, host, Known())
    assert host.sent == 0, "no more of it is asked for"
    assert isinstance(came, ListsRefused)
    assert "cannot be stored" in came.why
    assert list(tmp_path.iterdir()) == []


# --- changes of every size --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blocked", [1, 450])
def test_changes_up_to_their_bound_are_taken_whatever_an_answer_may_be_long(
    site: Site, monkeypatch: pytest.MonkeyPatch, blocked: int
) -> None:
    """The bound of ordinary answers is not theirs: the signed head says how long they are."""
    found = site.check()
    _block(site, blocked)
    monkeypatch.setattr(client_module, "ANSWER_CAP", 16 << 10)
    came = site.check(Known(found.offer.epoch, found.offer.version))
    assert isinstance(came, Changes)
    assert sum(len(delta.ops) for delta in came.deltas) == 2 * blocked, "the card, and its deny"


def test_more_heads_of_changes_than_an_answer_may_hold_are_no_changes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    found = site.check()
    for _ in range(3):
        site.book.publish()
    monkeypatch.setattr(client_module, "ANSWER_CAP", 1 << 10)
    assert isinstance(site.check(Known(found.offer.epoch, found.offer.version)), Fetched)


def test_changes_that_break_off_each_time_give_way_to_the_whole_list(site: Site) -> None:
    """Nothing of them is kept from try to try; of the whole list everything is."""
    found = site.check()
    live = Known(found.offer.epoch, found.offer.version)
    _block(site, 450)
    site.server.faults.cut_after = CUT
    for _ in range(CHANGES_TRIES):
        assert isinstance(workers.check_lists(site.sync, site.client, live), ListsFailed)
        assert not list(site.state.glob("*.download"))
    for _ in range(20):
        came = workers.check_lists(site.sync, site.client, live)
        if isinstance(came, ListsReady):
            break
        assert list(site.state.glob("*.download"))
    assert isinstance(came, ListsReady)
    site.server.faults.cut_after = 0
    site.book.publish()
    assert isinstance(site.check(Known(came.epoch, came.version)), Changes), "changes are asked for again behind it"


def test_changes_longer_than_their_head_says_are_refused_and_the_whole_is_asked_for(site: Site) -> None:
    found = site.check()
    _block(site, 1)
    handle = site.book.handle

    def longer(method: str, path: str, headers: Mapping[str, str], body: bytes) -> BookAnswer:
        status, told, answer = handle(method, path, headers, body)
        return status, told, answer * 3 if path.endswith("/delta") else answer

    site.book.handle = longer  # type: ignore[method-assign]
    came = workers.check_lists(site.sync, site.client, Known(found.offer.epoch, found.offer.version))
    assert isinstance(came, ListsRefused)
    assert came.whole
    assert "longer than" in came.why


def _block(site: Site, count: int) -> None:
    for one in list(site.book._world.cards.values())[:count]:
        site.book.block(card=one.number)
    site.book.publish()
