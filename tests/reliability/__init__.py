"""The figures of what survives what, kept by the commands that found them: ``build/reliability/NAME.json``, one a campaign.

``python -m tests.reliability`` writes ``firmware_notes/reliability.md`` from those files; nobody types a figure there. What a campaign
leaves and what its command ends with is one verdict: its file says from its first moment that it did not end, until it has.
"""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / ("reliability-of-tests" if "PYTEST_CURRENT_TEST" in os.environ else "reliability")
"""A campaign's command that a test calls, and perhaps breaks off, leaves the real figures alone."""
NOT_ENDED = "did not end"


@dataclass
class Campaign:
    """What a campaign found. ``wrong``: in words, empty when all is well."""

    figures: dict[str, object] = field(default_factory=dict)
    wrong: str = ""

    def amiss(self, words: str) -> None:
        """One thing more that is wrong; empty words are none."""
        self.wrong = "; ".join(filter(None, [self.wrong, words]))

    @property
    def code(self) -> int:
        """What the command has to end with."""
        return 1 if self.wrong else 0


@contextmanager
def campaign(name: str, title: str, *, kept: bool = True, command: Sequence[str] = ()) -> Iterator[Campaign]:
    """Around a campaign: its file says ``NOT_ENDED`` until the block has come to its end, whatever becomes of this process.

    Not ``kept``: a part of a campaign, or one of another kind, that leaves no figures; the verdict is the same.
    """
    found = Campaign()
    began = time.monotonic()

    def keep(wrong: str) -> None:
        if kept:
            record(name, title, found.figures, wrong, command=command, seconds=time.monotonic() - began)

    keep(NOT_ENDED)
    try:
        yield found
    except BaseException as error:
        # The words of the error are not kept: they may be anybody's.
        keep("; ".join(filter(None, [f"{NOT_ENDED}: {type(error).__name__}", found.wrong])))
        raise
    keep(found.wrong)


def record(
    name: str, title: str, figures: Mapping[str, object], wrong: str = "", *, command: Sequence[str] = (), seconds: float = 0.0
) -> Path:
    """Keep what a campaign found under ``name``. ``command``: as it was called, by default this process's own. Gives the file."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    called = " ".join(command) or own_command()
    kept = {
        "title": title,
        "command": called,
        "when": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": _commit(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "seconds": round(seconds, 1),
        "figures": dict(figures),
        "wrong": wrong,
    }
    path = FOLDER / f"{name}.json"
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    fresh.replace(path)
    return path


def own_command() -> str:
    """This process's command as a person types it."""
    main = sys.modules["__main__"].__spec__
    module = "" if main is None else f"-m {main.name.removesuffix('.__main__')} "
    return f"python {module}{' '.join(sys.argv[1:])}".strip()


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
