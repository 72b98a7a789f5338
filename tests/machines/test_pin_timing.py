"""A PIN check takes the same way whatever is wrong: the same calls in the same order, the same commits, the same screens.

Not measured in time, which a busy machine would decide: compared call by call. What can be told from outside is told beforehand and
without any PIN (an unknown card, a locked one), so that nothing about a PIN is in it.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from drivers.commands import ShowLines
from terminal.core import effects as fx
from terminal.core.card_data import PinRule
from terminal.core.pin import OPIN1_DOMAIN, PIN_MAX, PinEntry, opin1
from terminal.store.vault import KeyVault
from tests.machines.site_kit import Bench, names, pin_rule, records, token_of

KEY = bytes(range(32))
ACCOUNT, OTHER = "ab" * 16, "cd" * 16


def typed(digits: str) -> PinEntry:
    entry = PinEntry()
    for digit in digits:
        entry.add(digit)
    return entry


VERIFIER = opin1(KEY, bytes.fromhex(ACCOUNT), 7, typed("4711")).hex()
RIGHT = (PinRule("opin1", 7, VERIFIER, 3), ACCOUNT, "4711")
WRONG: dict[str, tuple[PinRule, str, str]] = {
    "last digit": (RIGHT[0], ACCOUNT, "4712"),
    "first digit": (RIGHT[0], ACCOUNT, "5711"),
    "one digit more": (RIGHT[0], ACCOUNT, "47110"),
    "as long as can be": (RIGHT[0], ACCOUNT, "4" * PIN_MAX),
    "another account's": (RIGHT[0], OTHER, "4711"),
    "another epoch": (PinRule("opin1", 8, VERIFIER, 3), ACCOUNT, "4711"),
    "first byte of the verifier": (PinRule("opin1", 7, "00" + VERIFIER[2:], 3), ACCOUNT, "4711"),
    "last byte of the verifier": (PinRule("opin1", 7, VERIFIER[:-2] + "00", 3), ACCOUNT, "4711"),
    "a scheme that nobody knows": (PinRule("opin9", 7, VERIFIER, 3), ACCOUNT, "4711"),
    "a verifier that is none": (PinRule("opin1", 7, "no hex", 3), ACCOUNT, "4711"),
    "no verifier": (PinRule("opin1", 7, "", 3), ACCOUNT, "4711"),
}


def way_of(action: Callable[[], object]) -> list[str]:
    """The name of every function that is called, Python's own too, in their order."""
    way: list[str] = []

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            way.append(frame.f_code.co_name)
        elif event == "c_call":
            way.append(argument.__name__)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(before)
    return way


@pytest.mark.parametrize("what", WRONG)
def test_every_wrong_pin_goes_the_way_of_the_right_one(what: str) -> None:
    vault = KeyVault(KEY, KEY, KEY)
    entries = typed(RIGHT[2]), typed(WRONG[what][2])
    vault.pin_matches(RIGHT[0], RIGHT[1], entries[0])  # what is done once only
    right = way_of(lambda: vault.pin_matches(RIGHT[0], RIGHT[1], entries[0]))
    wrong = way_of(lambda: vault.pin_matches(*WRONG[what][:2], entries[1]))
    assert vault.pin_matches(RIGHT[0], RIGHT[1], entries[0])
    assert not vault.pin_matches(*WRONG[what][:2], entries[1])
    assert wrong == right
    assert right.count("compare_digest") == 1


def test_every_length_of_a_pin_is_one_block_of_the_hash() -> None:
    """So that even the hash takes the same steps: all that is hashed for the longest PIN, with its padding, fits one block."""
    longest = len(OPIN1_DOMAIN) + 16 + 4 + 1 + PIN_MAX
    assert longest + 1 + 8 <= hashlib.sha256().block_size


# --- around it ----------------------------------------------------------------------------------------------------------


def tried(digits: str, *, account: str = "P", pin: str = "4711", before: int = 0) -> list[list[fx.Effect]]:
    """A card with a PIN, some wrong tries, and this one: the steps from its ENTER on."""
    bench = Bench().open(host=False)
    bench.add_card(account, pin=pin_rule(token_of(account), pin))
    bench.badge(account)
    for _ in range(before):
        bench.keys("0000#")
    bench.keys(digits)
    known = len(bench.steps)
    bench.keys("#")
    return bench.steps[known:]


def shown(steps: list[list[fx.Effect]]) -> list[tuple[str, ...]]:
    found = [effect.command for step in steps for effect in step if isinstance(effect, fx.Send)]
    return [command.lines for command in found if isinstance(command, ShowLines)]


@pytest.mark.parametrize("before", [0, 1])
def test_the_step_of_enter_is_the_same_for_right_and_wrong(before: int) -> None:
    """The try is written, and nothing else is done or shown, before anything was compared."""
    right, *rest = (tried(digits, before=before)[0] for digits in ("4711", "4712", "9711", "47110", "471100000000"))
    assert all(names(step) == names(right) and records(step, object) == records(right, object) for step in rest)
    assert names(right) == ["PinTried", "Continue"]


def test_all_wrong_ones_do_show_and_write_the_same() -> None:
    first, *rest = (tried(digits) for digits in ("4712", "9711", "47110", "471100000000"))
    for other in rest:
        assert [names(step) for step in other] == [names(step) for step in first]
        assert shown(other) == shown(first)


def test_right_and_wrong_have_the_same_number_of_commits_before_the_answer() -> None:
    """What tells them apart from outside is the screen, which is meant to."""
    right, wrong = tried("4711"), tried("4712")
    assert len(right) == len(wrong) == 2
    assert shown(right[:1]) == shown(wrong[:1]) == []


def test_what_is_known_without_a_pin_is_told_without_one() -> None:
    """A card that no list has, and one that is locked, are refused when they are held out: nobody types a PIN for the answer."""
    bench = Bench().open(host=False)
    bench.badge("NOBODY")
    assert bench.session().medium is None
    bench.wait(10_000)
    bench.add_card("L", pin=pin_rule(token_of("L"), "4711", tries=0))
    before = len(bench.steps)
    bench.badge("L")
    bench.keys("4711#")
    assert not any(records(step, object) and "PinTried" in names(step) for step in bench.steps[before:])
