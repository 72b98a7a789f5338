"""Makes a failing case small: rows and values go as long as the command and the rules still differ."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

from tests.core.naive import Row
from tests.oracle.ask import Difference, differences

ROWS = ("limits", "balances", "baselines", "sales", "deny", "cards", "customers")
ROUNDS = 60


def smallest(found: Difference, ask: Callable[[list[Row]], list[Difference]] = differences) -> Difference:
    """The smallest case near ``found`` that still differs; each round asks about every smaller one and takes the first that does."""
    for _ in range(ROUNDS):
        still = ask(list(_smaller(found.case)))
        if not still:
            break
        found = still[0]
    return found


def _smaller(case: Row) -> Iterator[Row]:
    for name in ROWS:
        if len(case[name]) > 2:
            yield case | {name: case[name][: len(case[name]) // 2]}
            yield case | {name: case[name][len(case[name]) // 2 :]}
    for name in ROWS:
        for index in range(len(case[name])):
            yield case | {name: case[name][:index] + case[name][index + 1 :]}
    for name in case["policy"]:
        yield case | {"policy": {key: value for key, value in case["policy"].items() if key != name}}
    nozzles = case["request"]["nozzles"]
    for index in range(len(nozzles)):
        yield case | {"request": case["request"] | {"nozzles": nozzles[:index] + nozzles[index + 1 :]}}
    yield from _plainer(case)


def _plainer(case: Row) -> Iterator[Row]:
    """One value less: an optional field to null, a list of products to null, the host away, an amount to something round."""
    for path, value in _leaves(case):
        key = path[-1]
        if value is not None and key in (
            "wish",
            "valid_from",
            "valid_to",
            "tank_ml",
            "sites",
            "products",
            "watermark",
            "zone",
            "hours",
            "pin",
        ):
            if len(path) > 1:
                yield _put(case, path, None)
        elif isinstance(value, int) and not isinstance(value, bool):
            for round_ in (0, 1000, 10 ** (len(str(value)) - 1)):
                if round_ < value:
                    yield _put(case, path, round_)
    if case["host"] != "unreachable":
        yield case | {"host": "unreachable"}


def _leaves(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], object]]:
    if isinstance(value, dict):
        for key, part in value.items():
            if key in ("products", "sites", "wish"):
                yield (*path, key), part
            yield from _leaves(part, (*path, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _leaves(part, (*path, index))
    else:
        yield path, value


def _put(case: Row, path: tuple[str | int, ...], value: object) -> Row:
    changed = copy.deepcopy(case)
    target: object = changed
    for step in path[:-1]:
        target = target[step]  # type: ignore[index]
    target[path[-1]] = value  # type: ignore[index]
    return changed
