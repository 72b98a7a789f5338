"""A terminal's side of the host API for the host's own tests, and the schemas of the OpenAPI file to hold every message against."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from hal_sim.host import HostBook
from hal_sim.host.crypto import Sealer, token_of
from hal_sim.host.messages import instant_ms, instant_text
from hal_sim.host.reconciling import totals_of

OPENAPI = Path(__file__).resolve().parents[2] / "firmware_notes" / "host-api.openapi.yaml"
TOKEN_KEY, PIN_KEY, CARD_KEY = bytes(range(32)), bytes(range(32, 64)), bytes(range(64, 96))
BADGE = "04A1B2C3D4E5F6"
SPARE = "04FFFFFFFFFF01"
STRIPE = "7001231234567890123"
START = "2026-03-28T22:50:00.000Z"
"""Ten minutes before midnight in Paris, the night before the clock goes ahead."""


@cache
def openapi() -> dict[str, Any]:
    """The OpenAPI file."""
    document: dict[str, Any] = yaml.safe_load(OPENAPI.read_text(encoding="utf-8"))
    return document


@cache
def validator(name: str) -> jsonschema.Draft202012Validator:
    """A validator of one of its schemas."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": openapi()["components"]}
    return jsonschema.Draft202012Validator(schema)


def valid(name: str, value: Any) -> bool:
    """Whether the value is what that schema says."""
    return bool(validator(name).is_valid(value))


class Clock:
    """The time that the book is given."""

    def __init__(self, at: str = START) -> None:
        self.ms = instant_ms(at)

    def __call__(self) -> int:
        return self.ms

    def set(self, at: str) -> None:
        """To this instant."""
        self.ms = instant_ms(at)

    @property
    def text(self) -> str:
        """Now, as in messages."""
        return instant_text(self.ms)


def card(number: str, **changes: Any) -> dict[str, Any]:
    """A card row of a scenario."""
    return {
        "number": number,
        "account": None,
        "medium": "badge",
        "customer": "C1",
        "status": "active",
        "pin": None,
        "products": None,
    } | changes


def scenario(**changes: Any) -> dict[str, Any]:
    """One terminal in Paris with one fuelling point of two products, one customer and one badge."""
    return {
        "terminal": "OPT1",
        "site": "S1",
        "zone": "Europe/Paris",
        "currency": "EUR",
        "decimals": 2,
        "fuelling_points": [
            {"fp": 1, "protocol": "dart", "nozzle": 1, "product": "GAZOLE", "price": 17290, "minimum_ml": 2000},
            {"fp": 1, "protocol": "dart", "nozzle": 2, "product": "SP95", "price": 18990, "minimum_ml": 2000},
        ],
        "customers": [{"customer": "C1", "status": "active", "offline": "ALLOWED", "zone": None}],
        "cards": [card(BADGE)],
        "limits": [],
        "balances": [],
        "host_counts": [],
    } | changes


def limit(subject: dict[str, str], period: str, measure: str, amount: int, products: list[str] | None = None) -> dict[str, Any]:
    """A limit or host count row of a scenario."""
    return {"subject": subject, "period": period, "measure": measure, "amount": amount, "products": products}


ACCOUNT = {"card": BADGE}
CUSTOMER = {"customer": "C1"}
PATHS = {"authorize": "/v1/authorizations", "complete": "/v1/authorizations/{}/completion", "reverse": "/v1/authorizations/{}/reversal"}
ANSWERS = {"authorize": ("Authorization", "Decision"), "complete": ("Completion", "Result"), "reverse": ("Reversal", "Result")}


class Terminal:
    """Makes messages and sends them to a book; every message and answer is held against the OpenAPI file."""

    def __init__(self, book: HostBook, clock: Clock) -> None:
        self.book = book
        self.clock = clock
        self.sealer = Sealer(CARD_KEY)

    def sealed(self, number: str, sale: str, *, second: bool = False) -> dict[str, str]:
        """The card object of a message."""
        sealed = self.sealer.seal(number, sale, second=second)
        return {"token": token_of(TOKEN_KEY, number), "last4": number[-4:], "sealed": sealed}

    def _sale(self, sequence: int, call: str, epoch: int = 1) -> dict[str, Any]:
        sale = f"OPT1-{epoch}-{sequence}"
        return {"key": f"{sale}/{call}", "terminal": "OPT1", "sale": sale, "epoch": epoch, "sequence": sequence}

    def authorization(self, sequence: int, number: str = BADGE, products: tuple[str, ...] = ("GAZOLE",), **changes: Any) -> dict[str, Any]:
        """An authorization request."""
        head = self._sale(sequence, "authorize")
        offers = {"GAZOLE": {"nozzle": 1, "product": "GAZOLE", "price": 17290}, "SP95": {"nozzle": 2, "product": "SP95", "price": 18990}}
        return (
            head
            | {
                "site": "S1",
                "fuelling_point": 1,
                "card": self.sealed(number, head["sale"]),
                "second_card": None,
                "medium": "badge",
                "trust": "T0",
                "pin": "none",
                "prompts": {},
                "products": [offers[name] for name in products],
                "wish": None,
                "requested_at": self.clock.text,
                "clock": "trusted",
                "list_version": 1,
            }
            | changes
        )

    def record(self, sequence: int, volume_ml: int, number: str = BADGE, call: str = "complete", **changes: Any) -> dict[str, Any]:
        """A completion or an advice of GAZOLE; a volume of 0 means that nothing was released."""
        head = self._sale(sequence, call, changes.get("epoch", 1))
        released = volume_ml > 0
        return (
            head
            | {
                "site": "S1",
                "authorization": None,
                "decided_by": "host" if call == "complete" else "offline",
                "fuelling_point": 1,
                "nozzle": 1 if released else None,
                "card": self.sealed(number, head["sale"]),
                "medium": "badge",
                "trust": "T0",
                "pin": "none",
                "prompts": {},
                "product": "GAZOLE" if released else None,
                "price": 17290 if released else None,
                "currency": "EUR",
                "quantity_ml": volume_ml,
                "value_minor": (volume_ml * 17290 + 50000) // 100000,
                "authorized_at": self.clock.text,
                "ended_at": self.clock.text,
                "end": "nozzle" if released else "lift_timeout",
                "totaliser_start_ml": 0 if released else None,
                "totaliser_end_ml": volume_ml if released else None,
                "clock": "trusted",
                "list_version": 1,
                "cost_centre": None,
                "driver": None,
            }
            | changes
        )

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Any call; the answer is parsed, and an error is held against its schema."""
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        status, _, content = self.book.handle(method, path, headers or {}, raw)
        answer = json.loads(content)
        if status >= 400:
            validator("Error").validate(answer)
        return status, answer

    def send(self, message: dict[str, Any]) -> dict[str, Any]:
        """An authorize, complete or reverse message that has to be answered 200."""
        call = message["key"].rpartition("/")[2]
        asked, answered = ANSWERS[call]
        validator(asked).validate(message)
        status, answer = self.call("POST", PATHS[call].format(message["sale"]), message, {"Idempotency-Key": message["key"]})
        assert status == 200, answer
        validator(answered).validate(answer)
        return dict(answer)

    def refused(self, message: dict[str, Any]) -> tuple[int, str]:
        """The same for one that has to be refused: status and code."""
        call = message["key"].rpartition("/")[2]
        status, answer = self.call("POST", PATHS[call].format(message["sale"]), message, {"Idempotency-Key": message["key"]})
        assert status >= 400, answer
        return status, answer["error"]

    def authorize(self, sequence: int, number: str = BADGE, products: tuple[str, ...] = ("GAZOLE",), **changes: Any) -> dict[str, Any]:
        """Asks the host."""
        return self.send(self.authorization(sequence, number, products, **changes))

    def complete(self, sequence: int, volume_ml: int, number: str = BADGE, **changes: Any) -> str:
        """Sends a completion; the result."""
        return str(self.send(self.record(sequence, volume_ml, number, **changes))["result"])

    def reverse(self, sequence: int, reason: str = "TIMED_OUT") -> str:
        """Sends a reversal; the result."""
        return str(self.send(self._sale(sequence, "reverse") | {"reason": reason})["result"])

    def advise(self, *items: dict[str, Any]) -> list[str]:
        """Sends a batch; the results in order."""
        message = {"terminal": "OPT1", "items": list(items)}
        status, answer = self.call("POST", "/v1/transactions", message, {"Idempotency-Key": items[0]["key"]})
        assert status == 200, answer
        validator("Results").validate(answer)
        assert [each["key"] for each in answer["results"]] == [item["key"] for item in items]
        return [each["result"] for each in answer["results"]]

    def advice(self, sequence: int, volume_ml: int, number: str = BADGE, **changes: Any) -> dict[str, Any]:
        """An advice record."""
        return self.record(sequence, volume_ml, number, "advice", **changes)

    def batch(self, number: int, first: int, last: int, attempt: int = 1, **changes: Any) -> dict[str, Any]:
        """The sums of a batch, as the book's own records have them."""
        apart = {*changes.get("open", ()), *changes.get("quarantined", ())}
        found = [entry for name in range(first, last + 1) if name not in apart and (entry := self.book.find(f"OPT1-1-{name}"))]
        totals, empty = totals_of(entry.record for entry in found)
        return {
            "key": f"OPT1-1-B{number}.{attempt}/close",
            "terminal": "OPT1",
            "epoch": 1,
            "batch": number,
            "attempt": attempt,
            "first_sequence": first,
            "last_sequence": last,
            "records": last - first + 1 - len(changes.get("open", ())),
            "open": [],
            "quarantined": [],
            "totals": totals,
            "empty": empty,
        } | changes

    def close_batch(self, message: dict[str, Any]) -> dict[str, Any]:
        """Sends the sums of a batch; the answer."""
        validator("Batch").validate(message)
        path = f"/v1/terminals/OPT1/batches/{message['batch']}/close"
        status, answer = self.call("POST", path, message, {"Idempotency-Key": message["key"]})
        assert status == 200, answer
        validator("BatchResult").validate(answer)
        return dict(answer)

    def apply(self, version: int, epoch: str = "e1") -> int:
        """Says that this list is in use; the status."""
        body = {"epoch": epoch, "version": version, "at": self.clock.text}
        validator("Applied").validate(body)
        return self.call("POST", "/v1/terminals/OPT1/lists/cards/applied", body)[0]

    def rows(self) -> list[dict[str, Any]]:
        """The newest card list, each row held against its schema."""
        _, lists = self.call("GET", "/v1/terminals/OPT1/lists")
        validator("Lists").validate(lists)
        head = lists["lists"]["cards"]
        _, _, data = self.book.handle("GET", f"/v1/terminals/OPT1/lists/cards/{head['epoch']}/{head['version']}", {}, b"")
        assert len(data) == head["bytes"]
        rows = [json.loads(line) for line in data.splitlines()]
        for row in rows:
            validator("ListRow").validate(row)
        return rows


def world(**changes: Any) -> tuple[HostBook, Terminal, Clock]:
    """A book of a scenario, its terminal and its clock."""
    clock = Clock()
    book = HostBook(scenario(**changes), clock, token_key=TOKEN_KEY, pin_key=PIN_KEY, card_key=CARD_KEY)
    return book, Terminal(book, clock), clock
