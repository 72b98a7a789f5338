"""PINs: the keys that a driver types, the try that is counted before anything is compared, and a brake on guessing.

The tries of an account lock it (by its own number of tries, until the host unlocks). The brake is the terminal's: after many wrong PINs
within minutes, of whatever cards, each further check waits longer, so that a stack of found cards cannot be tried through. It locks
nobody: the right PIN is right, only later. A PIN that the host checks goes to it as a block; the clear digits never leave ``PinEntry``.
(features.md F09, F10; reference/security-and-reliability.md 1.1 to 1.3; firmware_notes/pins.md.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drivers.events import Key, KeyPressed
from terminal.core.card_data import PinRule
from terminal.core.card_desk import Half
from terminal.core.effects import Continue
from terminal.core.events import PinTryCounted, PinWaitOver, SessionTimedOut
from terminal.core.facts import PinResult
from terminal.core.faults import FaultCode
from terminal.core.host_link import HostLink
from terminal.core.internal_events import AttemptRefused, PinNeeded
from terminal.core.pin import PIN_MIN
from terminal.core.reasons import Reason
from terminal.core.records import PinCleared, PinTried
from terminal.core.rollback import RollbackGuard
from terminal.core.screens import Screen
from terminal.core.step import Desk
from terminal.core.units import Instant

if TYPE_CHECKING:
    from terminal.core.session import CustomerSession

WRONG_MOST = 10
"""So many wrong PINs within the window pass without a wait."""
WINDOW_MS = 600_000
FIRST_WAIT_MS = 5_000
LONGEST_WAIT_MS = 60_000
TERMINAL = "pin"


@dataclass(frozen=True, slots=True)
class PinTries:
    """Tries of an account within one epoch of its PIN."""

    epoch: int
    tries: int


class PinDesk:
    """The tries of every account, and the wrong ones of this terminal. ``wrong``: when (UTC) the last ones were, before a restart too."""

    def __init__(self, desk: Desk, link: HostLink, tries: dict[str, PinTries], wrong: Iterable[int] = ()) -> None:
        self.desk = desk
        self.link = link
        self.tries = tries
        self.guard = RollbackGuard(desk, None, None)
        self.wrong: deque[int] = deque(sorted(wrong))

    def tries_of(self, account: str, rule: PinRule) -> int:
        """Tries since the last right PIN; a new epoch (a new PIN, or the host's unlock) starts at none."""
        known = self.tries.get(account)
        return known.tries if known is not None and known.epoch == rule.epoch else 0

    def count(self, account: str, rule: PinRule) -> None:
        """One try more, on disk with this step."""
        tries = PinTries(rule.epoch, self.tries_of(account, rule) + 1)
        self.tries[account] = tries
        self.desk.persist(PinTried(account, tries.epoch, tries.tries))
        if tries.tries >= rule.tries:
            self.guard.count_up()  # an older copy of the ledger must not bring this account's tries back

    def locked(self, half: Half) -> bool:
        """No try is left; where the host checks, it is the one to say so."""
        if half.rule is None or self._host_judges(half):
            return False
        return self.tries_of(half.account, half.rule) >= half.rule.tries

    def cannot_check(self, half: Half) -> bool:
        """A PIN is needed that only this terminal could check, and it must not."""
        return half.rule is not None and not self._host_judges(half) and not self.guard.checks_pins

    def asks(self, half: Half) -> bool:
        """Is a PIN asked for this card now?"""
        return half.rule is not None or self._host_judges(half)

    def _host_judges(self, half: Half) -> bool:
        return half.host_checks and self.link.reachable and not half.reading.local

    # --- the brake --------------------------------------------------------------------------------------------------------

    def went_wrong(self, at: Instant) -> None:
        """One wrong PIN more at this terminal."""
        self.wrong.append(self.desk.clock.utc(at))
        if self.wait_ms(at):
            why = f"more than {WRONG_MOST} wrong PINs within {WINDOW_MS // 60_000} minutes"
            self.desk.raise_fault(FaultCode.PIN_GUESSING, TERMINAL, why)

    def wait_ms(self, at: Instant) -> int:
        """How long the next check waits: twice as long for each wrong PIN above the number that passes, up to a minute."""
        now = self.desk.clock.utc(at)
        while self.wrong and now - self.wrong[0] >= WINDOW_MS:
            self.wrong.popleft()
        above = len(self.wrong) - WRONG_MOST
        if above <= 0:
            self.desk.clear_fault(FaultCode.PIN_GUESSING, TERMINAL)
            return 0
        return int(min(LONGEST_WAIT_MS, FIRST_WAIT_MS << min(above - 1, 10)))

    # --- the session's part -------------------------------------------------------------------------------------------------

    def open_half(self, session: CustomerSession) -> Half | None:
        """The card whose PIN is still missing, in the order in which the cards came."""
        return next((half for half in session.halves if self.asks(half) and half.account not in session.pins), None)

    def key(self, session: CustomerSession, key: Key, at: Instant) -> None:
        """Digits go into the wiped buffer; ENTER has the try counted on disk before anything is compared."""
        if session.checking or self.open_half(session) is None:
            return
        if key is Key.CLEAR:
            session.entry.wipe()
        elif key is not Key.ENTER:
            session.entry.add(key.value)
        elif len(session.entry) >= PIN_MIN:
            session.checking = True
            wait = self.wait_ms(at)
            if wait:
                self.desk.cancel(SessionTimedOut(session.side))
                self.desk.start(PinWaitOver(session.side), wait)
                session.show(Screen.ASKING)
            else:
                self.check(session, at)
            return
        session.await_input(Screen.PIN)

    def check(self, session: CustomerSession, at: Instant) -> None:
        """Count the try where it is ours to count, and go on when it is on disk."""
        half = self.open_half(session)
        if half is None or not session.checking:
            return
        if half.rule is not None and self.guard.checks_pins:
            self.count(half.account, half.rule)
        self.desk.do(Continue(PinTryCounted(session.side)))

    def compare(self, session: CustomerSession, at: Instant) -> None:
        """The try is on disk: compare. The tries are set back with the next commit of this driver, at the latest when he leaves."""
        session.checking = False
        half = self.open_half(session)
        if half is None:
            session.entry.wipe()
            return
        rule, vault = half.rule if self.guard.checks_pins else None, session.teller.vault
        right = False if rule is None else vault.pin_matches(rule, half.account, session.entry)
        if right is None:
            self.guard.unavailable("no answer while a PIN was checked")
        judges = self._host_judges(half)
        session.pin_block = vault.pin_block(half.medium.number, session.entry) if judges else session.pin_block
        session.entry.wipe()
        if right:
            session.pins[half.account] = PinResult.RIGHT
            self.tries.pop(half.account, None)
            session.pins_to_clear.append(half.account)
        if not right and (self.cannot_check(half) or (judges and session.pin_block is None)):
            self.desk.tell(AttemptRefused(session.side, Reason.TERMINAL_NOT_READY))  # no key to check it by, or to send it with
        elif right or judges:
            session.pins.setdefault(half.account, PinResult.SENT)
            session.go_on()
        else:
            self._wrong(session, half, at)

    def _wrong(self, session: CustomerSession, half: Half, at: Instant) -> None:
        self.went_wrong(at)
        left = 0 if half.rule is None else max(0, half.rule.tries - self.tries_of(half.account, half.rule))
        if left == 0:
            why = session.teller.why(session, Reason.PIN_WRONG, at, PinResult.WRONG)
            self.desk.tell(AttemptRefused(session.side, Reason.PIN_WRONG, why))
        else:
            session.teller.note_refusal(session, Reason.PIN_WRONG, None)
            session.await_input(Screen.PIN_AGAIN, tries=left)

    def host_agreed(self, session: CustomerSession) -> None:
        """It approved what went with a PIN: that was right, also where our own verifier is older."""
        for half in session.halves:
            if half.rule is not None and session.pins.get(half.account) is PinResult.SENT:
                self.tries.pop(half.account, None)
                session.pins_to_clear.append(half.account)

    def clear(self, accounts: list[str]) -> None:
        """The right PIN came: the accounts' tries start at zero again."""
        for account in accounts:
            self.desk.persist(PinCleared(account))
        accounts.clear()


# --- the session's table ----------------------------------------------------------------------------------------------------


def ask_pin(session: CustomerSession, event: PinNeeded, at: Instant) -> None:
    """An empty entry; nobody is asked for a PIN that cannot be checked."""
    session.entry.wipe()
    pins = session.teller.pins
    half = pins.open_half(session)
    if half is not None and pins.cannot_check(half):
        session.desk.tell(AttemptRefused(session.side, Reason.TERMINAL_NOT_READY))
        return
    session.await_input(Screen.PIN)


def pin_key(session: CustomerSession, event: KeyPressed, at: Instant) -> None:
    """See ``PinDesk.key``."""
    session.teller.pins.key(session, event.key, at)


def wait_over(session: CustomerSession, event: PinWaitOver, at: Instant) -> None:
    """See ``PinDesk.check``."""
    session.teller.pins.check(session, at)


def check_pin(session: CustomerSession, event: PinTryCounted, at: Instant) -> None:
    """See ``PinDesk.compare``."""
    session.teller.pins.compare(session, at)


def host_says_wrong(session: CustomerSession, event: AttemptRefused, at: Instant) -> bool:
    """A PIN that the host checked may be entered again: the host counts, and says when it is enough."""
    return event.reason is Reason.PIN_WRONG and session.pin_block is not None


def ask_again(session: CustomerSession, event: AttemptRefused, at: Instant) -> None:
    """Another try at a PIN that the host checks; the next one is another sale's question."""
    session.teller.pins.went_wrong(at)
    session.teller.note_refusal(session, Reason.PIN_WRONG, None, event.judged, event.sale)
    session.pins = {account: found for account, found in session.pins.items() if found is not PinResult.SENT}
    session.pin_block, session.sale = None, None
    session.entry.wipe()
    session.await_input(Screen.PIN_HOST)
