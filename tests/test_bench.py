"""The bench in a tiny size: every part runs and says what it must. No figure is judged: a test never depends on the machine's speed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Set
from pathlib import Path
from typing import Any

import pytest

from drivers.dispenser.dart.codec import encode
from drivers.dispenser.dart.frames import Data, Eot, Poll, Transaction
from tests.bench import __main__ as bench
from tests.bench import chips, pump_wires, wires
from tests.bench.figures import Figure, percentile, table
from tests.bench.virtual import Run
from tests.demo.station import ROOT, StationError
from tests.virtual.quick_wire import QuickWire

KEYS = {"name", "unit", "value", "how", "floor", "floor_how", "ratio", "bar", "bar_is", "bar_unit", "met", "detail"}


def _bench(folder: Path, *options: str) -> dict[str, Any]:
    out = folder / "bench.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", "--out", str(out), *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(out.read_text())
    assert [each.name for each in folder.iterdir() if each.is_dir() and each.name != "bench"] == [], "its working folder is gone"
    return result


def _check(result: dict[str, Any], names: set[str], may_be_zero: Set[str] = frozenset()) -> None:
    assert {figure["name"] for figure in result["figures"]} == names
    assert all(set(figure) == KEYS for figure in result["figures"])
    assert all(figure["value"] > 0 or figure["name"] in may_be_zero for figure in result["figures"])
    assert {"machine", "load_before", "load_after"} <= set(result)


@pytest.mark.rig
def test_the_rig_gives_its_figures(tmp_path: Path) -> None:
    result = _bench(tmp_path, "--part", "rig", "--repetitions", "4", "--idle", "2")
    _check(
        result,
        {
            "last key to 'go to pump'",
            "nozzle lifted to AUTHORIZE",
            "resident memory",
            "written on the ledger",
            "syncs of the ledger",
            "start to READY",
            "import of the program",
            "processor when idle",
        },
    )
    first, second = result["figures"][:2]
    assert first["detail"]["first_byte_ms"]["n"] == second["detail"]["ms"]["n"] == 4
    assert first["detail"]["commit_syncs"]["min"] >= 1, "the hold is durable"
    assert second["detail"]["slowest"][-1].split()[1:3] == [">", "DATA"]


@pytest.mark.rig
def test_media_give_their_figures(tmp_path: Path) -> None:
    result = _bench(tmp_path, "--part", "media", "--presentations", "2", "--presses", "6")
    _check(
        result,
        {
            "badge to number, UID only",
            "badge to number, EV2First",
            "card to number, smart card of 25 ms a command",
            "card put in to number",
            "key pressed to display updated",
            "resident memory, every driver",
        },
    )
    by_name = {figure["name"]: figure for figure in result["figures"]}
    uid, proof = (by_name[f"badge to number, {what}"]["detail"]["exchanges"]["p50"] for what in ("UID only", "EV2First"))
    assert uid > 3, "the emulator's log shows what was asked"
    assert proof > uid + 10, "a badge that proves itself is asked much more"
    assert by_name["card to number, smart card of 25 ms a command"]["floor"] > 3 * 25
    assert by_name["key pressed to display updated"]["detail"]["whole_ms"]["n"] == 6


@pytest.mark.rig
def test_lines_give_their_figures(tmp_path: Path) -> None:
    sizes = ("--positions", "2", "--lifts", "2", "--minutes", "0.05")
    result = _bench(tmp_path, "--quick", "--part", "lines", *sizes)
    _check(
        result,
        {
            "round of 2 idle DART positions",
            "round of 2 idle AZT positions",
            "nozzle lifted to AUTHORIZE, 2 others fuelling",
            "answer windows missed, DART",
            "answer windows missed, AZT",
        },
        may_be_zero={"answer windows missed, DART", "answer windows missed, AZT"},
    )
    by_name = {figure["name"]: figure for figure in result["figures"]}
    dart, azt = (by_name[f"round of 2 idle {protocol} positions"] for protocol in ("DART", "AZT"))
    assert (dart["detail"]["characters"], azt["detail"]["characters"]) == (12, 32)
    assert dart["floor"] == pytest.approx(12 * 11 / 9.6 + 2 * (dart["detail"]["answer_ms"] + 35), abs=1.5)
    assert by_name["answer windows missed, DART"]["detail"]["asked"] > 10
    assert by_name["answer windows missed, DART"]["detail"]["uploaded"] > 0


def test_a_part_that_fails_is_said_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(run: bench.Run) -> list[Figure]:
        raise StationError("the display does not say it")

    monkeypatch.setattr(bench.Run, "_rig", broken)
    monkeypatch.setattr(bench.Run, "_media", lambda run: [Figure("a", "ms", 2.0, "", bar=1.0)])
    run = bench.Run(bench.QUICK, tmp_path, tmp_path / "bench.json")
    for part in ("rig", "media"):
        run.part(part)
    result = json.loads((tmp_path / "bench.json").read_text())
    assert [figure["name"] for figure in result["figures"]] == ["a"]
    assert result["failed"] == {"rig": "StationError: the display does not say it"}
    assert set(result["seconds"]) == {"rig", "media"}
    assert "failed: rig" in run.summary()
    assert "missed: a" in run.summary()


def test_the_virtual_world_gives_its_figures(tmp_path: Path) -> None:
    result = _bench(tmp_path, "--part", "virtual", "--part", "pages", "--fuellings", "3")
    _check(result, {"virtual fuellings", "written, served online", "syncs, served online"})
    assert [row["page_size"] for row in result["page_sizes"]] == [512, 1024, 2048, 4096]
    assert all(row["kib_per_fuelling"] > 0 for row in result["page_sizes"])


def test_decisions_lists_and_uploads_give_their_figures(tmp_path: Path) -> None:
    parts = ("--part", "decisions", "--part", "lists", "--part", "uploads")
    result = _bench(tmp_path, "--quick", *parts, "--cards", "1000", "--unsent", "300", "--sales", "300")
    _check(
        result,
        {
            "decision with 1,000 cards, p50",
            "decision with 1,000 cards, p99",
            "decision plus durable hold",
            "the whole step of the last key",
            "authorization with 300 unsent sales",
            "block at the host to refusal at the terminal",
            "list of 3,102 rows to live",
            "memory of the import process",
            "decision while a list is imported, p99",
            "growth of the terminal's process by an import",
            "delta of 1,000 rows to live, p50",
            "delta of 1,000 rows to live, worst of 20",
            "upload of 300 queued sales",
        },
        may_be_zero={"growth of the terminal's process by an import"},
    )
    by_name = {figure["name"]: figure for figure in result["figures"]}
    held, upload = by_name["decision plus durable hold"], by_name["upload of 300 queued sales"]
    assert held["detail"]["log_bytes"]["min"] > 1_000, "the hold went into the log"
    assert held["value"] >= held["detail"]["ms"]["min"] > 0
    assert len(upload["detail"]["upload_s"]) == len(upload["detail"]["bare_s"]) == 3
    assert all(figure["met"] is not None for name, figure in by_name.items() if "p99" not in name and "step" not in name)


def test_the_short_way_of_the_wire_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def play(folder: Path) -> tuple[object, ...]:
        folder.mkdir()
        run = Run(folder)
        for _ in range(3):
            run.fuelling()
        return run.heap.now, run.station.lines[1].exchanges, run.terminal.screens, run.station.book.records()

    short = play(tmp_path / "short")
    send = QuickWire.send
    monkeypatch.setattr(QuickWire, "send_alone", lambda wire, data, now, until: send(wire, data, now))
    assert play(tmp_path / "long") == short


def test_bars() -> None:
    assert Figure("a", "ms", 19.0, "", bar=20).met is True
    assert Figure("a", "ms", 20.1, "", bar=20).met is False
    assert Figure("a", "/s", 99.0, "", bar=100, at_least=True).met is False
    assert Figure("a", "ms", 140.0, "", floor=100.0, bar=1.5, bar_of_floor=True).met is True
    assert Figure("a", "ms", 151.0, "", floor=100.0, bar=1.5, bar_of_floor=True).met is False
    assert Figure("a", "ms", 1.0, "").met is None
    assert "MISSED" in table([Figure("a", "ms", 20.1, "", bar=20)])[1]


@pytest.mark.parametrize(("count", "share", "wanted"), [(1, 0.99, 1), (40, 0.99, 40), (100, 0.99, 99), (100, 0.5, 50), (3, 0.5, 2)])
def test_percentiles_are_values_that_were_measured(count: int, share: float, wanted: int) -> None:
    assert percentile([float(value) for value in range(count, 0, -1)], share) == wanted


def test_the_line_s_log_is_read_to_the_byte() -> None:
    ms = wires.NS_PER_MS
    nozzle = encode(Data(0x50, 1, (Transaction(0x03, bytes((0, 0x17, 0x29, 0x11))),)))
    authorize = encode(Data(0x50, 1, (Transaction(0x01, b"\x06"),)))
    log = [wires.Record(at * ms, False, encode(Poll(0x50))) if data is None else wires.Record(at * ms, out, data) for at, out, data in (
        (10, False, None), (20, True, encode(Eot(0x50, 0))), (60, False, None), (70, True, encode(Eot(0x50, 0))),
        (110, False, None), (140, True, nozzle), (200, False, authorize[:-1]), (203, False, authorize[-1:]),
    )]  # fmt: skip
    sent = wires.frames(log)
    place = wires.authorized_after(sent, 100 * ms)
    assert place is not None
    assert sent[place].at_ns == 203 * ms
    assert wires.authorized_after(sent, 204 * ms) is None
    assert wires.rounds_ms(sent, 0, 110 * ms) == [50.0, 50.0]
    exchange = wires.exchange_before(sent, place)
    assert exchange is not None
    assert (exchange.data_chars, exchange.command_chars) == (len(nozzle), len(authorize))
    chars = 6 + len(nozzle) + len(authorize)
    assert exchange.floor_ms(35, 5) == pytest.approx(chars * wires.CHAR_MS + exchange.answer_ms + 40)


def test_a_chip_s_exchanges_are_its_own_time() -> None:
    ms, ack = wires.NS_PER_MS, "0000ff00ff00"
    rows = [
        (10, False, "0000ff04fcd44a0100e100"),
        (10, True, ack),
        (400, False, ack),
        (402, False, "0000ff04fcd4320102f700"),
        (402, True, ack),
    ]
    rows += [
        (405, True, "0000ff02fed533f800"),
        (410, False, "0000ff04fcd44a0100e100"),
        (410, True, ack),
        (413, True, "0000ff03fdd54b00e0 00"),
    ]
    log = [wires.Record(at * ms, out, bytes.fromhex(data)) for at, out, data in rows]
    found = chips.chip_exchanges(log)
    assert [(each.asked_ns // ms, each.answered_ns // ms, each.code) for each in found] == [(402, 405, 0x32), (410, 413, 0x4A)]
    assert chips.spent_ms(found, 404 * ms, 412 * ms) == pytest.approx(1 + 2)


def test_rounds_and_missed_answers_are_read_from_a_line_s_log() -> None:
    ms = wires.NS_PER_MS

    def exchange(at: int, address: int, answered: bool = True) -> list[wires.Record]:
        asked = [wires.Record(at * ms, False, encode(Poll(address)))]
        return asked + ([wires.Record((at + 10) * ms, True, encode(Eot(address, 0)))] if answered else [])

    log = [record for turn in range(7) for record in exchange(100 + 50 * turn, 0x50 + turn % 2)]
    found = pump_wires.idle_rounds(log, 2, 9600, 35)
    assert found.lengths_ms == [100.0] * 4
    assert found.characters == 12
    assert found.floor_ms == pytest.approx(2 * (10 + 35 + 3 * 11 / 9.6), abs=0.01)
    assert pump_wires.is_idle(log, 2)
    assert not pump_wires.is_idle(log, 3)
    assert pump_wires.missed_answers(log, "dart", 30).missed == 0
    lost = [*exchange(20, 0x50), *exchange(60, 0x51, answered=False), *log]
    assert pump_wires.missed_answers(lost, "dart", 120).late_pumps == 1, "the next question lay there already: the pumps have slept"
    missed = pump_wires.missed_answers(lost, "dart", 30)
    assert (missed.asked, missed.missed, missed.slowest_ms) == (9, 1, 10.0)
    with pytest.raises(ValueError, match="no idle round"):
        pump_wires.idle_rounds(log[:3], 2, 9600, 35)
