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
from terminal.core.card_desk import Half
from terminal.core.events import NoticeOver, PinWaitOver, SessionTimedOut
from terminal.core.facts import PinResult
from terminal.core.faults import FaultCode
from terminal.core.ids import SaleId
from terminal.core.internal_events import (
    AttemptRefused,
    ChoiceOpened,
    HostAsked,
    MediumDenied,
    PinNeeded,
    PointArmed,
    PromptNeeded,
    ProverRead,
    SecondMediumNeeded,
    ServiceResumed,
    ServiceStopped,
)
from terminal.core.meter_tests import deviation_text, litres_text
from terminal.core.pin import PinBlock, PinEntry
from terminal.core.prompt_rules import MAX_DIGITS
from terminal.core.prompts import PromptDesk
from terminal.core.reasons import Reason
from terminal.core.screens import Screen, code_text, entry_text, languages_text, render
from terminal.core.step import Desk
from terminal.core.teller import Teller
from terminal.core.texts import LANGUAGES
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


VOLUME_DECIMALS = 2


class CustomerSession:
    """One side's driver. The clear number of the medium lives here and nowhere else, for as long as the attempt."""

    def __init__(
        self, side: int, desk: Desk, teller: Teller, times: SessionTimes, language: str, languages: tuple[str, ...] = LANGUAGES
    ) -> None:
        """``languages``: those that this side's display can show, in the order of their keys at the welcome screen."""
        self.side = side
        self.desk = desk
        self.teller = teller
        self.times = times
        self.home_language = language
        self.languages = languages
        self.chosen_language: str | None = None
        self.stopped_in = language
        self.state = SessionState.IDLE
        self.seen_at: Instant | None = None
        self.seen_token = ""  # outlives the attempt: the badge may lie on the reader for a while
        self.entry = PinEntry()
        self.pins_to_clear: list[str] = []
        self._forget()

    def _forget(self) -> None:
        self.medium: MediumPresented | None = None
        self.token = ""
        self.card: Card | None = None
        self.halves: tuple[Half, ...] = ()
        self.pins: dict[str, PinResult] = {}
        self.pin_block: PinBlock | None = None
        self.checking = False
        self.prompts: dict[str, str] = {}
        self.wrong_answers = 0
        self.marks: list[str] = []
        self.odometer: tuple[str, int] | None = None
        self.most_ml: int | None = None
        self.second: str | None = None
        self.technician = False
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
        self.clear_pin_tries()
        self._forget()
        self._saw(event, at)
        half = self.teller.cards.look(event, at)
        if isinstance(half, Reason):
            self.desk.tell(AttemptRefused(self.side, half))
            return
        self.medium, self.token, self.card, self.halves = half.medium, half.token, half.card, (half,)
        self.technician = half.reading.technician
        refused = self.teller.first_look(self, at)
        if refused is not None:
            self.desk.tell(refused)
        elif self.wants_second(event, at):
            self.desk.tell(SecondMediumNeeded(self.side))
        else:
            self.go_on()

    def _saw(self, event: MediumPresented, at: Instant) -> None:
        self.seen_at, self.seen_token = at, self.teller.vault.token(event.number)

    def second_medium(self, event: MediumPresented, at: Instant) -> None:
        """The pair's other half; a wrong one ends the attempt."""
        self._saw(event, at)
        half = self.teller.cards.look(event, at)
        if isinstance(half, Reason):
            self.desk.tell(AttemptRefused(self.side, Reason.SECOND_CARD_WRONG))
            return
        refused = self.teller.second_look(self, half, at)
        if refused is not None:
            self.desk.tell(refused)
            return
        self.go_on()

    def unreadable(self, event: MediumUnreadable, at: Instant) -> None:
        self._forget()
        self.desk.tell(AttemptRefused(self.side, Reason.MEDIUM_NOT_GENUINE if event.forged else Reason.MEDIUM_UNREADABLE))

    def go_on(self) -> None:
        """What is still missing, in the order of a fuelling."""
        if self.teller.pins.open_half(self) is not None:
            self.desk.tell(PinNeeded(self.side))
        elif PromptDesk.open_prompt(self) is not None:
            self.desk.tell(PromptNeeded(self.side))
        else:
            self.desk.tell(ChoiceOpened(self.side))

    def ask_second(self, event: SecondMediumNeeded, at: Instant) -> None:
        self.await_input(Screen.SECOND_CARD)

    def clear_pin_tries(self) -> None:
        """Right PINs came: with a commit of this driver, while there is room for one."""
        if self.pins_to_clear and self.teller.storage.ready():
            self.teller.pins.clear(self.pins_to_clear)

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
            self.edit(key)
        self._show_choice()

    def _show_choice(self) -> None:
        if self.wish_mode is WishMode.NONE:
            self.await_input(Screen.TEST_POINT if self.technician else Screen.FUELLING_POINT)
        else:
            self.await_input(Screen.WISH_MONEY if self.wish_mode is WishMode.MONEY else Screen.WISH_VOLUME)

    def wait_for_host(self, event: HostAsked, at: Instant) -> None:
        self.show(Screen.ASKING)

    def armed(self, event: PointArmed, at: Instant) -> None:
        """The hold is durable with this step: tell the driver where to go and what he may take."""
        self.teller.pins.host_agreed(self)
        self.clear_pin_tries()
        self._cancel_input()
        self.desk.start(NoticeOver(self.side), self.times.notice_ms)
        amount, products = self.teller.promise(self.sale)
        self.show(Screen.TEST_PUMP if self.technician else Screen.GO_TO_PUMP, fp=event.fp, amount=amount, products=products)

    def show_deviation(self, event: ProverRead, at: Instant) -> None:
        """What a technician came for."""
        self._cancel_input()
        self.desk.start(NoticeOver(self.side), self.times.notice_ms)
        texts = litres_text(event.volume_ml), litres_text(event.prover_ml), deviation_text(event.volume_ml, event.prover_ml)
        self.show(Screen.DEVIATION, **dict(zip(("meter", "prover", "deviation"), texts, strict=True)))

    def withdraw_armed(self, event: KeyPressed, at: Instant) -> None:
        """CANCEL while the notice stands: the driver has changed his mind before lifting the nozzle."""
        if self.sale is not None:
            self.teller.withdraw(self.sale)
        self.go_home(event, at)

    # --- ends -------------------------------------------------------------------------------------------------------------------

    def refuse(self, event: AttemptRefused | MediumDenied, at: Instant) -> None:
        """A clear word why, and everything of the attempt forgotten."""
        if event.reason is Reason.MEDIUM_NOT_GENUINE:
            self.seen_at = None  # a copy was here: the badge itself may follow at once
        self.clear_pin_tries()
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
        self.show(Screen.REFUSED, language, reason=words, code=code_text(code, language))

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
        """What was shown for the driver at a pump (a wrong nozzle) gives way again, and so does a language that nobody used."""
        self.chosen_language = None
        self.show_home()

    def go_home(self, event: object, at: Instant) -> None:
        """Ready for the next driver."""
        self.chosen_language = None
        self.clear_pin_tries()
        self._cancel_input()
        self._forget()
        self.desk.cancel(NoticeOver(self.side))
        self.show_home()

    def stop_service(self, event: ServiceStopped, at: Instant) -> None:
        if self.sale is not None and self.state is SessionState.AUTHORIZING:
            self.teller.abandon(self.sale)
        language = self.language
        self._cancel_input()
        self._forget()
        self.show_stopped(language)

    def show_stopped(self, language: str | None = None) -> None:
        """Why nobody is served. The emergency stop is told in one language after the other: it concerns everybody."""
        code = self.teller.stop_code()
        self.stopped_in = language or self.home_language
        if code == FaultCode.EMERGENCY_STOP.value:
            self.show(Screen.EMERGENCY_STOP, self.stopped_in)
            self.desk.start(NoticeOver(self.side), self.times.notice_ms)
        else:
            self.show(Screen.OUT_OF_SERVICE, self.home_language, code=code)

    def show_stopped_on(self, event: NoticeOver, at: Instant) -> None:
        """The same in the next language."""
        place = self.languages.index(self.stopped_in) + 1 if self.stopped_in in self.languages else 0
        self.show_stopped(self.languages[place % len(self.languages)])

    def turn_away(self, event: MediumPresented, at: Instant) -> None:
        """Somebody tries all the same: a word to him, then again why."""
        words = self.teller.reason_text(Reason.TERMINAL_NOT_READY, self.home_language)
        self.show(Screen.REFUSED, self.home_language, reason=words, code="")
        self.desk.start(NoticeOver(self.side), self.times.notice_ms)

    def resume_service(self, event: ServiceResumed, at: Instant) -> None:
        self.go_home(event, at)

    # --- display ----------------------------------------------------------------------------------------------------------------

    @property
    def language(self) -> str:
        """The one that this driver chose by key, else the card's, where the display can show it."""
        card = self.card.language if self.card is not None else None
        return next((one for one in (self.chosen_language, card) if one in self.languages), None) or self.home_language

    def show(self, screen: Screen, language: str | None = None, **fields: object) -> None:
        """Put a screen on this side's display."""
        self.desk.send(ShowLines(self.side, render(screen, language or self.language, **fields)))

    def show_home(self) -> None:
        """What the next driver sees."""
        screen = Screen.CLOSED if self.teller.closings.site else Screen.WELCOME
        self.show(screen, self.chosen_language or self.home_language, languages=languages_text(self.languages))

    def is_language_key(self, event: KeyPressed, at: Instant) -> bool:
        """A key of the welcome screen that stands for a language."""
        return event.key.value.isdigit() and 0 < int(event.key.value) <= len(self.languages)

    def choose_language(self, event: KeyPressed, at: Instant) -> None:
        """For the next attempt, and forgotten when none follows."""
        self.chosen_language = self.languages[int(event.key.value) - 1]
        self.desk.start(NoticeOver(self.side), self.times.input_ms)
        self.show_home()

    def await_input(self, screen: Screen, tries: int = 0, hint: str = "") -> None:
        """Show a question with what is typed so far, and wait for the driver."""
        self.desk.start(SessionTimedOut(self.side), self.times.input_ms)
        if self.state is SessionState.PIN or screen in (Screen.PIN, Screen.PIN_AGAIN, Screen.PIN_HOST):
            entry = "*" * len(self.entry)
        elif screen is Screen.WISH_MONEY:
            entry = entry_text(self.digits, self.teller.decimals)
        elif screen is Screen.WISH_VOLUME:
            entry = entry_text(self.digits, VOLUME_DECIMALS)
        else:
            entry = self.digits
        self.show(screen, entry=entry, currency=self.teller.currency, wish=self.teller.wish_text(self.wish), tries=tries, hint=hint)

    def _cancel_input(self) -> None:
        self.desk.cancel(SessionTimedOut(self.side))
        if self.checking:
            self.desk.cancel(PinWaitOver(self.side))

    def edit(self, key: Key) -> None:
        """One key into the open entry."""
        if key is Key.CLEAR:
            self.digits = ""
        elif key is not Key.ENTER and len(self.digits) < MAX_DIGITS:
            self.digits += key.value
