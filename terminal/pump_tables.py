"""Lines and fuelling points with their pump profiles: what is not written is filled in, what the driver needs is told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import MISSING, fields
from typing import Any

import msgspec

from terminal.config_tables import AS_USUAL, FuellingPointTable, LineTable
from terminal.pump_profiles import PumpProfile, profile_named
from terminal.pump_protocols import PROTOCOLS, PumpProtocol, Seat

_LINE = ("baudrate", "turn_round_ms", "ack_turn_round_ms", "answer_window_ms", "misses_until_lost", "live_interval_ms", "echo")
_HEAD = (
    "volume_decimals",
    "amount_decimals",
    "price_decimals",
    "total_decimals",
    "combined_start",
    "prices_twice",
    "dose_readback",
    "slow_down_ml",
)


def _unwritten(value: object) -> bool:
    return value is None or value == AS_USUAL


def _defaults(kind: type[Any]) -> dict[str, Any]:
    """What a driver's own settings are when nobody sets them."""
    return {each.name: each.default for each in fields(kind) if each.default is not MISSING}


def _profile(point: FuellingPointTable, protocol: str, own: Iterable[PumpProfile]) -> PumpProfile:
    """The point's profile; the protocol's own settings in place of one that cannot be, which ``point_profile_problems`` names."""
    try:
        return profile_named(point.profile, protocol, own)
    except ValueError:
        return profile_named(None, protocol)


def with_profiles(
    lines: Sequence[LineTable], points: Sequence[FuellingPointTable], own: Sequence[PumpProfile]
) -> tuple[tuple[LineTable, ...], tuple[FuellingPointTable, ...]]:
    """Both with everything filled in. A line that has pumps of several profiles waits as long as the most patient of them."""
    protocols = {line.name: PROTOCOLS.get(line.protocol) for line in lines}
    profiles: dict[str, list[PumpProfile]] = {}
    for point in points:
        protocol = protocols.get(point.line)
        if protocol is not None:
            profiles.setdefault(point.line, []).append(_profile(point, protocol.name, own))
    told = tuple(_line(line, protocols[line.name], profiles.get(line.name, [])) for line in lines)
    return told, tuple(_point(point, protocols.get(point.line), own) for point in points)


def _line(line: LineTable, protocol: PumpProtocol | None, profiles: Sequence[PumpProfile]) -> LineTable:
    usual: dict[str, Any] = {name: 0 for name in _LINE} | {"echo": False}
    if protocol is not None:
        usual |= _defaults(protocol.line)
    filled = {}
    for name in _LINE:
        if _unwritten(getattr(line, name)):
            said = [profile.line[name] for profile in profiles if name in profile.line]
            filled[name] = max(said) if said else usual[name]
    return msgspec.structs.replace(line, **filled)


def _point(point: FuellingPointTable, protocol: PumpProtocol | None, own: Sequence[PumpProfile]) -> FuellingPointTable:
    name = "dart" if protocol is None else protocol.name
    profile = _profile(point, name, own)
    usual: dict[str, Any] = {}
    for each in (*PROTOCOLS.values(), PROTOCOLS[name]):
        usual |= {key: value for key, value in _defaults(each.head).items() if key in _HEAD}
    usual |= {key: value for key, value in profile.head.items() if key in _HEAD}
    usual |= {"minimum_ml": profile.minimum_ml, "resolution_ml": profile.resolution_ml, "authorize": profile.authorize}
    return msgspec.structs.replace(point, **{key: value for key, value in usual.items() if _unwritten(getattr(point, key))})


def addresses_of(point: FuellingPointTable) -> dict[int, tuple[int, ...]]:
    """The addresses of a point and the logical nozzles at each, in order."""
    found: dict[int, list[int]] = {point.address: []} if any(row.address is None for row in point.nozzles) else {}
    for row in sorted(point.nozzles, key=lambda row: row.nozzle):
        found.setdefault(point.address if row.address is None else row.address, []).append(row.nozzle)
    return {address: tuple(nozzles) for address, nozzles in found.items()}


def head_settings(point: FuellingPointTable, protocol: PumpProtocol, own: Iterable[PumpProfile]) -> dict[str, Any]:
    """What the driver is told of the point's heads: the profile, and what the point says itself where this protocol knows of it."""
    written = {name: getattr(point, name) for name in _HEAD if name in protocol.head_settings and not _unwritten(getattr(point, name))}
    return dict(_profile(point, protocol.name, own).head) | written


def line_settings(line: LineTable, protocol: PumpProtocol, profiles: Iterable[PumpProfile]) -> dict[str, Any]:
    """What the driver is told of the line: the profiles, the longest of several, and what the line says itself."""
    found: dict[str, Any] = {}
    for profile in profiles:
        for name, value in profile.line.items():
            found[name] = max(value, found.get(name, value))
    return found | {name: getattr(line, name) for name in _LINE if name in protocol.line_settings}


def seats_of(points: Sequence[FuellingPointTable], protocol: PumpProtocol, own: Sequence[PumpProfile]) -> list[Seat]:
    """Every address of a line."""
    return [
        Seat(point.number, address, nozzles, head_settings(point, protocol, own))
        for point in points
        for address, nozzles in addresses_of(point).items()
    ]


def profiles_on(points: Sequence[FuellingPointTable], protocol: PumpProtocol, own: Sequence[PumpProfile]) -> list[PumpProfile]:
    """The profiles of a line's points."""
    return [_profile(point, protocol.name, own) for point in points]


def point_profile_problems(point: FuellingPointTable, protocol: PumpProtocol, own: Sequence[PumpProfile]) -> list[str]:
    """What is wrong with the point's profile, and with what the point says beside it."""
    try:
        profile_named(point.profile, protocol.name, own)
    except ValueError as error:
        return [f"fuelling_point.profile of fuelling point {point.number}: {error}"]
    return [f"fuelling point {point.number}: {problem}" for problem in protocol.check(head_settings(point, protocol, own), {})]
