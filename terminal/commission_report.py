"""The report of a commissioning walk: what was to be checked, what was found, and a hash that says that nobody has touched it since.

It is also the walk's memory: written whole after every step, read again when the walk goes on. (features.md F64.)
"""

from __future__ import annotations

import hashlib
import os
from enum import Enum
from pathlib import Path

import msgspec

FORMAT = 1


class Outcome(Enum):
    """What became of a step."""

    OPEN = "open"  # nobody has come to it
    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


class Result(Enum):
    """Of the whole walk. OK means that every step of every fuelling point is."""

    OK = "OK"
    FAILED = "FAILED"
    INCOMPLETE = "INCOMPLETE"


class Step(msgspec.Struct, forbid_unknown_fields=True):
    """One thing that is checked. ``seen``: what was found; ``why``: what is wrong with it."""

    name: str
    outcome: Outcome = Outcome.OPEN
    seen: str = ""
    why: str = ""


class CheckedNozzle(msgspec.Struct, forbid_unknown_fields=True):
    """What the nozzle is meant to be. ``price``: 1/10000 of the major unit per litre."""

    nozzle: int
    product: str
    price: int


class CheckedPoint(msgspec.Struct, forbid_unknown_fields=True):
    """A fuelling point as it was configured when its steps were taken. ``head``: where it is and how it counts, in words."""

    fp: int
    head: str
    nozzles: list[CheckedNozzle]
    steps: list[Step]
    delivered_ml: int = 0


class Pending(msgspec.Struct, forbid_unknown_fields=True):
    """A measured delivery that was released and whose record is not confirmed yet."""

    fp: int
    nozzle: int


class Report(msgspec.Struct, forbid_unknown_fields=True):
    """Everything. ``sha256`` is of the rest, as canonical JSON."""

    format: int
    terminal: str
    site: str
    version: str
    technician: str = ""
    date: str = ""
    points: list[CheckedPoint] = []
    pending: Pending | None = None
    result: Result = Result.INCOMPLETE
    sha256: str = ""

    def steps(self) -> list[Step]:
        """All of them, in the order of the walk."""
        return [step for point in self.points for step in point.steps]

    def judge(self) -> Result:
        """What the steps make of it: nothing that was left out is OK."""
        outcomes = {step.outcome for step in self.steps()}
        if Outcome.FAILED in outcomes:
            return Result.FAILED
        return Result.OK if outcomes == {Outcome.OK} and self.pending is None else Result.INCOMPLETE

    def content_hash(self) -> str:
        """SHA-256 over everything but the hash itself."""
        return hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(self, sha256=""), order="sorted")).hexdigest()

    def lines(self) -> list[str]:
        """For people."""
        text = [f"Commissioning of terminal {self.terminal} at site {self.site}, program {self.version}"]
        text.append(f"by {self.technician or 'nobody'} on {self.date or 'no day'}")
        for point in self.points:
            text += ["", f"Fuelling point {point.fp}: {point.head}"]
            text += [f"  nozzle {each.nozzle}: {each.product}, {price_text(each.price)} a litre" for each in point.nozzles]
            for step in point.steps:
                said = "; ".join(filter(None, (step.seen, step.why)))
                text.append(f"  {step.outcome.value.upper():8}{step.name}" + (f": {said}" if said else ""))
            if point.delivered_ml:
                text.append(f"  {litres(point.delivered_ml)} l were delivered by this walk; the terminal will show them as unattributed")
        return [*text, "", f"Result: {self.result.value}", f"SHA-256 of the content: {self.sha256}"]


class ReportError(Exception):
    """A report cannot be read or written; the text is for people."""


def read(path: Path) -> Report:
    """A report that was written before. Raises ReportError for one that is none, or that was changed since."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Report)
    except OSError as error:
        raise ReportError(f"{path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise ReportError(f"{path}: is no report of a commissioning ({error})") from error
    if found.format != FORMAT:
        raise ReportError(f"{path}: of another program's format {found.format}")
    if found.content_hash() != found.sha256 or found.result is not found.judge():
        raise ReportError(f"{path}: was changed after it was written")
    return found


def write(path: Path, report: Report) -> None:
    """Whole or not at all, with its text beside it. Raises ReportError."""
    report.result = report.judge()
    report.sha256 = report.content_hash()
    for target, data in (
        (path, msgspec.json.format(msgspec.json.encode(report), indent=2)),
        (path.with_suffix(".txt"), ("\n".join(report.lines()) + "\n").encode()),
    ):
        fresh = target.with_name(target.name + ".new")
        try:
            with fresh.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(target)
        except OSError as error:
            raise ReportError(f"{target}: {error.strerror}") from error


def litres(volume_ml: int) -> str:
    """``12.340``."""
    return f"{volume_ml // 1000}.{volume_ml % 1000:03d}"


def price_text(price: int) -> str:
    """``1.7290``."""
    return f"{price // 10_000}.{price % 10_000:04d}"
