"""A small part of each campaign; ``make nightly`` runs them at length."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.endurance.__main__ import campaigns
from tests.endurance.soak import Report, soak
from tests.endurance.starts import fill, measure, restart_ms
from tests.endurance.world import Used

pytestmark = pytest.mark.rig

KILLS = 50


def test_fifty_kills_lose_and_double_nothing() -> None:
    done = list(campaigns(KILLS, seed=random.Random(6).randrange(1000), jobs=2))
    assert [report.wrong for report in done] == [""] * len(done)
    assert sum(report.kills for report in done) == KILLS
    assert sum(report.sold_ml for report in done) > 0, "nobody fuelled, so nothing was shown"


def test_a_short_time_at_full_load_ends_with_books_that_agree() -> None:
    report = soak(seed=1, minutes=0.4)
    assert report.wrong == ""
    assert report.fuellings > 0
    assert len(report.looks) >= 3


def test_what_grows_is_told() -> None:
    report = Report(30)
    report.looks = [(120.0 + 10 * place, Used(60_000 + 60 * place, 50, 12 + place // 90)) for place in range(160)]
    assert report.judge() == "7680 KiB more than at the start; 13 threads, 12 at the start"
    report.looks = [(at, Used(60_000 + 500 * (place % 2), 50, 12)) for place, (at, _) in enumerate(report.looks)]
    assert report.judge() == ""


def test_starts_and_deaths_are_timed(tmp_path: Path) -> None:
    report = measure(tmp_path, cards=2_000, rows=300, starts=2)
    assert report.rows >= 300
    assert len(report.ready_ms) == len(report.empty_ms) == len(report.safe_ms) == len(report.full_safe_ms) == 2
    assert min(report.ready_ms + report.safe_ms) > 0
    assert min(report.safe_ms + report.full_safe_ms) >= restart_ms(), "the service manager's wait is in it"


def test_a_full_folder_has_what_was_asked_for(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    assert fill(state, cards=1_000, rows=90) >= 90
    assert {"ledger.db", "cards-e1-1.db"} <= {path.name for path in state.iterdir()}
