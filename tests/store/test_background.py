"""Imports and backups are the first to be ended when the service's memory runs out: the kernel is told by themselves."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from terminal.store.background import FIRST_TO_GO

WAIT_S = 180.0


@pytest.mark.parametrize("module", ["terminal.store.card_import", "terminal.store.backup source folder encrypted"])
def test_it_says_so_before_it_begins(module: str) -> None:
    """Both wait for their standard input then."""
    with subprocess.Popen([sys.executable, "-m", *module.split()], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as child:
        try:
            until = time.monotonic() + WAIT_S
            while int(Path(f"/proc/{child.pid}/oom_score_adj").read_text()) != FIRST_TO_GO:
                assert time.monotonic() < until
                assert child.poll() is None
                time.sleep(0.02)
        finally:
            child.kill()
