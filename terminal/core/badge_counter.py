"""The newest counter of a badge that signs its readings, as the journal holds it. What it is for: ``genuine``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BadgeCounter:
    """This badge (by its token) signed this counter and was believed; nothing at or below it is believed again."""

    token: str
    counter: int
