"""What the host makes from card numbers and PINs: tokens, seals and offline PIN verifiers.

Source: firmware_notes/host-api.md sections "Card numbers" and "PIN verifier". The golden vector of both is in
tests/hal_sim/test_host_contract.py. Nothing here ever puts a number, a PIN or a key into an exception.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_BANK_NAME = re.compile(r"EMV-([0-9a-f]{32})-[0-9]{4}", re.ASCII)
TOKEN_LABEL = b"fleet/pan-token/v1\0"
SEAL_LABEL = b"fleet/card-seal/v1\0"
PIN_LABEL = b"fleet/opin/v1\0"
SECOND_SLOT = b"\0second"
ANSWER_LABEL = b"fleet/prompt-answer/v1\0"


def token_of(key: bytes, number: str) -> str:
    """The 32 hex digits by which both sides know a card number without having it in clear; a bank card's name has them in it."""
    named = _BANK_NAME.fullmatch(number)
    if named is not None:
        return named[1]
    return hmac.digest(key, TOKEN_LABEL + number.encode(), "sha256")[:16].hex()


def pin_verifier(key: bytes, account_token: str, epoch: int, pin: str) -> str:
    """The ``opin1`` verifier (32 hex digits) of a PIN, bound to the account's token and the PIN's epoch."""
    message = PIN_LABEL + bytes.fromhex(account_token) + epoch.to_bytes(4, "big") + bytes([len(pin)]) + pin.encode("ascii")
    return hmac.digest(key, message, "sha256")[:16].hex()


def answer_hash(key: bytes, subject: str, prompt: str, answer: str) -> str:
    """An answer to a prompt that is right, as a list has it: 32 hex digits. ``subject``: ``card TOKEN`` or ``customer NAME``."""
    message = ANSWER_LABEL + b"\0".join((subject.encode(), prompt.encode(), answer.encode()))
    return hmac.digest(key, message, "sha256")[:16].hex()


class SealBroken(Exception):
    """A sealed card number cannot be opened with this key and sale, or holds no text."""


class Sealer:
    """Seals and opens card numbers with one AES-256-GCM key; nonce and associated data come from the sale.

    The nonce depends on the sale alone, so one sale may seal one number. A second card therefore has a slot of its own; the
    slot of the first card is the contract's plain form.
    """

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    @staticmethod
    def _nonce(sale: bytes, slot: bytes) -> bytes:
        return hashlib.sha256(SEAL_LABEL + sale + slot).digest()[:12]

    def seal(self, number: str, sale: str, *, second: bool = False) -> str:
        """Base64 of the sealed number."""
        data = sale.encode()
        slot = SECOND_SLOT if second else b""
        return base64.b64encode(self._aead.encrypt(self._nonce(data, slot), number.encode(), data)).decode("ascii")

    def open(self, sealed: str, sale: str, *, second: bool = False) -> str:
        """The number again. A second card is accepted in both slots. Raises ``SealBroken``."""
        data = sale.encode()
        try:
            raw = base64.b64decode(sealed, validate=True)
        except (binascii.Error, ValueError):
            raise SealBroken("not base64") from None
        for slot in (SECOND_SLOT, b"") if second else (b"",):
            try:
                return self._aead.decrypt(self._nonce(data, slot), raw, data).decode()
            except (InvalidTag, ValueError):
                continue
        raise SealBroken("does not open")
