"""After a loss of the ledger's newest rows only the host decides: what was taken in them is in its books, and perhaps nowhere else.

The fault that says so stands until the host's people have confirmed the ledger. (store/opening.py; firmware_notes/storage.md.)
"""

from __future__ import annotations

from dataclasses import replace

from terminal.core.facts import Cap, ExposureCaps, Policy
from terminal.core.faults import FaultCode
from terminal.core.step import Desk

SUBJECT = "ledger"
_FAULTS = (FaultCode.STORAGE_DAMAGED, FaultCode.LEDGER_RESTORED)


def careful(policy: Policy, desk: Desk) -> Policy:
    """The policy while rows are missing: nothing may be delivered that the host has not answered for."""
    if (FaultCode.STORAGE_DAMAGED, SUBJECT) not in desk.faults.active:
        return policy
    caps = policy.exposure or ExposureCaps()
    return replace(policy, exposure=replace(caps, terminal=Cap(ml=0, minor=0, count=0)))


def waits(desk: Desk) -> bool:
    """Does a restored ledger wait for the host's confirmation?"""
    return any((code, SUBJECT) in desk.faults.active for code in _FAULTS)


def confirmed(desk: Desk) -> None:
    """The host's people have compared it."""
    for code in _FAULTS:
        desk.clear_fault(code, SUBJECT)
