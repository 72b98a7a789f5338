"""The customer session's table: what every event means in every state. Actions are in ``session``."""

from __future__ import annotations

from drivers.events import KeyPressed, MediumPresented, MediumRemoved, MediumUnreadable
from terminal.core import pin_desk, prompts
from terminal.core.events import NoticeOver, PinTryCounted, PinWaitOver, SessionTimedOut
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
from terminal.core.machine import Grid, Ignored, Rule
from terminal.core.session import CustomerSession as CS
from terminal.core.session import SessionState

_S = SessionState
_ALL = tuple(SessionState)
_NOTICES = (_S.ARMED, _S.REFUSED)
_INPUT = (_S.IDENTIFYING, _S.PIN, _S.PROMPTS, _S.CHOOSING)
_ATTEMPT = (*_INPUT, _S.AUTHORIZING)
_SERVING = tuple(state for state in SessionState if state is not _S.OUT_OF_SERVICE)

TABLE: tuple[Rule[SessionState], ...] = (
    # A medium starts afresh, unless a second one is asked for; the same one again changes nothing for a while.
    Rule(MediumPresented, _SERVING, None, guard=CS.same_again),
    Rule(MediumPresented, (_S.IDENTIFYING,), None, CS.second_medium, guard=CS.wants_second),
    Rule(MediumPresented, (_S.IDLE, *_INPUT, *_NOTICES), _S.IDENTIFYING, CS.identify),
    Rule(MediumPresented, (_S.AUTHORIZING,), _S.IDLE, CS.abandon),
    Rule(MediumUnreadable, (_S.IDLE, *_NOTICES), _S.IDENTIFYING, CS.unreadable),
    Rule(MediumPresented, (_S.OUT_OF_SERVICE,), None, CS.turn_away),
    # What is missing next.
    Rule(SecondMediumNeeded, (_S.IDENTIFYING,), None, CS.ask_second),
    Rule(PinNeeded, (_S.IDENTIFYING,), _S.PIN, pin_desk.ask_pin),
    Rule(PromptNeeded, (_S.IDENTIFYING, _S.PIN, _S.PROMPTS), _S.PROMPTS, prompts.ask_prompt),
    Rule(ChoiceOpened, (_S.IDENTIFYING, _S.PIN, _S.PROMPTS), _S.CHOOSING, CS.ask_choice),
    # Keys.
    Rule(KeyPressed, _INPUT, None, CS.cancel, guard=CS.is_cancel),
    Rule(KeyPressed, (_S.AUTHORIZING,), None, CS.abandon, guard=CS.is_cancel),
    Rule(KeyPressed, (_S.PIN,), None, pin_desk.pin_key),
    Rule(KeyPressed, (_S.PROMPTS,), None, prompts.prompt_key),
    Rule(KeyPressed, (_S.CHOOSING,), None, CS.choice_key),
    Rule(KeyPressed, (_S.ARMED,), _S.IDLE, CS.withdraw_armed, guard=CS.is_cancel),
    Rule(KeyPressed, (_S.REFUSED,), _S.IDLE, CS.go_home, guard=CS.is_dismissal),
    Rule(PinTryCounted, (_S.PIN,), None, pin_desk.check_pin),
    Rule(PinWaitOver, (_S.PIN,), None, pin_desk.wait_over),
    Rule(KeyPressed, (_S.IDLE,), None, CS.choose_language, guard=CS.is_language_key),
    # The decision.
    Rule(HostAsked, (_S.CHOOSING,), _S.AUTHORIZING, CS.wait_for_host),
    Rule(PointArmed, (_S.CHOOSING, _S.AUTHORIZING), _S.ARMED, CS.armed),
    Rule(ProverRead, (_S.PROMPTS,), _S.ARMED, CS.show_deviation),
    Rule(AttemptRefused, (_S.AUTHORIZING,), _S.PIN, pin_desk.ask_again, guard=pin_desk.host_says_wrong),
    Rule(AttemptRefused, _ATTEMPT, _S.REFUSED, CS.refuse),
    Rule(MediumDenied, (*_ATTEMPT, _S.ARMED), _S.REFUSED, CS.refuse),
    # Deadlines.
    Rule(SessionTimedOut, _INPUT, None, CS.timed_out),
    Rule(NoticeOver, _NOTICES, _S.IDLE, CS.go_home),
    Rule(NoticeOver, (_S.IDLE,), None, CS.welcome),
    Rule(NoticeOver, (_S.OUT_OF_SERVICE,), None, CS.show_stopped_on),
    # Service.
    Rule(ServiceStopped, _SERVING, _S.OUT_OF_SERVICE, CS.stop_service),
    Rule(ServiceResumed, (_S.OUT_OF_SERVICE,), _S.IDLE, CS.resume_service),
)

_CLOSED = (_S.OUT_OF_SERVICE,)

IGNORED: tuple[Ignored[SessionState], ...] = (
    Ignored((MediumRemoved,), _ALL, "a contactless badge may leave at any time after it was read"),
    Ignored((MediumUnreadable,), _ATTEMPT, "a second, spoilt reading does not end an attempt that has begun"),
    Ignored((MediumUnreadable,), _CLOSED, "nobody can be served; the display says so"),
    Ignored(
        (SecondMediumNeeded, PinNeeded),
        tuple(s for s in _ALL if s is not _S.IDENTIFYING),
        "told only while identifying; the attempt has moved on in the same step",
    ),
    Ignored(
        (PromptNeeded, ChoiceOpened),
        tuple(s for s in _ALL if s not in (_S.IDENTIFYING, _S.PIN, _S.PROMPTS)),
        "the attempt has moved on in the same step",
    ),
    Ignored((KeyPressed,), (_S.IDLE,), "no driver has identified himself, and it is no language's key"),
    Ignored((KeyPressed,), (_S.IDENTIFYING,), "a medium is awaited, no key"),
    Ignored((KeyPressed,), (_S.AUTHORIZING,), "the host is being asked"),
    Ignored((KeyPressed,), _NOTICES, "the notice is being read"),
    Ignored((KeyPressed,), _CLOSED, "nobody can be served"),
    Ignored((PinTryCounted,), tuple(s for s in _ALL if s is not _S.PIN), "the driver left while the try was written; it stays counted"),
    Ignored((PinWaitOver,), tuple(s for s in _ALL if s is not _S.PIN), "the driver left while the check waited; nothing was counted"),
    Ignored(
        (HostAsked,), tuple(s for s in _ALL if s is not _S.CHOOSING), "told only at the choice; the attempt has moved on in the same step"
    ),
    Ignored(
        (PointArmed,), tuple(s for s in _ALL if s not in (_S.CHOOSING, _S.AUTHORIZING)), "the driver left; the site withdraws the sale"
    ),
    Ignored((ProverRead,), tuple(s for s in _ALL if s is not _S.PROMPTS), "told only behind the answer to a prompt, in the same step"),
    Ignored((AttemptRefused,), (_S.IDLE, *_NOTICES, *_CLOSED), "the attempt is over"),
    Ignored((MediumDenied,), (_S.IDLE, _S.REFUSED, *_CLOSED), "nobody's attempt is under way; the next decision knows it"),
    Ignored(
        (SessionTimedOut,), (_S.IDLE, _S.AUTHORIZING, *_NOTICES, *_CLOSED), "nothing is asked of the driver; the host has its own deadline"
    ),
    Ignored((NoticeOver,), _ATTEMPT, "the next attempt has begun"),
    Ignored((ServiceStopped,), _CLOSED, "stopped already"),
    Ignored((ServiceResumed,), _SERVING, "in service"),
)

EVENTS: tuple[type, ...] = (
    MediumPresented,
    MediumRemoved,
    MediumUnreadable,
    KeyPressed,
    SecondMediumNeeded,
    PinNeeded,
    PromptNeeded,
    ChoiceOpened,
    PinTryCounted,
    PinWaitOver,
    HostAsked,
    PointArmed,
    ProverRead,
    AttemptRefused,
    MediumDenied,
    SessionTimedOut,
    NoticeOver,
    ServiceStopped,
    ServiceResumed,
)

GRID: Grid[SessionState] = Grid("CustomerSession", SessionState, EVENTS, TABLE, IGNORED)
