"""Steps about badges that are copied, changed on their way, held out two at once or taken away, and about badges that sign a link.

PYTEST_DONT_REWRITE (there is no bare assert here)
"""

from __future__ import annotations

from tests.behaviour.stage import Kind, Stage, known

TORN_AFTER = 3
"""Exchanges after which a hand that is too quick has the badge away again; the least that any badge needs is more."""

FORGERIES = {
    "a copy": "clone",  # the UID and the application, but not the key
    "a plain copy": "auto",  # a cheap tag that says the same number
    "a classic copy": "classic",  # a MIFARE Classic with the same UID
}


@known(Kind.WHEN, 'the driver presents {what:a copy|a plain copy|a classic copy} of badge "{number}"')
def _copy(stage: Stage, what: str, number: str) -> None:
    _present(stage, number, make=FORGERIES[what])


@known(Kind.WHEN, 'the driver presents badge "{number}" with a {how:signed|replayed} link')
def _link(stage: Stage, number: str, how: str) -> None:
    _present(stage, number, make="ntag424" if how == "signed" else "replay")


@known(Kind.WHEN, 'the driver presents badge "{number}" with a link under another key')
def _foreign_link(stage: Stage, number: str) -> None:
    _present(stage, number, make="foreign link")


@known(Kind.WHEN, 'the driver presents badge "{number}" and a bit is changed on the way')
def _changed(stage: Stage, number: str) -> None:
    _present(stage, number, make="relay")


@known(Kind.WHEN, 'the driver presents badge "{number}", which answers as briefly as it may')
def _brief(stage: Stage, number: str) -> None:
    _present(stage, number, make="short ats")


@known(Kind.WHEN, 'the driver presents badges "{number}" and "{second}" together')
def _together(stage: Stage, number: str, second: str) -> None:
    _present(stage, number, second=second)


@known(Kind.WHEN, 'the driver takes badge "{number}" away too early')
def _too_early(stage: Stage, number: str) -> None:
    _present(stage, number, tear_after=TORN_AFTER)


def _present(stage: Stage, number: str, *, make: str = "", second: str = "", tear_after: int = 0) -> None:
    stage.new_attempt()
    stage.world.present_badge(number, make=make, second=second, tear_after=tear_after)
    stage.settle()
