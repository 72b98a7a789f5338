"""What a stand-alone host shows of itself, as plain JSON values: sales, holds, and how it stands. No card number is in any of it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from hal_sim.host.messages import instant_text
from hal_sim.host.server import HostServer
from hal_sim.host.sqlite_book import SqliteBook


def sales_view(book: SqliteBook, last: int) -> list[dict[str, Any]]:
    """The sales with a volume, the newest ``last`` of them (0: all), in the order of their arrival."""
    sales = book.sales()
    shown = []
    for sale in sales[-last:] if last else sales:
        card = {"token": sale["card"]["token"], "last4": sale["card"]["last4"]}
        shown.append(sale | {"card": card, "received_at": instant_text(sale["received_at_ms"])})
    return shown


def authorizations_view(book: SqliteBook) -> list[dict[str, Any]]:
    """Approvals without record or reversal."""
    return [
        {
            "sale": each.sale,
            "authorization": each.authorization,
            "customer": each.customer,
            "account": each.account,
            "quantity_ml": each.quantity_ml,
            "value_minor": each.value_minor,
            "since": instant_text(each.instant_ms),
        }
        for each in book.open_authorizations()
    ]


def faults_view(server: HostServer) -> dict[str, Any]:
    """The faults that are on, by field."""
    found: dict[str, Any] = {each.name: getattr(server.faults, each.name) for each in fields(server.faults)}
    found |= {"down": not server.reachable, "flapping": server.flaps, "busy": server.book.busy, "lists": server.book.shelf.fault}
    return {name: value for name, value in found.items() if value}


def state_view(server: HostServer, book: SqliteBook) -> dict[str, Any]:
    """How the host stands, on one page."""
    return {
        "url": server.url,
        "terminal": book.terminal,
        "list_epoch": book.list_epoch,
        "list_version": book.list_version,
        "list_rows": len(book.shelf.newest.lines),
        "sales": sum(1 for entry in book.entries() if entry.record["quantity_ml"] > 0),
        "records": len(book.entries()),
        "open_authorizations": len(book.open_authorizations()),
        "missing": len(book.missing_sequences()),
        "watermark": book.watermark(),
        "prices": {product: price for product, price in book.prices().values()},
        "price_changes": book.price_answers(),
        "closed": [word.data for word in book.closings() if word.data["closed"]],
        "not_acknowledged": [each["correction"] for each in book.corrections() if not each["acknowledged"]],
        "shares": book.shares(),
        "faults": faults_view(server),
        "calls": dict(book.calls),
        "errors": list(server.errors),
        "terminal_state": book.terminal_state,
    }
