"""A ledger that was put back: found by the counter, no PIN is checked until the host confirms it, and no honest way of ending looks so."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from terminal.core import effects as fx
from terminal.core.effects import AckEvent, CountUp
from terminal.core.faults import FaultCode
from terminal.core.host_events import LedgerConfirmed
from terminal.core.ids import Minting
from terminal.core.records import EventPassed, PinTried, Refused
from terminal.core.rollback import CountedUp, CounterFound
from terminal.core.rollback_mark import RollbackMarked
from terminal.core.site import Recovered
from terminal.core.terminal_state import PinKeyState
from tests.machines.site_kit import Bench, names, pin_rule, records, screen, token_of


@dataclass
class Chip:
    """The counter, as the chip has it."""

    value: int | None = None
    lost: bool = False

    def up(self) -> CountedUp:
        if self.lost:
            return CountedUp(None, "no answer")
        self.value = (self.value or 0) + 1
        return CountedUp(self.value)


@dataclass
class Counted(Bench):
    """A bench whose engine counts the chip up after each step that wants it."""

    chip: Chip = field(default_factory=Chip)

    def continued(self, effects: list[fx.Effect]) -> list[object]:
        found: list[object] = [self.chip.up() for effect in effects if isinstance(effect, CountUp)]
        return found + super().continued(effects)

    def boot(self) -> list[fx.Effect]:
        effects = super().boot()
        return effects + self.do(*self.continued(effects))


def start(mark: int | None, chip: Chip | None) -> Bench:
    """A terminal with what its ledger remembers and what the chip says; a card with a PIN."""
    known = Recovered(Minting("T", 1, 1), rollback_mark=mark)
    known.counter = None if chip is None else CounterFound(chip.value, "no answer" if chip.lost else None)
    bench = Counted(recovered=known, chip=chip or Chip()).open(host=False)
    bench.add_card("P", pin=pin_rule(token_of("P"), "4711"))
    return bench


def mark_of(bench: Bench) -> int | None:
    """What the ledger remembers in the end."""
    found = [record for step in bench.steps for record in records(step, RollbackMarked)]
    return found[-1].value if found else None


def test_without_a_chip_it_says_software_and_counts_nothing() -> None:
    bench = start(None, None)
    assert bench.site.rollback.state is PinKeyState.SOFTWARE
    assert mark_of(bench) is None
    bench.badge("P")
    assert "PIN" in "".join(screen(bench.keys("4711#"))) or bench.session().pins


def test_every_start_counts_up_and_the_ledger_follows() -> None:
    chip, mark = Chip(), None
    for count in range(1, 5):
        bench = start(mark, chip)
        mark = mark_of(bench)
        assert (bench.site.rollback.state, chip.value, mark) == (PinKeyState.TPM, count, count)


@pytest.mark.parametrize("counted", [True, False])
def test_a_cut_between_the_ledger_and_the_counter_is_no_rollback(counted: bool) -> None:
    assert start(7, Chip(7 if counted else 6)).site.rollback.state is PinKeyState.TPM


@pytest.mark.parametrize(("mark", "value"), [(6, 7), (None, 7), (1, 7), (9, 7), (7, None)])
def test_an_older_copy_another_machines_and_none_at_all_check_no_pin(mark: int | None, value: int | None) -> None:
    bench = start(mark, Chip(value))
    assert bench.site.rollback.state is PinKeyState.ROLLED_BACK
    assert FaultCode.LEDGER_ROLLED_BACK.value in bench.faults()
    assert mark_of(bench) is None, "an older copy must not look newer by being started"
    effects = bench.badge("P")
    assert "ready" in " ".join(screen(effects)).lower()
    assert not records(effects, PinTried)
    assert not records(effects, Refused)
    bench.wait(10_000)
    bench.add_card("Q")
    bench.badge("Q")
    assert bench.session().medium is not None, "a card without a PIN is served"


def test_the_try_that_locks_counts_up_before_its_pin_is_compared() -> None:
    bench = start(3, Chip(3))
    bench.badge("P")
    for _ in range(2):
        assert not [name for name in names(bench.keys("0000#")) if name == "CountUp"]
    seen = names(bench.keys("0000#"), "PinTried", "RollbackMarked", "CountUp", "Refused")
    assert seen[:3] == ["PinTried", "RollbackMarked", "CountUp"]
    assert mark_of(bench) == 5


def test_a_copy_from_before_the_lock_is_found() -> None:
    chip = Chip(3)
    bench = start(3, chip)
    copied = mark_of(bench)
    bench.badge("P")
    for _ in range(3):
        bench.keys("0000#")
    again = start(copied, chip)
    assert again.site.rollback.state is PinKeyState.ROLLED_BACK


def test_a_copy_from_before_the_start_is_found_without_any_lock() -> None:
    chip = Chip(3)
    start(3, chip)
    assert start(3, chip).site.rollback.state is PinKeyState.ROLLED_BACK


def test_the_host_confirms_and_pins_are_checked_again() -> None:
    chip = Chip(9)
    bench = start(4, chip)
    effects = bench.do(LedgerConfirmed(17, "disk exchanged"))
    assert [effect for effect in effects if isinstance(effect, AckEvent)] == [AckEvent(17, bench.site.desk.clock.utc(bench.now))]
    assert records(effects, RollbackMarked)[0].event == 17
    assert (bench.site.rollback.state, chip.value, mark_of(bench)) == (PinKeyState.TPM, 10, 10)
    assert bench.faults().isdisjoint({FaultCode.LEDGER_ROLLED_BACK.value})
    bench.badge("P")
    assert records(bench.keys("4711#"), PinTried)
    assert bench.session().pins
    assert start(mark_of(bench), chip).site.rollback.state is PinKeyState.TPM


def test_a_confirmation_that_nobody_waits_for_changes_nothing() -> None:
    bench = start(4, Chip(4))
    effects = bench.do(LedgerConfirmed(18, "by mistake"))
    assert records(effects, EventPassed)[0].event == 18
    assert not records(effects, RollbackMarked)


def test_a_chip_that_does_not_answer_checks_no_pin_and_takes_the_ledger_for_nothing_else() -> None:
    bench = start(4, Chip(lost=True))
    assert bench.site.rollback.state is PinKeyState.UNAVAILABLE
    assert FaultCode.PIN_KEY_UNAVAILABLE.value in bench.faults()
    bench.badge("P")
    assert bench.session().medium is None


def test_a_chip_that_dies_on_the_way_is_told_and_nothing_is_compared() -> None:
    bench = start(4, chip := Chip(4))
    chip.lost = True
    bench.badge("P")
    for _ in range(3):
        bench.keys("0000#")
    assert bench.site.rollback.state is PinKeyState.UNAVAILABLE


def test_the_report_says_how_pins_are_kept() -> None:
    for bench, wanted in (
        (start(None, None), PinKeyState.SOFTWARE),
        (start(4, Chip(4)), PinKeyState.TPM),
        (start(3, Chip(4)), PinKeyState.ROLLED_BACK),
    ):
        assert bench.site.state.state(bench.now).pin_key is wanted
