"""The check of a program's log against what the product's own logging prints of bugs and of devices."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.rig.clean_log import unexpected

ROOT = Path(__file__).resolve().parents[2]
BEGIN = "import threading, time\nfrom terminal.runtime import logs\nlogs.start()\n"
IN_A_WORKER = """
from terminal.host.workers import HostWorker
class Client:
    def close(self): pass
worker = HostWorker("host-upload", Client(), lambda event: None)
worker.start()
worker.submit(lambda: {}["bug"], "otherwise")
time.sleep(0.3)
worker.stop()
"""
IN_A_DEVICE = """
from drivers.device_thread import DeviceThread
class Device(DeviceThread):
    def serve(self): raise %s
device = Device("badge-1", lambda event: None, lambda: 0)
device.start()
time.sleep(0.3)
device.stop()
"""


def said(code: str) -> str:
    return subprocess.run([sys.executable, "-c", BEGIN + code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60).stderr


def test_a_death_is_seen() -> None:
    assert len(unexpected(said("raise KeyError('the core dies')"))) == 1
    assert len(unexpected(said("t = threading.Thread(target=lambda: {}['bug']); t.start(); t.join()"))) == 1


def test_a_bug_that_a_thread_outlives_is_seen() -> None:
    assert len(unexpected(said(IN_A_WORKER))) == 1
    assert len(unexpected(said(IN_A_DEVICE % "KeyError('bug')"))) == 1


def test_an_exception_that_is_logged_and_swallowed_is_seen() -> None:
    code = "import logging, sqlite3\ntry:\n    raise sqlite3.OperationalError('x')\nexcept sqlite3.Error:\n"
    assert len(unexpected(said(code + "    logging.exception('put aside')\n"))) == 1


def test_a_lost_device_is_none_and_neither_is_what_the_program_tells_of_its_work() -> None:
    log = said(IN_A_DEVICE % "ConnectionResetError('gone')")
    assert "badge-1 failed error=ConnectionResetError" in log
    log += 'INFO terminal event=SaleDelivered sale=OPT1-1-42\nWARNING terminal event=FaultRaised detail="InputFault: no keypad error"\n'
    assert unexpected(log) == []
