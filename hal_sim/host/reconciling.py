"""Compares a terminal's sums over a run of its sales with the host's own records of them.

Source: firmware_notes/host-api.md, section "Batches". Pure. The records count as they came: corrections change no sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

MOST_MISSING = 1000
Record = Mapping[str, Any]


def totals_of(records: Iterable[Record]) -> tuple[list[dict[str, Any]], int]:
    """The sums of records with a volume, sorted by product and by who decided; and how many records had none."""
    sums: dict[tuple[str, str], list[int]] = {}
    products: dict[str, str | None] = {}
    empty = 0
    for record in records:
        if record["quantity_ml"] == 0:
            empty += 1
            continue
        name = record["product"] or ""
        products[name] = record["product"]
        found = sums.setdefault((name, record["decided_by"]), [0, 0, 0])
        for index, amount in enumerate((1, record["quantity_ml"], record["value_minor"])):
            found[index] += amount
    rows = [
        {"product": products[name], "decided_by": by, "count": count, "quantity_ml": quantity, "value_minor": value}
        for (name, by), (count, quantity, value) in sorted(sums.items())
    ]
    return rows, empty


def compare(message: Mapping[str, Any], find: Callable[[int], Record | None]) -> dict[str, Any]:
    """The answer to the sums of a batch. ``find`` gives the host's record of a sequence of that terminal and epoch."""
    apart = {*message["open"], *message["quarantined"]}
    missing: list[int] = []
    found: list[Record] = []
    for sequence in range(message["first_sequence"], message["last_sequence"] + 1):
        if sequence in apart:
            continue
        record = find(sequence)
        if record is not None:
            found.append(record)
        else:
            missing.append(sequence)
            if len(missing) == MOST_MISSING:
                break
    same = not missing and totals_of(found) == (message["totals"], message["empty"])
    return {"result": "balanced" if same else "unbalanced", "missing": missing, "resend_all": not same and not missing}
