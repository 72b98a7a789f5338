"""The commissioning walk in the virtual world: the real walk between the real line masters and a technician made of code."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from drivers.commands import PumpCommand
from drivers.events import DeviceEvent
from terminal import commission_report as reports
from terminal.commission_report import CheckedNozzle, CheckedPoint, Report
from terminal.commission_steps import Instruction, Question, steps_of
from terminal.commissioning import Walk
from terminal.core.point_config import PointConfig
from tests.behaviour.walker import Pumps, Walker
from tests.virtual.forecourt import Forecourt

VOLUME_ML = 5_000


class _Lines:
    """Every line, with masters of its own while the terminal has no power."""

    def __init__(self, station: Forecourt) -> None:
        self.station = station
        self.told: deque[Any] = deque()
        self.lines = set(station.lines.values())
        for line in self.lines:
            line.power_on(self.told.append)
            line.remember({})

    def close(self) -> None:
        for line in self.lines:
            line.power_off()

    def submit(self, command: PumpCommand) -> None:
        self.station.lines[command.fp].submit(command, self.station.heap.now)

    def events(self, limit_ms: int) -> Iterator[DeviceEvent]:
        heap = self.station.heap
        end = heap.now + limit_ms
        while True:
            while self.told:
                yield self.told.popleft()
            if heap.now >= end:
                return
            heap.run_until(end, lambda: bool(self.told))


class _Technician:
    def __init__(self, walker: Walker) -> None:
        self.walker = walker

    def tell(self, instruction: Instruction) -> None:
        found = {"do": instruction.act.value, "fp": instruction.fp, "nozzle": instruction.nozzle, "volume_ml": instruction.volume_ml}
        self.walker.do(found)

    def ask(self, question: Question) -> str:
        return self.walker.answer(question.name)


def walk(station: Forecourt, pumps: Pumps, points: Sequence[PointConfig], slips: Mapping[str, str], path: Path) -> dict[str, Any]:
    """One walk over everything that is not OK yet; the report as it stands in the file."""
    walker = Walker(pumps, slips)
    report = reports.read(path) if path.exists() else _fresh(points)
    lines = _Lines(station)
    try:
        technician = _Technician(walker)
        report.technician, report.date = walker.answer("technician"), walker.answer("date")
        Walk(report, lines, technician, lambda: reports.write(path, report), decimals=2, volume_ml=VOLUME_ML).run()
        reports.write(path, report)
    finally:
        lines.close()
    return {**msgspec.to_builtins(reports.read(path)), "asked": walker.asked}


def _fresh(points: Sequence[PointConfig]) -> Report:
    report = Report(reports.FORMAT, "OPT1", "S1", "virtual")
    for point in points:
        nozzles = [CheckedNozzle(each.nozzle, each.product, each.price) for each in point.nozzles]
        report.points.append(CheckedPoint(point.number, "in this process", nozzles, steps_of(point.number, nozzles)))
    return report
