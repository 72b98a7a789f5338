"""The keys for PIN blocks on this terminal: the DUKPT state in a sealed file, written down before any of its keys is used.

The file holds the state of ``dukpt.py`` under AES-256-GCM with a key that only this terminal's PIN key gives. Keys are reserved a block at
a time: the state behind the block is on disk (synced, renamed, read back) before the first key of the block comes out, so a cut of the
power loses keys and never repeats one. The initial key is loaded once (``load``), and no copy of it is kept here.
(features.md F10; firmware_notes/pins.md.)
"""

from __future__ import annotations

import hmac
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from terminal.core.pin import PinBlock, PinEntry
from terminal.store.dukpt import KEY_SIZES, DukptError, DukptState, KeySupply, reserve
from terminal.store.pin_block import RANDOM_BYTES, PinBlockError, encipher

FILE = "pin-keys.bin"
RESERVED = 100
"""Keys of one block: one sync of the disk for so many PINs."""
NONCE = 12
_SEAL = b"fleet/pin-keys/v1\0"


class PinKeysError(Exception):
    """The keys cannot be loaded or used; the text has nothing of a key."""


class PinKeys:
    """One terminal's supply. One thread."""

    def __init__(self, path: Path, device_key: bytes) -> None:
        """``device_key`` K_dev of this terminal, from which the file's own key is made."""
        self.path = path
        self._aead = AESGCM(hmac.digest(device_key, _SEAL, "sha256"))
        self._supply: KeySupply | None = None

    def load(self, key: bytes, key_id: bytes) -> None:
        """Take an initial key (16 or 32 bytes) with its id (8 bytes). Raises ``PinKeysError``, also for one that was loaded before:
        counting from its beginning again would use its keys twice."""
        if len(key) not in KEY_SIZES:
            raise PinKeysError("an initial key has 16 or 32 bytes")
        try:
            known = self._read()
        except FileNotFoundError:
            known = None
        if known is not None and known.key_id == key_id:
            raise PinKeysError("this initial key was loaded before; the host must give another one")
        try:
            self._write(DukptState.load(key, key_id))
        except (DukptError, OSError) as error:
            raise PinKeysError(f"the initial key cannot be kept: {error}") from error
        self._supply = None

    def encipher(self, number: str, pin: PinEntry) -> PinBlock | None:
        """The PIN as a block of format 4 under the next key; None without keys, or for a number that no block can be bound to."""
        try:
            if self._supply is None or self._supply.empty:
                self._supply = self._reserved()
            transaction = self._supply.take()
            block = encipher(transaction.key(), pin.view(), number, os.urandom(RANDOM_BYTES))
        except (DukptError, PinBlockError, PinKeysError, OSError):
            return None
        return PinBlock(block.hex(), transaction.ksn.hex())

    def _reserved(self) -> KeySupply:
        reservation = reserve(self._read(), RESERVED)
        self._write(reservation.successor)
        return reservation.committed(self._read())

    def _read(self) -> DukptState:
        data = self.path.read_bytes()
        try:
            return DukptState.from_bytes(self._aead.decrypt(data[:NONCE], data[NONCE:], _SEAL))
        except (InvalidTag, DukptError, ValueError):
            raise PinKeysError(f"{self.path}: not the PIN keys of this terminal") from None

    def _write(self, state: DukptState) -> None:
        """In place of what was there, or not at all."""
        nonce = os.urandom(NONCE)
        partial = self.path.with_suffix(".part")
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(handle, "wb", closefd=False) as file:
                file.write(nonce + self._aead.encrypt(nonce, state.to_bytes(), _SEAL))
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(partial, self.path)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
