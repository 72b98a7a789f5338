"""A virtual station in which everything that leaves is kept: what a person at the log, the disk, the wire or the display could read."""

from __future__ import annotations

import gzip
import io
import json
import logging
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import msgspec

import terminal.runtime.engine as engine_module
import tests.virtual.terminal as terminal_module
from hal_sim.host.book import HostBook
from hal_sim.host.crypto import SealBroken, Sealer
from terminal.core.effects import Effect, Persist
from terminal.core.units import Instant
from terminal.runtime import logs
from terminal.runtime.status import snapshot
from tests.canary.forced import Forcing
from tests.canary.search import Outlet
from tests.simulation.trace import words
from tests.virtual.forecourt import KEYS
from tests.virtual.terminal import VirtualTerminal
from tests.virtual.world import VirtualWorld

LOG = logging.getLogger("terminal")


class Seals:
    """The positive control: sealed numbers are where they should be, and with the card host's key they open."""

    def __init__(self) -> None:
        self._sealer = Sealer(KEYS[2])
        self.opened: list[tuple[str, bytes]] = []  # the number; the body as it would be had it not been sealed
        self.broken = 0
        self.blocks = 0

    def look(self, body: bytes) -> None:
        """A request's body."""
        with suppress(ValueError):
            for one in self._each(json.loads(body)):
                self._open(one, body)

    def _each(self, value: Any) -> Iterator[dict[str, Any]]:
        if isinstance(value, dict):
            if "sale" in value and isinstance(value.get("card"), dict):
                yield value
            for inner in value.values():
                yield from self._each(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from self._each(inner)

    def _open(self, one: dict[str, Any], body: bytes) -> None:
        self.blocks += one.get("pin_block") is not None
        for name in ("card", "second_card"):
            sealed = (one.get(name) or {}).get("sealed")
            if sealed:
                try:
                    number = self._sealer.open(sealed, one["sale"], second=name == "second_card")
                except SealBroken:
                    self.broken += 1
                else:
                    self.opened.append((number, body.replace(sealed.encode(), number.encode())))


class WatchedEngine(engine_module.Engine):
    """The real engine; what is made of its events and facts is kept."""

    outlet: Outlet

    def step(self, event: object, at: Instant) -> None:
        """See ``Engine``."""
        self.outlet.add("repr", repr(event))
        self.outlet.add("trace", words(event))
        super().step(event, at)
        self.outlet.add("status", msgspec.json.encode(snapshot(self.site, at, "canary")))

    def commit(self, effects: list[Effect], at: Instant) -> None:
        """See ``Engine``; the log is written as ``terminal.app`` writes it."""
        for effect in effects:
            self.outlet.add("repr", repr(effect))
        super().commit(effects, at)
        for effect in effects:
            if isinstance(effect, Persist):
                LOG.info("%s", logs.line_of(effect.record))


@contextmanager
def watching(outlet: Outlet, seals: Seals) -> Iterator[None]:
    """Within this, each virtual station's engine, host and log are kept; afterwards everything is as before."""
    handle, news = HostBook.handle, HostBook.news

    def kept_handle(book: HostBook, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Any:
        status, told, answer = handle(book, method, path, headers, body)
        outlet.add("request", f"{method} {path} {dict(headers)}\n".encode() + body)
        outlet.add("answer", f"{status} {dict(told)}\n".encode() + (gzip.decompress(answer) if answer[:2] == b"\x1f\x8b" else answer))
        seals.look(body)
        return status, told, answer

    def kept_news(book: HostBook, cursor: Any) -> Any:
        text, behind = news(book, cursor)
        outlet.add("answer", text)
        return text, behind

    watched = type("KeptEngine", (WatchedEngine,), {"outlet": outlet})
    with (
        replaced(HostBook, "handle", kept_handle),
        replaced(HostBook, "news", kept_news),
        replaced(terminal_module, "Engine", watched),
        _log_of_the_program(outlet),
    ):
        yield


@contextmanager
def replaced(owner: object, name: str, value: object) -> Iterator[None]:
    """One attribute is another, for a while."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def _log_of_the_program(outlet: Outlet) -> Iterator[None]:
    """The log as ``terminal.runtime.logs`` sets it up, its filters and formatter included, into ``outlet`` instead of standard error."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level, logging.raiseExceptions, sys.excepthook, threading.excepthook, sys.stderr)
    levels = {name: logging.getLogger(name).level for name in ("transitions", "nfc", "urllib3")}
    stream = io.StringIO()
    sys.stderr = stream
    try:
        logs.start(logging.DEBUG)
        sys.stderr = before[5]
        yield
    finally:
        root.handlers[:], level, logging.raiseExceptions, sys.excepthook, threading.excepthook, sys.stderr = before
        root.setLevel(level)
        for name, was in levels.items():
            logging.getLogger(name).setLevel(was)
        for line in stream.getvalue().splitlines():
            outlet.add("log", line)


class Station(VirtualWorld):
    """A virtual world whose display, disk and deaths are kept."""

    def __init__(self, setup: Any, outlet: Outlet, forcing: Forcing) -> None:
        self.outlet = outlet
        self.forcing = forcing
        self.deaths = 0
        super().__init__(setup)
        self.station.host._carry = forcing.lane(self.station.host._carry)  # type: ignore[method-assign]

    def forced(self, action: Callable[[], object]) -> None:
        """Do this while one function fails: what a reader's thread, a host worker or the program's end make of it is kept."""
        error = self.forcing.during(action)
        if error is None:
            return
        events = self.forcing.at_reader(error)
        if events is not None:
            for event in events:
                self.terminal.post(event)
        else:
            sys.excepthook(type(error), error, error.__traceback__)
            self.die()

    def die(self) -> None:
        """The program ends at once and is started again, as systemd would."""
        self.deaths += 1
        engine = self.terminal.engine
        self.keep_disk()
        self.terminal._stepping = False
        self.terminal.crash(engine.ledger if engine is not None else None)
        self.terminal.start()
        self.pass_time(3_000)

    def keep_disk(self) -> None:
        """Every byte of every file, and what the display has shown."""
        for path in sorted(self._folder.rglob("*")):
            if path.is_file():
                self.outlet.add_file(path.name.split(".")[0].rstrip("0123456789-"), path.read_bytes())
        for screen in self.terminal.screens:
            self.outlet.add("screen", screen)

    def cut_power(self) -> None:
        """See ``World.cut_power``."""
        self.keep_disk()
        super().cut_power()
        self.keep_disk()

    def close(self) -> None:
        """The day is over: keep what is there and take the folder away."""
        self.keep_disk()
        self.terminal.power_off()
        self.keep_disk()
        shutil.rmtree(self._folder, ignore_errors=True)


__all__ = ["Seals", "Station", "VirtualTerminal", "replaced", "watching"]
