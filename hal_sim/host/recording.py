"""Completions and advices: every sale booked once, whichever of its keys comes first.

Source: firmware_notes/host-api.md, sections "Records" and "Exactly once".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hal_sim.host import messages
from hal_sim.host.answering import Answer
from hal_sim.host.authorizing import Authorizing
from hal_sim.host.messages import Refusal, instant_ms
from hal_sim.host.records import Entry
from hal_sim.host.usage import Shares
from hal_sim.host.world import Card


class Recording(Authorizing):
    """Books."""

    def _complete(self, sale: str, headers: Mapping[str, str], body: bytes) -> Answer:
        message = messages.parse(body)
        messages.verify(message, messages.RECORD, "", messages.RECORD_OPTIONAL)
        messages.verify_sale(message, "complete", sale)
        stored = self._replay(headers, message)
        if stored is not None:
            return self._reply(stored)
        self._known_terminal(message["terminal"], 403)
        if self.busy:
            return self._reply({"result": "retry"})
        return self._store(message, {"result": self._book(message)})

    def _transactions(self, headers: Mapping[str, str], body: bytes) -> Answer:
        message = messages.parse(body)
        messages.verify(message, messages.TRANSACTIONS, "")
        self._known_terminal(message["terminal"], 403)
        items: list[Any] = message["items"]
        for index, item in enumerate(items):
            if type(item) is not dict or messages.KEY(item.get("key")) is not None:
                raise Refusal(400, "bad_request", f"items[{index}]: an object with a key is expected")
        if len({item["key"] for item in items}) != len(items):
            raise Refusal(400, "bad_request", "items: a key is there twice")
        self._check_key(headers, items[0]["key"])
        stored = self._answers.get(items[0]["key"])
        if stored is not None and stored[0] != items[0]:
            raise Refusal(409, "key_reuse", "this key came before with another body")
        return self._reply({"results": [{"key": item["key"], "result": self._advise(item)} for item in items]})

    def _advise(self, item: dict[str, Any]) -> str:
        # Each item stands alone: a repeated call may be cut into batches differently, and one bad item must not hold up the others.
        stored = self._answers.get(item["key"])
        if stored is not None:
            if stored[0] == item:
                return str(stored[1]["result"])
            self.conflicts.append(item["key"])
            return "rejected_permanent"
        try:
            messages.verify(item, messages.RECORD, f"{item['key']}: ", messages.RECORD_OPTIONAL)
            messages.verify_sale(item, "advice")
            self._known_terminal(item["terminal"], 403)
        except Refusal as refusal:
            self.refused.append((refusal.status, refusal.code, refusal.message))
            return "rejected_permanent"
        if self.busy:
            return "retry"
        result = self._book(item)
        self._answers[item["key"]] = (item, {"result": result})
        return result

    def _book(self, record: dict[str, Any]) -> str:
        sale = record["sale"]
        if self._journal.find(sale) is not None:
            # The same sale under its other key: once is once. That the two differ would be the terminal's fault, so it is kept for tests.
            self.conflicts.append(record["key"])
            return "duplicate"
        hold = self._end_hold(sale)
        card = self._world.cards.get(record["card"]["token"])
        instant = hold.instant_ms if hold is not None and record["clock"] == "untrusted" else instant_ms(record["authorized_at"])
        flags = self._doubts(record, card, instant) if record["quantity_ml"] > 0 else []
        account = None if card is None else card.account_token
        customer = None if card is None else card.customer
        entry = Entry(record, self._now(), instant, account, customer, (), Shares())
        self._journal.add(entry)
        flags += self._count(entry, on_top=hold is not None and hold.shares.on_top)
        entry.flags = tuple(flags)
        return "accepted_flagged" if flags else "accepted"

    def _doubts(self, record: dict[str, Any], card: Card | None, instant: int) -> list[str]:
        number = self._number(record["card"], record["sale"])
        denied = self._denied(number or "", record["card"]["token"], card, None, instant)
        flags = [] if denied is None else [denied]
        if number is None:
            flags.append("SEAL_MISMATCH")
        if record["decided_by"] == "host" and record["sale"] not in self._authorized:
            flags.append("AUTHORIZATION_UNKNOWN")
        if record["product"] is None or record["price"] is None or record["nozzle"] is None:
            flags.append("PRODUCT_MISSING")
        if record["currency"] != self._world.currency:
            flags.append("CURRENCY")
        if record["site"] != self._world.site:
            flags.append("SITE")
        return flags
