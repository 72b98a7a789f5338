"""The forecourt as a process of its own: real libraries on its ports, commands on its input."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import evdev
import nfc
import nfc.clf
import nfc.clf.pn532
import nfc.clf.transport
import pytest
import serial

from hal_sim.clock import utc_ms_of_local
from hal_sim.dispensers import dart_codec as codec
from hal_sim.keypad.layout import CODES, Layout
from tests.hal_sim.forecourt_kit import UID, Master, Rig, rig

__all__ = ["rig"]


def test_ready_line_says_everything_the_terminal_needs(rig: Rig) -> None:
    ready = rig.ready
    assert ready["ready"] is True
    for name in ("dart1", "pn532", "display"):
        assert Path(ready["ports"][name]).is_char_device()
    assert [(each["fp"], each["address"]) for each in ready["fuelling_points"]] == [(1, 0x50), (2, 0x51)]
    assert ready["keypad"] == {"path": "/dev/input/event5", "phys": "usb-0000:00:1a.0-1/input0"}
    assert set(ready["env"]) == {"LD_PRELOAD", "UMOCKDEV_DIR", "FORECOURT_WALL_CLOCK"}
    for name in ("ca", "client_cert", "client_key", "token_key", "pin_key", "card_key", "list_key"):
        assert Path(ready["host"][name]).is_file()


def test_a_fill_over_the_real_serial_line(rig: Rig) -> None:
    with Master(rig.ready["ports"]["dart1"]) as master:
        assert rig.do("lift", fp=2, nozzle=2) == {"ok": True}
        assert len(master.poll(0x51)) > 3
        authorize = codec.transaction(0x01, b"\x06")
        preset = codec.transaction(0x03, codec.to_bcd(1500, 4))  # 15.00 l
        assert master.tell(0x51, codec.transaction(0x02, b"\x02"), preset, authorize)[1] & 0xF0 == codec.ACK
        assert rig.pump(2) | {"fill_ml": 0, "fill_minor": 0} == {
            "fp": 2,
            "state": "authorized",
            "valve": "open",
            "nozzle": 2,
            "delivering": False,
            "fill_ml": 0,
            "fill_minor": 0,
            "totals_ml": {"1": 0, "2": 0},
            "preset": {"volume_ml": 15_000, "amount_minor": None},
            "allowed": [2],
            "prices": {"1": 17290, "2": 18900},
            "connected": True,
            "powered": True,
        }
        rig.do("squeeze", fp=2, volume_ml=50_000)
        assert rig.do("wait_flow", fp=2, volume_ml=100)["ok"] is True
        assert rig.do("quiet") == {"quiet": False}
        assert rig.do("wait_flow", fp=2, volume_ml=15_000)["pump"]["fill_ml"] == 15_000
        assert rig.pump(2)["state"] == "limit reached"
        rig.do("hang_up", fp=2)
        assert rig.pump(2)["totals_ml"] == {"1": 0, "2": 15_000}
        books = rig.do("host_books")
        assert books["agree"] is False  # the terminal under test has reported nothing yet
        assert [row["pump_ml"] for row in books["books"]] == [0, 0, 15_000]
        rig.do("line", fp=2, connected=False)
        assert master.poll(0x51) == b""
        rig.do("line", fp=2, connected=True)
        assert master.poll(0x51) != b""


def test_noise_makes_bad_frames_and_ends(rig: Rig) -> None:
    with Master(rig.ready["ports"]["dart1"]) as master:
        rig.do("noise", fp=1, on=True, ppm=1_000_000)
        answers = [master.exchange(bytes([0x50, codec.POLL, codec.SF])) for _ in range(4)]
        assert sum(answer != bytes([0x50, 0x70, codec.SF]) for answer in answers) >= 3  # two flips may undo each other
        rig.do("noise", fp=1, on=False)
        for _ in range(5):
            answer = master.poll(0x50)
        assert answer == bytes([0x50, 0x70, codec.SF])


def test_a_badge_through_nfcpy(rig: Rig) -> None:
    path = rig.ready["ports"]["pn532"]
    device = nfc.clf.pn532.init(nfc.clf.transport.TTY(path))
    device._path = path
    frontend = nfc.ContactlessFrontend()
    frontend.device = device
    try:
        assert frontend.sense(nfc.clf.RemoteTarget("106A")) is None
        assert rig.do("present", number=UID, stays=True) == {"ok": True, "held": 1}
        target = frontend.sense(nfc.clf.RemoteTarget("106A"))
        assert target.sdd_res == bytes.fromhex(UID)
        assert rig.do("remove") == {"ok": True, "removed": 1}
        assert frontend.sense(nfc.clf.RemoteTarget("106A")) is None
        for kind in ("auto", "type 4"):
            rig.do("present", number="FLEET 0007", tag=kind, stays=True)
            tag = nfc.tag.activate(frontend, frontend.sense(nfc.clf.RemoteTarget("106A")))
            assert tag.ndef.records[0].text == "FLEET 0007"
            rig.do("remove")
        rig.do("present", number=UID, hold_ms=60)
        assert rig.do("wait_quiet", timeout_ms=3000)["ok"] is True
        assert frontend.sense(nfc.clf.RemoteTarget("106A")) is None
    finally:
        frontend.close()


def test_the_display_shows_what_is_written(rig: Rig) -> None:
    with serial.Serial(rig.ready["ports"]["display"], 19200) as port:
        port.write(b"\xfe\x44\xfe\x58\xfe\x47\x01\x02" + "Présentez la carte".encode("iso-8859-1"))
        seen = rig.do("wait_display", contains="Présentez la carte")
    assert seen["lines"][1] == "Présentez la carte  "
    assert seen["faults"] == []
    assert rig.do("wait_display", contains="never shown", timeout_ms=30)["error"] == "that text on the display did not happen in time"


EVDEV_READER = """
import evdev, sys, time
found = [evdev.InputDevice(path) for path in evdev.list_devices()]
device = [each for each in found if each.phys == sys.argv[1]][0]
device.grab()
print(device.name, flush=True)
names = []
for event in device.read_loop():
    if event.type == evdev.ecodes.EV_KEY and event.value == 1:
        names.append(evdev.ecodes.KEY[event.code])
    if len(names) == int(sys.argv[2]):
        break
print(names, time.time(), flush=True)
"""


def test_keys_through_evdev_in_a_process_with_the_rig_s_environment(rig: Rig) -> None:
    reader = subprocess.Popen(
        [sys.executable, "-c", EVDEV_READER, rig.ready["keypad"]["phys"], "4"],
        env=dict(os.environ) | rig.ready["env"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == "KEYPAD ACME PIN16\n"
    assert rig.do("keys", keys=["7", "clear", "cancel", "enter"]) == {"ok": True, "pressed": 4}
    names, wall = reader.stdout.readline().rsplit(" ", 1)
    assert reader.wait(10) == 0
    reader.stdout.close()
    assert names == "['KEY_7', 'KEY_BACKSPACE', 'KEY_ESC', 'KEY_ENTER']"
    started = utc_ms_of_local("2026-03-28T23:50:00", "Europe/Paris") / 1000
    assert 0 <= float(wall) - started < 600  # the wall clock of the scenario, with umockdev beside it


@pytest.mark.parametrize(("layout", "prefix"), [(Layout.MAIN, "KEY_"), (Layout.NUMBER_BLOCK, "KEY_KP")])
def test_key_codes_are_those_of_the_kernel(layout: Layout, prefix: str) -> None:
    wanted = {key: prefix + key.upper() for key in (*"0123456789", "enter")} | {"clear": "KEY_BACKSPACE", "cancel": "KEY_ESC"}
    assert {key: evdev.ecodes.ecodes[name] for key, name in wanted.items()} == CODES[layout]


def test_keys_that_nobody_reads_do_not_stop_the_pumps(rig: Rig) -> None:
    answers = [rig.do("keys", keys=["1"] * 100) for _ in range(6)]
    assert answers[-1] == {"error": "keys: nobody reads the keypad"}
    assert rig.do("quiet") == {"quiet": True}


def host_time(ready: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    host = ready["host"]
    context = ssl.create_default_context(cafile=host["ca"])
    context.load_cert_chain(host["client_cert"], host["client_key"])
    address = urlsplit(host["url"])
    connection = http.client.HTTPSConnection(str(address.hostname), address.port, context=context, timeout=60)
    try:
        connection.request("GET", "/v1/time")
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_the_host_answers_fails_and_comes_back(rig: Rig) -> None:
    status, answer = host_time(rig.ready)
    assert status == 200
    assert answer["time"].startswith("2026-03-28T22:5")
    assert rig.do("host", status_500=True)["ok"] is True
    assert host_time(rig.ready)[0] == 500
    assert rig.do("host", status_500=False, reachable=False)["reachable"] is False
    with pytest.raises(OSError):  # noqa: PT011 - refused or cut, as the system words it
        host_time(rig.ready)
    assert rig.do("host", restore=True)["reachable"] is True
    assert host_time(rig.ready)[0] == 200
    version = rig.do("host")["list_version"]
    assert rig.do("block", card=UID)["list_version"] == version + 1
    assert rig.do("unblock", card=UID, publish=False)["list_version"] == version + 1
    assert rig.do("block", card=UID, customer="C1") == {"error": "exactly one of card, customer and numbers is to be given"}
    assert rig.do("host")["sales"] == []


def test_both_clocks_move_together_or_apart(rig: Rig) -> None:
    offset_file = Path(rig.ready["env"]["FORECOURT_WALL_CLOCK"])

    def offset() -> int:
        return int.from_bytes(offset_file.read_bytes(), sys.byteorder, signed=True)

    before = offset()
    rig.do("wall_clock", offset_ns=-7_000_000_000)
    assert offset() == before - 7_000_000_000
    rig.do("pass_time", ms=600_000)
    assert offset() == before + 593_000_000_000
    assert host_time(rig.ready)[1]["time"].startswith("2026-03-28T23:0")
    rig.do("wall_clock", offset_ns=0)
    assert offset() == before + 600_000_000_000
