"""Reads what a terminal says of itself: its state, the lists that it adopted, and the sums of its batches.

Source: firmware_notes/host-api.openapi.yaml, schemas State, Applied and Batch, which say the same; a test holds the two together.
"""

from __future__ import annotations

from typing import Any

from hal_sim.host.messages import MAX_PRICE, NAME, SALE, Check, Refusal, Table, instant, nested, nullable, one_of, text, verify, whole

MOST_SEQUENCES = 10_000
_EPOCH = whole(1, 2**31 - 1)
_SEQUENCE = whole(1, 2**53 - 1)
_COUNT = whole(0, 2**53 - 1)
_SUM = whole(0, 10**15)
SHORT = text(r"(?s:.{0,64})", "a text of at most 64 characters")
LONG = text(r"(?s:.{0,200})", "a text of at most 200 characters")
WORDS = text(r"(?s:.{1,64})", "a text of 1 to 64 characters")
SCOPES = ("site", "product", "fuelling_point")


def flag(value: Any) -> str | None:
    """True or false."""
    return None if type(value) is bool else "true or false is expected"


def listed(check: Check, most: int) -> Check:
    """A list of at most so many of them."""

    def inner(value: Any) -> str | None:
        if type(value) is not list or len(value) > most:
            return f"a list of at most {most} is expected"
        return next((why for why in map(check, value) if why is not None), None)

    return inner


CLOCK: Table = {"state": one_of("trusted", "holdover", "untrusted"), "offset_ms": nullable(whole(-(10**15), 10**15))}
CARDS: Table = {
    "epoch": text(r"[A-Za-z0-9._-]{0,32}", "a list's epoch, or nothing"),
    "version": _COUNT,
    "rows": _COUNT,
    "content_hash": text(r"([0-9a-f]{64})?", "64 hex digits in lower case, or nothing"),
    "checked_at": nullable(instant),
}
QUEUE: Table = {"unsent": _COUNT, "oldest": nullable(instant), "quarantined": _COUNT}
POINT: Table = {"fuelling_point": whole(1, 9999), "state": WORDS, "sale": nullable(SALE), "closed": flag}
FAULT: Table = {"code": text(r"[A-Z][A-Z0-9_]{0,63}", "a fault's code"), "subject": SHORT, "since": instant, "detail": LONG}
CLOSED: Table = {"scope": one_of(*SCOPES), "name": SHORT, "why": LONG, "since": instant}
ENFORCED: Table = {"limit": WORDS, "offline": one_of("exact", "bounded", "no")}
IN_FORCE: Table = {
    "fuelling_point": whole(1, 9999),
    "nozzle": whole(1, 99),
    "product": text(r"(?s:.{1,32})", "a product"),
    "price": whole(0, MAX_PRICE),
    "version": _COUNT,
    "since": instant,
    "shown": nullable(whole(0, 10**12)),
}
PLANNED: Table = {"version": whole(1, 2**53 - 1), "event": _COUNT, "starts_at": instant}
PRICES: Table = {"version": _COUNT, "in_force": listed(nested(IN_FORCE), 1500), "planned": listed(nested(PLANNED), 100)}
LEDGER: Table = {"row": whole(1, 2**53 - 1), "hash": text(r"[0-9a-f]{64}", "64 hex digits in lower case")}
STATE: Table = {
    "terminal": NAME,
    "site": NAME,
    "version": WORDS,
    "boot": WORDS,
    "at": instant,
    "clock": nested(CLOCK),
    "in_service": flag,
    "lists": nested({"cards": nested(CARDS)}),
    "queue": nested(QUEUE),
    "next_sequence": _SEQUENCE,
    "epoch": _EPOCH,
    "epoch_begins": _SEQUENCE,
    "batch": _COUNT,
    "last_event": _COUNT,
    "push": flag,
    "fuelling_points": listed(nested(POINT), 100),
    "faults": listed(nested(FAULT), 1000),
    "closed": listed(nested(CLOSED), 1000),
    "enforces": listed(nested(ENFORCED), 100),
    "pin_key": one_of("software", "tpm", "rolled back", "unavailable"),
    "prices": nested(PRICES),
    "ledger": nested(LEDGER),
}
STATE_OPTIONAL = frozenset({"ledger", "epoch_begins"})
CERTIFICATE: Table = {"request": text(r"(?s:.{1,4096})", "a certificate request in PEM")}
APPLIED: Table = {"epoch": NAME, "version": whole(1, 2**53 - 1), "at": instant}
TOTAL: Table = {
    "product": nullable(text(r"(?s:.{1,32})", "a product")),
    "decided_by": one_of("host", "offline"),
    "count": whole(1, 2**53 - 1),
    "quantity_ml": _SUM,
    "value_minor": _SUM,
}
BATCH: Table = {
    "key": text(r"[A-Za-z0-9._-]{1,64}/close", "a key of the form <batch>/close"),
    "terminal": NAME,
    "epoch": _EPOCH,
    "batch": _EPOCH,
    "attempt": _EPOCH,
    "first_sequence": _SEQUENCE,
    "last_sequence": _SEQUENCE,
    "records": _COUNT,
    "open": listed(_SEQUENCE, MOST_SEQUENCES),
    "quarantined": listed(_SEQUENCE, MOST_SEQUENCES),
    "totals": listed(nested(TOTAL), 1000),
    "empty": _COUNT,
}


def verify_batch(message: dict[str, Any], terminal: str, batch: str) -> None:
    """Shape, and what its fields and the path must say of each other. Raises ``Refusal``."""
    verify(message, BATCH, "")
    first, last = message["first_sequence"], message["last_sequence"]

    def demand(good: bool, why: str) -> None:
        if not good:
            raise Refusal(400, "bad_request", why)

    demand(message["terminal"] == terminal, "terminal: differs from the path's")
    demand(str(message["batch"]) == batch, "batch: differs from the path's")
    expected = f"{message['terminal']}-{message['epoch']}-B{message['batch']}.{message['attempt']}/close"
    demand(message["key"] == expected, "key: <terminal>-<epoch>-B<batch>.<attempt>/close is expected")
    demand(first <= last, "last_sequence: not below first_sequence is expected")
    for name in ("open", "quarantined"):
        row = message[name]
        inside = not row or first <= row[0] <= row[-1] <= last
        demand(inside and row == sorted(set(row)), f"{name}: rising sequences of the batch are expected")
    demand(not set(message["open"]) & set(message["quarantined"]), "quarantined: what is open has not ended")
    demand(message["records"] == last - first + 1 - len(message["open"]), "records: as many as have ended are expected")
    order = [(row["product"] or "", row["decided_by"]) for row in message["totals"]]
    demand(order == sorted(set(order)), "totals: one row for each product and decided_by, in their order, is expected")
