"""The account book: what each account and each customer has taken and holds, in memory, rebuilt from the ledger at start.

A sale is in it from its hold (HELD, or IN_DOUBT when the pump cannot say) until it is forgotten long after its delivery. Every sale
counts for its account and, when it has one, for its customer, so a customer is the sum of its cards by construction.
Delivered sales lie in buckets of one UTC hour with their sums by product, so that a window over 50,000 of them costs at most one
addition per hour and product; only the hours that a window's edge, a watermark or the list check cuts through are looked at sale by sale.

Volumes in millilitres, money in minor units. Source: design/behaviour-language.md, explain, rules 2 and 3;
reference/host-and-offline-authorization.md 8.3 and 8.8.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum

from terminal.core.card_data import Subject, SubjectKind
from terminal.core.reasons import Measure
from terminal.core.units import UtcMs

_HOUR_MS = 3_600_000


class UseState(Enum):
    """How far a sale has come, as far as limits care."""

    HELD = "held"
    DELIVERED = "delivered"
    IN_DOUBT = "in_doubt"


@dataclass(frozen=True, slots=True)
class SaleUse:
    """What one sale takes: its hold while open, what flowed once delivered.

    ``authorized_at`` is the instant of the hold and decides the window for good. While ``product`` is None the sale concerns every
    limit of one of ``products``, or every limit at all when those are unknown too. ``second`` is the account of the sale's second card,
    for which it counts as well.
    """

    sale: str
    sequence: int
    account: str
    customer: str | None
    product: str | None
    quantity_ml: int
    value_minor: int
    authorized_at: UtcMs
    state: UseState
    products: frozenset[str] = frozenset()
    second: str | None = None


@dataclass(frozen=True, slots=True)
class Sums:
    """Amounts of several sales; ``count`` counts deliveries above 0 ml, and every hold."""

    quantity_ml: int = 0
    value_minor: int = 0
    count: int = 0

    def of(self, measure: Measure) -> int:
        """The one that a limit of this measure looks at."""
        if measure is Measure.QUANTITY:
            return self.quantity_ml
        return self.value_minor if measure is Measure.VALUE else self.count


@dataclass(frozen=True, slots=True)
class Use:
    """Use of a subject: delivered up to the last list check, delivered since, and held (with in doubt)."""

    before: Sums
    since: Sums
    held: Sums


_NO_USE = Use(Sums(0, 0, 0), Sums(0, 0, 0), Sums(0, 0, 0))


class UnknownSale(KeyError):
    """The book has no such sale; the caller's idea of the sale and the book differ."""


_Concern = str | frozenset[str]


def _concern(use: SaleUse) -> _Concern:
    return use.products if use.product is None else use.product


def _counts_for(concern: _Concern, products: frozenset[str] | None) -> bool:
    if products is None:
        return True
    if isinstance(concern, str):
        return concern in products
    return not concern or not concern.isdisjoint(products)


class _Adder:
    """Sums under construction."""

    __slots__ = ("count", "quantity_ml", "value_minor")

    def __init__(self) -> None:
        self.quantity_ml = self.value_minor = self.count = 0

    def add(self, quantity_ml: int, value_minor: int, count: int) -> None:
        self.quantity_ml += quantity_ml
        self.value_minor += value_minor
        self.count += count

    def sums(self) -> Sums:
        return Sums(self.quantity_ml, self.value_minor, self.count)


@dataclass(slots=True)
class _Hour:
    """Delivered sales authorized in one UTC hour. The sequence bounds are never narrowed again: too wide only costs a closer look."""

    sales: dict[str, SaleUse] = field(default_factory=dict)
    sums: dict[_Concern, _Adder] = field(default_factory=dict)
    lowest: int | None = None
    highest: int = 0

    def add(self, use: SaleUse) -> None:
        self.sales[use.sale] = use
        self.sums.setdefault(_concern(use), _Adder()).add(use.quantity_ml, use.value_minor, 1 if use.quantity_ml > 0 else 0)
        if self.lowest is None:
            self.lowest = self.highest = use.sequence
        else:
            self.lowest, self.highest = min(self.lowest, use.sequence), max(self.highest, use.sequence)

    def remove(self, use: SaleUse) -> None:
        del self.sales[use.sale]
        self.sums[_concern(use)].add(-use.quantity_ml, -use.value_minor, -1 if use.quantity_ml > 0 else 0)


@dataclass(slots=True)
class _Account:
    """Everything of one subject."""

    open: dict[str, SaleUse] = field(default_factory=dict)
    hours: dict[int, _Hour] = field(default_factory=dict)

    def add(self, use: SaleUse) -> None:
        if use.state is UseState.DELIVERED:
            number = use.authorized_at // _HOUR_MS
            hour = self.hours.get(number)
            if hour is None:
                hour = self.hours[number] = _Hour()
            hour.add(use)
        else:
            self.open[use.sale] = use

    def remove(self, use: SaleUse) -> None:
        if use.state is not UseState.DELIVERED:
            del self.open[use.sale]
            return
        number = use.authorized_at // _HOUR_MS
        hour = self.hours[number]
        hour.remove(use)
        if not hour.sales:
            del self.hours[number]

    def hours_in(self, start: int | None, end: int | None) -> Iterator[tuple[int, _Hour]]:
        if start is None or end is None:
            yield from self.hours.items()
            return
        first, last = start // _HOUR_MS, (end - 1) // _HOUR_MS
        if last - first < len(self.hours):
            yield from ((number, self.hours[number]) for number in range(first, last + 1) if number in self.hours)
        else:
            yield from ((number, hour) for number, hour in self.hours.items() if first <= number <= last)


class AccountBook:
    """Use and holds of all accounts and customers. Two books are equal when they hold the same sales and the same sums of them."""

    def __init__(self, uses: Iterable[SaleUse] = ()) -> None:
        """A book of these sales, as read from the ledger. Raises ValueError when a sale comes twice."""
        self._sales: dict[str, SaleUse] = {}
        self._accounts: dict[Subject, _Account] = {}
        for use in uses:
            if use.sale in self._sales:
                raise ValueError(f"sale {use.sale} is in the book already")
            self._put(use)

    # --- entries ------------------------------------------------------------------------------------------------------

    def hold(self, use: SaleUse) -> None:
        """Enter a new sale's hold. Raises ValueError for a sale that is there already or is no hold."""
        if use.state is UseState.DELIVERED:
            raise ValueError(f"sale {use.sale} is delivered, not held")
        if use.sale in self._sales:
            raise ValueError(f"sale {use.sale} is in the book already")
        self._put(use)

    def replace(self, use: SaleUse) -> None:
        """Put this in the place of the sale's entry, in whatever state: a narrowed hold, a correction. Raises UnknownSale."""
        self._take(use.sale)
        self._put(use)

    def settle(self, sale: str, *, product: str | None, quantity_ml: int, value_minor: int) -> None:
        """Replace the hold by what flowed; the window stays that of the hold. Raises UnknownSale."""
        old = self._take(sale)
        known = product if product is not None else old.product
        self._put(replace(old, product=known, quantity_ml=quantity_ml, value_minor=value_minor, state=UseState.DELIVERED))

    def doubt(self, sale: str) -> None:
        """Keep the hold, but as one that does not make its card busy. Raises UnknownSale."""
        self._put(replace(self._take(sale), state=UseState.IN_DOUBT))

    def drop(self, sale: str) -> None:
        """Free the hold of a sale that took nothing. Raises UnknownSale."""
        self._take(sale)

    def forget_before(self, at: UtcMs) -> None:
        """Leave out delivered sales authorized before this instant. Holds stay, however old."""
        for use in [use for use in self._sales.values() if use.state is UseState.DELIVERED and use.authorized_at < at]:
            self._take(use.sale)

    # --- questions ----------------------------------------------------------------------------------------------------

    def get(self, sale: str) -> SaleUse | None:
        """The entry of a sale."""
        return self._sales.get(sale)

    def open_holds(self, account: str) -> tuple[SaleUse, ...]:
        """The HELD sales of an account; one in doubt does not make a card busy."""
        found = self._accounts.get(Subject(SubjectKind.CARD, account))
        return () if found is None else tuple(use for use in found.open.values() if use.state is UseState.HELD)

    def use(
        self,
        subject: Subject,
        *,
        window: tuple[UtcMs, UtcMs] | None,
        products: frozenset[str] | None,
        watermark: int | None,
        lists_checked: UtcMs | None,
    ) -> Use:
        """What a subject took and holds, of these products, authorized in ``[start, end)`` of the window (None: ever).

        Deliveries count with a sequence above ``watermark`` (all when None), and as ``before`` when authorized at or before
        ``lists_checked`` (none when None). Holds count whatever their sequence.
        """
        account = self._accounts.get(subject)
        if account is None:
            return _NO_USE
        before, since, held = _Adder(), _Adder(), _Adder()
        start, end = (None, None) if window is None else window
        for use in account.open.values():
            if (start is None or end is None or start <= use.authorized_at < end) and _counts_for(_concern(use), products):
                held.add(use.quantity_ml, use.value_minor, 1)
        for number, hour in account.hours_in(start, end):
            if watermark is None or hour.highest > watermark:
                _add_hour(number, hour, window, products, watermark, lists_checked, before, since)
        return Use(before.sums(), since.sums(), held.sums())

    # --- comparison ---------------------------------------------------------------------------------------------------

    def snapshot(self) -> tuple[SaleUse, ...]:
        """All entries, in the order of their sequence."""
        return tuple(sorted(self._sales.values(), key=lambda use: (use.sequence, use.sale)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AccountBook):
            return NotImplemented
        return self._sales == other._sales and self._sums() == other._sums()

    __hash__ = None  # type: ignore[assignment]

    def __len__(self) -> int:
        return len(self._sales)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _sums(self) -> dict[tuple[Subject, int, _Concern], tuple[int, int, int]]:
        return {
            (subject, number, concern): (adder.quantity_ml, adder.value_minor, adder.count)
            for subject, account in self._accounts.items()
            for number, hour in account.hours.items()
            for concern, adder in hour.sums.items()
            if adder.quantity_ml or adder.value_minor or adder.count
        }

    def _put(self, use: SaleUse) -> None:
        if use.state is UseState.DELIVERED and use.quantity_ml == 0 and use.value_minor == 0:
            return  # took nothing: no use, so that a freed hold and an empty delivery leave the same book
        self._sales[use.sale] = use
        for subject in _subjects(use):
            account = self._accounts.get(subject)
            if account is None:
                account = self._accounts[subject] = _Account()
            account.add(use)

    def _take(self, sale: str) -> SaleUse:
        use = self._sales.pop(sale, None)
        if use is None:
            raise UnknownSale(sale)
        for subject in _subjects(use):
            account = self._accounts[subject]
            account.remove(use)
            if not account.open and not account.hours:
                del self._accounts[subject]
        return use


def _subjects(use: SaleUse) -> tuple[Subject, ...]:
    card = Subject(SubjectKind.CARD, use.account)
    found = (card,) if use.customer is None else (card, Subject(SubjectKind.CUSTOMER, use.customer))
    return found if use.second is None or use.second == use.account else (*found, Subject(SubjectKind.CARD, use.second))


def _add_hour(
    number: int,
    hour: _Hour,
    window: tuple[UtcMs, UtcMs] | None,
    products: frozenset[str] | None,
    watermark: int | None,
    lists_checked: UtcMs | None,
    before: _Adder,
    since: _Adder,
) -> None:
    """Add an hour's deliveries: by its sums when nothing cuts through it, else sale by sale."""
    first, last = number * _HOUR_MS, (number + 1) * _HOUR_MS - 1
    inside = window is None or (window[0] <= first and last < window[1])
    above = watermark is None or (hour.lowest is not None and hour.lowest > watermark)
    all_before = lists_checked is not None and last <= lists_checked
    all_since = lists_checked is None or first > lists_checked
    if inside and above and (all_before or all_since):
        side = before if all_before else since
        for concern, adder in hour.sums.items():
            if _counts_for(concern, products):
                side.add(adder.quantity_ml, adder.value_minor, adder.count)
        return
    for use in hour.sales.values():
        if window is not None and not window[0] <= use.authorized_at < window[1]:
            continue
        if (watermark is None or use.sequence > watermark) and _counts_for(_concern(use), products):
            side = before if lists_checked is not None and use.authorized_at <= lists_checked else since
            side.add(use.quantity_ml, use.value_minor, 1 if use.quantity_ml > 0 else 0)
