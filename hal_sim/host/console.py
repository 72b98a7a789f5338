"""``python -m hal_sim host``: serve, and talk to the host that runs on a folder.

Source: firmware_notes/host-command.md. Exit codes: 0 done, 1 refused or no host, 2 not understood.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click

from hal_sim.host.desk import FAULTS, NoHost, ask
from hal_sim.host.folder import CannotServe
from hal_sim.host.standalone import Standalone, Wishes

Fields = dict[str, Any]
Command = Callable[..., None]
EXAMPLES = """
\b
Examples:
  python -m hal_sim host serve --book /var/tmp/fleet --listen 192.168.1.10:8443
  export FLEET_HOST_BOOK=/var/tmp/fleet
  python -m hal_sim host block card 04A1B2C3D4E580
  python -m hal_sim host block range 7001000000000000000 7001999999999999999
  python -m hal_sim host publish
  python -m hal_sim host price GAZOLE 1.799
  python -m hal_sim host correct OPT1-1-42 refund --quantity-ml 5000 --value-minor 865 --why "spilt"
  python -m hal_sim host close fuelling-point 2 --why "hose"
  python -m hal_sim host fault flapping 3000/2000
  python -m hal_sim host restore
  sqlite3 /var/tmp/fleet/book.db "select * from sale"
"""
_BOOK = click.option(
    "--book",
    "folder",
    required=True,
    envvar="FLEET_HOST_BOOK",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the host: keys, certificates, book.db. Also FLEET_HOST_BOOK.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="JSON instead of lines for people.")
_WHY = click.option("--why", default="", help="Reason, at most 200 characters; the terminal keeps it.")


@click.group(epilog=EXAMPLES, help="A fleet-card host for trying a terminal: it survives, and it can be made to misbehave.")
def host() -> None:
    """The host's commands."""


@host.command(help="Serve until Ctrl-C. The first time it makes keys and certificates in the folder, and never again.")
@_BOOK
@click.option(
    "--scenario", type=click.Path(dir_okay=False, path_type=Path), help="TOML or JSON, for the first start; else a small example."
)
@click.option("--listen", default="127.0.0.1:8443", show_default=True, metavar="ADDRESS:PORT", help="Port 0 takes a free one.")
@click.option("--name", "names", multiple=True, help="A further name or address of this host in its certificate. May be repeated.")
@_JSON
def serve(folder: Path, scenario: Path | None, listen: str, names: tuple[str, ...], as_json: bool) -> None:
    """Run until a signal."""
    address, port = _listen(listen)
    try:
        Standalone(Wishes(folder, scenario, address, port, names, as_json)).run()
    except CannotServe as error:
        raise click.ClickException(str(error)) from error


def _listen(text: str) -> tuple[str, int]:
    address, _, port = text.rpartition(":")
    if not address or not (port.isascii() and port.isdigit()) or int(port) > 65535 or ":" in address:
        raise click.UsageError("--listen is ADDRESS:PORT, such as 0.0.0.0:8443 (IPv4 or a name)")
    return address, int(port)


# --- talking to it ----------------------------------------------------------------------------------------------------


def _asked(folder: Path, request: Fields) -> Fields:
    try:
        answer = ask(folder, request)
    except NoHost as error:
        raise click.ClickException(str(error)) from error
    if "error" in answer:
        raise click.ClickException(str(answer["error"]))
    return answer


def _do(folder: Path, name: str, /, **fields: Any) -> None:
    """Has the office do something, and says what came of it."""
    answer = _asked(folder, {"do": name} | {key: value for key, value in fields.items() if value is not None})
    click.echo(" ".join([f"{name}:", *(f"{key}={value}" for key, value in answer.items())]))


def _command(group: click.Group, name: str, about: str) -> Callable[[Command], click.Command]:
    """A subcommand with ``--book``."""

    def decorate(function: Command) -> click.Command:
        @functools.wraps(function)
        def call(folder: Path, **rest: Any) -> None:
            function(folder, **rest)

        return group.command(name, help=about)(_BOOK(call))

    return decorate


@host.group(help="Deny a card, a customer or a range of numbers: online and pushed at once, in lists with the next publish.")
def block() -> None:
    """Blocks."""


@host.group(help="Lift a block, in the way in which it was made.")
def unblock() -> None:
    """Lifts."""


def _word(group: click.Group, name: str) -> None:
    @_command(group, "card", "A card by its number, or every card of an account.")
    @click.argument("number")
    def card(folder: Path, number: str) -> None:
        _do(folder, name, card=number)

    @_command(group, "customer", "A customer, by name.")
    @click.argument("customer")
    def customer(folder: Path, customer: str) -> None:
        _do(folder, name, customer=customer)

    @_command(group, "range", "Numbers FIRST to LAST, of the same length.")
    @click.argument("first")
    @click.argument("last")
    def numbers(folder: Path, first: str, last: str) -> None:
        _do(folder, name, range=[first, last])


_word(block, "block")
_word(unblock, "unblock")


@_command(host, "publish", "Publish the card list as of now.")
@click.option("--confirm-shrink", is_flag=True, help="It is meant that the list has less than half the rows.")
def publish(folder: Path, confirm_shrink: bool) -> None:
    """A new version."""
    _do(folder, "publish", confirm_shrink=confirm_shrink)


@_command(host, "price", "A new price per litre, such as 1.799, for every nozzle of the product, or for fewer.")
@click.argument("product")
@click.argument("price")
@click.option("--at", metavar="INSTANT", help="In force from then on, such as 2026-04-01T06:00:00+02:00; without it at once.")
@click.option("--fuelling-point", type=click.IntRange(1), help="There alone.")
@click.option("--nozzle", type=click.IntRange(1), help="Of that fuelling point, this one alone.")
@click.option("--confirm-jump", is_flag=True, help="It is meant that the price moves so far.")
@click.option("--version", type=click.IntRange(1), help="Under this version in place of the next one.")
@click.option("--unchecked", is_flag=True, help="Say it even if it cannot be, as a host does that is wrong.")
def price(
    folder: Path,
    product: str,
    price: str,
    at: str | None,
    fuelling_point: int | None,
    nozzle: int | None,
    confirm_jump: bool,
    version: int | None,
    unchecked: bool,
) -> None:
    """Host's prices."""
    try:
        exact = Decimal(price) * 10_000
    except InvalidOperation:
        exact = Decimal("NaN")
    if not exact.is_finite() or exact != int(exact) or exact < 0 or not re.fullmatch(r"[0-9.]+", price):
        raise click.UsageError("PRICE is per litre, with a point and at most four decimals: 1.799")
    more = {"fuelling_point": fuelling_point, "nozzle": nozzle, "version": version, "starts_at_ms": None if at is None else _instant(at)}
    more = {name: value for name, value in more.items() if value is not None}
    _do(folder, "price", product=product, price=int(exact), confirm_jump=confirm_jump, checked=not unchecked, **more)


def _instant(text: str) -> int:
    try:
        found = datetime.fromisoformat(text)
        known = found.tzinfo is not None
    except ValueError:
        known = False
    if not known:
        raise click.UsageError("INSTANT is as 2026-04-01T06:00:00+02:00, with its zone")
    return int(found.timestamp() * 1000)


@_command(host, "odometer", "Another odometer in a card's vehicle, with the next publish.")
@click.argument("card")
@click.argument("reading", type=click.IntRange(0))
def odometer(folder: Path, card: str, reading: int) -> None:
    """An exchanged instrument."""
    _do(folder, "odometer", card=card, reading=reading)


@_command(host, "unlock-pin", "Fresh tries for a card's PIN, with the next publish.")
@click.argument("card")
def unlock_pin(folder: Path, card: str) -> None:
    """A new PIN epoch."""
    _do(folder, "unlock_pin", card=card)


@_command(host, "correct", "Correct a sale: cancel; refund or settle with both amounts; amend with a card, prompts or both.")
@click.argument("sale")
@click.argument("kind", type=click.Choice(["cancel", "refund", "settle", "amend"]))
@click.option("--quantity-ml", type=click.IntRange(0), help="Millilitres given back, or settled.")
@click.option("--value-minor", type=click.IntRange(0), help="Minor units given back, or settled.")
@click.option("--card", help="Number of the card whose sale it is from now on.")
@click.option("--prompt", "prompts", multiple=True, metavar="NAME=TEXT", help="Another answer. May be repeated.")
@_WHY
def correct(folder: Path, sale: str, kind: str, **fields: Any) -> None:
    """A new entry, never an edit."""
    fields["prompts"] = list(fields["prompts"]) or None
    _do(folder, "correct", sale=sale, kind=kind, **fields)


@_command(host, "close", "Close the site, a product or a fuelling point: nothing new is armed there.")
@click.argument("scope", type=click.Choice(["site", "product", "fuelling-point"]))
@click.argument("name", default="")
@_WHY
def close(folder: Path, scope: str, name: str, why: str) -> None:
    """A closing."""
    _do(folder, "close", scope=scope.replace("-", "_"), name=name, why=why)


@_command(host, "open", "Open it again.")
@click.argument("scope", type=click.Choice(["site", "product", "fuelling-point"]))
@click.argument("name", default="")
@_WHY
def open_(folder: Path, scope: str, name: str, why: str) -> None:
    """The end of a closing."""
    _do(folder, "open", scope=scope.replace("-", "_"), name=name, why=why)


@_command(host, "order", "Order the terminal to stop a fuelling point, to hold a fault for seen, or to reset the emergency stop.")
@click.argument("order", type=click.Choice(["stop-point", "acknowledge-fault", "reset-emergency-stop"]))
@click.option("--by", required=True, help="Who gives the order.")
@click.option("--fp", "fuelling_point", type=click.IntRange(1), help="The fuelling point that is stopped.")
@click.option("--code", help="The fault.")
@click.option("--subject", help="What the fault is about, as the terminal's state has it.")
@_WHY
def order_(folder: Path, order: str, **fields: Any) -> None:
    """An order."""
    _do(folder, "order", order=order.replace("-", "_"), **fields)


@_command(host, "confirm-ledger", "Take the terminal's ledger as it is, although it was found to be an older copy.")
@_WHY
def confirm_ledger(folder: Path, why: str) -> None:
    """PINs are checked at that terminal again."""
    _do(folder, "confirm_ledger", why=why)


@_command(host, "share", "Another share of a shared limit for this terminal, with the next publish.")
@click.argument("kind", type=click.Choice(["card", "customer"]))
@click.argument("subject")
@click.argument("period", type=click.Choice(["DAY", "MONTH"]))
@click.argument("measure", type=click.Choice(["QUANTITY", "VALUE", "COUNT"]))
@click.argument("amount", type=click.IntRange(0))
@click.option("--product", "products", multiple=True, help="Of the limit on these products. May be repeated.")
def share(folder: Path, kind: str, subject: str, products: tuple[str, ...], **fields: Any) -> None:
    """A share."""
    _do(folder, "share", **{kind: subject}, products=list(products) or None, **fields)


@_command(host, "new-lists", "Begin a new epoch of lists, as a host does that restored its data.")
@click.argument("epoch")
def new_lists(folder: Path, epoch: str) -> None:
    """Version 1 of another epoch."""
    _do(folder, "restart_lists", epoch=epoch)


@_command(host, "lose", "Forget a booked sale that was acknowledged, as if it had never come: reconciliation has to find it.")
@click.argument("sale")
def lose(folder: Path, sale: str) -> None:
    """A host that is wrong."""
    _do(folder, "lose", sale=sale)


@_command(host, "misbook", "Have another volume in a booked sale than came: reconciliation has to find it.")
@click.argument("sale")
@click.argument("quantity_ml", type=click.IntRange(1))
def misbook(folder: Path, sale: str, quantity_ml: int) -> None:
    """A host that is wrong."""
    _do(folder, "misbook", sale=sale, quantity_ml=quantity_ml)


# --- looking ----------------------------------------------------------------------------------------------------------


def _show(value: Any, as_json: bool, lines: Callable[[Any], list[str]]) -> None:
    for line in [json.dumps(value)] if as_json else lines(value):
        click.echo(line)


@_command(host, "sales", "The booked sales with a volume.")
@click.option("--last", default=0, type=click.IntRange(0), help="Only the newest so many.")
@_JSON
def sales(folder: Path, last: int, as_json: bool) -> None:
    """Sales, in the order of their arrival."""

    def lines(rows: list[Fields]) -> list[str]:
        return [
            f"{row['sale']:<16} {row['ended_at']}  fp {row['fuelling_point']}  {row['product']}  {row['quantity_ml']} ml"
            f"  {row['value_minor']}  …{row['card']['last4']}  {row['customer'] or '-'}"
            f"  {row['decided_by']}  {','.join(row['flags']) or 'ok'}"
            for row in rows
        ]

    _show(_asked(folder, {"do": "sales", "last": last})["sales"], as_json, lines)


@_command(host, "state", "How the host stands, and what the terminal last said of itself.")
@_JSON
def state(folder: Path, as_json: bool) -> None:
    """One page."""
    _show(_asked(folder, {"do": "state"})["state"], as_json, lambda found: [f"{name:<20} {_flat(value)}" for name, value in found.items()])


@_command(host, "open-authorizations", "Approvals without a record or a reversal.")
@_JSON
def open_authorizations(folder: Path, as_json: bool) -> None:
    """Holds."""

    def lines(rows: list[Fields]) -> list[str]:
        return [f"{row['sale']:<16} since {row['since']}  {row['quantity_ml']} ml  {row['value_minor']}  {row['customer']}" for row in rows]

    _show(_asked(folder, {"do": "open_authorizations"})["open"], as_json, lines)


@_command(host, "missing", "Numbers of sales without a record: those heard of, and the gaps below them.")
@_JSON
def missing(folder: Path, as_json: bool) -> None:
    """Gaps."""
    _show(
        _asked(folder, {"do": "missing"})["missing"], as_json, lambda rows: [f"epoch {epoch}  sequence {number}" for epoch, number in rows]
    )


def _flat(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict | list) else "-" if value is None else str(value)


# --- faults -----------------------------------------------------------------------------------------------------------

_KNOWN = "\n".join(
    ["\b", "Faults, on until `faults off` (several at once are possible):", *(f"  {n:<13} {f.means}" for n, f in FAULTS.items())]
)


@host.command("fault", epilog=_KNOWN, help="Misbehave in one way from now on.")
@click.argument("name", type=click.Choice(list(FAULTS)))
@click.argument("value", default="")
@_BOOK
def fault(folder: Path, name: str, value: str) -> None:
    """One fault on."""
    click.echo(f"fault {name}: {_asked(folder, {'do': 'fault', 'name': name, 'value': value})['means']}")


@_command(host, "faults", "faults off: behave again in every way. Faults end with the host, too.")
@click.argument("off", type=click.Choice(["off"]))
def faults(folder: Path, off: str) -> None:
    """All off."""
    _do(folder, "restore")


@_command(host, "restore", "The same as faults off: reachable, quick and right again.")
def restore(folder: Path) -> None:
    """All off."""
    _do(folder, "restore")
