"""The only builder of ``transitions`` machines, and the grid that says what every event means in every state.

A machine is two module-level tables: ``Rule`` rows (what moves) and ``Ignored`` rows (what is legal and means nothing, with the
reason). The library accepts unknown states, foreign enum members and misspelt callbacks when a machine is built and fails later,
some of it after the state has changed; so everything is checked here first. One machine object serves all models of a class:
the library keeps no state of its own, the model's ``state`` attribute is all there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

from transitions import EventData, Machine, State

from terminal.core.units import Instant

S = TypeVar("S", bound=Enum)
Action = Callable[[Any, Any, Instant], None]
Guard = Callable[[Any, Any, Instant], bool]


class Model(Protocol):
    """Whatever has a state."""

    state: Any


@dataclass(frozen=True, slots=True)
class Rule(Generic[S]):
    """One row of a table: in any of ``sources``, ``event`` leads to ``target`` (None: stays) when ``guard`` holds.

    ``action`` and ``guard`` are unbound methods of the model, called with (event, at) before the state changes. A guard only looks; an
    action may set fields and append effects and internal events, nothing else. Rows are tried in the table's order.
    """

    event: type
    sources: tuple[S, ...]
    target: S | None
    action: Action | None = None
    guard: Guard | None = None


@dataclass(frozen=True, slots=True)
class Ignored(Generic[S]):
    """These events mean nothing in these states, and why."""

    events: tuple[type, ...]
    sources: tuple[S, ...]
    reason: str


class UnexpectedEvent(Exception):
    """An event came in a state whose cell is empty: a bug of ours, never a device's."""


class TableError(Exception):
    """A table is not what it must be; raised at import, never in service."""


class Grid(Generic[S]):
    """A checked table with the library's machine inside."""

    def __init__(
        self, name: str, states: type[S], events: Iterable[type], rules: tuple[Rule[S], ...], ignored: tuple[Ignored[S], ...]
    ) -> None:
        self.name = name
        self.states = states
        self.events = tuple(events)
        self.rules = rules
        self._reasons = self._index_ignored(ignored)
        self._check()
        self._machine = Machine(
            model=None,
            states=[State(state) for state in states],
            transitions=[self._row(rule) for rule in rules],
            initial=next(iter(states)),
            auto_transitions=False,
            queued=False,
            send_event=True,
            ignore_invalid_triggers=False,
        )
        self._cells = self._index_rules()

    def fire(self, model: Model, event: object, at: Instant) -> bool:
        """Let ``event`` act on ``model``; True when a rule applied.

        Raises ``UnexpectedEvent`` when the grid has no answer, leaving the model as it was.
        """
        kind = type(event)
        cell = (model.state, kind)
        for rule in self._cells.get(cell, ()):
            if rule.guard is None or rule.guard(model, event, at):
                if rule.action is not None:
                    rule.action(model, event, at)
                if rule.target is not None:
                    self._machine.set_state(rule.target, model)
                return True
        if cell in self._reasons:
            return False
        raise UnexpectedEvent(f"{self.name}: {kind.__name__} in {model.state.name}")

    def answer(self, state: S, event: type) -> str | None:
        """What the grid says of a cell, in words; None when it is empty."""
        moves = [rule for rule in self.rules if rule.event is event and state in rule.sources]
        parts = [("stays" if rule.target is None else f"→ {rule.target.name}") + (" when guarded" if rule.guard else "") for rule in moves]
        if (state, event) in self._reasons:
            parts.append(f"ignored: {self._reasons[state, event]}")
        return "; ".join(parts) or None

    def holes(self) -> list[tuple[S, type]]:
        """Cells without an answer, or whose only answers are guarded and have no reason to fall back on."""
        empty = []
        for state in self.states:
            for event in self.events:
                moves = [rule for rule in self.rules if rule.event is event and state in rule.sources]
                if (state, event) not in self._reasons and not any(rule.guard is None for rule in moves):
                    empty.append((state, event))
        return empty

    def _index_rules(self) -> dict[tuple[S, type], tuple[Rule[S], ...]]:
        """The rules of every cell, in the table's order: ``fire`` goes there at once. The library's own trigger does the same, see
        ``trigger``, by way of a dozen objects an event; its hooks are not used, and live readings come by the dozen."""
        cells: dict[tuple[S, type], tuple[Rule[S], ...]] = {}
        for rule in self.rules:
            for source in rule.sources:
                cells[source, rule.event] = (*cells.get((source, rule.event), ()), rule)
        return cells

    def trigger(self, model: Model, event: object, at: Instant) -> bool:
        """``fire`` by way of the library alone, which knows nothing of what is ignored: what tests compare ``fire`` with."""
        return bool(self._machine.events[type(event).__name__].trigger(model, event, at))

    def _index_ignored(self, ignored: tuple[Ignored[S], ...]) -> Mapping[tuple[S, type], str]:
        reasons: dict[tuple[S, type], str] = {}
        for row in ignored:
            if not row.reason:
                raise TableError(f"{self.name}: an ignored row without a reason")
            for event in row.events:
                for source in row.sources:
                    if (source, event) in reasons:
                        raise TableError(f"{self.name}: {event.__name__} in {source.name} is ignored twice")
                    reasons[source, event] = row.reason
        return reasons

    def _check(self) -> None:
        names = [event.__name__ for event in self.events]
        if len(set(names)) != len(names):
            raise TableError(f"{self.name}: two events of one name")
        for rule in self.rules:
            self._check_names(rule)
        self._check_order()
        for state, event in self._reasons:
            if event not in self.events or not isinstance(state, self.states):
                raise TableError(f"{self.name}: {event.__name__} is ignored but is not an event of this machine")

    def _check_names(self, rule: Rule[S]) -> None:
        if rule.event not in self.events:
            raise TableError(f"{self.name}: {rule.event.__name__} is not an event of this machine")
        if not rule.sources:
            raise TableError(f"{self.name}: a rule for {rule.event.__name__} without a source")
        for state in (*rule.sources, *([rule.target] if rule.target is not None else [])):
            if not isinstance(state, self.states):
                raise TableError(f"{self.name}: {state!r} is not a state of this machine")

    def _check_order(self) -> None:
        """Nothing may stand behind an unguarded rule of its cell, and such a cell is not ignored as well."""
        closed: set[tuple[S, type]] = set()
        for rule in self.rules:
            for source in rule.sources:
                cell = (source, rule.event)
                if cell in closed:
                    raise TableError(f"{self.name}: {rule.event.__name__} in {source.name} stands behind an unguarded rule")
                if rule.guard is None:
                    closed.add(cell)
                    if cell in self._reasons:
                        raise TableError(f"{self.name}: {rule.event.__name__} in {source.name} both moves and is ignored")

    @staticmethod
    def _row(rule: Rule[S]) -> dict[str, Any]:
        row: dict[str, Any] = {"trigger": rule.event.__name__, "source": list(rule.sources), "dest": rule.target}
        if rule.action is not None:
            row["before"] = _adapt_action(rule.action)
        if rule.guard is not None:
            row["conditions"] = _adapt_guard(rule.guard)
        return row


def _adapt_action(action: Action) -> Callable[[EventData], None]:
    def call(data: EventData) -> None:
        event, at = data.args
        action(data.model, event, at)

    return call


def _adapt_guard(guard: Guard) -> Callable[[EventData], bool]:
    def call(data: EventData) -> bool:
        event, at = data.args
        return guard(data.model, event, at)

    return call
