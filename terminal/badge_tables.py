"""The ``[[badge_profile]]`` tables: how this site's badges are told apart and give their number. Read by ``terminal.config``.

What each kind reads and proves: firmware_notes/badges.md, "Profiles". They are tried in their order before the reader's own ``profile``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from terminal.config_tables import KeysTable, Name, Table

READABLE_MAX = {"mac": 248, "full": 239}
"""Bytes of a file that one answer of a badge holds."""

DIVERSIFIED = range(16, 32)
"""Bytes of UID, application and system from which a badge's key is made (AN10922; below 16 the published ways differ)."""

UID_BYTES = 7
LINK_APPLICATION_BYTES = 7

Hex = Annotated[str, msgspec.Meta(pattern=r"^([0-9A-Fa-f]{2}){3,16}\Z")]
System = Annotated[str, msgspec.Meta(pattern=r"^[ -~]{0,24}\Z")]
Parameter = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,32}\Z")]


class UidTable(Table, frozen=True, tag_field="kind", tag="uid"):
    """The UID is the number: in the ``order`` of the air or reversed, in hex or as a decimal number. Trust T0."""

    name: Name
    order: Literal["air", "reversed"] = "air"
    form: Literal["hex", "decimal"] = "hex"


class NdefTable(Table, frozen=True, tag_field="kind", tag="ndef"):
    """The badge's first text record is the number. Trust T0."""

    name: Name


class Ev2Table(Table, frozen=True, tag_field="kind", tag="ev2"):
    """A DESFire EV2/EV3 or NTAG 424 that authenticates itself with a key made of ``keys.badge_master`` and its UID. Trust T2.

    ``application``: AID (6 hex digits, as they stand on the badge) or DF name. ``diversified`` false: the master key is every badge's key,
    which a badge with a ``random_uid`` needs.
    """

    name: Name
    application: Hex
    system: System = ""
    diversified: bool = True
    random_uid: bool = False
    key_number: Annotated[int, msgspec.Meta(ge=0, le=13)] = 0
    file_number: Annotated[int, msgspec.Meta(ge=0, le=31)] = 2
    offset: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFF)] = 0
    length: Annotated[int, msgspec.Meta(ge=1, le=248)] = 16
    mode: Literal["mac", "full"] = "full"
    content: Literal["text", "hex", "uid"] = "text"


class SunTable(Table, frozen=True, tag_field="kind", tag="sun"):
    """An NTAG 424 that signs its link at each reading: the names of the link's parameters, ``enc`` where there is file data. Trust T1.

    Keys: ``keys.sun_meta`` and, made of the UID unless ``diversified`` is false, ``keys.sun_file``.
    """

    name: Name
    picc: Parameter = "picc_data"
    mac: Parameter = "cmac"
    enc: Parameter | None = None
    system: System = ""
    diversified: bool = True


BadgeProfileTable = UidTable | NdefTable | Ev2Table | SunTable


def badge_problems(tables: Sequence[BadgeProfileTable], keys: KeysTable) -> list[str]:
    """What is wrong with the tables, each in one line with its key."""
    names = [table.name for table in tables]
    found = [f"badge_profile.name: {name} is given twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    needed: set[str] = set()
    for table in tables:
        if isinstance(table, Ev2Table):
            needed.add("badge_master")
            found += _ev2_problems(table)
        elif isinstance(table, SunTable):
            needed |= {"sun_meta", "sun_file"}
            found += _key_text_problems(table.name, table.system, LINK_APPLICATION_BYTES) if table.diversified else []
            if len({table.picc, table.mac, table.enc}) < 3:
                found.append(f"badge_profile.enc: picc, mac and enc of {table.name} must differ")
    for name in ("badge_master", "sun_meta", "sun_file"):
        if name in needed and getattr(keys, name) is None:
            found.append(f"keys.{name}: a badge_profile needs the name of this key's file")
        if name not in needed and getattr(keys, name) is not None:
            found.append(f"keys.{name}: no badge_profile needs it")
    return found + _order_problems(tables)


def _ev2_problems(table: Ev2Table) -> list[str]:
    found = []
    size = len(table.application) // 2
    if size == 4:
        found.append(f"badge_profile.application: {table.name} has 4 bytes; an AID has 3, a DF name 5 to 16")
    if table.length > READABLE_MAX[table.mode]:
        found.append(f"badge_profile.length: {table.length} of {table.name}; at most {READABLE_MAX[table.mode]} in mode {table.mode}")
    if table.content == "uid" and table.length < UID_BYTES:
        found.append(f"badge_profile.length: {table.length} of {table.name}; a UID has {UID_BYTES} bytes")
    if table.content == "uid" and table.random_uid:
        found.append(f"badge_profile.content: uid of {table.name} cannot be compared with a random_uid")
    if table.content == "hex" and table.length > 32:
        found.append(f"badge_profile.length: {table.length} of {table.name}; a number has at most 64 hex digits")
    if table.random_uid and table.diversified:
        found.append(f"badge_profile.diversified: must be false for {table.name}, whose badges have a random_uid")
    return found + (_key_text_problems(table.name, table.system, size) if table.diversified else [])


def _key_text_problems(name: str, system: str, application_bytes: int) -> list[str]:
    fixed = UID_BYTES + application_bytes
    least, most = DIVERSIFIED.start - fixed, DIVERSIFIED.stop - 1 - fixed
    if least <= len(system) <= most:
        return []
    return [f"badge_profile.system: {name} needs {max(0, least)} to {most} characters, so that its keys are kept apart"]


def _order_problems(tables: Sequence[BadgeProfileTable]) -> list[str]:
    """What stands behind a table that fits everything, or the very same badges, is never tried."""
    applications = [table.application.upper() for table in tables if isinstance(table, Ev2Table) and not table.random_uid]
    for application in dict.fromkeys(applications):
        if applications.count(application) > 1:
            return [f"badge_profile.application: {application} is given twice; only the first table would be tried"]
    for place, table in enumerate(tables):
        if isinstance(table, UidTable) and place + 1 < len(tables):
            return [f"badge_profile.name: {tables[place + 1].name} is never tried, because {table.name} before it fits every badge"]
    return []
