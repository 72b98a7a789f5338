"""The behaviour language's world on the rig: real processes, real time, nothing in between.

What differs from a real station: the machine does not restart, so a power cut is a SIGKILL on the same boot of the machine (the runtime
directory goes, the boot's id and its clock stay); the machine tier cuts a whole machine's power. The display keeps its last picture
while the terminal is dark. A message that the host would push is polled for every second.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from drivers.display.lk204 import CodePage
from terminal.core.screens import Screen
from terminal.core.units import UtcMs
from tests.behaviour import ledger_view
from tests.behaviour.world import Amount, Books, HostConduct, Release, SaleSeen, Setup, Subject, SubjectKind
from tests.rig.books import LedgerCopy
from tests.rig.display import QUESTIONS, Seen, recognise
from tests.rig.settings import NotBuilt
from tests.rig.station import Station

POLL_S = 0.04
TOUCH_MS = 700
"""A person's touch of a badge to a reader that shows nothing."""
READ_MS = 350
"""Nobody is quicker than this, and the reader needs half of it."""
HOLD_MS = 6_000
"""So long somebody holds a badge to a terminal that does not look."""
LOOKS = 5
LOOKS_UNTIL_GONE = 3
GONE_MS = 600
EFFECT_MS = 1_500
"""After ENTER the terminal has so long to show something else."""
STILL_MS = 120
"""A picture that has stood so long is what the terminal has come to."""
KEY_MS = 150
NOISE_MS = 5_000
NOISE_PPM = 150_000
LISTS_MS = 5_000
REST_MS = 2_200
"""``N s pass`` ends early when so much is gone ..."""
AT_REST_MS = 700
"""... and the world was at rest for so long, by a status file that may be half a second late."""
CLEARS = 4


class RigWorld:
    """See ``tests.behaviour.world.World``."""

    def __init__(self, setup: Setup) -> None:
        """Raises NotBuilt for what the rig does not have, and whatever keeps the two programs from starting."""
        self.setup = setup
        self._station = Station(setup)
        try:
            self._forecourt = self._station.forecourt
            self._terminal = self._station.terminal
            self._ledger = LedgerCopy(self._station.state_dir, self._station.folder / "copy")
            self._pictures: list[tuple[str, ...]] = []
            self._new_picture_at = time.monotonic()
            self._watch()
            self._first_picture = len(self._pictures) - 1
            self._noise: dict[int, float] = {}
            self._names = ledger_view.names(setup, self._station.vault.token)
            self._start_ml = self._totals()
            self.set_host(setup.host)
        except BaseException:
            self.close()
            raise

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
        self._watch()
        now = time.monotonic()
        for fp in [fp for fp, until in self._noise.items() if until <= now]:
            del self._noise[fp]
            self._forecourt.do("noise", fp=fp, on=False)

    def _watch(self) -> None:
        fresh = self._forecourt.do("pictures", since=len(self._pictures))["pictures"]
        if fresh:
            self._pictures += [tuple(line.rstrip() for line in picture) for picture in fresh]
            self._new_picture_at = time.monotonic()

    # -- the driver ----------------------------------------------------------------------------------------------------

    def present_badge(self, number: str) -> None:
        """See ``World.present_badge``. Held until the terminal shows something, or has looked and does not care."""
        row = next((card for card in self.setup.cards if card.number == number), None)
        if row is not None and row.medium != "badge":
            raise NotBuilt(f"the rig has no {row.medium} yet")
        self._live()
        before, looks, start = len(self._pictures), self._looks(), time.monotonic()
        self._forecourt.do("present", number=number, medium="badge", stays=True)

        def seen() -> bool:
            held_ms = (time.monotonic() - start) * 1000
            if len(self._pictures) > before:
                return held_ms >= READ_MS  # the new picture may have been another's: a notice that was over just now
            return held_ms >= TOUCH_MS and (not self._terminal.powered or self._looks() - looks >= LOOKS)

        self.wait(seen, HOLD_MS)
        self._take_away()
        self._still()

    def _take_away(self) -> None:
        """No badge is there, and the reader has seen that: the next one may be the same."""
        self._forecourt.do("remove")
        looks = self._looks()
        if self._terminal.powered:
            self.wait(lambda: self._looks() - looks > LOOKS_UNTIL_GONE, GONE_MS)

    def _looks(self) -> int:
        return int(self._forecourt.do("reader")["looks"])

    def swipe(self, number: str) -> None:
        """See ``World.swipe``."""
        raise NotBuilt("the rig has no stripe reader yet")

    def insert(self, number: str) -> None:
        """See ``World.insert``."""
        raise NotBuilt("the rig has no chip card reader yet")

    def remove_card(self) -> None:
        """None can be in."""

    def enter_pin(self, pin: str) -> None:
        """See ``World.enter_pin``."""
        self._type(pin)

    def answer_prompt(self, name: str, value: str) -> None:
        """See ``World.answer_prompt``."""
        self._type(value)

    def wish(self, amount: Amount) -> None:
        """CLEAR goes on from the point to money, from money to litres."""
        wanted = Screen.WISH_MONEY if amount.amount_minor is not None else Screen.WISH_VOLUME
        for _ in range(CLEARS):
            seen = self._seen()
            if seen is None or QUESTIONS.get(seen.screen) != "FUELLING POINT":
                return
            if seen.screen is wanted:
                break
            self._press("clear")
        self._type(str(amount.amount_minor if amount.amount_minor is not None else (amount.volume_ml or 0) // 10))

    def choose(self, fp: int) -> None:
        """A point that is offered already is cleared first."""
        seen = self._seen()
        if seen is not None and seen.screen is Screen.FUELLING_POINT and seen.typed:
            self._press("clear")
        self._type(str(fp))

    def cancel(self) -> None:
        """See ``World.cancel``."""
        self._press("cancel")

    def _press(self, *keys: str) -> None:
        """Press keys and look until what they do stands on the display; a terminal without power hears none."""
        if not self._terminal.powered:
            return
        self._live()
        before = len(self._pictures)
        self._forecourt.do("keys", keys=list(keys))
        self.wait(lambda: len(self._pictures) > before, EFFECT_MS if self._seen() is not None and self.asked() else KEY_MS)
        self._still()

    def _type(self, digits: str) -> None:
        """Digits and ENTER; the entry that echoes them is not yet what ENTER does."""
        question = self.asked() is not None
        self._press(*digits, "enter")

        def answered() -> bool:
            seen = self._seen()
            return seen is None or not (seen.typed and seen.screen in QUESTIONS)

        if question:
            self.wait(answered, EFFECT_MS)
            self._still()

    def _still(self) -> None:
        self.wait(self._is_still, EFFECT_MS)

    def _is_still(self) -> bool:
        return time.monotonic() - self._new_picture_at >= STILL_MS / 1000

    def lift(self, fp: int, nozzle: int) -> None:
        """See ``World.lift``."""
        self._forecourt.ask("lift", fp=fp, nozzle=nozzle)

    def flow(self, fp: int, volume_ml: int) -> None:
        """See ``World.flow``."""
        if self.release(fp) is None:
            return
        self._forecourt.do("squeeze", fp=fp, volume_ml=volume_ml)
        longest_ms = 5_000 + volume_ml  # ten litres a second, and a pump may be slow to begin
        self.wait(lambda: not self._pump(fp)["delivering"], longest_ms)
        self._forecourt.do("release", fp=fp)

    def hang_up(self, fp: int) -> None:
        """See ``World.hang_up``; an error says that no nozzle is out."""
        self._forecourt.ask("hang_up", fp=fp)

    # -- power, wires, buttons -----------------------------------------------------------------------------------------

    def cut_power(self) -> None:
        """See ``World.cut_power``."""
        self._terminal.kill()

    def return_power(self) -> None:
        """See ``World.return_power``."""
        if not self._terminal.powered:
            self._station.power_on()
            self._still()

    def cut_line(self, fp: int) -> None:
        """See ``World.cut_line``."""
        self._forecourt.do("line", fp=fp, connected=False)

    def restore_line(self, fp: int) -> None:
        """See ``World.restore_line``."""
        self._forecourt.do("line", fp=fp, connected=True)

    def noise(self, fp: int) -> None:
        """See ``World.noise``."""
        self._forecourt.do("noise", fp=fp, on=True, ppm=NOISE_PPM)
        self._noise[fp] = time.monotonic() + NOISE_MS / 1000

    def press_stop(self, fp: int) -> None:
        """See ``World.press_stop``."""
        self._forecourt.do("stop", fp=fp)

    def emergency_stop(self, pressed: bool) -> None:
        """See ``World.emergency_stop``."""
        raise NotBuilt("the rig has no emergency stop of the site yet")

    def disk_full(self, full: bool) -> None:
        """See ``World.disk_full``."""
        self._station.fill_disk(full)

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

    def change_price(self, product: str, price: int) -> None:
        """See ``World.change_price``."""
        raise NotBuilt("prices do not come from the host yet")

    # -- looking: snapshots --------------------------------------------------------------------------------------------

    def _seen(self) -> Seen | None:
        self._watch()
        return recognise(self._pictures[-1], CodePage.LATIN_1)

    def settled(self) -> bool:
        """See ``World.settled``."""
        if not self._terminal.powered:
            return True
        seen = self._seen()
        return self._is_still() and seen is not None and seen.screen is not Screen.ASKING

    def asked(self) -> str | None:
        """See ``World.asked``."""
        seen = self._seen() if self._terminal.powered else None
        return None if seen is None else QUESTIONS.get(seen.screen)

    def refusals(self) -> Sequence[str]:
        """See ``World.refusals``."""
        screens = self.screens()
        with self._ledger.reading() as db:
            return ledger_view.refusals(db, screens)

    def screens(self) -> Sequence[str]:
        """See ``World.screens``."""
        self._watch()
        return ["\n".join(picture) for picture in self._pictures[self._first_picture :]]

    def release(self, fp: int) -> Release | None:
        """See ``World.release``."""
        pump = self._pump(fp)
        nozzle = pump["nozzle"]
        if pump["state"] not in ("authorized", "filling") or nozzle is None:
            return None
        return Release(nozzle, Amount(pump["preset"]["volume_ml"], pump["preset"]["amount_minor"]), pump["prices"][str(nozzle)])

    def _pump(self, fp: int) -> dict[str, Any]:
        found: dict[str, Any] = next(pump for pump in self._forecourt.do("pumps")["pumps"] if pump["fp"] == fp)
        return found

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

    def unattributed(self, fp: int) -> Sequence[int]:
        """See ``World.unattributed``."""
        with self._ledger.reading() as db:
            return ledger_view.unattributed(db, fp)

    def remaining(self, subject: Subject, period: str, measure: str, products: tuple[str, ...] | None) -> int | None:
        """See ``World.remaining``."""
        status = self._terminal.status() or {}
        now = UtcMs(int(status.get("time_utc_ms", self._station.utc_ms())))
        return self._ledger.remaining(self.setup, self._station.vault, now, subject, period, measure, products)

    def host_sales(self) -> int:
        """See ``World.host_sales``."""
        return len(self._forecourt.do("host")["sales"])

    def host_open_authorizations(self) -> int:
        """See ``World.host_open_authorizations``."""
        return len(self._forecourt.do("host")["open"])

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
