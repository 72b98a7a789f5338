"""Makes the rows of the card list that a terminal fetches; ``list_shelf`` signs them and gives them out.

Source: firmware_notes/host-api.md, section "The card list". The list never holds a card number in clear except in deny ranges.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hal_sim.host.crypto import pin_verifier
from hal_sim.host.list_shelf import Row, canonical, identity
from hal_sim.host.records import Journal
from hal_sim.host.shares import ShareBook
from hal_sim.host.windows import Calendar
from hal_sim.host.world import Card, Meter, World


@dataclass(slots=True)
class DenyList:
    """What was blocked at run time: medium tokens, customers, ranges of numbers (same length, by digits)."""

    tokens: set[str] = field(default_factory=set)
    customers: set[str] = field(default_factory=set)
    ranges: set[tuple[str, str]] = field(default_factory=set, repr=False)

    def holds_number(self, number: str) -> bool:
        """Whether a range contains this number."""
        return any(len(number) == len(low) and low <= number <= high for low, high in self.ranges)


class Publisher:
    """Turns master data, deny list and booked use into snapshots."""

    def __init__(
        self, world: World, journal: Journal, deny: DenyList, calendar: Calendar, share_book: ShareBook, pin_key: bytes, token_key: bytes
    ) -> None:
        self._world = world
        self._journal = journal
        self._deny = deny
        self._calendar = calendar
        self._share_book = share_book
        self._pin_key = pin_key
        self._token_key = token_key

    def rows(self, terminal: str, now_ms: int, pin_epochs: dict[str, int]) -> list[Row]:
        """The list as of now, each row once. ``pin_epochs`` is the PIN epoch per account token, 1 where it is not named."""
        found: dict[bytes, Row] = {}
        for row in self._rows(terminal, now_ms, pin_epochs):
            key = canonical([row["row"], identity(row)])
            # Two balances of the same kind on the same subject: the smaller one says what may be taken.
            if key not in found or row.get("amount", 0) < found[key].get("amount", 0):
                found[key] = row
        return list(found.values())

    def _rows(self, terminal: str, now_ms: int, pin_epochs: dict[str, int]) -> Iterator[Row]:
        world = self._world
        for customer in world.customers.values():
            status = "active" if customer.active else "blocked"
            yield {"row": "customer", "customer": customer.customer, "status": status, "offline": customer.offline, "zone": customer.zone}
        for card in sorted(world.cards.values(), key=lambda each: each.token):  # in the order of its key a terminal's import is quickest
            yield self._card(card, pin_epochs.get(card.account_token, 1))
        for meter in world.meters:
            if meter.limit is not None:
                limit = {
                    "row": "limit",
                    "subject": meter.subject.as_json(),
                    "period": meter.period,
                    "measure": meter.measure,
                    "amount": meter.limit,
                    "products": _sorted(meter.products),
                }
                yield limit | {"shared": True} if meter.shared else limit
        watermark = self._journal.watermark(terminal)
        late_meters, late_balances = self._still_counted_there(terminal)
        for balance in world.balances:
            yield {
                "row": "balance",
                "subject": balance.subject.as_json(),
                "kind": balance.kind,
                "measure": balance.measure,
                "amount": max(0, balance.amount - balance.used + late_balances.get(id(balance), 0)),
                "products": _sorted(balance.products),
                "watermark": watermark,
            }
        for meter in world.meters:
            yield from self._baseline(meter, now_ms, watermark, late_meters)
        yield from ({"row": "deny", "card": token} for token in sorted(self._deny.tokens))
        yield from ({"row": "deny", "customer": name} for name in sorted(self._deny.customers))
        yield from ({"row": "deny", "range": list(pair)} for pair in sorted(self._deny.ranges))
        yield from ({"row": "online_only", "range": list(pair)} for pair in sorted(world.online_only))
        yield from world.identification.rows(self._token_key)
        for product in sorted(self._products()):
            yield {"row": "product", "product": product, "restricted": product in world.restricted}

    def _products(self) -> set[str]:
        """What is sold here, and whatever a row names."""
        world = self._world
        groups = [each.products for each in world.cards.values()]
        groups += [each.products for each in world.meters] + [each.products for each in world.balances]
        return (
            {each.product for each in world.nozzles}
            | world.restricted
            | {name for group in groups for name in group or ()}
            | (world.identification.products())
        )

    def _still_counted_there(self, terminal: str) -> tuple[dict[tuple[int, str], int], dict[int, int]]:
        # A record past a gap is above the watermark, so the terminal counts it itself: it must not be in our counts too.
        meters: dict[tuple[int, str], int] = {}
        balances: dict[int, int] = {}
        for entry in self._journal.above_watermark(terminal):
            for meter, window, amount in entry.shares.meters:
                meters[id(meter), window] = meters.get((id(meter), window), 0) + amount
            for balance, amount in entry.shares.balances:
                balances[id(balance)] = balances.get(id(balance), 0) + amount
        return meters, balances

    def shares(self, terminal: str, now_ms: int, edition: int) -> list[Row]:
        """The terminal's shares of the windows of now; from here on they are given out."""
        place = self._journal.place(terminal)
        rows = []
        for meter in self._world.meters:
            wanted = self._world.shares.get((meter.key, terminal))
            if wanted is None or meter.limit is None:
                continue
            window = self._window(meter, now_ms)
            rest = meter.limit - meter.used.get(window, 0)
            grant = self._share_book.grant(meter.key, window, terminal, wanted=wanted, rest=rest, watermark=place, edition=edition)
            if grant is not None:
                rows.append(
                    {
                        "row": "share",
                        "grant": grant.name,
                        "subject": meter.subject.as_json(),
                        "period": meter.period,
                        "window": window,
                        "measure": meter.measure,
                        "products": _sorted(meter.products),
                        "amount": grant.amount,
                        "watermark": place[1],
                    }
                )
        return rows

    def _window(self, meter: Meter, now_ms: int) -> str:
        day, month = self._calendar.keys(now_ms, self._world.zone_of_subject.get(meter.subject, self._world.zone))
        return day if meter.period == "DAY" else month

    def _baseline(self, meter: Meter, now_ms: int, watermark: int, late: dict[tuple[int, str], int]) -> Iterator[dict[str, Any]]:
        if meter.period == "FUELLING":
            return
        window = self._window(meter, now_ms)
        amount = meter.used.get(window, 0) - late.get((id(meter), window), 0)
        if amount > 0:
            yield {
                "row": "baseline",
                "subject": meter.subject.as_json(),
                "window": window,
                "measure": meter.measure,
                "products": _sorted(meter.products),
                "amount": amount,
                "watermark": watermark,
            }

    def _card(self, card: Card, pin_epoch: int) -> dict[str, Any]:
        pin = None
        if card.pin is not None and card.pin_check != "host":
            verifier = pin_verifier(self._pin_key, card.account_token, pin_epoch, card.pin)
            pin = {"scheme": "opin1", "epoch": pin_epoch, "verifier": verifier, "tries": self._world.pin_tries}
        named = {"cost_centre": card.cost_centre, "driver": card.driver}
        return {
            "row": "card",
            "token": card.token,
            "account": card.account_token,
            "customer": card.customer,
            "medium": card.medium,
            "status": "active" if card.active else "blocked",
            "valid_from": card.valid_from,
            "valid_to": card.valid_to,
            "pin": pin,
            "products": _sorted(card.products),
            "offline": card.offline,
            "prompts": list(card.prompts),
            "tank_ml": card.tank_ml,
            "sites": _sorted(card.sites),
            "hours": card.hours,
            "pair": card.pair,
            "language": card.language,
            "last4": card.last4,
        } | {name: value for name, value in named.items() if value is not None}


def _sorted(names: frozenset[str] | None) -> list[str] | None:
    return None if names is None else sorted(names)
