"""The stand-alone host's command line: what it refuses, what the office does, and every way to misbehave; real processes and sockets."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from hal_sim.host.desk import ask, reached
from tests.hal_sim.host_kit import valid
from tests.hal_sim.host_process import BADGE, PATIENCE_S, HostProcess, authorization, complete, done, office, rows, told


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of one host; not there yet, and of a name too long for a Unix socket."""
    return tmp_path / ("of-a-host-" * 12) / "host"


@pytest.fixture
def host(folder: Path) -> Iterator[HostProcess]:
    """Running, with the example scenario."""
    made = HostProcess(folder)
    yield made
    made.end()


# --- what it refuses ----------------------------------------------------------------------------------------------------


def start(folder: Path, *more: str) -> tuple[int, str]:
    """A start that fails: its code and what it says."""
    result = office(folder, "serve", "--listen", "127.0.0.1:0", *more)
    return result.returncode, result.stderr


def test_two_hosts_on_one_folder_are_refused(host: HostProcess, folder: Path) -> None:
    code, text = start(folder)
    assert code == 1
    assert f"another host is running here (process {host.process.pid})" in text
    assert host.call("GET", "/v1/time").status_code == 200


def test_a_port_that_is_taken_is_said(host: HostProcess, tmp_path: Path) -> None:
    result = office(tmp_path / "other", "serve", "--listen", f"127.0.0.1:{host.port()}")
    assert (result.returncode, "cannot listen" in result.stderr) == (1, True)


def test_another_scenario_another_key_or_an_edited_book_are_refused(host: HostProcess, folder: Path, tmp_path: Path) -> None:
    complete(host, 1)
    host.end()
    other = tmp_path / "other.json"
    other.write_text(json.dumps(json.loads((folder / "scenario.json").read_text()) | {"site": "S2"}))
    assert "another scenario" in start(folder, "--scenario", str(other))[1]
    key = (folder / "token.key").read_text()
    (folder / "token.key").write_text("00" * 32)
    assert "not those that the book was begun with" in start(folder)[1]
    (folder / "token.key").unlink()
    assert "token.key is gone" in start(folder)[1]
    (folder / "token.key").write_text(key)
    with sqlite3.connect(folder / "book.db") as db:
        db.execute("""UPDATE input SET body = replace(body, '"quantity_ml":10000', '"quantity_ml":-1')""")
        db.execute("""UPDATE input SET body = replace(body, '"quantity_ml": 10000', '"quantity_ml": -1')""")
    db.close()
    code, text = start(folder)
    assert (code, "answered otherwise than it was" in text) == (1, True)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("s.json", "{", "line 1, column 2"),
        ("s.toml", "terminal = ", "s.toml:"),
        ("s.json", '{"terminal": "OPT1"}', "site: missing"),
        ("s.json", "[]", "one object"),
    ],
)
def test_a_wrong_scenario_is_refused_by_its_place_and_leaves_no_book(tmp_path: Path, name: str, content: str, why: str) -> None:
    (tmp_path / name).write_text(content)
    code, text = start(tmp_path / "host", "--scenario", str(tmp_path / name))
    assert (code, why in text) == (1, True), text
    assert sorted(path.name for path in (tmp_path / "host").iterdir()) == ["lock"]


def test_keys_and_certificates_are_made_once_and_are_for_the_owner_only(host: HostProcess, folder: Path) -> None:
    names = [path.name for path in folder.iterdir() if path.suffix in (".key", ".crt", ".pub")]
    before = {name: (folder / name).read_bytes() for name in names}
    assert len(before) == 11
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name
    host.end()
    again = HostProcess(folder)
    assert {name: (folder / name).read_bytes() for name in names} == before
    again.end()
    renamed = HostProcess(folder, "--name", "fleet.example")
    assert {name for name in names if (folder / name).read_bytes() != before[name]} == {"server.crt", "server.key"}
    renamed.end()


# --- the office ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("block", "range", "7002", "7001"), 1, "the smaller one first"),
        (("unlock-pin", "123"), 1, "not known here"),
        (("price", "NO-SUCH", "1.5"), 1, "a product that is sold here"),
        (("price", "GAZOLE", "1.79999"), 2, "at most four decimals"),
        (("price", "GAZOLE", "1e3"), 2, "at most four decimals"),
        (("price", "GAZOLE", "0"), 1, "above 0"),
        (("price", "GAZOLE", "1.799", "--nozzle", "1"), 1, "named too"),
        (("price", "GAZOLE", "1.799", "--fuelling-point", "9"), 1, "a product that is sold here"),
        (("price", "GAZOLE", "1.799", "--at", "tomorrow"), 2, "with its zone"),
        (("price", "GAZOLE", "1.799", "--at", "2026-04-01T06:00:00"), 2, "with its zone"),
        (("close", "site", "x"), 1, "a site is not"),
        (("close", "product", "NO-SUCH"), 1, "is expected"),
        (("correct", "OPT1-1-9", "cancel"), 1, "not booked here"),
        (("correct", "OPT1-1-9", "erase"), 2, "erase"),
        (("fault", "slow"), 1, "milliseconds"),
        (("fault", "lists", "purple"), 1, "no such fault"),
        (("fault", "tired"), 2, "tired"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(shared: HostProcess, arguments: tuple[str, ...], code: int, why: str) -> None:
    result = office(shared.folder, *arguments)
    assert (result.returncode, why in result.stderr) == (code, True), result.stderr
    assert result.stdout == ""
    assert rows(shared.folder, "SELECT * FROM input") == []


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostProcess]:
    """One host for tests that change nothing."""
    made = HostProcess(tmp_path_factory.mktemp("shared") / "host")
    yield made
    made.end()


def test_without_a_host_the_office_says_so(tmp_path: Path) -> None:
    for arguments in (("state",), ("block", "card", BADGE), ("restore",)):
        result = office(tmp_path, *arguments)
        assert (result.returncode, "no host is running" in result.stderr) == (1, True)


def test_what_is_no_request_is_answered_and_the_office_goes_on(shared: HostProcess) -> None:
    for line in (b"", b"{", b"[]", b'{"do":"dance"}', b'{"do":"block"}', b'{"do":"price","product":"GAZOLE","price":"x"}', b"[" * 60_000):
        with reached(shared.folder) as wire:
            wire.sendall(line + b"\n")
            assert "error" in json.loads(wire.makefile("rb").readline())
    assert ask(shared.folder, {"do": "missing"}) == {"missing": []}


def test_a_block_reaches_an_open_stream_at_once(host: HostProcess, folder: Path) -> None:
    with host.http.get(host.url + "/v1/terminals/OPT1/events", stream=True, timeout=PATIENCE_S) as answer:
        lines = answer.iter_lines(decode_unicode=True)
        assert next(line for line in lines if line.startswith("event: ")) == "event: lists"
        done(folder, "block", "customer", "C1")
        assert next(line for line in lines if line.startswith("event: ")) == "event: deny"
        assert json.loads(next(line for line in lines if line.startswith("data: "))[6:])["deny"] == {"customer": "C1"}
    refused = host.call("POST", "/v1/authorizations", authorization(host, 1)).json()
    assert (refused["decision"], refused["reason"]) == ("declined", "CUSTOMER_BLOCKED")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_while_a_stream_is_open(folder: Path, number: signal.Signals) -> None:
    host = HostProcess(folder)
    answer = host.http.get(host.url + "/v1/terminals/OPT1/events", stream=True, timeout=PATIENCE_S)
    assert host.end(number) == 0
    answer.close()
    assert host.lines[-2:] == [{"ended": True}, {"over": True}]
    assert not (folder / "control.sock").exists()


# --- faults -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fault", "status", "error"), [("500", 500, "internal"), ("904", 400, "bad_request"), ("409", 409, "key_reuse")])
def test_answers_that_refuse_book_nothing(host: HostProcess, folder: Path, fault: str, status: int, error: str) -> None:
    done(folder, "fault", fault)
    answer = complete(host, 1)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert valid("Error", answer.json())
    assert rows(folder, "SELECT * FROM sale") == []
    done(folder, "faults", "off")
    assert complete(host, 1).json()["result"] == "accepted"


def test_garbage_silence_and_a_host_that_is_down_book_nothing(host: HostProcess, folder: Path) -> None:
    done(folder, "fault", "garbage")
    assert complete(host, 1).headers["Content-Type"] == "text/html"
    done(folder, "restore")
    done(folder, "fault", "silent")
    with pytest.raises(requests.ReadTimeout):
        complete(host, 1, timeout=0.5)
    done(folder, "restore")
    done(folder, "fault", "down")
    with pytest.raises(requests.ConnectionError):
        complete(host, 1)
    assert rows(folder, "SELECT * FROM sale") == []
    done(folder, "restore")
    assert complete(host, 1).json()["result"] == "accepted"


def test_lost_cut_and_dripping_answers_are_booked_all_the_same(host: HostProcess, folder: Path) -> None:
    for sequence, fault in ((1, ("lost-answers",)), (2, ("cut", "10"))):
        done(folder, "fault", *fault)
        with pytest.raises(requests.RequestException):
            complete(host, sequence).json()
        done(folder, "restore")
    done(folder, "fault", "drip", "5")
    assert complete(host, 3).json()["result"] == "accepted"
    assert len(rows(folder, "SELECT * FROM sale")) == 3


def test_a_flapping_line_comes_and_goes_until_it_is_restored(host: HostProcess, folder: Path) -> None:
    done(folder, "fault", "flapping", "200/200")
    seen: set[bool] = set()
    until = time.monotonic() + PATIENCE_S
    while seen != {True, False} and time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", host.port()), 1).close()
            seen.add(True)
        except ConnectionRefusedError:
            seen.add(False)
        time.sleep(0.02)  # not more knocking than the listener can answer
    assert seen == {True, False}
    done(folder, "restore")
    assert told(folder, "state", "--json")["faults"] == {}
    assert complete(host, 1).json()["result"] == "accepted"


def test_a_busy_host_books_nothing_and_is_not_busy_after_a_restart(host: HostProcess, folder: Path) -> None:
    done(folder, "fault", "busy")
    assert complete(host, 1).json()["result"] == "retry"
    host.kill()
    again = HostProcess(folder)
    assert rows(folder, "SELECT * FROM sale") == []
    assert complete(again, 1).json()["result"] == "accepted"
    again.end()
    third = HostProcess(folder)
    assert len(told(folder, "sales", "--json")) == 1
    third.end()
