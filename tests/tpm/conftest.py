"""A chip for a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tpm.chip import Chip


@pytest.fixture
def chip(tmp_path: Path) -> Iterator[Chip]:
    made = Chip(tmp_path / "chip")
    yield made
    made.off()
