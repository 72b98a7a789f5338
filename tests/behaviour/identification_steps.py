"""Steps about tracks, odometers of the host and the keys of the welcome screen. PYTEST_DONT_REWRITE (there is no bare assert here)"""

from __future__ import annotations

import re

from tests.behaviour import values
from tests.behaviour.host_thens import host_book
from tests.behaviour.stage import BOOKS_WAIT_MS, Kind, Stage, known
from tests.behaviour.values import Unclear

_TRACK = re.compile(r"(?P<number>\d{1,19})=(?P<rest>\d{0,27})", re.ASCII)


@known(Kind.WHEN, 'the driver swipes track "{track}"')
def _swipe_track(stage: Stage, track: str) -> None:
    match = _TRACK.fullmatch(track)
    if match is None:
        raise Unclear("a track is written PAN=YYMM, service code and the rest, in digits")
    stage.new_attempt()
    stage.world.swipe(match["number"], tracks=(2,), rest=match["rest"])
    stage.settle()


@known(Kind.WHEN, "the driver presses key {key}")
def _key(stage: Stage, key: str) -> None:
    if not (len(key) == 1 and key.isascii() and key.isdigit()):
        raise Unclear("a key of the welcome screen is one digit")
    stage.new_attempt()
    stage.world.press_key(key)
    stage.settle()


@known(Kind.WHEN, 'the host sets the odometer of card "{card}" to {reading}')
def _odometer(stage: Stage, card: str, reading: str) -> None:
    stage.world.host_sets_odometer(stage.setup.numbers_of(card)[0], values.whole(reading, "the reading"))


@known(
    Kind.THEN,
    'the sale carries mark "{words}"',
    r'the sale carries (?:no marks?|marks? "(?P<words>[^"]*)")',
    short="the sale carries no mark",
)
def _marks(stage: Stage, words: str | None) -> None:
    wanted = [] if words is None else list(values.comma_list(words))

    def marks() -> list[str] | None:
        sold = [record for record in host_book(stage)["records"] if record["quantity_ml"] > 0]
        return list(sold[-1].get("marks") or []) if sold else None

    stage.expect(lambda: marks() == wanted, BOOKS_WAIT_MS, lambda: f"the host's last record carries {marks()}")
