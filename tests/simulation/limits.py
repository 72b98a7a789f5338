"""Nobody took more than the rules allow, over the whole day: every limit and balance of the scenario, counted anew from the journal.

One terminal serves all cards of a seed, so no limit may be exceeded, whoever decided and whatever host, line and power did. What a
head overruns, and fuel that left before a release and was read with the sale, are allowed for. Knows nothing of the account book.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.simulation.journal_facts import Broken, Facts, SaleFacts

PULSE_ML = 10


@dataclass(frozen=True, slots=True)
class Taken:
    """One delivered sale. ``over_ml``: what no release is to blame for."""

    sale: str
    account: str
    customer: str | None
    product: str
    quantity_ml: int
    value_minor: int
    price: int
    at: int
    over_ml: int
    moved: bool

    def amount(self, measure: str) -> int:
        """In the unit of that measure."""
        if measure == "COUNT":
            return 1
        return self.quantity_ml if measure == "QUANTITY" else self.value_minor

    def excused(self, measure: str, decimals: int) -> int:
        """By how much it may be over, in the unit of that measure."""
        if measure == "COUNT":
            return int(self.moved)
        return self.over_ml if measure == "QUANTITY" else self.over_ml * self.price // int(10 ** (7 - decimals)) + 1


def taken(facts: Facts, overrun_ml: int, stale: Mapping[str, int]) -> list[Taken]:
    """Every sale with a volume."""
    found = []
    for sale, one in facts.sales.items():
        fill, released = one.delivered, one.released
        if fill is None or released is None or fill.volume_ml == 0:
            continue
        r = one.reserved
        counted = one.counted()
        if counted.quantity_ml == 0:
            continue
        over = overrun_ml + PULSE_ML + stale.get(sale, 0)
        moved = (counted.account, counted.customer) != (r.account, r.customer)
        over += counted.quantity_ml if moved else 0  # nobody asked the account that it was moved to
        amounts = (counted.quantity_ml, counted.value_minor, released.price)
        found.append(Taken(sale, counted.account, counted.customer, released.product, *amounts, r.authorized_at, over, moved))
    return found


def check_limits(scenario: Mapping[str, Any], token_of: Callable[[str], str], sales: list[Taken]) -> None:
    """Raises ``Broken`` for a limit or a balance that was exceeded."""
    for row in scenario["limits"]:
        whose = _of(row, token_of, sales)
        most = row["amount"] - sum(each["amount"] for each in scenario.get("shares", []) if _same(each, row) and "terminal" in each)
        for window, mine in _windows(row["period"], whose, _zone(row, scenario)):
            _check(row, row["period"] + window, mine, most, scenario["decimals"])
    for row in scenario["balances"]:
        _check(row, row["kind"], list(_of(row, token_of, sales)), row["amount"], scenario["decimals"])


def check_promised(scenario: Mapping[str, Any], token_of: Callable[[str], str], facts: Facts, sale: str) -> None:
    """A sale that is decided here may take what is left: what was taken, what open sales may still take and its own part are no more than
    each limit. Strictly: what heads overran is taken, and leaves less.
    """
    sales = [one for each in facts.sales.values() for one in _promised(each)]
    for row in scenario["limits"]:
        most = row["amount"] - sum(each["amount"] for each in scenario.get("shares", []) if _same(each, row) and "terminal" in each)
        for window, mine in _windows(row["period"], _of(row, token_of, sales), _zone(row, scenario)):
            largest: dict[str, int] = {}  # of one that may still take this or that product, once
            for one in mine:
                largest[one.sale] = max(largest.get(one.sale, 0), one.amount(row["measure"]))
            if sale in largest and sum(largest.values()) > most + (len(largest) if row["measure"] == "VALUE" else 0):
                told = ", ".join(f"{name} {amount}" for name, amount in largest.items())
                raise Broken("promised", f"{next(iter(row['subject']))} {row['period']}{window} {row['measure']}: {most} and {told}")


def _promised(one: SaleFacts) -> Iterator[Taken]:
    """What a sale took, or may take of each product."""
    r = one.reserved
    if one.delivered is not None and one.released is not None:
        counted = one.counted()
        if counted.quantity_ml:
            amounts = (counted.quantity_ml, counted.value_minor, one.released.price)
            yield Taken(r.sale, counted.account, counted.customer, one.released.product, *amounts, r.authorized_at, 0, False)
    elif one.open and one.granted is not None:
        for part in one.granted.allowed:
            if part.quantity_ml and (one.released is None or one.released.product == part.product):
                yield Taken(r.sale, r.account, r.customer, part.product, part.quantity_ml, part.value_minor, 0, r.authorized_at, 0, False)


def _same(share: Mapping[str, Any], limit: Mapping[str, Any]) -> bool:
    return all(share[name] == limit[name] for name in ("subject", "period", "measure", "products"))


def _of(row: Mapping[str, Any], token_of: Callable[[str], str], sales: list[Taken]) -> list[Taken]:
    ((kind, name),) = row["subject"].items()
    whose = token_of(name) if kind == "card" else name
    group = row["products"]
    return [one for one in sales if whose == (one.account if kind == "card" else one.customer) and (group is None or one.product in group)]


def _zone(row: Mapping[str, Any], scenario: Mapping[str, Any]) -> ZoneInfo:
    ((kind, name),) = row["subject"].items()
    cards = {card["account"]: card["customer"] for card in scenario["cards"]}
    customer = name if kind == "customer" else cards.get(name)
    own = next((each["zone"] for each in scenario["customers"] if each["customer"] == customer), None)
    return ZoneInfo(own or scenario["zone"])


def _windows(period: str, sales: list[Taken], zone: ZoneInfo) -> Iterator[tuple[str, list[Taken]]]:
    if period == "FUELLING":
        yield from ((f" {one.sale}", [one]) for one in sales)
        return
    by_window: dict[str, list[Taken]] = {}
    for one in sales:
        day = datetime.fromtimestamp(one.at / 1000, UTC).astimezone(zone).date().isoformat()
        by_window.setdefault(day if period == "DAY" else day[:7], []).append(one)
    yield from ((f" {window}", mine) for window, mine in by_window.items())


def _check(row: Mapping[str, Any], what: str, sales: list[Taken], most: int, decimals: int) -> None:
    measure = row["measure"]
    used = sum(one.amount(measure) for one in sales)
    excused = sum(one.excused(measure, decimals) for one in sales)
    if used > most + excused:
        who = next(iter(row["subject"]))
        names = ", ".join(f"{one.sale} {one.amount(measure)}" for one in sales)
        raise Broken("limit", f"{who} {what} {measure}: {used} of {most}, {excused} excused ({names})")
