"""The one clock under whatever the host says, reboots and drift: it never goes back, and no window opens twice (reference 10.4)."""

from __future__ import annotations

import ast
import inspect
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from terminal.core import clock as clock_module
from terminal.core.clock import HOLDOVER_AFTER_MS, LEAP_MS, ClockState, TerminalClock
from terminal.core.units import Instant, UtcMs
from terminal.core.windows import day_window, month_window

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
TRUE_START = 1_774_731_600_000  # 2026-03-28T21:00:00Z
ZONES = ("Europe/Paris", "Africa/Cairo", "America/Havana")


@dataclass
class Written:
    """What the ledger has of the time: the last anchor, its place on which boot's clock, and the newest time of any row."""

    anchor: UtcMs | None = None
    at: int = 0
    boot: int = 0
    newest: UtcMs | None = None


class Clock(RuleBasedStateMachine):
    """``true`` is the time; ``boot`` is the machine's boot-time clock; the host says the true time plus whatever error it has."""

    @initialize()
    def begin(self) -> None:
        self.true, self.boot, self.boots = TRUE_START, 1000, 1
        self.clock = TerminalClock()
        self.written = Written()
        self.told = 0
        self.spoke = False
        self.honest = True  # has the host never said a wrong time, and was no elapsed time lost?
        self.days: dict[str, list[str]] = {zone: [] for zone in ZONES}
        self.months: dict[str, list[str]] = {zone: [] for zone in ZONES}

    def now(self) -> UtcMs:
        return self.clock.utc(Instant(self.boot))

    @rule(by=st.sampled_from((1, 20, 5000, HOUR_MS, 25 * HOUR_MS, 40 * DAY_MS)), drift=st.integers(-20, 20))
    def time_passes(self, by: int, drift: int) -> None:
        """The boot clock is off by up to 20 parts in a million or so."""
        self.true += by
        self.boot += by + by * drift // 1_000_000

    @rule(error=st.sampled_from((0, 0, 0, -1, 1, -HOUR_MS, -DAY_MS, HOUR_MS, 31 * DAY_MS, -TRUE_START)), anchored=st.booleans())
    def host_speaks(self, error: int, anchored: bool) -> None:
        """Back an hour, a day, to 1970; on an hour, a month. One word alone never brings another hour to a clock that is proven."""
        before = self.now() if self.spoke else None
        said, proven = UtcMs(max(0, self.true + error)), self.clock.proven
        if self.clock.host_said(said, Instant(self.boot)):
            assert before == self.now()
            assert said - self.now() > LEAP_MS
            return
        self.spoke = True
        if proven and self.honest:
            assert error <= LEAP_MS
        self.honest = self.honest and error == 0
        assert self.clock.state(Instant(self.boot)) is ClockState.TRUSTED
        assert self.now() == (said if before is None else max(said, before))
        if anchored or self.written.anchor is None:
            self.written.anchor, self.written.at, self.written.boot = self.now(), self.boot, self.boots

    @rule()
    def a_row_is_written(self) -> None:
        if self.spoke:
            self.written.newest = UtcMs(max(self.now(), self.written.newest or 0))

    @rule(gone=st.sampled_from((0, 3000, HOUR_MS, 9 * DAY_MS)))
    def the_program_starts_again(self, gone: int) -> None:
        """The machine ran on: the boot clock proves how long it was, if the host spoke since the machine was switched on."""
        self.a_row_is_written()
        self.true += gone
        self.boot += gone
        self._restore()

    @rule(gone=st.sampled_from((3000, HOUR_MS, 9 * DAY_MS)))
    def the_power_was_off(self, gone: int) -> None:
        """Nothing is proved: ours goes on from the last time that was written."""
        self.a_row_is_written()
        self.true += gone
        self.boot = 500
        self.boots += 1
        self._restore()

    def _restore(self) -> None:
        """As ``terminal/store/recovery.py`` and ``Site.boot`` do it."""
        written, self.clock = self.written, TerminalClock()
        if written.anchor is None:
            return
        same = written.boot == self.boots
        self.honest = self.honest and same
        self.clock.restore(
            written.anchor if same else UtcMs(max(written.anchor, written.newest or 0)),
            Instant(written.at if same else self.boot),
            elapsed_known=same,
            contact=Instant(written.at) if same else None,
            newest=written.newest,
        )

    @invariant()
    def it_never_goes_back(self) -> None:
        if self.spoke:
            assert self.now() >= self.told
            self.told = self.now()

    @invariant()
    def no_window_opens_twice(self) -> None:
        if not self.spoke:
            return
        for zone in ZONES:
            for seen, key in ((self.days[zone], day_window(self.now(), zone).key), (self.months[zone], month_window(self.now(), zone).key)):
                if not seen or seen[-1] != key:
                    assert key not in seen
                    seen.append(key)

    @invariant()
    def nothing_is_believed_before_the_host_spoke(self) -> None:
        state = self.clock.state(Instant(self.boot))
        assert (state is ClockState.UNTRUSTED) is not self.spoke

    @precondition(lambda self: self.spoke and self.honest)
    @invariant()
    def with_an_honest_host_it_is_right_but_for_the_drift(self) -> None:
        assert abs(self.now() - self.true) <= 30 * 40 * DAY_MS * 20 // 1_000_000


TestClock = Clock.TestCase
TestClock.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2 * TRUE_START), st.integers(0, 400 * DAY_MS))
def test_a_day_after_the_last_contact_it_is_holdover_and_stays_so_after_a_power_cut(said: int, later: int) -> None:
    clock = TerminalClock()
    clock.host_said(UtcMs(said), Instant(1000))
    state = clock.state(Instant(1000 + later))
    assert state is (ClockState.TRUSTED if later <= HOLDOVER_AFTER_MS else ClockState.HOLDOVER)
    again = TerminalClock()
    again.restore(clock.utc(Instant(1000 + later)), Instant(5), elapsed_known=False, contact=None)
    assert again.state(Instant(5)) is ClockState.HOLDOVER
    assert again.utc(Instant(5)) == said + later


def test_no_clock_of_the_operating_system_is_looked_at() -> None:
    """The module imports nothing that could tell a time; so setting the system's clock can change nothing."""
    imported = {
        name.name.split(".")[0]
        for node in ast.walk(ast.parse(inspect.getsource(clock_module)))
        if isinstance(node, ast.Import)
        for name in node.names
    } | {
        (node.module or "").split(".")[0]
        for node in ast.walk(ast.parse(inspect.getsource(clock_module)))
        if isinstance(node, ast.ImportFrom)
    }
    assert imported == {"__future__", "collections", "dataclasses", "enum", "terminal"}


def test_the_environment_s_zone_changes_nothing() -> None:
    at = UtcMs(int(datetime(2026, 3, 28, 22, 30, tzinfo=UTC).timestamp()) * 1000)
    before = day_window(at, "Europe/Paris"), month_window(at, "Europe/Paris")
    old = os.environ.get("TZ")
    try:
        os.environ["TZ"] = "Pacific/Kiritimati"
        time.tzset()
        assert (day_window(at, "Europe/Paris"), month_window(at, "Europe/Paris")) == before
    finally:
        if old is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = old
        time.tzset()
