"""The pumps of a scenario and the lines that they hang on: Wayne DART and AZT 2.0, each protocol on lines of its own.

How the scenario says it: ``firmware_notes/rig.md``, "The scenario".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from hal_sim.dispensers.azt import ANSWER_DELAY_MS as AZT_DELAY_MS
from hal_sim.dispensers.azt import AztBus, AztHead, AztPosition, AztSettings
from hal_sim.dispensers.dart import ANSWER_DELAY_MS as DART_DELAY_MS
from hal_sim.dispensers.dart import DartBus, DartPosition
from hal_sim.dispensers.head import Head, HeadOptions
from hal_sim.scenario import CannotStart, Part
from hal_sim.wire import LineRate

DART_RATE = LineRate(9600, 11)
AZT_RATE = LineRate(4800, 11)
DEFAULT_ML_PER_MIN = 40_000
PROTOCOLS = ("dart", "azt")
HABITS = (
    "acks_and_does_nothing", "never_leaves_5", "keeps_prices", "reckons_wrong", "forgets_record", "runs_without_dose", "confirms_itself",
    "starts_with_flow", "hang_up_drops_release",
)  # fmt: skip
"""Attributes of the heads that make another, or a worse, head of them. The last five are those of AZT heads."""

_COMMON = ("volume_decimals", "amount_decimals", "price_decimals", "totals_decimals", "pulse_ml", "programmed", "paced", "answer_delay_ms")
_AZT = ("totals_digits", "totals_step_ml", "type", "no_flow_ms", "minimum_dose_ml")
_ROW = ("fp", "protocol", "nozzle", "product", "price", "minimum_ml", "address", "bus", "total_ml")


@dataclass(slots=True)
class Point:
    """One fuelling point: its head, where it sits on which line, and what its totalisers showed at the start."""

    fp: int
    protocol: str
    bus: int
    position: DartPosition | AztPosition
    start_ml: dict[int, int]
    products: dict[int, str]

    @property
    def head(self) -> Head:
        """The dispenser."""
        return self.position.head

    @property
    def port(self) -> str:
        """Name of the line."""
        return f"{self.protocol}{self.bus}"

    def describe(self) -> dict[str, Any]:
        """What a terminal needs in order to find it; on AZT lines each nozzle has an address."""
        position = self.position
        said = {"fp": self.fp, "port": self.port, "address": position.address, "nozzles": sorted(self.products)}
        if isinstance(position, AztPosition):
            said |= {"protocol": "azt", "addresses": {str(nozzle): address for nozzle, address in position.addresses.items()}}
        return said


@dataclass(frozen=True, slots=True)
class PumpLine:
    """One line: its name, the bus on it, and its speed, None for a line without any pacing."""

    name: str
    bus: DartBus | AztBus
    rate: LineRate | None


@dataclass(slots=True)
class Pumps:
    """All of them. ``points`` by number."""

    points: dict[int, Point] = field(default_factory=dict)
    lines: list[PumpLine] = field(default_factory=list)


def build_pumps(scenario: dict[str, Any], whole: Part) -> Pumps:
    """The pumps of a scenario. Raises CannotStart with the place of the mistake."""
    sections = {name: Part(name, scenario.get(name, {})) for name in PROTOCOLS}
    sections["dart"].only(*_COMMON, "require_preset")
    sections["azt"].only(*_COMMON, *_AZT)
    rows: dict[int, list[Part]] = {}
    given = scenario.get("fuelling_points", [])
    if not isinstance(given, list):
        raise CannotStart("scenario.fuelling_points: a list is expected")
    for index, row in enumerate(given):
        part = Part(f"fuelling_points[{index}]", row)
        part.only(*_ROW)
        rows.setdefault(part.whole("fp", None, 1, 99), []).append(part)
    pumps = Pumps()
    for fp, parts in rows.items():
        pumps.points[fp] = _point(fp, parts, whole, sections)
    for protocol, bus in sorted({(point.protocol, point.bus) for point in pumps.points.values()}):
        pumps.lines.append(_line(f"{protocol}{bus}", protocol, sections[protocol], pumps.points.values()))
    return pumps


def _line(name: str, protocol: str, section: Part, points: Iterable[Point]) -> PumpLine:
    mine = [point.position for point in points if point.port == name]
    azt = protocol == "azt"
    delay_ms = section.whole("answer_delay_ms", AZT_DELAY_MS if azt else DART_DELAY_MS, 0, 1000)
    try:
        if azt:
            bus: DartBus | AztBus = AztBus((each for each in mine if isinstance(each, AztPosition)), answer_delay_ms=delay_ms)
        else:
            bus = DartBus((each for each in mine if isinstance(each, DartPosition)), answer_delay_ms=delay_ms)
    except ValueError as error:
        raise CannotStart(f"fuelling_points: {error} of line {name}") from error
    rate = AZT_RATE if azt else DART_RATE
    return PumpLine(name, bus, rate if section.flag("paced", True) else None)


def _point(fp: int, parts: list[Part], whole: Part, sections: dict[str, Part]) -> Point:
    protocol = parts[0].text("protocol", "dart")
    if protocol not in PROTOCOLS or any(part.text("protocol", "dart") != protocol for part in parts):
        raise CannotStart(f"fuelling point {fp}: the protocol is one of {', '.join(PROTOCOLS)}, the same for all its nozzles")
    section = sections[protocol]
    products: dict[int, str] = {}
    prices: dict[int, int] = {}
    totals: dict[int, int] = {}
    for part in parts:
        nozzle = part.whole("nozzle", None, 1, 15)
        products[nozzle] = part.text("product", None)
        prices[nozzle] = part.whole("price", None, 0, 999_999)
        totals[nozzle] = part.whole("total_ml", 0, 0, 10**12)
    options = HeadOptions(
        rate_ml_per_min=whole.whole("ml_per_min", DEFAULT_ML_PER_MIN, 1, 10_000_000),
        pulse_ml=section.whole("pulse_ml", 10, 1, 1000),
        currency_decimals=whole.whole("decimals", 2, 0, 3),
        require_preset=protocol == "dart" and section.flag("require_preset", False),
    )
    # A head that was never programmed knows no prices and waits for them (DART: DC1 code 0; AZT: a price of 0).
    known = prices if section.flag("programmed", True) else None
    build: Callable[..., DartPosition | AztPosition] = _azt if protocol == "azt" else _dart
    try:
        position = build(fp, parts, section, products, known, totals, options)
    except ValueError as error:
        raise CannotStart(f"fuelling point {fp}: {error}") from error
    return Point(fp, protocol, parts[0].whole("bus", 1, 1, 9), position, totals, products)


def _dart(
    fp: int,
    parts: list[Part],
    dart: Part,
    products: dict[int, str],
    prices: dict[int, int] | None,
    totals: dict[int, int],
    options: HeadOptions,
) -> DartPosition:
    return DartPosition(
        parts[0].whole("address", 0x4F + fp, 0x50, 0x6F),
        Head(products, prices, totals_ml=totals, options=options),
        volume_decimals=dart.whole("volume_decimals", 2, 0, 3),
        amount_decimals=dart.whole("amount_decimals", 2, 0, 8),
        price_decimals=dart.whole("price_decimals", 3, 0, 4),
        totals_decimals=dart.whole("totals_decimals", 2, 0, 3),
    )


def _azt(
    fp: int,
    parts: list[Part],
    azt: Part,
    products: dict[int, str],
    prices: dict[int, int] | None,
    totals: dict[int, int],
    options: HeadOptions,
) -> AztPosition:
    settings = AztSettings(
        type_code=_type_code(azt.text("type", "3A")),
        volume_decimals=azt.whole("volume_decimals", 2, 0, 3),
        price_decimals=azt.whole("price_decimals", 2, 0, 4),
        amount_decimals=azt.whole("amount_decimals", 2, 0, 8),
        totals_decimals=azt.whole("totals_decimals", 2, 0, 3),
        totals_digits=azt.whole("totals_digits", 10, 8, 12),
        totals_step_ml=azt.whole("totals_step_ml", 1, 1, 1_000_000),
        minimum_dose_ml=azt.whole("minimum_dose_ml", 10, 10, 5_000),
    )
    for price in (prices or {}).values():
        unit = 10 ** (4 - settings.price_decimals)
        if price % unit or price // unit > 9_999:
            raise ValueError(f"a price of {price} is no four digits with azt.price_decimals {settings.price_decimals}")
    head = AztHead(products, prices, totals_ml=totals, options=options)
    head.no_flow_ms = azt.whole("no_flow_ms", head.no_flow_ms, 3_000, 180_000)
    addresses = {
        part.whole("nozzle", None, 1, 15): part.whole("address", fp if place == 0 else None, 1, 225) for place, part in enumerate(parts)
    }
    return AztPosition(addresses, head, settings)


def _type_code(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError as error:
        raise ValueError("azt.type is a code such as 3A") from error
