"""Exposure: what was let go offline and not answered by the host yet, by account, by customer and for the terminal, as running sums.

A sale stands in it from its hold, while nobody has decided or we ourselves decided, until the host has answered its final message (also by
refusing it for good). That the line works again frees nothing. A decision asks for three sums, however many sales wait.

Volumes in millilitres, money in minor units. Source: features.md F16; reference/host-and-offline-authorization.md 8.5.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from terminal.core.account_book import SaleUse, Sums, UseState


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The sums that one decision looks at; a card without a customer has none there."""

    card: Sums
    customer: Sums | None
    terminal: Sums


_NONE = Sums()


class Exposure:
    """The sales that count, and their sums. Two are equal when they hold the same sales."""

    def __init__(self, uses: Iterable[SaleUse] = ()) -> None:
        """Of these sales, as read from the ledger."""
        self._sales: dict[str, SaleUse] = {}
        self._accounts: dict[str, Sums] = {}
        self._customers: dict[str, Sums] = {}
        self._terminal = _NONE
        for use in uses:
            self.put(use)

    def put(self, use: SaleUse) -> None:
        """Enter a sale, or put this in the place of its entry: a narrowed hold, what flowed. What took nothing is no exposure."""
        self.drop(use.sale)
        if use.state is UseState.DELIVERED and use.quantity_ml == 0 and use.value_minor == 0:
            return
        self._sales[use.sale] = use
        self._add(use, 1)

    def drop(self, sale: str) -> None:
        """The host has answered for this sale, has approved it itself, or it took nothing. Nothing when it is not here."""
        use = self._sales.pop(sale, None)
        if use is not None:
            self._add(use, -1)

    def of(self, account: str, customer: str | None) -> Unanswered:
        """The sums of an account, of a customer and of the terminal."""
        theirs = None if customer is None else self._customers.get(customer, _NONE)
        return Unanswered(self._accounts.get(account, _NONE), theirs, self._terminal)

    def get(self, sale: str) -> SaleUse | None:
        """The entry of a sale."""
        return self._sales.get(sale)

    def snapshot(self) -> tuple[SaleUse, ...]:
        """All entries, in the order of their sequence."""
        return tuple(sorted(self._sales.values(), key=lambda use: (use.sequence, use.sale)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Exposure):
            return NotImplemented
        mine = (self._sales, self._accounts, self._customers, self._terminal)
        return mine == (other._sales, other._accounts, other._customers, other._terminal)

    __hash__ = None  # type: ignore[assignment]

    def __len__(self) -> int:
        return len(self._sales)

    def _add(self, use: SaleUse, sign: int) -> None:
        _change(self._accounts, use.account, use, sign)
        if use.customer is not None:
            _change(self._customers, use.customer, use, sign)
        self._terminal = _changed(self._terminal, use, sign)


def _changed(sums: Sums, use: SaleUse, sign: int) -> Sums:
    return Sums(sums.quantity_ml + sign * use.quantity_ml, sums.value_minor + sign * use.value_minor, sums.count + sign)


def _change(book: dict[str, Sums], name: str, use: SaleUse, sign: int) -> None:
    changed = _changed(book.get(name, _NONE), use, sign)
    if changed.count:
        book[name] = changed
    else:
        del book[name]
