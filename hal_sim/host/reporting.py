"""What a terminal reports besides its sales: batches, its state, the lists that it adopted, and which events are in its ledger.

Source: firmware_notes/host-api.md, sections "Batches", "State", "Shares" and "Push".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from hal_sim.host import messages, report_messages
from hal_sim.host.answering import Answer
from hal_sim.host.messages import Refusal, instant_ms
from hal_sim.host.push import HELLO, Acknowledged, Cursor
from hal_sim.host.reconciling import compare
from hal_sim.host.records import Entry
from hal_sim.host.returning import Returning

EVENT_STREAM = "text/event-stream"
VALID = dt.timedelta(days=365)
"""Of a certificate that a terminal asked for."""


class Reporting(Returning):
    """Listens."""

    def _close_batch(self, terminal: str, batch: str, headers: Mapping[str, str], body: bytes) -> Answer:
        message = messages.parse(body)
        report_messages.verify_batch(message, terminal, batch)
        stored = self._replay(headers, message)
        if stored is not None:
            return self._reply(stored)
        epoch, last = message["epoch"], message["last_sequence"]
        self._journal.hear(terminal, epoch, last)

        def find(sequence: int) -> dict[str, object] | None:
            entry: Entry | None = self._journal.find(f"{terminal}-{epoch}-{sequence}")
            return None if entry is None else entry.record

        content = compare(message, find)
        self.batches.append({**message, **content, "received_at_ms": self._now()})
        return self._store(message, content)

    def _state(self, terminal: str, body: bytes) -> Answer:
        message = messages.parse(body)
        messages.verify(message, report_messages.STATE, "", report_messages.STATE_OPTIONAL)
        if message["terminal"] != terminal:
            raise Refusal(400, "bad_request", "terminal: differs from the path's")
        self.terminal_state, self.terminal_state_at_ms = message, self._now()
        damaged = any(fault["code"] == "STORAGE_DAMAGED" for fault in message["faults"])
        self.begun = self._journal.begin(terminal, message["epoch"], message.get("epoch_begins", 1), damaged=damaged)
        cards = message["lists"]["cards"]
        edition = self._editions.get((cards["epoch"], cards["version"]))
        if edition is not None:
            self._share_book.follows(terminal, edition, (message["epoch"], message["next_sequence"] - 1))
            self._share_book.settle(terminal, self._journal.place(terminal))
        known, told = self.ledger_heads.get(terminal), message.get("ledger")
        if told is not None and (known is None or told["row"] >= known["row"]):
            self.ledger_heads[terminal] = told
        return self._reply({"ledger": known})

    def _adopted(self, terminal: str, body: bytes) -> Answer:
        message = messages.parse(body)
        messages.verify(message, report_messages.APPLIED, "")
        which = (message["epoch"], message["version"])
        edition = self._editions.get(which)
        if edition is None:
            raise Refusal(404, "not_found", "this version was never published")
        self.applied.setdefault(which, Acknowledged(instant_ms(message["at"]), self._now()))
        self._share_book.applied(terminal, edition)
        self._share_book.settle(terminal, self._journal.place(terminal))
        return self._reply({})

    def _certify(self, terminal: str, body: bytes) -> Answer:
        message = messages.parse(body)
        messages.verify(message, report_messages.CERTIFICATE, "")
        if self.authority is None:
            raise Refusal(500, "internal", "this host has no authority to sign with")
        begins = dt.datetime.fromtimestamp(self._now() // 1000, dt.UTC)
        try:
            signed = self.authority.renew(terminal, message["request"].encode("ascii"), begins, begins + VALID)
        except ValueError as error:
            raise Refusal(400, "bad_request", f"request: {error}") from error
        return self._reply({"certificate": signed.decode("ascii")})

    # --- events -------------------------------------------------------------------------------------------------------

    def _events(self, headers: Mapping[str, str]) -> Answer:
        # The beginning of a stream; whoever holds the connection goes on with ``news``.
        text, _ = self.news(self.cursor(headers))
        return 200, {"Content-Type": EVENT_STREAM, "Cache-Control": "no-store"}, HELLO + text

    def cursor(self, headers: Mapping[str, str]) -> Cursor:
        """Where the stream of a call with these headers begins."""
        return self._push.resume({name.lower(): value for name, value in headers.items()}.get("last-event-id", ""))

    def _acknowledge(self, event: str, body: bytes) -> Answer:
        message = messages.parse(body)
        messages.verify(message, messages.ACKNOWLEDGEMENT, "", messages.ACKNOWLEDGEMENT_OPTIONAL)
        number = int(event) if event.isascii() and event.isdigit() and len(event) < 16 else 0
        if not 1 <= number <= self._push.newest_id:
            raise Refusal(404, "not_found", "this event was never sent")
        heard = Acknowledged(instant_ms(message["effective_at"]), self._now(), message.get("refused"))
        self.acks.setdefault(number, heard)
        self._push.acknowledged(number)
        return self._reply({})
