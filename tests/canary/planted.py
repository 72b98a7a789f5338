"""Three leaks planted on purpose, each elsewhere and in another disguise: the search that does not find them finds nothing."""

from __future__ import annotations

import base64
import logging
from contextlib import AbstractContextManager
from typing import Any

from terminal.core.effects import Persist
from terminal.core.faults import FaultCode
from terminal.core.ids import SaleId
from terminal.core.pin_desk import PinDesk
from terminal.core.records import FaultRaised
from terminal.store.vault import KeyVault
from tests.canary.station import replaced


def logged() -> AbstractContextManager[None]:
    """Every number that is looked up goes to the log, in base64, which the log's mask does not know."""
    token = KeyVault.token

    def telling(vault: KeyVault, number: str) -> str:
        logging.getLogger("terminal").info("event=Read who=%s", base64.b64encode(b"id " + number.encode()).decode())
        return token(vault, number)

    return replaced(KeyVault, "token", telling)


def journaled() -> AbstractContextManager[None]:
    """A PIN that is compared goes to the journal, backwards, with a blank behind each digit."""
    compare = PinDesk.compare

    def telling(desk: PinDesk, session: Any, at: Any) -> None:
        digits = " ".join(chr(digit) for digit in reversed(session.entry.view()))
        desk.desk.do(Persist(FaultRaised(FaultCode.DEVICE_DOWN.value, "keypad-1", digits)))
        compare(desk, session, at)

    return replaced(PinDesk, "compare", telling)


def unsealed() -> AbstractContextManager[None]:
    """The field that only the host may open is no more than encoded."""

    def seal(vault: KeyVault, number: str, sale: SaleId) -> str:
        return base64.b64encode(number.encode()).decode()

    return replaced(KeyVault, "seal", seal)
