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
from collections.abc import Callable, Iterator
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
BUSY_TRIES = 20
BUSY_MS = 100
_LABEL = hashlib.sha256(b"fleet/opin-tpm/v1\0").digest()
_LAYER = b"fleet/opin/v2\0"
VERIFIER_BYTES = 16


class Tpm:
    """One TPM 2.0 by its device, as ``/dev/tpmrm0``. Any thread; one conversation at a time."""

    def __init__(self, device: Path) -> None:
        self.device = device

    def hmacs(self, messages: list[bytes]) -> list[bytes]:
        """HMAC-SHA256 of each by the key that only this TPM has. Raises ``TpmError``."""
        with self._open() as ask:
            key = codec.handle_of(ask(codec.create_key(_LABEL)))
            try:
                return [codec.hmac_of(ask(codec.hmac(key, message))) for message in messages]
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
    def _open(self) -> Iterator[Callable[[bytes], bytes]]:
        try:
            handle = os.open(self.device, os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY)
        except OSError as error:
            raise TpmError(f"at {self.device} cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield lambda command: _patiently(handle, command)
        except OSError as error:
            raise TpmError(f"at {self.device} is lost: {error.strerror}") from error
        finally:
            os.close(handle)


def _patiently(handle: int, command: bytes) -> bytes:
    """Ask, and ask again while it is busy with itself."""
    for _ in range(BUSY_TRIES):
        try:
            return codec.checked(_ask(handle, command))
        except TpmError as error:
            if error.code not in codec.BUSY:
                raise
        select.select([], [], [], BUSY_MS / 1_000)
    raise TpmError("is busy for too long")


def _ask(handle: int, command: bytes) -> bytes:
    os.write(handle, command)
    answer = b""
    while len(answer) < codec.HEADER_BYTES or len(answer) < codec.answer_size(answer):
        ready, _, _ = select.select([handle], [], [], PATIENCE_MS / 1_000)
        piece = os.read(handle, codec.ANSWER_MAX) if ready else b""
        if not piece:
            raise TpmError("gives no answer")
        answer += piece
    return answer


def second_layer(tpm: Tpm, verifiers: list[bytes]) -> list[bytes]:
    """V2 of each V1: the first 16 bytes of the TPM's HMAC over it. Raises ``TpmError``."""
    return [made[:VERIFIER_BYTES] for made in tpm.hmacs([_LAYER + verifier for verifier in verifiers])]
