"""Commands to the host of a running forecourt: what its office does, what goes wrong with its books, and what it has heard.

The list with examples is in ``firmware_notes/rig.md``. As in ``control``, a command that cannot be obeyed changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hal_sim.arguments import Arguments, Refused
from hal_sim.host import HostBook, HostServer
from hal_sim.host.office import OFFICE
from hal_sim.views import applied_view, word_view

Answer = dict[str, Any]


class HostCommands:
    """Obeys commands on the host's book. ``server`` raises ``Refused`` where there is no host."""

    def __init__(self, server: Callable[[], HostServer]) -> None:
        self._server = server
        self.commands: dict[str, Callable[[Arguments], Answer]] = {
            "block": lambda args: self._blocked(args, blocked=True),
            "unblock": lambda args: self._blocked(args, blocked=False),
            "unlock_pin": self._unlock_pin,
            "price": self._price,
            "publish": self._publish,
            "spoil_lists": self._spoil_lists,
            "correct": self._correct,
            "close": lambda args: self._closing(args, closed=True),
            "open": lambda args: self._closing(args, closed=False),
            "order": self._order,
            "confirm_ledger": self._confirm_ledger,
            "share": self._share,
            "lose": self._lose,
            "odometer": self._odometer,
            "misbook": self._misbook,
            "terminal_state": self._shown(lambda book: {"state": book.terminal_state, "received_at_ms": book.terminal_state_at_ms}),
            "applied": self._shown(lambda book: {"applied": applied_view(book)}),
            "batches": self._shown(lambda book: {"batches": book.batches}),
            "shares": self._shown(lambda book: {"shares": book.shares()}),
            "corrections": self._shown(lambda book: {"corrections": book.corrections()}),
            "closings": self._shown(lambda book: {"closings": [word_view(word) for word in book.closings()]}),
        }

    # --- the office

    def _blocked(self, args: Arguments, *, blocked: bool) -> Answer:
        server = self._server()
        card = args.text("card") if args.has("card") else None
        customer = args.text("customer") if args.has("customer") else None
        publish = args.flag("publish", True)
        args.nothing_else()
        with server.lock:
            if blocked:
                server.book.block(card=card, customer=customer)
            else:
                server.book.unblock(card=card, customer=customer)
            version = server.book.publish() if publish else server.book.list_version
        return {"ok": True, "list_version": version}

    def _unlock_pin(self, args: Arguments) -> Answer:
        server, card = self._server(), args.text("card")
        args.nothing_else()
        with server.lock:
            server.book.unlock_pin(card)
            return {"ok": True, "list_version": server.book.publish()}

    def _odometer(self, args: Arguments) -> Answer:
        server, card, reading = self._server(), args.text("card"), args.whole("reading")
        args.nothing_else()
        with server.lock:
            server.book.odometer(card, reading)
            return {"ok": True, "list_version": server.book.publish()}

    def _price(self, args: Arguments) -> Answer:
        server, duty = self._server(), OFFICE["price"]
        fields = duty.read(args)
        args.nothing_else()
        with server.lock:
            return {"ok": True, **duty.act(server.book, fields)}

    def _publish(self, args: Arguments) -> Answer:
        server = self._server()
        args.nothing_else()
        with server.lock:
            return {"ok": True, "list_version": server.book.publish()}

    def _spoil_lists(self, args: Arguments) -> Answer:
        server, fault = self._server(), args.text("fault")
        args.nothing_else()
        with server.lock:
            server.book.shelf.spoil(fault)
        return {"ok": True, "fault": fault}

    def _correct(self, args: Arguments) -> Answer:
        server, sale, kind, why = self._server(), args.text("sale"), args.text("kind"), args.text("why", "")
        quantity_ml = args.whole("quantity_ml") if args.has("quantity_ml") else None
        value_minor = args.whole("value_minor") if args.has("value_minor") else None
        card = args.text("card") if args.has("card") else None
        name = args.text("correction") if args.has("correction") else None
        prompts, unchecked, publish = args.names("prompts"), args.flag("unchecked", False), args.flag("publish", True)
        args.nothing_else()
        with server.lock:
            book = server.book
            made = book.correct(
                sale,
                kind,
                quantity_ml=quantity_ml,
                value_minor=value_minor,
                card=card,
                prompts=prompts,
                why=why,
                correction=name,
                checked=not unchecked,
            )
            return {"ok": True, "correction": made, "list_version": book.publish() if publish else book.list_version}

    def _closing(self, args: Arguments, *, closed: bool) -> Answer:
        server, scope, name, why = self._server(), args.text("scope"), args.text("name", ""), args.text("why", "")
        args.nothing_else()
        with server.lock:
            event = server.book.close(scope, name, why) if closed else server.book.open(scope, name, why)
        return {"ok": True, "event": event}

    def _order(self, args: Arguments) -> Answer:
        server, order, by, why = self._server(), args.text("order"), args.text("by"), args.text("why", "")
        fp = args.whole("fuelling_point") if args.has("fuelling_point") else None
        code = args.text("code") if args.has("code") else None
        subject = args.text("subject") if args.has("subject") else None
        args.nothing_else()
        with server.lock:
            return {"ok": True, "event": server.book.order(order, by, why, fuelling_point=fp, code=code, subject=subject)}

    def _confirm_ledger(self, args: Arguments) -> Answer:
        why = args.text("why", "")
        args.nothing_else()
        server = self._server()
        with server.lock:
            return {"ok": True, "event": server.book.confirm_ledger(why)}

    def _share(self, args: Arguments) -> Answer:
        server = self._server()
        given = [kind for kind in ("card", "customer") if args.has(kind)]
        if len(given) != 1:
            raise Refused("share: either card or customer is expected")
        subject = {given[0]: args.text(given[0])}
        period, measure, amount = args.text("period"), args.text("measure"), args.whole("amount")
        products = args.texts("products") if args.has("products") else None
        terminal = args.text("terminal") if args.has("terminal") else None
        publish = args.flag("publish", True)
        args.nothing_else()
        with server.lock:
            book = server.book
            book.share(subject, period, measure, amount, products, terminal)
            return {"ok": True, "list_version": book.publish() if publish else book.list_version}

    # --- a host that is wrong

    def _lose(self, args: Arguments) -> Answer:
        server, sale = self._server(), args.text("sale")
        args.nothing_else()
        with server.lock:
            server.book.lose(sale)
        return {"ok": True}

    def _misbook(self, args: Arguments) -> Answer:
        server, sale, quantity_ml = self._server(), args.text("sale"), args.whole("quantity_ml", low=1)
        args.nothing_else()
        with server.lock:
            server.book.misbook(sale, quantity_ml)
        return {"ok": True}

    # --- what it has heard

    def _shown(self, view: Callable[[HostBook], Answer]) -> Callable[[Arguments], Answer]:
        def look(args: Arguments) -> Answer:
            server = self._server()
            args.nothing_else()
            with server.lock:
                return view(server.book)

        return look
