"""What must always be true, and what must be true when everything is whole again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from drivers.commands import AuthorizeFuellingPoint, ConfirmFill
from hal_sim.dispensers.head import Head, HeadState
from hal_sim.dispensers.hydraulics import amount_of
from hal_sim.host.book import HostBook
from terminal.core import records as r
from terminal.core.account_book import AccountBook, UseState
from terminal.core.effects import AskHost, Effect, Send
from terminal.core.pin import PinEntry
from terminal.core.point_config import PointState
from terminal.core.sale import OPEN_STATES, SaleState
from terminal.core.session import SessionState
from terminal.core.site import ENDED_KEPT, Recovered, Site
from terminal.store import integrity
from terminal.store.ledger import Ledger
from terminal.store.pin_keys import PinKeys
from terminal.store.recovery import recover
from terminal.store.vault import KeyVault
from tests.simulation.journal_facts import Broken, Facts

FLOWING = (HeadState.AUTHORIZED, HeadState.FILLING)
FINISHED = (HeadState.COMPLETED, HeadState.LIMIT_REACHED)
DEADLINES_BOUND = 60
STALE_DEADLINES_BOUND = 5_000


class WatchedVault(KeyVault):
    """The real keys; notes what every PIN check found, and that the try was on disk before it."""

    facts: Facts

    def __init__(self, token_key: bytes, pin_key: bytes, card_key: bytes, pin_keys: PinKeys | None) -> None:
        super().__init__(token_key, pin_key, card_key, pin_keys)
        self.facts = Facts()
        self.wrong: dict[str, tuple[int, int]] = {}  # account → epoch of its PIN, wrong tries

    def pin_matches(self, rule: Any, account: str, pin: PinEntry) -> bool | None:
        """See ``KeyVault``."""
        epoch, counted = self.facts.tries.get(account, (0, 0))
        known, wrong = self.wrong.get(account, (0, 0))
        wrong = wrong if known == rule.epoch else 0  # a new PIN, or an unlocked one, starts afresh
        if epoch != rule.epoch or counted <= wrong:
            raise Broken("PIN try counted first", f"{wrong} wrong tries, {counted} on disk, and one more is compared")
        right = super().pin_matches(rule, account, pin)
        self.wrong[account] = rule.epoch, 0 if right else wrong + 1
        return right

    def check(self, facts: Facts) -> None:
        """Every wrong try since the last right one still counts."""
        for account, (epoch, wrong) in self.wrong.items():
            found = facts.tries.get(account, (epoch, 0))
            if found[0] == epoch and found[1] < wrong:
                raise Broken("PIN tries kept", f"{wrong} wrong tries, {found[1]} in the ledger")


# --- after every step -------------------------------------------------------------------------------------------------------


def check_sending(effect: Effect, facts: Facts) -> None:
    """Write, then act: what leaves stands on what is durable."""
    if isinstance(effect, AskHost):
        if effect.sale not in facts.sales:
            raise Broken("sale exists", f"the host is asked about {effect.sale}, which is not in the ledger")
    elif isinstance(effect, Send):
        command = effect.command
        sale = facts.released.get(command.fp) if isinstance(command, AuthorizeFuellingPoint | ConfirmFill) else None
        if isinstance(command, AuthorizeFuellingPoint) and sale is None:
            raise Broken("released after commit", f"fp {command.fp} is told to release without a released sale in the ledger")
        if isinstance(command, ConfirmFill) and sale is not None:
            raise Broken("erased after commit", f"fp {command.fp} is told to forget its fill and {sale} is not ended")


def check_pump(fp: int, head: Head, facts: Facts, now: int, overrun_ml: int) -> None:
    """A valve is open for a released and unended sale only, and no more flows than its preset."""
    if head.state not in FLOWING or not head.powered:
        return
    sale = facts.released.get(fp)
    if sale is None:
        raise Broken("released after commit", f"fp {fp} is {head.state.name} and the ledger has no released, open sale for it")
    released = facts.sales[sale].released
    if released is not None and head.valve_open:
        flowed = head.flowed_ml(now)
        check_preset(sale, released, flowed, amount_of(flowed, released.price), overrun_ml)


def check_preset(sale: str, released: r.SaleReleased, volume_ml: int, amount_minor: int, overrun_ml: int) -> None:
    """Not more than was allowed."""
    over = amount_of(overrun_ml, released.price) + 1 if overrun_ml else 0
    if released.preset_ml is not None and volume_ml > released.preset_ml + overrun_ml:
        raise Broken("preset", f"{sale}: {volume_ml} ml of {released.preset_ml}")
    if released.preset_minor is not None and amount_minor > released.preset_minor + over:
        raise Broken("preset", f"{sale}: {amount_minor} of {released.preset_minor}")
    if released.preset_ml is None and released.preset_minor is None:
        raise Broken("preset", f"{sale} is released without one")


def check_memory(site: Site, running: int, stale: int) -> None:
    """Nothing grows without bound."""
    kept = len(site.desk.sales)
    if kept > ENDED_KEPT + 1 and kept > ENDED_KEPT + 1 + sum(one.state in OPEN_STATES for one in site.desk.sales.values()):
        raise Broken("memory", f"{kept} sales in memory")
    if running > DEADLINES_BOUND or stale > STALE_DEADLINES_BOUND:
        raise Broken("memory", f"{running} deadlines run, {stale} entries in their heap")
    if site.desk.inner or site.desk.effects:
        raise Broken("step ends", "internal events or effects are left behind a step")


def check_denied(site: Site) -> None:
    """Behind a step nobody who is denied here waits at a pump, and nobody who stands at the terminal is."""
    for one in site.desk.sales.values():
        if one.state is SaleState.AUTHORIZED and site.lists.why_denied(one.card.token, one.customer) is not None:
            raise Broken("deny", f"{one.id} is armed and denied")
    for session in site.sessions.values():
        if session.state in (SessionState.PIN, SessionState.PROMPTS, SessionState.CHOOSING, SessionState.AUTHORIZING):
            if site.lists.deny.card(session.token):
                raise Broken("deny", f"a denied driver is served at side {session.side}")


def _untold(site: Site, book: HostBook) -> str:
    """What the host has said and is not in force here, or not acknowledged: behind a start the stream comes back later than the pumps."""
    missing = [word.id for word in book.pushed() if word.id not in book.acks]
    if missing:
        return f"event {missing[0]} is not acknowledged"
    newest, mark = book.shelf.newest, site.link.mark
    if newest.epoch != mark.epoch and newest.issued_ms <= mark.issued_at:
        return ""  # its clock was ahead when it made the list that is live: none of another epoch is believed before that time has come
    return "" if (site.lists.epoch, site.lists.version) == (newest.epoch, newest.version) else "the newest lists are not here"


def check_told(site: Site, book: HostBook) -> None:
    """At rest terminal and host deny the same media and customers, and the host knows since when each word counts."""
    for token in book._world.cards:
        if site.lists.deny.card(token) != (token in book._deny.tokens):
            raise Broken("deny", "terminal and host differ about a card")
    for name in book._world.customers:
        if site.lists.deny.customer(name) != (name in book._deny.customers):
            raise Broken("deny", "terminal and host differ about a customer")
    missing = [word.id for word in book.pushed() if word.id not in book.acks]
    if missing:
        raise Broken("acknowledged", f"event {missing[0]} was never acknowledged")


def check_chain(ledger: Ledger) -> None:
    """SQLite finds its file whole."""
    (word,) = ledger.connection.execute("PRAGMA quick_check").fetchone()
    if word != "ok":
        raise Broken("ledger whole", str(word))


# --- now and then, and at every start -----------------------------------------------------------------------------------------


def check_books(site: Site, ledger: Ledger, facts: Facts, found: Recovered | None = None) -> Recovered:
    """Memory, ledger and this module's own account tell the same of every hold and every sale; what the ledger remembers.

    ``found``: what was just read of the ledger, which nobody has written to since.
    """
    book = {use.sale: (use.quantity_ml, use.value_minor) for use in site.desk.book.snapshot() if use.state is not UseState.DELIVERED}
    if book != facts.held():
        raise Broken("holds", f"book {_apart(book, facts.held())} ledger")
    if found is None:
        found = recover(ledger, site.config.rules.terminal, site.boot_id)
    if site.desk.book != AccountBook(found.uses):
        raise Broken("account book", "the book in memory and the one rebuilt from the ledger differ")
    delivered = {use.sale: use.quantity_ml for use in site.desk.book.snapshot() if use.state is UseState.DELIVERED}
    counted = {sale: one.counted() for sale, one in facts.sales.items() if one.delivered is not None}
    wanted = {sale: one.quantity_ml for sale, one in counted.items() if one.quantity_ml or one.value_minor}
    if delivered != wanted:
        raise Broken("account book", f"book {_apart(delivered, wanted)} journal")
    if found.minting.next_sequence != facts.last_sequence + 1 or site.teller.minting.next_sequence != facts.last_sequence + 1:
        raise Broken("sequence", f"next is {site.teller.minting.next_sequence}, the ledger's last {facts.last_sequence}")
    unwritten = len(site.uploads.acknowledged)
    if found.waiting != site.uploads.waiting + unwritten:
        here = f"{site.uploads.waiting} messages wait and {unwritten} acknowledgements are not written"
        raise Broken("outbox", f"{here}, {found.waiting} messages are in the ledger")
    _check_deny_book(site, found)
    open_now = sorted(one.id for one in site.desk.sales.values() if one.state in OPEN_STATES)
    if open_now != sorted(facts.held()):
        raise Broken("open sales", f"memory has {open_now}, the ledger {sorted(facts.held())}")
    for point in site.points.values():
        if point.sale is not None and point.sale not in site.desk.sales:
            raise Broken("sale exists", f"fp {point.number} holds {point.sale}, which is not there")
    return found


def _check_deny_book(site: Site, found: Recovered) -> None:
    push = site.push
    if {entry.subject: entry for entry in found.denies} != push.book.entries:
        raise Broken("deny book", "the denies in memory and those rebuilt from the ledger differ")
    if (found.last_event, found.unacknowledged) != (push.last_event, push.unacknowledged):
        raise Broken("deny book", "the stream's place or the acknowledgements in memory are not the ledger's")


def _apart(left: dict[str, Any], right: dict[str, Any]) -> str:
    differing = [sale for sale in sorted(left.keys() | right.keys()) if left.get(sale) != right.get(sale)]
    return ", ".join(f"{sale} {left.get(sale)}≠{right.get(sale)}" for sale in differing)


# --- the end --------------------------------------------------------------------------------------------------------------------


def unsettled(site: Site, ledger: Ledger, book: HostBook) -> str:
    """Why the station is not at rest yet; empty when it is."""
    for point in site.points.values():
        if point.sale is not None or point.state not in (PointState.IDLE, PointState.CALLING) or not point.available:
            return f"fp {point.number} is {point.state.value}, sale {point.sale}"
    for session in site.sessions.values():
        if session.state is not SessionState.IDLE:
            return f"session {session.side} is {session.state.value}"
    if site.prices.book.planned:
        return f"{len(site.prices.book.planned)} price changes are announced"
    (waiting,) = ledger.connection.execute("SELECT count(*) FROM outbox").fetchone()
    if waiting:
        return f"{waiting} messages wait for the host"
    if site.push.unacknowledged or not site.push.up:
        return f"{len(site.push.unacknowledged)} events are not acknowledged, the stream is {'up' if site.push.up else 'down'}"
    open_at_host = len(book.open_authorizations())
    return f"{open_at_host} authorizations are open at the host" if open_at_host else _untold(site, book)


def check_host(facts: Facts, book: HostBook) -> None:
    """The host has every sale exactly once, with the ledger's volume and money, and has never been told anything wrong."""
    refused = [one for one in book.refused if one[0] != 410]  # changes of the lists that are no longer kept: the whole is fetched then
    if refused:
        raise Broken("host refuses", f"{refused[0]}")
    if book.conflicts or facts.quarantined:
        raise Broken("key", f"told twice or refused for good: {(*book.conflicts, *facts.quarantined)[0]}")
    missing = book.missing_sequences()
    if missing:
        raise Broken("sequence", f"the host misses {missing[0]}")
    reversed_ = {reversal["sale"] for reversal in book.reversals()}
    booked: dict[str, tuple[int, int]] = {}
    for record in book.records():
        unused = record["sale"] in book._authorized and record["decided_by"] == "offline"
        if unused and record["sale"] not in reversed_:
            raise Broken("reversal", f"{record['sale']}: approved by the host, decided without it, never reversed")
        if record["sale"] in booked:
            raise Broken("booked once", f"{record['sale']} is booked twice")
        booked[record["sale"]] = (record["quantity_ml"], record["value_minor"])
    ledger = {
        sale: (one.delivered.volume_ml, one.delivered.amount_minor) if one.delivered is not None else (0, 0)
        for sale, one in facts.sales.items()
    }
    if booked != ledger:
        raise Broken("three books", f"host {_apart(booked, ledger)} ledger")


def check_counted(facts: Facts, book: HostBook) -> None:
    """Terminal and host agree what each sale counts and on whom, after every correction."""
    for sale, one in facts.sales.items():
        if one.delivered is None or one.delivered.volume_ml == 0:
            continue
        here, there = one.counted(), book.counted(sale)
        if (here.quantity_ml, here.value_minor) != (there.quantity_ml, there.value_minor):
            raise Broken("corrections", f"{sale} counts {here.quantity_ml} ml here and {there.quantity_ml} ml at the host")
        card = book._world.cards.get(there.card or "")
        unknown = here.customer is None  # it was in no list that the terminal had then; every card of a scenario has a customer
        if card is not None and not unknown and (here.account, here.customer) != (card.account_token, card.customer):
            raise Broken("corrections", f"{sale} counts on different accounts")


def check_verify(path: Path) -> None:
    """The product's own examination of a closed ledger finds nothing wrong."""
    errors = [finding for finding in integrity.verify(path).findings if finding.severity is integrity.Severity.ERROR]
    if errors:
        raise Broken("verify", f"{errors[0].where}: {errors[0].what}")
