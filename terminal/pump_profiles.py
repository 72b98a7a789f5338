"""Pump profiles: what differs between makes of dispensers, in TOML. Those that come with the program are in ``pump_profiles.toml``.

A profile has two kinds of keys: the terminal's own, and under ``head`` and ``line`` the settings that its protocol's driver knows. A key
that nobody knows is refused. What ``[[fuelling_point]]`` or ``[[line]]`` says itself goes before the profile.
(firmware_notes/pump-profiles.md; reference dispenser-protocols 8, rule 6.)
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec

from terminal.pump_protocols import PROTOCOLS, PumpProtocol

FILE = Path(__file__).with_name("pump_profiles.toml")


class AuthorizeWhen(Enum):
    """When the pump is told to release. Before the lift only where the sale may use one nozzle of the point alone."""

    AFTER_LIFT = "after lift"
    BEFORE_LIFT = "before lift"


class PumpProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One make. ``resolution_ml``: how far totaliser and fill may be apart without anything being wrong: the totaliser's smallest step.

    ``minimum_ml``: less is not worth a start, and no less than what the head may measure. ``price_digits``: what it can show of a price.
    """

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,32}\Z")]
    protocol: str
    about: str = ""
    minimum_ml: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 2_000
    resolution_ml: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 10
    price_digits: Annotated[int, msgspec.Meta(ge=1, le=8)] | None = None
    authorize: AuthorizeWhen = AuthorizeWhen.AFTER_LIFT
    head: dict[str, bool | int] = {}
    line: dict[str, bool | int] = {}


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pump_profile: tuple[PumpProfile, ...]


@cache
def shipped() -> dict[str, PumpProfile]:
    """The profiles that come with the program, by name."""
    return {each.name: each for each in msgspec.toml.decode(FILE.read_bytes(), type=_File).pump_profile}


def profile_named(name: str | None, protocol: str, own: Iterable[PumpProfile] = ()) -> PumpProfile:
    """The profile of this name; without a name the protocol's own settings. Raises ValueError for a name or a protocol that is not its."""
    if name is None:
        return PumpProfile(name=protocol, protocol=protocol)
    found = shipped() | {each.name: each for each in own}
    profile = found.get(name)
    if profile is None:
        raise ValueError(f"{name!r} is no pump profile; known are {', '.join(found)}")
    if profile.protocol != protocol:
        raise ValueError(f"pump profile {name} is for {profile.protocol} lines, not for {protocol}")
    return profile


def profile_problems(own: tuple[PumpProfile, ...]) -> list[str]:
    """What is wrong with the profiles of a configuration, each with the name of its key."""
    found: list[str] = []
    names: set[str] = set()
    for profile in own:
        where = f"pump_profile {profile.name}"
        if profile.name in names or profile.name in shipped():
            found.append(f"pump_profile.name: {profile.name} is given twice, or comes with the program already")
        names.add(profile.name)
        protocol: PumpProtocol | None = PROTOCOLS.get(profile.protocol)
        if protocol is None:
            found.append(f"pump_profile.protocol: {profile.protocol!r} of {where}; known are {', '.join(PROTOCOLS)}")
            continue
        found += [f"{where}: {problem}" for problem in protocol.check(profile.head, profile.line)]
        if profile.minimum_ml < profile.resolution_ml:
            found.append(f"{where}: minimum_ml {profile.minimum_ml} is below resolution_ml {profile.resolution_ml}")
    return found
