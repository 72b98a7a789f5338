"""Card lists end to end in virtual time: the simulated host publishes, or spoils; the real terminal takes, or refuses and says why."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hal_sim.host.list_shelf import FAULTS
from terminal.core.faults import FaultCode
from tests.virtual.forecourt import Forecourt

KNOWN, ADDED = "04A1B2C3D4E501", "04A1B2C3D4E502"
SCENARIO: dict[str, Any] = {
    "terminal": "OPT1",
    "site": "S1",
    "zone": "Europe/Paris",
    "currency": "EUR",
    "decimals": 2,
    "fuelling_points": [{"fp": 1, "nozzle": 1, "product": "GAZOLE", "price": 17_290, "minimum_ml": 2_000, "protocol": "dart"}],
    "customers": [{"customer": "C1"}],
    "cards": [{"number": KNOWN, "customer": "C1"}, {"number": ADDED, "customer": "C1"}],
    "limits": [{"subject": {"customer": "C1"}, "period": "DAY", "measure": "QUANTITY", "amount": 100_000, "products": ["GAZOLE"]}],
}
REFUSAL = (FaultCode.LIST_REFUSED, "cards")


class Bench:
    """A station and what is looked at."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.station = Forecourt(SCENARIO, folder)
        self.station.begin()
        self.book = self.station.book
        self.calls = self.book.calls

    @property
    def site(self) -> Any:
        engine = self.station.terminal.engine
        assert engine is not None
        return engine.site

    @property
    def live(self) -> Any:
        return self.site.lists.epoch, self.site.lists.version

    @property
    def refused(self) -> Any:
        return self.site.desk.faults.active.get(REFUSAL)

    def blocked(self) -> bool:
        """Does the live list block the second card?"""
        card = self.site.lists.card(self.book.token_of(ADDED))
        return card is not None and card.status.value == "blocked"

    def publish(self, **changes: Any) -> None:
        """A new list, and time to fetch it."""
        self.book.publish(**changes)
        self.station.heap.run_until(self.station.heap.now + 400_000)

    def raised(self) -> list[str]:
        """The causes of every refusal that the journal has."""
        with self.station.terminal.reading() as db:
            rows = db.execute("SELECT body FROM journal WHERE kind = 'FaultRaised' ORDER BY seq").fetchall()
        facts = [json.loads(body) for (body,) in rows]
        return [fact["detail"] for fact in facts if fact["code"] == "LIST_REFUSED"]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.station.terminal.power_off()


CAUSES = {
    "wrong signature": "cards: its signature is of none of the keys that are pinned here",
    "wrong hash": "cards e1/2: its hash is not the one that was announced",
    "wrong content hash": "cards e1/2: its content hash is not the one that was announced",
    "truncated": "cards e1/2: it was cut short",
    "bomb": "cards e1/2: it is longer than",
    "expired": "cards e1/2: it has expired",
    "other terminal": "cards: it is another terminal's",
    "shrunk": "cards e1/2: it shrinks from 5 to 2 rows",
    "empty": "cards e1/2: it is empty",
    "unknown field": "cards e1/2: line 1: Object contains unknown field `colour`",
    "unknown limit": "cards e1/2: line 7: a value that the contract does not know - at `$.period`",
    "unknown product": "cards e1/2: it names a product that is not in the list",
    "negative amount": "cards e1/2: line 7: Expected `int` >= 0",
    "absurd amount": "cards e1/2: line 7: Expected `int` <= 1000000000000",
    "1970": "cards: the host's time is an instant that is not of this century",
}


@pytest.mark.parametrize("fault", CAUSES)
def test_a_list_that_is_wrong_is_refused_by_name_and_cause_and_the_old_one_serves(bench: Bench, fault: str) -> None:
    bench.book.block(card=ADDED)
    bench.book.shelf.spoil(fault)
    bench.publish()
    assert bench.refused is not None
    assert bench.refused.startswith(CAUSES[fault])
    assert (bench.live, bench.blocked()) == (("e1", 1), False)
    assert [path.name for path in bench.folder.glob("cards-*") if not path.name.startswith("cards-e1-1.db")] == []  # nothing is left behind
    bench.book.shelf.spoil("")
    bench.publish()
    assert (bench.refused, bench.live, bench.blocked()) == (None, ("e1", 3), True)


def test_every_fault_of_the_host_is_tried_here() -> None:
    assert set(FAULTS) == {*CAUSES, "older", "skipped delta", "doubled delta", "wrong delta"}


@pytest.mark.parametrize("power", ["stays", "cut", "cut, card file lost"])
def test_an_older_list_is_refused_also_after_a_restart_and_without_a_card_file(bench: Bench, power: str) -> None:
    bench.publish()
    assert bench.live == ("e1", 2)
    bench.book.shelf.spoil("older")
    if power != "stays":
        bench.station.terminal.power_off()
        if "lost" in power:
            for path in bench.folder.glob("cards-*"):
                path.unlink()
        bench.station.terminal.power_on()
    bench.station.heap.run_until(bench.station.heap.now + 400_000)
    assert bench.refused is not None
    assert bench.refused == "cards e1/1: it is older than version 2, which was adopted"
    assert bench.live == (("", 0) if "lost" in power else ("e1", 2))
    bench.book.shelf.spoil("")
    bench.station.heap.run_until(bench.station.heap.now + 400_000)
    assert (bench.refused, bench.live) == (None, ("e1", 2))


def test_a_card_file_that_somebody_put_back_is_refused_and_fetched_anew(bench: Bench) -> None:
    terminal = bench.station.terminal
    terminal.power_off()
    kept = bench.folder / "kept"
    kept.mkdir()
    for path in bench.folder.glob("cards-*"):
        shutil.copy(path, kept)
    terminal.power_on()
    bench.book.block(card=ADDED)
    bench.publish()
    assert (bench.live, bench.blocked()) == (("e1", 2), True)
    terminal.power_off()
    for path in bench.folder.glob("cards-*"):
        path.unlink()
    for path in kept.iterdir():
        shutil.copy(path, bench.folder)
    terminal.power_on()
    assert bench.refused is not None
    assert "holds list e1/1, older than e1/2, which was adopted here" in bench.refused
    assert bench.live == ("", 0)
    bench.station.heap.run_until(bench.station.heap.now + 10_000)
    assert (bench.refused, bench.live, bench.blocked()) == (None, ("e1", 2), True)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("skipped delta", "its changes are based on 2, not on 1"),
        ("doubled delta", "its changes are based on 1, not on 2"),
        ("wrong delta", "does not lead to the list that was announced"),
    ],
)
def test_wrong_changes_are_refused_and_the_whole_list_is_fetched(bench: Bench, fault: str, cause: str) -> None:
    bench.book.block(card=ADDED)
    bench.book.shelf.spoil(fault)
    bench.publish()
    (why,) = bench.raised()
    assert why.startswith("cards e1")
    assert cause in why
    assert (bench.refused, bench.live, bench.blocked()) == (None, ("e1", 2), True)
    assert (bench.calls["deltas"], bench.calls["cards"]) == (1, 2)


def test_changes_are_taken_without_fetching_the_list(bench: Bench) -> None:
    bench.book.block(card=ADDED)
    bench.publish()
    assert (bench.live, bench.blocked(), bench.calls["cards"], bench.calls["delta"]) == (("e1", 2), True, 1, 1)
    bench.book.unblock(card=ADDED)
    bench.publish()
    assert (bench.live, bench.blocked(), bench.calls["cards"], bench.calls["delta"]) == (("e1", 3), False, 1, 2)
    assert bench.raised() == []


def test_several_versions_are_caught_up_in_one_go(bench: Bench) -> None:
    bench.station.terminal.power_off()
    for _ in range(4):
        bench.book.publish()
    bench.station.terminal.power_on()
    bench.station.heap.run_until(bench.station.heap.now + 10_000)
    assert (bench.live, bench.calls["cards"], bench.calls["delta"]) == (("e1", 5), 1, 4)


def test_where_the_changes_are_no_longer_kept_the_list_is_fetched(bench: Bench) -> None:
    bench.station.terminal.power_off()
    for _ in range(6):
        bench.book.publish()
    bench.station.terminal.power_on()
    bench.station.heap.run_until(bench.station.heap.now + 10_000)
    assert (bench.live, bench.calls["cards"], bench.calls["delta"], bench.raised()) == (("e1", 7), 2, 0, [])


def test_a_host_that_rebuilt_its_data_is_followed_and_its_old_epoch_never_comes_back(bench: Bench) -> None:
    bench.book.restart_lists("e2")
    bench.publish()
    assert bench.live == ("e2", 2)
    bench.book.restart_lists("e1")
    for _ in range(8):
        bench.book.publish()
    bench.station.heap.run_until(bench.station.heap.now + 400_000)
    assert bench.live == ("e2", 2)
    assert bench.refused == "cards e1/9: its epoch e1 was given up for e2"


def test_a_list_that_shrinks_is_taken_when_the_host_confirms_it(bench: Bench) -> None:
    bench.book._world.cards.clear()
    bench.book._world.customers.clear()
    bench.book._world.meters.clear()
    bench.publish()
    assert bench.live == ("e1", 1)
    assert bench.refused is not None
    assert bench.refused.startswith("cards e1/2: it shrinks from 5 to 1 rows")
    bench.publish(confirm_shrink=True)
    assert (bench.live, bench.refused) == (("e1", 3), None)


def test_a_power_cut_between_the_changed_file_and_the_ledger_is_healed(bench: Bench) -> None:
    """The card file has the new version, the ledger the old one: the next start serves the file and writes it down."""
    terminal = bench.station.terminal
    bench.book.block(card=ADDED)
    engine = terminal.engine
    assert engine is not None
    apply = terminal.apply_changes

    def cut(deltas: Any) -> Any:
        apply(deltas)
        raise _Cut

    terminal.apply_changes = cut  # type: ignore[method-assign]
    with pytest.raises(_Cut):
        bench.publish()
    terminal.apply_changes = apply  # type: ignore[method-assign]
    terminal._stepping = False
    terminal.power_off()
    terminal.power_on()
    assert (bench.live, bench.blocked()) == (("e1", 2), True)
    bench.publish()
    assert (bench.live, bench.refused) == (("e1", 3), None)


class _Cut(Exception):
    """The power goes."""
