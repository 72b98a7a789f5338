"""What an office does to a kept book: commands with checked fields, as they are obeyed, kept and played again.

Source: firmware_notes/host-command.md, "Commands". A card number is only ever needed to find its token, and the book keeps it sealed with
the card key; a range of numbers is what the contract itself keeps in clear. An error never repeats what was given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hal_sim.arguments import Arguments, Refused
from hal_sim.host.book import HostBook
from hal_sim.host.controls import KINDS, ORDERS
from hal_sim.host.report_messages import SCOPES

LONGEST_WHY = 200
Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Control:
    """One command and its fields. ``card`` is a number in clear and stays out of the repr."""

    name: str
    fields: Fields = field(repr=False)

    @staticmethod
    def read(name: str, request: Fields) -> Control:
        """A request with ``do``, checked. Raises ``Refused``."""
        args = Arguments(request)
        fields = OFFICE[name].read(args)
        args.nothing_else()
        return Control(name, fields)

    def sealed(self, seal: Callable[[str], dict[str, str]]) -> Fields:
        """The fields as they are kept."""
        return self.fields | {"card": seal(self.fields["card"])} if "card" in self.fields else self.fields

    @staticmethod
    def unsealed(name: str, kept: Fields, opened: Callable[[dict[str, str]], str]) -> Control:
        """The command again from what was kept."""
        return Control(name, kept | {"card": opened(kept["card"])} if "card" in kept else kept)


@dataclass(frozen=True, slots=True)
class Duty:
    """How a command's fields are read, and how it is done. ``act`` raises ``ValueError`` for what cannot be, with nothing changed."""

    read: Callable[[Arguments], Fields]
    act: Callable[[HostBook, Fields], Fields]


def obey(book: HostBook, control: Control) -> Fields:
    """Does it and says what came of it; the same for the same book at the same instant."""
    return OFFICE[control.name].act(book, control.fields)


# --- fields -----------------------------------------------------------------------------------------------------------


def _subject(args: Arguments) -> Fields:
    given = [name for name in ("card", "customer", "range") if args.has(name)]
    if len(given) != 1:
        raise Refused("exactly one of card, customer and range is expected")
    if given[0] != "range":
        return {given[0]: _filled(args, given[0])}
    ends = args.texts("range")
    if len(ends) != 2 or not all(end.isascii() and end.isdigit() for end in ends) or len(ends[0]) != len(ends[1]) or ends[0] > ends[1]:
        raise Refused("a range is two numbers of the same length, the smaller one first")
    return {"range": ends}


def _filled(args: Arguments, name: str, longest: int = 64) -> str:
    text = args.text(name)
    if not 1 <= len(text) <= longest:
        raise Refused(f"{name} has 1 to {longest} characters")
    return text


def _amount(args: Arguments, name: str) -> int | None:
    return args.whole(name) if args.has(name) else None


def _chosen(args: Arguments, name: str, known: tuple[str, ...]) -> str:
    text = args.text(name)
    if text not in known:
        raise Refused(f"{name} is one of {', '.join(known)}")
    return text


def _correction(args: Arguments) -> Fields:
    fields: Fields = {"sale": _filled(args, "sale"), "kind": _chosen(args, "kind", KINDS), "why": args.text("why", "")}
    fields |= {"quantity_ml": _amount(args, "quantity_ml"), "value_minor": _amount(args, "value_minor")}
    fields |= {"prompts": _prompts(args)}
    if len(fields["why"]) > LONGEST_WHY:
        raise Refused(f"why has at most {LONGEST_WHY} characters")
    if args.has("card"):
        fields["card"] = _filled(args, "card")
    return fields


def _prompts(args: Arguments) -> dict[str, str]:
    pairs = [each.partition("=") for each in (args.texts("prompts") if args.has("prompts") else [])]
    if not all(sign and name for name, sign, _ in pairs):
        raise Refused("prompts are NAME=TEXT")
    return {name: text for name, _, text in pairs}


def _share(args: Arguments) -> Fields:
    subject = _subject(args)
    if "range" in subject:
        raise Refused("a share is of a card's or a customer's limit")
    fields = {"period": _chosen(args, "period", ("DAY", "MONTH")), "measure": _chosen(args, "measure", ("QUANTITY", "VALUE", "COUNT"))}
    products = args.texts("products") if args.has("products") else None
    return subject | fields | {"amount": args.whole("amount"), "products": products}


def _closing(args: Arguments) -> Fields:
    scope, name, why = _chosen(args, "scope", SCOPES), args.text("name", ""), args.text("why", "")
    if (scope == "site") != (name == ""):
        raise Refused("a product or a fuelling point is named, a site is not")
    if scope == "fuelling_point" and not (name.isascii() and name.isdigit()):
        raise Refused("a fuelling point is a number")
    if len(why) > LONGEST_WHY:
        raise Refused(f"why has at most {LONGEST_WHY} characters")
    return {"scope": scope, "name": name, "why": why}


def _new_price(args: Arguments) -> Fields:
    fields: Fields = {"product": _filled(args, "product"), "price": args.whole("price", high=10**9)}
    for name in ("fuelling_point", "nozzle", "starts_at_ms", "version"):
        if args.has(name):
            fields[name] = args.whole(name, low=1, high=2**53 - 1)
    if "nozzle" in fields and "fuelling_point" not in fields:
        raise Refused("a nozzle is one of a fuelling point, which is named too")
    return fields | {"confirm_jump": args.flag("confirm_jump", False), "checked": args.flag("checked", True)}


# --- deeds ------------------------------------------------------------------------------------------------------------


def _where(fields: Fields) -> Fields:
    numbers = fields.get("range")
    return {"card": fields.get("card"), "customer": fields.get("customer"), "numbers": None if numbers is None else tuple(numbers)}


def _block(book: HostBook, fields: Fields) -> Fields:
    book.block(**_where(fields))
    return _after_word(book, fields)


def _unblock(book: HostBook, fields: Fields) -> Fields:
    book.unblock(**_where(fields))
    return _after_word(book, fields)


def _after_word(book: HostBook, fields: Fields) -> Fields:
    # Whose it is without the number: its last four characters.
    shown = {"last4": fields["card"][-4:]} if "card" in fields else dict(fields)
    return shown | {"in_list": book.list_version + 1}


def _publish(book: HostBook, fields: Fields) -> Fields:
    version = book.publish(confirm_shrink=fields["confirm_shrink"])
    return {"list_version": version, "rows": len(book.shelf.newest.lines), "content_hash": book.shelf.newest.content_hash}


def _price(book: HostBook, fields: Fields) -> Fields:
    more = {name: value for name, value in fields.items() if name not in ("product", "price")}
    event = book.change_price(fields["product"], fields["price"], **more)
    return fields | {"event": event, "version": book.price_changes()[-1].version}


def _unlock_pin(book: HostBook, fields: Fields) -> Fields:
    book.unlock_pin(fields["card"])
    return {"last4": fields["card"][-4:], "in_list": book.list_version + 1}


def _correct(book: HostBook, fields: Fields) -> Fields:
    rest = {name: value for name, value in fields.items() if name not in ("sale", "kind")}
    return {"correction": book.correct(fields["sale"], fields["kind"], **rest), "sale": fields["sale"], "kind": fields["kind"]}


def _close(book: HostBook, fields: Fields) -> Fields:
    return {"event": book.close(**fields), "scope": fields["scope"], "name": fields["name"]}


def _open(book: HostBook, fields: Fields) -> Fields:
    return {"event": book.open(**fields), "scope": fields["scope"], "name": fields["name"]}


def _ordered(args: Arguments) -> Fields:
    fields: Fields = {"order": _chosen(args, "order", tuple(ORDERS)), "by": _filled(args, "by"), "why": args.text("why", "")}
    fields["fuelling_point"] = args.whole("fuelling_point", low=1) if args.has("fuelling_point") else None
    return fields | {name: _filled(args, name) if args.has(name) else None for name in ("code", "subject")}


def _order(book: HostBook, fields: Fields) -> Fields:
    return {"event": book.order(**fields), "order": fields["order"]}


def _confirm_ledger(book: HostBook, fields: Fields) -> Fields:
    return {"event": book.confirm_ledger(fields["why"])}


def _set_share(book: HostBook, fields: Fields) -> Fields:
    kind = "card" if "card" in fields else "customer"
    book.share({kind: fields[kind]}, fields["period"], fields["measure"], fields["amount"], fields["products"])
    return {"amount": fields["amount"], "in_list": book.list_version + 1}


def _odometer(book: HostBook, fields: Fields) -> Fields:
    book.odometer(fields["card"], fields["reading"])
    return {"last4": fields["card"][-4:], "in_list": book.list_version + 1}


def _lose(book: HostBook, fields: Fields) -> Fields:
    book.lose(fields["sale"])
    return dict(fields)


def _misbook(book: HostBook, fields: Fields) -> Fields:
    book.misbook(fields["sale"], fields["quantity_ml"])
    return dict(fields)


def _restart_lists(book: HostBook, fields: Fields) -> Fields:
    book.restart_lists(fields["epoch"])
    return {"epoch": book.list_epoch, "list_version": book.list_version}


def _busy(book: HostBook, fields: Fields) -> Fields:
    book.busy = fields["on"]
    return dict(fields)


OFFICE: dict[str, Duty] = {
    "block": Duty(_subject, _block),
    "unblock": Duty(_subject, _unblock),
    "publish": Duty(lambda args: {"confirm_shrink": args.flag("confirm_shrink", False)}, _publish),
    "price": Duty(_new_price, _price),
    "unlock_pin": Duty(lambda args: {"card": _filled(args, "card")}, _unlock_pin),
    "restart_lists": Duty(lambda args: {"epoch": _filled(args, "epoch", 32)}, _restart_lists),
    "correct": Duty(_correction, _correct),
    "close": Duty(_closing, _close),
    "open": Duty(_closing, _open),
    "order": Duty(_ordered, _order),
    "confirm_ledger": Duty(lambda args: {"why": args.text("why", "")}, _confirm_ledger),
    "share": Duty(_share, _set_share),
    "odometer": Duty(lambda args: {"card": _filled(args, "card"), "reading": args.whole("reading", high=10**10)}, _odometer),
    "lose": Duty(lambda args: {"sale": _filled(args, "sale")}, _lose),
    "misbook": Duty(lambda args: {"sale": _filled(args, "sale"), "quantity_ml": args.whole("quantity_ml", low=1)}, _misbook),
    "busy": Duty(lambda args: {"on": args.flag("on")}, _busy),
}
