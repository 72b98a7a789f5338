"""The pumps of a scenario and their lines in virtual time: each protocol's real line master before its emulated dispensers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, cast

from drivers.dispenser.azt.line import AztLine
from drivers.dispenser.azt.profile import PositionProfile as AztProfile
from drivers.dispenser.dart.line import DartLine
from drivers.dispenser.dart.profile import PositionProfile as DartProfile
from drivers.dispenser.protocol import Seat
from drivers.dispenser.registry import PROTOCOLS
from hal_sim.dispensers.azt import AztBus, AztHead, AztPosition, AztSettings
from hal_sim.dispensers.dart import DartBus, DartPosition
from hal_sim.dispensers.head import Head, HeadOptions
from hal_sim.wire import LineRate
from tests.virtual.heap import Heap
from tests.virtual.line import Bus, Master, VirtualLine

FIRST_ADDRESS = {"dart": 0x50, "azt": 1}
AZT_RATE = LineRate(4800, 11)


class NotBuilt(Exception):
    """The scenario asks for something that this world does not have."""


@dataclass(frozen=True, slots=True)
class Emulated:
    """Heads of one more protocol on a line, by fuelling point, with the address of each."""

    bus: Bus
    heads: Mapping[int, Head]
    addresses: Mapping[int, int]
    rate: LineRate


ADDED: dict[str, Callable[[Mapping[int, list[Mapping[str, Any]]], HeadOptions], Emulated]] = {}
"""Emulators of protocols besides the two; their line masters are those of the program's registry."""


def build_pumps(
    scenario: Mapping[str, Any], heap: Heap, options: HeadOptions, leap: bool
) -> tuple[dict[int, Head], dict[int, VirtualLine]]:
    """Heads and lines by fuelling point: one line per protocol and ``bus`` number (0 where a row has none). Raises NotBuilt."""
    heads: dict[int, Head] = {}
    lines: dict[int, VirtualLine] = {}
    points: dict[tuple[str, int], dict[int, list[Mapping[str, Any]]]] = {}
    for row in scenario["fuelling_points"]:
        if row["protocol"] not in FIRST_ADDRESS and row["protocol"] not in ADDED:
            raise NotBuilt(f"no {row['protocol']} line is built yet")
        points.setdefault((row["protocol"], row.get("bus", 0)), {}).setdefault(row["fp"], []).append(row)
    builders = {"dart": _dart, "azt": _azt}
    for (protocol, bus), there in sorted(points.items(), key=lambda item: (item[0][0] != "dart", item[0])):
        name = ("pumps" if protocol == "dart" else f"pumps-{protocol}") + (f"-{bus}" if bus else "")
        if protocol in ADDED:
            line, built = _added(protocol, name, there, scenario["decimals"], heap, options, leap)
        else:
            line, built = builders[protocol](name, there, scenario["decimals"], heap, options, leap)
        heads |= built
        lines |= dict.fromkeys(built, line)
    order = dict.fromkeys(row["fp"] for row in scenario["fuelling_points"])
    return {fp: heads[fp] for fp in order}, {fp: lines[fp] for fp in order}


def _said(rows: list[Mapping[str, Any]]) -> tuple[dict[int, str], dict[int, int]]:
    return {row["nozzle"]: row["product"] for row in rows}, {row["nozzle"]: row["price"] for row in rows}


def _dart(
    name: str, points: dict[int, list[Mapping[str, Any]]], decimals: int, heap: Heap, options: HeadOptions, leap: bool
) -> tuple[VirtualLine, dict[int, Head]]:
    heads = {fp: Head(*_said(rows), options=options) for fp, rows in points.items()}
    addresses = {fp: FIRST_ADDRESS["dart"] + place for place, fp in enumerate(points)}
    bus = DartBus([DartPosition(addresses[fp], head) for fp, head in heads.items()])
    profiles = tuple(DartProfile(fp, address, currency_decimals=decimals) for fp, address in addresses.items())
    return VirtualLine(name, bus, partial(DartLine, name, profiles), heap, leap=leap), heads


def _azt(
    name: str, points: dict[int, list[Mapping[str, Any]]], decimals: int, heap: Heap, options: HeadOptions, leap: bool
) -> tuple[VirtualLine, dict[int, Head]]:
    heads: dict[int, Head] = {}
    positions, profiles = [], []
    free = count(FIRST_ADDRESS["azt"])  # every hose has an address of its own
    for fp, rows in points.items():
        addresses, price_decimals = {row["nozzle"]: next(free) for row in rows}, price_decimals_of(rows)
        head = AztHead(*_said(rows), options=options)
        heads[fp] = head
        positions.append(AztPosition(addresses, head, AztSettings(price_decimals=price_decimals)))
        for nozzle, address in addresses.items():
            profiles.append(AztProfile(fp, address, nozzle, price_decimals=price_decimals, currency_decimals=decimals))
    make = partial(AztLine, name, tuple(profiles))
    return VirtualLine(name, AztBus(positions), make, heap, rate=AZT_RATE, leap=leap), heads


def price_shape(rows: list[Mapping[str, Any]]) -> tuple[int, int]:
    """Decimals and digits of a price at the head of these rows."""
    return (price_decimals_of(rows), 4) if rows[0]["protocol"] == "azt" else (3, 6)


def _added(
    protocol: str, name: str, points: dict[int, list[Mapping[str, Any]]], decimals: int, heap: Heap, options: HeadOptions, leap: bool
) -> tuple[VirtualLine, dict[int, Head]]:
    emulated = ADDED[protocol](points, options)
    seats = [Seat(fp, emulated.addresses[fp], tuple(sorted(row["nozzle"] for row in rows)), {}) for fp, rows in points.items()]

    def make() -> Master:
        master = PROTOCOLS[protocol].build(name, seats, {}, decimals)
        return cast(Master, master)

    return VirtualLine(name, emulated.bus, make, heap, rate=emulated.rate, leap=leap), dict(emulated.heads)


def price_decimals_of(rows: list[Mapping[str, Any]]) -> int:
    """Two, or as many as the prices (1/10000 of the major unit) have."""
    return max(2, *(4 - next(zeros for zeros in (4, 3, 2, 1, 0) if row["price"] % 10**zeros == 0) for row in rows))
