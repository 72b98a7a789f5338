"""``pytest -p tests.cost``: behind the tests, the processor time of each file, heaviest first, with that of the children it has waited for.

``make test`` has to stay below 20 minutes on two cores. Wall time says little on a busy machine; this tells which file to look at.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Generator

import pytest

NAME = "processor_s"
SHOWN = 25
FILES: Counter[str] = Counter()
"""Processor milliseconds by file."""


def _used() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Set the clock of a test to zero."""
    item.stash[BEGAN] = _used()
    return (yield)


BEGAN = pytest.StashKey[float]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """At its end, write on the report what it took: that goes from a worker to who counts."""
    if call.when == "teardown":
        item.user_properties.append((NAME, _used() - item.stash[BEGAN]))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Sum up."""
    if report.when == "teardown":
        file = report.nodeid.partition("::")[0]
        FILES[file] += round(1000 * sum(float(str(value)) for name, value in report.user_properties if name == NAME))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell it."""
    terminalreporter.section(
        f"processor time: {sum(FILES.values()) / 60_000:.1f} min in {len(FILES)} files, {time.process_time():.0f} s here"
    )
    for file, spent_ms in FILES.most_common(SHOWN):
        terminalreporter.write_line(f"{spent_ms / 1000:8.1f} s  {file}")
