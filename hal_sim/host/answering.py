"""What every answer of the simulated host has in common: the time, the errors, and the answer that is given again for the same key.

Source: firmware_notes/host-api.md, sections "Transport" and "Exactly once".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hal_sim.host import messages
from hal_sim.host.messages import Refusal, instant_text
from hal_sim.host.pricing import Pricing

Answer = tuple[int, dict[str, str], bytes]
JSON_TYPE = {"Content-Type": "application/json"}


class Answering(Pricing):
    """Stored answers by key. Raises ``Refusal`` for what is answered with an error."""

    def _known_terminal(self, terminal: str, status: int) -> None:
        if terminal != self._world.terminal:
            raise Refusal(status, "unknown_terminal", "the terminal is not known here")

    def _reply(self, content: dict[str, Any], time: str | None = None) -> Answer:
        answer = {"time": time or instant_text(self._now()), **content}
        return 200, dict(JSON_TYPE), messages.encode(answer)

    def _replay(self, headers: Mapping[str, str], message: dict[str, Any]) -> dict[str, Any] | None:
        # The header is the message's key; the stored answer belongs to exactly this body.
        self._check_key(headers, message["key"])
        stored = self._answers.get(message["key"])
        if stored is None:
            return None
        if stored[0] != message:
            raise Refusal(409, "key_reuse", "this key came before with another body")
        return stored[1]

    @staticmethod
    def _check_key(headers: Mapping[str, str], key: str) -> None:
        given = headers.get("idempotency-key")
        if given is None:
            raise Refusal(400, "key_missing", "the header Idempotency-Key is missing")
        if given != key:
            raise Refusal(400, "key_mismatch", "the header Idempotency-Key differs from the body's key")

    def _store(self, message: dict[str, Any], content: dict[str, Any]) -> Answer:
        self._answers[message["key"]] = (message, content)
        return self._reply(content)
