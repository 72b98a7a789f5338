"""The committed pages of the machines are what the tables say, and would be noticed if they were not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import diagrams


def test_the_committed_pages_are_fresh() -> None:
    assert diagrams.stale() == [], "run python -m tests.diagrams"


def test_a_changed_a_missing_and_a_foreign_page_are_noticed(tmp_path: Path) -> None:
    diagrams.write(tmp_path)
    assert diagrams.stale(tmp_path) == []
    (tmp_path / "sale.md").write_text((tmp_path / "sale.md").read_text(encoding="utf-8").replace("✓", "", 1), encoding="utf-8")
    (tmp_path / "session.md").unlink()
    (tmp_path / "teller.md").write_text("no machine\n", encoding="utf-8")
    assert diagrams.stale(tmp_path) == ["sale.md", "session.md", "teller.md"]


@pytest.mark.parametrize("name", diagrams.PAGES)
def test_a_page_has_every_state_every_event_and_every_move(name: str) -> None:
    grid, what = diagrams.PAGES[name]
    text = diagrams.page(grid, what)
    rows = {line.split(" | ")[0][2:]: line for line in text.splitlines() if line.startswith("| ")}
    assert set(rows) == {event.__name__ for event in grid.events} | {"event"}
    for event in grid.events:
        cells = rows[event.__name__].strip("| ").split(" | ")[1:]
        assert len(cells) == len(diagrams.states_of(grid))
        for state, cell in zip(diagrams.states_of(grid), cells, strict=True):
            targets = {rule.target.name for rule in grid.rules if rule.event is event and state in rule.sources and rule.target is not None}
            assert {word.rstrip("?") for word in cell.replace("→ ", "→").split() if word[0] == "→"} == {f"→{name}" for name in targets}
    for event, target in diagrams._moves(grid):
        for source in diagrams._sources(grid, event, target):
            drawn = any(
                line.strip().startswith(f"{source.name} --> {target.name} ") and event.__name__ in line for line in text.splitlines()
            )
            listed = any(
                line.startswith(f"- {event.__name__}: any state") and line.endswith(f"→ {target.value}") for line in text.splitlines()
            )
            assert drawn or listed, (event, source, target)
    assert "None" not in text


def test_the_pages_are_the_same_every_time() -> None:
    for grid, what in diagrams.PAGES.values():
        assert diagrams.page(grid, what) == diagrams.page(grid, what)
