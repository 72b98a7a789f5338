"""The service files, judged by systemd's own tools without a running systemd (systemd/README.md)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).resolve().parent.parent / "systemd"
UNIT = SYSTEMD / "forecourt-terminal.service"
REBOOT = SYSTEMD / "forecourt-terminal-reboot.service"
AGAIN = SYSTEMD / "forecourt-terminal-again.timer"
MISSED = SYSTEMD / "forecourt-terminal-reboot.timer"
EXPOSURE_MAX_TENTHS = 15


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def complaints(unit: Path) -> list[str]:
    """What `verify` says, but for the program that is not installed here. An unknown key is only said, never an exit code."""
    said = run("systemd-analyze", "verify", "--man=no", str(unit))
    absent = ("/opt/forecourt-terminal/bin/python is not executable", "/usr/lib/forecourt-terminal/reboot-due is not executable")
    return [line for line in (said.stdout + said.stderr).splitlines() if not any(one in line for one in absent)]


@pytest.mark.parametrize("unit", [UNIT, REBOOT, AGAIN, MISSED], ids=lambda unit: unit.name)
def test_the_unit_is_understood(unit: Path) -> None:
    assert complaints(unit) == []


def seconds(unit: Path, key: str) -> int:
    """A time of a unit's file."""
    (value,) = [line.partition("=")[2] for line in unit.read_text().splitlines() if line.startswith(f"{key}=")]
    return int(value.removesuffix("min")) * 60


def test_one_that_has_failed_is_tried_again_behind_its_start_limit() -> None:
    """Sooner, systemd would refuse the start, and with it every later one of the timer."""
    assert seconds(AGAIN, "OnUnitInactiveSec") > seconds(UNIT, "StartLimitIntervalSec")
    assert f"OnFailure={REBOOT.name}" in UNIT.read_text()
    assert f"Wants={AGAIN.name} {MISSED.name}" in UNIT.read_text()


def test_a_child_that_is_ended_for_want_of_memory_does_not_end_the_service() -> None:
    """Imports and backups tell the kernel to end them first (tests/store/test_background.py)."""
    lines = UNIT.read_text().splitlines()
    assert "OOMPolicy=continue" in lines
    assert any(line.startswith("MemoryMax=") for line in lines)


def test_the_check_before_a_new_start_of_the_machine_can_be_run() -> None:
    assert os.access(SYSTEMD / "forecourt-terminal-reboot-due", os.X_OK)
    assert run("sh", "-n", str(SYSTEMD / "forecourt-terminal-reboot-due")).returncode == 0


def test_a_misspelt_key_would_be_seen(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("WatchdogSec=", "WatchdogSecs="))
    assert any("WatchdogSecs" in line for line in complaints(unit))


@pytest.mark.parametrize("unit", [UNIT, REBOOT], ids=lambda unit: unit.name)
def test_the_service_is_fenced_in(unit: Path) -> None:
    judged = run("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX_TENTHS}", "--no-pager", str(unit))
    assert judged.returncode == 0, judged.stdout[-200:]


def test_user_and_groups_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    made = run("systemd-sysusers", f"--root={tmp_path}", str(SYSTEMD / "forecourt-terminal.sysusers"))
    assert made.returncode == 0, made.stderr
    groups = dict(line.split(":")[0::3] for line in (tmp_path / "etc/group").read_text().splitlines())
    assert groups["dialout"] == groups["input"] == "forecourt-terminal"
    assert "/var/lib/forecourt-terminal" in (tmp_path / "etc/passwd").read_text()


def test_rules_are_one_name_per_socket() -> None:
    """Each rule that names a device asks for its socket, so that a device plugged in elsewhere is never taken for it."""
    naming = [line for line in (SYSTEMD / "70-forecourt-terminal.rules").read_text().splitlines() if "SYMLINK+=" in line]
    assert naming
    assert all('ENV{ID_PATH}=="' in line or 'KERNEL=="ttyAMA0"' in line for line in naming)
    assert len({line.split('SYMLINK+="')[1].split('"')[0] for line in naming}) == len(naming)
