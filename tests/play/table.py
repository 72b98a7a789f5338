"""The table of features with a tick per row and world, from the last results."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.behaviour.binding import FEATURES, feature_id
from tests.behaviour.record import Results, load
from tests.behaviour.worlds import WORLDS

NOTES = FEATURES.parent.parent / "firmware_notes" / "features.md"
_ROW = re.compile(r"\|\s*(?P<id>F\d\d+)\s*\|\s*(?P<name>[^|]+?)\s*\|")
_HEADING = re.compile(r"\|\s*\*\*(?P<text>[^*]+)\*\*\s*\|")
SIGNS = {"passed": "✓", "failed": "✗", "unplayed": "·", "elsewhere": " "}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table; ``id`` is empty for a heading between the rows."""

    id: str
    name: str


def lines(file: Path = NOTES) -> list[Line]:
    """The rows and headings of ``firmware_notes/features.md``. Raises OSError when it is not there."""
    found: list[Line] = []
    for text in file.read_text(encoding="utf-8").splitlines():
        row, heading = _ROW.match(text), _HEADING.match(text)
        if row:
            found.append(Line(row["id"], row["name"]))
        elif heading:
            found.append(Line("", heading["text"]))
    return found


def state(line: Line, world: str, results: Results) -> str:
    """passed, failed, unplayed, or elsewhere: (v) rows count in the virtual world only, (m) rows only in the machine tier."""
    if line.name.endswith("(m)") or (line.name.endswith("(v)") and world != "virtual"):
        return "elsewhere"
    played = [
        str(kept["outcome"])
        for name, titles in results.get(world, {}).items()
        if feature_id(Path(name)) == line.id and (FEATURES / name).exists()
        for kept in titles.values()
    ]
    if not played:
        return "unplayed"
    return "passed" if all(outcome == "passed" for outcome in played) else "failed"


def table(results: Results | None = None) -> str:
    """The whole table as text, with its legend and the count of rows done."""
    results = load() if results is None else results
    worlds = tuple(WORLDS)
    text = [f"{'':4} {' '.join(f'{world:<7}' for world in worlds)}  feature"]
    done = total = 0
    for line in lines():
        if not line.id:
            text.append(f"\n{line.name}")
            continue
        states = [state(line, world, results) for world in worlds]
        total += 1
        done += all(each in {"passed", "elsewhere"} for each in states) and "passed" in states
        text.append(f"{line.id:4} {' '.join(f'{SIGNS[each]:<7}' for each in states)}  {line.name}")
    text.append(f"\n✓ every scenario passed   ✗ one failed   · not played yet        done in every world it belongs to: {done} of {total}")
    return "\n".join(text)
