"""The simulated fleet-card host: its answers to the calls of a terminal.

Source: firmware_notes/host-api.md and host-api.openapi.yaml. Pure and synchronous: no clock, socket or thread of its own. One book is
called by one thread at a time; ``server.HostServer`` guards it with a lock. The calls stand in the classes that it is made of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote

from hal_sim.host import messages
from hal_sim.host.answering import JSON_TYPE, Answer
from hal_sim.host.messages import Refusal, instant_text
from hal_sim.host.reporting import EVENT_STREAM, Reporting

__all__ = ["CONTROLS", "EVENT_STREAM", "Answer", "HostBook"]

CONTROLS = (
    "publish", "restart_lists", "block", "unblock", "unlock_pin", "change_price", "change_prices", "correct", "close", "open", "share",
    "lose", "misbook",
    "odometer", "order", "confirm_ledger",
)  # fmt: skip
"""The methods that change a book, besides ``handle``; with ``busy`` and ``shelf.spoil`` there is nothing else that does."""
_RANGE = re.compile(r"bytes=([0-9]{1,15})-")


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else -1


class HostBook(Reporting):
    """Answers the calls of the host API; see ``HostState`` and ``Controls`` for what may be done to it and read from it."""

    def handle(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """One call, answered: status, headers and body. Every refusal is an answer; nothing is raised for what a terminal sends."""
        lowered = {name.lower(): value for name, value in headers.items()}
        try:
            place, _, query = path.partition("?")
            return self._route(method, place, dict(parse_qsl(query)), lowered, body)
        except Refusal as refusal:
            self.refused.append((refusal.status, refusal.code, refusal.message))
            error = {"error": refusal.code, "message": refusal.message}
            allow = {} if refusal.allow is None else {"Allow": refusal.allow}
            return refusal.status, JSON_TYPE | allow, messages.encode(error)

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
            case ["lists", *rest]:
                return self._route_lists(method, terminal, rest, query, headers, body)
            case ["events"]:
                self._for_terminal(terminal, method, "GET", "events")
                return self._events(headers)
            case ["events", event, "ack"]:
                self._for_terminal(terminal, method, "POST", "ack")
                return self._acknowledge(event, body)
            case ["certificate"]:
                self._for_terminal(terminal, method, "POST", "certificate")
                return self._certify(terminal, body)
            case ["state"]:
                self._for_terminal(terminal, method, "PUT", "state")
                return self._state(terminal, body)
            case ["sales"]:
                self._for_terminal(terminal, method, "GET", "sales")
                return self._sales(terminal, query)
            case ["batches", batch, "close"]:
                self._for_terminal(terminal, method, "POST", "close")
                return self._close_batch(terminal, batch, headers, body)
        raise Refusal(404, "not_found", "there is no such resource")

    def _route_lists(
        self, method: str, terminal: str, parts: list[str], query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Answer:
        match parts:
            case []:
                self._for_terminal(terminal, method, "GET", "lists")
                return self._reply({"lists": {"cards": self.shelf.head(self._now())}}, self._list_time())
            case ["cards", "deltas"]:
                self._for_terminal(terminal, method, "GET", "deltas")
                heads = self.shelf.deltas(query.get("epoch", ""), _number(query.get("from", "")), self._now())
                return self._reply({"deltas": heads}, self._list_time())
            case ["cards", epoch, version, "delta"]:
                self._for_terminal(terminal, method, "GET", "delta")
                return 200, {"Content-Type": "application/x-ndjson"}, self.shelf.delta(epoch, _number(version))
            case ["cards", epoch, version]:
                self._for_terminal(terminal, method, "GET", "cards")
                return self._snapshot(epoch, version, headers)
            case ["cards", "applied"]:
                self._for_terminal(terminal, method, "POST", "applied")
                return self._adopted(terminal, body)
        raise Refusal(404, "not_found", "there is no such resource")

    def _for_terminal(self, terminal: str, method: str, expected: str, call: str) -> None:
        self._expect(method, expected, call)
        self._known_terminal(terminal, 404)

    def _expect(self, method: str, expected: str, call: str) -> None:
        if method != expected:
            raise Refusal(405, "method_not_allowed", f"only {expected} is allowed here", allow=expected)
        self.calls[call] += 1

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
