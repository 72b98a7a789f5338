"""A run that leaves tests out says so, as it would to a user who is not root."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOBODY = "import os\nos.geteuid = lambda: 1000\n"


def _run(tmp_path: Path, *arguments: str) -> list[str]:
    (tmp_path / "nobody.py").write_text(NOBODY, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    environment.pop("PYTEST_ADDOPTS", None)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "nobody", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip().splitlines()


def test_without_root_the_service_s_tests_do_not_run_and_the_last_lines_say_so(tmp_path: Path) -> None:
    lines = _run(tmp_path, "tests/service")
    (told,) = [line for line in lines if line.startswith("NOT RUN: ")]
    left_out = int(lines[-1].partition(" skipped")[0])
    assert left_out > 5
    assert f"{left_out} of tests/service (a container needs root)" in told
    assert lines[-2] == told, "before pytest's own closing line"


def test_what_runs_whole_says_nothing(tmp_path: Path) -> None:
    assert not any("NOT RUN" in line for line in _run(tmp_path, "tests/core/test_texts.py"))
