"""What a driver waits for: the decision alone, the decision with its durable hold, with thousands of sales unsent, and a block at the host.

Each beside its floor of the same run on the same files. The block's figure is measured by ``tests/push``: real HTTPS, engine and ledger.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

from terminal.core.records import DenyAdded, DenyLifted, Refused
from terminal.store.live_lists import LiveLists
from terminal.store.schema import PAGE_SIZE
from tests.bench import floors
from tests.bench.asked import Asked
from tests.bench.figures import Figure, percentile, spread
from tests.bench.lists import Shelf, tokens
from tests.bench.till import Till, unsent

DECISIONS = 4_000
ROUNDS = 4
WARM_UP = 10


def figures(folder: Path, shelf: Shelf, sizes: tuple[int, ...], drivers: int, waiting: int, blocks: int) -> list[Figure]:
    """Lists of every size; the rest with the largest."""
    found: list[Figure] = []
    for cards in sizes:
        lists = shelf.live(cards)
        known = [f"{token:032x}" for token in tokens(cards)]
        found += _alone(lists, known)
        if cards == max(sizes):
            found += _held(folder, lists, known, drivers, waiting)
        lists.close()
    return [*found, _blocked(folder, blocks)]


def _alone(lists: LiveLists, known: list[str]) -> list[Figure]:
    """p50 and p99 beside the bare SELECT."""
    asked = Asked(lists, random.Random(7).choices(known, k=DECISIONS))
    asked.times_us()
    asked.floor_us()
    took, floor = [], []
    for _ in range(ROUNDS):  # in turns, so that both meet the same neighbours
        took += asked.times_us()
        floor += asked.floor_us()
    how = "gather and decide, offline, random cards with a customer's and (every tenth) a card's limit"
    return [
        Figure(
            f"decision with {len(known):,} cards, p{share * 100:.0f}", "us", percentile(took, share), how, percentile(floor, share),
            "a bare SELECT by primary key on the same file and connection", 12 if share == 0.5 else None, bar_of_floor=True,
            detail={"decision_us": spread(took), "select_us": spread(floor)},
        )
        for share in (0.5, 0.99)
    ]  # fmt: skip


def _held(folder: Path, lists: LiveLists, known: list[str], drivers: int, waiting: int) -> list[Figure]:
    """The step of the last key, with nothing unsent and with very much, driver by driver in turns, and a bare commit after each."""
    few = Till(folder, lists, known, "few.db")
    many = unsent(folder, "many.db", lists, known, waiting)
    bare = floors.BareCommit(folder / "held.db", PAGE_SIZE)
    asked = Asked(lists, known)
    held_ms, few_ms, many_ms, bare_ms, sizes = [], [], [], [], []
    for number in range(WARM_UP + drivers):
        place = 7_919 * number % len(known)
        began = time.perf_counter_ns()
        asked.decide(known[place])
        decided_ms = (time.perf_counter_ns() - began) / 1e6
        one, other = few.driver(place), many.driver(place)
        floor = bare.once_ms(one.log_bytes)
        if number >= WARM_UP:
            held_ms.append(decided_ms + one.hold_ms)
            few_ms.append(one.ms)
            many_ms.append(other.ms)
            bare_ms.append(floor)
            sizes.append(one.log_bytes)
    queued = many.site.uploads.waiting
    for till in (few, many):
        till.close()
    bare.close()
    bare_how = "p50; one synced commit of the same bytes on a bare SQLite file, after each"
    return [
        Figure(
            "decision plus durable hold", "ms", percentile(held_ms, 0.5),
            "p50; the decision of a driver's card, and the commit of his hold with its journal rows and tables",
            percentile(bare_ms, 0.5), bare_how, 2, bar_of_floor=True,
            detail={"ms": spread(held_ms), "floor_ms": spread(bare_ms), "log_bytes": spread(sizes)},
        ),
        Figure(
            "the whole step of the last key", "ms", percentile(few_ms, 0.5),
            "p50; the same with the session's, the sale's and the pump's machines and the screen", percentile(bare_ms, 0.5), bare_how,
            detail={"ms": spread(few_ms)},
        ),
        Figure(
            f"authorization with {waiting:,} unsent sales", "ms", percentile(many_ms, 0.5),
            f"p50 of the whole step of the last key; {queued:,} messages in the outbox",
            percentile(few_ms, 0.5), "p50; with none at the start, in turns", 1.2, bar_of_floor=True,
            detail={"ms": spread(many_ms), "none_ms": spread(few_ms), "start_on_that_ledger_ms": round(many.recovered_ms, 1)},
        ),
    ]  # fmt: skip


def _blocked(folder: Path, blocks: int) -> Figure:
    """From ``block`` at the host to the refusal of that badge, as ``tests/push/test_latency.py`` has it, more often."""
    from tests.hal_sim.host_kit import BADGE  # noqa: PLC0415
    from tests.push.kit import Stream  # noqa: PLC0415 - a host's certificates are made at the import's cost only when wanted
    from tests.push.test_latency import Terminal  # noqa: PLC0415

    place = folder / "push"
    place.mkdir()
    stream = Stream(place / "host")
    terminal = Terminal(place, stream)
    stream.post = terminal.inbox.post  # type: ignore[method-assign]
    stream.push._post = terminal.inbox.post
    session = terminal.engine.site.sessions[1]
    session.times = type(session.times)(same_medium_ms=0)
    took = []
    try:
        while not terminal.engine.site.push.up:
            item = terminal.inbox.take(200)
            if item is not None:
                terminal.engine.step(item.event, item.at)
        terminal.badge()
        for count in range(1, blocks + 1):
            began = time.perf_counter_ns()
            with stream.server.lock:
                stream.book.block(card=BADGE)
            terminal.serve_until(DenyAdded, count)
            if session.medium is None:
                terminal.badge()
            took.append((time.perf_counter_ns() - began) / 1e6)
            if [record.reason for _, record in terminal.records if isinstance(record, Refused)][-1] != "CARD_BLOCKED":
                raise RuntimeError("a blocked card was not refused")
            with stream.server.lock:
                stream.book.unblock(card=BADGE)
            terminal.serve_until(DenyLifted, count)
            terminal.badge()
    finally:
        stream.close()
        terminal.ledger.close()
    return Figure(
        "block at the host to refusal at the terminal", "ms", percentile(took, 0.99),
        f"p99 of {blocks}; the host's call to the badge's refusal, the deny committed before; host in the same process", bar=2_000,
        detail={"ms": spread(took), "aim_ms": 200, "aim_met": percentile(took, 0.99) <= 200},
    )  # fmt: skip
