"""Wrong PINs of the last hours are found again at a start and the older ones are not."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from terminal.core.pin_desk import WINDOW_MS
from terminal.core.reasons import Reason
from terminal.core.records import Refused, TotalRead
from terminal.store.ledger import Ledger, Stamp
from terminal.store.recovery import recover

pytestmark = pytest.mark.usefixtures("ledger_kind")

NOW = 1_790_000_000_000


@pytest.mark.parametrize("seed", range(12))
def test_exactly_those_of_the_window_newest_first(tmp_path: Path, seed: int) -> None:
    rng = Random(seed)
    times = sorted(NOW - rng.randint(0, rng.choice([2, 4, 40]) * WINDOW_MS) for _ in range(rng.choice([0, 1, 2, 40, 41])))
    ledger = Ledger(tmp_path / "ledger.db")
    wrong: list[int] = []
    for utc in times:
        reason = rng.choice([Reason.PIN_WRONG, Reason.PIN_WRONG, Reason.CARD_BLOCKED])
        wrong += [utc] * (reason is Reason.PIN_WRONG)
        ledger.commit(Stamp(utc, "trusted"), [Refused(1, reason.value, None, None), TotalRead(1, 1, 0)], [])
    newest = times[-1] if times else 0
    expected = [utc for utc in reversed(wrong) if utc >= newest - WINDOW_MS]
    assert recover(ledger, "OPT1", "boot").pin_wrong == expected
    ledger.close()
