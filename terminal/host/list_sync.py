"""Newer lists from the host: ask for the signed head, then for the changes since our version or for the whole, and check every bit of it.

Runs on the lists' own thread and touches nothing that serves drivers. A whole list goes through a file, so that a line that breaks costs
only what had not come yet, and is built by a process of its own; changes are small and are handed to the core, which alone writes to the
live file. (features.md F41, F59; reference/host-and-offline-authorization.md 9.2.)
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from terminal.core.card_lists import NAME, NO_LIST, ListDelta, ListMark, ListOffer, refusal
from terminal.core.events import HostTrouble
from terminal.core.units import UtcMs
from terminal.host.client import Answer, Trouble
from terminal.host.json_lane import Call, Lane, LaneError, decode, utc_ms
from terminal.host.list_head import Head, HeadRefused, ListKeys
from terminal.store.card_import import ImportFailed, Job
from terminal.store.list_rows import ListError, read_delta

SNAPSHOT_CAP = 1 << 30
PACKING_BYTES = 64 << 10
"""What packing may at most add to a list that cannot be packed."""
DELTA_ROWS = 5_000
DELTA_BYTES = 4 << 20
"""Changes beyond these bounds would hold up the core; the whole list is fetched then."""
CHANGES_TRIES = 3
"""Changes that could not be had so often: the whole list is fetched, which goes on where a line broke."""


class Client(Protocol):
    """What of ``HostClient`` is needed here."""

    def call(self, call: Call, deadline_ms: int) -> Answer | Trouble:
        """Ask once."""

    def stream(self, call: Call, deadline_ms: int, cap: int, stall_ms: int | None = None) -> Iterator[int | bytes | Trouble]:
        """The status, then the body in pieces."""


class ListTrouble(Exception):
    """The lists could not be had (``kind`` says how the host failed) or were refused (``kind`` None).

    ``whole``: only the changes were refused, the whole list may be good.
    """

    def __init__(self, kind: HostTrouble | None, why: str, *, whole: bool = False) -> None:
        super().__init__(why)
        self.kind = kind
        self.why = why
        self.whole = whole


@dataclass(frozen=True, slots=True)
class Known:
    """The live list ("" and 0 when none is readable), the newest that was ever adopted; ``whole``: changes will not do."""

    epoch: str = ""
    version: int = 0
    mark: ListMark = NO_LIST
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Fetched:
    """A checked card file, ready to go live."""

    file: str
    offer: ListOffer


@dataclass(frozen=True, slots=True)
class Changes:
    """Checked deltas from the live version on, in order."""

    deltas: tuple[ListDelta, ...]


class _Heads(msgspec.Struct):
    cards: msgspec.Raw = msgspec.Raw(b"null")


class _Lists(msgspec.Struct):
    time: datetime
    lists: _Heads


class _Deltas(msgspec.Struct):
    time: datetime
    deltas: list[msgspec.Raw]


_T = TypeVar("_T", _Lists, _Deltas)


class ListSync:
    """Fetches and builds; ``directory`` is where card files live, ``build`` makes one (in a process of its own, outside tests)."""

    def __init__(
        self,
        lane: Lane,
        keys: ListKeys,
        directory: Path,
        deadline_ms: int,
        build: Callable[[Job], None],
        *,
        tidy: Callable[[], None] = lambda: None,
        snapshot_ms: int = 600_000,
        tpm: str = "",
        previous: Callable[[], str] = lambda: "",
        reserve_bytes: int = 0,
    ) -> None:
        """``tidy``: what is to be done to card files now and then on a thread where nobody waits for it.

        ``tpm``: the device by which PINs get a second layer, which changes of cards cannot be given in the core's time: the whole list is
        fetched then, and what has its layer in the ``previous`` file is taken over.
        ``reserve_bytes``: of the disk's free space the sales need so much; a list never takes it.
        """
        self._reserve_bytes = reserve_bytes
        self._tpm = tpm
        self._previous = previous
        self._tidy = tidy
        self._handed: tuple[str, int] | None = None  # the version that the changes handed over last lead to
        self._lane = lane
        self._keys = keys
        self._directory = directory
        self._deadline_ms = deadline_ms
        self._build = build
        self._snapshot_ms = snapshot_ms
        self._without_changes = 0  # checks in a row that ended because the changes could not be had

    def check(self, client: Client, known: Known) -> tuple[Fetched | Changes | None, UtcMs]:
        """A newer list than this one, or the changes to it; None when there is none. Raises ``ListTrouble``."""
        if not self._being_applied(known):
            self._tidy()
        head, host_time = self._newest(client.call(self._lane.list_heads(), self._deadline_ms))
        if head is None:
            return None, host_time
        self._judge(head, known.mark, host_time)
        if (head.epoch, head.version) == (known.epoch, known.version):
            return None, host_time
        if head.epoch == known.epoch and known.version and not known.whole and self._without_changes < CHANGES_TRIES:
            self._without_changes += 1
            changes = self._changes(client, head, known, host_time)
            self._without_changes = 0
            if changes is not None:
                self._handed = (head.epoch, head.version)
                return changes, host_time
        whole = self._snapshot(client, head)
        self._without_changes = 0
        return whole, host_time

    def _being_applied(self, known: Known) -> bool:
        """The core may be writing the changes into the card file just now. Folding the log at that moment would be a second writer, and
        SQLite before 3.51.3 can damage a file when a log is folded and begun anew at once (security-and-reliability, 0.3)."""
        handed = self._handed
        return handed is not None and not known.whole and known.epoch == handed[0] and known.version < handed[1]

    # --- heads ----------------------------------------------------------------------------------------------------------------

    def _newest(self, came: Answer | Trouble) -> tuple[Head | None, UtcMs]:
        """The newest list's head; None where the host has no list yet."""
        answer, host_time = self._answer(came, _Lists)
        raw = bytes(answer.lists.cards)
        return (None if raw == b"null" else self._head(raw)), host_time

    def _answer(self, came: Answer | Trouble, shape: type[_T]) -> tuple[_T, UtcMs]:
        if isinstance(came, Trouble):
            raise ListTrouble(came.kind, came.why)
        if came.status != 200:
            raise ListTrouble(HostTrouble.TECHNICAL, f"status {came.status}")
        try:
            answer: _T = decode(came.body, shape)
        except LaneError as error:
            raise ListTrouble(HostTrouble.TECHNICAL, str(error)) from error
        try:
            return answer, utc_ms(answer.time)
        except LaneError as error:
            # A list that expires cannot be judged by such a clock, and nothing else of the answer can be believed.
            raise ListTrouble(None, f"{NAME}: the host's time is {error}") from error

    def _head(self, raw: bytes) -> Head:
        try:
            return self._keys.head(raw, self._lane.terminal)
        except HeadRefused as error:
            raise ListTrouble(None, f"{NAME}: {error}") from error

    def _judge(self, head: Head, mark: ListMark, host_time: UtcMs) -> None:
        why = refusal(mark, head.offer, host_time)
        if why is not None:
            raise ListTrouble(None, f"{_name(head)}: {why}")

    # --- changes --------------------------------------------------------------------------------------------------------------

    def _changes(self, client: Client, newest: Head, known: Known, host_time: UtcMs) -> Changes | None:
        """The deltas since the live version; None when there are none that would do, so that the whole list is to be fetched."""
        came = client.call(self._lane.deltas(known.epoch, known.version), self._deadline_ms)
        if came.too_large if isinstance(came, Trouble) else came.status in (404, 410):
            return None
        answer, _ = self._answer(came, _Deltas)
        heads = [self._delta_head(bytes(raw)) for raw in answer.deltas]
        if not heads or sum(head.size for head in heads) > DELTA_BYTES:
            return None
        deltas = []
        base, mark = known.version, known.mark
        for head in heads:
            if head.epoch != known.epoch or head.base != base or head.version <= base:
                raise ListTrouble(None, f"{_name(head)}: its changes are based on {head.base}, not on {base}", whole=True)
            try:
                self._judge(head, mark, host_time)
                deltas.append(self._delta(client, head, base))
            except ListTrouble as trouble:
                raise ListTrouble(trouble.kind, trouble.why, whole=trouble.kind is None) from trouble
            base, mark = head.version, mark.after(head.offer)
        if base < newest.version:
            raise ListTrouble(None, f"{_name(newest)}: the changes end at {base}", whole=True)
        if self._tpm and any(op.table == "card" for delta in deltas for op in delta.ops):
            return None
        return Changes(tuple(deltas)) if sum(len(delta.ops) for delta in deltas) <= DELTA_ROWS else None

    def _delta_head(self, raw: bytes) -> Head:
        try:
            return self._head(raw)
        except ListTrouble as trouble:
            raise ListTrouble(trouble.kind, trouble.why, whole=True) from trouble

    def _delta(self, client: Client, head: Head, base: int) -> ListDelta:
        body = self._delta_body(client, head)
        lines = body.split(b"\n")
        try:
            if len(body) != head.size:
                raise ListError(f"its changes have {len(body)} of {head.size} bytes")
            ops, products = read_delta(lines[:-1] if lines[-1] == b"" else lines, head.sha256)
        except ListError as error:
            raise ListTrouble(None, f"{_name(head)}: {error}") from error
        return ListDelta(base, head.offer, head.sha256, ops, products)

    def _delta_body(self, client: Client, head: Head) -> bytes:
        """As much as the signed head promises, and as long as a whole list may take: a slow line is no broken one."""
        body = bytearray()
        call = self._lane.delta(head.epoch, head.version)
        for piece in client.stream(call, self._snapshot_ms, head.size, self._deadline_ms):
            if isinstance(piece, Trouble):
                if piece.too_large:
                    raise ListTrouble(None, f"{_name(head)}: its changes are longer than {head.size} bytes")
                raise ListTrouble(piece.kind, piece.why)
            if isinstance(piece, bytes):
                body += piece
            elif piece != 200:
                raise ListTrouble(HostTrouble.TECHNICAL, f"status {piece}")
        return bytes(body)

    # --- the whole ------------------------------------------------------------------------------------------------------------

    def _snapshot(self, client: Client, head: Head) -> Fetched:
        source = self._directory / f"{NAME}-{head.epoch}-{head.version}.download"
        for other in self._directory.glob(f"{NAME}-*.download"):
            if other.name != source.name:
                other.unlink(missing_ok=True)
        name = f"{NAME}-{head.epoch}-{head.version}.db"
        offer = head.offer
        try:
            self._demand_room(head.size)  # for the file that is built of it: else each check would fetch it in vain
            self._download(client, head, source)
            self._demand_room(head.size)
            self._build(
                Job(
                    str(source),
                    str(self._directory / name),
                    head.epoch,
                    head.version,
                    head.rows,
                    head.size,
                    head.sha256,
                    head.content_hash,
                    offer.issued_at,
                    self._tpm,
                    self._previous(),
                )
            )
        except (ListError, ImportFailed) as error:
            self._unfinished = False
            raise ListTrouble(None, f"{_name(head)}: {error}") from error
        except OSError as error:
            self._unfinished = False  # the disk needs its room more than the next check needs this half
            raise ListTrouble(None, f"{_name(head)}: the list cannot be stored ({error.strerror})") from error
        finally:
            self._keep_unfinished(source)
        return Fetched(name, offer)

    def _keep_unfinished(self, source: Path) -> None:
        """What was used, or was refused, is of no further use; what a broken line left of a download is."""
        if not self._unfinished:
            with contextlib.suppress(OSError):
                source.unlink(missing_ok=True)

    _unfinished = False

    def _demand_room(self, more: int = 0) -> None:
        """Raises ``OSError`` where this many bytes more would take of the reserve."""
        found = os.statvfs(self._directory)
        if found.f_bavail * found.f_frsize < self._reserve_bytes + more:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _download(self, client: Client, head: Head, source: Path) -> None:
        """Fetch what is still missing of the file. Raises ``ListTrouble``; what has come is kept then."""
        self._unfinished = True
        have = source.stat().st_size if source.exists() else 0
        call = self._lane.snapshot(head.epoch, head.version, have, f'"{head.sha256}-gzip"')
        # The line that falls silent is given up soon: what waits behind the list is the question whether the host is back.
        longest = min(SNAPSHOT_CAP, head.size + PACKING_BYTES)
        pieces = client.stream(call, self._snapshot_ms, longest, self._deadline_ms)
        with source.open("ab") as file:
            for piece in pieces:
                if isinstance(piece, Trouble):
                    if piece.too_large:
                        raise ListError(f"it is longer than {head.size} bytes")
                    raise ListTrouble(piece.kind, piece.why)
                if isinstance(piece, int):
                    if piece == 200:
                        file.truncate(0)  # the host does not go on where we were
                        have = 0
                    elif piece != 206:
                        self._unfinished = piece != 416  # then ours is longer than the whole list
                        raise ListTrouble(HostTrouble.TECHNICAL, f"status {piece}")
                else:
                    have += len(piece)
                    if have > longest:
                        raise ListError(f"it is longer than {head.size} bytes")
                    self._demand_room(len(piece))
                    file.write(piece)
                    file.flush()
        self._unfinished = False


def _name(head: Head) -> str:
    return f"{NAME} {head.epoch}/{head.version}"
