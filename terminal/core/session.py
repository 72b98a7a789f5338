"""The customer session: one per terminal side, from the medium to the armed fuelling point. Lives in memory only.

It ends as soon as the point is armed, so that the next driver can start while the first one walks to the pump. Everything that reads
lists or decides is asked of the ``Teller``; everything a driver sees is a ``Screen``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from drivers.commands import ShowLines
from drivers.events import Key, KeyPressed, MediumPresented, MediumUnreadable
from terminal.core.card_data import Card, Wish
from terminal.core.effects import Continue
from terminal.core.events import NoticeOver, PinTryCounted, SessionTimedOut
from terminal.core.facts import PinResult
from terminal.core.ids import SaleId
from terminal.core.internal_events import (
    AttemptRefused,
    ChoiceOpened,
    HostAsked,
    MediumDenied,
    PinNeeded,
    PointArmed,
    PromptNeeded,
    SecondMediumNeeded,
    ServiceResumed,
    ServiceStopped,
)
from terminal.core.pin import PIN_MIN, PinEntry
from terminal.core.reasons import Reason
from terminal.core.records import PinCleared
from terminal.core.screens import PROMPT_SCREENS, Screen, entry_text, render
from terminal.core.step import Desk
from terminal.core.teller import Teller
from terminal.core.units import Instant


class SessionState(Enum):
    """Where the driver stands."""

    IDLE = "idle"
    IDENTIFYING = "identifying"
    PIN = "PIN"
    PROMPTS = "prompts"
    CHOOSING = "choosing"
    AUTHORIZING = "authorizing"
    ARMED = "armed"
    REFUSED = "refused"
    OUT_OF_SERVICE = "out of service"


class WishMode(Enum):
    """What the digits at the choice mean: a point, money or litres."""

    NONE = "none"
    MONEY = "money"
    VOLUME = "volume"


@dataclass(frozen=True, slots=True)
class SessionTimes:
    """How long a driver may think, and how long a notice stays. Milliseconds."""

    input_ms: int = 30_000
    notice_ms: int = 6_000
    same_medium_ms: int = 3_000


MAX_DIGITS = 10
VOLUME_DECIMALS = 2


class CustomerSession:
    """One side's driver. The clear number of the medium lives here and nowhere else, for as long as the attempt."""

    def __init__(self, side: int, desk: Desk, teller: Teller, times: SessionTimes, language: str) -> None:
        self.side = side
        self.desk = desk
        self.teller = teller
        self.times = times
        self.home_language = language
        self.state = SessionState.IDLE
        self.seen_at: Instant | None = None
        self.seen_token = ""  # outlives the attempt: the badge may lie on the reader for a while
        self.entry = PinEntry()
        self.pin_to_clear: str | None = None
        self._forget()

    def _forget(self) -> None:
        self.medium: MediumPresented | None = None
        self.token = ""
        self.card: Card | None = None
        self.pin_result: PinResult | None = None
        self.checking = False
        self.prompts: dict[str, str] = {}
        self.second: str | None = None
        self.digits = ""
        self.wish_mode = WishMode.NONE
        self.wish: Wish | None = None
        self.sale: SaleId | None = None
        self.entry.wipe()

    # --- guards -------------------------------------------------------------------------------------------------------------

    def same_again(self, event: MediumPresented, at: Instant) -> bool:
        """The badge of this attempt, still or again in the field: it changes nothing for a while."""
        if self.seen_at is None or at - self.seen_at >= self.times.same_medium_ms:
            return False
        return self.teller.vault.token(event.number) == self.seen_token

    def wants_second(self, event: MediumPresented, at: Instant) -> bool:
        return self.card is not None and self.card.pair is not None and self.second is None

    def is_cancel(self, event: KeyPressed, at: Instant) -> bool:
        return event.key is Key.CANCEL

    def is_dismissal(self, event: KeyPressed, at: Instant) -> bool:
        return event.key in (Key.CANCEL, Key.ENTER)

    # --- identification -------------------------------------------------------------------------------------------------------

    def identify(self, event: MediumPresented, at: Instant) -> None:
        """A medium starts an attempt afresh."""
        self._clear_pin_tries()
        self._forget()
        self.medium, self.seen_at = event, at
        self.token = self.seen_token = self.teller.vault.token(event.number)
        self.card = self.teller.lists.card(self.token)
        refused = self.teller.first_look(self, at)
        if refused is not None:
            self.desk.tell(refused)
        elif self.wants_second(event, at):
            self.desk.tell(SecondMediumNeeded(self.side))
        else:
            self._next()

    def second_medium(self, event: MediumPresented, at: Instant) -> None:
        """The pair's other half; a wrong one ends the attempt."""
        token = self.teller.vault.token(event.number)
        if self.card is None or not self.teller.is_pair(self.card, token):
            self.desk.tell(AttemptRefused(self.side, Reason.SECOND_CARD_WRONG))
            return
        refused = self.teller.second_look(self, event, token)
        if refused is not None:
            self.desk.tell(refused)
            return
        self.second = token
        self._next()

    def unreadable(self, event: MediumUnreadable, at: Instant) -> None:
        self._forget()
        self.desk.tell(AttemptRefused(self.side, Reason.MEDIUM_NOT_GENUINE if event.forged else Reason.MEDIUM_UNREADABLE))

    def _next(self) -> None:
        """What is still missing, in the order of a fuelling."""
        card = self.card
        if card is not None and card.pin is not None and self.pin_result is not PinResult.RIGHT:
            self.desk.tell(PinNeeded(self.side))
        elif card is not None and any(prompt.upper() not in self.prompts for prompt in card.prompts):
            self.desk.tell(PromptNeeded(self.side))
        else:
            self.desk.tell(ChoiceOpened(self.side))

    def ask_second(self, event: SecondMediumNeeded, at: Instant) -> None:
        self._await_input(Screen.SECOND_CARD)

    # --- PIN ----------------------------------------------------------------------------------------------------------------

    def ask_pin(self, event: PinNeeded, at: Instant) -> None:
        self.entry.wipe()
        self._await_input(Screen.PIN)

    def pin_key(self, event: KeyPressed, at: Instant) -> None:
        """Digits go into the wiped buffer; ENTER has the try counted on disk before anything is compared."""
        if self.checking or self.card is None or self.card.pin is None:
            return
        if event.key is Key.CLEAR:
            self.entry.wipe()
        elif event.key is not Key.ENTER:
            self.entry.add(event.key.value)
        elif len(self.entry) >= PIN_MIN:
            self.teller.count_try(self.card.account, self.card.pin)
            self.checking = True
            self.desk.do(Continue(PinTryCounted(self.side)))
            return
        self._await_input(Screen.PIN)

    def check_pin(self, event: PinTryCounted, at: Instant) -> None:
        """The try is on disk: compare. The tries are set back with the next commit of this driver, at the latest when he leaves."""
        self.checking = False
        card = self.card
        if card is None or card.pin is None:
            return
        right = self.teller.vault.pin_matches(card.pin, card.account, self.entry)
        self.entry.wipe()
        if right:
            self.pin_result = PinResult.RIGHT
            self.teller.pin_tries.pop(card.account, None)
            self.pin_to_clear = card.account
            self._next()
            return
        left = max(0, card.pin.tries - self.teller.tries_of(card.account, card.pin))
        if left == 0:
            why = self.teller.why(self, Reason.PIN_WRONG, at, PinResult.WRONG)
            self.desk.tell(AttemptRefused(self.side, Reason.PIN_WRONG, why))
        else:
            self.teller.note_refusal(self, Reason.PIN_WRONG, None)
            self._await_input(Screen.PIN_AGAIN, tries=left)

    def _clear_pin_tries(self) -> None:
        if self.pin_to_clear is not None and self.teller.storage.ready():
            self.desk.persist(PinCleared(self.pin_to_clear))
            self.pin_to_clear = None

    # --- prompts ------------------------------------------------------------------------------------------------------------

    def ask_prompt(self, event: PromptNeeded, at: Instant) -> None:
        self.digits = ""
        self._await_input(self._prompt_screen())

    def prompt_key(self, event: KeyPressed, at: Instant) -> None:
        if event.key is Key.ENTER and self.digits:
            self.prompts[self.open_prompt()] = self.digits
            self._next()
            return
        self._edit(event.key)
        self._await_input(self._prompt_screen())

    def open_prompt(self) -> str:
        """The first prompt without an answer."""
        prompts = self.card.prompts if self.card is not None else ()
        return next((prompt.upper() for prompt in prompts if prompt.upper() not in self.prompts), "NUMBER")

    def _prompt_screen(self) -> Screen:
        return PROMPT_SCREENS.get(self.open_prompt(), Screen.NUMBER)

    # --- choice ---------------------------------------------------------------------------------------------------------------

    def ask_choice(self, event: ChoiceOpened, at: Instant) -> None:
        """A nozzle that is already up is offered first: ENTER takes it."""
        self.digits = self.teller.calling_point()
        self.wish_mode = WishMode.NONE
        self._show_choice()

    def choice_key(self, event: KeyPressed, at: Instant) -> None:
        """Digits and ENTER choose the point; CLEAR on an empty entry goes on to a wish in money, in litres, and back."""
        key = event.key
        if key is Key.CLEAR and not self.digits:
            order = (WishMode.NONE, WishMode.MONEY, WishMode.VOLUME)
            self.wish_mode = order[(order.index(self.wish_mode) + 1) % 3]
            self.wish = None
        elif key is Key.ENTER and self.wish_mode is not WishMode.NONE:
            amount = int(self.digits or "0")
            if amount:
                money = self.wish_mode is WishMode.MONEY
                self.wish = Wish(None, amount) if money else Wish(amount * 10 ** (3 - VOLUME_DECIMALS), None)
            self.wish_mode, self.digits = WishMode.NONE, ""
        elif key is Key.ENTER:
            if self.digits:
                self._cancel_input()
                self.teller.choose(self, int(self.digits), at)
                return
        else:
            self._edit(key)
        self._show_choice()

    def _show_choice(self) -> None:
        if self.wish_mode is WishMode.NONE:
            self._await_input(Screen.FUELLING_POINT)
        else:
            self._await_input(Screen.WISH_MONEY if self.wish_mode is WishMode.MONEY else Screen.WISH_VOLUME)

    def wait_for_host(self, event: HostAsked, at: Instant) -> None:
        self.show(Screen.ASKING)

    def armed(self, event: PointArmed, at: Instant) -> None:
        """The hold is durable with this step: tell the driver where to go and what he may take."""
        self._clear_pin_tries()
        self._cancel_input()
        self.desk.start(NoticeOver(self.side), self.times.notice_ms)
        amount, products = self.teller.promise(self.sale)
        self.show(Screen.GO_TO_PUMP, fp=event.fp, amount=amount, products=products)

    def withdraw_armed(self, event: KeyPressed, at: Instant) -> None:
        """CANCEL while the notice stands: the driver has changed his mind before lifting the nozzle."""
        if self.sale is not None:
            self.teller.withdraw(self.sale)
        self.go_home(event, at)

    # --- ends -------------------------------------------------------------------------------------------------------------------

    def refuse(self, event: AttemptRefused | MediumDenied, at: Instant) -> None:
        """A clear word why, and everything of the attempt forgotten."""
        self._clear_pin_tries()
        self._cancel_input()
        code = ""
        if event.reason is not Reason.TERMINAL_NOT_READY:  # a disk that has no room for a sale is not asked to take this either
            if isinstance(event, MediumDenied):
                found, sale = self.teller.why(self, event.reason, at), self.sale
            else:
                found, sale = event.judged, event.sale
            code = self.teller.note_refusal(self, event.reason, None, found, sale)
        language = self.language
        self._forget()
        self.desk.start(NoticeOver(self.side), self.times.notice_ms)
        words = self.teller.reason_text(event.reason, language)
        self.show(Screen.REFUSED, language, reason=words, code=self.teller.code_text(code, language))

    def cancel(self, event: KeyPressed, at: Instant) -> None:
        self.desk.tell(AttemptRefused(self.side, Reason.CANCELLED))

    def timed_out(self, event: SessionTimedOut, at: Instant) -> None:
        self.desk.tell(AttemptRefused(self.side, Reason.TIMED_OUT))

    def abandon(self, event: object, at: Instant) -> None:
        """The driver leaves while the host is asked: its answer, whatever it is, must not hold money."""
        self.teller.abandon(self.sale)
        if isinstance(event, MediumPresented):
            self._forget()
            self.desk.tell(event)  # looked at when the hold of this attempt is gone: it may be of the same account
        else:
            self.desk.tell(AttemptRefused(self.side, Reason.CANCELLED))

    def welcome(self, event: NoticeOver, at: Instant) -> None:
        """What was shown for the driver at a pump (a wrong nozzle) gives way again."""
        self.show_home()

    def go_home(self, event: object, at: Instant) -> None:
        """Ready for the next driver."""
        self._clear_pin_tries()
        self._cancel_input()
        self._forget()
        self.desk.cancel(NoticeOver(self.side))
        self.show_home()

    def stop_service(self, event: ServiceStopped, at: Instant) -> None:
        if self.sale is not None and self.state is SessionState.AUTHORIZING:
            self.teller.abandon(self.sale)
        self._cancel_input()
        self._forget()
        self.show(Screen.OUT_OF_SERVICE, self.home_language, code=self.teller.stop_code())

    def resume_service(self, event: ServiceResumed, at: Instant) -> None:
        self.go_home(event, at)

    # --- display ----------------------------------------------------------------------------------------------------------------

    @property
    def language(self) -> str:
        """The card's language where it has one that we have."""
        return self.teller.language_of(self.card) or self.home_language

    def show(self, screen: Screen, language: str | None = None, **fields: object) -> None:
        """Put a screen on this side's display."""
        self.desk.send(ShowLines(self.side, render(screen, language or self.language, **fields)))

    def show_home(self) -> None:
        """What the next driver sees."""
        self.show(Screen.CLOSED if self.teller.closings.site else Screen.WELCOME, self.home_language)

    def _await_input(self, screen: Screen, tries: int = 0) -> None:
        self.desk.start(SessionTimedOut(self.side), self.times.input_ms)
        if self.state is SessionState.PIN or screen in (Screen.PIN, Screen.PIN_AGAIN):
            entry = "*" * len(self.entry)
        elif screen is Screen.WISH_MONEY:
            entry = entry_text(self.digits, self.teller.decimals)
        elif screen is Screen.WISH_VOLUME:
            entry = entry_text(self.digits, VOLUME_DECIMALS)
        else:
            entry = self.digits
        self.show(screen, entry=entry, currency=self.teller.currency, wish=self.teller.wish_text(self.wish), tries=tries)

    def _cancel_input(self) -> None:
        self.desk.cancel(SessionTimedOut(self.side))

    def _edit(self, key: Key) -> None:
        if key is Key.CLEAR:
            self.digits = ""
        elif key is not Key.ENTER and len(self.digits) < MAX_DIGITS:
            self.digits += key.value
