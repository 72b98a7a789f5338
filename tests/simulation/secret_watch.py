"""No clear card number and no PIN in any byte of any file, looked for where something has changed since the last look."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.simulation.journal_facts import Broken

PIECE = 1024
"""Bytes that are compared at a time."""


class SecretWatch:
    """Knows what each file held when it was last looked at, so that the same bytes are not searched at every cut."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._words = [word for secret in secrets for word in dict.fromkeys((secret, secret.lower()))]
        self._bytes = [word.encode() for word in self._words]
        self._reach = max(map(len, self._bytes), default=1) - 1
        self._seen: dict[str, bytes] = {}

    def check_files(self, folder: Path) -> None:
        """Every byte of every file that is there. Raises ``Broken``."""
        seen = {}
        for path in sorted(folder.iterdir()):
            content = seen[path.name] = path.read_bytes()
            news = self._news(self._seen.get(path.name, b""), content)
            if any(word in news for word in self._bytes):
                raise Broken("secrets", f"a card number or PIN is in {path.name}")
        self._seen = seen

    def check_shown(self, lines: Iterable[str]) -> None:
        """What was shown or traced. Raises ``Broken``."""
        text = "\n".join(lines)
        if any(word in text for word in self._words):
            raise Broken("secrets", "a card number or PIN is on a screen or in the trace")

    def _news(self, old: bytes, new: bytes) -> bytes:
        """What of ``new`` differs from what stood there before, with so much around it that a word reaching out of it is whole.

        A word of which no byte has changed was there at the last look already.
        """
        if old == new:
            return b""
        changed: list[tuple[int, int]] = []
        for at in range(0, len(new), PIECE):
            if old[at : at + PIECE] != new[at : at + PIECE]:
                begin, end = max(0, at - self._reach), at + PIECE + self._reach
                if changed and begin <= changed[-1][1]:
                    begin = changed.pop()[0]
                changed.append((begin, end))
        return b"\0".join(new[begin:end] for begin, end in changed)
