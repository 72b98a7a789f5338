"""Prompts at the terminal: which are still open, what is typed, whether it is believed, and what the third wrong answer does.

The rules are the signed list's (prompt_rules.py); an odometer is compared with its last reading, from this terminal's ledger or the host's
list, whichever is later. A reading that was believed is written down with the reservation and is what the next one is compared with.
(features.md F11; reference/host-and-offline-authorization.md 8.6 step 8.)
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from drivers.events import Key, KeyPressed
from terminal.core.card_data import Subject, SubjectKind
from terminal.core.card_desk import Half
from terminal.core.internal_events import AttemptRefused, PromptNeeded
from terminal.core.ports import Lists, Vault
from terminal.core.prompt_rules import (
    CONSUMPTION,
    ODOMETER,
    TRIES,
    Implausible,
    Odometer,
    OdometerRead,
    PromptRule,
    WrongAnswers,
    believable,
    later,
    most_for,
    plausible,
    rule_of,
)
from terminal.core.reasons import Reason
from terminal.core.screens import PROMPT_SCREENS, Screen, again_text
from terminal.core.step import Desk
from terminal.core.units import Instant, UtcMs

if TYPE_CHECKING:
    from terminal.core.sale import Sale
    from terminal.core.session import CustomerSession

NUMBER, PROVER = "NUMBER", "PROVER"


class PromptDesk:
    """``odometers``: the last believed reading of each account, as the ledger remembers it."""

    def __init__(self, desk: Desk, lists: Lists, vault: Vault, odometers: dict[str, Odometer]) -> None:
        self.desk = desk
        self.lists = lists
        self.vault = vault
        self.odometers = odometers

    @staticmethod
    def open_prompt(session: CustomerSession) -> tuple[str, Half] | None:
        """The first prompt without an answer, and the card that asks for it; a technician is asked for his prover's reading alone."""
        if session.technician:
            return (PROVER, session.halves[0]) if session.teller.meters.unread(session) is not None else None
        for half in session.halves:
            for name in (*(half.card.prompts if half.card is not None else ()), *half.reading.prompts):
                if name.upper() not in session.prompts:
                    return name.upper(), half
        return None

    def answered(self, session: CustomerSession, name: str, half: Half) -> None:
        """ENTER: believe the answer, ask again, or end it."""
        if name == PROVER:
            session.teller.meters.answered(session)
            return
        answer = session.digits
        rule, last = self._rule(name, half), self._last(half.account) if name == ODOMETER else None
        hashed = "" if rule is None else self.vault.answer(f"{rule.subject.kind.value} {rule.subject.id}", name, answer)
        doubt = self._doubt(rule, answer, last, half) if believable(rule, answer, hashed, last) else Implausible.ASK
        if doubt is Implausible.REFUSE:
            self.desk.tell(AttemptRefused(session.side, Reason.PROMPT_INVALID))
            return
        if doubt is not Implausible.ASK:
            if name == ODOMETER:
                session.odometer = half.account, int(answer)
                session.most_ml = most_for(rule, int(answer), last)
            if doubt is Implausible.MARK:
                session.marks.append(CONSUMPTION)
        else:
            session.wrong_answers += 1
            if session.wrong_answers < TRIES:
                session.digits = ""
                session.await_input(PROMPT_SCREENS.get(name, Screen.NUMBER), hint=again_text(session.language))
                return
            if rule is None or rule.wrong is WrongAnswers.REFUSE:
                self.desk.tell(AttemptRefused(session.side, Reason.PROMPT_INVALID))
                return
            session.marks.append(name)
        session.prompts[name] = answer
        session.go_on()

    @staticmethod
    def _doubt(rule: PromptRule | None, answer: str, last: Odometer | None, half: Half) -> Implausible | None:
        """What an odometer that the fuel does not explain leads to; None: nothing is to be said."""
        tank_ml = None if half.card is None else half.card.tank_ml
        if rule is None or rule.prompt != ODOMETER or plausible(rule, int(answer), last, tank_ml):
            return None
        return rule.implausible

    def delivered(self, sale: Sale, volume_ml: int) -> None:
        """What was taken counts for the next reading of both cards' accounts; the ledger counts it in the same way."""
        for account in {sale.account, sale.extra.second_account}:
            last = self.odometers.get(account or "")
            if last is not None and account is not None:
                self.odometers[account] = replace(last, since_ml=(last.since_ml or 0) + volume_ml)

    def reserved(self, session: CustomerSession, at: Instant) -> None:
        """With the reservation: the reading that the next one is compared with."""
        if session.odometer is not None:
            account, reading = session.odometer
            now = self.desk.clock.utc(at)
            self.odometers[account] = Odometer(reading, UtcMs(now), 0)
            self.desk.persist(OdometerRead(account, reading, now))

    def _last(self, account: str) -> Odometer | None:
        return later(self.odometers.get(account), self.lists.odometer(account))

    def _rule(self, name: str, half: Half) -> PromptRule | None:
        customer = None if half.card is None else half.card.customer
        return rule_of(self.lists.prompt_rules(half.account, customer), name, Subject(SubjectKind.CARD, half.account))


# --- the session's table ----------------------------------------------------------------------------------------------------


def ask_prompt(session: CustomerSession, event: PromptNeeded, at: Instant) -> None:
    """An empty entry."""
    session.digits, session.wrong_answers = "", 0
    session.await_input(_screen(session))


def prompt_key(session: CustomerSession, event: KeyPressed, at: Instant) -> None:
    """Digits, and ENTER behind at least one of them."""
    found = PromptDesk.open_prompt(session)
    if event.key is Key.ENTER and session.digits and found is not None:
        session.teller.prompt_desk.answered(session, *found)
        return
    session.edit(event.key)
    session.await_input(_screen(session))


def _screen(session: CustomerSession) -> Screen:
    found = PromptDesk.open_prompt(session)
    if found is not None and found[0] == PROVER:
        return Screen.PROVER
    return Screen.NUMBER if found is None else PROMPT_SCREENS.get(found[0], Screen.NUMBER)
