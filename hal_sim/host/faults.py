"""How the simulated host may misbehave on the wire, settable while it runs.

Source: firmware_notes/host-api.md, section "Faults of the server".
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Faults:
    """All off at first. Each field is read once per call, so a change takes effect at the next one."""

    delay_ms: int = 0
    """The call is booked at once and its answer is held back this long."""
    delay_before_ms: int = 0
    """The call waits this long before it is booked: later calls may overtake it."""
    lose_answers: bool = False
    """The call is booked and the connection dropped without an answer."""
    always_500: bool = False
    """Nothing is booked, every call is answered with 500."""
    garbage: bool = False
    """Nothing is booked, every call is answered 200 with a page that is no JSON, as a captive portal does."""
    drip_ms: int = 0
    """The answer's body comes byte by byte with this pause between two."""
    cut_after: int = 0
    """The connection breaks after so many bytes of a body that has more (0: never)."""

    def clear(self) -> None:
        """Everything off."""
        self.delay_ms = self.delay_before_ms = self.drip_ms = self.cut_after = 0
        self.lose_answers = self.always_500 = self.garbage = False
