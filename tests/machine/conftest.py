"""One forecourt and one saved machine for the whole run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.machine.image import image
from tests.machine.site import Site


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """The first machine is booted, every other resumes from its saved state."""
    made = Site(image())
    yield made
    made.close()
