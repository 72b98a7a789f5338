"""How the host decides an authorization: bounds of a request, the tightest of them, and the answer.

Source: firmware_notes/host-api.md, section "How this host decides". Pure functions over integers: millilitres, minor units, prices in
1/10000 of the major unit per litre. Written from the rules alone, apart from the terminal's own arithmetic, to be a second opinion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PERIODS = ("FUELLING", "DAY", "MONTH")
MEASURES = ("QUANTITY", "VALUE", "COUNT")

BOUND_ORDER: tuple[str, ...] = (
    *(f"LIMIT_{period}_{measure}" for period in PERIODS for measure in MEASURES),
    *(f"CUSTOMER_LIMIT_{period}_{measure}" for period in PERIODS for measure in MEASURES),
    "BALANCE_EMPTY",
    "CREDIT_CEILING",
    "TANK_CAPACITY",
    "WISH",
)
RANK = {reason: rank for rank, reason in enumerate(BOUND_ORDER)}
UNBOUNDED = 10**15


@dataclass(frozen=True, slots=True)
class Offer:
    """A product that the fuelling point could deliver, with its price and the least that may be released of it."""

    product: str
    price: int
    minimum_ml: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What the driver asked for, in one of the two measures."""

    quantity_ml: int | None
    value_minor: int | None


@dataclass(frozen=True, slots=True)
class Bound:
    """At most ``amount`` (millilitres or minor units, as ``in_value`` says) of these products; None means of all."""

    reason: str
    amount: int
    in_value: bool = False
    products: frozenset[str] | None = None

    def binds(self, product: str) -> bool:
        """Whether this bound is about that product."""
        return self.products is None or product in self.products


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer. Quantity and value are None where the host does not bind; ``offers`` are the products that may be taken."""

    decision: str
    reason: str | None
    quantity_ml: int | None
    value_minor: int | None
    offers: tuple[Offer, ...]


def _scale(decimals: int) -> int:
    # Millilitres times 1/10000 of the major unit, in minor units.
    return int(10 ** (7 - decimals))


def cost(quantity_ml: int, price: int, decimals: int) -> int:
    """Minor units for a quantity, rounded half up."""
    whole, rest = divmod(quantity_ml * price, _scale(decimals))
    return whole + (1 if 2 * rest >= _scale(decimals) else 0)


def quantity_for(value_minor: int, price: int, decimals: int) -> int:
    """Millilitres that this money buys, rounded down; unbounded at price 0."""
    return UNBOUNDED if price == 0 else value_minor * _scale(decimals) // price


def remaining_bound(subject_kind: str, period: str, measure: str, remaining: int, products: frozenset[str] | None) -> Bound | None:
    """The bound that the rest of one limit makes. A count of one or more binds nothing, below one it allows nothing."""
    reason = f"LIMIT_{period}_{measure}" if subject_kind == "card" else f"CUSTOMER_LIMIT_{period}_{measure}"
    if measure == "COUNT":
        return Bound(reason, 0, products=products) if remaining < 1 else None
    return Bound(reason, max(0, remaining), measure == "VALUE", products)


def decline(reason: str | None) -> Verdict:
    """A refusal with a reason of the behaviour language, or with none."""
    return Verdict("declined", reason, None, None, ())


def wished_quantity(wish: Wish | None, offer: Offer, decimals: int) -> int:
    """The wish in millilitres of this product; unbounded without one."""
    if wish is None:
        return UNBOUNDED
    if wish.quantity_ml is not None:
        return wish.quantity_ml
    return quantity_for(wish.value_minor or 0, offer.price, decimals)


def _tightest(offer: Offer, bounds: Sequence[Bound], wish: Wish | None, decimals: int) -> tuple[int, str]:
    best, by = UNBOUNDED, "WISH"
    for bound in bounds:
        if bound.binds(offer.product):
            quantity = quantity_for(bound.amount, offer.price, decimals) if bound.in_value else bound.amount
            if quantity < best or (quantity == best and RANK[bound.reason] < RANK[by]):
                best, by = quantity, bound.reason
    wished = wished_quantity(wish, offer, decimals)
    return (wished, "WISH") if wished < best else (best, by)


def _joint(offers: Sequence[Offer], bounds: Sequence[Bound]) -> tuple[int | None, int | None]:
    """One quantity and one value that are safe for every one of these products: the answer has no room for more."""
    touching = [bound for bound in bounds if any(bound.binds(offer.product) for offer in offers)]
    quantity = min((bound.amount for bound in touching if not bound.in_value), default=None)
    value = min((bound.amount for bound in touching if bound.in_value), default=None)
    return quantity, value


def possible(offer: Offer, quantity_ml: int | None, value_minor: int | None, decimals: int) -> int:
    """Millilitres of this product under an answer's two bounds."""
    quantity = UNBOUNDED if quantity_ml is None else quantity_ml
    return quantity if value_minor is None else min(quantity, quantity_for(value_minor, offer.price, decimals))


def decide(offers: Sequence[Offer], bounds: Sequence[Bound], wish: Wish | None, decimals: int) -> Verdict:
    """Approve, approve in part or decline these products under these bounds.

    The product with the largest quantity decides, the first on a tie. The others join as long as the common bounds leave every
    product its minimum. The wish makes the answer partial but is not part of its bounds: the terminal knows it itself.
    """
    ranked = [(_tightest(offer, bounds, wish, decimals), offer) for offer in offers]
    if not ranked:
        return decline("PRODUCT_NOT_ALLOWED")
    (most, by), best = max(ranked, key=lambda pair: pair[0][0])
    if most < best.minimum_ml:
        return decline(by)
    taken = [best]
    for (most, _), offer in ranked:
        if offer is not best and most >= offer.minimum_ml:
            quantity, value = _joint([*taken, offer], bounds)
            if all(possible(each, quantity, value, decimals) >= each.minimum_ml for each in [*taken, offer]):
                taken.append(offer)
    quantity, value = _joint(taken, bounds)
    short = wish is not None and wished_quantity(wish, best, decimals) > possible(best, quantity, value, decimals)
    chosen = tuple(offer for offer in offers if any(offer is each for each in taken))
    return Verdict("partial" if short else "approved", None, quantity, value, chosen)
