"""What did not run says so: one loud line before pytest's closing one, or a run without the service would look like one with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

SKIPPED = "Skipped: "


def not_run(skipped: Iterable[Any]) -> str:
    """How many tests of which folder did not run, and why; "" when every one ran. ``skipped``: pytest's reports of them."""
    why: Counter[tuple[str, str]] = Counter()
    for report in skipped:
        told = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        why[report.nodeid.partition("::")[0].rpartition("/")[0], told.removeprefix(SKIPPED)] += 1
    if not why:
        return ""
    parts = [f"{count} of {folder or 'the run'} ({reason})" for (folder, reason), count in sorted(why.items())]
    return f"NOT RUN: {sum(why.values())} tests, so what they show is not shown. {'; '.join(parts)}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """See ``not_run``."""
    line = not_run(terminalreporter.stats.get("skipped", ()))
    if line:
        terminalreporter.write_line(line, red=True, bold=True)
