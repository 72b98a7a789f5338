"""What is written down of an attempt: its medium, and what only some sales have."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.events import MediumPresented

TEST = "TEST"
"""The mark of a test fuelling (meter_tests.py)."""


@dataclass(frozen=True, slots=True)
class MediumRef:
    """The medium of an attempt, as far as it may be written down."""

    token: str
    last4: str
    medium: str
    trust: str
    sealed: str | None = None


@dataclass(frozen=True, slots=True)
class SaleExtra:
    """What only some sales have. ``second``: the second card, with its account; ``marks``: answers that were taken though they were not
    believed; ``most_ml``: more than this the distance since the last reading does not explain."""

    second: MediumRef | None = None
    second_account: str | None = None
    marks: tuple[str, ...] = ()
    most_ml: int | None = None


def medium_ref(medium: MediumPresented, token: str, sealed: str | None) -> MediumRef:
    """A medium as it may be written down."""
    last4 = medium.number[-4:] if len(medium.number) > 10 else medium.number[-3:]
    return MediumRef(token=token, last4=last4, medium=medium.kind.value, trust=medium.trust.value, sealed=sealed)
