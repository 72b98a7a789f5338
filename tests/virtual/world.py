"""The behaviour language's world in virtual time: the in-process forecourt, people who act at once, time that is exact."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from drivers.events import Key, KeyPressed
from hal_sim.views import book_view
from terminal.core.host_link import HostTimes
from terminal.core.point_config import PointTimes
from terminal.core.prompts import PromptDesk
from terminal.core.session import CustomerSession, SessionState, WishMode
from terminal.core.units import Instant
from tests.behaviour import ledger_view
from tests.behaviour.command_line import CommandLine, explain_text
from tests.behaviour.ledger_steps import flip_a_bit, keep_ledger, put_ledger_back
from tests.behaviour.world import Amount, Books, Correction, GivenOrder, HostConduct, SaleSeen, Setup, Subject, SubjectKind
from tests.virtual.badges import BadgeHands
from tests.virtual.cards import CardHands
from tests.virtual.forecourt import SIDE, Forecourt, NotBuilt
from tests.virtual.host import Conduct
from tests.virtual.office import Office
from tests.virtual.prices import PriceHands
from tests.virtual.pump_hands import READ_MS, PumpHands
from tests.virtual.wires import WireKind

KEY_MS = 60
LISTS_MS = 1_000
BOOKED_MS = 60_000
RULES = ("on_deny", "batch_sales", "bank_cards", "host_resets_emergency_stop", "offline_from", "offline_without_pin_from")


class VirtualWorld(PriceHands, PumpHands, BadgeHands, CardHands):
    """See ``tests.behaviour.world.World``."""

    def __init__(self, setup: Setup, wire: str = "") -> None:
        """``wire``: one of ``wires.WIRES`` to every pump; none named is a perfect one on which idle polls are skipped."""
        self.setup = setup
        self._folder = Path(tempfile.mkdtemp(prefix="forecourt-"))
        policy = dict(setup.policy)
        point_times = PointTimes(
            lift_ms=int(str(policy.pop("lift_timeout_ms", 60_000))),
            flow_ms=int(str(policy.pop("flow_timeout_ms", 90_000))),
            longest_ms=int(str(policy.pop("longest_fuelling_ms", 3_600_000))),
        )
        host_times = HostTimes(authorize_ms=int(str(policy.pop("host_timeout_ms", 8_000))))
        tries = {"pin_tries": policy.pop("pin_tries")} if "pin_tries" in policy else {}
        restricted = {"restricted_products": policy["restricted_products"]} if "restricted_products" in policy else {}
        rules: dict[str, Any] = {name: policy.pop(name) for name in RULES if name in policy}
        scenario: dict[str, Any] = {**setup.as_scenario(), **tries, **restricted, **rules, "policy": policy}
        self.station = Forecourt(scenario, self._folder, point_times=point_times, host_times=host_times)
        self.heap = self.station.heap
        self.terminal = self.station.terminal
        self.wire = WireKind(wire, list(dict.fromkeys(self.station.lines.values()))) if wire else None
        self.station.begin()
        self._baseline()
        self.set_host(setup.host)

    def _baseline(self) -> None:
        """What happened before the first step is not part of the scenario."""
        self.terminal.screens[:-1] = []
        self._start_totals = {fp: head.totals_ml(self.heap.now) for fp, head in self.station.heads.items()}
        self.lay_cards_out()
        self.lay_badges_out()
        self._office = Office(self.station)
        self._unjournaled: list[tuple[int, str]] = []

    # -- time ----------------------------------------------------------------------------------------------------------

    def wait(self, until: Callable[[], bool], at_most_ms: int) -> bool:
        """See ``World.wait``."""
        return self.heap.run_until(self.heap.now + at_most_ms, until)

    def pass_time(self, duration_ms: int) -> None:
        """See ``World.pass_time``."""
        self.heap.run_until(self.heap.now + duration_ms)

    # -- the driver ----------------------------------------------------------------------------------------------------

    def enter_pin(self, pin: str) -> None:
        """See ``World.enter_pin``."""
        self._type(pin)

    def answer_prompt(self, name: str, value: str) -> None:
        """See ``World.answer_prompt``."""
        self._type(value)

    def wish(self, amount: Amount) -> None:
        """CLEAR goes on from the point to money, from money to litres."""
        session = self._session()
        mode = WishMode.MONEY if amount.amount_minor is not None else WishMode.VOLUME
        if session is None or session.state is not SessionState.CHOOSING:
            return
        self._press(Key.CLEAR)
        while session.wish_mode is not mode:
            self._press(Key.CLEAR)
        self._type(str(amount.amount_minor if amount.amount_minor is not None else (amount.volume_ml or 0) // 10))

    def choose(self, fp: int) -> None:
        """A point that is offered already is cleared first."""
        session = self._session()
        if session is not None and session.state is SessionState.CHOOSING and session.digits:
            self._press(Key.CLEAR)
        self._type(str(fp))

    def cancel(self) -> None:
        """See ``World.cancel``."""
        self._press(Key.CANCEL)

    def _type(self, digits: str) -> None:
        for digit in digits:
            self._press(Key(digit))
        self._press(Key.ENTER)

    def _press(self, key: Key) -> None:
        self.terminal.post(KeyPressed(SIDE, key))
        self.pass_time(KEY_MS)

    def press_key(self, key: str) -> None:
        """See ``World.press_key``."""
        self._press(Key(key))

    # -- power, wires, buttons -----------------------------------------------------------------------------------------

    def cut_power(self) -> None:
        """See ``World.cut_power``."""
        self.terminal.power_off()

    def return_power(self) -> None:
        """See ``World.return_power``."""
        if not self.terminal.powered:
            self.terminal.power_on()
            self.look_at_button()
            self.wait(self._up, 60_000)
            self.read_card()

    def _up(self) -> bool:
        """Ready for a driver, or saying why not: a point that answers is surveyed, the host has answered or is known to be away."""
        engine = self.terminal.engine
        if engine is None:
            return True
        site = engine.site
        asked = site.link.down or site.desk.clock.state(Instant(self.heap.now)).value == "trusted"
        live = [p for p in site.points.values() if self.station.position(p.number).connected]
        return asked and all(point.available or point.sale is not None for point in live)

    def order(self, order: GivenOrder) -> str | None:
        """See ``World.order``."""
        return self._office.order(order)

    def orders_taken(self) -> Sequence[tuple[str, str]]:
        """See ``World.orders_taken``."""
        with self.terminal.reading() as db:
            return ledger_view.orders_taken(db)

    def disk_full(self, full: bool) -> None:
        """See ``World.disk_full``."""
        self.terminal.set_full(full)

    def keep_ledger(self) -> None:
        """See ``World.keep_ledger``."""
        keep_ledger(self.station.folder)

    def put_ledger_back(self) -> None:
        """See ``World.put_ledger_back``."""
        put_ledger_back(self.station.folder)

    def flip_a_bit(self) -> None:
        """See ``World.flip_a_bit``."""
        flip_a_bit(self.station.folder)

    def host_confirms_ledger(self) -> None:
        """See ``World.host_confirms_ledger``."""
        self.station.book.confirm_ledger()
        self.pass_time(READ_MS)

    def set_clock(self, local_time: str) -> None:
        """Nothing in this process reads the operating system's clock; that it changes nothing is what the step shows."""

    # -- the host ------------------------------------------------------------------------------------------------------

    def set_host(self, conduct: HostConduct) -> None:
        """See ``World.set_host``."""
        if conduct == HostConduct():
            self.station.book.shelf.spoil("")
        self.station.host.conduct = Conduct(conduct.reachable, conduct.delay_ms, conduct.lose_answers, conduct.always_500)

    def host_blocks(self, subject: Subject) -> None:
        """See ``World.host_blocks``."""
        self.station.book.block(card=_name(subject, SubjectKind.CARD), customer=_name(subject, SubjectKind.CUSTOMER))
        self.pass_time(READ_MS)

    def host_unblocks(self, subject: Subject) -> None:
        """See ``World.host_unblocks``."""
        self.station.book.unblock(card=_name(subject, SubjectKind.CARD), customer=_name(subject, SubjectKind.CUSTOMER))
        self.pass_time(READ_MS)

    def unlock_pin(self, account: str) -> None:
        """See ``World.unlock_pin``."""
        self.station.book.unlock_pin(self.setup.numbers_of(account)[0])
        self.publish_lists()

    def publish_lists(self) -> None:
        """See ``World.publish_lists``; a terminal that reaches the host checks at once, told so by its push."""
        version = self.station.book.publish()
        engine = self.terminal.engine
        if engine is not None and not engine.site.link.down:
            self.wait(lambda: engine.site.lists.version >= version, LISTS_MS)
        self.pass_time(READ_MS)

    def spoil_lists(self, fault: str) -> None:
        """See ``World.spoil_lists``."""
        self.station.book.shelf.spoil(fault)

    def host_sets_odometer(self, card: str, reading: int) -> None:
        """See ``World.host_sets_odometer``."""
        self.station.book.odometer(card, reading)
        self.publish_lists()

    def host_loses(self, sale: str) -> None:
        """See ``World.host_loses``."""
        self.station.book.lose(sale)

    def host_misbooks(self, sale: str, volume_ml: int) -> None:
        """See ``World.host_misbooks``."""
        self.station.book.misbook(sale, volume_ml)

    def host_closes(self, scope: str, name: str, *, closed: bool) -> None:
        """See ``World.host_closes``."""
        book = self.station.book
        (book.close if closed else book.open)(scope, name, "said by the scenario")
        self.pass_time(READ_MS)

    def host_corrects(self, correction: Correction) -> None:
        """See ``World.host_corrects``."""
        if self.terminal.powered:
            self.wait(self._all_ended, BOOKED_MS)
        with self.terminal.reading() as db:
            said = ledger_view.corrections(db, self.setup, correction)
        if correction.kind != "settle":
            self.wait(lambda: any(sale["sale"] == said["sale"] for sale in self.station.book.sales()), BOOKED_MS)
        self.station.book.correct(said.pop("sale"), said.pop("kind"), **said)
        self.pass_time(READ_MS)

    def _all_ended(self) -> bool:
        with self.terminal.reading() as db:
            return ledger_view.all_ended(db)

    # -- looking: snapshots --------------------------------------------------------------------------------------------

    def settled(self) -> bool:
        """See ``World.settled``."""
        session = self._session()
        if session is None:
            return True
        return session.state is not SessionState.AUTHORIZING and not session.checking

    def asked(self) -> str | None:
        """See ``World.asked``."""
        session = self._session()
        if session is None:
            return None
        state = session.state
        if state is SessionState.IDENTIFYING:
            return "SECOND CARD"
        if state is SessionState.PIN:
            return "PIN"
        if state is SessionState.PROMPTS:
            found = PromptDesk.open_prompt(session)
            return None if found is None else found[0]
        return "FUELLING POINT" if state is SessionState.CHOOSING else None

    def refusals(self) -> Sequence[str]:
        """See ``World.refusals``."""
        with self.terminal.reading() as db:
            return ledger_view.refusals(db, self.terminal.screens)

    def screens(self) -> Sequence[str]:
        """See ``World.screens``."""
        return self.terminal.screens

    def faults(self) -> Collection[str]:
        """See ``World.faults``."""
        engine = self.terminal.engine
        return () if engine is None else [code.value for code, _ in engine.site.desk.faults.active]

    def ledger_sales(self) -> Sequence[SaleSeen]:
        """See ``World.ledger_sales``."""
        with self.terminal.reading() as db:
            return ledger_view.sales(db, self._names())

    def ledger_tests(self) -> Sequence[tuple[int, str, int]]:
        """See ``World.ledger_tests``."""
        with self.terminal.reading() as db:
            return ledger_view.tests(db)

    def proved(self) -> Sequence[int]:
        """See ``World.proved``."""
        with self.terminal.reading() as db:
            return ledger_view.proved(db)

    def unattributed(self, fp: int) -> Sequence[int]:
        """See ``World.unattributed``."""
        with self.terminal.reading() as db:
            return ledger_view.unattributed(db, fp)

    def remaining(self, subject: Subject, period: str, measure: str, products: tuple[str, ...] | None) -> int | None:
        """See ``World.remaining``."""
        engine = self.terminal.engine
        if engine is None:
            raise NotBuilt("what remains is asked of a terminal with power")
        site = engine.site
        at = Instant(self.heap.now)
        return ledger_view.remaining(
            self.setup, self.station.book.token_of, site.lists, site.desk.book, site.desk.clock.utc(at), subject, period, measure, products
        )

    def copy_ledger(self, into: Path) -> Path:
        """See ``World.copy_ledger``."""
        for file in self._folder.glob("ledger.db*"):
            if not file.name.endswith("-shm"):
                shutil.copyfile(file, into / file.name)
        return into / "ledger.db"

    def explain_case(self, case: str) -> CommandLine:
        """See ``World.explain_case``."""
        return explain_text(case)

    def host_sales(self) -> int:
        """See ``World.host_sales``."""
        return sum("TEST" not in (sale.get("marks") or ()) for sale in self.station.book.sales())

    def host_open_authorizations(self) -> int:
        """See ``World.host_open_authorizations``."""
        return len(self.station.book.open_authorizations())

    def host_view(self) -> Mapping[str, Any]:
        """See ``World.host_view``."""
        return book_view(self.station.book)

    def books(self) -> Books:
        """See ``World.books``."""
        now = self.heap.now
        pumps = {
            (fp, nozzle): total - self._start_totals[fp][nozzle]
            for fp, head in self.station.heads.items()
            for nozzle, total in head.totals_ml(now).items()
        }
        with self.terminal.reading() as db:
            return ledger_view.books(db, pumps, self.station.book.sales())

    def close(self) -> None:
        """See ``World.close``."""
        self.terminal.power_off()
        shutil.rmtree(self._folder, ignore_errors=True)
        if self.wire is not None:
            self.wire.check()

    def _session(self) -> CustomerSession | None:
        engine = self.terminal.engine
        return None if engine is None else engine.site.sessions[SIDE]

    def _names(self) -> dict[str, tuple[str, str]]:
        return ledger_view.names(self.setup, self.station.book.token_of)


def _name(subject: Subject, kind: SubjectKind) -> str | None:
    return subject.name if subject.kind is kind else None
