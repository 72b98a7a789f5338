"""The terminal's TPM, when it has one: the second layer of its PIN verifiers and the counter that tells a ledger that was put back.

The key is made by the TPM from its own seed under our label and cannot leave it; nothing of it is stored. Every conversation opens the
device, holds it for itself (the program and the process that imports lists share it), and leaves no handle behind, so that a TPM without
the kernel's resource manager will do as well. (reference security-and-reliability 1.3; firmware_notes/decisions/0010.)
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import select
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from terminal.store import tpm_codec as codec
from terminal.store.tpm_codec import TpmError

T = TypeVar("T")

__all__ = ["SCHEME", "TPM_SCHEME", "Tpm", "TpmError", "second_layer"]

SCHEME = "opin1"
TPM_SCHEME = "opin1-tpm"
"""How verifiers are stored: as the list has them, or with the second layer on them."""

PATIENCE_MS = 5_000
"""Longest wait for one answer; making a key takes a slow chip most of a second."""
HOLD_MS = 20
"""Between two tries to have it alone."""
CORE_HOLD_MS = 1_800
CORE_PATIENCE_MS = 1_500
"""The core asks three things of it at most (key, answer, flush): all of it stays far below the watchdog's time."""
MOST_AT_ONCE = 20
"""After so many answers of one conversation others may have it: 0.7 s on a chip that takes 36 ms for one, and the key before them."""
PAUSE_MS = 50
"""For so long: more than ``HOLD_MS``."""
BUSY_TRIES = 20
BUSY_MS = 100
_LABEL = hashlib.sha256(b"fleet/opin-tpm/v1\0").digest()
_LAYER = b"fleet/opin/v2\0"
VERIFIER_BYTES = 16


class Tpm:
    """One TPM 2.0 by its device, as ``/dev/tpmrm0``. Any thread; one conversation at a time."""

    def __init__(self, device: Path, *, hold_ms: int = 0, patience_ms: int = PATIENCE_MS) -> None:
        """``hold_ms``: how long to wait for whoever has it, 0 for as long as it takes; ``patience_ms``: for one answer. Milliseconds."""
        self.device = device
        self._hold_tries = hold_ms // HOLD_MS if hold_ms else None
        self._patience_ms = patience_ms

    @classmethod
    def of_the_core(cls, device: Path) -> Tpm:
        """For the thread that serves drivers and feeds the watchdog: it gives up in time."""
        return cls(device, hold_ms=CORE_HOLD_MS, patience_ms=CORE_PATIENCE_MS)

    def hmacs(self, messages: list[bytes]) -> list[bytes]:
        """HMAC-SHA256 of each by the key that only this TPM has. Raises ``TpmError``."""
        with self._open() as ask:
            key = codec.handle_of(ask(codec.create_key(_LABEL)))
            try:
                found = []
                for number, message in enumerate(messages):
                    if number and not number % MOST_AT_ONCE:
                        ask.let_others()
                    found.append(codec.hmac_of(ask(codec.hmac(key, message))))
                return found
            finally:
                with contextlib.suppress(TpmError):
                    ask(codec.flush(key))

    def counter(self) -> int | None:
        """The counter; None when this TPM never had ours. Raises ``TpmError``."""
        with self._open() as ask:
            try:
                return codec.counter_of(ask(codec.read_counter(codec.COUNTER_INDEX)))
            except TpmError as error:
                if error.code in (codec.UNDEFINED, codec.UNWRITTEN):
                    return None
                raise

    def count_up(self) -> int:
        """Count up and read; the counter is made where there is none. Raises ``TpmError``."""
        with self._open() as ask:
            try:
                ask(codec.increment(codec.COUNTER_INDEX))
            except TpmError as error:
                if error.code != codec.UNDEFINED:
                    raise
                ask(codec.define_counter(codec.COUNTER_INDEX))
                ask(codec.increment(codec.COUNTER_INDEX))
            return codec.counter_of(ask(codec.read_counter(codec.COUNTER_INDEX)))

    @contextlib.contextmanager
    def _open(self) -> Iterator[_Conversation]:
        try:
            handle = os.open(self.device, os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY)
        except OSError as error:
            raise TpmError(f"at {self.device} cannot be opened: {error.strerror}") from error
        try:
            self._hold(handle)
            yield _Conversation(handle, self._patience_ms)
        except OSError as error:
            raise TpmError(f"at {self.device} is lost: {error.strerror}") from error
        finally:
            os.close(handle)

    def _hold(self, handle: int) -> None:
        """Have it alone. Raises ``TpmError`` when whoever has it does not let go in time."""
        if self._hold_tries is None:
            fcntl.flock(handle, fcntl.LOCK_EX)
            return
        for _ in range(self._hold_tries):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                select.select([], [], [], HOLD_MS / 1_000)
        raise TpmError(f"at {self.device} is held by another program")


class _Conversation:
    """Commands and answers, alone with it; its handles stay where others have it in between, for the kernel keeps them apart."""

    def __init__(self, handle: int, patience_ms: int) -> None:
        self._handle = handle
        self._patience_ms = patience_ms

    def __call__(self, command: bytes) -> bytes:
        """Raises ``TpmError`` and ``OSError``."""
        return _patiently(self._handle, command, self._patience_ms)

    def let_others(self) -> None:
        """Somebody who waits for it has it now."""
        fcntl.flock(self._handle, fcntl.LOCK_UN)
        select.select([], [], [], PAUSE_MS / 1_000)
        fcntl.flock(self._handle, fcntl.LOCK_EX)


def _patiently(handle: int, command: bytes, patience_ms: int) -> bytes:
    """Ask, and ask again while it is busy with itself."""
    for _ in range(BUSY_TRIES):
        try:
            return codec.checked(_ask(handle, command, patience_ms))
        except TpmError as error:
            if error.code not in codec.BUSY:
                raise
        select.select([], [], [], BUSY_MS / 1_000)
    raise TpmError("is busy for too long")


def _ask(handle: int, command: bytes, patience_ms: int) -> bytes:
    os.write(handle, command)
    answer = b""
    while len(answer) < codec.HEADER_BYTES or len(answer) < codec.answer_size(answer):
        ready, _, _ = select.select([handle], [], [], patience_ms / 1_000)
        piece = os.read(handle, codec.ANSWER_MAX) if ready else b""
        if not piece:
            raise TpmError("gives no answer")
        answer += piece
    return answer


def second_layer(tpm: Tpm, verifiers: list[bytes]) -> list[bytes]:
    """V2 of each V1: the first 16 bytes of the TPM's HMAC over it. Raises ``TpmError``."""
    return [made[:VERIFIER_BYTES] for made in tpm.hmacs([_LAYER + verifier for verifier in verifiers])]
