"""Steps about persons in charge and the emergency stop: who stops a point, acknowledges a fault, resets the stop; what is written of it.

PYTEST_DONT_REWRITE (there is no bare assert here)
"""

from __future__ import annotations

from tests.behaviour import values
from tests.behaviour.host_thens import host_book
from tests.behaviour.stage import BOOKS_WAIT_MS, DRIVER_WAIT_MS, Kind, NotSo, Stage, a_fuelling_point, known
from tests.behaviour.values import Unclear
from tests.behaviour.world import GivenOrder


@known(Kind.GIVEN, "the emergency stop is wired to an input of the terminal")
def _wired(stage: Stage) -> None:
    stage.describe(emergency_input=True)


@known(Kind.WHEN, "the emergency stop button is pulled out")
def _pulled(stage: Stage) -> None:
    stage.world.emergency_stop(False)


def _obeyed(stage: Stage, order: GivenOrder) -> None:
    refused = stage.world.order(order)
    if refused is not None:
        raise NotSo(f"the terminal refused: {refused}")


@known(Kind.WHEN, "the {who:manager|host} stops fuelling point {fp}")
def _stops(stage: Stage, who: str, fp: str) -> None:
    point = a_fuelling_point(stage, fp)
    _obeyed(stage, GivenOrder("stop_point", who == "host", fuelling_point=point))
    stage.world.wait(lambda: stage.world.release(point) is None, DRIVER_WAIT_MS)  # a pump hears it with its next poll


@known(Kind.WHEN, 'the {who:manager|host} acknowledges the fault "{fault}"')
def _acknowledges(stage: Stage, who: str, fault: str) -> None:
    if not fault.isupper():
        raise Unclear("a fault is written like UNATTRIBUTED_DELIVERY")
    stage.world.wait(lambda: fault in stage.world.faults(), DRIVER_WAIT_MS)
    _obeyed(stage, GivenOrder("acknowledge_fault", who == "host", fault=fault))


@known(Kind.WHEN, "the host resets the emergency stop")
def _resets(stage: Stage) -> None:
    _obeyed(stage, GivenOrder("reset_emergency_stop", True))


@known(Kind.THEN, "the manager may not reset the emergency stop")
def _may_not_reset(stage: Stage) -> None:
    if stage.world.order(GivenOrder("reset_emergency_stop", False)) is None:
        raise NotSo("the terminal let him")


@known(Kind.THEN, 'the manager may not acknowledge the fault "{fault}"')
def _may_not_acknowledge(stage: Stage, fault: str) -> None:
    if stage.world.order(GivenOrder("acknowledge_fault", False, fault=fault)) is None:
        raise NotSo("the terminal let him")


@known(Kind.THEN, "the terminal {how:has obeyed|refuses} the host's last order")
def _last_order(stage: Stage, how: str) -> None:
    def ack() -> dict[str, object] | None:
        view = host_book(stage)
        made = [event for event, word in view["acks"].items()]
        return view["acks"][made[-1]] if made else None

    def so() -> bool:
        found = ack()
        return found is not None and (found["refused"] is None) is (how == "has obeyed")

    stage.expect(so, BOOKS_WAIT_MS, lambda: f"the terminal's last word about what the host said: {ack()}")


@known(Kind.THEN, 'the journal names "{who}" for "{order}"')
def _journal(stage: Stage, who: str, order: str) -> None:
    stage.expect(
        lambda: any(what == order and by.split(" (")[0] == who for what, by in stage.world.orders_taken()),
        BOOKS_WAIT_MS,
        lambda: f"the journal's orders: {list(stage.world.orders_taken())}",
    )


@known(Kind.THEN, 'the fault "{fault}" is there once')
def _once(stage: Stage, fault: str) -> None:
    stage.expect(
        lambda: list(stage.world.faults()).count(fault) == 1, DRIVER_WAIT_MS, lambda: f"the faults: {', '.join(stage.world.faults())}"
    )


# === what a head does by itself =================================================================================

ALARMS = {"vapour recovery error": 0x10, "pulser error": 0x06, "low leak error": 0x0D, "emergency stop": 0x09}
"""As the driver of DART words them (firmware_notes/dart.md, DC5)."""


@known(Kind.WHEN, 'the head of fuelling point {fp} reports the alarm "{alarm}"')
def _alarm(stage: Stage, fp: str, alarm: str) -> None:
    number = a_fuelling_point(stage, fp)
    stage.world.head_alarm(number, ALARMS[values.one_of(alarm, tuple(ALARMS), "an alarm")])


@known(Kind.WHEN, "the head of fuelling point {fp} reckons wrong amounts")
def _wrong(stage: Stage, fp: str) -> None:
    stage.world.head_habit(a_fuelling_point(stage, fp), "reckons_wrong")


@known(Kind.THEN, "the terminal sees {volume:amount} for {amount:amount} at fuelling point {fp}")
def _sees(stage: Stage, volume: str, amount: str, fp: str) -> None:
    point = a_fuelling_point(stage, fp)
    wanted = values.volume_ml(volume), values.amount_minor(amount, stage.setup.currency)
    stage.expect(lambda: stage.world.live(point) == wanted, DRIVER_WAIT_MS, lambda: f"it sees {stage.world.live(point)}")


@known(Kind.WHEN, "{volume:amount} leave nozzle {nozzle} of fuelling point {fp} without a release")
def _leaves(stage: Stage, volume: str, nozzle: str, fp: str) -> None:
    stage.world.dispense_unreleased(a_fuelling_point(stage, fp), values.whole(nozzle, "the nozzle"), values.volume_ml(volume))


# === tests and calibration ======================================================================================


@known(
    Kind.THEN,
    'the ledger holds {count} test of {volume} of "{product}"',
    r'the ledger holds (?P<count>no|\d+) tests?(?: of (?P<volume>\S+ L) of "(?P<product>[^"]*)")?',
)
def _tests(stage: Stage, count: str, volume: str | None, product: str | None) -> None:
    volume_ml = None if volume is None else values.volume_ml(volume)

    def seen() -> int:
        held = stage.world.ledger_tests()
        return sum((ml, name, minor) == (volume_ml, product, 0) for ml, name, minor in held) if volume_ml is not None else len(held)

    wanted = 0 if count == "no" else int(count)
    stage.expect(lambda: seen() == wanted, BOOKS_WAIT_MS, lambda: f"the ledger holds these tests: {list(stage.world.ledger_tests())}")


@known(Kind.THEN, 'the host has 1 test of {volume:amount} of "{product}"')
def _host_test(stage: Stage, volume: str, product: str) -> None:
    volume_ml = values.volume_ml(volume)

    def seen() -> list[tuple[int, str, int]]:
        marked = [record for record in host_book(stage)["records"] if "TEST" in (record.get("marks") or ())]
        return [(record["quantity_ml"], record["product"], record["value_minor"]) for record in marked if record["quantity_ml"]]

    stage.expect(lambda: seen() == [(volume_ml, product, 0)], BOOKS_WAIT_MS, lambda: f"the host has these tests: {seen()}")


@known(Kind.THEN, "the meter deviates by {deviation} ml in the journal")
def _deviates(stage: Stage, deviation: str) -> None:
    wanted = int(deviation) if deviation.lstrip("+-").isdigit() else None
    if wanted is None:
        raise Unclear("a deviation is whole millilitres with its sign")
    stage.expect(lambda: wanted in stage.world.proved(), BOOKS_WAIT_MS, lambda: f"the journal's deviations: {list(stage.world.proved())}")
