"""What stands between the terminal and its host on the rig: a TCP switch that can put another host in the real one's place.

The terminal only knows the switch's address; TLS goes through it untouched. A new place cuts every connection, as a new route does.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

from tests.behaviour.setup import Setup
from tests.rig.station import Station

PIECE = 1 << 16


class Switch:
    """Listens on the loopback and hands each connection on to the place of the moment."""

    def __init__(self, place: str) -> None:
        """``place``: url of a host on the loopback."""
        self._port = _port(place)
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, name="switch", daemon=True)
        self._thread.start()

    def put(self, place: str) -> None:
        """From now on this host stands there; what was connected to the one before is cut."""
        with self._lock:
            self._port = _port(place)
            cut, self._open = self._open, []
        _cut(cut)

    def close(self) -> None:
        """Nobody is there any more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        with self._lock:
            cut, self._open = self._open, []
        _cut(cut)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    with self._lock:
                        far = socket.create_connection(("127.0.0.1", self._port), timeout=10)
                        far.settimeout(None)
                        self._open = [each for each in self._open if each.fileno() >= 0] + [near, far]
                except OSError:
                    near.close()
                    continue
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=(source, target), name="switched", daemon=True).start()


def _port(url: str) -> int:
    port = urlsplit(url).port
    if port is None:
        raise ValueError(url)
    return port


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    """Until either end goes; then both do, so that the other direction's thread ends and closes them."""
    with contextlib.suppress(OSError):
        while piece := source.recv(PIECE):
            target.sendall(piece)
    _cut([source, target])
    source.close()


def _cut(ends: list[socket.socket]) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


class SwitchedStation(Station):
    """A station whose terminal reaches its host through a switch, and trusts a second authority besides the host's own."""

    def __init__(self, setup: Setup, other_authority: Path) -> None:
        self.switch: Switch | None = None
        self.host_authority = b""
        self.host_url = ""

        def through(text: str) -> str:
            host = tomllib.loads(text)["host"]
            self.host_url, self.host_authority = host["url"], Path(host["authority"]).read_bytes()
            both = self.folder / "authorities.crt"
            both.write_bytes(self.host_authority + other_authority.read_bytes())
            self.switch = Switch(self.host_url)
            text = text.replace(f'"{host["url"]}"', f'"{self.switch.url}"').replace(f'"{host["authority"]}"', f'"{both}"')
            return text.replace(f"authorize_ms = {host['authorize_ms']}", f"authorize_ms = {AUTHORIZE_MS}")

        super().__init__(setup, toml=through)

    def put(self, place: str | None) -> None:
        """This host in the real one's place; None: the real one again."""
        if self.switch is None:
            raise RuntimeError("the station is not up")
        self.switch.put(place or self.host_url)

    def close(self) -> None:
        """See ``Station.close``."""
        super().close()
        if self.switch is not None:
            self.switch.close()


AUTHORIZE_MS = 2_000
"""A driver's time is what this test spends; a busy machine's real host answers in it too."""
