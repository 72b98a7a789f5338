"""All steps of the behaviour language as one pytest plugin: whoever plays features loads it.

Each step reads its words first (``Unclear`` when it cannot), then acts or looks; so the check before a play can run all of them in a world
where nothing happens. PYTEST_DONT_REWRITE (there is no bare assert here)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.behaviour import (
    badge_steps,
    batch_steps,
    card_steps,
    commission_steps,
    explain_steps,
    givens,
    host_thens,
    identification_steps,
    ledger_steps,
    office_steps,
    order_steps,
    price_steps,
    thens,
    whens,
)
from tests.behaviour.stage import Stage
from tests.behaviour.world import Setup, World

_MODULES = (
    *(givens, whens, thens, host_thens, batch_steps, office_steps, ledger_steps, order_steps, price_steps, commission_steps),
    *(card_steps, badge_steps, identification_steps, explain_steps),
)
pytest_plugins = [module.__name__ for module in _MODULES]


@pytest.fixture
def stage(make_world: Callable[[Setup], World]) -> Iterator[Stage]:
    """One scenario's stage; ``make_world`` comes from whoever plays."""
    playing = Stage(make_world)
    try:
        yield playing
    finally:
        playing.close()
