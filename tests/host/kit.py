"""Messages of a terminal, and the files and endpoints of a client, for the tests of this folder."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from terminal.core.ids import MessageKind, SaleId
from terminal.core.messages import Authorize, Booking, Reverse
from terminal.core.records import MediumRef, NozzleRef
from terminal.host.client import Endpoint, HostClient
from terminal.host.json_lane import Lane

LANE = Lane("OPT1", "S1", "EUR")
TOKEN = "424fa0f9aefdf0804c9aa1da5a1cd51a"
CARD = MediumRef(TOKEN, "E5F6", "badge", "T0", "8FSAaYwfBXR+5wIBK9E3Tmc9KuWD4B7fJRn20kyW")
SPRING = 1_774_738_200_000
"""2026-03-28 22:50:00 UTC."""
NUMBER = "7001231234567890123"
"""A card's number that must turn up in no error text."""


def authorize(sequence: int = 42, **changes: Any) -> Authorize:
    """A question."""
    values: dict[str, Any] = {
        "sale": SaleId(f"OPT1-1-{sequence}"),
        "epoch": 1,
        "sequence": sequence,
        "fp": 2,
        "card": CARD,
        "pin_verified": True,
        "prompts": (("ODOMETER", "123456"),),
        "nozzles": (NozzleRef(1, "GAZOLE", 17290), NozzleRef(2, "SP95", 18990)),
        "wish_ml": None,
        "wish_minor": None,
        "requested_at": SPRING,
        "clock": "trusted",
        "list_version": 3,
    }
    return Authorize(**values | changes)


def booking(kind: MessageKind = MessageKind.COMPLETE, sequence: int = 42, **changes: Any) -> Booking:
    """A completion or an advice."""
    values: dict[str, Any] = {
        "kind": kind,
        "sale": SaleId(f"OPT1-1-{sequence}"),
        "epoch": 1,
        "sequence": sequence,
        "authorization": "A17" if kind is MessageKind.COMPLETE else None,
        "decided_by": "host" if kind is MessageKind.COMPLETE else "offline",
        "fp": 2,
        "nozzle": 1,
        "card": CARD,
        "pin_verified": False,
        "prompts": (),
        "product": "GAZOLE",
        "price": 17290,
        "quantity_ml": 12500,
        "value_minor": 2161,
        "authorized_at": SPRING,
        "ended_at": SPRING + 130_500,
        "end": "nozzle",
        "total_start_ml": 100_000,
        "total_end_ml": 112_500,
        "clock": "trusted",
        "list_version": 3,
    }
    return Booking(**values | changes)


def reverse(sequence: int = 44, reason: str = "TIMED_OUT") -> Reverse:
    """A reversal."""
    return Reverse(SaleId(f"OPT1-1-{sequence}"), 1, sequence, reason)


def now_ms() -> int:
    """What a client of these tests takes for its clock."""
    return time.monotonic_ns() // 1_000_000


def client_of(folder: Path, url: str, *, authority: str = "ca.crt", pair: str = "client", connect_ms: int = 2_000) -> HostClient:
    """A client with the files that ``HostServer`` and ``hostile.pki`` leave in a folder."""
    return HostClient(Endpoint(url, folder / authority, folder / f"{pair}.crt", folder / f"{pair}.key", connect_ms), now_ms)


# --- lists ----------------------------------------------------------------------------------------------------------------


def card_row(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A row of the card list as the contract has it."""
    row: dict[str, Any] = {
        "row": "card",
        "token": f"{number:032x}",
        "account": f"{number:032x}",
        "customer": "C1",
        "medium": "badge",
        "status": "active",
    }
    row |= {"valid_from": None, "valid_to": None, "products": None, "offline": "ALLOWED", "prompts": [], "tank_ml": None, "sites": None}
    row |= {"hours": None, "pair": None, "language": None, "last4": "E5F6"}
    return row | {"pin": {"scheme": "opin1", "epoch": 1, "verifier": "f249d4d327fe6330e59d4d320784e60c", "tries": 3}} | changes


CUSTOMER = {"row": "customer", "customer": "C1", "status": "active", "offline": "ALLOWED", "zone": None}
SUBJECT = {"customer": "C1"}
LIMIT = {"row": "limit", "subject": SUBJECT, "period": "DAY", "measure": "QUANTITY", "amount": 100_000, "products": None}
BALANCE = {"row": "balance", "subject": SUBJECT, "kind": "prepaid", "measure": "VALUE", "amount": 25_000, "products": None, "watermark": 41}
BASELINE = {
    "row": "baseline",
    "subject": SUBJECT,
    "window": "2026-03",
    "measure": "VALUE",
    "products": None,
    "amount": 12_000,
    "watermark": 41,
}
PRODUCT = {"row": "product", "product": "GAZOLE", "restricted": False}


def lines_for(rows: Iterable[dict[str, Any] | bytes], /, **end: Any) -> tuple[list[bytes], str, int]:
    """The lines of a snapshot, its hash and its number of rows; ``end`` changes the last row."""
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    digest = hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()
    last = {"row": "end", "rows": len(lines), "sha256": digest} | end
    return [*lines, json.dumps(last).encode()], digest, len(lines)
