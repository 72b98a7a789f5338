"""Malformed cases: each is a good one with one thing wrong, and ``explain`` has to end 2 and name the line and the field.

Besides, texts damaged byte by byte: those may still be cases, so they get an answer or a refusal, and never a traceback.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tests.core.naive import Row
from tests.oracle.ask import Ended, line, run
from tests.oracle.dice import Dice

Path_ = tuple[str | int, ...]
INTEGERS = {
    "amount",
    "sequence",
    "quantity_ml",
    "value_minor",
    "price",
    "nozzle",
    "tank_ml",
    "watermark",
    "max_open",
    "min_dispense_ml",
    "terminal_cap_ml",
}
AMOUNTS = INTEGERS - {"sequence", "nozzle", "watermark"}
WORDS = {"status", "offline", "period", "measure", "kind", "state", "clock", "decision", "pin"}
REQUIRED = {
    "now",
    "zone",
    "currency",
    "site",
    "clock",
    "host",
    "lists_checked",
    "request",
    "number",
    "subject",
    "period",
    "measure",
    "amount",
}
REQUIRED |= {
    "window",
    "sequence",
    "product",
    "quantity_ml",
    "value_minor",
    "authorized_at",
    "state",
    "nozzle",
    "price",
    "decision",
    "card",
    "nozzles",
}
INSTANTS = {"now", "lists_checked", "authorized_at"}
STRANGE: tuple[Any, ...] = ("", "x", -1, 1.5, True, [], {}, [None], {"a": 1}, 10**40, "\u0000", "٣")


@dataclass(frozen=True, slots=True)
class Wrong:
    """A refusal that did not come as it has to."""

    seed: int
    kind: str
    what: str
    file: bytes
    suffix: str


@dataclass(frozen=True, slots=True)
class BadChunk:
    """What came of some malformed cases."""

    cases: int
    kinds: Counter[str]
    wrong: list[Wrong]


def _places(value: object, path: Path_ = ()) -> list[tuple[Path_, Any]]:
    found: list[tuple[Path_, Any]] = [(path, value)] if path else []
    if isinstance(value, dict):
        for key, part in value.items():
            found += _places(part, (*path, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            found += _places(part, (*path, index))
    return found


def _name(path: Path_) -> str:
    """``limits[0].amount``, as ``explain`` writes it."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def _set(case: Row, path: Path_, value: object) -> None:
    target: Any = case
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value


def _pick(dice: Random, case: Row, *names: str) -> Path_ | None:
    fits = [path for path, value in _places(case) if path[-1] in names and value is not None]
    return dice.choice(fits) if fits else None


def _replace(dice: Random, case: Row, names: set[str], *values: object) -> str | None:
    path = _pick(dice, case, *sorted(names))
    if path is None or ("wish" in path[:-1] and path[0] != "request"):
        return None
    _set(case, path, dice.choice(values))
    return _name(path)


def _unknown_field(dice: Random, case: Row) -> str:
    fits = [path for path, value in _places(case) if isinstance(value, dict)]
    path = dice.choice([(), *fits])
    _set(case, (*path, "surprise"), 1)
    return _name((*path, "surprise"))


def _missing_field(dice: Random, case: Row) -> str | None:
    path = _pick(dice, case, *sorted(REQUIRED))
    if path is None or path[0] == "host" and path[-1] != "decision" and len(path) > 1 or path[-2:-1] == ("wish",):
        return None
    target: Any = case
    for step in path[:-1]:
        target = target[step]
    del target[path[-1]]
    return _name(path)


def _twice(dice: Random, case: Row) -> str | None:
    name, field = dice.choice((("cards", ".number"), ("customers", ".customer"), ("baselines", "")))
    if not case[name]:
        return None
    case[name].append(dict(dice.choice(case[name])))
    return f"{name}[{len(case[name]) - 1}]{field}"


def _deny(dice: Random, case: Row) -> str:
    case["deny"].append(
        dice.choice(("7001", "range 9-1", "range 1-22", "range a-b", "card ", "account 1", "", "card  x", "range 1-2-3", "Card 1"))
    )
    return f"deny[{len(case['deny']) - 1}]"


def _wish(dice: Random, case: Row) -> str:
    case["request"]["wish"] = dice.choice(
        ({}, {"quantity_ml": 1, "value_minor": 1}, {"quantity_ml": None}, {"quantity_ml": None, "value_minor": None})
    )
    return "request.wish"


def _fuelling_count(dice: Random, case: Row) -> str:
    case["limits"].append({"subject": "customer C1", "period": "FUELLING", "measure": "COUNT", "amount": 1, "products": None})
    return f"limits[{len(case['limits']) - 1}].measure"


def _whole_is_no_case(dice: Random, case: Row) -> str:
    key = dice.choice(sorted(REQUIRED & case.keys()))
    _set(case, (key,), dice.choice((None, 7)))
    if key == "lists_checked":
        case[key] = 7
    return key


KINDS: dict[str, Callable[[Random, Row], str | None]] = {
    "negative amount": lambda dice, case: _replace(dice, case, AMOUNTS, -1, -(10**15)),
    "amount beyond all measure": lambda dice, case: _replace(dice, case, AMOUNTS, 10**15 + 1, 2**63, 10**40),
    "not an integer": lambda dice, case: _replace(dice, case, INTEGERS, 1.5, 1.0, "1", True, [], {}, 1e300),
    "not a word": lambda dice, case: _replace(dice, case, WORDS, "no word", "", 1, False, [], "ACTIVE ", "day"),
    "not an instant": lambda dice, case: _replace(
        dice,
        case,
        INSTANTS,
        "2026-03-29",
        "2026-03-29T03:30:00",
        "yesterday",
        "2026-02-30T00:00:00Z",
        "2026-03-29T25:00:00Z",
        0,
        "",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00+14:00",
        "2026-03-29T03:30:00+99:00",
    ),
    "not a date": lambda dice, case: _replace(dice, case, {"valid_from", "valid_to"}, "2026-02-30", "2026-1-1", "29.03.2026", 20260329, ""),
    "not a zone": lambda dice, case: _replace(
        dice, case, {"zone"}, "Mars/Olympus", "", "../../etc/passwd", "Europe", "Europe/Paris\u0000", 1, "a" * 300
    ),
    "not a currency": lambda dice, case: _replace(dice, case, {"currency"}, "euro", "EU", "", "EUR ", "EUR\n", 978),
    "not a subject": lambda dice, case: _replace(dice, case, {"subject"}, "7001", "card ", "customer", "range 1-2", "card  x", "", 1),
    "not a window": lambda dice, case: _replace(
        dice, case, {"window"}, "2026", "2026-13", "2026-02-30", "2026-3", "", "2026-W12", "٢٠٢٦-03", 1
    ),
    "not products": lambda dice, case: _replace(dice, case, {"products", "sites"}, "GAZOLE", 1, {}, True),
    "not a nullable flag": lambda dice, case: _replace(dice, case, {"pin_required", "only_terminal"}, "true", 1, 0, [], {}),
    "not a list": lambda dice, case: _replace(dice, case, {"cards", "limits", "sales", "deny", "nozzles"}, {}, "x", 1),
    "not a host": lambda dice, case: _replace(dice, case, {"host"}, "reachable", [], 1, True),
    "unknown field": _unknown_field,
    "missing field": _missing_field,
    "row twice": _twice,
    "deny": _deny,
    "wish": _wish,
    "FUELLING COUNT": _fuelling_count,
    "no value": _whole_is_no_case,
    "damaged text": lambda dice, case: None,
}
"""What can be wrong: changes the case and says which field the refusal has to name, None when this case has no such place."""


def judge(first: int, count: int) -> BadChunk:
    """Malformed cases from that seed on, each through a run of the command of its own."""
    kinds: Counter[str] = Counter()
    wrong = []
    for seed in range(first, first + count):
        kind, what = _one(seed, kinds)
        if what is not None:
            wrong.append(Wrong(seed, kind, what[0], what[1], what[2]))
    return BadChunk(count, kinds, wrong)


def _one(seed: int, kinds: Counter[str]) -> tuple[str, tuple[str, bytes, str] | None]:
    dice = Random(seed)
    names = list(KINDS)
    while True:
        kind, case = names[seed % len(names)], Dice(dice.randrange(2**32)).case()
        field = KINDS[kind](dice, case)
        if kind == "damaged text" or field is not None:
            break
    kinds[kind] += 1
    if kind == "damaged text":
        return kind, _damaged(dice, case)
    before = [Dice(dice.randrange(2**32)).case() for _ in range(dice.choice((0, 1, 2)))]
    pretty = not before and dice.random() < 0.5
    text = json.dumps(case, indent=1) if pretty else "".join(f"{line(one)}\n" for one in [*before, case])
    suffix = ".json" if pretty else ".jsonl"
    ended = _explained(text.encode(), suffix)
    return kind, _refused(ended, text, field or "", len(before), suffix)


def _explained(text: bytes, suffix: str) -> Ended:
    with tempfile.TemporaryDirectory(prefix="oracle-") as folder:
        file = Path(folder, f"case{suffix}")
        file.write_bytes(text)
        return run(file)


def _refused(ended: Ended, text: str, field: str, before: int, suffix: str) -> tuple[str, bytes, str] | None:
    named = re.search(r": line (\d+): ([^ ]+): ", ended.err)
    lines = text.splitlines()
    right_line = named is not None and (int(named[1]) == before + 1 if suffix == ".jsonl" else 1 <= int(named[1]) <= len(lines))
    if (
        ended.code == 2
        and named is not None
        and right_line
        and named[2] == field
        and ended.err.count("\n") == 1
        and len(ended.out) == before
    ):
        return None
    return (
        f"line {before + 1} and field {field} have to be named; it ended {ended.code} after {len(ended.out)} answers: {ended.err}",
        text.encode(),
        suffix,
    )


def _damaged(dice: Random, case: Row) -> tuple[str, bytes, str] | None:
    text = bytearray(json.dumps(case, indent=dice.choice((None, 1))).encode())
    for _ in range(dice.choice((1, 1, 3, 30))):
        at = dice.randrange(len(text) + 1)
        text[at : at + dice.choice((0, 1, 1, 20))] = dice.choice(
            (b"", b'"', b"{", b"}", b"[", b",", b"\\", b"\xff", b"\x00", b"-", b"9" * 30, b"1e999", b"\\ud800")
        )
    ended = _explained(bytes(text), ".json")
    told = ended.code == 0 and len(ended.out) == 1 and not ended.err
    refused = ended.code == 2 and re.search(r": line \d+: ", ended.err) is not None and not ended.out
    if told or (refused and "Traceback" not in ended.err):
        return None
    return f"an answer or a refusal was due; it ended {ended.code}: {ended.err}", bytes(text), ".json"
