"""Four wires to the pumps: perfect, byte by byte, losing a twentieth, with noise and flipped bits. What each did is counted.

A world over one of them is named ``virtual/lossy``; ``tests/wires`` plays every feature of the pumps over each. Idle polls are not skipped
there: they are disturbed like everything else.
"""

from __future__ import annotations

from random import Random

from hal_sim.wire import FaultRates, Faults
from tests.virtual.line import VirtualLine

WIRES: dict[str, FaultRates] = {
    "perfect": FaultRates(),
    "bytewise": FaultRates(split=1_000_000),
    "lossy": FaultRates(drop=50_000),
    "noisy": FaultRates(flip=100_000, noise=100_000),
}
"""Parts per million of all transmissions, in each direction."""


class Counted(Faults):
    """Counts the transmissions that it was given and those that arrived otherwise."""

    def __init__(self, rates: FaultRates, rng: Random) -> None:
        super().__init__(rates, rng)
        self.carried = 0
        self.disturbed = 0

    def apply(self, data: bytes) -> list[bytes]:
        """See ``Faults``."""
        pieces = super().apply(data)
        self.carried += 1
        self.disturbed += pieces != [data]
        return pieces


class WireKind:
    """One kind of wire on all lines of a station."""

    def __init__(self, name: str, lines: list[VirtualLine]) -> None:
        """Raises ``KeyError`` for a wire that is not known."""
        self.name = name
        rates = WIRES[name]
        self._directions: dict[VirtualLine, tuple[Counted, Counted]] = {}
        for line in lines:
            line.leap = False
            down, up = Random(f"{name} {line.name} down"), Random(f"{name} {line.name} up")  # noqa: S311 - seeded faults
            self._directions[line] = Counted(rates, down), Counted(rates, up)
            self.restore(line)

    def restore(self, line: VirtualLine) -> None:
        """What this wire always does, behind something worse."""
        line.wire.set_faults(*self._directions[line])

    @property
    def carried(self) -> int:
        """Transmissions so far, both ways."""
        return sum(each.carried for pair in self._directions.values() for each in pair)

    @property
    def disturbed(self) -> int:
        """Those of them that did not arrive as they were sent, or not in one piece."""
        return sum(each.disturbed for pair in self._directions.values() for each in pair)

    def check(self) -> None:
        """Raises ``AssertionError`` when this wire did not do what it is there for: then the play over it showed nothing."""
        spoilt = self.name != "perfect"
        if not self.carried or (self.disturbed > 0) is not spoilt:
            raise AssertionError(f"the {self.name} wire disturbed {self.disturbed} of {self.carried} transmissions")
