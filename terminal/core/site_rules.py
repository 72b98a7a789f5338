"""Where the terminal is and by which rules it decides: the part of the configuration that the teller goes by."""

from __future__ import annotations

from dataclasses import dataclass

from terminal.core.authorization import Policy
from terminal.core.batch_desk import BATCH_SALES
from terminal.core.card_desk import OfflineTrust
from terminal.core.deny_book import OnDeny

TEST_MOST_ML = 200_000
"""The most of one test fuelling, whatever the technician wishes: the largest vessel that is common for it."""


@dataclass(frozen=True, slots=True)
class SiteRules:
    """Where we are and by which rules: the part of the configuration that decides."""

    terminal: str
    site: str
    zone: str
    currency: str
    decimals: int
    policy: Policy
    on_deny: OnDeny = OnDeny.STOP
    batch_sales: int = BATCH_SALES
    networks: tuple[str, ...] = ()
    bank_cards: bool = False
    host_resets_emergency_stop: bool = False
    trust: OfflineTrust = OfflineTrust()
    test_most_ml: int = TEST_MOST_ML
