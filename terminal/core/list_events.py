"""What else came of a check of the lists; it needs ``events`` and so stands beside ``host_events``. From outside, as those."""

from __future__ import annotations

from dataclasses import dataclass

from terminal.core.events import HostTrouble


@dataclass(frozen=True, slots=True)
class ListsFailed:
    """A check of the lists had no usable answer; nothing was said against a list."""

    trouble: HostTrouble
    why: str
