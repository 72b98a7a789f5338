"""How much: every bound of every product, the tightest one, and what remains of the limits.

Integers only: the factor of the list age is in tenths, money becomes volume by rounding down and volume money by rounding half up
(``units``). Source: design/behaviour-language.md, explain, rule 3 and the order of bounds under Reasons.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from terminal.core.card_data import BalanceKind, Limit, Measure, Offline, Period, SubjectKind, Wish
from terminal.core.facts import BalanceUse, Facts, LimitUse, Policy
from terminal.core.reasons import BOUND_RANK, Reason, limit_reason
from terminal.core.units import cost_of, volume_for
from terminal.core.windows import Window

_HOUR_MS = 3_600_000
FRESH_MS = 12 * _HOUR_MS
STALE_MS = 24 * _HOUR_MS
OLD_MS = 72 * _HOUR_MS
WHOLE = 10
"""The factor 1, in tenths."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What may be taken of one product, and the bound that says so.

    ``value_minor`` is the cost of ``quantity_ml``. Where the tightest bound is money, ``money_minor`` is that money, else None;
    it is the exact preset then. ``wish_ml`` is the driver's wish as a quantity of this product.
    """

    product: str
    quantity_ml: int
    value_minor: int
    bound_by: Reason
    price: int
    money_minor: int | None
    wish_ml: int | None


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left of one limit, in its own measure and without any factor."""

    limit: Limit
    used: int
    held: int
    remaining: int
    window: Window | None


def list_factor(facts: Facts, policy: Policy) -> int | None:
    """How much of a remainder counts offline with lists of this age, in tenths; None when they are too old for this card.

    The emergency accounts open only what is beyond every other row of the table, not the row before.
    """
    card, age = facts.card, facts.list_age_ms
    if card is None:
        return None
    if age is not None and age <= STALE_MS:
        factor = WHOLE if age <= FRESH_MS else 7
    elif age is not None and age <= OLD_MS:
        if card.offline not in (Offline.ALWAYS, Offline.ALLOWED_OFFLINE):
            return None
        factor = 3
    elif card.account in policy.emergency_accounts:
        factor = 3
    else:
        return None
    return WHOLE if policy.only_terminal else factor


def remainders(facts: Facts) -> tuple[Remaining, ...]:
    """What is left of every limit of the account and its customer, in the order of the list."""
    return tuple(
        Remaining(use.limit, use.before + use.since, use.held, max(0, use.limit.amount - use.before - use.since - use.held), use.window)
        for use in facts.limits
    )


def permitted_products(facts: Facts, policy: Policy) -> frozenset[str]:
    """The products of the request's nozzles that this card may take: all but restricted ones, or those that are named.

    A host that names products narrows them; for a card that our lists do not know, its naming is what a restricted product needs.
    """
    offered = frozenset([nozzle.product for nozzle in facts.request.nozzles])
    by_host = None if facts.host is None else facts.host.products
    named = by_host if facts.card is None else facts.card.products
    allowed = offered - policy.restricted_products if named is None else offered & named
    if facts.request.products is not None:
        allowed &= facts.request.products
    return allowed if by_host is None else allowed & by_host


def allowances(facts: Facts, policy: Policy) -> tuple[Allowance, ...]:
    """One for each product that the card may take, in the order of the nozzles, also at 0.

    Of a product that hangs at several nozzles with different prices the smallest, so that it holds whichever is lifted.
    """
    permitted = permitted_products(facts, policy)
    # Beside an approval limits bind (where they do) for what the host cannot know, not for the age of our lists.
    bounds = _bounds(facts, policy, WHOLE if facts.host_approves else list_factor(facts, policy) or 0)
    found: dict[str, Allowance] = {}
    for nozzle in facts.request.nozzles:
        if nozzle.product not in permitted:
            continue
        one = _allowance(facts, bounds, nozzle.product, nozzle.price)
        if nozzle.product not in found or one.quantity_ml < found[nozzle.product].quantity_ml:
            found[nozzle.product] = one
    return tuple(found.values())


def deciding(found: tuple[Allowance, ...]) -> Allowance:
    """The allowance that decides: the largest quantity, the first one on a tie. Raises ValueError when there is none."""
    return max(found, key=lambda allowance: allowance.quantity_ml)


class _Bound(NamedTuple):
    """A bound on these products (None: all). A tuple, because every decision makes a dozen."""

    products: frozenset[str] | None
    reason: Reason
    measure: Measure
    amount: int


def _allowance(facts: Facts, bounds: list[_Bound], product: str, price: int) -> Allowance:
    least: int | None = None
    binding = bounds[-1]
    for bound in bounds:
        products, reason, measure, amount = bound
        if products is not None and product not in products:
            continue
        quantity = amount if measure is Measure.QUANTITY else _quantity(measure, amount, price, facts.decimals)
        if quantity is None or (least is not None and quantity > least):
            continue
        if least is None or quantity < least or BOUND_RANK[reason] < BOUND_RANK[binding.reason]:
            least, binding = quantity, bound
    if least is None:
        raise AssertionError("the terminal's cap on quantity always binds")
    return Allowance(
        product=product,
        quantity_ml=least,
        value_minor=cost_of(least, price, facts.decimals),
        bound_by=binding.reason,
        price=price,
        money_minor=binding.amount if binding.measure is Measure.VALUE else None,
        wish_ml=None if facts.request.wish is None else _wish_ml(facts.request.wish, price, facts.decimals),
    )


def _quantity(measure: Measure, amount: int, price: int, decimals: int) -> int | None:
    """An amount as a volume; None when it does not bind: money at price 0, and a count of at least one."""
    if measure is Measure.QUANTITY:
        return amount
    if measure is Measure.COUNT:
        return None if amount >= 1 else 0
    return volume_for(amount, price, decimals)


def _wish_ml(wish: Wish, price: int, decimals: int) -> int | None:
    by_value = None if wish.value_minor is None else volume_for(wish.value_minor, price, decimals)
    return max((ml for ml in (wish.quantity_ml, by_value) if ml is not None), default=None)


def _bounds(facts: Facts, policy: Policy, factor: int) -> list[_Bound]:
    found = [_limit_bound(use, factor) for use in facts.limits]
    found += [_balance_bound(use, factor) for use in facts.balances]
    found += _exposure_bounds(facts, policy, factor)
    if facts.host is not None:
        found += _amounts(Reason.HOST, facts.host.quantity_ml, facts.host.value_minor)
    if facts.card is not None and facts.card.tank_ml is not None:
        found += _amounts(Reason.TANK_CAPACITY, facts.card.tank_ml, None)
    found += _amounts(Reason.TERMINAL_CAP, policy.terminal_cap_ml, policy.terminal_cap_minor)
    if facts.request.wish is not None:
        found += _amounts(Reason.WISH, facts.request.wish.quantity_ml, facts.request.wish.value_minor)
    return found


def _amounts(reason: Reason, quantity_ml: int | None, value_minor: int | None) -> list[_Bound]:
    found = []
    if quantity_ml is not None:
        found.append(_Bound(None, reason, Measure.QUANTITY, quantity_ml))
    if value_minor is not None:
        found.append(_Bound(None, reason, Measure.VALUE, value_minor))
    return found


def _limit_bound(use: LimitUse, factor: int) -> _Bound:
    limit = use.limit
    reason = limit_reason(limit.subject.kind is SubjectKind.CUSTOMER, limit.period, limit.measure)
    if limit.period is Period.FUELLING:
        return _Bound(limit.products, reason, limit.measure, limit.amount)
    # A count is not scaled: 0.3 of one fuelling would be none at all.
    tenths = WHOLE if limit.measure is Measure.COUNT else factor
    room = tenths * max(0, limit.amount - use.before) // WHOLE
    left = max(0, room - use.since - use.held)
    # A share is not scaled either: the host has set this much aside for us, however old the list is.
    return _Bound(limit.products, reason, limit.measure, left if use.share_left is None else min(left, use.share_left))


def _exposure_bounds(facts: Facts, policy: Policy, factor: int) -> list[_Bound]:
    """What the caps still let go while the host has not answered for what was let go before."""
    if policy.exposure is None or facts.unanswered is None:
        return []
    found = []
    for cap, sums in policy.exposure.beside(facts.unanswered):
        for measure in Measure:
            most = cap.of(measure)
            if most is not None:
                tenths = WHOLE if measure is Measure.COUNT else factor
                found.append(_Bound(None, Reason.EXPOSURE_REACHED, measure, max(0, tenths * most // WHOLE - sums.of(measure))))
    return found


def _balance_bound(use: BalanceUse, factor: int) -> _Bound:
    balance = use.balance
    reason = Reason.BALANCE_EMPTY if balance.kind is BalanceKind.PREPAID else Reason.CREDIT_CEILING
    return _Bound(balance.products, reason, balance.measure, max(0, factor * balance.amount // WHOLE - use.delivered - use.held))
