"""A PC/SC service of this forecourt's own: pcscd in a mount namespace of its own, with one virtual reader on a port of its own.

Sources: pcscd 1.9.9 (man page, reader.conf(5)), vsmartcard-vpcd, unshare(1), setpriv(1). Its folder /run/pcscd is compiled in, so it gets
another in its place; a client finds it by PCSCLITE_CSOCK_NAME. It dies with this process, whatever becomes of that.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

READER = "Virtual PCD 00 00"
DRIVER = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
LISTENING = "0A"
START_S = 10
STOP_S = 2
LONGEST_SOCKET_PATH = 107
_SCRIPT = 'mkdir -p /run/pcscd && mount --bind "$0/run" /run/pcscd && exec pcscd --foreground --config "$0/conf"'


class PcscdFailed(RuntimeError):
    """The service cannot be started here; the text says why and what to do."""


class PrivatePcscd:
    """Stopped at first. ``start`` and ``stop`` any number of times; ``port`` is where a card connects, another one after each start."""

    def __init__(self, directory: Path) -> None:
        """Raises PcscdFailed when something that it needs is not installed."""
        for tool in ("pcscd", "unshare", "setpriv"):
            if shutil.which(tool) is None:
                raise PcscdFailed(f"the card reader needs {tool} (apt-get install pcscd vsmartcard-vpcd util-linux)")
        if not DRIVER.exists():
            raise PcscdFailed(f"the card reader needs {DRIVER} (apt-get install vsmartcard-vpcd)")
        self._directory = directory
        for name in ("run", "conf"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        self.socket = directory / "run" / "pcscd.comm"
        if len(str(self.socket)) > LONGEST_SOCKET_PATH:
            raise PcscdFailed(f"{self.socket} is too long for the name of a socket; choose a shorter folder")
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """It was started and not stopped."""
        return self._process is not None

    @property
    def environment(self) -> dict[str, str]:
        """What a client's environment needs."""
        return {"PCSCLITE_CSOCK_NAME": str(self.socket)}

    def start(self) -> None:
        """Start it and wait until its reader takes cards; nothing when it runs. Raises PcscdFailed."""
        if self._process is not None:
            return
        self.port = _free_pair()
        (self._directory / "conf" / "vpcd").write_text(
            f'FRIENDLYNAME "Virtual PCD"\nDEVICENAME /dev/null:{self.port:#x}\nLIBPATH {DRIVER}\nCHANNELID {self.port:#x}\n',
            encoding="ascii",
        )
        self.socket.unlink(missing_ok=True)
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "unshare", "-m", "--propagation", "private", "sh", "-c", _SCRIPT, str(self._directory)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + START_S
        while not self._ready(self._process):
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise PcscdFailed(f"pcscd does not start (it needs root): {self._last_words()}")
            time.sleep(0.005)

    def stop(self) -> None:
        """End it and wait for its end. Safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()  # it waits for a card that does not answer
            process.wait(STOP_S)

    def _ready(self, process: subprocess.Popen[bytes]) -> bool:
        """Its socket is there and its reader listens. Only looked at: to connect would be to put a card in."""
        if not self.socket.exists():
            return False
        mine = _sockets_of(process.pid)
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTENING and fields[1].endswith(f":{self.port:04X}") and fields[9] in mine:
                    return True
        return False

    def _last_words(self) -> str:
        return (self._directory / "log").read_text(encoding="utf-8", errors="replace").strip()[-500:] or "it said nothing"


def _sockets_of(pid: int) -> set[str]:
    """Inodes of the process's sockets: somebody else's reader on the same port is not ours."""
    found: set[str] = set()
    for entry in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            match = re.fullmatch(r"socket:\[(\d+)\]", str(entry.readlink()))
        except OSError:
            continue
        if match:
            found.add(match[1])
    return found


def _free_pair() -> int:
    """A port that is free with the next one: the driver takes two. Raises PcscdFailed."""
    for _ in range(50):
        with socket.socket() as first, socket.socket() as second:
            first.bind(("", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("", port + 1))
            except (OSError, OverflowError):
                continue
            return port
    raise PcscdFailed("no two free ports side by side")
