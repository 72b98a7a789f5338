"""Steps about sending in batches and about reconciliation: a host that loses or spoils a record, and what it finds. (features.md F45.)

PYTEST_DONT_REWRITE (there is no bare assert here)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.behaviour import values
from tests.behaviour.stage import BOOKS_WAIT_MS, Kind, Stage, known
from tests.behaviour.world import HostConduct


def _booked(stage: Stage) -> Sequence[Mapping[str, Any]]:
    """The host's sales with a volume, oldest first."""
    return list((stage.world.host_view() or {"sales": ()})["sales"])


def _batches(stage: Stage, number: int) -> Sequence[Mapping[str, Any]]:
    """The closes of this batch that the host has answered, oldest first."""
    found = (stage.world.host_view() or {"batches": ()})["batches"]
    return [one for one in found if one["batch"] == number]


@known(Kind.WHEN, "the host loses its record of {count} sale", r"the host loses its records? of (?P<count>\d+) sales?")
def _loses(stage: Stage, count: str) -> None:
    """The newest ones; what is not booked yet is waited for."""
    wanted = values.whole(count, "the number")
    stage.world.wait(lambda: len(_booked(stage)) >= wanted, BOOKS_WAIT_MS)
    for record in _booked(stage)[-wanted:]:
        stage.world.host_loses(record["sale"])


@known(Kind.WHEN, "the host begins to lose its answers after booking")
def _loses_answers(stage: Stage) -> None:
    stage.world.set_host(HostConduct(lose_answers=True))


@known(Kind.WHEN, "the host has {volume:amount} in its record of the last sale")
def _misbooks(stage: Stage, volume: str) -> None:
    volume_ml = values.volume_ml(volume)
    stage.world.wait(lambda: bool(_booked(stage)), BOOKS_WAIT_MS)
    for record in _booked(stage)[-1:]:
        stage.world.host_misbooks(record["sale"], volume_ml)


@known(Kind.THEN, "the advices came in {count} call", r"the advices came in (?P<count>\d+) calls?")
def _calls(stage: Stage, count: str) -> None:
    wanted = values.whole(count, "the number")

    def came() -> int:
        return int((stage.world.host_view() or {"calls": {}})["calls"].get("advise", 0))

    stage.expect(lambda: came() == wanted, BOOKS_WAIT_MS, lambda: f"they came in {came()}")


@known(Kind.THEN, "the host {how:agrees|disagrees} with batch {number}")
def _compared(stage: Stage, how: str, number: str) -> None:
    batch, wanted = values.whole(number, "the batch"), "balanced" if how == "agrees" else "unbalanced"

    def is_so() -> bool:
        answers = _batches(stage, batch)
        return bool(answers) and answers[-1]["result"] == wanted

    def otherwise() -> str:
        answers = _batches(stage, batch)
        told = ", ".join(f"attempt {one['attempt']} {one['result']}" for one in answers) or "not closed"
        return f"batch {batch} is {told}"

    stage.expect(is_so, BOOKS_WAIT_MS, otherwise)


@known(Kind.THEN, "batch {number} sums {count} sale", r"batch (?P<number>\d+) sums (?P<count>no|\d+) sales?")
def _sums(stage: Stage, number: str, count: str) -> None:
    batch, wanted = values.whole(number, "the batch"), 0 if count == "no" else values.whole(count, "the number")

    def summed() -> int | None:
        answers = _batches(stage, batch)
        return sum(line["count"] for line in answers[-1]["totals"]) if answers else None

    stage.expect(lambda: summed() == wanted, BOOKS_WAIT_MS, lambda: f"batch {batch} sums {summed()}")
