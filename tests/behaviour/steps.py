"""All steps of the behaviour language as one pytest plugin: whoever plays features loads it.

Each step reads its words first (``Unclear`` when it cannot), then acts or looks; so the check before a play can run all of them in a world
where nothing happens. PYTEST_DONT_REWRITE (there is no bare assert here)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.behaviour import givens, host_thens, thens, whens
from tests.behaviour.stage import Stage
from tests.behaviour.world import Setup, World

pytest_plugins = [givens.__name__, whens.__name__, thens.__name__, host_thens.__name__]


@pytest.fixture
def stage(make_world: Callable[[Setup], World]) -> Iterator[Stage]:
    """One scenario's stage; ``make_world`` comes from whoever plays."""
    playing = Stage(make_world)
    try:
        yield playing
    finally:
        playing.close()
