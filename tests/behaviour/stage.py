"""What one scenario carries from step to step, and how a step's text is matched.

``Stage`` gathers the Givens, makes the world at the first When or Then, and knows what a Then may still look at. ``known`` binds a
spelling of the behaviour language to its function, for pytest-bdd and for the check that runs before anything is played.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import pytest_bdd
from pytest_bdd import parsers

from tests.behaviour import values
from tests.behaviour.command_line import CommandLine
from tests.behaviour.values import Unclear
from tests.behaviour.world import Amount, LimitRow, Release, Setup, Subject, SubjectKind, World

DRIVER_WAIT_MS = 20_000
"""A Then about the driver, the display, a release or a fault waits so long."""
BOOKS_WAIT_MS = 60_000
"""A Then about the ledger, the host or the books waits so long."""
NOT_RELEASED_MS = 10_000
"""``is not released`` holds for so long."""
SETTLE_MS = 2_000
"""After an act of the driver the terminal has so long to come to its next question; a slow host takes longer and is not waited for."""
QUESTION_MS = 10_000
"""A driver who means to answer waits so long for the question, then types anyway."""
PUMP_STEP_ML = 10
"""The smallest step of a preset on a DART head (two decimals): a preset in the other unit may be rounded down by so much."""


class NotSo(AssertionError):
    """What a Then says is not the case; the text says what is."""


class Kind(Enum):
    """The three kinds of steps; And and But take that of the step before."""

    GIVEN = "given"
    WHEN = "when"
    THEN = "then"


@dataclass(frozen=True, slots=True)
class Known:
    """One step of the language. ``spelling`` shows it to people, ``function`` takes the stage and what the pattern found.

    ``short`` is a second spelling of the same step, with less in it.
    """

    kind: Kind
    spelling: str
    pattern: re.Pattern[str]
    function: Callable[..., None]
    with_table: bool
    short: str = ""
    with_text: bool = False


KNOWN: list[Known] = []
"""Every step of the language, in the order of the document."""

_PLACE = re.compile(r"\{(?P<name>\w+)(?::(?P<how>[^}]+))?\}")


def known(kind: Kind, spelling: str, pattern: str | None = None, short: str = "") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Bind a step. In ``spelling``, ``{x}`` is one word, ``{x:amount}`` a number with its unit, ``{x:a|b}`` one of these words,
    ``"{x}"`` any text.

    ``pattern`` replaces the regular expression that the spelling gives. A function with an argument ``datatable`` needs a table,
    one with an argument ``docstring`` a text.
    """
    expression = pattern if pattern is not None else _expression(spelling)
    shown = _PLACE.sub(lambda place: place["how"] if "|" in (place["how"] or "") else "…", spelling)

    def bind(function: Callable[..., None]) -> Callable[..., None]:
        names = function.__code__.co_varnames[: function.__code__.co_argcount]
        KNOWN.append(Known(kind, shown, re.compile(expression, re.ASCII), function, "datatable" in names, short, "docstring" in names))
        binder = {Kind.GIVEN: pytest_bdd.given, Kind.WHEN: pytest_bdd.when, Kind.THEN: pytest_bdd.then}[kind]
        binder(parsers.re(expression, re.ASCII), stacklevel=2)(function)
        return function

    return bind


def _expression(spelling: str) -> str:
    parts: list[str] = []
    end = 0
    for place in _PLACE.finditer(spelling):
        parts.append(re.escape(spelling[end : place.start()]))
        quoted = spelling[: place.start()].endswith('"')
        how = place["how"]
        inner = '[^"]*' if quoted else r"\S+" if how is None else r"\S+ \S+" if how == "amount" else how
        parts.append(f"(?P<{place['name']}>{inner})")
        end = place.end()
    return "".join([*parts, re.escape(spelling[end:])])


class Stage:
    """One scenario while it is played."""

    def __init__(self, make_world: Callable[[Setup], World]) -> None:
        self.setup = Setup()
        self._make_world = make_world
        self._world: World | None = None
        self._refusals_seen = 0
        self._screens_seen = 0
        self.explained: CommandLine | None = None
        self.walked: Mapping[str, Any] = {}

    # -- the Givens ----------------------------------------------------------------------------------------------------

    def describe(self, **said: object) -> None:
        """Take what a Given said. Raises Unclear when the world runs already."""
        if self._world is not None:
            raise Unclear("a Given describes the world before it starts; it must stand before the first When and Then")
        self.setup = replace(self.setup, **said)  # type: ignore[arg-type]

    def sell_in(self, currency: str) -> None:
        """Take the site's currency. Raises Unclear when amounts were read in another one before."""
        money = self.setup.limits or self.setup.balances or self.setup.host_counts or self.setup.policy
        if money and currency != self.setup.currency:
            raise Unclear("the terminal's line must stand before the tables with amounts of money")
        self.describe(currency=currency, decimals=values.decimals_of(currency))

    # -- the world -----------------------------------------------------------------------------------------------------

    @property
    def world(self) -> World:
        """The running world; it starts at the first use."""
        if self._world is None:
            self.setup = self._by_account(self.setup)
            self._world = self._make_world(self.setup)
        return self._world

    @staticmethod
    def _by_account(setup: Setup) -> Setup:
        """Limits, balances and counts belong to the account, also when a table names it by a card's number."""

        def owner(subject: Subject) -> Subject:
            return Subject(subject.kind, setup.account_of(subject.name)) if subject.kind is SubjectKind.CARD else subject

        return replace(
            setup,
            limits=tuple(replace(row, subject=owner(row.subject)) for row in setup.limits),
            shares=tuple(replace(row, subject=owner(row.subject)) for row in setup.shares),
            prompt_rules=tuple(replace(row, subject=owner(row.subject)) for row in setup.prompt_rules),
            balances=tuple(replace(row, subject=owner(row.subject)) for row in setup.balances),
            host_counts=tuple(replace(row, subject=owner(row.subject)) for row in setup.host_counts),
        )

    def close(self) -> None:
        """End the world, if it ever started."""
        if self._world is not None:
            world, self._world = self._world, None
            world.close()

    def new_attempt(self) -> None:
        """A medium is held out: what was refused and shown before belongs to somebody else."""
        self._refusals_seen = len(self.world.refusals())
        self._screens_seen = len(self.world.screens())

    def settle(self) -> None:
        """Let the terminal come to its next question."""
        self.world.wait(self.world.settled, SETTLE_MS)

    def until_asked(self, question: str) -> None:
        """A driver waits for the question before he types, or sees that he is refused; a wrong PIN alone does not end his attempt."""
        world = self.world
        world.wait(lambda: world.asked() == question or any(reason != "PIN_WRONG" for reason in self.open_refusals()), QUESTION_MS)

    # -- the Thens -----------------------------------------------------------------------------------------------------

    def expect(self, holds: Callable[[], bool], at_most_ms: int, otherwise: Callable[[], str]) -> None:
        """Wait until it holds. Raises NotSo with what is the case instead."""
        if not self.world.wait(holds, at_most_ms):
            raise NotSo(otherwise())

    def take_refusal(self, reason: str) -> None:
        """Each refusal answers one Then: forget this one and those before it."""
        self._refusals_seen += self.open_refusals().index(reason) + 1

    def open_refusals(self) -> tuple[str, ...]:
        """The refusals of this attempt that no Then has taken yet."""
        return tuple(self.world.refusals()[self._refusals_seen :])

    def shown(self) -> tuple[str, ...]:
        """What stands on the display now and what came up since the medium was held out, each with single blanks."""
        screens = self.world.screens()
        first = min(self._screens_seen, max(0, len(screens) - 1))
        return tuple(" ".join(screen.split()) for screen in screens[first:])

    def limit_row(self, name: str, kind: str, period: str, measure: str) -> LimitRow | None:
        """The one row of the limits table with these words; None when there is none or several."""
        rows = [
            row
            for row in self.setup.limits
            if (row.subject.kind.value, self.setup.account_of(row.subject.name)) == (kind, name)
            and (row.period, row.measure) == (period, measure)
        ]
        return rows[0] if len(rows) == 1 else None


def a_fuelling_point(stage: Stage, text: str) -> int:
    """A fuelling point of the table. Raises Unclear for another: there is no hose to take."""
    fp = values.whole(text, "the fuelling point")
    if all(row.fp != fp for row in stage.setup.fuelling_points):
        raise Unclear(f"there is no fuelling point {fp} in the table of the fuelling points")
    return fp


def released_for(release: Release | None, bound: Amount, decimals: int) -> bool:
    """Whether the pump's preset is this bound.

    Exact in the bound's own unit. A preset in the other unit must not let more through, nor less by more than one step of the pump.
    """
    if release is None:
        return False
    preset = release.preset
    if bound.volume_ml is not None and preset.volume_ml is not None:
        return preset.volume_ml == bound.volume_ml
    if bound.amount_minor is not None and preset.amount_minor is not None:
        return preset.amount_minor == bound.amount_minor
    if release.price == 0:
        return False
    scale: int = 10 ** (7 - decimals)
    if bound.volume_ml is not None and preset.amount_minor is not None:
        within_ml = preset.amount_minor * scale // release.price
        return bound.volume_ml - max(PUMP_STEP_ML, scale // release.price + 1) <= within_ml <= bound.volume_ml
    if bound.amount_minor is not None and preset.volume_ml is not None:
        most_ml = bound.amount_minor * scale // release.price
        return most_ml - PUMP_STEP_ML <= preset.volume_ml <= most_ml
    return False
