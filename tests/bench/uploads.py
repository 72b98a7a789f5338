"""A long queue to the host: ledger, core, lane and client over HTTPS, beside a bare ``requests`` loop that posts the same bytes.

The host is a process of its own, and a fresh one for each of the two; what the terminal has sent is kept and posted again, in the same
calls with the same headers, by a loop that keeps its connection and looks at nothing of the answers but their status.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import requests

from hal_sim.host import HostBook, HostServer
from terminal.core.units import Instant
from terminal.host.client import Answer, Endpoint, HostClient, Trouble
from terminal.host.json_lane import Call
from terminal.host.list_head import ListKeys
from terminal.host.list_sync import ListSync
from terminal.host.workers import HostDesk
from terminal.runtime.inbox import Inbox
from terminal.store.card_import import build
from terminal.store.ledger import AUTOCHECKPOINT_PAGES
from tests.bench.figures import Figure, percentile
from tests.bench.lists import ROOT, Shelf, tokens
from tests.bench.till import Till, unsent
from tests.hal_sim.host_kit import CARD_KEY, PIN_KEY, TOKEN_KEY, scenario

CARDS = 1_000
ROUNDS = 3
PATIENCE_S = 600.0
CALL_MS = 10_000


def now_ms() -> int:
    """Milliseconds that only grow."""
    return time.monotonic_ns() // 1_000_000


class _Clock:
    """The inbox's."""

    def instant(self) -> Instant:
        return Instant(now_ms())


class _Keeping(HostClient):
    """The terminal's client; every call that it makes is kept."""

    kept: list[Call]

    def call(self, call: Call, deadline_ms: int) -> Answer | Trouble:
        self.kept.append(call)
        return super().call(call, deadline_ms)


@contextmanager
def _host(folder: Path) -> Iterator[dict[str, str]]:
    """A host in a process of its own: its address and files. Its books are checked by whoever asked it to count."""
    folder.mkdir(parents=True)
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.uploads", "--folder", str(folder)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert program.stdout is not None
        yield json.loads(program.stdout.readline())
    finally:
        assert program.stdin is not None
        program.stdin.close()
        program.wait(30)


def _endpoint(told: dict[str, str]) -> Endpoint:
    return Endpoint(told["url"], Path(told["ca"]), Path(told["certificate"]), Path(told["key"]))


def _counted(told: dict[str, str]) -> int:
    """How many sales the host has booked, read when it has ended."""
    found: int = json.loads(Path(told["count"]).read_text(encoding="ascii"))
    return found


def upload(till: Till, told: dict[str, str], folder: Path) -> tuple[float, list[Call]]:
    """Let the terminal send all that waits. Seconds from its first step with the host there until nothing waits, and its calls."""
    inbox, kept = Inbox(_Clock()), list[Call]()

    def connect() -> HostClient:
        client = _Keeping(_endpoint(told), now_ms)
        client.kept = kept
        return client

    sync = ListSync(till.lane, ListKeys(bytes(32)), folder, CALL_MS, build)
    desk = HostDesk(till.lane, connect, inbox.post, sync, CALL_MS, CALL_MS)
    vars(till)["upload"] = desk.upload
    till.now = Instant(now_ms())
    desk.start()
    site, engine = till.site, till.engine
    try:
        began = time.perf_counter()
        site.uploads.in_flight = False  # what was asked of the host that was away is not answered any more
        site.uploads.host_is_back()
        engine.dispatch(site.desk.take(), till.now)
        while site.uploads.waiting:
            if time.perf_counter() - began > PATIENCE_S:
                raise RuntimeError(f"{site.uploads.waiting} messages were not sent: {site.desk.faults.active}")
            while engine.fire_due(Instant(now_ms())):
                pass
            item = inbox.take(50)
            if item is not None:
                engine.step(item.event, item.at)
        took = time.perf_counter() - began
    finally:
        desk.stop()
    return took, [call for call in kept if call.method == "POST" and "applied" not in call.path and "state" not in call.path]


def _headers(call: Call) -> dict[str, str]:
    """As the terminal's client sends it."""
    return {"Content-Type": "application/json", **({} if call.key is None else {"Idempotency-Key": call.key}), **dict(call.headers)}


def bare(calls: Sequence[Call], told: dict[str, str]) -> float:
    """Post the same calls in a plain loop. Seconds."""
    session = requests.Session()
    session.trust_env = False  # or the environment's bundle of authorities would go before ours
    session.verify, session.cert = told["ca"], (told["certificate"], told["key"])
    headers = [_headers(call) for call in calls]
    began = time.perf_counter()
    for call, head in zip(calls, headers, strict=True):
        answer = session.request(call.method, told["url"] + call.path, data=call.body, headers=head, timeout=60)
        if answer.status_code >= 400:
            raise RuntimeError(f"the host refused the bare loop: {answer.status_code}")
    took = time.perf_counter() - began
    session.close()
    return took


def figures(folder: Path, sales: int) -> list[Figure]:
    """So many sales of one terminal, uploaded; terminal and bare loop in turns."""
    shelf = Shelf(folder / "lists")
    lists = shelf.live(CARDS)
    known = [f"{token:032x}" for token in tokens(CARDS)]
    unsent(folder, "queue.db", lists, known, sales).close()
    took, floor = [], []
    messages, calls = 0, list[Call]()
    for number in range(ROUNDS):
        shutil.copy(folder / "queue.db", folder / f"{number}.db")
        till = Till(folder, lists, known, f"{number}.db", AUTOCHECKPOINT_PAGES)
        messages = till.site.uploads.waiting
        with _host(folder / f"first-{number}") as told:
            seconds, calls = upload(till, told, folder)
        till.close()
        booked = _counted(told)
        if booked < sales:
            raise RuntimeError(f"the host has booked {booked} of {sales} sales")
        took.append(seconds)
        with _host(folder / f"second-{number}") as told:
            floor.append(bare(calls, told))
    lists.close()
    sent = sum(len(call.body or b"") for call in calls)
    value = percentile(took, 0.5)
    return [
        Figure(
            f"upload of {sales:,} queued sales", "s", value,
            f"median of {ROUNDS}; {messages:,} messages in {len(calls):,} calls, from the ledger, answered, acknowledged in the ledger",
            percentile(floor, 0.5), f"a bare requests loop that posts the same {sent:,} bytes in the same calls to a fresh host; in turns",
            2, bar_of_floor=True, detail={"upload_s": took, "bare_s": floor, "sales_per_s": round(sales / value, 1)},
        )
    ]  # fmt: skip


@click.command()
@click.option("--folder", required=True, type=click.Path(path_type=Path), help="For the certificates.")
def main(folder: Path) -> None:
    """A host until the input ends; then the number of its sales goes into a file."""
    book = HostBook(scenario(), lambda: time.time_ns() // 1_000_000, token_key=TOKEN_KEY, pin_key=PIN_KEY, card_key=CARD_KEY)
    server = HostServer(book, folder)
    server.start()
    count = folder / "count"
    files = {"ca": server.ca_path, "certificate": server.client_cert_path, "key": server.client_key_path, "count": count}
    print(json.dumps({"url": server.url, **{name: str(path) for name, path in files.items()}}), flush=True)
    sys.stdin.read()
    with server.lock:
        count.write_text(json.dumps(len(book.records())), encoding="ascii")
    server.stop()


if __name__ == "__main__":
    main()
