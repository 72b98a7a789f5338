"""Steps about stripes and chip cards that are drawn, put in or pulled out badly. PYTEST_DONT_REWRITE (there is no bare assert here)"""

from __future__ import annotations

from tests.behaviour import values
from tests.behaviour.stage import Kind, NotSo, Stage, known
from tests.behaviour.values import Unclear

FLEET_SELECT = bytes.fromhex("00A4040007F0464C45455401")
CERTIFIED = {
    "a copy": "certificate copy",
    "a foreign twin": "foreign certificate",
    "an expired twin": "expired certificate",
    "a renamed twin": "certificate of another",
}
READING = {0xA4, 0xA8, 0xB2, 0xC0}
"""SELECT, GET PROCESSING OPTIONS, READ RECORD, GET RESPONSE."""
SWIPES = {"stops halfway": "half", "its keys bounce": "noise", "the system loses a part": "dropped"}


@known(Kind.WHEN, 'the driver swipes card "{number}" and {how:stops halfway|its keys bounce|the system loses a part}')
def _swipe_badly(stage: Stage, number: str, how: str) -> None:
    stage.new_attempt()
    stage.world.swipe(number, fault=SWIPES[how])
    stage.settle()


@known(Kind.WHEN, 'the driver swipes card "{number}" and at once card "{second}"')
def _swipe_two(stage: Stage, number: str, second: str) -> None:
    stage.new_attempt()
    stage.world.swipe(number, fault="double", second=second)
    stage.settle()


@known(Kind.WHEN, 'the driver swipes card "{number}" with track {track:1|2} alone')
def _swipe_track(stage: Stage, number: str, track: str) -> None:
    stage.new_attempt()
    stage.world.swipe(number, tracks=(int(track),))
    stage.settle()


@known(Kind.WHEN, 'the driver inserts card "{number}" and pulls it out at exchange {exchange}')
def _tear(stage: Stage, number: str, exchange: str) -> None:
    _torn(stage, number, exchange, "fleet")


def _torn(stage: Stage, number: str, exchange: str, make: str) -> None:
    at = values.whole(exchange, "the exchange")
    if at < 1:
        raise Unclear("exchanges are counted from 1")
    stage.new_attempt()
    stage.world.insert(number, make=make, tear_at=at)
    stage.settle()


@known(Kind.WHEN, 'the driver inserts {make:a copy|an unproven twin} of card "{number}"')
def _copy(stage: Stage, make: str, number: str) -> None:
    stage.new_attempt()
    stage.world.insert(number, make="copy" if make == "a copy" else "no proof")
    stage.settle()


@known(Kind.WHEN, 'the driver inserts certified card "{number}"')
def _certified(stage: Stage, number: str) -> None:
    stage.new_attempt()
    stage.world.insert(number, make="certificate")
    stage.settle()


@known(Kind.WHEN, 'the driver inserts certified card "{number}" and pulls it out at exchange {exchange}')
def _tear_certified(stage: Stage, number: str, exchange: str) -> None:
    _torn(stage, number, exchange, "certificate")


@known(Kind.WHEN, 'the driver inserts {make:a copy|a foreign twin|an expired twin|a renamed twin} of certified card "{number}"')
def _certified_copy(stage: Stage, make: str, number: str) -> None:
    stage.new_attempt()
    stage.world.insert(number, make=CERTIFIED[make])
    stage.settle()


@known(Kind.WHEN, "the driver inserts a {make:bank card|card of another make}")
def _foreign(stage: Stage, make: str) -> None:
    stage.new_attempt()
    stage.world.insert("", make="bank" if make == "bank card" else "foreign")
    stage.settle()


@known(Kind.WHEN, 'the driver inserts bank card "{number}"')
def _bank(stage: Stage, number: str) -> None:
    stage.new_attempt()
    stage.world.insert(number, make="bank")
    stage.settle()


@known(Kind.WHEN, 'the driver inserts bank card "{number}" and pulls it out at exchange {exchange}')
def _tear_bank(stage: Stage, number: str, exchange: str) -> None:
    _torn(stage, number, exchange, "bank")


@known(Kind.WHEN, 'the driver inserts bank card "{number}" without a payment directory')
def _bank_without_directory(stage: Stage, number: str) -> None:
    stage.new_attempt()
    stage.world.insert(number, make="bank without directory")
    stage.settle()


@known(Kind.WHEN, "the card service {how:stops|returns}")
def _service(stage: Stage, how: str) -> None:
    stage.world.card_service(how == "returns")
    stage.settle()


@known(Kind.THEN, "the card was asked for no PIN and no cryptogram")
def _asked_no_pin(stage: Stage) -> None:
    asked = {command[1] for command in stage.world.card_heard() or ()}
    if not asked or not asked <= READING:
        raise NotSo(f"it was asked {', '.join(f'{one:02X}' for one in sorted(asked)) or 'nothing at all'}")


@known(Kind.THEN, "the card was asked for the fleet's application and nothing else")
def _asked_nothing_else(stage: Stage) -> None:
    heard = [command[:12] for command in stage.world.card_heard() or ()]
    if not heard or any(command != FLEET_SELECT for command in heard):
        raise NotSo(f"it was asked: {', '.join(command[:4].hex().upper() for command in heard) or 'nothing at all'}")
