"""Several addresses of a line told as one fuelling point: the hoses of an AZT head, twin and satellite nozzles.

Reference dispenser-protocols 3.2 (every hose has an address of its own) and 8, rules 2 and 5; features F39, F40. Each part goes on being
the position that it is; here their words are put together, and commands go to the part that they concern, a stop to every part. A point
can be told to release one nozzle only while all its parts rest, because a sale has one nozzle. Records that several parts keep are read
and confirmed one after another, each by its own nozzle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from drivers.commands import AuthorizeFuellingPoint, ConfirmFill, PumpCommand, ReadFill, ReadTotal, SetPrices, StopFuellingPoint
from drivers.dispenser.line_position import LinePosition, Post
from drivers.events import (
    CommandFailed,
    FillProgressed,
    FillReported,
    NozzleLifted,
    NozzleReturned,
    PricesReported,
    PumpEvent,
    PumpLineLost,
    PumpStatus,
    PumpStatusChanged,
    PumpSurveyed,
    TotalReported,
)

_RANK = (
    PumpStatus.FILLING,
    PumpStatus.SUSPENDED,
    PumpStatus.AUTHORIZED,
    PumpStatus.LIMIT_REACHED,
    PumpStatus.COMPLETED,
    PumpStatus.SWITCHED_OFF,
    PumpStatus.NOT_PROGRAMMED,
    PumpStatus.RESET,
)
"""Which part's status is the point's: what flows before what is to be read, that before what is out of use."""
_BUSY = _RANK[:5]
_KEPT = (PumpStatus.LIMIT_REACHED, PumpStatus.COMPLETED)
"""A record is kept, to be read and then confirmed."""


@dataclass(slots=True, eq=False)
class _Part:
    """One address. ``own``: the point's logical nozzle → the number by which this address knows it."""

    own: Mapping[int, int]
    position: LinePosition | None = None
    status: PumpStatus | None = None
    nozzle: int | None = None
    price: int | None = None
    lifted: int = 0  # the order in which nozzles came up
    prices: tuple[int | None, ...] | None = None  # answered to the SetPrices under way

    def logical(self, own: int) -> int:
        return next((nozzle for nozzle, number in self.own.items() if number == own), own)


class JointPoint:
    """One fuelling point over several positions. ``post`` takes its events; the positions post into ``listener``."""

    def __init__(self, fp: int, nozzles: Sequence[Mapping[int, int]], post: Post) -> None:
        """``nozzles``: for each part the point's logical nozzles and their numbers there. Raises ValueError when two have one nozzle."""
        flat = [nozzle for own in nozzles for nozzle in own]
        if len(flat) != len(set(flat)) or not all(nozzles):
            raise ValueError(f"fuelling point {fp}: two of its addresses share a nozzle, or one has none")
        self.fp = fp
        self._post = post
        self._parts = [_Part(own) for own in nozzles]
        self._surveyed = False
        self._told: PumpStatus | None = None
        self._nozzle: int | None = None
        self._active: _Part | None = None
        self._read: _Part | None = None  # whose record was asked for last
        self._lifts = 0
        self._failed: set[str] = set()

    def listener(self, place: int) -> Post:
        """Where the part of this place posts its events."""
        part = self._parts[place]
        return lambda event: self._heard(part, event)

    def join(self, place: int, position: LinePosition) -> None:
        """The position of this place; to be told before anything else."""
        self._parts[place].position = position

    # --- commands ---------------------------------------------------------------------------------------------------------

    def targets(self, command: PumpCommand) -> list[tuple[LinePosition, PumpCommand]]:
        """Who is to be told what, in order. Nobody, when it cannot be: then ``CommandFailed`` has been posted."""
        self._failed.discard(type(command).__name__)
        if not self._surveyed and not isinstance(command, StopFuellingPoint):
            return self._refuse(command, "the position is not connected")
        match command:
            case AuthorizeFuellingPoint():
                return self._release(command)
            case StopFuellingPoint():
                # Also to what rests and to what is lost: only the part itself knows what is under way at it or answers by now.
                return self._to(self._parts, command)
            case ReadFill():
                return self._read_fill(command)
            case ConfirmFill():
                read = self._read
                return self._to([read if read is not None and read.status in _KEPT else self._spokesman], command)
            case ReadTotal():
                part = self._of(command.nozzle)
                if part is None:
                    return self._refuse(command, f"no nozzle {command.nozzle}")
                return self._to([part], replace(command, nozzle=part.own[command.nozzle]))
            case SetPrices():
                return self._set_prices(command)

    def _release(self, command: AuthorizeFuellingPoint) -> list[tuple[LinePosition, PumpCommand]]:
        part = self._of(command.nozzle)
        if part is None:
            return self._refuse(command, f"no nozzle {command.nozzle}")
        busy = [other for other in self._parts if other is not part and other.status is not PumpStatus.RESET]
        if busy:
            return self._refuse(command, f"nozzle {min(busy[0].own)} of the same point is {_named(busy[0].status)}, not reset")
        prices = self._prices_of(part, command.prices)
        if prices is None:
            return self._refuse(command, f"{len(command.prices)} prices for {sum(len(each.own) for each in self._parts)} nozzles")
        return self._to([part], replace(command, nozzle=part.own[command.nozzle], prices=prices))

    def _read_fill(self, command: ReadFill) -> list[tuple[LinePosition, PumpCommand]]:
        if command.nozzle is None:
            self._read = self._spokesman
            return self._to([self._read], command)
        part = self._of(command.nozzle)
        if part is None:
            return self._refuse(command, f"no nozzle {command.nozzle}")
        self._read = part
        if part.status not in _BUSY:
            # This hose has lost its record, or another one's is meant. A head at rest may tell its fill before, which was read already.
            self._post(FillReported(self.fp, 0, 0))
            return []
        return self._to([part], replace(command, nozzle=part.own[command.nozzle]))

    def _set_prices(self, command: SetPrices) -> list[tuple[LinePosition, PumpCommand]]:
        told: list[tuple[LinePosition, PumpCommand]] = []
        for part in self._parts:
            prices = self._prices_of(part, command.prices)
            if prices is None:
                return self._refuse(command, f"{len(command.prices)} prices for {sum(len(each.own) for each in self._parts)} nozzles")
            told += self._to([part], replace(command, prices=prices))
        for part in self._parts:
            part.prices = None
        return told

    def _prices_of(self, part: _Part, prices: tuple[int, ...]) -> tuple[int, ...] | None:
        """The prices of this part's own nozzles, in its own order; the point's are those of its nozzles in order of their numbers."""
        numbers = sorted(nozzle for each in self._parts for nozzle in each.own)
        if len(prices) != len(numbers):
            return None
        by_nozzle = dict(zip(numbers, prices, strict=True))
        return tuple(by_nozzle[nozzle] for nozzle in sorted(part.own, key=lambda nozzle: part.own[nozzle]))

    def _to(self, parts: Sequence[_Part], command: PumpCommand) -> list[tuple[LinePosition, PumpCommand]]:
        return [(part.position, command) for part in parts if part.position is not None]

    def _refuse(self, command: PumpCommand, why: str) -> list[tuple[LinePosition, PumpCommand]]:
        self._post(CommandFailed(self.fp, type(command).__name__, why))
        return []

    @property
    def _spokesman(self) -> _Part:
        """Whose status the point tells."""
        return self._active or self._parts[0]

    def _of(self, nozzle: int) -> _Part | None:
        return next((part for part in self._parts if nozzle in part.own), None)

    # --- events -----------------------------------------------------------------------------------------------------------

    def _heard(self, part: _Part, event: PumpEvent) -> None:
        match event:
            case PumpSurveyed(_, status, nozzle):
                part.status, part.price = status, None
                self._lift(part, nozzle, None)
                self._tell()
            case PumpLineLost(_, why):
                part.status = part.nozzle = self._read = None
                if self._surveyed or self._told is None:
                    self._surveyed, self._told, self._nozzle, self._active = False, PumpStatus.RESET, None, None
                    self._post(PumpLineLost(self.fp, why))
            case PumpStatusChanged(_, status):
                confirmed = part is self._read and part.status in _KEPT and status not in _BUSY
                part.status = status
                self._tell(next_record=confirmed)
            case NozzleLifted(_, nozzle, price):
                self._lift(part, nozzle, price)
                self._tell()
            case NozzleReturned():
                part.nozzle = None
                self._tell()
            case _:
                self._pass_on(part, event)

    def _pass_on(self, part: _Part, event: PumpEvent) -> None:
        """Events that do not change the point's picture."""
        match event:
            case CommandFailed(_, command, why):
                self._failure(command, why)
            case PricesReported(_, prices):
                part.prices = prices
                self._tell_prices()
            case TotalReported(_, nozzle, volume_ml):
                self._post(TotalReported(self.fp, part.logical(nozzle), volume_ml))
            case FillProgressed() if part is not self._spokesman:
                pass  # of a hose that the point's status does not speak of; its totaliser tells what flowed
            case FillReported() if part is not (self._read or self._spokesman):
                pass  # of a hose that was not asked, or asked before another one
            case _:
                self._post(event)

    def _lift(self, part: _Part, own: int | None, price: int | None) -> None:
        part.nozzle = None if own is None else part.logical(own)
        part.price = price
        self._lifts += 1
        part.lifted = self._lifts

    def _failure(self, command: str, why: str) -> None:
        """What several parts were told fails once."""
        if command in self._failed:
            return
        self._failed.add(command)
        self._post(CommandFailed(self.fp, command, why))

    def _tell_prices(self) -> None:
        if any(part.prices is None for part in self._parts):
            return
        shown: dict[int, int | None] = {}
        for part in self._parts:
            for nozzle, own in part.own.items():
                place = sorted(part.own.values()).index(own)
                shown[nozzle] = part.prices[place] if part.prices is not None and place < len(part.prices) else None
            part.prices = None
        self._post(PricesReported(self.fp, tuple(shown[nozzle] for nozzle in sorted(shown))))

    def _tell(self, *, next_record: bool = False) -> None:
        """Say what has changed for the whole: a return before the status, a lift behind it, as one position does.

        ``next_record``: one part's was confirmed; one that another part keeps is told of anew, else nobody would read it.
        """
        if any(part.status is None for part in self._parts):
            return
        busy = [part for part in self._parts if part.status in _BUSY]
        if self._active not in busy:
            self._active = min(busy, key=lambda part: _rank(part.status), default=None)
        status = (self._active or min(self._parts, key=lambda part: _rank(part.status))).status
        out = [part for part in self._parts if part.nozzle is not None]
        if self._active is not None:
            out = [part for part in out if part is self._active]
        up = max(out, key=lambda part: part.lifted, default=None)
        nozzle = None if up is None else up.nozzle
        if status is None:
            return
        if not self._surveyed:
            self._surveyed, self._told, self._nozzle = True, status, nozzle
            self._post(PumpSurveyed(self.fp, status, nozzle))
            return
        before, self._nozzle = self._nozzle, nozzle
        if before is not None and nozzle != before:
            self._post(NozzleReturned(self.fp, before))
        if status is not self._told or (next_record and status in _KEPT):
            self._told = status
            self._post(PumpStatusChanged(self.fp, status))
        if up is not None and nozzle is not None and nozzle != before:
            self._post(NozzleLifted(self.fp, nozzle, up.price))


def _rank(status: PumpStatus | None) -> int:
    return len(_RANK) if status is None else _RANK.index(status)


def _named(status: PumpStatus | None) -> str:
    return "unknown" if status is None else status.value
