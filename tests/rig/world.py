"""The behaviour language's world on the rig: real processes, real time, nothing in between.

What differs from a real station: the machine does not restart, so a power cut is a SIGKILL on the same boot of the machine (the runtime
directory goes, the boot's id and its clock stay); the machine tier cuts a whole machine's power. The display keeps its last picture
while the terminal is dark. A message that the host would push is polled for every second.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from terminal.core.screens import Screen
from terminal.core.units import UtcMs
from tests.behaviour import ledger_view
from tests.behaviour.command_line import CommandLine, explain_text
from tests.behaviour.ledger_steps import flip_a_bit, keep_ledger, put_ledger_back
from tests.behaviour.world import Amount, Books, Correction, GivenOrder, HostConduct, SaleSeen, Setup, Subject, SubjectKind
from tests.rig.badges import BadgeHands
from tests.rig.books import LedgerCopy
from tests.rig.cards import CardHands
from tests.rig.office import Office
from tests.rig.person import Person
from tests.rig.prices import PriceHands
from tests.rig.pump_hands import PumpHands
from tests.rig.station import Station

POLL_S = 0.04
LISTS_MS = 5_000
REST_MS = 2_200
"""``N s pass`` ends early when so much is gone ..."""
AT_REST_MS = 700
"""... and the world was at rest for so long, by a status file that may be half a second late."""


class RigWorld(PumpHands, PriceHands, BadgeHands, CardHands):
    """See ``tests.behaviour.world.World``."""

    station_class: ClassVar[type[Station]] = Station

    def __init__(self, setup: Setup) -> None:
        """Raises NotBuilt for what the rig does not have, and whatever keeps the two programs from starting."""
        self.setup = setup
        self._station = self._make_station()
        try:
            self._forecourt = self._station.forecourt
            self._terminal = self._station.terminal
            self._ledger = LedgerCopy(self._station.state_dir, self._station.folder / "copy")
            self._office = Office(self.setup, self._forecourt, self._terminal, self._ledger, self.wait)
            self._noise: dict[int, float] = {}
            self._person = Person(self._forecourt, self._terminal, self.wait)
            self._person.look()
            self._first_picture = len(self._person.pictures) - 1
            self._names = ledger_view.names(setup, self._station.vault.token)
            self._start_ml = self._totals()
            self.set_host(setup.host)
        except BaseException:
            self.close()
            raise

    def _make_station(self) -> Station:
        """Its programs run when it is there."""
        return self.station_class(self.setup)

    # -- beyond the language -------------------------------------------------------------------------------------------

    def act(self, command: str, **fields: object) -> dict[str, Any]:
        """Any command of the forecourt."""
        return self._forecourt.do(command, **fields)

    def call(self, name: str, *more: str) -> subprocess.CompletedProcess[str]:
        """Any command of the terminal's command line."""
        return self._terminal.call(name, *more)

    def stop_program(self) -> int:
        """End the terminal's program as the service manager does; ``return_power`` starts it again. Gives the exit code."""
        return self._terminal.stop()

    def log(self) -> str:
        """Everything that the terminal's program wrote."""
        return self._terminal.logged()

    # -- time ----------------------------------------------------------------------------------------------------------

    def wait(self, until: Callable[[], bool], at_most_ms: int) -> bool:
        """See ``World.wait``."""
        end = time.monotonic() + at_most_ms / 1000
        while True:
            self._live()
            if until():
                return True
            left = end - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(POLL_S, left))

    def pass_time(self, duration_ms: int) -> None:
        """See ``World.pass_time``."""
        start = time.monotonic()
        rest_since: float | None = None

        def over() -> bool:
            nonlocal rest_since
            now = time.monotonic()
            if not self._at_rest():
                rest_since = None
            elif rest_since is None:
                rest_since = now
            return rest_since is not None and now - start >= REST_MS / 1000 and now - rest_since >= AT_REST_MS / 1000

        self.wait(over, duration_ms)

    def _at_rest(self) -> bool:
        if not self._forecourt.do("quiet")["quiet"]:
            return False
        if not self._terminal.powered:
            return True
        status = self._terminal.status()
        if status is None or status["state"] == "waiting for storage":
            return False
        idle = all(point["sale"] is None for point in status["fuelling_points"]) and all(
            side["state"] != "authorizing" for side in status["sides"]
        )
        return idle and (status["unsent"] == 0 or status["host"] == "away")

    def _live(self) -> None:
        """Whatever a look in between must not miss: the display, the end of a noise, the end of the program."""
        self._terminal.check()
        self._person.look()
        now = time.monotonic()
        for fp in [fp for fp, until in self._noise.items() if until <= now]:
            del self._noise[fp]
            self._forecourt.do("noise", fp=fp, on=False)

    # -- the driver ----------------------------------------------------------------------------------------------------

    def enter_pin(self, pin: str) -> None:
        """See ``World.enter_pin``."""
        self._person.type(pin)

    def answer_prompt(self, name: str, value: str) -> None:
        """See ``World.answer_prompt``."""
        self._person.type(value)

    def wish(self, amount: Amount) -> None:
        """See ``World.wish``."""
        self._person.wish(amount)

    def choose(self, fp: int) -> None:
        """See ``World.choose``."""
        self._person.choose(fp)

    def cancel(self) -> None:
        """See ``World.cancel``."""
        self._person.press("cancel")

    def press_key(self, key: str) -> None:
        """See ``World.press_key``."""
        self._person.press(key)

    # -- power, wires, buttons -----------------------------------------------------------------------------------------

    def cut_power(self) -> None:
        """See ``World.cut_power``."""
        self._terminal.kill()

    def return_power(self) -> None:
        """See ``World.return_power``."""
        if not self._terminal.powered:
            self._station.power_on()
            self._person.still()

    def order(self, order: GivenOrder) -> str | None:
        """See ``World.order``."""
        return self._office.order(order)

    def orders_taken(self) -> Sequence[tuple[str, str]]:
        """See ``World.orders_taken``."""
        with self._ledger.reading() as db:
            return ledger_view.orders_taken(db)

    def disk_full(self, full: bool) -> None:
        """See ``World.disk_full``."""
        self._station.fill_disk(full)

    def keep_ledger(self) -> None:
        """See ``World.keep_ledger``."""
        keep_ledger(self._station.state_dir)

    def put_ledger_back(self) -> None:
        """See ``World.put_ledger_back``."""
        put_ledger_back(self._station.state_dir)

    def flip_a_bit(self) -> None:
        """See ``World.flip_a_bit``."""
        flip_a_bit(self._station.state_dir)

    def host_confirms_ledger(self) -> None:
        """See ``World.host_confirms_ledger``."""
        self._forecourt.do("confirm_ledger")

    def set_clock(self, local_time: str) -> None:
        """See ``World.set_clock``."""
        self._station.set_clock(local_time)

    # -- the host ------------------------------------------------------------------------------------------------------

    def set_host(self, conduct: HostConduct) -> None:
        """See ``World.set_host``."""
        self._forecourt.do("host", restore=True)
        if conduct != HostConduct():
            self._forecourt.do(
                "host",
                reachable=conduct.reachable,
                delay_ms=conduct.delay_ms,
                lose_answers=conduct.lose_answers,
                status_500=conduct.always_500,
            )

    def host_blocks(self, subject: Subject) -> None:
        """See ``World.host_blocks``."""
        self._published(self._forecourt.do("block", **_named(subject)))

    def host_unblocks(self, subject: Subject) -> None:
        """See ``World.host_unblocks``."""
        self._published(self._forecourt.do("unblock", **_named(subject)))

    def unlock_pin(self, account: str) -> None:
        """See ``World.unlock_pin``."""
        self._published(self._forecourt.do("unlock_pin", card=self.setup.numbers_of(account)[0]))

    def spoil_lists(self, fault: str) -> None:
        """See ``World.spoil_lists``."""
        self._forecourt.do("spoil_lists", fault=fault)

    def publish_lists(self) -> None:
        """See ``World.publish_lists``."""
        self._published(self._forecourt.do("publish"))

    def _published(self, answer: dict[str, Any]) -> None:
        """A terminal that reaches the host has the lists when the office has let go of the key."""
        status = self._terminal.status()
        if status is not None and status.get("host") == "reachable":
            self.wait(lambda: self._list_version() >= answer["list_version"], LISTS_MS)

    def _list_version(self) -> int:
        status = self._terminal.status()
        return 0 if status is None or "lists" not in status else int(status["lists"]["version"])

    def host_sets_odometer(self, card: str, reading: int) -> None:
        """See ``World.host_sets_odometer``."""
        self._published(self._forecourt.do("odometer", card=card, reading=reading))

    def host_loses(self, sale: str) -> None:
        """See ``World.host_loses``."""
        self._forecourt.do("lose", sale=sale)

    def host_misbooks(self, sale: str, volume_ml: int) -> None:
        """See ``World.host_misbooks``."""
        self._forecourt.do("misbook", sale=sale, quantity_ml=volume_ml)

    def host_closes(self, scope: str, name: str, *, closed: bool) -> None:
        """See ``World.host_closes``."""
        self._office.close(scope, name, closed=closed)

    def host_corrects(self, correction: Correction) -> None:
        """See ``World.host_corrects``."""
        self._office.correct(correction)

    # -- looking: snapshots --------------------------------------------------------------------------------------------

    def settled(self) -> bool:
        """See ``World.settled``."""
        if not self._terminal.powered:
            return True
        seen = self._person.seen()
        return self._person.is_still() and seen is not None and seen.screen is not Screen.ASKING

    def asked(self) -> str | None:
        """See ``World.asked``."""
        return self._person.asked()

    def refusals(self) -> Sequence[str]:
        """See ``World.refusals``."""
        screens = self.screens()
        with self._ledger.reading() as db:
            return ledger_view.refusals(db, screens)

    def screens(self) -> Sequence[str]:
        """See ``World.screens``."""
        self._person.look()
        return ["\n".join(picture) for picture in self._person.pictures[self._first_picture :]]

    def _totals(self) -> dict[tuple[int, int], int]:
        return {(pump["fp"], int(nozzle)): ml for pump in self._forecourt.do("pumps")["pumps"] for nozzle, ml in pump["totals_ml"].items()}

    def faults(self) -> Collection[str]:
        """See ``World.faults``."""
        status = self._terminal.status()
        return () if status is None else [str(fault["code"]) for fault in status["faults"]]

    def ledger_sales(self) -> Sequence[SaleSeen]:
        """See ``World.ledger_sales``."""
        with self._ledger.reading() as db:
            return ledger_view.sales(db, self._names)

    def ledger_tests(self) -> Sequence[tuple[int, str, int]]:
        """See ``World.ledger_tests``."""
        with self._ledger.reading() as db:
            return ledger_view.tests(db)

    def proved(self) -> Sequence[int]:
        """See ``World.proved``."""
        with self._ledger.reading() as db:
            return ledger_view.proved(db)

    def unattributed(self, fp: int) -> Sequence[int]:
        """See ``World.unattributed``."""
        with self._ledger.reading() as db:
            return ledger_view.unattributed(db, fp)

    def remaining(self, subject: Subject, period: str, measure: str, products: tuple[str, ...] | None) -> int | None:
        """See ``World.remaining``."""
        status = self._terminal.status() or {}
        now = UtcMs(int(status.get("time_utc_ms", self._station.utc_ms())))
        return self._ledger.remaining(self.setup, self._station.vault, now, subject, period, measure, products)

    def copy_ledger(self, into: Path) -> Path:
        """See ``World.copy_ledger``."""
        return self._ledger.copy(into)

    def explain_case(self, case: str) -> CommandLine:
        """See ``World.explain_case``."""
        return explain_text(case)

    def host_sales(self) -> int:
        """See ``World.host_sales``."""
        return sum("TEST" not in (sale.get("marks") or ()) for sale in self._forecourt.do("host")["sales"])

    def host_open_authorizations(self) -> int:
        """See ``World.host_open_authorizations``."""
        return len(self._forecourt.do("host")["open"])

    def host_view(self) -> Mapping[str, Any]:
        """See ``World.host_view``."""
        return self._forecourt.do("host")

    def books(self) -> Books:
        """See ``World.books``."""
        pumps = {place: now_ml - self._start_ml[place] for place, now_ml in self._totals().items()}
        host = self._forecourt.do("host")["sales"]
        with self._ledger.reading() as db:
            return ledger_view.books(db, pumps, host)

    def close(self) -> None:
        """See ``World.close``."""
        self._station.close()


def _named(subject: Subject) -> dict[str, str]:
    return {"card" if subject.kind is SubjectKind.CARD else "customer": subject.name}
