"""What was committed, against what a start finds in the file: nothing of it may be missing, and nothing may have become something else."""

from __future__ import annotations

import msgspec

from terminal.store.ledger import Ledger
from tests.simulation.journal_facts import Broken, Facts, fact_of

_ENCODER = msgspec.json.Encoder(order="deterministic")


class Durable:
    """The facts that the engine said were durable, folded. At a start only the rows since the last start are read: older ones have been
    compared then, and the end of a run reads every row once more.
    """

    def __init__(self) -> None:
        self.facts = Facts()
        self._head = (0, b"")  # number and hash of the newest row that was committed
        self._compared = 0  # rows up to this one were found as they were committed
        self._since: list[object] = []  # what was committed behind it

    def add(self, fact: object) -> None:
        """This was committed. Raises ``Broken`` when it cannot follow on what is there."""
        self.facts.add(fact)
        self._since.append(fact)

    def wrote(self, head: tuple[int, bytes]) -> None:
        """The newest row now."""
        self._head = head

    def check(self, ledger: Ledger) -> None:
        """A start: every row is there as it was committed, byte for byte; what is there besides is taken in. Raises ``Broken``."""
        seq, link = self._head
        if seq:
            row = ledger.connection.execute("SELECT hash FROM journal WHERE seq = ?", (seq,)).fetchone()
            if row is None or row[0] != link:
                raise Broken("durable", f"journal row {seq} was committed and is not there any more")
        select = "SELECT kind, body FROM journal WHERE seq > ? ORDER BY seq"
        rows = ledger.connection.execute(select, (self._compared,)).fetchall()
        if len(rows) < len(self._since):
            raise Broken("durable", f"{len(self._since)} facts were committed behind row {self._compared}, {len(rows)} are there")
        for place, fact in enumerate(self._since):
            if rows[place] != (type(fact).__name__, _ENCODER.encode(fact)):
                raise Broken("durable", f"row {self._compared + place + 1} is not the {type(fact).__name__} that was committed there")
        for kind, body in rows[len(self._since) :]:
            self.facts.add(fact_of(kind, body))
        self._compared, self._since = ledger.head[0], []
