"""A real ``Site`` on small ports in memory: lists are dicts, the vault's secrets are hashes, time is a number.

Nothing is replaced: events go in by ``Bench.do``, typed effects come out, and the bench runs the deadlines and continuations as the
runtime does. What the pumps, the host and the ledger would answer is said by each test.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from drivers.commands import ReadFill, ReadTotal, SetPrices, ShowLines
from drivers.events import (
    FillReported,
    Key,
    KeyPressed,
    MediumKind,
    MediumPresented,
    NozzleLifted,
    NozzleReturned,
    PricesReported,
    PumpStatus,
    PumpStatusChanged,
    PumpSurveyed,
    TotalReported,
)
from terminal.core import effects as fx
from terminal.core.authorization import Policy
from terminal.core.batch_desk import BATCH_SALES
from terminal.core.card_data import (
    Card,
    Customer,
    HostAnswer,
    HostDecision,
    Limit,
    Measure,
    Nozzle,
    Offline,
    Period,
    PinRule,
    Status,
    Subject,
    SubjectKind,
)
from terminal.core.deny_book import OnDeny
from terminal.core.events import Deadline, HostAnswered, HostFailed, HostTrouble, ProbeAnswered
from terminal.core.host_link import HostTimes
from terminal.core.ids import Minting, SaleId
from terminal.core.point_config import PointConfig
from terminal.core.sale import Sale
from terminal.core.session import CustomerSession
from terminal.core.site import Recovered, Site, SiteConfig
from terminal.core.teller import SiteRules
from terminal.core.units import Instant, UtcMs
from tests.machines.kit_ports import KitLists as KitLists
from tests.machines.kit_ports import KitStorage as KitStorage
from tests.machines.kit_ports import KitVault as KitVault
from tests.machines.kit_ports import token_of as token_of

T = TypeVar("T")

MIDNIGHT = UtcMs(1_773_097_200_000)
"""2026-03-10 00:00 in Europe/Paris."""
GAZOLE = Nozzle(1, "GAZOLE", 17290)
SP95 = Nozzle(2, "SP95", 18590)
DYED = Nozzle(3, "GNR", 11000)


def pin_rule(account: str, pin: str, epoch: int = 1, tries: int = 3) -> PinRule:
    """A rule that ``KitVault`` can check."""
    return PinRule("kit", epoch, hashlib.sha256(account.encode() + pin.encode()).hexdigest(), tries)


def limit(account: str, amount_ml: int) -> Limit:
    """So many millilitres a day for a card."""
    return Limit(Subject(SubjectKind.CARD, account), Period.DAY, Measure.QUANTITY, amount_ml, None)


@dataclass
class Bench:
    """The site, its time and its deadlines. ``steps`` is every step's effects, in order."""

    products: tuple[Nozzle, ...] = (GAZOLE, SP95)
    points: tuple[int, ...] = (1, 2)
    sides: tuple[int, ...] = (1,)
    recovered: Recovered = field(default_factory=lambda: Recovered(Minting("T", 1, 1)))
    lists: KitLists = field(default_factory=KitLists)
    storage: KitStorage = field(default_factory=KitStorage)
    policy: Policy = field(default_factory=Policy)
    on_deny: OnDeny = OnDeny.STOP
    batch_sales: int = BATCH_SALES
    now: Instant = Instant(1_000_000)
    boot_id: str = "boot-a"
    answers_arming: bool = True
    answers_prices: bool = True
    bank_cards: bool = False
    vault: KitVault = field(default_factory=KitVault)
    head_ms: int = 0

    def __post_init__(self) -> None:
        rules = SiteRules("T", "S1", "Europe/Paris", "EUR", 2, self.policy, self.on_deny, self.batch_sales, bank_cards=self.bank_cards)
        points = tuple(PointConfig(number, self.products) for number in self.points)
        config = SiteConfig(rules, points, self.sides, "en", host_times=HostTimes(head_ms=self.head_ms))
        self.site = Site(config, self.recovered, boot=self.boot_id, lists=self.lists, vault=self.vault, storage=self.storage)
        self.due: dict[Deadline, Instant] = {}
        self.steps: list[list[fx.Effect]] = []

    # --- steps ----------------------------------------------------------------------------------------------------------

    def boot(self) -> list[fx.Effect]:
        """The first step."""
        return self._keep(self.site.boot(self.now))

    def do(self, *events: object) -> list[fx.Effect]:
        """Handle these events at this instant; all effects, also those of continuations."""
        found: list[fx.Effect] = []
        waiting = list(events)
        while waiting:
            effects = self._keep(self.site.handle(waiting.pop(0), self.now))
            found += effects
            waiting[:0] = self.continued(effects)
            waiting += self._arming_answers(effects)
            waiting += self._price_answers(effects)
        return found

    def continued(self, effects: list[fx.Effect]) -> list[object]:
        """What follows the step at once."""
        return [effect.event for effect in effects if isinstance(effect, fx.Continue)]

    def _arming_answers(self, effects: list[fx.Effect]) -> list[TotalReported]:
        """What the pump answers to the reading with which a sale is armed: nothing has moved, unless a test says otherwise."""
        asked = [command for command in sends(effects, ReadTotal) if isinstance(command, ReadTotal)]
        if not self.answers_arming:
            return []
        points = self.site.points
        return [TotalReported(c.fp, c.nozzle, points[c.fp].totals.get(c.nozzle, 0)) for c in asked if points[c.fp].awaiting() is not None]

    def _price_answers(self, effects: list[fx.Effect]) -> list[PricesReported]:
        """What a head answers that was told its prices: it shows them, unless a test says otherwise."""
        told = sends(effects, SetPrices) if self.answers_prices else []
        return [PricesReported(command.fp, command.prices) for command in told]

    def wait(self, ms: int) -> list[fx.Effect]:
        """Let time pass; deadlines fall due on the way, at their instants."""
        end, found = self.now + ms, list[fx.Effect]()
        while self.due:
            deadline, due = min(self.due.items(), key=lambda item: item[1])
            if due > end:
                break
            self.now = max(self.now, due)
            del self.due[deadline]
            found += self.do(deadline)
        self.now = Instant(end)
        return found

    def _keep(self, effects: list[fx.Effect]) -> list[fx.Effect]:
        self.steps.append(effects)
        for effect in effects:
            if isinstance(effect, fx.StartDeadline):
                self.due[effect.deadline] = Instant(self.now + effect.after_ms)
            elif isinstance(effect, fx.CancelDeadline):
                self.due.pop(effect.deadline, None)
        return effects

    # --- the world in order ---------------------------------------------------------------------------------------------

    def add_card(self, number: str, **changes: Any) -> Card:
        """A card of customer C1 that may take everything, changed as asked."""
        self.lists.customers.setdefault("C1", Customer("C1", Status.ACTIVE, Offline.ALLOWED, None))
        plain = Card(
            token=token_of(number), account=token_of(number), customer="C1", status=Status.ACTIVE, valid_from=None, valid_to=None, pin=None,
            products=None, offline=Offline.ALLOWED, prompts=(), tank_ml=None, sites=None, pair=None, language=None, last4=number[-4:],
            hours=None, medium="badge",
        )  # fmt: skip
        card = replace(plain, **changes)
        self.lists.cards[card.token] = card
        return card

    def open(self, *, host: bool = True, totals: int = 100_000) -> Bench:
        """Booted, every point surveyed at rest, lists fresh, the clock trusted, and the host reachable or known to be away."""
        self.boot()
        self.do(ProbeAnswered(UtcMs(MIDNIGHT + 12 * 3_600_000)))
        self.site.teller.lists_checked = self.site.desk.clock.utc(self.now)
        for fp in self.points:
            self.survey(fp, totals=totals)
        if not host:
            self.site.link.failed(HostTrouble.NO_LINE, "unplugged")
            self._keep(self.site.desk.take())
        return self

    def survey(
        self, fp: int, status: PumpStatus = PumpStatus.RESET, nozzle: int | None = None, *, totals: int | dict[int, int] = 100_000,
        fill: tuple[int, int] | None = None,
    ) -> list[fx.Effect]:  # fmt: skip
        """The position answers, and its books are read to the end."""
        return self.read(fp, self.do(PumpSurveyed(fp, status, nozzle)), totals=totals, fill=fill)

    def read(
        self, fp: int, asked: list[fx.Effect], *, totals: int | dict[int, int], fill: tuple[int, int] | None = None
    ) -> list[fx.Effect]:
        """Answer what was asked of the pump's books, in the order of the questions; the effects with those of the answers."""
        found = list(asked)
        for command in sends(asked, object):
            if isinstance(command, ReadFill) and fill is not None:
                found += self.do(FillReported(fp, *fill))
            elif isinstance(command, ReadTotal):
                found += self.do(TotalReported(fp, command.nozzle, totals if isinstance(totals, int) else totals[command.nozzle]))
        return found

    # --- the driver -----------------------------------------------------------------------------------------------------

    def badge(self, number: str, side: int = 1) -> list[fx.Effect]:
        """Hold out a badge."""
        return self.do(MediumPresented(side, MediumKind.BADGE, number))

    def keys(self, text: str, side: int = 1) -> list[fx.Effect]:
        """Digits; ``<`` is CLEAR, ``x`` CANCEL, ``#`` ENTER."""
        names = {"<": Key.CLEAR, "x": Key.CANCEL, "#": Key.ENTER}
        return self.do(*(KeyPressed(side, names[one] if one in names else Key(one)) for one in text))

    def lift(self, fp: int, nozzle: int = 1) -> list[fx.Effect]:
        """Nozzle out, with our price on the head."""
        return self.do(NozzleLifted(fp, nozzle, next(n.price for n in self.products if n.nozzle == nozzle)))

    def hang(self, fp: int, nozzle: int = 1) -> list[fx.Effect]:
        """Nozzle back."""
        return self.do(NozzleReturned(fp, nozzle))

    def status(self, fp: int, *statuses: PumpStatus) -> list[fx.Effect]:
        """What the position says next."""
        return self.do(*(PumpStatusChanged(fp, status) for status in statuses))

    def arm(self, number: str = "A", fp: int = 1, **answer: Any) -> SaleId:
        """Badge and choice, the host's answer when it is asked; the sale that stands reserved for the point now."""
        if self.session().seen_token == token_of(number):
            self.wait(self.session().times.same_medium_ms)
        before = set(self.site.desk.sales)
        self.badge(number)
        asked = [effect for effect in self.keys(f"<{fp}#" if self.session().digits else f"{fp}#") if isinstance(effect, fx.AskHost)]
        for question in asked:
            self.approve(question.sale, **answer)
        (sale,) = set(self.site.desk.sales) - before
        return sale

    def approve(self, sale: SaleId, decision: HostDecision = HostDecision.APPROVED, **answer: Any) -> list[fx.Effect]:
        """The host says yes (or, with another decision, not quite)."""
        told = HostAnswer(decision, authorization=f"auth {sale}", **answer)
        return self.do(HostAnswered(sale, told, self.site.desk.clock.utc(self.now)))

    def no_host(self, sale: SaleId, trouble: HostTrouble) -> list[fx.Effect]:
        """The question has no usable answer."""
        return self.do(HostFailed(sale, trouble, "said by the test"))

    def deliver(self, fp: int = 1, volume_ml: int = 20_000, *, start: int = 100_000, nozzle: int = 1) -> list[fx.Effect]:
        """From the lifted nozzle to the erased record, as a pump in order does it."""
        found = self.lift(fp, nozzle) + self.status(fp, PumpStatus.AUTHORIZED, PumpStatus.FILLING) + self.hang(fp, nozzle)
        price = next(n.price for n in self.products if n.nozzle == nozzle)
        found += self.read(
            fp, self.status(fp, PumpStatus.COMPLETED), totals=start + volume_ml, fill=(volume_ml, volume_ml * price // 100_000)
        )
        return found + self.status(fp, PumpStatus.RESET)

    # --- looking --------------------------------------------------------------------------------------------------------

    def session(self, side: int = 1) -> CustomerSession:
        return self.site.sessions[side]

    def sale(self, sale: SaleId) -> Sale:
        return self.site.desk.sales[sale]

    def state(self, fp: int = 1) -> str:
        """The point's state by name."""
        return self.site.points[fp].state.name

    def faults(self) -> set[str]:
        """Codes of the faults that are on."""
        return {code.value for code, _ in self.site.desk.faults.active}


# --- effects --------------------------------------------------------------------------------------------------------------


def records(effects: list[fx.Effect], kind: type[T]) -> list[T]:
    """The facts of this kind."""
    return [effect.record for effect in effects if isinstance(effect, fx.Persist) and isinstance(effect.record, kind)]


def sends(effects: list[fx.Effect], kind: type[T]) -> list[T]:
    """The device commands of this kind."""
    return [effect.command for effect in effects if isinstance(effect, fx.Send) and isinstance(effect.command, kind)]


def messages(effects: list[fx.Effect]) -> list[str]:
    """Keys of the messages stored for the host, in order."""
    return [effect.message.key for effect in effects if isinstance(effect, fx.Enqueue)]


def names(effects: list[fx.Effect], *only: str) -> list[str]:
    """Effects by the name of what they carry (record, command, deadline, message key's end), of these names only when any is given."""
    found = []
    for effect in effects:
        if isinstance(effect, fx.Persist):
            found.append(type(effect.record).__name__)
        elif isinstance(effect, fx.Send):
            found.append(type(effect.command).__name__)
        elif isinstance(effect, fx.Enqueue):
            found.append(effect.message.kind.value)
        elif isinstance(effect, fx.StartDeadline | fx.CancelDeadline):
            found.append(f"{type(effect).__name__[:-8]} {type(effect.deadline).__name__}")
        else:
            found.append(type(effect).__name__)
    return [name for name in found if not only or name in only]


def screen(effects: list[fx.Effect]) -> tuple[str, ...]:
    """The last lines put on a display."""
    return sends(effects, ShowLines)[-1].lines
