"""``learn-badge``: wait for a badge, say what it offers, and write the ``[[badge_profile]]`` by which its site reads such badges.

Nothing that a badge says of itself is proven: the profile says how the proof is to be had. What no badge can tell (its keys, the system's
name in them) is marked in the profile to be filled in. (reference security-and-reliability 2.2; firmware_notes/badges.md.)
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import msgspec

from terminal.badge_tables import BadgeProfileTable
from terminal.badges import Learnt, learn_from
from terminal.config import Config, ConfigError
from terminal.config_tables import Table

FILL_IN = "FILL-IN"
_AID_DIGITS = 6
_FALLBACK_FILE = 1


def port_of(config: Config) -> str:
    """The port of the configuration's badge reader; ``ConfigError`` when there is none, or more than one to choose from."""
    ports = [side.badge_reader.port for side in config.side if side.badge_reader is not None]
    if len(ports) != 1:
        raise ConfigError("no side has a badge_reader: name its port with --port" if not ports else f"--port is one of {', '.join(ports)}")
    running = Path(config.terminal.runtime_dir) / "status.json"
    try:
        pid = json.loads(running.read_bytes())["pid"]
    except (OSError, ValueError, KeyError, TypeError):
        return ports[0]
    if Path(f"/proc/{pid}").exists():
        raise ConfigError("the terminal is running and holds the reader: stop it first (systemctl stop forecourt-terminal)")
    return ports[0]


def learn(port: str, say: Callable[[str], None], seconds: int | None) -> Learnt | None:
    """Wait for a badge at this port, ``seconds`` at most. None: nobody held one out. Raises ``OSError``, ``ValueError`` for the port."""
    return learn_from(port, say, seconds)


def profile_text(found: Learnt, name: str = "badges") -> str:
    """A ``[[badge_profile]]`` for badges like this one, with what must be filled in. Always one that the configuration accepts."""
    values, notes = _profile(found, name)
    msgspec.convert(values, _One).badge_profile  # noqa: B018 - raises where the two would drift apart
    table = values["badge_profile"]
    lines = [f"# {note}" for note in notes] + ["[[badge_profile]]"]
    return "\n".join([*lines, *(f"{key} = {json.dumps(value)}" for key, value in table.items())]) + "\n"


class _One(Table, frozen=True):
    badge_profile: BadgeProfileTable


def _profile(found: Learnt, name: str) -> tuple[dict[str, dict[str, object]], list[str]]:
    table: dict[str, object] = {"name": name}
    layout = found.signed_link
    if layout is not None:
        table |= {"kind": "sun", "picc": layout.picc, "mac": layout.mac, "system": FILL_IN}
        table |= {} if layout.enc is None else {"enc": layout.enc}
        notes = ["Trust T1. Needs keys.sun_meta and keys.sun_file. system: the last part of what each badge's file key is made of."]
    elif found.applications or (found.make or "").startswith("NTAG 424"):
        table, notes = _proving(found, table)
    elif found.text:
        table["kind"] = "ndef"
        notes = ["Trust T0: whoever reads such a badge can write another one with the same text."]
    else:
        table["kind"] = "uid"
        notes = ["Trust T0: identifiers are copied in seconds."]
        if found.random_uid:
            notes = ["NOT USABLE: this badge shows another identifier each time and offers nothing else."]
    return {"badge_profile": table}, notes


def _proving(found: Learnt, table: dict[str, object]) -> tuple[dict[str, object], list[str]]:
    """The first application; which file and key hold the number is known to whoever made the badges."""
    application, files = ("D2760000850101", (3,)) if not found.applications else (found.applications[0].aid, found.applications[0].files)
    table |= {"kind": "ev2", "application": application}
    if found.random_uid:
        table |= {"diversified": False, "random_uid": True}
    else:
        table["system"] = FILL_IN
    table |= {"key_number": 0, "file_number": files[0] if files else _FALLBACK_FILE, "length": 16, "mode": "full", "content": "text"}
    notes = ["Trust T2. Needs keys.badge_master. Whoever made the badges knows system, key_number, file_number, length, mode and content."]
    if len(found.applications) > 1:
        notes.append(f"Other applications: {', '.join(each.aid for each in found.applications[1:])}.")
    return table, notes


def lines(found: Learnt) -> list[str]:
    """For people."""
    told = [
        f"identifier     {found.uid}" + (" (random: another one each time)" if found.random_uid else ""),
        f"ATQA, SAK      {found.atqa}, {found.sak}",
        f"family         {found.family}" + (f", says that it is a {found.make}" if found.make else ""),
        f"text           {found.text if found.text is not None else 'none'}",
        f"link           {found.link if found.link is not None else 'none'}" + (", looks signed" if found.signed_link is not None else ""),
        f"signature      {found.signature}",
    ]
    for each in found.applications:
        files = "tells no files without a key" if each.files is None else f"files {', '.join(map(str, each.files)) or 'none'}"
        told.append(f"application    {each.aid}: {files}")
    return told


def as_json(found: Learnt, profile: str) -> str:
    """For programs: the same, with the profile's text."""
    layout = found.signed_link
    return json.dumps({**asdict(found), "signed_link": None if layout is None else asdict(layout), "profile": profile})
