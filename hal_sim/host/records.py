"""The host's own journal: every record in the order of its arrival, each sale once, with totals and gaps.

Source: firmware_notes/host-api.md, sections "Records" and "Exactly once".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hal_sim.host.usage import Shares


@dataclass(slots=True)
class Entry:
    """One booked record as it came, and what the host made of it. ``account`` is the account's token, None for an unknown card.

    ``instant_ms`` is the instant whose windows it counts in; ``shares`` is what it counts now, corrections included.
    """

    record: dict[str, Any]
    received_at_ms: int
    instant_ms: int
    account: str | None
    customer: str | None
    flags: tuple[str, ...]
    shares: Shares = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        """The record with the host's additions, as a copy."""
        return self.record | {
            "received_at_ms": self.received_at_ms,
            "account": self.account,
            "customer": self.customer,
            "flags": list(self.flags),
        }


@dataclass(slots=True)
class _Line:
    """One terminal's numbering in one epoch. ``above`` holds what came past a gap."""

    contiguous: int = 0
    heard: int = 0
    above: dict[int, Entry] = field(default_factory=dict)

    def close_up(self) -> None:
        """Takes in what is no more past a gap."""
        while self.contiguous + 1 in self.above:
            self.contiguous += 1
            del self.above[self.contiguous]


class Journal:
    """Append-only. Totals and the gap-free end of each numbering are kept as records come."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._by_sale: dict[str, Entry] = {}
        self._lines: dict[str, dict[int, _Line]] = {}
        self._totals: dict[tuple[int, int | None, str | None], tuple[int, int, int]] = {}
        self._waiting: dict[str, set[int]] = {}  # epochs behind a loss that nobody has confirmed yet

    def begin(self, terminal: str, epoch: int, first: int, *, damaged: bool) -> bool:
        """The terminal says where its epoch's numbers begin. True when that changes what lists tell of.

        Behind a loss of its ledger (``first`` above 1), and as long as nobody has confirmed that (``damaged``), lists tell of the epoch
        before: until then the terminal counts what it has of both.
        """
        if first == 1:
            return False
        line, waiting = self._line(terminal, epoch), self._waiting.setdefault(terminal, set())
        before = (line.contiguous, epoch in waiting)
        if line.contiguous < first - 1:
            line.contiguous = first - 1
            line.close_up()
        if damaged:
            waiting.add(epoch)
        else:
            waiting.clear()
        return before != (line.contiguous, epoch in waiting)

    def heard(self, terminal: str, epoch: int) -> int:
        """The highest number that was named in this epoch; 0 for none."""
        line = self._lines.get(terminal, {}).get(epoch)
        return 0 if line is None else line.heard

    def behind(self, terminal: str, epoch: int, after: int) -> list[Entry]:
        """The records of an epoch above this number, by their numbers."""
        found = [
            each
            for each in self.entries
            if each.record["terminal"] == terminal and each.record["epoch"] == epoch and each.record["sequence"] > after
        ]
        return sorted(found, key=lambda each: int(each.record["sequence"]))

    def _newest(self, terminal: str) -> int | None:
        epochs = self._lines.get(terminal, {}).keys() - self._waiting.get(terminal, set())
        return max(epochs, default=None)

    def _line(self, terminal: str, epoch: int) -> _Line:
        return self._lines.setdefault(terminal, {}).setdefault(epoch, _Line())

    def hear(self, terminal: str, epoch: int, sequence: int) -> None:
        """A sequence number was named in any call; from now on its record is expected."""
        line = self._line(terminal, epoch)
        line.heard = max(line.heard, sequence)

    def find(self, sale: str) -> Entry | None:
        """The booked record of this sale."""
        return self._by_sale.get(sale)

    def add(self, entry: Entry) -> None:
        """Books a record whose sale is not booked yet."""
        record = entry.record
        sale, sequence = record["sale"], record["sequence"]
        if sale in self._by_sale:
            raise ValueError("the sale is booked already")
        self.entries.append(entry)
        self._by_sale[sale] = entry
        line = self._line(record["terminal"], record["epoch"])
        line.heard = max(line.heard, sequence)
        line.above[sequence] = entry
        line.close_up()
        if record["quantity_ml"] > 0:
            key = (record["fuelling_point"], record["nozzle"], record["product"])
            volume, value, count = self._totals.get(key, (0, 0, 0))
            self._totals[key] = (volume + record["quantity_ml"], value + record["value_minor"], count + 1)

    def remove(self, sale: str) -> Entry:
        """Forgets a booked record as if it had never come. Raises ``KeyError`` for a sale that is not booked."""
        entry = self._by_sale.pop(sale)
        self.entries = [each for each in self.entries if each is not entry]
        record = entry.record
        sequence = record["sequence"]
        line = self._line(record["terminal"], record["epoch"])
        if line.above.pop(sequence, None) is None:
            for later in range(sequence + 1, line.contiguous + 1):
                line.above[later] = self._by_sale[f"{record['terminal']}-{record['epoch']}-{later}"]
            line.contiguous = sequence - 1
        if record["quantity_ml"] > 0:
            key = (record["fuelling_point"], record["nozzle"], record["product"])
            volume, value, count = self._totals.pop(key)
            if count > 1:
                self._totals[key] = (volume - record["quantity_ml"], value - record["value_minor"], count - 1)
        return entry

    def place(self, terminal: str) -> tuple[int, int]:
        """The terminal's newest epoch with its watermark."""
        return self._newest(terminal) or 1, self.watermark(terminal)

    def watermark(self, terminal: str) -> int:
        """The highest sequence up to which nothing is missing, in the terminal's newest epoch; 0 when nothing came."""
        newest = self._newest(terminal)
        return 0 if newest is None else self._lines[terminal][newest].contiguous

    def above_watermark(self, terminal: str) -> Iterator[Entry]:
        """Records of the newest epoch past a gap: booked, but still to be counted by the terminal itself."""
        newest = self._newest(terminal)
        late = [] if newest is None else list(self._lines[terminal][newest].above.values())
        for epoch in self._waiting.get(terminal, ()):
            late += self.behind(terminal, epoch, 0)
        return iter(late)

    def missing(self, terminal: str) -> list[tuple[int, int]]:
        """(epoch, sequence) of every number that was heard of, or lies below one, and has no record."""
        gaps = []
        for epoch, line in sorted(self._lines.get(terminal, {}).items()):
            gaps += [(epoch, number) for number in range(line.contiguous + 1, line.heard + 1) if number not in line.above]
        return gaps

    def totals(self) -> dict[tuple[int, int | None, str | None], tuple[int, int, int]]:
        """(millilitres, minor units, sales) per (fuelling point, nozzle, product)."""
        return dict(self._totals)
