"""The tables of the Givens, made into the rows of ``Setup``.

Source: the behaviour language, section "Given" with the defaults named there. A column or a setting that is not known, a missing one
that has no default, and a value that cannot be read raise ``Unclear`` naming row and column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tests.behaviour import values
from tests.behaviour.values import Unclear
from tests.behaviour.world import BalanceRow, CardRow, CustomerRow, HostCountRow, LimitRow, NozzleRow, ShareRow

Table = Sequence[Sequence[object]]
T = TypeVar("T")

OFFLINE = ("ALWAYS", "ALLOWED", "ALLOWED_OFFLINE", "NEVER")
MEDIA = ("badge", "secure badge", "stripe", "smart card")
STATUS = ("active", "blocked")
_NOTHING = frozenset({"", "none", "-"})


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: cells by column. An empty cell counts as left out."""

    number: int
    cells: Mapping[str, str]

    def need(self, column: str) -> str:
        """The cell. Raises Unclear when it is missing or empty."""
        text = self.cells.get(column, "")
        if text == "":
            raise Unclear(f"it needs a {column}")
        return text

    def take(self, column: str, default: T, read: Callable[[str], T]) -> T:
        """The cell read by ``read``; the default when it is missing, empty or says none."""
        text = self.cells.get(column, "")
        return default if text.lower() in _NOTHING else read(text)

    def products(self, column: str = "products") -> tuple[str, ...] | None:
        """The products of a row: None for all (also when left out), an empty tuple for none."""
        text = self.cells.get(column, "")
        if text in {"", "all"}:
            return None
        return () if text.lower() in _NOTHING else values.comma_list(text)


def read_table(table: Table, columns: tuple[str, ...], make: Callable[[Row], T]) -> tuple[T, ...]:
    """Every row made by ``make``. Raises Unclear naming the row (counted without the heading)."""
    heading = [str(cell).strip() for cell in table[0]]
    for column in heading:
        values.one_of(column, columns, "a column")
    if len(set(heading)) != len(heading):
        raise Unclear("a column stands twice in the heading")
    if len(table) == 1:
        raise Unclear("the table has a heading and no row")
    made: list[T] = []
    for number, cells in enumerate(table[1:], start=1):
        row = Row(number, {name: str(cell).strip() for name, cell in zip(heading, cells, strict=True)})
        try:
            made.append(make(row))
        except Unclear as problem:
            raise Unclear(f"row {number}: {problem}") from None
    return tuple(made)


def _word(known: tuple[str, ...], what: str) -> Callable[[str], str]:
    return lambda text: values.one_of(text, known, what)


def _no_double(keys: Sequence[object], what: str) -> None:
    for key in keys:
        if keys.count(key) > 1:
            raise Unclear(f"{what} {key} stands twice in the table")


def fuelling_points(table: Table) -> tuple[NozzleRow, ...]:
    """``| fp | protocol | nozzle | product | price | minimum |``. Raises Unclear."""

    def make(row: Row) -> NozzleRow:
        return NozzleRow(
            fp=values.whole(row.need("fp"), "the fuelling point"),
            protocol=values.one_of(row.need("protocol"), ("dart", "azt"), "a protocol"),
            nozzle=values.whole(row.need("nozzle"), "the nozzle"),
            product=row.need("product"),
            price=values.price(row.need("price")),
            minimum_ml=row.take("minimum", 2000, values.volume_ml),
        )

    rows = read_table(table, ("fp", "protocol", "nozzle", "product", "price", "minimum"), make)
    _no_double([f"{row.nozzle} of fuelling point {row.fp}" for row in rows], "nozzle")
    for row in rows:
        if any(other.fp == row.fp and other.protocol != row.protocol for other in rows):
            raise Unclear(f"fuelling point {row.fp} speaks one protocol, not two")
    return rows


def customers(table: Table) -> tuple[CustomerRow, ...]:
    """``| customer | status | offline | zone |``. Raises Unclear."""

    def make(row: Row) -> CustomerRow:
        return CustomerRow(
            customer=row.need("customer"),
            status=row.take("status", "active", _word(STATUS, "a status")),
            offline=row.take("offline", "ALLOWED", _word(OFFLINE, "an offline permission")),
            zone=row.take("zone", None, values.zone),
        )

    rows = read_table(table, ("customer", "status", "offline", "zone"), make)
    _no_double([row.customer for row in rows], "customer")
    return rows


def cards(table: Table) -> tuple[CardRow, ...]:
    """``| number | account | medium | customer | status | pin | products | offline | prompts | tank | sites | hours | pair | language
    | cost centre | driver |``. Raises Unclear."""

    def make(row: Row) -> CardRow:
        number = row.need("number")
        return CardRow(
            number=number,
            account=row.take("account", number, str),
            medium=values.one_of(row.need("medium"), MEDIA, "a medium"),
            customer=row.take("customer", None, str),
            status=row.take("status", "active", _word(STATUS, "a status")),
            pin=row.take("pin", None, pin),
            products=row.products(),
            offline=row.take("offline", "ALLOWED", _word(OFFLINE, "an offline permission")),
            prompts=row.take("prompts", (), _prompts),
            tank_ml=row.take("tank", None, values.volume_ml),
            sites=row.take("sites", None, values.comma_list),
            hours=row.take("hours", None, str),
            pair=row.take("pair", None, str),
            language=row.take("language", None, str),
            cost_centre=row.take("cost centre", None, str),
            driver=row.take("driver", None, str),
            pin_check=row.take("pin check", "terminal", _word(("terminal", "host", "both"), "who checks the PIN")),
        )

    columns = "number account medium customer status pin products offline prompts tank sites hours pair language".split()
    rows = read_table(table, (*columns, "cost centre", "driver", "pin check"), make)
    _no_double([row.number for row in rows], "card")
    return rows


def pin(text: str) -> str:
    """Four to twelve digits (ISO 9564-1). Raises Unclear, which does not repeat them."""
    if not (text.isascii() and text.isdigit() and 4 <= len(text) <= 12):
        raise Unclear("a PIN has 4 to 12 digits")
    return text


def _prompts(text: str) -> tuple[str, ...]:
    return tuple(values.one_of(part.lower(), values.PROMPTS, "a prompt") for part in values.comma_list(text))


def limits(table: Table, currency: str) -> tuple[LimitRow, ...]:
    """``| subject | period | measure | amount | products |``. Raises Unclear, also for COUNT with FUELLING."""

    def make(row: Row) -> LimitRow:
        period = values.one_of(row.need("period"), values.LIMIT_PERIODS, "a period")
        measure = values.one_of(row.need("measure"), values.MEASURES, "a measure")
        if (period, measure) == ("FUELLING", "COUNT"):
            raise Unclear("there is no COUNT limit of one FUELLING")
        amount = values.measured(row.need("amount"), measure, currency)
        shared = row.take("shared", False, _yes_or_no)
        if shared and period == "FUELLING":
            raise Unclear("a FUELLING is shared with nobody")
        return LimitRow(values.subject(row.need("subject")), period, measure, amount, row.products(), shared)

    return read_table(table, ("subject", "period", "measure", "amount", "products", "shared"), make)


def shares(table: Table, currency: str) -> tuple[ShareRow, ...]:
    """``| subject | period | measure | amount | products |``. Raises Unclear."""

    def make(row: Row) -> ShareRow:
        period = values.one_of(row.need("period"), ("DAY", "MONTH"), "a period")
        measure = values.one_of(row.need("measure"), values.MEASURES, "a measure")
        amount = values.measured(row.need("amount"), measure, currency)
        return ShareRow(values.subject(row.need("subject")), period, measure, amount, row.products())

    return read_table(table, ("subject", "period", "measure", "amount", "products"), make)


def ranges(table: Table) -> tuple[tuple[str, str], ...]:
    """``| from | to |``: numbers of the same length. Raises Unclear."""

    def make(row: Row) -> tuple[str, str]:
        first, last = row.need("from"), row.need("to")
        if len(first) != len(last) or first > last:
            raise Unclear("a range goes upwards between numbers of the same length")
        return first, last

    return read_table(table, ("from", "to"), make)


def balances(table: Table, currency: str) -> tuple[BalanceRow, ...]:
    """``| subject | kind | measure | amount | products |``. Raises Unclear."""

    def make(row: Row) -> BalanceRow:
        measure = values.one_of(row.need("measure"), ("QUANTITY", "VALUE"), "a measure")
        kind = values.one_of(row.need("kind"), ("prepaid", "ceiling"), "a kind")
        amount = values.measured(row.need("amount"), measure, currency)
        return BalanceRow(values.subject(row.need("subject")), kind, measure, amount, row.products())

    return read_table(table, ("subject", "kind", "measure", "amount", "products"), make)


def host_counts(table: Table, currency: str) -> tuple[HostCountRow, ...]:
    """``| subject | period | measure | amount | products |``. Raises Unclear."""

    def make(row: Row) -> HostCountRow:
        period = values.one_of(row.need("period"), ("DAY", "MONTH"), "a period")
        measure = values.one_of(row.need("measure"), values.MEASURES, "a measure")
        amount = values.measured(row.need("amount"), measure, currency)
        return HostCountRow(values.subject(row.need("subject")), period, measure, amount, row.products())

    return read_table(table, ("subject", "period", "measure", "amount", "products"), make)


# --- the terminal policy ----------------------------------------------------------------------------------------------


def _yes_or_no(text: str) -> bool:
    return values.one_of(text.lower(), ("yes", "no", "true", "false"), "an answer") in {"yes", "true"}


def _list(text: str) -> tuple[str, ...]:
    return () if text.lower() in _NOTHING else values.comma_list(text)


def _millilitres(text: str) -> int:
    return values.scaled(text, 0, "millilitres") if text.isdigit() else values.volume_ml(text)


def _milliseconds(text: str) -> int:
    return values.scaled(text, 0, "milliseconds") if text.isdigit() else values.duration_ms(text)


def _count(text: str) -> int:
    return values.whole(text, "the number")


def _on_deny(text: str) -> str:
    return values.one_of(text, ("stop", "finish"), "what a deny does to a fuelling that runs")


def _trust(text: str) -> str:
    return values.one_of(text, ("T0", "T1", "T2", "T3"), "how hard a medium is to copy")


POLICY: Mapping[str, Callable[[str], object]] = {
    "min_dispense_ml": _millilitres,
    "terminal_cap_ml": _millilitres,
    "only_terminal": _yes_or_no,
    "emergency_accounts": _list,
    "restricted_products": _list,
    "max_open": _count,
    "on_deny": _on_deny,
    "batch_sales": _count,
    "bank_cards": _yes_or_no,
    "offline_from": _trust,
    "offline_without_pin_from": _trust,
    "host_resets_emergency_stop": _yes_or_no,
    "pin_tries": _count,
    "lift_timeout_ms": _milliseconds,
    "flow_timeout_ms": _milliseconds,
    "longest_fuelling_ms": _milliseconds,
    "host_timeout_ms": _milliseconds,
}
"""Setting → how its value is read. Amounts of money stand beside them (``_MONEY``): they need the currency."""
_WHOSE = ("card", "customer", "terminal")
_CAPS: Mapping[str, Callable[[str], object]] = {f"exposure_{whose}_ml": _millilitres for whose in _WHOSE} | {
    f"exposure_{whose}_count": _count for whose in _WHOSE
}
_MONEY = ("terminal_cap_minor", *(f"exposure_{whose}_minor" for whose in _WHOSE))


def policy(table: Table, currency: str) -> dict[str, object]:
    """``| setting | value |``. A setting may be written without its unit, with blanks: ``terminal cap | 300.00 L``. Raises Unclear."""
    settings: dict[str, object] = {}

    def make(row: Row) -> None:
        text = row.need("value")
        name = _setting(row.need("setting"), text)
        if name in settings:
            raise Unclear(f"the setting {name} stands twice in the table")
        if name not in _MONEY:
            settings[name] = (POLICY[name] if name in POLICY else _CAPS[name])(text)
        else:
            settings[name] = values.scaled(text, 0, "minor units") if text.isdigit() else values.amount_minor(text, currency)

    read_table(table, ("setting", "value"), make)
    return settings


def _setting(written: str, value: str) -> str:
    name = "_".join(written.lower().split())
    if name == "minimum":
        return "min_dispense_ml"
    if name == "terminal_cap":
        return "terminal_cap_ml" if value.endswith(" L") else "terminal_cap_minor"
    for unit in ("_ml", "_ms"):
        if name + unit in POLICY:
            return name + unit
    return values.one_of(name, (*POLICY, *_CAPS, *_MONEY), "a setting")
