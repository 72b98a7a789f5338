"""The figures of what survives what, kept by the commands that found them: ``build/reliability/NAME.json``, one a campaign.

``python -m tests.reliability`` writes ``firmware_notes/reliability.md`` from those files; nobody types a figure there.
"""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "reliability"


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
    path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return path


def own_command() -> str:
    """This process's command as a person types it."""
    main = sys.modules["__main__"].__spec__
    module = "" if main is None else f"-m {main.name.removesuffix('.__main__')} "
    return f"python {module}{' '.join(sys.argv[1:])}".strip()


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
