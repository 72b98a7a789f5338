"""Newer lists from the host: ask for the heads, fetch a snapshot, check every row and the hash, build the card file beside the live one.

Runs on the lists' own thread and touches nothing that serves drivers; the core swaps by a commit. (features.md F41 in its plain form.)
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec

from terminal.core.events import HostTrouble
from terminal.core.units import UtcMs
from terminal.host.client import Answer, HostClient, Trouble
from terminal.host.json_lane import Lane, LaneError, decode, utc_ms
from terminal.host.snapshot import MAX_LINE, SnapshotError, read
from terminal.store.card_file import CardFileError, build

SNAPSHOT_CAP = 1 << 30
_EPOCH = re.compile(r"[A-Za-z0-9._-]{1,32}")


class ListTrouble(Exception):
    """The lists could not be had (``kind`` says how the host failed) or were refused (``kind`` None)."""

    def __init__(self, kind: HostTrouble | None, why: str) -> None:
        super().__init__(why)
        self.kind = kind
        self.why = why


@dataclass(frozen=True, slots=True)
class Fetched:
    """A checked card file, ready to go live."""

    file: str
    epoch: str
    version: int
    rows: int


class Head(msgspec.Struct):
    """What the host says of its newest card list."""

    epoch: str
    version: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    rows: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class _Heads(msgspec.Struct):
    cards: Head


class _Lists(msgspec.Struct):
    time: datetime
    lists: _Heads


class ListSync:
    """Fetches and builds; ``directory`` is where card files live."""

    def __init__(self, lane: Lane, directory: Path, deadline_ms: int, snapshot_ms: int = 600_000) -> None:
        self._lane = lane
        self._directory = directory
        self._deadline_ms = deadline_ms
        self._snapshot_ms = snapshot_ms

    def check(self, client: HostClient, epoch: str, version: int) -> tuple[Fetched | None, UtcMs]:
        """A newer list than this one, built; None when there is none. Raises ``ListTrouble``."""
        came = client.call(self._lane.list_heads(), self._deadline_ms)
        head, host_time = self.head(came)
        if head is None or not newer(head, epoch, version):
            return None, host_time
        _safe(head.epoch)
        # The line that falls silent is given up soon: what waits behind the list is the question whether the host is back.
        pieces = client.stream(self._lane.snapshot(head.epoch, head.version), self._snapshot_ms, SNAPSHOT_CAP, self._deadline_ms)
        return self.build(head, _lines(_body(pieces))), host_time

    def head(self, came: Answer | Trouble) -> tuple[Head | None, UtcMs]:
        """The card list's head from an answer; None where the host has no list yet. Raises ``ListTrouble``."""
        if isinstance(came, Trouble):
            raise ListTrouble(came.kind, came.why)
        if came.status != 200:
            raise ListTrouble(HostTrouble.TECHNICAL, f"status {came.status}")
        try:
            answer = decode(came.body, _Lists)
            return answer.lists.cards, utc_ms(answer.time)
        except LaneError as error:
            raise ListTrouble(HostTrouble.TECHNICAL, str(error)) from error

    def build(self, head: Head, lines: Iterator[bytes]) -> Fetched:
        """Check and write one version. Raises ``ListTrouble``; nothing is left behind then."""
        name = f"cards-{_safe(head.epoch)}-{head.version}.db"
        try:
            rows = build(self._directory / name, head.epoch, head.version, head.sha256, read(lines, head.sha256, head.rows))
        except (SnapshotError, CardFileError) as error:
            raise ListTrouble(None, f"cards {head.epoch}/{head.version}: {error}") from error
        except OSError as error:
            # Between the rename and its sync: the name may be there already and is not to be trusted.
            with contextlib.suppress(OSError):
                (self._directory / name).unlink(missing_ok=True)
            raise ListTrouble(None, f"cards {head.epoch}/{head.version}: the card file cannot be written ({error.strerror})") from error
        return Fetched(name, head.epoch, head.version, rows)


def newer(head: Head, epoch: str, version: int) -> bool:
    """Another epoch is another database at the host; within one epoch only a higher version is news."""
    return head.epoch != epoch or head.version > version


def _safe(epoch: str) -> str:
    """The epoch as part of a file name and a path; it comes from outside."""
    if not _EPOCH.fullmatch(epoch) or set(epoch) == {"."}:
        raise ListTrouble(None, "the list's epoch is not a plain name")
    return epoch


def _body(pieces: Iterator[int | bytes | Trouble]) -> Iterator[bytes]:
    for piece in pieces:
        if isinstance(piece, Trouble):
            raise ListTrouble(piece.kind, piece.why)
        if isinstance(piece, int):
            if piece != 200:
                raise ListTrouble(HostTrouble.TECHNICAL, f"status {piece}")
        else:
            yield piece


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Lines without their line feed; one that never ends is refused before it fills the memory."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
        if len(rest) > MAX_LINE:
            raise ListTrouble(None, f"a row is longer than {MAX_LINE} bytes")
    if rest:
        yield rest


def lines_of(body: bytes) -> Iterator[bytes]:
    """The lines of a whole snapshot in memory."""
    return _lines(iter((body,)))
