"""The simulated fleet-card host: its answers to the calls of a terminal.

Source: firmware_notes/host-api.md and host-api.openapi.yaml. Pure and synchronous: no clock, socket or thread of its own. One book is
called by one thread at a time; ``server.HostServer`` guards it with a lock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from hal_sim.host import messages
from hal_sim.host.crypto import SealBroken
from hal_sim.host.messages import Refusal, instant_ms, instant_text
from hal_sim.host.push import HELLO, Acknowledged, Cursor
from hal_sim.host.records import Entry
from hal_sim.host.rules import Offer, Verdict, Wish, decide, decline
from hal_sim.host.state import HostState, OpenAuthorization
from hal_sim.host.usage import Shares
from hal_sim.host.world import DEFAULT_MINIMUM_ML, Card

Answer = tuple[int, dict[str, str], bytes]
JSON_TYPE = {"Content-Type": "application/json"}
EVENT_STREAM = "text/event-stream"
_RANGE = re.compile(r"bytes=([0-9]{1,15})-")


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else -1


class HostBook(HostState):
    """Answers the calls of the host API; see ``HostState`` for its controls and what can be read from it."""

    def handle(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """One call, answered: status, headers and body. Every refusal is an answer; nothing is raised for what a terminal sends."""
        lowered = {name.lower(): value for name, value in headers.items()}
        try:
            place, _, query = path.partition("?")
            return self._route(method, place, dict(parse_qsl(query)), lowered, body)
        except Refusal as refusal:
            self.refused.append((refusal.status, refusal.code, refusal.message))
            error = {"error": refusal.code, "message": refusal.message}
            return refusal.status, dict(JSON_TYPE), messages.encode(error)

    def _route(self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> Answer:
        parts = [unquote(part) for part in path.strip("/").split("/")]
        match parts:
            case ["v1", "authorizations"]:
                self._expect(method, "POST", "authorize")
                return self._authorize(headers, body)
            case ["v1", "authorizations", sale, "completion"]:
                self._expect(method, "POST", "complete")
                return self._complete(sale, headers, body)
            case ["v1", "authorizations", sale, "reversal"]:
                self._expect(method, "POST", "reverse")
                return self._reverse(sale, headers, body)
            case ["v1", "transactions"]:
                self._expect(method, "POST", "advise")
                return self._transactions(headers, body)
            case ["v1", "time"]:
                self._expect(method, "GET", "time")
                return self._reply({})
            case ["v1", "terminals", terminal, *rest]:
                return self._route_terminal(method, terminal, rest, query, headers, body)
        raise Refusal(404, "not_found", "there is no such resource")

    def _route_terminal(
        self, method: str, terminal: str, parts: list[str], query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Answer:
        match parts:
            case ["lists"]:
                self._for_terminal(terminal, method, "GET", "lists")
                return self._reply({"lists": {"cards": self.shelf.head(self._now())}}, self._list_time())
            case ["lists", "cards", "deltas"]:
                self._for_terminal(terminal, method, "GET", "deltas")
                heads = self.shelf.deltas(query.get("epoch", ""), _number(query.get("from", "")), self._now())
                return self._reply({"deltas": heads}, self._list_time())
            case ["lists", "cards", epoch, version, "delta"]:
                self._for_terminal(terminal, method, "GET", "delta")
                return 200, {"Content-Type": "application/x-ndjson"}, self.shelf.delta(epoch, _number(version))
            case ["lists", "cards", epoch, version]:
                self._for_terminal(terminal, method, "GET", "cards")
                return self._snapshot(epoch, version, headers)
            case ["events"]:
                self._for_terminal(terminal, method, "GET", "events")
                return self._events(headers)
            case ["events", event, "ack"]:
                self._for_terminal(terminal, method, "POST", "ack")
                return self._acknowledge(event, body)
            case ["state"]:
                self._for_terminal(terminal, method, "PUT", "state")
                self.terminal_state = messages.parse(body)
                return self._reply({})
        raise Refusal(404, "not_found", "there is no such resource")

    def _for_terminal(self, terminal: str, method: str, expected: str, call: str) -> None:
        self._expect(method, expected, call)
        self._known_terminal(terminal, 404)

    def _expect(self, method: str, expected: str, call: str) -> None:
        if method != expected:
            raise Refusal(405, "method_not_allowed", f"only {expected} is allowed here")
        self.calls[call] += 1

    def _known_terminal(self, terminal: str, status: int) -> None:
        if terminal != self._world.terminal:
            raise Refusal(status, "unknown_terminal", "the terminal is not known here")

    def _reply(self, content: dict[str, Any], time: str | None = None) -> Answer:
        answer = {"time": time or instant_text(self._now()), **content}
        return 200, dict(JSON_TYPE), messages.encode(answer)

    def _list_time(self) -> str | None:
        """What this host believes the time to be when it is asked for lists."""
        return instant_text(0) if self.shelf.fault == "1970" else None

    def _snapshot(self, epoch: str, version: str, headers: Mapping[str, str]) -> Answer:
        edition = self.shelf.whole(epoch, _number(version))
        packed = "gzip" in headers.get("accept-encoding", "")
        data = self.shelf.bytes_of(edition, packed=packed)
        tag = f'"{edition.whole[1]}{"-gzip" if packed else ""}"'
        answer = {"Content-Type": "application/x-ndjson", "Accept-Ranges": "bytes", "ETag": tag}
        if packed:
            answer["Content-Encoding"] = "gzip"
        wanted = _RANGE.fullmatch(headers.get("range", ""))
        if wanted is None or headers.get("if-range", tag) != tag:
            return 200, answer, data
        start = int(wanted[1])
        if start >= len(data):
            return 416, answer | {"Content-Range": f"bytes */{len(data)}"}, b""
        return 206, answer | {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}, data[start:]

    def _events(self, headers: Mapping[str, str]) -> Answer:
        # The beginning of a stream; whoever holds the connection goes on with ``news``.
        text, _ = self.news(self.cursor(headers))
        return 200, {"Content-Type": EVENT_STREAM, "Cache-Control": "no-store"}, HELLO + text

    def cursor(self, headers: Mapping[str, str]) -> Cursor:
        """Where the stream of a call with these headers begins."""
        return self._push.resume({name.lower(): value for name, value in headers.items()}.get("last-event-id", ""))

    def _acknowledge(self, event: str, body: bytes) -> Answer:
        message = messages.parse(body)
        messages.verify(message, messages.ACKNOWLEDGEMENT, "")
        number = int(event) if event.isascii() and event.isdigit() and len(event) < 16 else 0
        if not 1 <= number <= self._push.newest_id:
            raise Refusal(404, "not_found", "this event was never sent")
        self.acks.setdefault(number, Acknowledged(instant_ms(message["effective_at"]), self._now()))
        return self._reply({})

    def _replay(self, headers: Mapping[str, str], message: dict[str, Any]) -> dict[str, Any] | None:
        # The header is the message's key; the stored answer belongs to exactly this body.
        self._check_key(headers, message["key"])
        stored = self._answers.get(message["key"])
        if stored is None:
            return None
        if stored[0] != message:
            raise Refusal(409, "key_reuse", "this key came before with another body")
        return stored[1]

    @staticmethod
    def _check_key(headers: Mapping[str, str], key: str) -> None:
        given = headers.get("idempotency-key")
        if given is None:
            raise Refusal(400, "key_missing", "the header Idempotency-Key is missing")
        if given != key:
            raise Refusal(400, "key_mismatch", "the header Idempotency-Key differs from the body's key")

    def _store(self, message: dict[str, Any], content: dict[str, Any]) -> Answer:
        self._answers[message["key"]] = (message, content)
        return self._reply(content)

    # --- authorization ------------------------------------------------------------------------------------------------

    def _authorize(self, headers: Mapping[str, str], body: bytes) -> Answer:
        message = messages.parse(body)
        messages.verify(message, messages.AUTHORIZATION, "")
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
        if card.pair is not None and not self._second_fits(card.pair, message["second_card"]):
            return decline("SECOND_CARD_WRONG"), wish
        if card.sites is not None and message["site"] not in card.sites:
            return decline("SITE_NOT_ALLOWED"), wish
        fp, minimum = message["fuelling_point"], self._world.minimum_ml
        offers = [
            Offer(each["product"], each["price"], minimum.get((fp, each["nozzle"]), DEFAULT_MINIMUM_ML))
            for each in message["products"]
            if self._may_take(card, each["product"])
        ]
        return decide(offers, self._usage.bounds(card, instant), wish, self._world.decimals), wish

    def _denied(self, number: str, token: str, card: Card | None, pin: str | None, instant: int) -> str | None:
        # Order of the steps: deny list, PIN, card. ``pin`` None leaves the PIN out, as for a record that is already fuel.
        if token in self._deny.tokens or self._deny.holds_number(number):
            return "CARD_BLOCKED"
        if card is not None and card.customer in self._deny.customers:
            return "CUSTOMER_BLOCKED"
        if card is None:
            return "CARD_UNKNOWN"
        if card.pin is not None and pin == "none":
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

    def _second_fits(self, pair: str, second: dict[str, Any] | None) -> bool:
        if second is None:
            return False
        card = self._world.cards.get(second["token"])
        if card is None or not card.active or card.token in self._deny.tokens:
            return False
        return card.account_token == pair if pair in self._world.accounts else card.pair == pair

    def _may_take(self, card: Card, product: str) -> bool:
        return product not in self._world.restricted if card.products is None else product in card.products

    def _hold(self, message: dict[str, Any], verdict: Verdict, wish: Wish | None, instant: int) -> str:
        card = self._world.cards[message["card"]["token"]]
        name = f"A{self._next_authorization}"
        self._next_authorization += 1
        shares = self._usage.hold(card, instant, verdict, wish, self._world.decimals)
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

    def _close(self, sale: str) -> OpenAuthorization | None:
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
        self._close(sale)
        return self._store(message, {"result": "accepted"})

    # --- records ------------------------------------------------------------------------------------------------------

    def _complete(self, sale: str, headers: Mapping[str, str], body: bytes) -> Answer:
        message = messages.parse(body)
        messages.verify(message, messages.RECORD, "")
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
            messages.verify(item, messages.RECORD, f"{item['key']}: ")
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
        hold = self._close(sale)
        card = self._world.cards.get(record["card"]["token"])
        instant = hold.instant_ms if hold is not None and record["clock"] == "untrusted" else instant_ms(record["authorized_at"])
        shares, flags = Shares(), []
        if record["quantity_ml"] > 0:
            flags = self._doubts(record, card, instant)
            if card is not None:
                shares, exceeded = self._usage.book(card, instant, record["product"], record["quantity_ml"], record["value_minor"])
                flags += exceeded
        account = None if card is None else card.account_token
        customer = None if card is None else card.customer
        self._journal.add(Entry(record, self._now(), account, customer, tuple(flags), shares))
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
