"""Running sums of what was taken and what is held, kept on the meters and balances of an account and its customer.

Source: firmware_notes/host-api.md, sections "Windows" and "How this host decides". Each hold and each record remembers its shares, so
that closing a hold or leaving a record out of a published count subtracts exactly what was added.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hal_sim.host.rules import RANK, Bound, Verdict, Wish, cost, possible, remaining_bound, wished_quantity
from hal_sim.host.shares import ShareBook
from hal_sim.host.windows import Calendar
from hal_sim.host.world import Balance, Card, Meter, Subject, World


@dataclass(slots=True)
class Shares:
    """What one hold or record adds to meters (in which window) and balances. ``on_top``: of a hold that no share covers."""

    meters: list[tuple[Meter, str, int]] = field(default_factory=list)
    balances: list[tuple[Balance, int]] = field(default_factory=list)
    on_top: bool = False


class Usage:
    """Knows which meters and balances a card touches and in which window an instant lies."""

    def __init__(self, world: World, calendar: Calendar, share_book: ShareBook) -> None:
        self._world = world
        self._calendar = calendar
        self._share_book = share_book

    def _subjects(self, card: Card, beside: Card | None) -> tuple[Subject, ...]:
        """Whose limits bind: the account, its customer, and the account of the second card."""
        account = Subject("card", card.account_token)
        found = (account,) if card.customer is None else (account, Subject("customer", card.customer))
        return found if beside is None or beside.account_token == card.account_token else (*found, Subject("card", beside.account_token))

    def _meters(self, card: Card, beside: Card | None) -> list[Meter]:
        return [meter for subject in self._subjects(card, beside) for meter in self._world.meters_of.get(subject, ())]

    def _balances(self, card: Card, beside: Card | None) -> list[Balance]:
        return [balance for subject in self._subjects(card, beside) for balance in self._world.balances_of.get(subject, ())]

    def _windows(self, card: Card, utc_ms: int) -> dict[str, str]:
        # Window key per period; a fuelling has none.
        day, month = self._calendar.keys(utc_ms, self._world.zone_of_customer(card.customer))
        return {"FUELLING": "", "DAY": day, "MONTH": month}

    def date(self, card: Card, utc_ms: int) -> str:
        """The local date, in this card's zone, that this instant belongs to."""
        return self._windows(card, utc_ms)["DAY"]

    def bounds(self, card: Card, utc_ms: int, *, current: bool, beside: Card | None = None) -> list[Bound]:
        """Everything that limits this card at this instant, in the order of the reasons.

        ``current``: the host has the record of every sale of the terminal before this one, so its share may be used for this one.
        """
        bounds: list[Bound] = []
        windows = self._windows(card, utc_ms)
        for meter in self._meters(card, beside):
            if meter.limit is not None:
                window = windows[meter.period]
                remaining = meter.limit - meter.used.get(window, 0) - meter.held.get(window, 0)
                if meter.shared:  # what is out on shares may be gone already
                    remaining -= self._share_book.kept_back(meter.key, window, self._world.terminal, current=current)
                bound = remaining_bound(meter.subject.kind, meter.period, meter.measure, remaining, meter.products)
                if bound is not None:
                    bounds.append(bound)
        for balance in self._balances(card, beside):
            reason = "BALANCE_EMPTY" if balance.kind == "prepaid" else "CREDIT_CEILING"
            rest = max(0, balance.amount - balance.used - balance.held)
            bounds.append(Bound(reason, rest, balance.measure == "VALUE", balance.products))
        if card.tank_ml is not None:
            bounds.append(Bound("TANK_CAPACITY", card.tank_ml))
        bounds.sort(key=lambda bound: RANK[bound.reason])
        return bounds

    def hold(
        self, card: Card, utc_ms: int, verdict: Verdict, wish: Wish | None, decimals: int, *, current: bool, beside: Card | None = None
    ) -> Shares:
        """Takes what this approval may cost at most from every meter and balance, and says what it took.

        Where nothing bounds the answer, nothing that binds can be touched, and the hold is 0.
        """
        most: dict[str, tuple[int, int]] = {}
        for offer in verdict.offers:
            quantity = min(possible(offer, verdict.quantity_ml, verdict.value_minor, decimals), wished_quantity(wish, offer, decimals))
            bounded = verdict.quantity_ml is not None or verdict.value_minor is not None or wish is not None
            value = cost(quantity, offer.price, decimals) if bounded else 0
            before = most.get(offer.product, (0, 0))
            most[offer.product] = (max(before[0], quantity if bounded else 0), max(before[1], value))
        shares, windows = Shares(on_top=not current), self._windows(card, utc_ms)
        for meter in self._meters(card, beside):
            touched = [amounts for product, amounts in most.items() if meter.products is None or product in meter.products]
            if touched and meter.period != "FUELLING":
                amount = 1 if meter.measure == "COUNT" else max(each[meter.measure == "VALUE"] for each in touched)
                window = windows[meter.period]
                meter.held[window] = meter.held.get(window, 0) + amount
                if meter.shared:
                    self._share_book.hold(meter.key, window, self._world.terminal, amount, on_top=shares.on_top)
                shares.meters.append((meter, window, amount))
        for balance in self._balances(card, beside):
            touched = [amounts for product, amounts in most.items() if balance.products is None or product in balance.products]
            if touched:
                amount = max(each[balance.measure == "VALUE"] for each in touched)
                balance.held += amount
                shares.balances.append((balance, amount))
        return shares

    def release(self, shares: Shares) -> None:
        """Gives a hold back."""
        for meter, window, amount in shares.meters:
            if meter.shared:
                self._share_book.hold(meter.key, window, self._world.terminal, -amount, on_top=shares.on_top)
            left = meter.held.pop(window, 0) - amount  # a hold of 0 leaves no entry behind
            if left:
                meter.held[window] = left
        for balance, amount in shares.balances:
            balance.held -= amount

    @staticmethod
    def unbook(shares: Shares) -> None:
        """Takes back what ``book`` counted."""
        for meter, window, amount in shares.meters:
            meter.used[window] -= amount
        for balance, amount in shares.balances:
            balance.used -= amount

    def book(
        self, card: Card, utc_ms: int, product: str | None, quantity_ml: int, value_minor: int, beside: Card | None = None
    ) -> tuple[Shares, list[str]]:
        """Counts a delivered volume wholly, whatever the limits say, and names the limits that are now exceeded."""
        shares, exceeded = Shares(), []
        windows = self._windows(card, utc_ms)
        for meter in self._meters(card, beside):
            if meter.products is not None and product not in meter.products:
                continue
            amount = {"QUANTITY": quantity_ml, "VALUE": value_minor, "COUNT": 1 if quantity_ml > 0 else 0}[meter.measure]
            window = windows[meter.period]
            total = amount
            if meter.period != "FUELLING":
                total = meter.used[window] = meter.used.get(window, 0) + amount
                shares.meters.append((meter, window, amount))
            if meter.limit is not None and total > meter.limit:
                prefix = "" if meter.subject.kind == "card" else "CUSTOMER_"
                exceeded.append(f"{prefix}LIMIT_{meter.period}_{meter.measure}")
        for balance in self._balances(card, beside):
            if balance.products is None or product in balance.products:
                amount = value_minor if balance.measure == "VALUE" else quantity_ml
                balance.used += amount
                shares.balances.append((balance, amount))
                if balance.used > balance.amount:
                    exceeded.append("BALANCE_EMPTY" if balance.kind == "prepaid" else "CREDIT_CEILING")
        return shares, exceeded
