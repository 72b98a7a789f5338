"""Ledgers that take their time to be examined: the pumps are asked meanwhile, and people do what they do."""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.workload import fork

LONGEST_MS = 4_000


def examination(seed: int, tell: Callable[[str], None]) -> Callable[[], int]:
    """How long each start of this seed's terminal takes, in milliseconds: no time in most seeds, any in a quarter of them."""
    rng = fork(seed, "examination")
    slow = not rng.randrange(4)

    def took() -> int:
        if not slow or rng.randrange(2):
            return 0
        tell("power: ledger examined for long")
        return rng.randint(1, LONGEST_MS)

    return took
