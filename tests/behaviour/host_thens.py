"""The Then steps about what the host knows of its terminal, read from the host's own book.

PYTEST_DONT_REWRITE (there is no bare assert here)
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from tests.behaviour.stage import BOOKS_WAIT_MS, DRIVER_WAIT_MS, Kind, Stage, known


def instant_ms(text: str) -> int:
    """UTC milliseconds of an instant as the host's contract writes it."""
    return int(dt.datetime.fromisoformat(text).timestamp() * 1000)


def host_book(stage: Stage) -> Mapping[str, Any]:
    """The host's book; an empty one in the world where nothing happens (``check``)."""
    return stage.world.host_view() or {"pushed": [], "acks": {}, "records": [], "terminal_state": None}


def _block(stage: Stage) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """The newest block and what the terminal said of it; None while there is no such word or nothing was said."""
    view = host_book(stage)
    word = next((word for word in reversed(view["pushed"]) if "deny" in word and not word["lifted"]), None)
    ack = None if word is None else view["acks"].get(str(word["id"]))
    return None if word is None or ack is None else (word, ack)


def _last_sale(stage: Stage) -> Mapping[str, Any] | None:
    return next((record for record in reversed(host_book(stage)["records"]) if record["quantity_ml"] > 0), None)


@known(Kind.THEN, "the host knows since when the block counts at the terminal")
def _counts_since(stage: Stage) -> None:
    def known_since() -> bool:
        found = _block(stage)
        return found is not None and 0 < found[1]["effective_at_ms"] <= found[1]["received_at_ms"]

    stage.expect(known_since, DRIVER_WAIT_MS, lambda: f"of the newest block the host knows {_block(stage)}")


@known(Kind.THEN, "the last sale was decided {how:before|after} that block counted")
def _decided(stage: Stage, how: str) -> None:
    """By the instant of its authorization, and by the lists that it names: the block is in none before its own."""

    def is_so() -> bool:
        found, sale = _block(stage), _last_sale(stage)
        if found is None or sale is None:
            return False
        word, ack = found
        before = instant_ms(sale["authorized_at"]) < int(ack["effective_at_ms"]) and bool(sale["list_version"] < word["list_version"])
        after = instant_ms(sale["authorized_at"]) >= int(ack["effective_at_ms"])
        return before if how == "before" else after

    def otherwise() -> str:
        sale = _last_sale(stage)
        told = "no sale" if sale is None else f"a sale of {sale['authorized_at']} with lists {sale['list_version']}"
        return f"the host has {told}, and of the newest block {_block(stage)}"

    stage.expect(is_so, BOOKS_WAIT_MS, otherwise)
