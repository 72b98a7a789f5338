"""What the host's office does on the rig beyond blocking: it corrects sales and closes places, over the forecourt's pipe."""

from __future__ import annotations

from collections.abc import Callable

from tests.behaviour import ledger_view
from tests.behaviour.setup import Setup
from tests.behaviour.world import Correction, GivenOrder
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

    def order(self, order: GivenOrder) -> str | None:
        """At the site by the command line, as a person in charge types it; or through the host."""
        status = self._terminal.status() or {"faults": []}
        on = [str(fault["subject"]) for fault in status["faults"] if fault["code"] == order.fault]
        answers = [self._give(order, subject) for subject in ([None] if order.fault is None else on or ["nothing"])]
        return next((answer for answer in answers if answer is not None), None)

    def _give(self, order: GivenOrder, subject: str | None) -> str | None:
        if order.by_host:
            said = {"fuelling_point": order.fuelling_point, "code": order.fault, "subject": subject}
            about = {name: value for name, value in said.items() if value is not None}
            self._heard(self._forecourt.do("order", order=order.kind, by="operator", **about)["event"])
            return None
        words = {"stop_point": "stop", "acknowledge_fault": "acknowledge", "reset_emergency_stop": "reset-emergency-stop"}
        about_it = [str(each) for each in (order.fuelling_point, order.fault, subject) if each is not None]
        done = self._terminal.call(words[order.kind], *about_it, "--by", "manager", "--why", "said by the scenario")
        return None if done.returncode == 0 else done.stderr.strip() or f"exit code {done.returncode}"

    def _all_ended(self) -> bool:
        with self._ledger.reading() as db:
            return ledger_view.all_ended(db)

    def _heard(self, event: int) -> None:
        status = self._terminal.status()
        if status is not None and status.get("host") == "reachable":
            self._wait(lambda: str(event) in self._forecourt.do("host")["acks"], HEARD_MS)
