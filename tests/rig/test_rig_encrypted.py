"""The real program with an encrypted ledger, its key a credential: killed in mid-fuelling, backed up, converted, and its disk searched."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.told import books_differ
from tests.ledger_kinds import CREDENTIAL, KEY, kept
from tests.rig.process import ROOT, TerminalProcess, wait_for
from tests.rig.test_rig_program import BADGE, SETUP
from tests.rig.world import RigWorld

WORDS = (b"SaleDelivered", b'"sale"', b"volume_ml", b"TerminalStarted", b"CREATE TABLE", b"SQLite format 3")


@pytest.fixture
def world() -> Iterator[RigWorld]:
    with kept(encrypted=True):
        made = RigWorld(SETUP)
        try:
            yield made
        finally:
            made.close()


def search(folder: Path) -> dict[str, list[bytes]]:
    """Every file of the ledger here, and what can be read in it."""
    files = [path for path in folder.rglob("ledger*") if path.is_file()]
    return {str(path.relative_to(folder)): [word for word in WORDS if word in path.read_bytes()] for path in files}


def test_a_fuelling_on_an_encrypted_ledger(world: RigWorld) -> None:
    state_dir = world._station.state_dir
    backup = state_dir / "backup" / "ledger-backup.db"
    world.present_badge(BADGE)
    assert world.wait(lambda: world.asked() == "FUELLING POINT", 30_000), world.screens()[-3:]
    world.choose(2)
    world.lift(2, 1)
    assert world.wait(lambda: world.release(2) is not None, 45_000), world.screens()[-3:]
    world.flow(2, 5_000)
    world._station.terminal.kill()
    found = search(state_dir)
    assert {"ledger.db", "ledger.db-wal"} <= found.keys()
    world.return_power()
    world.flow(2, 7_500)
    world.hang_up(2)
    assert world.wait(lambda: not books_differ(world.books(), SETUP) and world.host_sales() == 1, 90_000)
    (sale,) = world.ledger_sales()
    assert sale.volume_ml == 12_500
    assert wait_for(backup.exists, 120), world._station.terminal.last_words()
    assert world.stop_program() == 0
    found |= search(state_dir)
    assert "backup/ledger-backup.db" in found
    assert not any(found.values()), found
    assert KEY.content().hex() not in world.log()
    _commands(world, state_dir)


def _commands(world: RigWorld, state_dir: Path) -> None:
    """What a person does with it: looks at it, at a backup, decrypts it, and is refused a start until the configuration says so."""
    terminal = world._station.terminal
    verified = json.loads(terminal.call("verify", "--json").stdout)
    assert verified["sound"]
    copy = world._station.folder / "copy.db"
    shutil.copyfile(state_dir / "backup" / "ledger-backup.db", copy)
    key = world._station.folder / "credentials" / CREDENTIAL
    assert json.loads(terminal.call("verify", "--ledger", str(copy), "--key", str(key), "--json").stdout)["sound"]
    clear = terminal.call("verify", "--ledger", str(copy), "--key", "/dev/null")
    assert clear.returncode == 2
    assert "Traceback" not in clear.stderr
    assert _converted(terminal, key, "decrypt")["head"] == verified["head"]
    assert (state_dir / "ledger.db").read_bytes().startswith(b"SQLite format 3\0")
    refused = terminal.call("run")
    assert refused.returncode == 2
    assert "not encrypted, and [storage] encrypted = true" in refused.stderr
    assert _converted(terminal, key, "encrypt")["head"] == verified["head"]
    world.return_power()
    assert [sale.volume_ml for sale in world.ledger_sales()] == [12_500]


def _converted(terminal: TerminalProcess, key: Path, way: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "terminal", "ledger", way, "--config", str(terminal.config), "--key", str(key), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
