"""The station that has lost rows, and what the host gives back to it: for the tests of the return desk."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from terminal.core.account_book import SaleUse
from terminal.core.corrections import NoPast
from terminal.core.effects import FetchSales
from terminal.core.facts import Cap, ExposureCaps, Policy
from terminal.core.faults import FaultCode
from terminal.core.ids import Minting, SaleId
from terminal.core.records import MediumRef, NozzleRef
from terminal.core.return_desk import MOST_LOOKS
from terminal.core.returned_record import ReturnSettled, SaleReturned
from terminal.core.returned_sales import BackHold, BackSale, Missing, Outcome, SalesBack
from terminal.core.sale import Sale
from terminal.core.units import UtcMs
from tests.machines.site_kit import MIDNIGHT, Bench, messages, records

FIRST = 1_000_001
ONLINE = Policy(exposure=ExposureCaps(terminal=Cap(count=0)))
"""Of a terminal that decides nothing alone: there can be no fuel of sales that the host never heard of."""
CARD = MediumRef("aa" * 16, "E5F6", "badge", "T0", "QUJD")


def sale(sequence: int, volume_ml: int = 10_000, **changes: object) -> SaleReturned:
    """A sale of fuelling point 1, nozzle 1, that began where the one before ended."""
    good = SaleReturned(
        sale=SaleId(f"T-1-{sequence}"), epoch=1, sequence=sequence, fp=1, nozzle=1, card=CARD, account="aa" * 16, customer="C1",
        pin_verified=False, prompts=(), product="GAZOLE", price=17290, quantity_ml=volume_ml, value_minor=volume_ml * 17290 // 100_000,
        decided_by="host", authorization="A1", authorized_at=MIDNIGHT, ended_at=MIDNIGHT, end="nozzle",
        total_start_ml=100_000 + sequence * 10_000, total_end_ml=100_000 + sequence * 10_000 + volume_ml, clock="trusted", list_version=1,
    )  # fmt: skip
    return replace(good, **changes)  # type: ignore[arg-type]


def hold(sequence: int, *, quantity_ml: int | None = 60_000) -> BackHold:
    nothing = sale(sequence, 0, nozzle=None, product=None, price=None, total_start_ml=None, total_end_ml=None, end="power", found=True)
    return BackHold(nothing, (NozzleRef(1, "GAZOLE", 17290), NozzleRef(2, "SP95", 18590)), quantity_ml, None)


@dataclass
class Past(NoPast):
    """A ledger that knows sales up to number 4 and says what the test lays down."""

    asked: Missing | None = field(default_factory=lambda: Missing(1, 4, 2, FIRST))
    found: Outcome = field(default_factory=lambda: Outcome(4, (), 0, True))
    known: dict[str, SaleUse] = field(default_factory=dict)
    taken: set[int] = field(default_factory=set)
    corrections: set[str] = field(default_factory=set)
    bench: Bench | None = None

    def missing(self) -> Missing | None:
        steps = [] if self.bench is None else self.bench.steps
        return None if any(records(step, ReturnSettled) for step in steps) else self.asked

    def outcome(self, missing: Missing) -> Outcome:
        return self.found

    def use(self, sale: str) -> SaleUse | None:
        return self.known.get(sale)

    def has_correction(self, name: str) -> bool:
        return name in self.corrections

    def number_taken(self, sequence: int) -> bool:
        return sequence in self.taken


def opened(past: Past, policy: Policy = ONLINE, *left_open: Sale) -> Bench:
    """A station that has lost rows, with the host there. ``left_open``: sales in doubt."""
    bench = Bench(policy=policy)
    bench.recovered.open_sales = list(left_open)
    bench.recovered.uses = [one.held() for one in left_open]
    bench.recovered.unanswered = list(bench.recovered.uses)
    bench.recovered.minting = Minting("T", 2, FIRST)
    bench.recovered.past = past
    bench.recovered.faults[FaultCode.STORAGE_DAMAGED, "ledger"] = "rows are lost"
    bench.__post_init__()
    past.bench = bench
    bench.open()
    return bench


def silent(past: Past) -> tuple[Bench, tuple[int, ...]]:
    """The same, where no pump has answered yet; its points."""
    bench = Bench()
    bench.recovered.minting = Minting("T", 2, FIRST)
    bench.recovered.past = past
    bench.__post_init__()
    past.bench = bench
    points, bench.points = bench.points, ()
    bench.open()
    bench.wait(3_000)
    return bench, points


def page(*sales: BackSale, after: int = 4, last: int | None = None, more: bool = False, holds: tuple[BackHold, ...] = ()) -> SalesBack:
    newest = max([one.fact.sequence for one in sales] + [one.fact.sequence for one in holds], default=after)
    return SalesBack(1, after, newest if last is None else last, more, sales, holds, UtcMs(MIDNIGHT + 13 * 3_600_000))


def detail(bench: Bench) -> str:
    return bench.site.desk.faults.active.get((FaultCode.STORAGE_DAMAGED, "ledger"), "")


def asked(bench: Bench, ms: int) -> list[FetchSales]:
    return [effect for effect in bench.wait(ms) if isinstance(effect, FetchSales)]


def ended(bench: Bench) -> ReturnSettled:
    """How it ended, within the time that pumps are waited for."""
    (fact,) = records(bench.wait(2_000 * (MOST_LOOKS + 1)), ReturnSettled)
    return fact


def settle(bench: Bench, *holds: BackHold, last: int | None = None) -> tuple[list[SaleReturned], list[str], ReturnSettled]:
    """The last page has these holds: what is taken of them, the messages for the host, and the end."""
    bench.wait(3_000)
    bench.do(page(holds=holds, last=last))
    effects = bench.wait(2_000 * (MOST_LOOKS + 1))
    (end,) = records(effects, ReturnSettled)
    return records(effects, SaleReturned), messages(effects), end
