"""Journal facts of the site's own people: technicians and persons in charge. (Facts of sales are in ``records``.)"""

from __future__ import annotations

from dataclasses import dataclass

from terminal.core.head_records import HeadSettled
from terminal.core.orders import OrderTaken


@dataclass(frozen=True, slots=True)
class MeterProved:
    """A prover's reading of a test, typed in by the technician. The deviation is the meter's volume less the prover's."""

    sale: str
    volume_ml: int
    prover_ml: int
    deviation_ml: int


SiteRecord = OrderTaken | MeterProved | HeadSettled
