"""The signed head of a card list: who made it, for which terminal, which version, how long it holds, and what the rows must add up to.

Ed25519 over ``fleet/list/v1`` and the head's canonical JSON, checked against two pinned keys before anything else is believed. TLS is no
replacement: the signature also stands against a broken proxy, a stolen TLS key and a list from a stick. (firmware_notes/host-api.md, The
card list; reference/security-and-reliability.md 4.2.)
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from terminal.core.card_lists import NAME, ListOffer
from terminal.host.json_lane import LaneError, decode, utc_ms

DOMAIN = b"fleet/list/v1\0"
Hash = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Epoch = Annotated[str, msgspec.Meta(pattern=r"^(?!\.+\Z)[A-Za-z0-9._-]{1,32}\Z")]
"""Part of a file name and a path, so never only dots."""
Count = Annotated[int, msgspec.Meta(ge=0, le=2**40)]


class HeadRefused(Exception):
    """The head is not to be believed; the text says why."""


class KeyFileError(Exception):
    """A public key's file is missing or no key; the text names the file."""


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One version of the list, or a delta to it (``base`` set). ``size``: all bytes, not packed."""

    list: str
    terminal: str
    epoch: Epoch
    version: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    rows: Count
    sha256: Hash
    content_hash: Hash
    issued_at: datetime
    not_after: datetime
    size: Count = msgspec.field(name="bytes")
    base: Annotated[int, msgspec.Meta(ge=1, le=2**53)] | None
    confirm_shrink: bool

    @property
    def offer(self) -> ListOffer:
        """What the core judges. Raises ``LaneError`` for instants that are not of this century."""
        return ListOffer(
            self.epoch, self.version, self.rows, self.content_hash, utc_ms(self.issued_at), utc_ms(self.not_after), self.confirm_shrink
        )


class ListKeys:
    """The public keys that may sign lists: the current one, and the next for the time of a change."""

    def __init__(self, *keys: bytes) -> None:
        """Raw Ed25519 public keys of 32 bytes. Raises ``ValueError``."""
        self._keys = [Ed25519PublicKey.from_public_bytes(key) for key in keys]

    @classmethod
    def from_files(cls, current: Path, following: Path | None) -> ListKeys:
        """Read the files, 64 hex digits each. Raises ``KeyFileError``."""
        return cls(*(_read(path) for path in (current, following) if path is not None))

    def head(self, raw: bytes, terminal: str) -> Head:
        """The head of these JSON bytes, if one of the keys signed it and it is for us. Raises ``HeadRefused``."""
        try:
            fields = msgspec.json.decode(raw, type=dict[str, Any])
        except (msgspec.DecodeError, ValueError, RecursionError):
            raise HeadRefused("its head is not an object of JSON") from None
        signature = fields.pop("signature", None)
        if not self._signed(msgspec.json.encode(fields, order="sorted"), signature):
            raise HeadRefused("its signature is of none of the keys that are pinned here")
        try:
            head: Head = decode(msgspec.json.encode(fields), Head)
        except LaneError as error:
            raise HeadRefused(f"its head: {error}") from error
        if head.list != NAME:
            raise HeadRefused("it is another list")
        if head.terminal != terminal:
            raise HeadRefused("it is another terminal's")
        try:
            _ = head.offer
        except LaneError as error:
            raise HeadRefused(f"its head has {error}") from error
        return head

    def _signed(self, content: bytes, signature: object) -> bool:
        try:
            raw = base64.b64decode(signature if isinstance(signature, str) else "", validate=True)
        except (binascii.Error, ValueError):
            return False
        return any(_verifies(key, raw, DOMAIN + content) for key in self._keys)


def _verifies(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _read(path: Path) -> bytes:
    try:
        key = bytes.fromhex(path.read_bytes().decode("ascii", "replace").strip())
        Ed25519PublicKey.from_public_bytes(key)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}; the key that signs lists must be readable by the service's user") from error
    except ValueError as error:
        raise KeyFileError(f"{path}: not an Ed25519 public key (64 hex digits expected)") from error
    return key
