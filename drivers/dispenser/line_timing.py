"""The timing and patience that every polled pump line has, whatever its protocol. All times are milliseconds.

Reference dispenser-protocols 1.6, 3.3 and rule 6 of section 8: each of them is a setting, because sites, adapters and heads differ.
"""

from __future__ import annotations

from dataclasses import dataclass


def between(owner: object, **limits: tuple[int, int]) -> None:
    """Raises ValueError for the first attribute of ``owner`` that is outside its limits, both inclusive."""
    for name, (low, high) in limits.items():
        value = getattr(owner, name)
        if not low <= value <= high:
            raise ValueError(f"{name} must be {low} to {high}, not {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LineTiming:
    """What a polled line needs to know of time. Raises ValueError for values that cannot work.

    ``frame_gap_ms`` is the longest silence inside a frame; ``babble_limit_ms`` bounds how long a line that never falls silent can hold the
    master back. ``lost_poll_turns``: while positions are lost, one of them is asked after so many turns of the living ones, because asking
    it costs a whole answer window in which nobody else can be heard.
    """

    baudrate: int
    bits_per_byte: int
    turn_round_ms: int = 35  # quiet before a request
    answer_window_ms: int
    frame_gap_ms: int
    babble_limit_ms: int
    misses_until_lost: int = 5
    lost_poll_turns: int = 24
    effect_limit_ms: int = 3_000  # from a command to the status that proves its effect
    live_interval_ms: int = 1_000
    noise_report_ms: int = 1_000

    def check(self, baudrates: tuple[int, ...], shortest_window_ms: int) -> None:
        """Raises ValueError for values that cannot work on this protocol's lines."""
        if self.baudrate not in baudrates:
            raise ValueError(f"baudrate must be one of {', '.join(map(str, baudrates))}, not {self.baudrate}")
        between(
            self,
            bits_per_byte=(9, 12),
            turn_round_ms=(0, 1_000),
            answer_window_ms=(shortest_window_ms, 5_000),
            frame_gap_ms=(2, 1_000),
            babble_limit_ms=(self.frame_gap_ms, 10_000),
            misses_until_lost=(1, 100),
            lost_poll_turns=(1, 1_000),
            effect_limit_ms=(200, 60_000),
            live_interval_ms=(200, 60_000),
            noise_report_ms=(0, 3_600_000),
        )

    def transmit_ms(self, size: int) -> int:
        """How long so many bytes take on the wire, rounded up."""
        return -(-size * self.bits_per_byte * 1000 // self.baudrate)
