"""What can be seen of a running forecourt, as plain JSON values: pumps, display, the host's book, and the two books side by side.

No card number is in any of it: the host's records carry tokens and the last four digits.
"""

from __future__ import annotations

from typing import Any

from hal_sim.clock import monotonic_ms
from hal_sim.dispensers.head import HeadState
from hal_sim.forecourt import Forecourt
from hal_sim.host import HostBook, HostServer
from hal_sim.host.push import Word
from hal_sim.pump_lines import Point


def pump_view(point: Point) -> dict[str, Any]:
    """One fuelling point as it stands. Volumes in ml, amounts in minor units, prices in 1/10000 per litre."""
    head, now = point.head, monotonic_ms()
    head.advance(now)
    volume_ml, amount_minor = head.preset
    return {
        "fp": point.fp,
        "state": HeadState(head.state).name.lower().replace("_", " "),
        "valve": "open" if head.valve_open else "closed",
        "nozzle": head.nozzle_out,
        "delivering": head.delivering,
        "fill_ml": head.fill_ml(now),
        "fill_minor": head.fill_minor(now),
        "totals_ml": {str(nozzle): total for nozzle, total in head.totals_ml(now).items()},
        "preset": {"volume_ml": volume_ml, "amount_minor": amount_minor},
        "allowed": None if head.allowed is None else sorted(head.allowed),
        "prices": {str(nozzle): price for nozzle, price in head.prices.items()},
        "connected": point.position.connected,
        "powered": head.powered,
    }


def pumps_view(court: Forecourt) -> dict[str, Any]:
    """All fuelling points."""
    return {"pumps": [pump_view(court.points[fp]) for fp in sorted(court.points)]}


def display_view(court: Forecourt) -> dict[str, Any]:
    """The four lines, the backlight, and what the driver should not have sent. Raises ValueError without a display."""
    if court.display is None:
        raise ValueError("there is no display")
    return {"lines": list(court.display.lines()), "backlight": court.display.backlight, "faults": court.display.faults[-20:]}


def pictures_view(court: Forecourt, since: int) -> dict[str, Any]:
    """Every picture that the display has shown, from number ``since`` on, and how many there are; ``drawn`` also counts the same one again.

    Raises ValueError without a display.
    """
    if court.display is None:
        raise ValueError("there is no display")
    display = court.display
    return {"count": len(display.pictures), "drawn": display.drawn, "pictures": [list(picture) for picture in display.pictures[since:]]}


def book_view(book: HostBook) -> dict[str, Any]:
    """The host's own book: what it has booked, holds, said unasked and heard of that. The caller holds the book's lock, if it has one."""
    return {
        "sales": book.sales(),
        "records": book.records(),
        "open": [
            {
                "authorization": each.authorization,
                "sale": each.sale,
                "customer": each.customer,
                "quantity_ml": each.quantity_ml,
                "value_minor": each.value_minor,
            }
            for each in book.open_authorizations()
        ],
        "reversals": book.reversals(),
        "missing": [list(each) for each in book.missing_sequences()],
        "conflicts": list(book.conflicts),
        "watermark": book.watermark(),
        "calls": dict(book.calls),
        "refused": [list(each) for each in book.refused],
        "list_version": book.list_version,
        "terminal_state": book.terminal_state,
        "terminal_state_at_ms": book.terminal_state_at_ms,
        "pushed": [word_view(word) for word in book.pushed()],
        "acks": {
            str(event): {"effective_at_ms": ack.effective_at_ms, "received_at_ms": ack.received_at_ms, "refused": ack.refused}
            for event, ack in book.acks.items()
        },
        "applied": applied_view(book),
        "batches": list(book.batches),
        "corrections": book.corrections(),
        "closings": [word_view(word) for word in book.closings()],
        "shares": book.shares(),
        "price_changes": book.price_answers(),
    }


def word_view(word: Word) -> dict[str, Any]:
    """Something that the host said unasked."""
    return word.as_json() | {"event": word.event, "said_at_ms": word.said_at_ms}


def applied_view(book: HostBook) -> list[dict[str, Any]]:
    """The lists that the terminal said it decides by, in the order in which it first said so."""
    return [
        {"epoch": epoch, "version": version, "effective_at_ms": heard.effective_at_ms, "received_at_ms": heard.received_at_ms}
        for (epoch, version), heard in book.applied.items()
    ]


def host_view(server: HostServer) -> dict[str, Any]:
    """The book of a running host, and what went wrong in its own threads."""
    with server.lock:
        return book_view(server.book) | {"errors": list(server.errors)}


def books_view(court: Forecourt, server: HostServer) -> dict[str, Any]:
    """The pumps' totalisers since the start beside what the host has booked, per nozzle; they agree when every sale has arrived."""
    now = monotonic_ms()
    with server.lock:
        booked = server.book.totals()
    rows = []
    for fp in sorted(court.points):
        point = court.points[fp]
        point.head.advance(now)
        for nozzle, product in sorted(point.products.items()):
            host_ml, host_minor, sales = booked.pop((fp, nozzle, product), (0, 0, 0))
            pump_ml = point.head.total_ml(nozzle, now) - point.start_ml[nozzle]
            rows.append(
                {
                    "fp": fp,
                    "nozzle": nozzle,
                    "product": product,
                    "pump_ml": pump_ml,
                    "host_ml": host_ml,
                    "host_minor": host_minor,
                    "sales": sales,
                }
            )
    strangers = [{"fp": fp, "nozzle": n, "product": p, "host_ml": ml} for (fp, n, p), (ml, _, _) in booked.items() if ml > 0]
    return {"books": rows, "strangers": strangers, "agree": not strangers and all(row["pump_ml"] == row["host_ml"] for row in rows)}
