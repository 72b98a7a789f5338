"""The service files, judged by systemd's own tools without a running systemd (systemd/README.md)."""

from __future__ import annotations

import subprocess
from pathlib import Path

SYSTEMD = Path(__file__).resolve().parent.parent / "systemd"
UNIT = SYSTEMD / "forecourt-terminal.service"
EXPOSURE_MAX_TENTHS = 15


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def complaints(unit: Path) -> list[str]:
    """What `verify` says, but for the program that is not installed here. An unknown key is only said, never an exit code."""
    said = run("systemd-analyze", "verify", "--man=no", str(unit))
    return [line for line in (said.stdout + said.stderr).splitlines() if "/opt/forecourt-terminal/bin/python is not executable" not in line]


def test_the_unit_is_understood() -> None:
    assert complaints(UNIT) == []


def test_a_misspelt_key_would_be_seen(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("WatchdogSec=", "WatchdogSecs="))
    assert any("WatchdogSecs" in line for line in complaints(unit))


def test_the_service_is_fenced_in() -> None:
    judged = run("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX_TENTHS}", "--no-pager", str(UNIT))
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
