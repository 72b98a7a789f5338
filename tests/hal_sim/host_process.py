"""A stand-alone host as a process of its own, and a terminal that calls it over the wire: for the tests of ``python -m hal_sim host``."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import requests

from hal_sim.host.crypto import Sealer, token_of

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0
"""Only a hung machine takes as long; a busy one takes seconds."""
BADGE = "04A1B2C3D4E580"
"""A card of the example scenario, of customer C1."""
NOW = "2026-03-28T22:50:00.000Z"


class HostProcess:
    """``serve --json`` on a folder. Lines are read as they come; ``ready`` is the first one."""

    def __init__(self, folder: Path, *more: str, listen: str = "127.0.0.1:0") -> None:
        self.folder = folder
        command = [sys.executable, "-m", "hal_sim", "host", "serve", "--json", "--book", str(folder), "--listen", listen, *more]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines: list[dict[str, Any]] = []
        self.complaint = ""
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.ready = self.line("ready")
        self.url = str(self.ready["url"])
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.verify = str(folder / "ca.crt")
        self.http.cert = (str(folder / "client.crt"), str(folder / "client.key"))

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            with self._news:
                self.lines.append(json.loads(text))
                self._news.notify_all()
        with self._news:
            self.lines.append({"over": True})
            self._news.notify_all()

    def line(self, name: str) -> dict[str, Any]:
        """The first line that has this field, waited for."""
        with self._news:
            assert self._news.wait_for(lambda: any(name in each or "over" in each for each in self.lines), PATIENCE_S)
            found = next((each for each in self.lines if name in each), None)
        assert found is not None, self.process.communicate()[1]
        return found

    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        """SIGKILL: as a power cut for the process."""
        self.process.kill()
        self.wait()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """A signal to end by; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Until it has ended; the exit code."""
        code = self.process.wait(PATIENCE_S)
        if self.process.stderr is None or self.process.stderr.closed:
            return code
        self._reader.join(PATIENCE_S)
        self.http.close()
        self.complaint = self.process.stderr.read()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        return code

    # --- a terminal -------------------------------------------------------------------------------------------------------

    def key(self, name: str) -> bytes:
        """One of the keys that the terminal is given."""
        return bytes.fromhex((self.folder / f"{name}.key").read_text())

    def card(self, sale: str, number: str = BADGE) -> dict[str, str]:
        """The card object of a message."""
        sealed = Sealer(self.key("card")).seal(number, sale)
        return {"token": token_of(self.key("token"), number), "last4": number[-4:], "sealed": sealed}

    def call(self, method: str, path: str, body: Any = None, timeout: float = PATIENCE_S) -> requests.Response:
        """Any call; the key goes into its header."""
        key = body["items"][0]["key"] if body and "items" in body else (body or {}).get("key")
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.http.request(method, self.url + path, json=body, headers=headers, timeout=timeout)


def office(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One command of the office, as an operator types it."""
    command = [sys.executable, "-m", "hal_sim", "host", *arguments]
    environment = os.environ | {"FLEET_HOST_BOOK": str(folder)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def head(sequence: int, call: str) -> dict[str, Any]:
    """What every message of a sale begins with."""
    sale = f"OPT1-1-{sequence}"
    return {"key": f"{sale}/{call}", "terminal": "OPT1", "sale": sale, "epoch": 1, "sequence": sequence}


def authorization(host: HostProcess, sequence: int, **changes: Any) -> dict[str, Any]:
    """An authorization of the example's first card; the terminal verified its PIN."""
    first = head(sequence, "authorize")
    medium = {"site": "S1", "fuelling_point": 1, "card": host.card(first["sale"]), "second_card": None, "medium": "badge", "trust": "T0"}
    rest: dict[str, Any] = {"pin": "verified", "prompts": {}, "wish": None, "requested_at": NOW, "clock": "trusted", "list_version": 1}
    return first | medium | rest | {"products": [{"nozzle": 1, "product": "GAZOLE", "price": 17290}]} | changes


def record(host: HostProcess, sequence: int, call: str, volume_ml: int = 10_000, **changes: Any) -> dict[str, Any]:
    """A completion or an advice."""
    first = head(sequence, call)
    medium = {"site": "S1", "fuelling_point": 1, "card": host.card(first["sale"]), "medium": "badge", "trust": "T0", "pin": "verified"}
    fuel = {
        "nozzle": 1,
        "product": "GAZOLE",
        "price": 17290,
        "currency": "EUR",
        "quantity_ml": volume_ml,
        "value_minor": volume_ml * 1729 // 10**4,
    }
    when = {"authorized_at": NOW, "ended_at": NOW, "end": "nozzle", "totaliser_start_ml": 0, "totaliser_end_ml": volume_ml}
    who = {"authorization": None, "decided_by": "offline", "driver": None, "cost_centre": "Depot 4"}
    return first | medium | fuel | when | who | {"prompts": {}, "clock": "trusted", "list_version": 1} | changes


def complete(host: HostProcess, sequence: int, timeout: float = PATIENCE_S, **changes: Any) -> requests.Response:
    """Sends a completion."""
    return host.call("POST", f"/v1/authorizations/OPT1-1-{sequence}/completion", record(host, sequence, "complete", **changes), timeout)


def rows(folder: Path, query: str) -> list[dict[str, Any]]:
    """What a person reads with sqlite3, beside the running host."""
    with sqlite3.connect(f"file:{folder / 'book.db'}?mode=ro", uri=True) as db:
        db.row_factory = sqlite3.Row
        found = [dict(row) for row in db.execute(query)]
    db.close()
    return found


def told(folder: Path, *arguments: str) -> Any:
    """The JSON of an office command that works."""
    done = office(folder, *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def done(folder: Path, *arguments: str) -> str:
    """The line of an office command that works."""
    result = office(folder, *arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout
