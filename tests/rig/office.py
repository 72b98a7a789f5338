"""What the host's office does on the rig beyond blocking: it corrects sales and closes places, over the forecourt's pipe."""

from __future__ import annotations

from collections.abc import Callable

from tests.behaviour import ledger_view
from tests.behaviour.setup import Setup
from tests.behaviour.world import Correction
from tests.rig.books import LedgerCopy
from tests.rig.forecourt_client import ForecourtClient
from tests.rig.process import TerminalProcess

BOOKED_MS = 20_000
HEARD_MS = 5_000


class Office:
    """Acts, and lets a terminal that reaches the host hear of it."""

    def __init__(
        self,
        setup: Setup,
        forecourt: ForecourtClient,
        terminal: TerminalProcess,
        ledger: LedgerCopy,
        wait: Callable[[Callable[[], bool], int], bool],
    ) -> None:
        self._setup = setup
        self._forecourt = forecourt
        self._terminal = terminal
        self._ledger = ledger
        self._wait = wait

    def close(self, scope: str, name: str, *, closed: bool) -> None:
        """Close or open."""
        self._heard(self._forecourt.do("close" if closed else "open", scope=scope, name=name)["event"])

    def correct(self, correction: Correction) -> None:
        """Correct the last sale, once it has ended and the host has its record (one in doubt has none yet)."""
        if self._terminal.powered:
            self._wait(self._all_ended, BOOKED_MS)
        with self._ledger.reading() as db:
            said = ledger_view.corrections(db, self._setup, correction)
        if correction.kind != "settle":
            self._wait(lambda: any(sale["sale"] == said["sale"] for sale in self._forecourt.do("host")["sales"]), BOOKED_MS)
        self._forecourt.do("correct", publish=False, **said)
        self._heard(self._forecourt.do("host")["corrections"][-1]["event"])

    def _all_ended(self) -> bool:
        with self._ledger.reading() as db:
            return ledger_view.all_ended(db)

    def _heard(self, event: int) -> None:
        status = self._terminal.status()
        if status is not None and status.get("host") == "reachable":
            self._wait(lambda: str(event) in self._forecourt.do("host")["acks"], HEARD_MS)
