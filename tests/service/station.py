"""A rig whose terminal is the installed service in a container, and everything else is the rig's own (``tests/rig/station.py``)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from terminal.store.vault import KeyVault
from tests.behaviour.setup import Setup
from tests.rig import settings
from tests.rig.process import TerminalEnded, TerminalProcess
from tests.rig.station import Station
from tests.rig.world import RigWorld
from tests.service import installation
from tests.service.container import Container
from tests.service.installation import UNIT
from tests.service.tree import SERVICE_PACKAGES, root_tree

STATE_DIR = "/var/lib/forecourt-terminal"
RUNTIME_DIR = "/run/forecourt-terminal"
INPUTS = "/run/rig-inputs"
PRELOAD = "libumockdev-preload.so.0"
DEVICES = {"dart1": "pump-line-1", "pn532": "badge-reader-1", "display": "display-1"}
"""The forecourt's port, and its name under /dev/forecourt."""
CREDENTIALS = {
    "ca": "host-ca.crt",
    "client_cert": "tls.crt",
    "client_key": "tls.key",
    "token_key": "token.key",
    "pin_key": "pin.key",
    "card_key": "card.key",
    "list_key": "list.pub",
}
"""The forecourt's files, and the credentials that they become."""
FAST = "[Service]\nWatchdogSec=5\nTimeoutAbortSec=2\nRestartSec=100ms\n"
"""For tests that wait for the watchdog: the shipped unit waits 15 s, and one test does too."""


class Service(TerminalProcess):
    """The terminal as systemd runs it; the rig's handle for a process, by systemctl."""

    def __init__(self, container: Container, config: Path, log: Path) -> None:
        super().__init__(config, Path(RUNTIME_DIR), {}, log)
        self._container = container
        self._asked = False

    @property
    def powered(self) -> bool:
        """It was started and not stopped by us."""
        return self._asked

    def start(self, **more: str) -> None:
        """systemctl start; a unit that is enabled runs already."""
        self._asked = True
        if self._container.run("systemctl", "start", UNIT, check=False).returncode:
            raise TerminalEnded(f"the service did not start: {self.last_words()}")

    def stop(self, timeout_s: float = 60) -> int:
        """systemctl stop. Gives the exit code of the program."""
        self._asked = False
        self._container.run("systemctl", "stop", UNIT, timeout_s=timeout_s)
        return int(self.show("ExecMainStatus"))

    def kill(self) -> None:
        """SIGKILL to the program; that it comes again is systemd's doing."""
        self._container.run("systemctl", "kill", "--kill-whom=main", "--signal=SIGKILL", UNIT)

    def close(self) -> None:
        """It ends with its container."""
        self._asked = False

    def show(self, name: str) -> str:
        """A property of the unit."""
        return self._container.run("systemctl", "show", "--value", f"--property={name}", UNIT).stdout.strip()

    def main_pid(self) -> int:
        """The program's process number as this machine sees it; 0 when it does not run."""
        inner = self.show("MainPID")
        if inner == "0":
            return 0
        for found in Path("/proc").glob("[0-9]*/status"):
            try:
                text = found.read_text()
            except OSError:
                continue
            numbers = next((line.split()[1:] for line in text.splitlines() if line.startswith("NSpid:")), [])
            if len(numbers) > 1 and numbers[-1] == inner and self._is_ours(found.parent):
                return int(found.parent.name)
        return 0

    def _is_ours(self, process: Path) -> bool:
        try:
            return os.readlink(process / "ns/pid") == os.readlink(f"/proc/{self._container.leader}/ns/pid")
        except OSError:
            return False

    def check(self) -> None:
        """Raises TerminalEnded when systemd has given it up."""
        if self._asked and self.show("ActiveState") == "failed":
            raise TerminalEnded(f"the service failed: {self.last_words()}")

    def logged(self) -> str:
        """Everything that it wrote, and systemd about it."""
        return self._container.run("journalctl", "--no-pager", "--output=short-precise", f"--unit={UNIT}").stdout

    def status(self) -> dict[str, Any] | None:
        """What it says of itself now."""
        try:
            found: dict[str, Any] = json.loads(self._container.inside(f"{RUNTIME_DIR}/status.json").read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found if self._asked and str(found.get("pid")) == self.show("MainPID") else None

    def call(self, name: str, *more: str) -> subprocess.CompletedProcess[str]:
        """A command of the installed program, as root."""
        python = f"/{installation.HOME}/bin/python"
        return self._container.run(
            "env", "PYTHONDONTWRITEBYTECODE=1", python, "-m", "terminal", name, "--config", str(self.config), *more, check=False
        )


class ServiceStation(Station):
    """``drop_ins`` are laid beside the unit, ``boot`` False leaves the container unstarted."""

    container: Container | None = None
    binds: tuple[str, ...] = ()
    """More of systemd-nspawn's options."""

    def __init__(self, setup: Setup, *, start: bool = True, drop_ins: Mapping[str, str] | None = None, **scenario: Any) -> None:
        """Raises what ``Station`` does, NoTree and ContainerFailed."""
        self._drop_ins = dict(drop_ins or {})
        super().__init__(setup, start=start, **scenario)

    @property
    def box(self) -> Container:
        """The container."""
        if self.container is None:
            raise RuntimeError("the station is closed")
        return self.container

    @property
    def service(self) -> Service:
        """The service."""
        found = self.terminal
        if not isinstance(found, Service):
            raise RuntimeError("the station is closed")
        return found

    def _make_disk(self) -> None:
        self.container = Container(root_tree("service", SERVICE_PACKAGES), self.folder)
        self.state_dir = self.container.root / STATE_DIR.lstrip("/")

    def _configure(self, toml: Callable[[str], str]) -> TerminalProcess:
        ready, box = self.forecourt.ready, self.box
        host = ready["host"]
        self.vault = KeyVault.from_files(Path(host["token_key"]), Path(host["pin_key"]), Path(host["card_key"]))
        seen = ready | {
            "ports": {port: f"/dev/forecourt/{name}" for port, name in DEVICES.items()},
            "host": host | {field: f"credential:{name}" for field, name in CREDENTIALS.items()},
        }
        text = toml(settings.terminal_toml(self.setup, seen, self.vault, Path(STATE_DIR), Path(RUNTIME_DIR)))
        libraries = self.folder / "program"
        installation.lay_out(box.root, libraries)
        files = {name: Path(host[field]) for field, name in CREDENTIALS.items()}
        installation.make_users(box.root, box.alone, uuid.uuid4().hex)
        installation.configure(box.root, box.alone, text, files)
        self._lay_inputs(box.root)
        for name, content in self._drop_ins.items():
            folder = box.root / f"etc/systemd/system/{UNIT}.d"
            folder.mkdir(exist_ok=True)
            (folder / name).write_text(content)
        box.boot(
            [*installation.mounts(libraries), "--bind=/dev/pts:/dev/pts", f"--bind={ready['env']['UMOCKDEV_DIR']}:{INPUTS}", *self.binds]
        )
        return Service(box, Path("/etc/forecourt-terminal/terminal.toml"), self.folder / "terminal.log")

    def _lay_inputs(self, root: Path) -> None:
        """What udev does on a real machine: groups and names of the devices; the keypad's system calls are answered by a preload."""
        ready = self.forecourt.ready
        dialout, keys = (installation.group_id(root, name) for name in ("dialout", "input"))
        links = ["d /dev/forecourt 0755 root root -"]
        for port, name in DEVICES.items():
            terminal = os.readlink(ready["ports"][port])
            _hand_over(Path(terminal), dialout)
            links.append(f"L /dev/forecourt/{name} - - - - {terminal}")
        (root / "usr/lib/tmpfiles.d/rig.conf").write_text("\n".join(links) + "\n")
        inputs = Path(ready["env"]["UMOCKDEV_DIR"])
        for each in inputs.rglob("*"):
            if each.is_symlink() and os.readlink(each).startswith("/dev/pts/"):
                _hand_over(Path(os.readlink(each)), keys)
            elif not each.is_symlink():
                each.chmod(0o777)
        inputs.chmod(0o755)
        library = next(Path("/usr/lib").glob(f"*/{PRELOAD}"))
        shutil.copyfile(library, root / "usr/lib" / PRELOAD)
        self._drop_ins["rig.conf"] = f"[Service]\nEnvironment=LD_PRELOAD={PRELOAD} UMOCKDEV_DIR={INPUTS}\n"

    def close(self) -> None:
        """End everything. Safe to call twice."""
        if self.container is not None:
            self.container.close()
        super().close()


def _hand_over(terminal: Path, group: int) -> None:
    os.chown(terminal, -1, group)
    terminal.chmod(0o660)


class ServiceWorld(RigWorld):
    """The people of the rig in front of the service."""

    station_class: ClassVar[type[Station]] = ServiceStation
