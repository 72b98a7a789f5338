"""One rig: a temporary folder, the forecourt's process, the terminal's process, and the disk that the ledger lies on.

Everything of a station has names of its own, so several may run at once. As root the ledger lies on a small disk of its own (tmpfs), so
that it can be filled; else ``fill_disk`` is refused.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from terminal.store.vault import KeyVault
from tests.behaviour.setup import Setup
from tests.ledger_kinds import configured
from tests.rig import settings
from tests.rig.forecourt_client import ForecourtClient
from tests.rig.process import TerminalProcess

READY_S = 120.0
DISK_MIB = 24
STATE = "state"
KEPT = "kept"
KEEP = "RIG_KEEP"
"""With this environment variable the folder with configuration, logs and ledger stays, for reading after a failure."""


class NotReady(AssertionError):
    """The terminal did not become ready in time; the text says what it said of itself."""


class Station:
    """Built and started by ``__init__``; ``close`` ends everything, whatever happened."""

    def __init__(self, setup: Setup, *, start: bool = True, toml: Callable[[str], str] = lambda text: text, **scenario: Any) -> None:
        """``toml`` may change the configuration, ``scenario`` the forecourt. Raises NotBuilt, ForecourtFailed, NotReady, TerminalEnded."""
        self.setup = setup
        _sweep()
        self.folder = Path(tempfile.mkdtemp(prefix=f"rig-{os.getpid()}-"))
        self.state_dir = self.folder / STATE
        self._mounted = False
        self._ballast = self.state_dir / "ballast"
        self._forecourt: ForecourtClient | None = None
        self._terminal: TerminalProcess | None = None
        try:
            self._forecourt = ForecourtClient(settings.forecourt_scenario(setup, **scenario), self.folder)
            self._epoch = (self._utc_ms(settings.local_time(setup)), time.monotonic())
            self._make_disk()
            self._terminal = self._configure(toml)
            if start:
                self.power_on()
        except BaseException:
            self.close()
            raise

    def _configure(self, toml: Callable[[str], str]) -> TerminalProcess:
        ready = self.forecourt.ready
        host = ready["host"]
        self.vault = KeyVault.from_files(Path(host["token_key"]), Path(host["pin_key"]), Path(host["card_key"]))
        config = self.folder / "terminal.toml"
        runtime = self.folder / "run"
        text = settings.terminal_toml(self.setup, ready, self.vault, self.state_dir, runtime)
        text, environment = configured(text, self.folder / "credentials")
        config.write_text(toml(text), encoding="utf-8")
        process = TerminalProcess(config, runtime, ready["env"] | environment, self.folder / "terminal.log")
        if any(row.row.get("pin") == "online" for row in self.setup.ranges):
            loaded = process.call("load-pin-key", str(Path(host["pin_key"]).with_name("pin-initial.key")))
            if loaded.returncode:
                raise RuntimeError(f"the initial key for PINs was not taken: {loaded.stderr}")
        return process

    @property
    def forecourt(self) -> ForecourtClient:
        """The forecourt's process."""
        if self._forecourt is None:
            raise RuntimeError("the forecourt is closed")
        return self._forecourt

    @property
    def terminal(self) -> TerminalProcess:
        """The terminal's process."""
        if self._terminal is None:
            raise RuntimeError("the station is closed")
        return self._terminal

    # --- time -----------------------------------------------------------------------------------------------------------

    def _utc_ms(self, local: str) -> int:
        when = datetime.strptime(local, "%Y-%m-%d %H:%M:%S").replace(tzinfo=ZoneInfo(self.setup.zone))
        return round(when.timestamp() * 1000)

    def utc_ms(self) -> int:
        """The scenario's true time."""
        start, at = self._epoch
        return start + round((time.monotonic() - at) * 1000)

    def set_clock(self, local: str) -> None:
        """The operating system's clock, as the terminal sees it, shows this from now on."""
        self.forecourt.do("wall_clock", offset_ns=(self._utc_ms(local) - self.utc_ms()) * 1_000_000)

    # --- power ----------------------------------------------------------------------------------------------------------

    def power_on(self, **environment: str) -> None:
        """Start the terminal; return when it is ready for a driver or says why not. Raises NotReady, TerminalEnded."""
        looks, drawn = self._looks(), self._drawn()
        self.terminal.start(**environment)
        end = time.monotonic() + READY_S
        while not (self.ready() and self._looks() > looks and self._drawn() > drawn):
            if time.monotonic() > end:
                raise NotReady(f"not ready after {READY_S:.0f} s: {self.terminal.status()}; {self.terminal.last_words()}")
            self.terminal.check()
            time.sleep(0.03)

    def _looks(self) -> int:
        return int(self.forecourt.do("reader")["looks"])

    def _drawn(self) -> int:
        return int(self.forecourt.do("pictures", since=1_000_000)["drawn"])

    def ready(self) -> bool:
        """It serves, with lists, a trusted clock and every pump that it can reach; or it says that it cannot serve."""
        status = self.terminal.status()
        if status is None:
            return False
        if status["state"] != "serving":
            return True
        connected = {pump["fp"]: pump["connected"] for pump in self.forecourt.do("pumps")["pumps"]}
        points = all(point["available"] or point["sale"] or not connected[point["fp"]] for point in status["fuelling_points"])
        reader_up = all(fault["subject"] != "badge-1" for fault in status["faults"])
        return points and reader_up and bool(status["lists"]["version"]) and status["clock"] == "trusted"

    # --- the disk -------------------------------------------------------------------------------------------------------

    def _make_disk(self) -> None:
        self.state_dir.mkdir()
        if os.geteuid() == 0:
            options = f"size={DISK_MIB}m,mode=0700"
            done = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", options, "rig", str(self.state_dir)], capture_output=True, text=True, check=False
            )
            self._mounted = done.returncode == 0
            self._why_not = done.stderr.strip()
        else:
            self._why_not = "only root can mount it"

    def fill_disk(self, full: bool) -> None:
        """Take every free byte of the ledger's disk, or give them back. Raises NotBuilt without a disk of its own."""
        if not self._mounted:
            raise settings.NotBuilt(f"a full disk needs a disk of its own: {self._why_not}")
        if not full:
            self._ballast.unlink(missing_ok=True)
            return
        with self._ballast.open("ab", buffering=0) as ballast:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while ballast.write(bytes(size)) == size:
                        pass
                except OSError:
                    continue  # no room for so much; perhaps for less

    # --- the end --------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End both processes, take the disk away, remove the folder. Safe to call twice."""
        try:
            if self._terminal is not None:
                self._terminal.close()
        finally:
            try:
                if self._forecourt is not None:
                    self._forecourt.close()
            finally:
                self._remove()

    def _remove(self) -> None:
        keep = KEEP in os.environ
        if keep and self._mounted:
            shutil.copytree(self.state_dir, self.folder / "state-kept", dirs_exist_ok=True, ignore=shutil.ignore_patterns("ballast"))
        if keep:
            (self.folder / KEPT).touch()
            print(f"the rig's files stay in {self.folder}")
        _take_down(self.folder, self._mounted, keep=keep)
        self._mounted = False


def _take_down(folder: Path, mounted: bool, *, keep: bool = False) -> None:
    if mounted:
        subprocess.run(["umount", "-l", str(folder / STATE)], capture_output=True, check=False)
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep() -> None:
    """A play that was killed could not put anything away: take down what belongs to no process any more."""
    for folder in Path(tempfile.gettempdir()).glob("rig-*-*"):
        owner = folder.name.split("-")[1]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists() and not (folder / KEPT).exists():
            _take_down(folder, (folder / STATE).is_mount())
