"""Who may be served at all, read from the scenario and from the list that is live, not from the decision that the product made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from terminal.core import records as r
from terminal.core.account_book import UseState
from terminal.core.card_data import Status
from terminal.core.sale import SaleState
from terminal.core.site import Site
from terminal.runtime.engine import Engine
from tests.simulation.journal_facts import Broken, Facts
from tests.simulation.limits import check_promised


def check_authorized(
    fact: object, facts: Facts, engine: Engine | None, scenario: Mapping[str, Any], token_of: Callable[[str], str]
) -> None:
    """What is decided here needs a card and a customer that are active in the live list, at this moment."""
    if not isinstance(fact, r.SaleAuthorized) or fact.decided_by != "offline" or engine is None:
        return
    site = engine.site
    _check_in_use(site)
    check_promised(scenario, token_of, facts, fact.sale)
    reserved = facts.sales[fact.sale].reserved
    card = site.lists.card(reserved.card.token)
    customer = None if card is None or card.customer is None else site.lists.customer(card.customer)
    known = card is not None and card.status is Status.ACTIVE
    if not known or (card is not None and card.customer is not None and (customer is None or customer.status is not Status.ACTIVE)):
        raise Broken("permitted", f"{fact.sale} is decided here for a card or customer that the list does not have as active")


def _check_in_use(site: Site) -> None:
    """No account has more sales armed or running than it may; one that nobody knows the end of does not count."""
    book, most = site.desk.book, site.config.rules.policy.max_open
    busy = Counter(one.account for one in site.desk.sales.values() if one.state in (SaleState.AUTHORIZED, SaleState.DELIVERING))
    for one in site.desk.sales.values():
        use = book.get(one.id)
        if one.state is SaleState.DELIVERING and use is not None and use.state is UseState.IN_DOUBT:
            busy[one.account] -= 1
    if busy and max(busy.values()) > most:
        raise Broken("in use", f"an account has {max(busy.values())} sales at the pumps, {most} are allowed")


def check_permitted(scenario: Mapping[str, Any], token_of: Callable[[str], str], facts: Facts) -> None:
    """Over the whole day: nobody whom the scenario never serves without the host, and no product that a card may not take."""
    cards = {token_of(card["number"]): card for card in scenario["cards"]}
    never = {customer["customer"] for customer in scenario["customers"] if customer["offline"] == "NEVER"}
    for sale, one in facts.sales.items():
        card = cards.get(one.reserved.card.token)
        if card is None or one.granted is None:
            continue
        if one.granted.decided_by == "offline" and (card["offline"] == "NEVER" or card["customer"] in never):
            raise Broken("permitted", f"{sale} is decided here, and this card only ever by the host")
        if one.released is not None and card["products"] is not None and one.released.product not in card["products"]:
            raise Broken("permitted", f"{sale} releases {one.released.product}, which its card may not take")
