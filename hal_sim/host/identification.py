"""What the host's lists say of media and answers: the card table, rules of prompts, odometers; and how the host checks a PIN itself.

Source: firmware_notes/host-api.md, sections "What the rows mean" and "Card numbers". A wrong scenario raises ``Wrong`` with the place.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator
from typing import Any

from hal_sim.host.crypto import answer_hash
from hal_sim.host.messages import instant_text
from hal_sim.host.pin_opening import counter_of, initial_key, opened

Row = dict[str, Any]
_RANGE = ("first", "last", "kind", "routing", "lengths", "luhn")
_RANGE_MORE = ("media", "number", "restriction", "prompts", "pin", "expiry", "service_code")
_PROMPT_MORE = (
    *("min_digits", "max_digits", "min_step", "max_step", "wrong"),
    *("most_per_100km_ml", "least_per_100km_ml", "most_per_hour_ml", "least_per_hour_ml", "implausible"),
)
_LONG_AGO = 946_684_800_000
PIN_BASE = b"fleet/pin-base/v1\0"


class Wrong(ValueError):
    """What cannot be read; the text names the place."""


class Identification:
    """Read from a scenario's ``ranges``, ``prompt_rules`` and ``odometers``; numbers and accounts become tokens."""

    def __init__(self, scenario: Row, token_of: Callable[[str], str]) -> None:
        self._token_of = token_of
        self.ranges = [self._range(row, f"ranges[{place}]") for place, row in enumerate(scenario.get("ranges", []))]
        self._prompts = [self._prompt(row, f"prompt_rules[{place}]") for place, row in enumerate(scenario.get("prompt_rules", []))]
        self.odometers: dict[str, tuple[int, int]] = {}
        for place, row in enumerate(scenario.get("odometers", [])):
            if row.keys() != {"account", "reading"} or type(row["reading"]) is not int or row["reading"] < 0:
                raise Wrong(f"odometers[{place}]: account and reading are expected")
            self.odometers[token_of(row["account"])] = row["reading"], _LONG_AGO

    @staticmethod
    def _range(row: Row, where: str) -> Row:
        if not set(_RANGE) <= row.keys() <= {*_RANGE, *_RANGE_MORE}:
            raise Wrong(f"{where}: {', '.join(_RANGE)} are expected, and {', '.join(_RANGE_MORE)} are known")
        return {"row": "range"} | {name: value for name, value in row.items() if value is not None}

    def _prompt(self, row: Row, where: str) -> Row:
        known = {"subject", "prompt", "answers", *_PROMPT_MORE}
        if not {"subject", "prompt"} <= row.keys() <= known or len(row["subject"]) != 1:
            raise Wrong(f"{where}: a subject (card or customer) and a prompt are expected")
        ((kind, name),) = row["subject"].items()
        subject = {kind: self._token_of(name) if kind == "card" else name}
        rule = {"row": "prompt", "subject": subject, "prompt": row["prompt"].upper()}
        rule |= {name: row[name] for name in _PROMPT_MORE if row.get(name) is not None}
        return rule if row.get("answers") is None else rule | {"clear": tuple(row["answers"])}

    def rows(self, token_key: bytes) -> Iterator[Row]:
        """As they travel: answers are keyed hashes."""
        yield from self.ranges
        for rule in self._prompts:
            row = {name: value for name, value in rule.items() if name != "clear"}
            if "clear" in rule:
                ((kind, name),) = rule["subject"].items()
                row["answers"] = [answer_hash(token_key, f"{kind} {name}", rule["prompt"], answer) for answer in rule["clear"]]
            yield row
        for account, (reading, at_ms) in self.odometers.items():
            yield {"row": "odometer", "account": account, "reading": reading, "at": instant_text(at_ms)}

    def products(self) -> set[str]:
        """Whatever a code names."""
        codes = [row["restriction"]["codes"] for row in self.ranges if row.get("restriction")]
        return {name for each in codes for names in each.values() for name in names or ()}

    def without_pin(self, number: str) -> bool:
        """Does the most particular range of this number say that no PIN is asked for?"""
        found = [row for row in self.ranges if row["first"] <= number[: len(row["first"])] <= row["last"]]
        best = max(found, key=lambda row: (len(row["first"]), int(row["first"]) - int(row["last"])), default={})
        return best.get("pin") == "none" or best.get("kind") == "bank"


class PinChecks:
    """PINs that come as blocks: opened, compared, counted. Tries are an account's, and a serial number is good once."""

    def __init__(self, pin_key: bytes, tries: int) -> None:
        self._base = hmac.digest(pin_key, PIN_BASE, "sha256")[:16]
        self._most = tries
        self._tries: dict[str, int] = {}
        self._newest: dict[str, int] = {}

    def initial(self, terminal: str) -> tuple[bytes, bytes]:
        """The initial key for a terminal, and the key's id."""
        key_id = hashlib.sha256(terminal.encode()).digest()[:8]
        return initial_key(self._base, key_id), key_id

    def unlock(self, account: str) -> None:
        """All tries again."""
        self._tries.pop(account, None)

    def judge(self, account: str, pin: str, number: str, block: str, ksn: str) -> str | None:
        """None when it is right, else the reason."""
        if self._tries.get(account, 0) >= self._most:
            return "PIN_LOCKED"
        fresh = counter_of(ksn) > self._newest.get(ksn[:16], 0)
        self._newest[ksn[:16]] = max(counter_of(ksn), self._newest.get(ksn[:16], 0))
        found = opened(self._base, ksn, block, number) if fresh else None
        if found is not None and hmac.compare_digest(found, pin):
            self._tries.pop(account, None)
            return None
        self._tries[account] = self._tries.get(account, 0) + 1
        return "PIN_LOCKED" if self._tries[account] >= self._most else "PIN_WRONG"
