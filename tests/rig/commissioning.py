"""The commissioning walk on the rig: ``python -m terminal commission`` as its own process, and a technician who reads its lines."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.behaviour.walker import Walker
from tests.rig.process import ROOT, TerminalProcess


class WalkFailed(Exception):
    """The command ended as no walk ends."""


def walk(terminal: TerminalProcess, walker: Walker, report: Path) -> dict[str, Any]:
    """One walk to its end; the report as it stands in the file, with ``asked`` and ``code``."""
    command = terminal.command("commission", "--json", "--report", str(report))
    return converse(command, walker, report)


def converse(command: list[str], walker: Walker, report: Path) -> dict[str, Any]:
    """Play the technician to a command that speaks JSON lines."""
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        said, out = process.stdin, process.stdout
        if said is None or out is None or process.stderr is None:
            raise WalkFailed("no pipes")
        for line in out:
            fields = json.loads(line)
            if "do" in fields:
                walker.do(fields)
            elif "ask" in fields:
                said.write(walker.answer(fields["ask"]) + "\n")
                said.flush()
        errors = process.stderr.read()
        code = process.wait(120)
    if code not in (0, 1):
        raise WalkFailed(errors)
    return {**json.loads(report.read_bytes()), "asked": walker.asked, "code": code}
