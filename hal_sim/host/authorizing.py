"""Authorizations and reversals: the holds of the simulated host.

Source: firmware_notes/host-api.md, sections "Authorization" and "Reversal".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hal_sim.host import messages
from hal_sim.host.answering import Answer, Answering
from hal_sim.host.crypto import SealBroken
from hal_sim.host.messages import Refusal, instant_ms
from hal_sim.host.rules import Offer, Verdict, Wish, decide, decline
from hal_sim.host.state import OpenAuthorization
from hal_sim.host.world import DEFAULT_MINIMUM_ML, Card


class Authorizing(Answering):
    """Decides, holds, and lets go."""

    def _authorize(self, headers: Mapping[str, str], body: bytes) -> Answer:
        message = messages.parse(body)
        messages.verify(message, messages.AUTHORIZATION, "", messages.AUTHORIZATION_OPTIONAL)
        messages.verify_sale(message, "authorize")
        stored = self._replay(headers, message)
        if stored is not None:
            return self._reply(stored)
        self._known_terminal(message["terminal"], 403)
        if message["site"] != self._world.site:
            raise Refusal(422, "wrong_site", "the terminal does not stand at this site")
        number = self._number(message["card"], message["sale"])
        second = message["second_card"]
        if number is None or (second is not None and self._number(second, message["sale"], second=True) is None):
            raise Refusal(422, "seal_mismatch", "a card's token and sealed number do not belong together")
        self._journal.hear(message["terminal"], message["epoch"], message["sequence"])
        instant = self._now() if message["clock"] == "untrusted" else instant_ms(message["requested_at"])
        verdict, wish = self._decide(message, number, instant)
        authorization = None
        if verdict.decision != "declined":
            authorization = self._hold(message, verdict, wish, instant)
        allowed = {offer.product for offer in verdict.offers}
        subset = sorted(allowed) if allowed < {each["product"] for each in message["products"]} and allowed else None
        content = {
            "decision": verdict.decision,
            "authorization": authorization,
            "quantity_ml": verdict.quantity_ml,
            "value_minor": verdict.value_minor,
            "products": subset,
            "reason": verdict.reason,
        }
        return self._store(message, content)

    def _number(self, card: dict[str, Any], sale: str, *, second: bool = False) -> str | None:
        try:
            number = self._sealer.open(card["sealed"], sale, second=second)
        except SealBroken:
            return None
        return number if self.token_of(number) == card["token"] else None

    def _decide(self, message: dict[str, Any], number: str, instant: int) -> tuple[Verdict, Wish | None]:
        asked = message["wish"]
        wish = None if asked is None else Wish(asked.get("quantity_ml"), asked.get("value_minor"))
        if message["sale"] in self._reversed or self._journal.find(message["sale"]) is not None:
            return decline(None), wish
        card = self._world.cards.get(message["card"]["token"])
        reason = self._denied(number, message["card"]["token"], card, message["pin"], instant)
        if reason is not None or card is None:
            return decline(reason), wish
        if card.pair is not None and not self._second_fits(card, card.pair, message["second_card"]):
            return decline("SECOND_CARD_WRONG"), wish
        second = self._second(message)
        reason = self._pin_sent(message, [each for each in (card, second) if each is not None])
        if reason is not None:
            return decline(reason), wish
        if card.sites is not None and not card.sites & {message["site"], *self._world.networks}:
            return decline("SITE_NOT_ALLOWED"), wish
        fp, minimum = message["fuelling_point"], self._world.minimum_ml
        offers = [
            Offer(each["product"], each["price"], minimum.get((fp, each["nozzle"]), DEFAULT_MINIMUM_ML))
            for each in message["products"]
            if self._may_take(card, each["product"])
        ]
        bounds = self._usage.bounds(card, instant, current=self._is_current(message), beside=second)
        return decide(offers, bounds, wish, self._world.decimals), wish

    def _is_current(self, message: dict[str, Any]) -> bool:
        return self._journal.place(message["terminal"]) >= (message["epoch"], message["sequence"] - 1)

    def _denied(self, number: str, token: str, card: Card | None, pin: str | None, instant: int) -> str | None:
        # Order of the steps: deny list, PIN, card. ``pin`` None leaves the PIN out, as for a record that is already fuel.
        if token in self._deny.tokens or self._deny.holds_number(number):
            return "CARD_BLOCKED"
        if card is not None and card.customer in self._deny.customers:
            return "CUSTOMER_BLOCKED"
        if card is None:
            return "CARD_UNKNOWN"
        if card.pin is not None and pin == "none" and not self._world.identification.without_pin(number):
            return "PIN_WRONG"
        if not card.active:
            return "CARD_BLOCKED"
        customer = self._world.customers.get(card.customer or "")
        if customer is None or not customer.active:
            return "CUSTOMER_BLOCKED"
        date = self._usage.date(card, instant)
        if card.valid_from is not None and date < card.valid_from:
            return "CARD_NOT_YET_VALID"
        if card.valid_to is not None and date > card.valid_to:
            return "CARD_EXPIRED"
        return None

    def _second(self, message: dict[str, Any]) -> Card | None:
        second = message.get("second_card")
        return None if second is None else self._world.cards.get(second["token"])

    def _pin_sent(self, message: dict[str, Any], cards: list[Card]) -> str | None:
        # A block is bound to one card's number; a card whose PIN only the host can check must have sent one.
        block, ksn = message.get("pin_block"), message.get("ksn")
        for card in cards:
            if card.pin is None or card.pin_check == "terminal":
                continue
            if block is not None and ksn is not None:
                return self._pin_checks.judge(card.account_token, card.pin, card.number, block, ksn)
            if card.pin_check == "host" or message["pin"] == "sent":
                return "PIN_WRONG"
        return "PIN_WRONG" if message["pin"] == "sent" else None

    def _second_fits(self, first: Card, pair: str, second: dict[str, Any] | None) -> bool:
        if second is None:
            return False
        card = self._world.cards.get(second["token"])
        if card is None or not card.active or card.token in self._deny.tokens or card.token == first.token:
            return False
        return card.account_token == pair if pair in self._world.accounts else card.pair == pair

    def _may_take(self, card: Card, product: str) -> bool:
        return product not in self._world.restricted if card.products is None else product in card.products

    def _hold(self, message: dict[str, Any], verdict: Verdict, wish: Wish | None, instant: int) -> str:
        card = self._world.cards[message["card"]["token"]]
        name = f"A{self._next_authorization}"
        self._next_authorization += 1
        current, beside = self._is_current(message), self._second(message)
        shares = self._usage.hold(card, instant, verdict, wish, self._world.decimals, current=current, beside=beside)
        self._open[message["sale"]] = OpenAuthorization(
            authorization=name,
            sale=message["sale"],
            terminal=message["terminal"],
            account=card.account_token,
            customer=card.customer,
            instant_ms=instant,
            quantity_ml=verdict.quantity_ml,
            value_minor=verdict.value_minor,
            shares=shares,
        )
        self._authorized.add(message["sale"])
        return name

    def _end_hold(self, sale: str) -> OpenAuthorization | None:
        hold = self._open.pop(sale, None)
        if hold is not None:
            self._usage.release(hold.shares)
        return hold

    def _reverse(self, sale: str, headers: Mapping[str, str], body: bytes) -> Answer:
        message = messages.parse(body)
        messages.verify(message, messages.REVERSAL, "")
        messages.verify_sale(message, "reverse", sale)
        stored = self._replay(headers, message)
        if stored is not None:
            return self._reply(stored)
        self._known_terminal(message["terminal"], 403)
        if self.busy:
            return self._reply({"result": "retry"})
        self._journal.hear(message["terminal"], message["epoch"], message["sequence"])
        self._reversed[sale] = message
        self._end_hold(sale)
        return self._store(message, {"result": "accepted"})
