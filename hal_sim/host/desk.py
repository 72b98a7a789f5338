"""The office's counter at a running stand-alone host: a Unix socket in the folder, one JSON object in, one out.

Source: firmware_notes/host-command.md. Only whoever may open the folder's socket (0600) comes here. Card numbers come in and are used;
none goes out, and none is kept in clear (``office``).
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hal_sim.arguments import Arguments, Refused
from hal_sim.host.faults import ERRORS
from hal_sim.host.list_shelf import FAULTS as LIST_FAULTS
from hal_sim.host.list_shelf import Spoiled
from hal_sim.host.office import OFFICE, Control
from hal_sim.host.server import HostServer
from hal_sim.host.sqlite_book import BookBroken, SqliteBook
from hal_sim.host.views import authorizations_view, sales_view, state_view

SOCKET = "control.sock"
LONGEST_LINE = 65536
PATIENCE_S = 30.0
Answer = dict[str, Any]


class NoHost(Exception):
    """No host is running on this folder."""


@contextlib.contextmanager
def _address(folder: Path) -> Iterator[str]:
    # A socket's path has at most 107 bytes; through the folder's descriptor any folder will do.
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{SOCKET}"
    finally:
        os.close(directory)


@contextlib.contextmanager
def reached(folder: Path) -> Iterator[socket.socket]:
    """A connection to the host that runs on this folder. Raises ``OSError``."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wire:
        wire.settimeout(PATIENCE_S)
        with _address(folder) as address:
            wire.connect(address)
        yield wire


def ask(folder: Path, request: dict[str, Any]) -> Answer:
    """Asks the host that runs on this folder. Raises ``NoHost``."""
    try:
        with reached(folder) as wire:
            wire.sendall(json.dumps(request).encode() + b"\n")
            with wire.makefile("rb") as file:
                line = file.readline()
    except OSError:
        line = b""
    if not line:
        raise NoHost(f"no host is running on {folder}; start it with: python -m hal_sim host serve --book {folder}")
    answer: Answer = json.loads(line)
    return answer


class Desk:
    """Serves the socket in a thread of its own, one request at a time."""

    def __init__(self, folder: Path, server: HostServer, book: SqliteBook) -> None:
        """Opens the socket; an old one that nobody serves is replaced. The folder's lock must be held. Raises ``OSError``."""
        self._folder = folder
        self._server = server
        self._book = book
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with contextlib.suppress(FileNotFoundError):
            (folder / SOCKET).unlink()
        before = os.umask(0o177)
        try:
            with _address(folder) as address:
                self._socket.bind(address)
        finally:
            os.umask(before)
        self._socket.listen(16)
        self._thread = threading.Thread(target=self._run, name="host-desk", daemon=True)
        self._views: dict[str, Callable[[Arguments], Answer]] = {
            "sales": lambda args: {"sales": sales_view(book, args.whole("last", 0))},
            "state": lambda args: {"state": state_view(server, book)},
            "open_authorizations": lambda args: {"open": authorizations_view(book)},
            "missing": lambda args: {"missing": [list(each) for each in book.missing_sequences()]},
        }

    def start(self) -> None:
        """From now on requests are answered."""
        self._thread.start()

    def close(self) -> None:
        """No more requests. The socket's file goes too."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with contextlib.suppress(FileNotFoundError):
            (self._folder / SOCKET).unlink()

    def _run(self) -> None:
        while True:
            try:
                wire, _ = self._socket.accept()
            except OSError:
                return  # closed
            with wire, contextlib.suppress(OSError):
                wire.settimeout(PATIENCE_S)
                with wire.makefile("rb") as file:
                    answer = self.obey(file.readline(LONGEST_LINE))
                wire.sendall(json.dumps(answer).encode() + b"\n")

    def obey(self, line: bytes) -> Answer:
        """One request. What cannot be done is answered with ``error`` and changes nothing."""
        try:
            request = json.loads(line)
            if not isinstance(request, dict) or not isinstance(request.get("do"), str):
                raise Refused("an object with the text do is expected")
            return self._do(request["do"], Arguments(request), request)
        except (Refused, Spoiled, BookBroken) as refused:
            return {"error": str(refused)}
        except (ValueError, KeyError, RecursionError) as error:
            # The book's own texts name fields and never values.
            return {"error": str(error.args[0]) if error.args and not isinstance(error, json.JSONDecodeError) else "not understood"}

    def _do(self, name: str, args: Arguments, request: dict[str, Any]) -> Answer:
        if name in OFFICE:
            control = Control.read(name, request)
            with self._server.lock:
                return self._book.control(control)
        if name in self._views:
            with self._server.lock:
                answer = self._views[name](args)
            args.nothing_else()
            return answer
        if name == "fault":
            return self._fault(args.text("name"), args.text("value", ""))
        if name == "restore":
            return self._restore()
        raise Refused(f"{name[:40]}: unknown")

    # --- faults ---------------------------------------------------------------------------------------------------------

    def _restore(self) -> Answer:
        self._server.restore()
        with self._server.lock:
            if self._book.busy:
                self._book.control(Control("busy", {"on": False}))
        return {"faults": "off"}

    def _fault(self, name: str, value: str) -> Answer:
        fault = FAULTS.get(name)
        if fault is None:
            raise Refused(f"no such fault; known are {', '.join(FAULTS)}")
        if name == "busy":
            with self._server.lock:
                self._book.control(Control("busy", {"on": True}))
        elif name == "lists":
            with self._server.lock:
                self._server.book.shelf.spoil(value)
        elif name == "down":
            self._server.flap(0, 0)
            self._server.set_reachable(False)
        elif name == "flapping":
            up, _, down = (value or "3000/3000").partition("/")
            self._server.flap(_milliseconds(up), _milliseconds(down))
        else:
            setattr(self._server.faults, fault.field, fault.value(value))
        return {"fault": name, "means": fault.means}


def _milliseconds(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0:
        return int(text)
    raise Refused("a number of milliseconds above 0 is expected")


def _bytes(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0:
        return int(text)
    raise Refused("a number of bytes above 0 is expected")


class Fault:
    """One way to misbehave: the field of ``Faults`` and how its value is read from a text."""

    def __init__(self, means: str, field: str = "", value: Callable[[str], Any] = lambda text: True) -> None:
        self.means = means
        self.field = field
        self.value = value


def _error(status: int) -> Fault:
    return Fault(f"every call is answered {status} {ERRORS[status][0]}, nothing is booked", "error", lambda text: status)


FAULTS = {
    "down": Fault("connections are refused, for days if you like"),
    "flapping": Fault("the line comes and goes; value UP/DOWN in ms, 3000/3000 if not given"),
    "500": _error(500),
    "904": _error(400),
    "403": _error(403),
    "409": _error(409),
    "422": _error(422),
    "garbage": Fault("every call is answered with a page that is no JSON, nothing is booked", "garbage"),
    "silent": Fault("calls are taken and never answered, nothing is booked", "silent"),
    "lost-answers": Fault("calls are booked, then the connection drops", "lose_answers"),
    "slow": Fault("booked at once, answered after so many ms (value)", "delay_ms", _milliseconds),
    "late": Fault("booked after so many ms (value): later calls overtake", "delay_before_ms", _milliseconds),
    "drip": Fault("answers come byte by byte, so many ms apart (value)", "drip_ms", _milliseconds),
    "cut": Fault("the connection breaks after so many bytes (value) of a longer answer", "cut_after", _bytes),
    "busy": Fault("records and reversals are answered retry"),
    "lists": Fault(f"lists are wrong in one way (value): {', '.join(LIST_FAULTS)}"),
}
