"""The commissioning walk: a technician goes to every head, and what is configured is held against what hangs there. (features.md F64.)

It knows two partners only: pump lines that take the drivers' commands and tell their events, and a technician who is told what to do and
asked what he sees. Heads are taken as they are; what fails is written down and the walk goes on with the next. A measured delivery is let
go by a preset, its record is read before it is confirmed, and that it is under way stands in the report before it is released.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from drivers.commands import AuthorizeFuellingPoint, ConfirmFill, PumpCommand, ReadFill, ReadTotal, SetPrices, StopFuellingPoint
from drivers.events import (
    CommandFailed,
    DeviceEvent,
    FillReported,
    NozzleLifted,
    NozzleReturned,
    PricesReported,
    PumpAlarmed,
    PumpLineLost,
    PumpStatus,
    PumpStatusChanged,
    PumpSurveyed,
    TotalReported,
)
from terminal.commission_report import CheckedNozzle, CheckedPoint, Outcome, Pending, Report, Step, litres, price_text
from terminal.commission_steps import Act, Instruction, Line, Question, Technician, answers, of_nozzle, prices
from terminal.core.units import cost_of

SURVEY_MS = 15_000
ANSWER_MS = 15_000
LIFT_MS = 120_000
DELIVER_MS = 600_000
STOP_MS = 5_000
RESOLUTION_ML = 10
SETTLE_MS = 5_000
SKIP = "skip"
YES = ("yes", "y")
_FINISHED = (PumpStatus.COMPLETED, PumpStatus.LIMIT_REACHED)
_FLOWING = (PumpStatus.AUTHORIZED, PumpStatus.FILLING, PumpStatus.SUSPENDED)

Found = TypeVar("Found")


class Stuck(Exception):
    """A head does not do what the next step needs."""


class Skipped(Exception):
    """The technician leaves this out."""


class Walk:
    """Goes through everything in a report that is not OK yet. ``save`` is called after each step."""

    def __init__(
        self, report: Report, line: Line, technician: Technician, save: Callable[[], None], *, decimals: int, volume_ml: int
    ) -> None:
        """``decimals``: of the currency. ``volume_ml``: what is delivered for measuring."""
        self.report = report
        self.line = line
        self.technician = technician
        self.save = save
        self.decimals = decimals
        self.volume_ml = volume_ml
        self._status: dict[int, PumpStatus] = {}
        self._out: dict[int, int | None] = {}

    def run(self, only: Sequence[int] = ()) -> None:
        """Everything, or these fuelling points; the emergency stop comes last."""
        points = [point for point in self.report.points if not only or point.fp in only]
        for point in points:
            if any(step.outcome is not Outcome.OK for step in point.steps[:-1]):
                self._point(point)
        if any(point.steps[-1].outcome is not Outcome.OK for point in points):
            self._emergency_stop([point for point in points if point.steps[-1].outcome is not Outcome.OK])

    def leave(self) -> None:
        """End in the middle: whatever was released is stopped, and its record stays for the next walk."""
        pending = self.report.pending
        if pending is not None:  # whatever was last heard: the release may be on its way
            self.line.submit(StopFuellingPoint(pending.fp))
            self._until(pending.fp, lambda event: event if self._status.get(pending.fp) in _FINISHED else None, STOP_MS)

    # --- one fuelling point -------------------------------------------------------------------------------------------------------

    def _point(self, point: CheckedPoint) -> None:
        steps = {step.name: step for step in point.steps}
        if not self._try(steps[answers(point.fp)], lambda: self._answers(point)):
            return
        if not self._try(steps[prices(point.fp)], lambda: self._prices(point)):
            return
        for nozzle in point.nozzles:
            mine = [steps[name] for name in of_nozzle(point.fp, nozzle.nozzle)]
            if any(step.outcome is not Outcome.OK for step in mine):
                self._nozzle(point, nozzle, *mine)

    def _try(self, step: Step, look: Callable[[], str]) -> bool:
        """Take a step: what it returns was seen and is right. What was right before is looked at again, because heads change."""
        try:
            step.outcome, step.seen, step.why = Outcome.OK, look(), ""
        except Stuck as error:
            step.outcome, step.seen, step.why = Outcome.FAILED, "", str(error)
        except Skipped:
            step.outcome, step.seen, step.why = Outcome.SKIPPED, "", "left out by the technician"
        self.save()
        return step.outcome is Outcome.OK

    def _answers(self, point: CheckedPoint) -> str:
        fp = point.fp
        if fp not in self._status:
            self._until(fp, lambda event: event if isinstance(event, PumpSurveyed) else None, SURVEY_MS)
        status = self._status.get(fp)
        if status is None:
            raise Stuck("the head does not answer")
        if status in _FLOWING:
            raise Stuck(f"the head is {status.value}: fuel may flow, end that first")
        if status is PumpStatus.SWITCHED_OFF:
            raise Stuck("the head is switched off")
        if status in _FINISHED:
            self._settle_finished(point)
        return f"at rest, it said {status.value}"

    def _settle_finished(self, point: CheckedPoint) -> None:
        """A record is kept: our own is read and confirmed; anybody else's is the terminal's to book."""
        pending = self.report.pending
        if pending is None or pending.fp != point.fp:
            raise Stuck("the head keeps the record of a fill: start the terminal once, so that it is booked")
        self._take_record(point)

    def _prices(self, point: CheckedPoint) -> str:
        nozzles = sorted(point.nozzles, key=lambda each: each.nozzle)
        told = self._do(SetPrices(point.fp, tuple(each.price for each in nozzles)), PricesReported)
        shown = [(each, price) for each, price in zip(nozzles, told.prices, strict=False) if price is not None]
        for nozzle, price in shown:
            if price != nozzle.price:
                raise Stuck(f"the head shows {price_text(price)} for nozzle {nozzle.nozzle}, not {price_text(nozzle.price)}")
        if self._status.get(point.fp) in _FINISHED:  # it had no prices and was not programmed: it comes up with an empty record
            fill = self._do(ReadFill(point.fp), FillReported)
            if fill.volume_ml:
                raise Stuck(f"the head keeps the record of {litres(fill.volume_ml)} l: start the terminal once, so that it is booked")
            self._confirm(point.fp)
        return ", ".join(f"nozzle {nozzle.nozzle} {price_text(price)}" for nozzle, price in shown) or "taken; each is seen at its lift"

    # --- one nozzle -----------------------------------------------------------------------------------------------------------------

    def _nozzle(self, point: CheckedPoint, nozzle: CheckedNozzle, lift: Step, price: Step, volume: Step, amount: Step, total: Step) -> None:
        shown: list[int | None] = []
        if self._try(lift, lambda: self._lift(point, nozzle, shown)) and self._try(price, lambda: self._price(point.fp, nozzle, shown[0])):
            self._measure(point, nozzle, volume, amount, total)
        self._hang_up()

    def _lift(self, point: CheckedPoint, nozzle: CheckedNozzle, shown: list[int | None]) -> str:
        text = f"Lift the nozzle of {nozzle.product} at fuelling point {point.fp} (nozzle {nozzle.nozzle})."
        self.technician.tell(Instruction(Act.LIFT, point.fp, nozzle.nozzle, text))
        found = self._until(None, lambda event: event if isinstance(event, NozzleLifted) else None, LIFT_MS)
        if found is None:
            raise Stuck("no nozzle was reported")
        if (found.fp, found.nozzle) != (point.fp, nozzle.nozzle):
            raise Stuck(f"nozzle {found.nozzle} of fuelling point {found.fp} reports: products, cables or addresses are mixed up")
        shown.append(found.price)
        return f"nozzle {found.nozzle} of fuelling point {found.fp} reports"

    def _price(self, fp: int, nozzle: CheckedNozzle, told: int | None) -> str:
        if told is not None and told != nozzle.price:
            raise Stuck(f"the head tells {price_text(told)}, not {price_text(nozzle.price)}: look at price_decimals")
        name = f"fp {fp} nozzle {nozzle.nozzle} price"
        read = self._number(Question(name, "What does the dispenser's display show as the price of a litre?"), 4)
        if read != nozzle.price:
            raise Stuck(f"the display shows {price_text(read)}, not {price_text(nozzle.price)}: look at price_decimals")
        return f"display {price_text(read)}, told on the line {'nothing' if told is None else price_text(told)}"

    def _measure(self, point: CheckedPoint, nozzle: CheckedNozzle, volume: Step, amount: Step, total: Step) -> None:
        """A small delivery into a measuring can: display, record, price and totaliser have to tell one story."""
        record: list[FillReported] = []
        moved: list[int] = []

        def deliver() -> str:
            before = self._do(ReadTotal(point.fp, nozzle.nozzle), TotalReported).volume_ml
            record.append(self._deliver(point, nozzle))
            moved.append(self._do(ReadTotal(point.fp, nozzle.nozzle), TotalReported).volume_ml - before)
            name = f"fp {point.fp} nozzle {nozzle.nozzle} volume"
            read = self._number(Question(name, "What does the display show as the volume?"), 3)
            told = record[0].volume_ml
            if read != told:
                raise Stuck(f"the display shows {litres(read)} l, the head tells {litres(told)} l: look at volume_decimals")
            return f"{litres(told)} l"

        def charged() -> str:
            name = f"fp {point.fp} nozzle {nozzle.nozzle} amount"
            read = self._number(Question(name, "What does the display show as the amount?"), self.decimals)
            told, reckoned = record[0].amount_minor, cost_of(record[0].volume_ml, nozzle.price, self.decimals)
            if read != told:
                raise Stuck(f"the display shows {read}, the head tells {told} (smallest coins): look at amount_decimals")
            if abs(told - reckoned) > 1:
                raise Stuck(f"{litres(record[0].volume_ml)} l at {price_text(nozzle.price)} are {reckoned}, not {told} (smallest coins)")
            return f"{told} in the smallest coin, as reckoned"

        def counted() -> str:
            if abs(moved[0] - record[0].volume_ml) > RESOLUTION_ML:
                raise Stuck(f"the totaliser moved by {litres(moved[0])} l, the record says {litres(record[0].volume_ml)} l")
            return f"moved by {litres(moved[0])} l"

        self._try(volume, deliver)
        if record and moved:
            self._try(amount, charged)
            self._try(total, counted)

    def _deliver(self, point: CheckedPoint, nozzle: CheckedNozzle) -> FillReported:
        name = f"fp {point.fp} nozzle {nozzle.nozzle} ready"
        ask = f"{litres(self.volume_ml)} l will be released. Is the nozzle in the measuring can? (yes)"
        if self._answer(Question(name, ask)).lower() not in YES:
            raise Skipped
        self.report.pending = Pending(point.fp, nozzle.nozzle)
        self.save()
        prices = tuple(each.price for each in sorted(point.nozzles, key=lambda each: each.nozzle))
        self.line.submit(AuthorizeFuellingPoint(point.fp, nozzle.nozzle, self.volume_ml, None, prices))
        text = f"Deliver {litres(self.volume_ml)} l into the measuring can until the head stops by itself, then hang up."
        self.technician.tell(Instruction(Act.DELIVER, point.fp, nozzle.nozzle, text, self.volume_ml))
        try:
            over = self._until(point.fp, lambda event: event if self._is_over(point.fp, event) else None, DELIVER_MS)
        except Stuck:
            self.report.pending = None  # the head did not take the release, and the driver has made certain that it keeps none
            raise
        if over is None:
            self.leave()
        if self._out.get(point.fp) is not None:  # the last drops; some heads tell that it hangs only when the record is confirmed
            self._until(point.fp, lambda event: event if isinstance(event, NozzleReturned) else None, SETTLE_MS)
        return self._take_record(point)

    def _is_over(self, fp: int, event: DeviceEvent) -> bool:
        if isinstance(event, CommandFailed) and event.command == AuthorizeFuellingPoint.__name__:
            raise Stuck(f"the head was not released: {event.why}")
        return self._status.get(fp) in _FINISHED

    def _take_record(self, point: CheckedPoint) -> FillReported:
        """The record of our own delivery: read, noted, and only then confirmed."""
        fill = self._do(ReadFill(point.fp), FillReported)
        point.delivered_ml += fill.volume_ml
        self.save()
        self._confirm(point.fp)
        self.report.pending = None
        self.save()
        if not fill.volume_ml:
            raise Stuck("nothing flowed")
        return fill

    def _confirm(self, fp: int) -> None:
        if self._status.get(fp) is PumpStatus.RESET:
            return
        self.line.submit(ConfirmFill(fp))
        if self._until(fp, lambda event: event if self._status.get(fp) is PumpStatus.RESET else None, ANSWER_MS) is None:
            raise Stuck("the head keeps its record")

    def _hang_up(self) -> None:
        """Everything, before anything else is lifted."""
        for _ in self._events(0):
            pass  # what has been told and not looked at yet
        out = [(place, number) for place, number in self._out.items() if number is not None]
        for place, number in out:
            self.technician.tell(Instruction(Act.HANG_UP, place, number, f"Hang up nozzle {number} of fuelling point {place}."))
            self._until(place, lambda event: event if isinstance(event, NozzleReturned) else None, LIFT_MS)

    # --- the emergency stop -----------------------------------------------------------------------------------------------------------

    def _emergency_stop(self, points: list[CheckedPoint]) -> None:
        self.technician.tell(Instruction(Act.PRESS, None, None, "Press the emergency stop of the site."))
        told: dict[int, str] = {}
        for event in self._events(STOP_MS):
            if isinstance(event, PumpAlarmed | PumpLineLost):
                told.setdefault(event.fp, event.alarm if isinstance(event, PumpAlarmed) else "its line is lost")
        for point in points:
            self._try(point.steps[-1], lambda point=point: self._dead(point.fp, told))  # type: ignore[misc]
        self.technician.tell(Instruction(Act.RESET, None, None, "Reset the emergency stop."))
        for _ in self._events(STOP_MS):
            pass  # heads come up again, and what is seen of them counts

    def _dead(self, fp: int, told: dict[int, str]) -> str:
        question = Question(f"fp {fp} emergency stop", f"Is fuelling point {fp} dead: motor off, nothing can flow? (yes or no)")
        if self._answer(question).lower() not in YES:
            raise Stuck("fuel could flow in spite of the emergency stop")
        return f"dead; the head tells {told.get(fp, 'nothing on its line')}"

    # --- asking -----------------------------------------------------------------------------------------------------------------------

    def _answer(self, question: Question) -> str:
        said = self.technician.ask(question).strip()
        if said.lower() == SKIP:
            raise Skipped
        return said

    def _number(self, question: Question, decimals: int) -> int:
        said = self._answer(question).replace(",", ".")
        match = re.fullmatch(r"([0-9]{1,9})(?:\.([0-9]*))?", said)
        part = (match[2] or "").rstrip("0") if match is not None else ""
        if match is None or len(part) > decimals:
            raise Stuck(f"{said[:20]!r} is no number with at most {decimals} decimals")
        whole: int = int(match[1]) * 10**decimals
        return whole + int(part.ljust(decimals, "0") or 0)

    def _do(self, command: PumpCommand, wanted: type[Found]) -> Found:
        """Tell a head and wait for its word. Raises Stuck."""
        self.line.submit(command)
        name = type(command).__name__

        def heard(event: DeviceEvent) -> Found | None:
            if isinstance(event, CommandFailed) and event.command == name:
                raise Stuck(event.why)
            return event if isinstance(event, wanted) else None

        found = self._until(command.fp, heard, ANSWER_MS)
        if found is None:
            raise Stuck(f"no answer to {name}")
        return found

    def _until(self, fp: int | None, wanted: Callable[[DeviceEvent], Found | None], limit_ms: int) -> Found | None:
        for event in self._events(limit_ms):
            if fp is None or getattr(event, "fp", None) == fp:
                found = wanted(event)
                if found is not None:
                    return found
        return None

    def _events(self, limit_ms: int) -> Iterator[DeviceEvent]:
        """Every event goes past here once: what it says of states and nozzles is kept."""
        for event in self.line.events(limit_ms):
            match event:
                case PumpSurveyed(fp, status, nozzle):
                    self._status[fp], self._out[fp] = status, nozzle
                case PumpStatusChanged(fp, status):
                    self._status[fp] = status
                case PumpLineLost(fp):
                    self._status.pop(fp, None)
                    self._out.pop(fp, None)
                case NozzleLifted(fp, nozzle):
                    self._out[fp] = nozzle
                case NozzleReturned(fp):
                    self._out[fp] = None
            yield event
