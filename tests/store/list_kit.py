"""Card lists by hand: rows as a host sends them, the files that travel, the jobs that build card files, and deltas. Written after
firmware_notes/host-api.md, with nothing of the product's own reading of it."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from terminal.core.card_lists import ListDelta, ListOffer
from terminal.store.card_import import Job, build
from terminal.store.list_rows import read_delta

Row = dict[str, Any]
NOW = 1_774_700_000_000
KEY_FIELDS = {
    "customer": ("customer",),
    "card": ("token",),
    "limit": ("subject", "period", "measure", "products"),
    "balance": ("subject", "kind", "measure", "products"),
    "baseline": ("subject", "window", "measure", "products"),
    "share": ("subject", "window", "measure", "products"),
    "online_only": ("range",),
    "range": ("first", "last"),
    "prompt": ("subject", "prompt"),
    "odometer": ("account",),
    "deny": ("card", "customer", "range"),
    "product": ("product",),
}


def canonical(value: object) -> bytes:
    """Sorted names, no blanks, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def content_hash(rows: Iterable[Row]) -> str:
    """The sum of the rows' SHA-256, modulo 2^256."""
    return f"{sum(int(hashlib.sha256(canonical(row)).hexdigest(), 16) for row in rows) % 2**256:064x}"


def body(rows: list[Row]) -> tuple[bytes, str]:
    """All bytes with the end row, and the hash in it."""
    text = b"".join(canonical(row) + b"\n" for row in rows)
    digest = hashlib.sha256(text).hexdigest()
    return text + canonical({"row": "end", "rows": len(rows), "sha256": digest}) + b"\n", digest


def job(folder: Path, content: list[Row], version: int = 1, *, packed: bool = True, epoch: str = "e1", **changes: Any) -> Job:
    """The list in a file, and the job that builds it; ``changes`` are to what was announced, ``data`` to what is in the file."""
    text, digest = body(content)
    data: bytes = changes.pop("data", gzip.compress(text) if packed else text)
    source = folder / f"{epoch}-{version}.download"
    source.write_bytes(data)
    target = folder / f"cards-{epoch}-{version}.db"
    whole = Job(str(source), str(target), epoch, version, len(content), len(text), digest, content_hash(content), NOW + version)
    return msgspec.structs.replace(whole, **changes)


def made(folder: Path, rows: list[Row], version: int = 1, epoch: str = "e1") -> Path:
    """The card file of these rows."""
    work = job(folder, rows, version, epoch=epoch)
    build(work)
    Path(work.source).unlink()
    return Path(work.target)


def identity(row: Row) -> Row:
    """What the row is known by."""
    return {name: row[name] for name in KEY_FIELDS[row["row"]] if name in row}


def by_key(rows: Iterable[Row]) -> dict[bytes, Row]:
    """Rows by what they are known by."""
    return {canonical([row["row"], identity(row)]): row for row in rows}


def removal(row: Row) -> Row:
    """The row of a delta that takes this one away."""
    return {"row": "remove", "kind": row["row"], "key": identity(row)}


def delta(base: int, old: list[Row], new: list[Row], epoch: str = "e1", **changes: Any) -> ListDelta:
    """The changes from one list to the other, read as the terminal reads them; ``changes`` are to what was announced."""
    before, after = by_key(old), by_key(new)
    lines = [removal(row) for key, row in before.items() if key not in after]
    lines += [row for key, row in after.items() if before.get(key) != row]
    text, digest = body(lines)
    ops, products = read_delta(text.split(b"\n")[:-1], digest)
    offer = ListOffer(epoch, base + 1, len(after), content_hash(new), NOW + base + 1, NOW * 2, False)
    return ListDelta(base, replace(offer, **changes), digest, ops, products)


# --- rows -------------------------------------------------------------------------------------------------------------------


def product(name: str = "DIESEL", restricted: bool = False) -> Row:
    """A product."""
    return {"row": "product", "product": name, "restricted": restricted}


def customer(name: str = "carrier", **changes: Any) -> Row:
    """A customer."""
    return {"row": "customer", "customer": name, "status": "active", "offline": "ALLOWED", "zone": None, **changes}


def card(token: str, **changes: Any) -> Row:
    """A card with nothing particular to it."""
    return {
        "row": "card", "token": token, "account": token, "customer": None, "medium": "badge", "status": "active", "valid_from": None,
        "valid_to": None, "pin": None, "products": None, "offline": "ALLOWED", "prompts": [], "tank_ml": None, "sites": None, "hours": None,
        "pair": None, "language": None, "last4": "0123", **changes,
    }  # fmt: skip


def limit(
    subject: dict[str, str], amount: int = 100, period: str = "DAY", measure: str = "QUANTITY", products: list[str] | None = None
) -> Row:
    """A limit."""
    return {"row": "limit", "subject": subject, "period": period, "measure": measure, "amount": amount, "products": products}


def deny(**named: Any) -> Row:
    """A deny row."""
    return {"row": "deny", **named}
