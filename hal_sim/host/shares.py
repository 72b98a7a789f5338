"""What each terminal may take of a shared limit while nobody hears from it: grants, and how much of a limit is out on them.

Source: firmware_notes/host-api.md, section "Shares". Pure: keys are whatever names a limit, windows are the keys of ``windows``, amounts
are millilitres, minor units or counts, and an ``edition`` is the ordinal of a publication, which only grows.

A terminal takes from a share whatever it delivers above the share's watermark, decided by the host or not, and its holds count with it.
Of what it took offline the host knows nothing until the record is there. So an approval may only come out of a terminal's own share where
the host has the record of every sale before this one (``current``); any other approval comes on top of the share. Of one terminal never
more is to come than the larger of its share's rest and of the approvals out of it, and the approvals on top; over all terminals that and
what is booked stay within the limit, whatever is lost on the way, as long as nothing else gives anything away.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

Place = tuple[int, int]
"""Epoch and sequence of a terminal's sale."""


@dataclass(frozen=True, slots=True)
class Grant:
    """So much may be taken by sales above the watermark. Each that differs has a name of its own."""

    name: str
    amount: int
    watermark: Place


@dataclass(slots=True)
class _Slice:
    """One terminal, limit and window. ``given``: each grant that may be in force there, by the edition that brought it (None: no more)."""

    given: list[tuple[int, Grant | None]] = field(default_factory=list)
    own: dict[Place, int] = field(default_factory=dict)
    topped: set[Place] = field(default_factory=set)
    """Of these, the ones that an approval on top allowed."""
    heard: Place = (0, 0)
    """Every sale up to here is booked."""
    within: int = 0
    """Held for approvals out of the share."""
    on_top: int = 0

    def above(self, watermark: Place) -> int:
        """What the terminal surely counted above the watermark when it took what is not known here.

        A sale on top took nothing of the share, and a sale before it that is not known did not count it yet.
        """
        return sum(amount for place, amount in self.own.items() if place > watermark and (place not in self.topped or place <= self.heard))

    def out(self) -> int:
        """The most that may still be taken, by any grant that the terminal may be following."""
        return max(0, max((grant.amount - self.above(grant.watermark) for _, grant in self.given if grant is not None), default=0))

    def to_come(self) -> int:
        return max(self.out(), self.within) + self.on_top


class ShareBook:
    """All shares of a host, with what it holds of shared limits for its approvals."""

    def __init__(self) -> None:
        self._slices: dict[tuple[Hashable, str, str], _Slice] = {}
        self._fixed: dict[tuple[Hashable, str], int] = {}
        self._granted = 0
        self._applied: dict[str, int] = {}
        self._through: dict[str, dict[int, Place]] = {}

    def fix(self, key: Hashable, terminal: str, amount: int) -> None:
        """A terminal that this book hears nothing of has so much in every window, from now on."""
        self._fixed[key, terminal] = amount

    def _slice(self, key: Hashable, window: str, terminal: str) -> _Slice:
        return self._slices.setdefault((key, window, terminal), _Slice())

    def out(self, key: Hashable, window: str, terminal: str) -> int:
        """What this terminal may still take on its share, as far as anybody here can know: the largest of what it may believe."""
        if (key, terminal) in self._fixed:
            return self._fixed[key, terminal]
        found = self._slices.get((key, window, terminal))
        return 0 if found is None else found.out()

    def others(self, key: Hashable, window: str, terminal: str) -> int:
        """What the other terminals may still take, on their shares and on approvals: nobody else gets that."""
        told = sum(
            each.to_come() for (limit, when, name), each in self._slices.items() if (limit, when) == (key, window) and name != terminal
        )
        return told + sum(amount for (limit, name), amount in self._fixed.items() if limit == key and name != terminal)

    def kept_back(self, key: Hashable, window: str, terminal: str, *, current: bool) -> int:
        """What an approval for this terminal must leave, besides all holds: other terminals' part, and its own share unless ``current``."""
        found = self._slices.get((key, window, terminal))
        own = 0 if current or found is None else max(0, found.out() - found.within)
        return self.others(key, window, terminal) + own

    def hold(self, key: Hashable, window: str, terminal: str, amount: int, *, on_top: bool) -> None:
        """An approval may take so much; a negative amount gives that back."""
        found = self._slice(key, window, terminal)
        if on_top:
            found.on_top += amount
        else:
            found.within += amount

    def grant(
        self,
        key: Hashable,
        window: str,
        terminal: str,
        *,
        wanted: int,
        rest: int,
        watermark: Place,
        edition: int,
    ) -> Grant | None:
        """The share that the list of this edition has, None for none. ``rest``: the limit less what is booked, holds left aside.

        ``wanted`` is the whole share of the window: what the terminal took of it up to the watermark is taken off. It gets less where
        less is left. A lower share than before sets nothing free until ``settle`` knows that nothing is under way by the older one.
        """
        found = self._slice(key, window, terminal)
        above = found.above(watermark)
        before = sum(amount for place, amount in found.own.items() if place <= watermark)
        amount = max(0, min(wanted - before, rest - self.others(key, window, terminal) - found.on_top + above))
        last = found.given[-1][1] if found.given else None
        if last is not None and (last.amount, last.watermark) == (amount, watermark):
            return last
        if amount == 0:
            if last is not None:
                found.given.append((edition, None))
            return None
        self._granted += 1
        grant = Grant(f"G{self._granted}", amount, watermark)
        found.given.append((edition, grant))
        return grant

    def applied(self, terminal: str, edition: int) -> None:
        """The terminal follows this edition and will never go back behind it. See ``settle``."""
        self._applied[terminal] = max(edition, self._applied.get(terminal, 0))

    def follows(self, terminal: str, edition: int, through: Place) -> None:
        """By an older edition than this one it made no sale behind ``through``."""
        self._through.setdefault(terminal, {}).setdefault(edition, through)

    def settle(self, terminal: str, watermark: Place) -> None:
        """Every sale up to the watermark is booked: grants of older editions end where no sale by them can be unheard of any more."""
        for (_, _, name), found in self._slices.items():
            if name == terminal:
                found.heard = watermark
        told = self._through.get(terminal, {})
        over = [edition for edition, through in told.items() if edition <= self._applied.get(terminal, 0) and through <= watermark]
        if not over:
            return
        for (_, _, name), found in self._slices.items():
            if name == terminal:
                older = [each for each in found.given if each[0] <= max(over)]
                found.given = older[-1:] + found.given[len(older) :]
        for edition in [edition for edition in told if edition <= max(over)]:
            del told[edition]

    def grants(self, key: Hashable, window: str, terminal: str) -> list[Grant | None]:
        """What the terminal may be following, the oldest first; None stands for no share."""
        found = self._slices.get((key, window, terminal))
        return [] if found is None else [grant for _, grant in found.given]

    # --- the terminals' own sales ---------------------------------------------------------------------------------------

    def book(self, key: Hashable, window: str, terminal: str, place: Place, amount: int, *, on_top: bool = False) -> None:
        """A sale of this terminal is booked, and counts on its share, whoever decided it. ``on_top``: by an approval that was."""
        found = self._slice(key, window, terminal)
        found.own[place] = amount
        if on_top:
            found.topped.add(place)

    def correct(self, terminal: str, place: Place, counts: Mapping[Any, int]) -> None:
        """A sale counts so much from now on, by (key, window).

        What it adds where it did not count is left out: until the terminal has heard of that it may still take its whole share there.
        """
        for (key, window, name), found in self._slices.items():
            if name == terminal and place in found.own:
                found.own[place] = min(found.own[place], counts.get((key, window), 0))

    def forget(self, terminal: str, place: Place) -> None:
        """A booked sale was lost here."""
        for (_, _, name), found in self._slices.items():
            if name == terminal:
                found.own.pop(place, None)
