"""The same surfaces, guided by coverage: atheris (libFuzzer) where it is installed, which it need not be.

``python -m tests.fuzz.guided SURFACE INPUTS SEED`` is one surface in one process, as libFuzzer wants it; it begins with inputs of the
surface's own making. What breaks is the same as for the dice: an error that is not declared, two seconds, too much memory, a broken demand.
"""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.fuzz.surface import ROOT

CORPUS = ROOT / "build" / "fuzz" / "corpus"
FOUND = ROOT / "build" / "fuzz"
SEEDS = 200
LIMIT_S = 2
RSS_MIB = 512
LONGEST = 8_192
_COVERED = re.compile(r"cov: (\d+)")


@dataclass(frozen=True, slots=True)
class Guided:
    """What came of it. ``why`` "": nothing broke."""

    covered: int
    why: str


def run_guided(name: str, inputs: int, seed: int) -> Guided:
    """One surface in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.guided", name, str(inputs), str(seed)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    figures = _COVERED.findall(done.stderr)
    if done.returncode == 0:
        return Guided(int(figures[-1]) if figures else 0, "")
    told = [line for line in done.stderr.splitlines() if line.startswith(("ERROR", " === ", "SUMMARY", "Test unit")) or "Error" in line]
    return Guided(int(figures[-1]) if figures else 0, "; ".join(told[-4:]) or done.stderr[-300:])


def main(name: str, inputs: int, seed: int) -> None:
    """Does not return: libFuzzer ends the process."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["drivers", "terminal"]):
        surface = importlib.import_module("tests.fuzz.surfaces").SURFACES[name]
    corpus = CORPUS / name
    corpus.mkdir(parents=True, exist_ok=True)
    dice = Random(f"{name} {seed}")
    for number in range(SEEDS):
        (corpus / f"seed-{number}").write_bytes(surface.make(dice)[:LONGEST])

    def once(data: bytes) -> None:
        try:
            surface.feed(data)
        except surface.refusals:
            return

    words = [
        "tests.fuzz.guided", str(corpus), f"-runs={inputs}", f"-seed={seed + 1}", f"-timeout={LIMIT_S}", f"-rss_limit_mb={RSS_MIB}",
        f"-max_len={LONGEST}", f"-artifact_prefix={FOUND}/{name}-",
    ]  # fmt: skip
    atheris.Setup(words, once)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
