"""Messages of a terminal, the files and endpoints of a client, and signed heads of lists, for the tests of this folder."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from terminal.core.ids import MessageKind, SaleId
from terminal.core.messages import Authorize, Booking, Reverse
from terminal.core.records import MediumRef, NozzleRef
from terminal.host.certificates import KnownTime
from terminal.host.client import Endpoint, HostClient
from terminal.host.json_lane import Lane
from terminal.host.list_head import DOMAIN
from tests.store.list_kit import canonical

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
    endpoint = Endpoint(url, folder / authority, folder / f"{pair}.crt", folder / f"{pair}.key", connect_ms)
    return HostClient(endpoint, now_ms, lambda: KnownTime(SPRING, proven=True))


# --- signed heads ---------------------------------------------------------------------------------------------------------

OLD_KEY, NEW_KEY, STRANGER = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2, 3))
HEAD: dict[str, Any] = {
    "list": "cards", "terminal": "OPT1", "epoch": "e1", "version": 7, "base": None, "rows": 0, "bytes": 100, "sha256": "ab" * 32,
    "content_hash": "cd" * 32, "issued_at": "2026-03-28T22:50:00.000Z", "not_after": "2026-03-31T22:50:00.000Z", "confirm_shrink": True,
}  # fmt: skip


def raw(key: Ed25519PrivateKey) -> bytes:
    """The public half."""
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def signed(key: Ed25519PrivateKey, head: dict[str, Any] = HEAD, domain: bytes = DOMAIN) -> bytes:
    """A head as it travels."""
    return json.dumps({**head, "signature": base64.b64encode(key.sign(domain + canonical(head))).decode()}, indent=1).encode()
