"""Several plays at once: one process a feature file, a few at a time. For worlds in real time, where a play mostly waits."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from terminal.store.sqlite_kind import ledger_key

ROOT = Path(__file__).resolve().parents[2]
Told = dict[str, Any]
"""One scenario as ``--json`` writes it."""


def play_file(file: Path, world: str, built: bool = False, only: Sequence[str] = ()) -> list[Told]:
    """Play one file, or those scenarios of it, in a process of its own. Raises RuntimeError with its last words when it comes to no end."""
    with tempfile.TemporaryDirectory(prefix="play-") as folder:
        results = Path(folder) / "results.json"
        titles = [word for title in only for word in ("--only", title)]
        command = [sys.executable, "-m", "tests.play", str(file), "--world", world, "--json", str(results)]
        more = [*(["--built"] if built else []), *(["--encrypted"] if ledger_key() is not None else [])]
        done = subprocess.run([*command, *more, *titles], cwd=ROOT, capture_output=True, text=True, check=False)
        if not results.exists():
            raise RuntimeError(f"{file.name} could not be played: {(done.stderr or done.stdout).strip()[-2000:]}")
        scenarios: list[Told] = json.loads(results.read_text(encoding="utf-8"))["scenarios"]
        return scenarios


class Plays:
    """Plays these files, so many at a time, the first ones first. ``close`` waits for what has begun and begins nothing more."""

    def __init__(
        self, files: Sequence[Path], world: str, jobs: int, built: bool = False, only: Mapping[Path, Sequence[str]] | None = None
    ) -> None:
        """``only``: of a file that is named there these titles, else all."""
        self._pool = ThreadPoolExecutor(jobs)
        some = only or {}
        self.of: dict[Path, Future[list[Told]]] = {
            file: self._pool.submit(play_file, file, world, built, some.get(file, ())) for file in files
        }

    def outcomes(self) -> Iterator[Told]:
        """Every scenario, file by file as they end. Raises RuntimeError."""
        for future in as_completed(self.of.values()):
            yield from future.result()

    def close(self) -> None:
        """See the class."""
        self._pool.shutdown(cancel_futures=True)
