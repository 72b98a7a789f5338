"""What is left of a refusal: the journal's fact, the code on the display, the decision's whole input, and an alert for a grey card.

Where a decision was made its whole input is written down, without the clear number and the PIN's verifier, so that ``explain`` can make
the same decision again. A refusal without a decision (cancelled, timed out, an unreadable medium) has no code. (features.md F15, F30, F66.)
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from terminal.core.authorization import Facts, Judged, Policy, decide
from terminal.core.card_data import Nozzle
from terminal.core.faults import FaultCode
from terminal.core.ids import SaleId
from terminal.core.reasons import Reason
from terminal.core.records import MediumRef, Refused
from terminal.core.refusal_code import refusal_code
from terminal.core.step import Desk

if TYPE_CHECKING:
    from terminal.core.sale import Sale


def judged(facts: Facts, policy: Policy) -> Judged:
    """A decision's input as it may be written down."""
    card = facts.card
    if card is not None and card.pin is not None:
        card = replace(card, pin=replace(card.pin, verifier=""))  # that there is a PIN is a fact of the decision, how it is checked is not
    return Judged(replace(facts, request=replace(facts.request, number=""), card=card), policy)


def explaining(found: Judged, reason: Reason) -> Judged | None:
    """This input when the decision on it ends with this reason; else None, because it would explain something else."""
    return found if decide(found.facts, found.policy).reason is reason else None


def at_nozzle(sale: Sale, nozzle: int, reason: Reason) -> Judged | None:
    """Why the lifted nozzle may not be used: the decision that armed the sale, made once more for this nozzle alone."""
    ref = next((ref for ref in sale.nozzles if ref.nozzle == nozzle), None)
    if sale.judged is None or ref is None:
        return None
    facts = sale.judged.facts
    request = replace(facts.request, nozzles=(Nozzle(ref.nozzle, ref.product, ref.price),))
    return explaining(Judged(replace(facts, request=request), sale.judged.policy), reason)


def after_deny(sale: Sale, reason: Reason) -> Judged | None:
    """Why an armed sale is stopped: the decision that armed it, made once more with what was denied since."""
    if sale.judged is None:
        return None
    facts = sale.judged.facts
    denied = replace(facts, card_denied=reason is Reason.CARD_BLOCKED, customer_denied=reason is Reason.CUSTOMER_BLOCKED)
    return explaining(Judged(denied, sale.judged.policy), reason)


class Refusals:
    """Writes refusals down. ``issued`` codes have been given by this terminal before."""

    def __init__(self, desk: Desk, terminal: str, issued: int) -> None:
        self.desk = desk
        self.terminal = terminal
        self.issued = issued

    def note(
        self,
        side: int,
        reason: Reason,
        card: MediumRef | None,
        fp: int | None,
        found: Judged | None = None,
        sale: SaleId | None = None,
    ) -> str:
        """A driver was told no, with this step's commit. The code for his display, "" when no decision stands behind the refusal."""
        code = None
        if found is not None:
            code = refusal_code(self.terminal, self.issued)
            self.issued += 1
            if found.facts.online_only and reason is Reason.OFFLINE_NOT_ALLOWED and card is not None:
                self.desk.raise_fault(FaultCode.GREY_CARD, card.last4, "presented while the host was away; it is decided online only")
        self.desk.persist(Refused(side, reason.value, card, fp, code, sale, found))
        return code or ""
