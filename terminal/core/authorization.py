"""May this card fuel here, now, and how much: the decision as one pure function over gathered facts.

The steps stand in one table, in order, each a small function that answers None or the reason for which the decision ends.
``explain`` and the terminal call the same ``gather`` and ``decide``.
Source: design/behaviour-language.md, explain, rules 1 to 4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from terminal.core.bounds import Allowance, Remaining, allowances, deciding, list_factor, permitted_products, remainders
from terminal.core.card_data import HostDecision, Offline, Status
from terminal.core.clock import ClockState
from terminal.core.facts import BalanceUse, Facts, Judged, LimitUse, PinResult, Policy, Request, gather
from terminal.core.hours import read_hours
from terminal.core.reasons import Reason

__all__ = [
    "STEPS",
    "Allowance",
    "BalanceUse",
    "ClockState",
    "DecidedBy",
    "Decision",
    "Facts",
    "Judged",
    "LimitUse",
    "PinResult",
    "Policy",
    "Remaining",
    "Request",
    "Step",
    "StepResult",
    "decide",
    "gather",
]


class Step(Enum):
    """The steps' names, as explain writes them."""

    DENY_LIST = "deny_list"
    IN_USE = "in_use"
    PIN = "pin"
    HOST = "host"
    CARD = "card"
    OFFLINE_GATE = "offline_gate"
    SITE = "site"
    PRODUCT = "product"
    LIMITS = "limits"


class DecidedBy(Enum):
    """Did the host's answer take part?"""

    HOST = "host"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class StepResult:
    """One step that was taken; ``reason`` None: passed."""

    step: Step
    reason: Reason | None

    @property
    def passed(self) -> bool:
        """The decision went on after it."""
        return self.reason is None


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome. ``reason`` is set exactly when not approved; ``allowance`` is empty then. ``partial``: less than was wished for.

    ``remaining`` is what is left of every limit (empty when the host approves: it knows better).
    """

    approved: bool
    partial: bool
    reason: Reason | None
    decided_by: DecidedBy
    steps: tuple[StepResult, ...]
    remaining: tuple[Remaining, ...]
    allowance: tuple[Allowance, ...]

    def allowance_for(self, product: str) -> Allowance | None:
        """The allowance of a product; None: this card may not take it here."""
        return next((one for one in self.allowance if one.product == product), None)


def decide(facts: Facts, policy: Policy) -> Decision:
    """Take the steps until one fails; when none does, the allowances are the answer. Pure: the same facts, the same decision."""
    decided_by = DecidedBy.OFFLINE if facts.host is None else DecidedBy.HOST
    left = () if facts.host_approves else remainders(facts)
    steps: list[StepResult] = []
    for step, judge, passed in _BEFORE_LIMITS:
        reason = judge(facts, policy)
        if reason is not None:
            steps.append(StepResult(step, reason))
            return Decision(False, False, reason, decided_by, tuple(steps), left, ())
        steps.append(passed)
    allowed = allowances(facts, policy)
    best = deciding(allowed)
    reason = _too_little(best, policy)
    steps.append(StepResult(Step.LIMITS, reason))
    if reason is not None:
        return Decision(False, False, reason, decided_by, tuple(steps), left, ())
    partial = best.wish_ml is not None and best.wish_ml > best.quantity_ml
    return Decision(True, partial, None, decided_by, tuple(steps), left, allowed)


def _deny_list(facts: Facts, policy: Policy) -> Reason | None:
    if facts.card_denied:
        return Reason.CARD_BLOCKED
    return Reason.CUSTOMER_BLOCKED if facts.customer_denied else None


def _in_use(facts: Facts, policy: Policy) -> Reason | None:
    return Reason.CARD_IN_USE if facts.open_holds >= policy.max_open else None


def _pin(facts: Facts, policy: Policy) -> Reason | None:
    if facts.card is None or facts.card.pin is None or facts.request.pin in _PIN_PASSES:
        return None
    return Reason.PIN_LOCKED if facts.request.pin is PinResult.LOCKED else Reason.PIN_WRONG


_PIN_PASSES = (PinResult.RIGHT, PinResult.WAIVED, PinResult.SENT)
"""Of a PIN that was sent the host's answer tells; without one, the offline gate."""


def _host(facts: Facts, policy: Policy) -> Reason | None:
    if facts.host is None or facts.host.decision is not HostDecision.DECLINED:
        return None
    return facts.host.reason or Reason.HOST_DECLINED


def _card(facts: Facts, policy: Policy) -> Reason | None:
    card, customer = facts.card, facts.customer
    if facts.host_approves:
        return None
    if card is None:
        return Reason.CARD_UNKNOWN
    if card.status is not Status.ACTIVE:
        return Reason.CARD_BLOCKED
    if card.customer is not None and (customer is None or customer.status is not Status.ACTIVE):
        return Reason.CUSTOMER_BLOCKED
    if card.valid_from is not None and facts.today < card.valid_from:
        return Reason.CARD_NOT_YET_VALID
    if card.valid_to is not None and facts.latest_day > card.valid_to:
        return Reason.CARD_EXPIRED
    return None


def _offline_gate(facts: Facts, policy: Policy) -> Reason | None:
    if facts.host_approves:
        return None
    if facts.clock_state is ClockState.UNTRUSTED:
        return Reason.CLOCK_UNTRUSTED
    card, customer = facts.card, facts.customer
    if (card is not None and card.offline is Offline.NEVER) or (customer is not None and customer.offline is Offline.NEVER):
        return Reason.OFFLINE_NOT_ALLOWED
    if facts.online_only or facts.request.online_only or facts.request.pin is PinResult.SENT:
        return Reason.OFFLINE_NOT_ALLOWED
    return Reason.LIST_TOO_OLD if list_factor(facts, policy) is None else None


def _site(facts: Facts, policy: Policy) -> Reason | None:
    """Where and when: the card's sites name ours or one of its networks, and its hours hold now, whoever decides."""
    card = facts.card
    if card is None:
        return None
    if card.sites is not None and card.sites.isdisjoint((facts.site, *facts.networks)):
        return Reason.SITE_NOT_ALLOWED
    if card.hours and facts.week_minute is not None and not read_hours(card.hours).hold(facts.week_minute):
        return Reason.TIME_NOT_ALLOWED
    return None


def _product(facts: Facts, policy: Policy) -> Reason | None:
    return None if permitted_products(facts, policy) else Reason.PRODUCT_NOT_ALLOWED


def _too_little(best: Allowance, policy: Policy) -> Reason | None:
    # Not even a policy without a minimum releases a pump for nothing: to some heads a preset of 0 means no preset.
    return best.bound_by if best.quantity_ml < max(1, policy.min_dispense_ml) else None


STEPS: tuple[tuple[Step, Callable[[Facts, Policy], Reason | None]], ...] = (
    (Step.DENY_LIST, _deny_list),
    (Step.IN_USE, _in_use),
    (Step.PIN, _pin),
    (Step.HOST, _host),
    (Step.CARD, _card),
    (Step.OFFLINE_GATE, _offline_gate),
    (Step.SITE, _site),
    (Step.PRODUCT, _product),
    (Step.LIMITS, lambda facts, policy: _too_little(deciding(allowances(facts, policy)), policy)),
)
"""Every step, in the order in which it is taken. The allowances of the last one are the answer too, so ``decide`` makes them once."""

_BEFORE_LIMITS = tuple((step, judge, StepResult(step, None)) for step, judge in STEPS[:-1])
