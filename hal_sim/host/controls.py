"""What the host's office may do beyond blocking and publishing: correct a sale, close a place, share a limit; and what goes wrong with it.

Source: firmware_notes/host-api.md, sections "Corrections", "Closings", "Shares" and "Controls".
"""

from __future__ import annotations

from typing import Any

from hal_sim.host.messages import MAX_MINOR, MAX_ML, NAME, SALE, instant_text, prompts, whole
from hal_sim.host.push import Word
from hal_sim.host.records import Entry
from hal_sim.host.report_messages import LONG, SCOPES
from hal_sim.host.state import Correction, HostState, Standing
from hal_sim.host.usage import Shares
from hal_sim.host.world import Card, Meter, Subject

KINDS = ("cancel", "refund", "settle", "amend")
TEST = "TEST"
"""The mark of a record that is no sale: fuel of a test, which went back into the tank."""


def is_test(record: dict[str, Any]) -> bool:
    """Whether it counts for nobody."""
    return TEST in (record.get("marks") or ())


_WITH_AMOUNTS = ("refund", "settle")
ORDERS = {"stop_point": (True, False), "acknowledge_fault": (False, True), "reset_emergency_stop": (False, False)}
"""Order → whether it names a fuelling point, whether it names a fault."""
ORDER_VALID_MS = 600_000


class Controls(HostState):
    """See ``HostState``."""

    # --- corrections --------------------------------------------------------------------------------------------------

    def correct(
        self,
        sale: str,
        kind: str,
        *,
        quantity_ml: int | None = None,
        value_minor: int | None = None,
        card: str | None = None,
        prompts: dict[str, str] | None = None,
        why: str = "",
        correction: str | None = None,
        checked: bool = True,
    ) -> str:
        """Corrects a sale: counted at once here, pushed until it is acknowledged, in lists at ``publish``. The correction's name.

        ``refund`` and ``settle`` need both amounts; ``amend`` a card (by number: its account and customer from now on), prompts, or both.
        ``checked`` False pushes what cannot be done, too, and counts nothing: how a host behaves that is wrong. Raises ``ValueError``.
        """
        name = correction or f"K{len(self._corrections) + 1}"
        data = self._correction(sale, kind, name, quantity_ml, value_minor, card, prompts or {}, why)
        if checked:
            self._check_correction(data)
            self._take_into_account(data)
        event = self._push.say("correction", (name,), data, self._now())
        self._corrections[name] = Correction(event, data, self._now())
        self._tell_listeners()
        return name

    def _correction(
        self,
        sale: str,
        kind: str,
        name: str,
        quantity_ml: int | None,
        value_minor: int | None,
        card: str | None,
        answers: dict[str, str],
        why: str,
    ) -> dict[str, Any]:
        amounts = ((quantity_ml, MAX_ML), (value_minor, MAX_MINOR))
        found = None if card is None else self._world.cards.get(self.token_of(card))
        given = all(whole(0, most)(amount) is None for amount, most in amounts)
        none = all(amount is None for amount, _ in amounts)
        for good, message in (
            (kind in KINDS, f"the kind is one of {', '.join(KINDS)}"),
            (SALE(sale) is None, "a sale is expected"),
            (NAME(name) is None and name not in self._corrections, "the correction's name is 1 to 32 letters, digits, . _ - and new"),
            (given if kind in _WITH_AMOUNTS else none, "refund and settle have both amounts, the others none"),
            (kind != "settle" or quantity_ml != 0 or value_minor == 0, "no fuel costs no money"),
            (kind == "amend" or (card is None and not answers), "only amend has a card or prompts"),
            (kind != "amend" or card is not None or bool(answers), "amend has a card or prompts"),
            (
                card is None or (found is not None and found.customer is not None),
                "a card that is known here and has a customer is expected",
            ),
            (prompts(answers) is None, "prompts are at most 16 names with texts"),
            (LONG(why) is None, "the reason has at most 200 characters"),
        ):
            if not good:
                raise ValueError(message)
        return {
            "correction": name,
            "sale": sale,
            "kind": kind,
            "quantity_ml": quantity_ml,
            "value_minor": value_minor,
            "card": None if found is None else found.token,
            "account": None if found is None else found.account_token,
            "customer": None if found is None else found.customer,
            "prompts": answers,
            "why": why,
        }

    def _check_correction(self, data: dict[str, Any]) -> None:
        entry = self._journal.find(data["sale"])
        if data["kind"] == "settle":
            if entry is not None or not data["sale"].startswith(f"{self.terminal}-"):
                raise ValueError("the sale is booked already, or another terminal's")
            return
        if entry is None:
            raise ValueError("the sale is not booked here")
        now = self._standing_of(entry)
        if now.cancelled:
            raise ValueError("the sale is cancelled already")
        if data["kind"] == "refund" and (data["quantity_ml"] > now.quantity_ml or data["value_minor"] > now.value_minor):
            raise ValueError("more than what the sale counts cannot be given back")

    def _take_into_account(self, data: dict[str, Any]) -> None:
        entry = self._journal.find(data["sale"])
        if entry is None:
            return  # to be settled: the terminal's record will come
        now = self._standing_of(entry)
        if data["kind"] == "cancel":
            after = Standing(0, 0, now.card, now.prompts, cancelled=True)
        elif data["kind"] == "refund":
            after = Standing(now.quantity_ml - data["quantity_ml"], now.value_minor - data["value_minor"], now.card, now.prompts)
        else:
            after = Standing(now.quantity_ml, now.value_minor, data["card"] or now.card, {**now.prompts, **data["prompts"]})
        self._standings[data["sale"]] = after
        self._count_anew(entry)

    def _standing_of(self, entry: Entry) -> Standing:
        record = entry.record
        card = record["card"]["token"]
        as_booked = Standing(
            record["quantity_ml"], record["value_minor"], card if card in self._world.cards else None, dict(record["prompts"])
        )
        return self._standings.get(record["sale"], as_booked)

    def _count_anew(self, entry: Entry) -> None:
        """What a sale counts in limits and balances, from its standing."""
        standing, record = self._standing_of(entry), entry.record
        card = None if standing.card is None else self._world.cards.get(standing.card)
        self._usage.unbook(entry.shares)
        entry.shares = Shares()
        if card is not None and not standing.cancelled and record["quantity_ml"] > 0:
            amounts = standing.quantity_ml, standing.value_minor
            entry.shares, _ = self._usage.book(card, entry.instant_ms, record["product"], *amounts, self._second_of(record))
        counts = {(meter.key, window): amount for meter, window, amount in entry.shares.meters if meter.shared}
        self._share_book.correct(record["terminal"], (record["epoch"], record["sequence"]), counts)

    def corrections(self) -> list[dict[str, Any]]:
        """Every correction in order, with ``event``, ``said_at_ms``, ``acknowledged`` and, where the terminal refuses it, ``refused``."""
        return [
            {**each.data, "event": each.event, "said_at_ms": each.said_at_ms}
            | {"acknowledged": each.event in self.acks, "refused": self.acks[each.event].refused if each.event in self.acks else None}
            for each in self._corrections.values()
        ]

    def counted(self, sale: str) -> Standing:
        """What a booked sale counts now. Raises ``ValueError`` for one that is not booked."""
        entry = self._journal.find(sale)
        if entry is None:
            raise ValueError("the sale is not booked here")
        return self._standing_of(entry)

    # --- closings -----------------------------------------------------------------------------------------------------

    def close(self, scope: str, name: str = "", why: str = "") -> int:
        """Closes the site (name ""), a product or a fuelling point ("2"): pushed at once. The event's id. Raises ``ValueError``."""
        return self._closing(scope, name, why, closed=True)

    def open(self, scope: str, name: str = "", why: str = "") -> int:
        """Opens it again. The event's id. Raises ``ValueError``."""
        return self._closing(scope, name, why, closed=False)

    def _closing(self, scope: str, name: str, why: str, *, closed: bool) -> int:
        names = {
            "site": {""},
            "product": {each.product for each in self._world.nozzles},
            "fuelling_point": {str(each.fp) for each in self._world.nozzles},
        }
        if scope not in SCOPES or name not in names[scope] or LONG(why) is not None:
            raise ValueError("the site (no name), a product or a fuelling point of it is expected, and a reason of at most 200 characters")
        data = {"scope": scope, "name": name, "closed": closed, "why": why}
        event = self._push.say("closing", (scope, name), data, self._now())
        self._tell_listeners()
        return event

    def closings(self) -> list[Word]:
        """The newest word about each place that was closed or opened."""
        return [word for word in self._push.words() if word.event == "closing"]

    # --- orders -------------------------------------------------------------------------------------------------------

    def order(
        self,
        order: str,
        by: str,
        why: str = "",
        *,
        fuelling_point: int | None = None,
        code: str | None = None,
        subject: str | None = None,
        valid_ms: int = ORDER_VALID_MS,
    ) -> int:
        """An order to the terminal, pushed until it is acknowledged: it stops a point, acknowledges a fault or resets the emergency stop.

        The event's id. Raises ``ValueError``; whether it can be obeyed is the terminal's to say.
        """
        named = (fuelling_point is not None, code is not None and subject is not None)
        if ORDERS.get(order) != named or not 1 <= len(by) <= 64 or LONG(why) is not None:
            raise ValueError(f"one of {', '.join(ORDERS)}, with what it is about, who gives it and at most 200 characters why")
        data: dict[str, Any] = {"order": order, "by": by, "why": why, "valid_until": instant_text(self._now() + valid_ms)}
        data |= {"fuelling_point": fuelling_point, "code": code, "subject": subject}
        event = self._push.say("order", (str(self._push.newest_id + 1),), data, self._now())
        self._tell_listeners()
        return event

    # --- the terminal's ledger ----------------------------------------------------------------------------------------

    def confirm_ledger(self, why: str = "") -> int:
        """Takes the terminal's ledger as it is, although it is an older copy: pushed at once, until it is acknowledged. The event's id."""
        if LONG(why) is not None:
            raise ValueError("a reason of at most 200 characters is expected")
        self.ledger_heads.clear()  # whatever it says next is its newest row
        event = self._push.say("ledger", (), {"why": why}, self._now())
        self._tell_listeners()
        return event

    # --- shares -------------------------------------------------------------------------------------------------------

    def _shared(self, subject: dict[str, str], period: str, measure: str, products: list[str] | None) -> Meter:
        ((kind, name),) = subject.items()
        wanted = Subject("card", self.token_of(name)) if kind == "card" else Subject("customer", name)
        meter = self._world.shared_meter(wanted, period, measure, None if products is None else frozenset(products))
        if meter is None or meter.limit is None:
            raise ValueError("there is no shared limit of that kind")
        return meter

    def share(
        self,
        subject: dict[str, str],
        period: str,
        measure: str,
        amount: int,
        products: list[str] | None = None,
        terminal: str | None = None,
    ) -> None:
        """Another share from now on: this terminal's in the next published list, another terminal's at once.

        ``subject`` as in the scenario. Raises ``ValueError`` when there is no such shared limit, or when another terminal's share would
        be more than is left.
        """
        meter, name = self._shared(subject, period, measure, products), terminal or self.terminal
        if amount < 0:
            raise ValueError("an amount of 0 or more is expected")
        if name != self.terminal:
            window = self._window_of(meter)
            rest = (meter.limit or 0) - meter.used.get(window, 0) - self._share_book.others(meter.key, window, name)
            if amount > rest:
                raise ValueError("more than is left of the limit cannot be shared")
            self._share_book.fix(meter.key, name, amount)
        self._world.shares[meter.key, name] = amount

    def _window_of(self, meter: Meter) -> str:
        day, month = self._calendar.keys(self._now(), self._world.zone_of_subject.get(meter.subject, self._world.zone))
        return day if meter.period == "DAY" else month

    def shares(self) -> list[dict[str, Any]]:
        """Per shared limit and terminal, in the window of now: the wanted share, the grants that may be in force, and what is out."""
        rows = []
        for (key, terminal), wanted in self._world.shares.items():
            subject, period, measure, products = key
            meter = self._world.shared_meter(subject, period, measure, products)
            if meter is not None:
                window = self._window_of(meter)
                grants = [each for each in self._share_book.grants(key, window, terminal) if each is not None]
                rows.append(
                    {
                        "subject": subject.as_json(),
                        "period": period,
                        "window": window,
                        "measure": measure,
                        "products": None if products is None else sorted(products),
                        "terminal": terminal,
                        "wanted": wanted,
                        "grants": [{"grant": each.name, "amount": each.amount, "watermark": each.watermark[1]} for each in grants],
                        "out": self._share_book.out(key, window, terminal),
                    }
                )
        return rows

    # --- a host that is wrong -----------------------------------------------------------------------------------------

    def lose(self, sale: str) -> None:
        """Forgets a booked record after it was acknowledged, as if it had never come. Raises ``ValueError`` when it is not booked."""
        entry = self._forget(sale)
        for call in ("complete", "advice"):
            self._answers.pop(f"{entry.record['sale']}/{call}", None)

    def misbook(self, sale: str, quantity_ml: int) -> None:
        """Has another volume (above 0) in a booked record than came, and does not know it. Raises ``ValueError`` when it is not booked."""
        if whole(1, MAX_ML)(quantity_ml) is not None:
            raise ValueError("a volume above 0 is expected")
        entry = self._forget(sale)
        entry.record = entry.record | {"quantity_ml": quantity_ml}
        self._journal.add(entry)
        self._count(entry)

    def _forget(self, sale: str) -> Entry:
        if self._journal.find(sale) is None:
            raise ValueError("the sale is not booked here")
        entry = self._journal.remove(sale)
        self._usage.unbook(entry.shares)
        entry.shares = Shares()
        self._share_book.forget(entry.record["terminal"], (entry.record["epoch"], entry.record["sequence"]))
        return entry

    def _second_of(self, record: dict[str, Any]) -> Card | None:
        second = record.get("second_card")
        return None if second is None else self._world.cards.get(second["token"])

    def _count(self, entry: Entry, *, on_top: bool = False) -> list[str]:
        """Counts a newly booked record, and what was said of its sale before; the limits that it exceeds as it came.

        ``on_top``: an approval on top of the terminal's share allowed it.
        """
        record = entry.record
        card = self._world.cards.get(record["card"]["token"])
        exceeded: list[str] = []
        if card is not None and record["quantity_ml"] > 0 and not is_test(record):
            entry.shares, exceeded = self._usage.book(
                card, entry.instant_ms, record["product"], record["quantity_ml"], record["value_minor"], self._second_of(record)
            )
            for meter, window, amount in entry.shares.meters:
                if meter.shared:
                    place = (record["epoch"], record["sequence"])
                    self._share_book.book(meter.key, window, record["terminal"], place, amount, on_top=on_top)
        if record["sale"] in self._standings:
            self._count_anew(entry)
        self._share_book.settle(record["terminal"], self._journal.place(record["terminal"]))
        return exceeded
