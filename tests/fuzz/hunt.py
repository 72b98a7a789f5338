"""Runs inputs through a surface, holds each to its bounds, makes one that breaks it small, and keeps it in a file.

Bounds: no error but the declared ones, two seconds an input, memory a sampled input and growth of the process a surface.
"""

from __future__ import annotations

import hashlib
import logging
import resource
import signal
import threading
import time
import traceback
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import FrameType

from tests.fuzz.surface import ROOT, Broken, Surface

FOLDER = ROOT / "build" / "fuzz"
LIMIT_S = 2.0
"""Longest time of one input."""
PEAK_BYTES = 8 << 20
"""Most memory of one input; every ``SAMPLED``th is measured."""
GROWTH_KIB = 64 << 10
"""Most growth of the process over one surface."""
SAMPLED = 250
SHRINK_TRIES = 3_000
SHRINK_S = 20.0


class TooSlow(BaseException):
    """An input's time is over. No ``Exception``: nothing on the way may take it for an error of its own."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one input. ``kind``: "accepted", "refused", or what went wrong and where, the same for the same fault."""

    kind: str
    why: str = ""
    seconds: float = 0.0

    @property
    def bad(self) -> bool:
        """It is a finding."""
        return self.kind not in ("accepted", "refused")


@dataclass(frozen=True, slots=True)
class Finding:
    """An input that broke something, as small as it could be made."""

    surface: str
    outcome: Outcome
    data: bytes
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of a surface. ``finding``: the first one, at which it stopped."""

    surface: str
    inputs: int
    refused: int
    accepted: int
    slowest_ms: float
    seconds: float
    finding: Finding | None = None


@contextmanager
def watched(limit_s: float = LIMIT_S) -> Iterator[Callable[[bool], None]]:
    """The alarm that ends an input's time, and no log lines. Outside the main thread the time is only looked at afterwards."""
    main = threading.current_thread() is threading.main_thread()
    logging.disable(logging.CRITICAL)

    def ring(number: int, frame: FrameType | None) -> None:
        raise TooSlow

    def arm(on: bool) -> None:
        if main:
            signal.setitimer(signal.ITIMER_REAL, limit_s if on else 0)

    before = signal.signal(signal.SIGALRM, ring) if main else None
    try:
        yield arm
    finally:
        arm(False)
        if main:
            signal.signal(signal.SIGALRM, before)
        logging.disable(logging.NOTSET)


def outcome(surface: Surface, data: bytes, arm: Callable[[bool], None], limit_s: float = LIMIT_S) -> Outcome:
    """Hand one input to its surface."""
    began = time.monotonic()
    try:
        arm(True)
        kind, why = ("accepted" if surface.feed(data) else "refused"), ""
        arm(False)
    except TooSlow:
        kind, why = "too slow", f"not done after {limit_s:.0f} s"
    except surface.refusals:
        kind, why = "refused", ""
    except Broken as error:
        kind, why = f"Broken: {error}", str(error)
    except Exception as error:  # noqa: BLE001 - whatever else comes out is what is looked for
        kind, why = _where(error), f"{type(error).__name__}: {error}"
    finally:
        arm(False)
    seconds = time.monotonic() - began
    if seconds >= limit_s and kind in ("accepted", "refused"):
        kind, why = "too slow", f"{seconds:.1f} s"
    return Outcome(kind, why, seconds)


def _where(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = Path(last.filename)
    return f"{type(error).__name__} at {place.relative_to(ROOT) if place.is_relative_to(ROOT) else place.name}:{last.lineno}"


def weighed(surface: Surface, data: bytes, arm: Callable[[bool], None]) -> Outcome:
    """The same with an eye on memory."""
    tracemalloc.start()
    try:
        found = outcome(surface, data, arm, LIMIT_S)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    if not found.bad and peak > PEAK_BYTES:
        return Outcome("too much memory", f"{peak >> 10} KiB for an input of {len(data)} bytes", found.seconds)
    return found


def hunt(surface: Surface, inputs: int, seed: int, progress: Callable[[int], None] = lambda done: None) -> Tally:
    """So many inputs, up to the first that breaks something. The same seed makes the same ones."""
    dice = Random(f"{surface.name} {seed}")
    began, size = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    counts = {"accepted": 0, "refused": 0}
    slowest = 0.0
    with watched() as arm:
        for number in range(inputs):
            data = surface.make(dice)
            ask = weighed if number % SAMPLED == SAMPLED - 1 else outcome
            found = ask(surface, data, arm)
            if found.kind == "too slow":
                found = outcome(surface, data, arm)  # the machine may have been busy: only twice is a finding
            slowest = max(slowest, found.seconds)
            if found.bad:
                return _tally(surface, number + 1, counts, slowest, began, smallest(surface, data, found, arm, ask))
            counts[found.kind] += 1
            if number % 256 == 0:
                progress(number)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - size
    finding = None
    if grown > GROWTH_KIB:
        finding = Finding(surface.name, Outcome("growth", f"the process grew by {grown >> 10} MiB over {inputs} inputs"), b"")
    return _tally(surface, inputs, counts, slowest, began, finding)


def _tally(surface: Surface, inputs: int, counts: dict[str, int], slowest: float, began: float, finding: Finding | None) -> Tally:
    return Tally(surface.name, inputs, counts["refused"], counts["accepted"], slowest * 1000, time.monotonic() - began, finding)


def smallest(
    surface: Surface,
    data: bytes,
    found: Outcome,
    arm: Callable[[bool], None],
    ask: Callable[[Surface, bytes, Callable[[bool], None]], Outcome] = outcome,
) -> Finding:
    """Take out halves, quarters and so on down to single units, as long as the same thing goes wrong."""
    tries, end = (SHRINK_TRIES if found.seconds < 0.1 else 12), time.monotonic() + SHRINK_S
    unit = surface.unit
    size = max(unit, len(data) // 2 // unit * unit)
    while data and tries > 0 and time.monotonic() < end:
        at, shorter = 0, False
        while at < len(data) and tries > 0:
            less = data[:at] + data[at + size :]
            tries -= 1
            if ask(surface, less, arm).kind == found.kind:
                data, shorter = less, True
            else:
                at += size
        if size == unit and not shorter:
            break
        size = max(unit, size // 2 // unit * unit)
    return Finding(surface.name, found, data)


def kept(finding: Finding, folder: Path = FOLDER) -> Finding:
    """The finding with its input in a file whose name tells the surface."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{finding.surface}-{hashlib.sha256(finding.data).hexdigest()[:12]}.bin"
    file.write_bytes(finding.data)
    return Finding(finding.surface, finding.outcome, finding.data, file)
