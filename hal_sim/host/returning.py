"""Gives a terminal its own sales back, which its disk lost: what it has booked here, and what is still held for it.

Source: firmware_notes/host-api.md, section "Sales that the terminal lost". Reads only: a terminal that asks twice is answered the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hal_sim.host.answering import Answer
from hal_sim.host.messages import Refusal
from hal_sim.host.recording import Recording
from hal_sim.host.records import Entry

MOST_SALES = 100
_WHOLE = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
_BOUNDS = {"epoch": (1, 2**31 - 1), "after": (0, 2**53 - 1), "limit": (1, MOST_SALES)}
_PIN = ("pin_block", "ksn")
"""Of the question that are nobody's any more."""
_CORRECTION = ("correction", "kind", "quantity_ml", "value_minor", "account", "customer", "prompts", "why")


def _asked(query: Mapping[str, str]) -> dict[str, int]:
    strangers = sorted(name[:40] for name in query.keys() - _BOUNDS.keys())
    if strangers:
        raise Refusal(400, "bad_request", f"query: {', '.join(strangers)}: not known")
    found = {"limit": MOST_SALES}
    for name, (low, high) in _BOUNDS.items():
        text = query.get(name)
        if text is None and name in found:
            continue
        if text is None or not _WHOLE.fullmatch(text) or not low <= int(text) <= high:
            raise Refusal(400, "bad_request", f"{name}: an integer from {low} to {high} is expected")
        found[name] = int(text)
    return found


class Returning(Recording):
    """Reads the book out."""

    def _sales(self, terminal: str, query: Mapping[str, str]) -> Answer:
        asked = _asked(query)
        epoch, after, limit = asked["epoch"], asked["after"], asked["limit"]
        booked = self._journal.behind(terminal, epoch, after)
        page, more = booked[:limit], len(booked) > limit
        return self._reply(
            {
                "terminal": terminal,
                "epoch": epoch,
                "last": self._journal.heard(terminal, epoch),
                "more": more,
                "sales": [self._returned(entry) for entry in page],
                "holds": [] if more else self._held(terminal, epoch),
            }
        )

    def _second_account(self, message: Mapping[str, Any]) -> str | None:
        second = message.get("second_card")
        card = None if second is None else self._world.cards.get(second["token"])
        return None if card is None else card.account_token

    def _returned(self, entry: Entry) -> dict[str, Any]:
        sale = entry.record["sale"]
        made = [each.data for each in self._corrections.values() if each.data["sale"] == sale and self._counts(each.event)]
        return {
            "record": entry.record,
            "account": entry.account,
            "customer": entry.customer,
            "second_account": self._second_account(entry.record),
            "corrections": [{name: data[name] for name in _CORRECTION} for data in made],
        }

    def _counts(self, event: int) -> bool:
        told = self.acks.get(event)
        return told is None or told.refused is None

    def _held(self, terminal: str, epoch: int) -> list[dict[str, Any]]:
        holds: list[dict[str, Any]] = []
        for hold in self._open.values():
            request, _ = self._answers[f"{hold.sale}/authorize"]
            if hold.terminal == terminal and request["epoch"] == epoch:
                holds.append(
                    {
                        "request": {name: value for name, value in request.items() if name not in _PIN},
                        "authorization": hold.authorization,
                        "account": hold.account,
                        "customer": hold.customer,
                        "second_account": self._second_account(request),
                        "quantity_ml": hold.quantity_ml,
                        "value_minor": hold.value_minor,
                    }
                )
        return sorted(holds, key=lambda each: int(each["request"]["sequence"]))[:MOST_SALES]
