"""The chip card reader's thread on real pyscard and a real pcscd, whose reader is virtual.

pcscd belongs to the forecourt's process (it needs root, Debian's pcscd and vsmartcard-vpcd); the thread runs in a child with its
environment, because a process stays with the first PC/SC service that it has met.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hal_sim.smartcard.pcscd import DRIVER
from tests.hal_sim.forecourt_kit import SCENARIO, Rig

ROOT = Path(__file__).resolve().parents[2]
NUMBER, OTHER = "7001231234567890123", "7001231234567890456"
BARE: dict[str, Any] = {"badge": None, "display": None, "host": None, "keypad": None, "card_reader": {}}
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("pcscd") is None or not DRIVER.exists(), reason="pcscd, vsmartcard-vpcd and root are needed"
)

CHILD = """
import json, os, queue, sys, threading, time
from drivers.smartcard.certificate import FleetAuthority
from drivers.smartcard.fleet import ChipKey
from drivers.smartcard.reader import CardReader
ready, pattern, proof = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3] == "proof"
inbox = queue.SimpleQueue()
key = ChipKey(bytes.fromhex(open(ready["card_reader"]["key"]).read()), ready["card_reader"]["version"]) if proof else None
authority = FleetAuthority(open(ready["card_reader"]["authority"], "rb").read()) if proof else None
clock, utc = (lambda: time.monotonic_ns() // 1_000_000), (lambda: time.time_ns() // 1_000_000)
reader = CardReader("card-1", 1, pattern, inbox.put, clock, key, authority, utc)
reader.start()
threading.Thread(target=lambda: ([inbox.put(line) for line in sys.stdin], inbox.put(None)), daemon=True).start()
while (event := inbox.get()) is not None:
    if isinstance(event, str):
        print("open files", len(os.listdir("/proc/self/fd")), flush=True)
        continue
    fields = [getattr(event, name) for name in ("device", "reason", "why", "number", "expiry") if getattr(event, name, None)]
    fields += [event.trust.value] if hasattr(event, "trust") else ["forged"] if getattr(event, "forged", False) else []
    print(type(event).__name__, *fields, sep="|", flush=True)
began = time.monotonic()
print("stopped", reader.stop(), time.monotonic() - began < 10, flush=True)
"""


class Child:
    """The reader's thread in a process of its own; ``line`` is the next thing that it told."""

    def __init__(self, ready: dict[str, Any], pattern: str = "Virtual PCD * 00", *, proof: bool = True) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, json.dumps(ready), pattern, "proof" if proof else "belief"],
            cwd=ROOT,
            env=os.environ | ready["env"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.strip())

    def line(self, timeout_s: float = 10) -> str:
        return self._lines.get(timeout=timeout_s)

    def silent(self, for_s: float) -> bool:
        time.sleep(for_s)
        return self._lines.empty()

    def open_files(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.write("count\n")
        self.process.stdin.flush()
        return int(self.line().split()[-1])

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.line() == "stopped True True"
        assert self.process.wait(10) == 0
        assert self.process.stderr is not None
        self.errors = self.process.stderr.read()
        assert NUMBER not in self.errors


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    made = Rig(tmp_path_factory.mktemp("cards"), SCENARIO | BARE)
    yield made
    assert made.close() == (0, "")


@pytest.fixture
def child(rig: Rig) -> Iterator[Child]:
    made = Child(rig.ready)
    assert made.line() == "DeviceUp|card-1"
    yield made
    rig.do("take_out")
    if made.process.returncode is None:
        made.close()
    time.sleep(0.6)  # the next test's reader starts with an empty slot


def out(rig: Rig, child: Child) -> None:
    assert rig.do("take_out")["taken"]
    assert child.line() == "MediumRemoved"


HABITS: list[dict[str, Any]] = [
    {},
    {"get_response": True, "exact_length": True},
    {"protocol": "T=0"},
    {"protocol": "T=0", "exact_length": True},
    {"slow_ms": 600},
]


def test_cards_come_and_go(rig: Rig, child: Child) -> None:
    """Both protocols and every habit; each is told once, and out once."""
    for habits in HABITS:
        assert rig.do("insert", number=NUMBER, **habits)["ok"]
        assert child.line() == f"MediumPresented|{NUMBER}|2912|T2"
        assert child.silent(0.2)
        out(rig, child)


def test_without_a_key_a_card_is_believed(rig: Rig) -> None:
    believing = Child(rig.ready, "Virtual PCD 00 00", proof=False)
    assert believing.line() == "DeviceUp|card-1"
    assert rig.do("insert", number=NUMBER, make="copy")["ok"]
    assert believing.line() == f"MediumPresented|{NUMBER}|2912|T0"
    out(rig, believing)
    believing.close()
    time.sleep(0.6)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        ("copy", "gives a wrong proof|forged"),
        ("no proof", "gives no proof|forged"),
        ("foreign", "no card of this fleet"),
        ("bank", "no card of this fleet"),
    ],
)
def test_other_cards(rig: Rig, child: Child, make: str, said: str) -> None:
    assert rig.do("insert", number=NUMBER, make=make)["ok"]
    assert child.line() == f"MediumUnreadable|{said}"
    heard = rig.do("card_reader")["heard"]
    if make == "bank":
        assert heard == ["00A4040007F0464C4545540100"]
    assert not any(command[2:4] == "20" for command in heard), "a PIN was sent"
    assert rig.do("take_out")["taken"]
    assert child.silent(0.6), "what was not presented does not leave"


@pytest.mark.parametrize("protocol", ["T=1", "T=0"])
def test_a_card_with_a_certificate(rig: Rig, child: Child, protocol: str) -> None:
    assert rig.do("insert", number=NUMBER, make="certificate", protocol=protocol)["ok"]
    assert child.line() == f"MediumPresented|{NUMBER}|2912|T3"
    out(rig, child)
    time.sleep(0.6)
    assert rig.do("insert", number=NUMBER, make="certificate copy", protocol=protocol)["ok"]
    assert child.line() == "MediumUnreadable|gives a wrong proof|forged"


@pytest.mark.parametrize(("protocol", "exchange"), [("T=1", at) for at in range(1, 6)] + [("T=0", at) for at in range(1, 8)])
def test_torn_at_every_exchange_of_a_certificate(rig: Rig, child: Child, protocol: str, exchange: int) -> None:
    """SELECT, EF.ID, both pieces of the certificate, the proof, and what T=0 has between them."""
    assert rig.do("insert", number=NUMBER, make="certificate", protocol=protocol, tear_at=exchange)["ok"]
    assert child.line() == "MediumUnreadable|taken out too early"
    assert rig.do("insert", number=OTHER, make="certificate", protocol=protocol)["ok"]
    assert child.line() == f"MediumPresented|{OTHER}|2912|T3"
    out(rig, child)


@pytest.mark.parametrize(
    ("protocol", "exchange"), [("T=1", 1), ("T=1", 2), ("T=1", 3), ("T=0", 1), ("T=0", 2), ("T=0", 3), ("T=0", 4), ("T=0", 5)]
)
def test_torn_at_every_exchange(rig: Rig, child: Child, protocol: str, exchange: int) -> None:
    """It is told once and soon, and the next card works."""
    began = time.monotonic()
    assert rig.do("insert", number=NUMBER, protocol=protocol, tear_at=exchange)["ok"]
    assert child.line() == "MediumUnreadable|taken out too early"
    assert time.monotonic() - began < 10
    assert not rig.do("card_reader")["card"]
    assert rig.do("insert", number=OTHER)["ok"]
    assert child.line() == f"MediumPresented|{OTHER}|2912|T2"
    out(rig, child)


@pytest.mark.parametrize("exchange", [1, 2, 3])
def test_lost_contacts_for_a_moment(rig: Rig, child: Child, exchange: int) -> None:
    """A card that bounces, or another one that comes at once, is read all the same: the PC/SC service has not noticed."""
    assert rig.do("insert", number=NUMBER, tear_at=exchange)["ok"]
    while rig.do("card_reader")["card"]:
        time.sleep(0.005)
    assert rig.do("insert", number=OTHER)["ok"]
    said = child.line()
    if said == "MediumUnreadable|taken out too early":  # its next look fell into the moment
        said = child.line()
    assert said == f"MediumPresented|{OTHER}|2912|T2"
    out(rig, child)


def test_a_card_that_falls_silent(rig: Rig, child: Child) -> None:
    """It is given up in time; pulled out, the next one works, also one that comes at once."""
    for pause_s in (1.0, 0.0):
        began = time.monotonic()
        assert rig.do("insert", number=NUMBER, mute_at=2)["ok"]
        assert child.line() == "MediumUnreadable|takes too long"
        assert time.monotonic() - began < 10
        assert rig.do("take_out")["taken"]
        time.sleep(pause_s)
        assert rig.do("insert", number=OTHER)["ok"]
        assert child.line() == f"MediumPresented|{OTHER}|2912|T2"
        out(rig, child)
        time.sleep(0.6)


def test_a_card_that_is_slow_at_every_step_is_given_up(rig: Rig, child: Child) -> None:
    assert rig.do("insert", number=NUMBER, slow_ms=1_900, protocol="T=0")["ok"]
    assert child.line() == "MediumUnreadable|takes too long"


def test_stopped_while_a_card_is_silent(rig: Rig, child: Child) -> None:
    """The end does not wait for the card to be taken out."""
    assert rig.do("insert", number=NUMBER, mute_at=1)["ok"]
    time.sleep(0.8)
    assert child.silent(0.1)
    child.close()


def test_the_service_stops_and_returns(rig: Rig, child: Child) -> None:
    """As often as it likes, with and without a card in; nothing leaks."""
    files = 0
    for again in range(4):
        with_card = again % 2 == 1
        if with_card:
            assert rig.do("insert", number=NUMBER)["ok"]
            assert child.line() == f"MediumPresented|{NUMBER}|2912|T2"
        assert rig.do("pcscd", running=False) == {"ok": True, "running": False}
        if with_card:
            assert child.line() == "MediumRemoved"
        assert child.line().startswith("DeviceDown|card-1|CardReaderFault: ")
        assert child.silent(0.5), "said once"
        assert rig.do("pcscd", running=True) == {"ok": True, "running": True}
        assert child.line() == "DeviceUp|card-1"
        if with_card:
            assert child.line() == f"MediumPresented|{NUMBER}|2912|T2"
            out(rig, child)
            time.sleep(0.6)
        now = child.open_files()
        files = files or now
        assert now <= files
    assert rig.do("insert", number=OTHER, protocol="T=0")["ok"]
    assert child.line() == f"MediumPresented|{OTHER}|2912|T2"
    out(rig, child)


def test_the_service_stops_in_mid_card(rig: Rig, child: Child) -> None:
    assert rig.do("insert", number=NUMBER, slow_ms=1_000)["ok"]
    while not rig.do("card_reader")["heard"]:
        time.sleep(0.01)
    assert rig.do("pcscd", running=False)["ok"]
    said = [child.line()]
    while not said[-1].startswith("DeviceDown|card-1|"):
        said.append(child.line())
    assert said[:-1] in ([], ["MediumUnreadable|taken out too early"])
    assert rig.do("take_out")["taken"]
    assert rig.do("pcscd", running=True)["ok"]
    assert child.line() == "DeviceUp|card-1"
    assert rig.do("insert", number=OTHER)["ok"]
    assert child.line() == f"MediumPresented|{OTHER}|2912|T2"
    out(rig, child)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("ACME *", "no readers fit 'ACME *'; there are: Virtual PCD 00 00, Virtual PCD 00 01"),
        ("Virtual*", "2 readers fit 'Virtual*'; there are: Virtual PCD 00 00, Virtual PCD 00 01"),
    ],
)
def test_a_reader_is_named_beyond_doubt(rig: Rig, pattern: str, said: str) -> None:
    lost = Child(rig.ready, pattern)
    assert lost.line() == f"DeviceDown|card-1|CardReaderFault: {said}"
    assert lost.silent(0.8)
    lost.close()


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    """The service ends with the forecourt, also when that is killed."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        folder = tmp_path / how.name
        folder.mkdir()
        killed = Rig(folder, SCENARIO | BARE)
        mine = services(folder)
        assert len(mine) == 1
        killed.process.send_signal(how)
        killed.process.wait(10)
        end = time.monotonic() + 5
        while services(folder) and time.monotonic() < end:
            time.sleep(0.02)
        assert services(folder) == []
        killed.close()


def services(folder: Path) -> list[int]:
    """Every pcscd that was started in this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if b"pcscd" in command and os.fsencode(folder) in command:
            found.append(int(process.name))
    return found
