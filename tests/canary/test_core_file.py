"""No core file, and nothing else that a crash leaves behind, has a PIN in it."""

from __future__ import annotations

from pathlib import Path

from tests.canary import core_file


def test_the_terminal_leaves_no_core_file_in_the_middle_of_a_pin() -> None:
    aborted = core_file.terminal()
    assert not aborted.dumped
    assert aborted.found == frozenset()
    assert aborted.searched >= 2


def test_an_abort_here_does_leave_one_and_the_search_finds_the_pin_in_it(tmp_path: Path) -> None:
    """The positive control. A kernel that hands core files to a program keeps them from this folder; then it says so itself."""
    aborted = core_file.naive(tmp_path)
    pattern = Path("/proc/sys/kernel/core_pattern").read_text(encoding="ascii")
    if pattern.startswith(("|", "/")):
        assert aborted.found == frozenset()
    else:
        assert aborted.dumped
        assert {one.kind for one in aborted.found} == {"pin"}
