"""What the host cannot know when it answers: sales that we decided alone, while they run and until it has their records.

An approval is better informed than our lists except about these. So while there are any of a card or its customer, our own limits and
balances bind beside the approval: two pumps cannot both spend the rest, one by the host's word and one by ours. (features.md F23;
firmware_notes/decisions/0009.)
"""

from __future__ import annotations

from terminal.core.sale import SaleState
from terminal.core.step import Desk


def host_unaware(desk: Desk, account: str, customer: str | None) -> bool:
    """Are there such sales of this account, or of its customer? Those about which it is being asked it knows when it answers the next."""
    sums = desk.exposure.of(account, customer)
    unknown = sums.card.count if sums.customer is None else sums.customer.count
    for other in desk.sales.values() if unknown else ():
        if other.state is SaleState.RESERVED and other.asked_host and not other.reversal:
            unknown -= other.account == account if customer is None else other.customer == customer
    return unknown > 0
