"""Asks the real command: ``python -m terminal explain FILE.jsonl``, as a user would. Its answers are held against rules written apart."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.core.naive import Row, answer

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "terminal", "explain")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run of the command ended."""

    code: int
    out: list[str]
    err: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A case to which the command says something else than the rules. ``said`` is its line, or how it ended without one."""

    number: int
    case: Row
    said: str
    right: str


def run(file: Path) -> Ended:
    """The command over one file."""
    done = subprocess.run([*COMMAND, str(file)], cwd=ROOT, capture_output=True, text=True, check=False)
    return Ended(done.returncode, done.stdout.splitlines(), done.stderr)


def line(value: object) -> str:
    """JSON as the command writes it; the order of the fields is part of the format."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def said(cases: list[Row]) -> list[str]:
    """What the command says to each case, up to one at which it stops: that one gets how it ended, and the rest is not asked."""
    with tempfile.TemporaryDirectory(prefix="oracle-") as folder:
        file = Path(folder, "cases.jsonl")
        file.write_text("".join(f"{line(case)}\n" for case in cases))
        ended = run(file)
    found = ended.out
    if ended.code != 0 and len(found) < len(cases):
        return [*found, f"ended {ended.code}: {ended.err.strip()}"]
    if len(found) != len(cases) or ended.code != 0:
        raise RuntimeError(f"{len(cases)} cases got {len(found)} answers and an end with {ended.code}: {ended.err.strip()}")
    return found


def differences(cases: list[Row]) -> list[Difference]:
    """The cases with another answer than the right one."""
    found = []
    for number, (case, told) in enumerate(zip(cases, said(cases), strict=False)):
        right = line(answer(case))
        if told != right:
            found.append(Difference(number, case, told, right))
    return found
