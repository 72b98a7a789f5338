"""How the simulated host may misbehave on the wire, settable while it runs.

Source: firmware_notes/host-api.md, section "Faults of the server".
"""

from __future__ import annotations

from dataclasses import dataclass

ERRORS = {
    400: ("bad_request", "the host takes this for malformed"),
    403: ("unknown_terminal", "the host does not know this terminal"),
    404: ("not_found", "the host knows no such resource"),
    409: ("key_reuse", "the host says that this key came before with another body"),
    422: ("unknown_fields", "the host does not know a field"),
    500: ("internal", "out of order"),
}
"""What ``Faults.error`` may be. 400 is this contract's word for what ISO 8583 calls action code 904, a format error."""


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
    error: int = 0
    """Nothing is booked, every call is answered with this status and the contract's error for it, one of ``ERRORS`` (0: none)."""
    silent: bool = False
    """Nothing is booked, calls are taken and never answered; the connection stays until the caller gives it up."""
    garbage: bool = False
    """Nothing is booked, every call is answered 200 with a page that is no JSON, as a captive portal does."""
    drip_ms: int = 0
    """The answer's body comes byte by byte with this pause between two."""
    cut_after: int = 0
    """The connection breaks after so many bytes of a body that has more (0: never)."""

    def clear(self) -> None:
        """Everything off."""
        self.delay_ms = self.delay_before_ms = self.drip_ms = self.cut_after = self.error = 0
        self.lose_answers = self.always_500 = self.garbage = self.silent = False
