"""The smallest world that keeps the protocol: one card table, pumps that obey, a host that books.

It tests the steps and the player, never the terminal. Its time is a number that only ``wait``, ``pass_time`` and ``flow`` move.
A badge ``BROKEN`` makes it fail like a world with a mistake in it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from terminal.core.units import cost_of
from tests.behaviour.command_line import CommandLine
from tests.behaviour.world import Amount, Books, CardRow, Correction, GivenOrder, HostConduct, PriceSaid, Release, SaleSeen, Setup, Subject


class FakeWorld:
    """See ``tests.behaviour.world.World``."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.now_ms = 0
        self.conduct = setup.host
        self.acts: list[str] = []
        self.closed = False
        self._card: CardRow | None = None
        self._asked: str | None = None
        self._wish = Amount()
        self._refusals: list[str] = []
        self._screens: list[str] = ["Badge, please"]
        self._armed: dict[int, tuple[CardRow, Amount]] = {}
        self._releases: dict[int, Release] = {}
        self._flown: dict[int, int] = {}
        self._sales: list[tuple[int, int, SaleSeen]] = []
        self._booked = 0
        self._faults: set[str] = set()
        self._blocked: set[str] = set()

    # -- time

    def wait(self, until: Callable[[], bool], at_most_ms: int) -> bool:
        if until():
            return True
        self.now_ms += at_most_ms
        return until()

    def pass_time(self, duration_ms: int) -> None:
        self.now_ms += duration_ms

    # -- the driver

    def present_badge(self, number: str, *, make: str = "", second: str = "", tear_after: int = 0) -> None:
        if number == "BROKEN":
            raise RuntimeError("the antenna fell off")
        card = next((card for card in self.setup.cards if card.number == number), None)
        if card is None:
            self._refuse("CARD_UNKNOWN")
        elif card.status == "blocked" or number in self._blocked:
            self._refuse("CARD_BLOCKED")
        else:
            self._card = card
            self._ask("PIN" if card.pin else "FUELLING POINT")

    def swipe(self, number: str, *, tracks: tuple[int, ...] = (1, 2), fault: str = "none", second: str = "", rest: str = "") -> None:
        self.present_badge(number)

    def press_key(self, key: str) -> None:
        self.acts.append(f"press_key {key}")

    def host_sets_odometer(self, card: str, reading: int) -> None:
        self.acts.append(f"host_sets_odometer {card} {reading}")

    def insert(self, number: str, *, make: str = "fleet", tear_at: int = 0) -> None:
        self.present_badge(number)

    def card_service(self, running: bool) -> None:
        self.acts.append(f"card_service {running}")

    def card_heard(self) -> Sequence[bytes]:
        return ()

    def remove_card(self) -> None:
        self.acts.append("remove_card")

    def enter_pin(self, pin: str) -> None:
        if self._card is not None and self._asked == "PIN":
            if pin == self._card.pin:
                self._ask("FUELLING POINT")
            else:
                self._refusals.append("PIN_WRONG")

    def answer_prompt(self, name: str, value: str) -> None:
        self.acts.append(f"answer_prompt {name} {value}")

    def wish(self, amount: Amount) -> None:
        self._wish = amount

    def choose(self, fp: int) -> None:
        if self._card is not None and self._asked == "FUELLING POINT":
            self._armed[fp] = (self._card, self._wish)
            self._card, self._asked, self._wish = None, None, Amount()
            self._screens.append(f"Go to pump {fp}")

    def cancel(self) -> None:
        self._card = self._asked = None

    def lift(self, fp: int, nozzle: int) -> None:
        if fp in self._armed:
            wish = self._armed[fp][1]
            row = next(row for row in self.setup.fuelling_points if (row.fp, row.nozzle) == (fp, nozzle))
            preset = wish if wish != Amount() else Amount(volume_ml=990_000)
            self._releases[fp] = Release(nozzle, preset, row.price)

    def flow(self, fp: int, volume_ml: int) -> None:
        release = self._releases.get(fp)
        if release is not None:
            most = release.preset.volume_ml or volume_ml
            self._flown[fp] = min(most, self._flown.get(fp, 0) + volume_ml)
            self.now_ms += volume_ml * 60 // 40

    def hang_up(self, fp: int) -> None:
        release, flown = self._releases.pop(fp, None), self._flown.pop(fp, 0)
        if release is not None and flown:
            card = self._armed.pop(fp)[0]
            row = next(row for row in self.setup.fuelling_points if (row.fp, row.nozzle) == (fp, release.nozzle))
            money = cost_of(flown, row.price, self.setup.decimals)
            self._sales.append((fp, row.nozzle, SaleSeen(flown, money, row.product, card.account, card.number)))
            self._upload()

    # -- the rest is only noted, or as simple as can be

    def cut_power(self) -> None:
        self.acts.append("cut_power")

    def return_power(self) -> None:
        self.acts.append("return_power")

    def cut_line(self, fp: int) -> None:
        self._faults.add("PUMP_LINE_LOST")

    def restore_line(self, fp: int) -> None:
        self._faults.discard("PUMP_LINE_LOST")

    def noise(self, fp: int) -> None:
        self.acts.append(f"noise {fp}")

    def press_stop(self, fp: int) -> None:
        self._releases.pop(fp, None)

    def emergency_stop(self, pressed: bool) -> None:
        self.acts.append(f"emergency_stop {pressed}")

    def head_habit(self, fp: int, habit: str) -> None:
        self.acts.append(f"head_habit {fp} {habit}")

    def live(self, fp: int) -> tuple[int, int]:
        return 0, 0

    def head_alarm(self, fp: int, code: int) -> None:
        self.acts.append(f"head_alarm {fp} {code}")

    def dispense_unreleased(self, fp: int, nozzle: int, volume_ml: int) -> None:
        self.acts.append(f"dispense_unreleased {fp} {nozzle} {volume_ml}")

    def order(self, order: GivenOrder) -> str | None:
        self.acts.append(f"order {order.kind}")
        return None

    def orders_taken(self) -> Sequence[tuple[str, str]]:
        return ()

    def disk_full(self, full: bool) -> None:
        self.acts.append(f"disk_full {full}")

    def keep_ledger(self) -> None:
        self.acts.append("keep_ledger")

    def put_ledger_back(self) -> None:
        self.acts.append("put_ledger_back")

    def flip_a_bit(self) -> None:
        self.acts.append("flip_a_bit")

    def host_confirms_ledger(self) -> None:
        self.acts.append("host_confirms_ledger")

    def set_clock(self, local_time: str) -> None:
        self.acts.append(f"set_clock {local_time}")

    def set_host(self, conduct: HostConduct) -> None:
        self.conduct = conduct
        self._upload()

    def host_blocks(self, subject: Subject) -> None:
        self._blocked.add(subject.name)

    def host_unblocks(self, subject: Subject) -> None:
        self._blocked.discard(subject.name)

    def unlock_pin(self, account: str) -> None:
        self.acts.append(f"unlock_pin {account}")

    def publish_lists(self) -> None:
        self.acts.append("publish_lists")

    def spoil_lists(self, fault: str) -> None:
        self.acts.append(f"spoil_lists {fault}")

    def host_loses(self, sale: str) -> None:
        self.acts.append(f"host_loses {sale}")

    def host_misbooks(self, sale: str, volume_ml: int) -> None:
        self.acts.append(f"host_misbooks {sale} {volume_ml}")

    def host_closes(self, scope: str, name: str, *, closed: bool) -> None:
        self.acts.append(f"host_closes {scope} {name} {closed}")

    def host_corrects(self, correction: Correction) -> None:
        self.acts.append(f"host_corrects {correction.kind}")

    def exchange_head(self, fp: int) -> None:
        self.acts.append(f"exchange_head {fp}")

    def change_price(self, said: PriceSaid) -> None:
        self.acts.append(f"change_price {said.product} {said.price}")

    def price_at_head(self, fp: int, nozzle: int, price: int) -> None:
        self.acts.append(f"price_at_head {fp} {nozzle} {price}")

    def head_keeps_prices(self, fp: int, keeps: bool) -> None:
        self.acts.append(f"head_keeps_prices {fp} {keeps}")

    def display(self, fp: int) -> tuple[int, int]:
        return 0, 0

    def commission(self, slips: Mapping[str, str]) -> Mapping[str, Any]:
        self.acts.append(f"commission {len(slips)}")
        return {}

    def head_price(self, fp: int, nozzle: int) -> int | None:
        return None

    # -- looking

    def settled(self) -> bool:
        return True

    def asked(self) -> str | None:
        return self._asked

    def refusals(self) -> Sequence[str]:
        return self._refusals

    def screens(self) -> Sequence[str]:
        return self._screens

    def release(self, fp: int) -> Release | None:
        release = self._releases.get(fp)
        spent = release is not None and self._flown.get(fp, 0) == release.preset.volume_ml
        return None if spent else release

    def faults(self) -> Collection[str]:
        return self._faults

    def ledger_sales(self) -> Sequence[SaleSeen]:
        return [sale for _, _, sale in self._sales]

    def ledger_tests(self) -> Sequence[tuple[int, str, int]]:
        return ()

    def proved(self) -> Sequence[int]:
        return ()

    def unattributed(self, fp: int) -> Sequence[int]:
        return (5000,) if fp == 1 else ()

    def remaining(self, subject: Subject, period: str, measure: str, products: tuple[str, ...] | None) -> int | None:
        for row in self.setup.limits:
            if (row.subject, row.period, row.measure) == (subject, period, measure) and products in (None, row.products):
                return max(0, row.amount - sum(sale.volume_ml for _, _, sale in self._sales if sale.account == subject.name))
        return None

    def copy_ledger(self, into: Path) -> Path:
        return into / "ledger.db"

    def explain_case(self, case: str) -> CommandLine:
        return CommandLine(2, "", "nobody explains here")

    def host_sales(self) -> int:
        return self._booked

    def host_open_authorizations(self) -> int:
        return 0

    def books(self) -> Books:
        volumes: dict[tuple[int, int], int] = {}
        for fp, nozzle, sale in self._sales:
            volumes[fp, nozzle] = volumes.get((fp, nozzle), 0) + sale.volume_ml
        ids = tuple(str(number) for number in range(len(self._sales)))
        money = sum(sale.amount_minor for _, _, sale in self._sales)
        at_host = volumes if self._booked == len(ids) else {}
        return Books(volumes, volumes, at_host, money, money if at_host == volumes else 0, ids, ids[: self._booked])

    def host_view(self) -> Mapping[str, Any]:
        return {"records": [], "pushed": [], "acks": {}, "sales": [], "batches": [], "calls": {}}

    def close(self) -> None:
        self.closed = True

    def _ask(self, question: str) -> None:
        self._asked = question
        self._screens.append(f"{question}\nplease")

    def _refuse(self, reason: str) -> None:
        self._card = self._asked = None
        self._refusals.append(reason)
        self._screens.append(f"Refused:\n{reason}")

    def _upload(self) -> None:
        if self.conduct.reachable:
            self._booked = len(self._sales)
