"""The When steps: what drivers, wires, buttons, time and the host do. Source: the behaviour language, section "When".

A When never fails because the terminal ignores it. PYTEST_DONT_REWRITE (there is no bare assert here)
"""

from __future__ import annotations

from tests.behaviour import values
from tests.behaviour.stage import DRIVER_WAIT_MS, Kind, NotSo, Stage, a_fuelling_point, known
from tests.behaviour.values import Unclear
from tests.behaviour.world import LIST_FAULTS, GivenOrder, HostConduct, Subject, SubjectKind

# === the driver =================================================================================================


@known(Kind.WHEN, 'the driver presents badge "{number}"')
def _present(stage: Stage, number: str) -> None:
    stage.new_attempt()
    stage.world.present_badge(number)
    stage.settle()


@known(Kind.WHEN, 'the driver swipes card "{number}"')
def _swipe(stage: Stage, number: str) -> None:
    stage.new_attempt()
    stage.world.swipe(number)
    stage.settle()


@known(Kind.WHEN, 'the driver inserts card "{number}"')
def _insert(stage: Stage, number: str) -> None:
    stage.new_attempt()
    stage.world.insert(number)
    stage.settle()


@known(Kind.WHEN, "the driver removes the card")
def _remove(stage: Stage) -> None:
    stage.world.remove_card()
    stage.settle()


@known(Kind.WHEN, 'the driver enters PIN "{pin}"')
def _pin(stage: Stage, pin: str) -> None:
    if not (pin.isascii() and pin.isdigit()):
        raise Unclear("a PIN is typed in digits")
    stage.until_asked("PIN")
    stage.world.enter_pin(pin)
    stage.settle()


@known(Kind.WHEN, 'the driver answers "{name}" with "{value}"')
def _answer(stage: Stage, name: str, value: str) -> None:
    prompt = values.one_of(name.lower(), values.PROMPTS, "a prompt")
    stage.until_asked(prompt.upper())
    stage.world.answer_prompt(prompt, value)
    stage.settle()


@known(Kind.WHEN, "the driver wishes {text:amount}")
def _wish(stage: Stage, text: str) -> None:
    amount = values.amount(text, stage.setup.currency)
    stage.until_asked("FUELLING POINT")
    stage.world.wish(amount)
    stage.settle()


@known(Kind.WHEN, "the driver chooses fuelling point {fp}")
def _choose(stage: Stage, fp: str) -> None:
    number = values.whole(fp, "the fuelling point")
    stage.until_asked("FUELLING POINT")
    stage.world.choose(number)
    stage.settle()


@known(Kind.WHEN, "the driver presses cancel")
def _cancel(stage: Stage) -> None:
    stage.world.cancel()
    stage.settle()


@known(Kind.WHEN, "the driver lifts nozzle {nozzle} at fuelling point {fp}")
def _lift(stage: Stage, nozzle: str, fp: str) -> None:
    point, number = a_fuelling_point(stage, fp), values.whole(nozzle, "the nozzle")
    if all((row.fp, row.nozzle) != (point, number) for row in stage.setup.fuelling_points):
        raise Unclear(f"fuelling point {point} has no nozzle {number} in the table of the fuelling points")
    stage.world.lift(point, number)


@known(Kind.WHEN, "{volume:amount} flow at fuelling point {fp}", r"(?P<volume>\S+ \S+) flows? at fuelling point (?P<fp>\S+)")
def _flow(stage: Stage, volume: str, fp: str) -> None:
    volume_ml, point = values.volume_ml(volume), a_fuelling_point(stage, fp)
    stage.world.wait(lambda: stage.world.release(point) is not None, DRIVER_WAIT_MS)
    stage.world.flow(point, volume_ml)


@known(Kind.WHEN, "the driver hangs up at fuelling point {fp}")
def _hang_up(stage: Stage, fp: str) -> None:
    stage.world.hang_up(a_fuelling_point(stage, fp))


# === time, power, wires, buttons ================================================================================


@known(Kind.WHEN, "{time:amount} pass", r"(?P<time>\S+ \S+) pass(?:es)?")
def _pass(stage: Stage, time: str) -> None:
    stage.world.pass_time(values.duration_ms(time))


@known(Kind.WHEN, "the power is cut")
def _power_cut(stage: Stage) -> None:
    stage.world.cut_power()


@known(Kind.WHEN, "the power returns")
def _power_returns(stage: Stage) -> None:
    stage.world.return_power()


@known(Kind.WHEN, "the line of fuelling point {fp} is {how:cut|restored}")
def _line(stage: Stage, fp: str, how: str) -> None:
    point = a_fuelling_point(stage, fp)
    if how == "cut":
        stage.world.cut_line(point)
    else:
        stage.world.restore_line(point)


@known(Kind.WHEN, "noise is on the line of fuelling point {fp}")
def _noise(stage: Stage, fp: str) -> None:
    stage.world.noise(a_fuelling_point(stage, fp))


@known(Kind.WHEN, 'the clock is set to "{text}"')
def _clock(stage: Stage, text: str) -> None:
    stage.world.set_clock(values.local_time(text))


@known(Kind.WHEN, "the stop of fuelling point {fp} is pressed")
def _stop(stage: Stage, fp: str) -> None:
    stage.world.press_stop(a_fuelling_point(stage, fp))


@known(Kind.WHEN, "the emergency stop of the site is {how:pressed|reset}")
def _emergency(stage: Stage, how: str) -> None:
    stage.world.emergency_stop(how == "pressed")
    if how == "reset":
        refused = stage.world.order(GivenOrder("reset_emergency_stop", by_host=False))
        if refused is not None:
            raise NotSo(f"the terminal refused to reset it: {refused}")


@known(Kind.WHEN, "the disk {how:is full|has room}")
def _disk(stage: Stage, how: str) -> None:
    stage.world.disk_full(how == "is full")


# === the host ===================================================================================================


@known(Kind.WHEN, "the host becomes {how:reachable|unreachable}")
def _host_becomes(stage: Stage, how: str) -> None:
    stage.world.set_host(HostConduct(reachable=how == "reachable"))


def _blocked(stage: Stage, kind: str, name: str) -> tuple[Subject, ...]:
    """Whom a block names: the number of a medium, all numbers of an account, or a customer."""
    names = stage.setup.numbers_of(name) if kind == "card" else (name,)
    return tuple(Subject(SubjectKind(kind), each) for each in names)


@known(Kind.WHEN, 'the host blocks {kind:card|customer} "{name}"')
def _block(stage: Stage, kind: str, name: str) -> None:
    for subject in _blocked(stage, kind, name):
        stage.world.host_blocks(subject)


@known(Kind.WHEN, 'the host unblocks {kind:card|customer} "{name}"')
def _unblock(stage: Stage, kind: str, name: str) -> None:
    for subject in _blocked(stage, kind, name):
        stage.world.host_unblocks(subject)


@known(Kind.WHEN, 'the host unlocks the PIN of card "{name}"')
def _unlock(stage: Stage, name: str) -> None:
    stage.world.unlock_pin(stage.setup.account_of(name))


@known(Kind.WHEN, 'the host spoils its lists with "{fault}"')
def _spoil(stage: Stage, fault: str) -> None:
    stage.world.spoil_lists(values.one_of(fault, LIST_FAULTS, "a fault of a list"))


@known(Kind.WHEN, "the host publishes the lists")
def _publish(stage: Stage) -> None:
    stage.world.publish_lists()
