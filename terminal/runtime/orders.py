"""The running terminal's ear for orders given on this machine: a socket in the runtime directory, one JSON object a line, one answer each.

Whoever may open the socket may order: the runtime directory and the socket are the service's own (0600), so that is its user and root.
Answers leave behind the commit of the step that obeyed. (features.md F34, F51; terminal/core/orders.py.)
"""

from __future__ import annotations

import logging
import os
import pwd
import queue
import select
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec

from terminal.core.orders import Order, OrderAsked, OrderKind
from terminal.runtime.clock import SystemClock
from terminal.runtime.logs import masked

LOG = logging.getLogger("terminal.orders")
NAME = "orders.sock"
NEW = ".orders.new"
"""Its name until it listens; no longer than the other, for a socket's path has 107 bytes at most."""
ANSWER_S = 10.0
LONGEST_LINE = 4_096
PATIENCE_MS = 2_000
ENDING = "the terminal starts anew; look at its status before you try again"
_PEER = struct.Struct("3i")

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Request(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """An order as it is written on the socket."""

    order: OrderKind
    by: Text
    why: Annotated[str, msgspec.Meta(max_length=200)] = ""
    fuelling_point: int | None = None
    code: Text | None = None
    subject: Text | None = None


class Reply(msgspec.Struct):
    """What became of it. ``refused`` None: it is done, and in the journal."""

    refused: str | None


class OrderSocket:
    """Listens in a thread of its own; the core's thread takes events by ``post`` and gives answers by ``answer``."""

    def __init__(self, directory: Path, post: Callable[[object], None]) -> None:
        self.path = directory / NAME
        self._post = post
        self._tickets = 0
        self._waiting: dict[int, queue.SimpleQueue[str | None]] = {}
        self._ending = False
        self._lock = threading.Lock()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="orders", daemon=True)

    def start(self) -> None:
        """Start listening. A directory that takes no socket costs the orders, not the service."""
        self._thread.start()

    def stop(self) -> None:
        """Refuse whatever waits for an answer, end the thread and take the socket away."""
        with self._lock:
            self._ending = True
            waiting, self._waiting = self._waiting, {}
        for one in waiting.values():
            one.put(ENDING)
        os.close(self._wake_write)  # wakes the thread; the other end is its own, as long as it lives
        if self._thread.ident is None:
            os.close(self._wake_read)
        else:
            self._thread.join(2)

    def answer(self, answers: dict[int, str | None]) -> None:
        """From the core's thread: what became of orders, by ticket."""
        for ticket, refused in answers.items():
            with self._lock:
                waiting = self._waiting.pop(ticket, None)
            if waiting is not None:
                waiting.put(refused)

    def _run(self) -> None:
        made = self.path.with_name(NEW)
        try:
            made.unlink(missing_ok=True)
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
                listener.bind(str(made))
                os.chmod(made, 0o600)
                listener.listen(2)
                own = made.stat()
                made.rename(self.path)  # whoever finds it is let in, or is not allowed to come in
                try:
                    while True:
                        ready, _, _ = select.select([listener.fileno(), self._wake_read], [], [])
                        if self._wake_read in ready:
                            break
                        connection, _ = listener.accept()
                        with connection:
                            self._serve(connection)
                finally:
                    self._unlink(own)
        except Exception as error:  # noqa: BLE001 - top of this thread: without it nobody can order, and drivers are served all the same
            LOG.warning("event=OrdersDeaf why=%r", f"{type(error).__name__}: {error}")
        finally:
            os.close(self._wake_read)

    def _unlink(self, own: os.stat_result) -> None:
        """Take away our own socket: one that was made since belongs to who follows us. Ours, being open, keeps its inode."""
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return
        if os.path.samestat(own, there):
            self.path.unlink(missing_ok=True)

    def _serve(self, connection: socket.socket) -> None:
        """One order of one caller, who may not keep us."""
        clock = SystemClock()
        due = clock.instant() + PATIENCE_MS
        try:
            line = b""
            while not line.endswith(b"\n") and len(line) <= LONGEST_LINE:
                # For the whole line: who sends a byte now and then would keep everybody else out.
                connection.settimeout(max(1, due - clock.instant()) / 1000)
                piece = connection.recv(LONGEST_LINE)
                if not piece:
                    break
                line += piece
            connection.settimeout(PATIENCE_MS / 1000)
            connection.sendall(msgspec.json.encode(Reply(self._order(line, _user(connection)))) + b"\n")
        except OSError as error:
            LOG.warning("event=OrderLost why=%r", str(error))

    def _order(self, line: bytes, user: str) -> str | None:
        try:
            said = msgspec.json.decode(line, type=Request)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return "that is no order"
        waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        with self._lock:
            if self._ending:
                return ENDING
            self._tickets += 1
            ticket = self._tickets
            self._waiting[ticket] = waiting
        by, why = masked(f"{said.by} ({user})"), masked(said.why)
        self._post(OrderAsked(ticket, Order(said.order, by, why, said.fuelling_point, said.code, said.subject)))
        try:
            return waiting.get(timeout=ANSWER_S)
        except queue.Empty:
            with self._lock:
                self._waiting.pop(ticket, None)
            return "the terminal did not answer; look at its status before you try again"


def _user(connection: socket.socket) -> str:
    """Whose program is at the other end, as the kernel knows it."""
    _, uid, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def send(directory: Path, request: Request) -> str | None:
    """Give an order to the terminal that runs; why it was refused, None when it is done. Raises ``OSError`` when none listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_S + 5)
        connection.connect(str(directory / NAME))
        connection.sendall(msgspec.json.encode(request) + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            piece = connection.recv(LONGEST_LINE)
            if not piece:
                raise ConnectionResetError("it ended without an answer")
            answer += piece
    try:
        return msgspec.json.decode(answer, type=Reply).refused
    except msgspec.DecodeError as error:
        raise ConnectionResetError("it answered something else") from error
