"""Contact cards at one terminal side, through PC/SC. The only file that imports pyscard.

Sources: PC/SC part 5 (SCardGetStatusChange: event counts in the upper half of the state), pcsc-lite 1.9.9 and pyscard 2.3.1 as met on a
virtual reader (the reference on hardware, section A; ``firmware_notes/chip-card.md``). pyscard's own CardMonitor dies for good when
pcscd goes away, so the reader is watched here, by the calls beneath it. A transmission cannot be cancelled in PC/SC: each card
is talked to in a thread of its own, which is left behind when its time is over and ends when the card is out.
"""

from __future__ import annotations

import fnmatch
import queue
import secrets
import threading
from collections.abc import Callable

from smartcard import scard

from drivers.device_thread import DeviceThread
from drivers.events import DeviceEvent, MediumKind, MediumPresented, MediumRemoved, MediumUnreadable
from drivers.smartcard.certificate import FleetAuthority
from drivers.smartcard.dialogue import CardDialogue
from drivers.smartcard.fleet import CHALLENGE_BYTES, CardRefused, ChipKey, FleetCard

EXCHANGE_LIMIT_MS = 2_000
"""Longest wait for one answer of a card."""

CARD_LIMIT_MS = 5_000
"""Longest time from a card's insertion to its number."""

LONGEST_PAUSE_MS = 2_000
"""A service that was restarted is found again within so long: a driver stands there."""

SETTLE_MS = 700
"""pcscd looks at a reader's slot every 400 ms: a card that lost its contacts and is still in after so long has bounced, or was swapped."""

_TRIES = 3
_PROTOCOLS = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
_WATCH_MS = 1_000
_POLL_S = 0.05
_TEXT = 0xFFFFFFFF
_TORN = (
    scard.SCARD_W_REMOVED_CARD, scard.SCARD_E_NO_SMARTCARD, scard.SCARD_W_RESET_CARD, scard.SCARD_E_NOT_TRANSACTED,
    scard.SCARD_F_UNKNOWN_ERROR,
)  # fmt: skip
_NO_ANSWER = (scard.SCARD_W_UNRESPONSIVE_CARD, scard.SCARD_W_UNPOWERED_CARD)
_STRANGE = (scard.SCARD_E_PROTO_MISMATCH, scard.SCARD_W_UNSUPPORTED_CARD)


Dialogues = Callable[[bool], CardDialogue]
"""One card's conversation; True over T=0."""


class CardReaderFault(Exception):
    """The PC/SC service or the reader is not there, or is not there any more. The text says which."""


class _Torn(Exception):
    """The card is out, or lost its contacts."""


def _check(result: int, doing: str) -> None:
    """Raises ``CardReaderFault`` with the service's own words, ``_Torn`` or ``CardRefused`` for what is the card's matter."""
    if result == scard.SCARD_S_SUCCESS:
        return
    if result in _TORN:
        raise _Torn
    if result in _NO_ANSWER:
        raise CardRefused("gives no answer")
    if result in _STRANGE:
        raise CardRefused("speaks no protocol that we know")
    raise CardReaderFault(f"{doing}: {scard.SCardGetErrorMessage(result).rstrip('.')} ({result & _TEXT:#010x})")


class _Context:
    """A connection to the PC/SC service; every thread has its own."""

    def __init__(self) -> None:
        result, self.handle = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
        _check(result, "no PC/SC service")

    def close(self) -> None:
        """Give it back. A service that is gone has forgotten it already, so what it says does not matter."""
        scard.SCardReleaseContext(self.handle)


class _Conversation(threading.Thread):
    """One card, from its first command to its number. ``outcome`` gets exactly one thing: the card, or why there is none."""

    def __init__(self, name: str, reader: str, dialogue: Dialogues, clock: Callable[[], int], *, again: bool) -> None:
        """``again``: the card lost its contacts, so it needs a cold reset."""
        super().__init__(name=f"{name}-card", daemon=True)
        self._reader = reader
        self._again = again
        self._dialogue = dialogue
        self._clock = clock
        self.began = self.asked_at = clock()
        self.outcome: queue.SimpleQueue[FleetCard | Exception] = queue.SimpleQueue()

    def late(self) -> bool:
        """Its time is over, for the answer that is awaited or altogether."""
        now = self._clock()
        return now - self.asked_at >= EXCHANGE_LIMIT_MS or now - self.began >= CARD_LIMIT_MS

    def run(self) -> None:
        try:
            self.outcome.put(self._card())
        except Exception as error:  # noqa: BLE001 - top of the card's thread: the reader's thread judges what it was
            self.outcome.put(error)

    def _card(self) -> FleetCard:
        context = _Context()
        try:
            result, card, protocol = scard.SCardConnect(context.handle, self._reader, scard.SCARD_SHARE_EXCLUSIVE, _PROTOCOLS)
            _check(result, "the card cannot be connected")
            # A torn card is left as it is: told to take its power away, pcscd 1.9.9 calls the slot empty and stays blind to a card that
            # comes within its next look.
            ending = scard.SCARD_LEAVE_CARD
            try:
                if self._again:
                    result, protocol = scard.SCardReconnect(card, scard.SCARD_SHARE_EXCLUSIVE, _PROTOCOLS, scard.SCARD_UNPOWER_CARD)
                    _check(result, "the card cannot be reset")
                found = self._talk(card, protocol == scard.SCARD_PROTOCOL_T0)
                ending = scard.SCARD_UNPOWER_CARD
                return found
            except CardRefused:
                ending = scard.SCARD_UNPOWER_CARD
                raise
            finally:
                scard.SCardDisconnect(card, ending)
        finally:
            context.close()

    def _talk(self, card: object, t0: bool) -> FleetCard:
        dialogue = self._dialogue(t0)
        header = scard.SCARD_PCI_T0 if t0 else scard.SCARD_PCI_T1
        send = dialogue.start()
        while True:
            self.asked_at = self._clock()
            result, answer = scard.SCardTransmit(card, header, list(send))
            _check(result, "the card cannot be asked")
            if not answer:
                raise _Torn  # What some drivers of readers say of a card that went away in the middle.
            step = dialogue.receive(bytes(byte & 0xFF for byte in answer))
            if isinstance(step, FleetCard):
                return step
            send = step


class CardReader(DeviceThread):
    """One PC/SC reader at one terminal side, by its name (``*`` and ``?`` stand for what varies); exactly one reader must fit.

    Posts once for each card that is put in: ``MediumPresented`` (kind SMART_CARD; trust T2 when it proved itself by ``key``, T3 by a
    certificate of ``authority``, T0 with neither) or ``MediumUnreadable``; ``MediumRemoved`` when a presented one is out again, or when
    the reader is lost. The service may go and come back: ``DeviceDown``, ``DeviceUp``, and a card that is still in is read again. Raises
    ``ValueError`` for an empty name.
    """

    def __init__(
        self,
        name: str,
        side: int,
        pattern: str,
        post: Callable[[DeviceEvent], None],
        clock: Callable[[], int],
        key: ChipKey | None = None,
        authority: FleetAuthority | None = None,
        utc_ms: Callable[[], int | None] = lambda: None,
        token: Callable[[str], str] | None = None,
    ) -> None:
        """``utc_ms``: the terminal's time, by which certificates are judged; None where nobody knows it. ``token``: bank cards are named by
        the token that this makes of their number; None: they are asked for nothing."""
        self._token = token
        super().__init__(name, post, clock, longest_pause_ms=LONGEST_PAUSE_MS)
        if not pattern:
            raise ValueError("a card reader is found by its name")
        self.side = side
        self._pattern = pattern
        self._key = key
        self._authority = authority
        self._utc_ms = utc_ms
        self._context: _Context | None = None
        self._count: int | None = None
        self._announced = False
        self._again = False
        self._left_behind: _Conversation | None = None

    def serve(self) -> None:
        """Watch the reader until stopped. Raises ``CardReaderFault`` when it is lost."""
        context = _Context()
        self._context = context
        try:
            self._watch(context, self._find(context))
        except _Torn:
            raise CardReaderFault("the reader lost its card's state") from None
        except CardRefused as refusal:
            raise CardReaderFault(f"the reader: {refusal}") from None
        finally:
            self._context = None
            if not self.stopping:
                self._leave()
            context.close()

    def wake(self) -> None:
        """End the wait for a card. From any thread."""
        context = self._context
        if context is not None:
            scard.SCardCancel(context.handle)

    def _find(self, context: _Context) -> str:
        result, names = scard.SCardListReaders(context.handle, [])
        if result == scard.SCARD_E_NO_READERS_AVAILABLE:
            names = []
        else:
            _check(result, "the readers are not told")
        fitting = [name for name in names if fnmatch.fnmatchcase(name, self._pattern)]
        if len(fitting) != 1:
            seen = ", ".join(names) or "none"
            raise CardReaderFault(f"{len(fitting) or 'no'} readers fit {self._pattern!r}; there are: {seen}")
        return str(fitting[0])

    def _watch(self, context: _Context, reader: str) -> None:
        state = scard.SCARD_STATE_UNAWARE
        while not self.stopping:
            self.alive(_WATCH_MS)
            result, seen = scard.SCardGetStatusChange(context.handle, _WATCH_MS, [(reader, state)])
            if result == scard.SCARD_E_CANCELLED:
                continue
            if result != scard.SCARD_E_TIMEOUT:
                _check(result, "the reader cannot be watched")
                state = seen[0][1]
                if state & (scard.SCARD_STATE_UNKNOWN | scard.SCARD_STATE_UNAVAILABLE):
                    raise CardReaderFault(f"reader {reader} unplugged")
                self.is_up()
            self._look(context, reader, state)

    def _look(self, context: _Context, reader: str, state: int) -> None:
        """Each card has a number of its own: one that was swapped between two looks is another."""
        count = state >> 16
        if not state & scard.SCARD_STATE_PRESENT:
            self._again = False
            self._leave()
        elif count != self._count or self._torn_behind():
            self._leave()
            self._count = count
            self._arrive(context, reader, state)

    def _torn_behind(self) -> bool:
        """The card that did not answer went, and so quickly that the service took the next one for the same."""
        behind = self._left_behind
        if behind is None or behind.is_alive():
            return False
        self._left_behind = None
        self._again = isinstance(behind.outcome.get(), _Torn)
        return self._again

    def _still_in(self, context: _Context, reader: str, state: int) -> bool:
        """Whether the service, given time to look, still sees the card of ``state``."""
        until = self.clock() + SETTLE_MS
        count = state >> 16
        while not self.stopping and (left := until - self.clock()) > 0:
            result, seen = scard.SCardGetStatusChange(context.handle, left, [(reader, state)])
            if result == scard.SCARD_E_TIMEOUT:
                break
            _check(result, "the reader cannot be watched")
            state = seen[0][1]
            if not state & scard.SCARD_STATE_PRESENT or state >> 16 != count:
                return False
        return not self.stopping

    def _arrive(self, context: _Context, reader: str, state: int) -> None:
        try:
            if state & scard.SCARD_STATE_MUTE:
                raise CardRefused("gives no answer")
            card = self._read_patiently(context, reader, state)
        except CardRefused as refusal:
            self._refuse(str(refusal), forged=refusal.forged)
        else:
            if card is not None:
                self._announced = True
                self.post(MediumPresented(self.side, MediumKind.SMART_CARD, card.number, card.trust, expiry=card.expiry))

    def _read_patiently(self, context: _Context, reader: str, state: int) -> FleetCard | None:
        """See ``_read``; a card that lost its contacts and is still in is read again."""
        again = self._again
        self._again = False
        for _ in range(_TRIES):
            try:
                return self._read(reader, again=again)
            except _Torn:
                if not self._still_in(context, reader, state):
                    raise CardRefused("taken out too early") from None
                again = True
        raise CardRefused("is in and gives no answer")

    def _read(self, reader: str, *, again: bool) -> FleetCard | None:
        """The card; None when the terminal stops meanwhile. Raises what kept it from being read."""
        behind = self._left_behind
        if behind is not None:
            behind.join(EXCHANGE_LIMIT_MS / 1000)
            if behind.is_alive():
                raise CardReaderFault("the reader hangs in an exchange with a card that is out")
            self._left_behind = None
        conversation = _Conversation(self.name, reader, self._dialogue, self.clock, again=again)
        conversation.start()
        while not self.stopping:
            self.alive()
            try:
                outcome = conversation.outcome.get(timeout=_POLL_S)
            except queue.Empty:
                if conversation.late():
                    self._left_behind = conversation
                    raise CardRefused("takes too long") from None
                continue
            if isinstance(outcome, Exception):
                raise outcome
            return outcome
        return None

    def _dialogue(self, t0: bool) -> CardDialogue:
        return CardDialogue(t0, self._key, secrets.token_bytes(CHALLENGE_BYTES), self._authority, self._utc_ms(), self._token)

    def _refuse(self, why: str, *, forged: bool = False) -> None:
        self.post(MediumUnreadable(self.side, MediumKind.SMART_CARD, why, forged))

    def _leave(self) -> None:
        """No known card is in. After a loss of the reader too: what happened meanwhile, nobody saw."""
        if self._announced:
            self.post(MediumRemoved(self.side, MediumKind.SMART_CARD))
        self._announced = False
        self._count = None
