"""The terminal's real command line, as a technician calls it."""

from __future__ import annotations

import subprocess  # noqa: S404 - the program of this project, with a fixed beginning of its command line
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from terminal.store.sqlite_kind import ledger_key

ROOT = Path(__file__).resolve().parent.parent.parent
ANSWER_S = 30


@dataclass(frozen=True, slots=True)
class CommandLine:
    """How a call ended and what it wrote."""

    code: int
    out: str
    error: str


def explain(*arguments: str) -> CommandLine:
    """``python -m terminal explain`` with these arguments."""
    command, key = [sys.executable, "-m", "terminal", "explain", *arguments], ledger_key()
    if key is not None and "--ledger" in arguments:
        command += ["--key", "/dev/stdin"]
    typed = "" if key is None else key.content().hex()
    done = subprocess.run(command, cwd=ROOT, input=typed, capture_output=True, text=True, timeout=ANSWER_S, check=False)  # noqa: S603
    return CommandLine(done.returncode, done.stdout, done.stderr)


def explain_text(case: str) -> CommandLine:
    """The same for a case in a file."""
    with tempfile.TemporaryDirectory(prefix="explain-") as folder:
        file = Path(folder) / "case.json"
        file.write_text(case, encoding="utf-8")
        return explain(str(file))
