"""The simulated fleet-card host as a program of its own: a folder, a book that survives, HTTPS for terminals, a counter for the office.

Source: firmware_notes/host-command.md. Everything is built in one place and ended in the opposite order; what happens is said in plain
lines, or in lines of JSON.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hal_sim.host.desk import Desk
from hal_sim.host.folder import CannotServe, Folder, certificate_names
from hal_sim.host.messages import instant_text
from hal_sim.host.office import Control
from hal_sim.host.server import HostServer
from hal_sim.host.sqlite_book import CannotOpen, Heard, SqliteBook
from hal_sim.host.tell import line_of
from hal_sim.host.world import ScenarioError, World

NS_PER_MS = 1_000_000


def now_utc_ms() -> int:
    """The machine's wall clock."""
    return time.time_ns() // NS_PER_MS


@dataclass(frozen=True, slots=True)
class Wishes:
    """What ``serve`` was asked for."""

    folder: Path
    scenario: Path | None
    host: str
    port: int
    names: tuple[str, ...]
    as_json: bool


class Standalone:
    """The whole host. ``run`` serves until a signal or ``end``."""

    def __init__(self, wishes: Wishes) -> None:
        """Builds everything; nothing listens yet. Raises ``CannotServe``."""
        self._as_json = wishes.as_json
        self._over = threading.Event()
        self._failure = ""
        self._says = threading.Lock()
        names = certificate_names(wishes.host, wishes.names)
        with contextlib.ExitStack() as stack:
            self.folder = Folder(wishes.folder)
            stack.callback(self.folder.close)
            scenario = self.folder.scenario(wishes.scenario)
            try:
                # Looked at before anything is made for it: a scenario with a mistake leaves an empty folder.
                terminal = World(scenario, lambda number: number, lambda zone: ("", "")).terminal
                self.folder.keep_scenario(scenario)
                keys, papers = self.folder.keys(), self.folder.papers(terminal, names)
                self.book = SqliteBook(scenario, wishes.folder, keys, now_utc_ms)
                self.server = HostServer(self.book, wishes.folder, port=wishes.port, host=wishes.host, papers=papers)
            except (ScenarioError, CannotOpen, sqlite3.Error, OSError) as error:
                raise CannotServe(f"{wishes.folder}: {error}") from error
            stack.callback(self._shut)
            self.book.heard = self._tell
            self.book.broken = self._give_up
            self._stack = stack.pop_all()

    def run(self) -> None:
        """Until the end. Raises ``CannotServe`` when it cannot listen, or when the book can no longer be written."""
        with self._stack:
            if self.book.busy:
                self.book.control(Control("busy", {"on": False}))  # a fault, and faults end with the host that had them
            try:
                self.server.start()
                self._stack.callback(self.server.stop)
                desk = Desk(self.folder.path, self.server, self.book)
            except OSError as error:
                raise CannotServe(f"cannot listen: {error.strerror}") from error
            self._stack.callback(desk.close)
            desk.start()
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda number, frame: self._over.set())
            self._say_ready()
            self._over.wait()
        if self._failure:
            raise CannotServe(self._failure)
        self._say({"ended": True}, "ended")

    def _shut(self) -> None:
        # Under the lock: a call that is just being booked ends first, whole.
        with self.server.lock:
            self.book.shut()

    def _give_up(self, why: str) -> None:
        self._failure = why
        self._over.set()

    def _say_ready(self) -> None:
        book, folder = self.book, self.folder.path
        files = {"authority": "ca.crt", "certificate": "client.crt", "key": "client.key"}
        files |= {"token": "token.key", "pin": "pin.key", "card": "card.key", "list_current": "list.pub"}
        ready = {
            "ready": True,
            "url": self.server.url,
            "book": str(folder),
            "terminal": book.terminal,
            "new": book.new,
            "replayed": book.replayed,
            "list_version": book.list_version,
            "files": {name: str(folder / file) for name, file in files.items()},
        }
        begun = "a new book" if book.new else f"the book goes on after {book.replayed} inputs"
        lists = f"list {book.list_epoch}/{book.list_version}"
        text = f"ready: {self.server.url} for terminal {book.terminal}, {begun}, {lists}, folder {folder}"
        self._say(ready, text)

    def _tell(self, heard: Heard) -> None:
        fields, text = line_of(heard)
        if text:
            self._say({"at": instant_text(heard.at_ms)} | fields, f"{instant_text(heard.at_ms)}  {text}")

    def _say(self, fields: dict[str, Any], text: str) -> None:
        # Whoever read the lines may be gone; the host goes on without being watched.
        with self._says, contextlib.suppress(BrokenPipeError):
            sys.stdout.write((json.dumps(fields) if self._as_json else text) + "\n")
            sys.stdout.flush()
