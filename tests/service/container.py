"""systemd as process 1 of a container: systemd-nspawn over a throw-away layer on the tree; commands run in it through its namespaces."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.rig.process import _die_with_parent, wait_for

BOOT_S = 120.0
LAYER_MIB = 512


class ContainerFailed(AssertionError):
    """The container did not come up, or a command in it failed; the text says what it said."""


class Container:
    """One container. ``root`` is its file system as seen from here; /run in it is its own (``inside``)."""

    def __init__(self, tree: Path, folder: Path) -> None:
        """Lay a writable layer over the tree. ``folder`` is the caller's."""
        self.root = folder / "root"
        self._layer = folder / "layer"
        self._log = folder / "container.log"
        self._nspawn: subprocess.Popen[bytes] | None = None
        self.leader = 0
        for each in (self.root, self._layer):
            each.mkdir()
        _run("mount", "-t", "tmpfs", "-o", f"size={LAYER_MIB}m,mode=0755", "layer", str(self._layer))
        for name in ("upper", "work"):
            (self._layer / name).mkdir()
        options = f"lowerdir={tree},upperdir={self._layer / 'upper'},workdir={self._layer / 'work'}"
        _run("mount", "-t", "overlay", "overlay", "-o", options, str(self.root))

    def alone(self, *command: str, given: str | None = None) -> str:
        """Run a command in the file system that is not booted yet; what it printed. Raises ContainerFailed."""
        return _run("systemd-nspawn", "-q", "-D", str(self.root), "--register=no", "--keep-unit", "--pipe", *command, given=given)

    def boot(self, options: Sequence[str] = ()) -> None:
        """Start it; return when its systemd has started everything. Raises ContainerFailed."""
        command = [
            "systemd-nspawn",
            "-q",
            "-D",
            str(self.root),
            "-b",
            "--register=no",
            "--keep-unit",
            "--console=pipe",
            "--link-journal=no",
        ]
        with self._log.open("wb") as log:
            self._nspawn = subprocess.Popen(
                [*command, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - nothing here runs threads
            )
        if not wait_for(self._has_booted, BOOT_S):
            raise ContainerFailed(f"systemd did not come up: {self._log.read_text(errors='replace')[-2000:]}")

    def _has_booted(self) -> bool:
        if self._nspawn is None or self._nspawn.poll() is not None:
            raise ContainerFailed(f"systemd-nspawn ended: {self._log.read_text(errors='replace')[-2000:]}")
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
        for child in children:
            with contextlib.suppress(OSError):
                if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                    self.leader = int(child)
                    return self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded", "starting")
        return False

    def run(self, *command: str, check: bool = True, timeout_s: float = 180.0) -> subprocess.CompletedProcess[str]:
        """Run a command in it. Raises ContainerFailed when it fails and ``check``."""
        enter = ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-p", "-C"]
        done = subprocess.run([*enter, *command], capture_output=True, text=True, check=False, timeout=timeout_s)
        if check and done.returncode:
            raise ContainerFailed(f"{' '.join(command)}: {done.returncode}: {done.stderr.strip()} {done.stdout.strip()[-500:]}")
        return done

    def shell(self, script: str) -> str:
        """Run a shell line in it; what it printed."""
        return self.run("sh", "-c", script).stdout

    def inside(self, path: str) -> Path:
        """A path of it as its own processes see it, /run and /dev included."""
        return Path(f"/proc/{self.leader}/root{path}")

    @property
    def up(self) -> bool:
        """It was booted and has not ended."""
        return self._nspawn is not None and self._nspawn.poll() is None

    def wait_for_end(self, timeout_s: float) -> int:
        """Wait until it ends by itself; what nspawn ends with: 0 switched off, 133 wants to be started anew. Raises TimeoutExpired."""
        if self._nspawn is None:
            raise ContainerFailed("it was not booted")
        return self._nspawn.wait(timeout_s)

    def close(self) -> None:
        """End every process in it and take the layers away. Safe to call twice."""
        if self.up and self.leader:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.leader, signal.SIGKILL)  # process 1 of its own process space: all others go with it
        if self._nspawn is not None:
            try:
                self._nspawn.wait(10)
            except subprocess.TimeoutExpired:
                self._nspawn.kill()
                self._nspawn.wait(10)
        for each in (self.root, self._layer):
            subprocess.run(["umount", "-l", str(each)], capture_output=True, check=False)


def _run(*command: str, given: str | None = None) -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ContainerFailed(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
