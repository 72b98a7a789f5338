"""The terminal's keys and the three things that are done with them: token, seal, PIN check. Keys come from files that systemd hands us."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from terminal.core.card_data import PinRule
from terminal.core.ids import SaleId
from terminal.core.pin import PinEntry, opin1

TOKEN_DOMAIN = b"fleet/pan-token/v1\0"
SEAL_DOMAIN = b"fleet/card-seal/v1\0"
KEY_BYTES = 32


class KeyFileError(Exception):
    """A key file is missing or no key; the text names the file, never its content."""


class KeyVault:
    """See ``core.ports.Vault``. Nothing in here has a repr that shows anything."""

    def __init__(self, token_key: bytes, pin_key: bytes, card_key: bytes) -> None:
        """``token_key`` K_tok of the fleet, ``pin_key`` K_dev of this terminal, ``card_key`` for the field that only the host opens."""
        self._token_key = token_key
        self._pin_key = pin_key
        self._aead = AESGCM(card_key)

    @classmethod
    def from_files(cls, token: Path, pin: Path, card: Path) -> KeyVault:
        """Read the three keys, each 64 hex digits. Raises ``KeyFileError``."""
        return cls(read_key(token), read_key(pin), read_key(card))

    def token(self, number: str) -> str:
        """First 16 bytes of HMAC-SHA256(K_tok, domain ‖ number), as hex (reference security-and-reliability 4.1)."""
        return hmac.digest(self._token_key, TOKEN_DOMAIN + number.encode(), "sha256")[:16].hex()

    def seal(self, number: str, sale: SaleId) -> str:
        """AES-256-GCM with a nonce made of the sale's id: each sale seals one number once, so no nonce meets a second plaintext."""
        nonce = hashlib.sha256(SEAL_DOMAIN + sale.encode()).digest()[:12]
        return base64.b64encode(self._aead.encrypt(nonce, number.encode(), sale.encode())).decode()

    def pin_matches(self, rule: PinRule, account: str, pin: PinEntry) -> bool:
        """Compare in constant time. A scheme or verifier that we cannot read matches nothing, after the same work."""
        made = opin1(self._pin_key, _hex(account), rule.epoch & 0xFFFFFFFF, pin)
        return hmac.compare_digest(made, _hex(rule.verifier)) and rule.scheme == "opin1"


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def read_key(path: Path) -> bytes:
    """A key file's 32 bytes, written as 64 hex digits. Raises ``KeyFileError``."""
    try:
        # "replace", because a decoding error would carry the file's bytes, and a raw binary key is what one gets wrong first.
        key = bytes.fromhex(path.read_bytes().decode("ascii", "replace").strip())
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}; the key must be readable by the service's user") from error
    except ValueError as error:
        raise KeyFileError(f"{path}: not a key (64 hex digits expected)") from error
    if len(key) != KEY_BYTES:
        raise KeyFileError(f"{path}: {len(key)} bytes, {KEY_BYTES} expected")
    return key
