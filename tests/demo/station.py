"""A simulated forecourt and the real terminal program, each a process of its own, and the wire between them and whoever plays the people.

Commands and answers are those of ``firmware_notes/rig.md``. Nothing here knows what a sale is: the demo and the benchmarks do.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
START_MS = 15_000
ANSWER_MS = 15_000
STOP_MS = 10_000
LOOK_S = 0.02
LOG_LINES = 5

_CONFIG = """[terminal]
id = "{terminal}"
site = "{site}"
zone = "{zone}"
currency = "{currency}"
language = "{language}"
state_dir = "{folder}/state"
runtime_dir = "{folder}/run"

[host]
url = "{url}"
authority = "{ca}"
certificate = "{client_cert}"
key = "{client_key}"
{host_extra}
[keys]
token = "{token_key}"
pin = "{pin_key}"
card = "{card_key}"
list_current = "{list_key}"

[[line]]
name = "pumps"
port = "{line}"

[[side]]
badge_reader = {{ port = "{reader}" }}
keypad = {{ path = "{keypad}" }}
display = {{ port = "{display}" }}
"""

_POINT = """
[[fuelling_point]]
number = {fp}
line = "pumps"
address = {address}
nozzles = [{nozzles}]
"""


_NOZZLE = '{{ nozzle = {nozzle}, product = "{product}", price = "{euros}.{rest:04}" }}'


class StationError(Exception):
    """Something did not happen; the text is for people."""


def now_ms() -> int:
    """Monotonic milliseconds."""
    return time.monotonic_ns() // 1_000_000


class Station:
    """Starts both programs in ``folder``, lets people act, and leaves nothing running behind ``close``."""

    def __init__(
        self,
        folder: Path,
        scenario: Mapping[str, Any],
        *,
        language: str = "en",
        host_extra: str = "",
        extra: str = "",
        preload: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """``extra`` and ``host_extra`` are lines of TOML; ``preload`` is put in front of the terminal's preloaded libraries."""
        self.folder = folder
        self.scenario = scenario
        self.config = folder / "terminal.toml"
        self.log = folder / "terminal.log"
        self.wires = folder / "forecourt"
        self._language = language
        self._host_extra = host_extra
        self._extra = extra
        self._preload = preload
        self._environment = dict(environment or {})
        self._ready: dict[str, Any] = {}
        self._pump_program: subprocess.Popen[bytes] | None = None
        self._terminal: subprocess.Popen[bytes] | None = None
        self._rest = b""

    # --- life ---------------------------------------------------------------------------------------------------------------

    def open_forecourt(self) -> None:
        """Pumps, badge reader, display, keypad and host. Raises ``StationError``."""
        self.folder.mkdir(parents=True, exist_ok=True)
        scenario = self.folder / "forecourt.json"
        scenario.write_text(json.dumps(self.scenario), encoding="utf-8")
        with (self.folder / "forecourt.log").open("wb") as log:
            self._pump_program = subprocess.Popen(
                [sys.executable, "-m", "hal_sim", "forecourt", "--scenario", str(scenario), "--dir", str(self.wires)],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us: we end them in order
            )
        self._ready = self._answer(START_MS, "the simulated forecourt did not start")
        self._write_config()

    def _write_config(self) -> None:
        ready, ports = self._ready, self._ready["ports"]
        given = {key: self.scenario[key] for key in ("terminal", "site", "zone", "currency")}
        text = _CONFIG.format(
            **given,
            **ready["host"],
            language=self._language,
            folder=self.folder,
            host_extra=self._host_extra,
            line=ports["dart1"],
            reader=ports["pn532"],
            keypad=ready["keypad"]["path"],
            display=ports["display"],
        )
        for point in ready["fuelling_points"]:
            rows = [row for row in self.scenario["fuelling_points"] if row["fp"] == point["fp"]]
            nozzles = ", ".join(_NOZZLE.format(**row, euros=row["price"] // 10_000, rest=row["price"] % 10_000) for row in rows)
            text += _POINT.format(fp=point["fp"], address=point["address"], nozzles=nozzles)
        self.config.write_text(text + self._extra, encoding="utf-8")

    def open_terminal(self) -> None:
        """The terminal program on the forecourt's ports; it is not ready yet. Raises ``StationError``."""
        environment = {**os.environ, **self._ready["env"], **self._environment}
        if self._preload:
            environment["LD_PRELOAD"] = f"{self._preload}:{environment['LD_PRELOAD']}"
        with self.log.open("ab") as log:
            self._terminal = subprocess.Popen(
                [sys.executable, "-m", "terminal", "run", "--config", str(self.config)],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_ready(self, timeout_ms: int = START_MS) -> None:
        """Until a driver can be served: the lists are there, every point is surveyed and free. Raises ``StationError``."""
        self.wait(self._serves, timeout_ms, "the terminal did not become ready")

    def _serves(self) -> bool:
        status = self.status()
        return (
            status.get("state") == "serving" and status["lists"]["version"] > 0 and all(p["available"] for p in status["fuelling_points"])
        )

    @property
    def pid(self) -> int:
        """The terminal's process."""
        if self._terminal is None:
            raise StationError("the terminal was not started")
        return self._terminal.pid

    def close_terminal(self) -> None:
        """Ask it to end, as systemd does. Raises ``StationError`` when it does not end, or not well."""
        program, self._terminal = self._terminal, None
        if program is not None:
            code = _end(program)
            if code:
                raise StationError(f"the terminal ended with {code}\n{self._last_words()}")

    def close(self) -> None:
        """End whatever runs; never raises for what has ended already."""
        for program in (self._terminal, self._pump_program):
            if program is not None:
                _end(program)
        self._terminal = self._pump_program = None

    # --- acting and looking ----------------------------------------------------------------------------------------------------

    def do(self, what: str, **fields: object) -> dict[str, Any]:
        """One command to the forecourt and its answer. Raises ``StationError`` when it is refused."""
        self._say({"do": what, **fields})
        answer = self._answer(ANSWER_MS, f"the simulated forecourt did not answer to {what}")
        if "error" in answer:
            raise StationError(f"the simulated forecourt refuses: {answer['error']}")
        return answer

    def _say(self, command: Mapping[str, object]) -> None:
        program = self._pump_program
        if program is None or program.stdin is None:
            raise StationError("the simulated forecourt was not started")
        try:
            program.stdin.write(json.dumps(command).encode() + b"\n")
            program.stdin.flush()
        except OSError as error:
            raise StationError("the simulated forecourt has ended") from error

    def _answer(self, timeout_ms: int, what: str) -> dict[str, Any]:
        program = self._pump_program
        if program is None or program.stdout is None:
            raise StationError("the simulated forecourt was not started")
        until = now_ms() + timeout_ms
        while b"\n" not in self._rest:
            readable, _, _ = select.select([program.stdout], [], [], max(0, until - now_ms()) / 1000)
            data = os.read(program.stdout.fileno(), 65536) if readable else b""
            if not data:
                words = _tail(self.folder / "forecourt.log")
                raise StationError(f"{what}{': ' + words if words else ''}")
            self._rest += data
        line, self._rest = self._rest.split(b"\n", 1)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def screen(self) -> tuple[str, ...]:
        """The display's four lines of twenty."""
        lines: list[str] = self.do("display")["lines"]
        return tuple(lines)

    def pump(self, fp: int) -> dict[str, Any]:
        """One fuelling point as the pump itself sees it."""
        pumps: list[dict[str, Any]] = self.do("pumps")["pumps"]
        return next(pump for pump in pumps if pump["fp"] == fp)

    def status(self) -> dict[str, Any]:
        """What the terminal says of itself; {} before its first word."""
        try:
            found: dict[str, Any] = json.loads((self.folder / "run" / "status.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return found

    def wait(self, until: Callable[[], bool], timeout_ms: int, what: str | Callable[[], str]) -> None:
        """Look again and again until ``until()`` holds. Raises ``StationError`` with ``what`` and the terminal's last words."""
        deadline = now_ms() + timeout_ms
        while not until():
            if self._terminal is not None and self._terminal.poll() is not None:
                raise StationError(f"the terminal has ended by itself\n{self._last_words()}")
            if now_ms() > deadline:
                words = what if isinstance(what, str) else what()
                raise StationError(f"{words} (waited {timeout_ms / 1000:g} s)\n{self._last_words()}")
            time.sleep(LOOK_S)

    def wait_screen(self, text: str, timeout_ms: int = 10_000) -> None:
        """Until the display shows ``text``. Raises ``StationError``."""
        self.wait(
            lambda: any(text in line for line in self.screen()),
            timeout_ms,
            lambda: f"the display does not say {text!r} but {self.screen()}",
        )

    def verify(self) -> tuple[bool, dict[str, Any], str]:
        """The stopped terminal's ledger by ``terminal verify``: is it sound, its report, and the words when there is no report."""
        done = subprocess.run(
            [sys.executable, "-m", "terminal", "verify", "--config", str(self.config), "--json"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        try:
            report = json.loads(done.stdout)
        except ValueError:
            return False, {}, done.stderr.strip() or f"verify ended with {done.returncode}"
        return done.returncode == 0, report if isinstance(report, dict) else json.loads(report), ""

    def _last_words(self) -> str:
        words = _tail(self.log)
        return f"The terminal's last words ({self.log}):\n{words}" if words else f"The terminal has said nothing ({self.log})."


def _tail(path: Path) -> str:
    try:
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-LOG_LINES:])
    except OSError:
        return ""


def _end(program: subprocess.Popen[bytes]) -> int:
    """Ask, wait, insist. The exit code."""
    if program.stdin is not None:
        with contextlib.suppress(OSError):
            program.stdin.close()
    if program.poll() is None:
        program.send_signal(signal.SIGTERM)
    try:
        return program.wait(STOP_MS / 1000)
    except subprocess.TimeoutExpired:
        program.kill()
        return program.wait()
    finally:
        if program.stdout is not None:
            program.stdout.close()
