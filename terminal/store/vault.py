"""The terminal's keys and what is done with them: tokens, seals, PIN checks, PIN blocks. Keys come from files that systemd hands us; those
of PIN blocks from a sealed file of our own (pin_keys.py)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from terminal.core.card_data import PinRule
from terminal.core.ids import SaleId
from terminal.core.pin import PinBlock, PinEntry, opin1
from terminal.core.rollback import CountedUp, CounterFound
from terminal.store.pin_keys import PinKeys
from terminal.store.tpm import SCHEME, TPM_SCHEME, Tpm, TpmError, second_layer

TOKEN_DOMAIN = b"fleet/pan-token/v1\0"
SEAL_DOMAIN = b"fleet/card-seal/v1\0"
SECOND_SLOT = b"\0second"
ANSWER_DOMAIN = b"fleet/prompt-answer/v1\0"
KEY_BYTES = 32
LOG = logging.getLogger("terminal.store")


class KeyFileError(Exception):
    """A key file is missing or no key; the text names the file, never its content."""


class KeyVault:
    """See ``core.ports.Vault``. Nothing in here has a repr that shows anything."""

    def __init__(self, token_key: bytes, pin_key: bytes, card_key: bytes, pin_keys: PinKeys | None = None, tpm: Tpm | None = None) -> None:
        """``token_key`` K_tok of the fleet, ``pin_key`` K_dev of this terminal, ``card_key`` for the field that only the host opens.

        ``pin_keys`` None: this terminal enciphers no PIN. ``tpm``: verifiers have a second layer by it.
        """
        self.tpm = tpm
        self.pin_keys = pin_keys
        self._token_key = token_key
        self._pin_key = pin_key
        self._aead = AESGCM(card_key)

    @classmethod
    def from_files(cls, token: Path, pin: Path, card: Path, pin_keys: Path | None = None, tpm: Path | None = None) -> KeyVault:
        """Read the three keys, each 64 hex digits; ``pin_keys`` is the sealed file of the keys for PIN blocks, which need not be there,
        ``tpm`` the device of a TPM.

        Raises ``KeyFileError``.
        """
        key = read_key(pin)
        sealed = None if pin_keys is None else PinKeys(pin_keys, key)
        return cls(read_key(token), key, read_key(card), sealed, None if tpm is None else Tpm.of_the_core(tpm))

    def token(self, number: str) -> str:
        """First 16 bytes of HMAC-SHA256(K_tok, domain ‖ number), as hex (reference security-and-reliability 4.1)."""
        return hmac.digest(self._token_key, TOKEN_DOMAIN + number.encode(), "sha256")[:16].hex()

    def seal(self, number: str, sale: SaleId) -> str:
        """AES-256-GCM with a nonce made of the sale's id: each sale seals one number once, so no nonce meets a second plaintext."""
        return self._seal(number, sale, b"")

    def seal_second(self, number: str, sale: SaleId) -> str:
        """The same in a slot of its own: one nonce for two numbers would give away both."""
        return self._seal(number, sale, SECOND_SLOT)

    def _seal(self, number: str, sale: SaleId, slot: bytes) -> str:
        nonce = hashlib.sha256(SEAL_DOMAIN + sale.encode() + slot).digest()[:12]
        return base64.b64encode(self._aead.encrypt(nonce, number.encode(), sale.encode())).decode()

    def answer(self, subject: str, prompt: str, answer: str) -> str:
        """First 16 bytes of HMAC-SHA256(K_tok, domain ‖ subject ‖ 0 ‖ prompt ‖ 0 ‖ answer), as hex (firmware_notes/host-api.md)."""
        text = ANSWER_DOMAIN + b"\0".join((subject.encode(), prompt.encode(), answer.encode()))
        return hmac.digest(self._token_key, text, "sha256")[:16].hex()

    def pin_block(self, number: str, pin: PinEntry) -> PinBlock | None:
        """See ``core.ports.Vault``."""
        return None if self.pin_keys is None else self.pin_keys.encipher(number, pin)

    def pin_matches(self, rule: PinRule, account: str, pin: PinEntry) -> bool | None:
        """Compare in constant time. A scheme or verifier that we cannot read matches nothing, after the same work."""
        made = opin1(self._pin_key, _hex(account), rule.epoch & 0xFFFFFFFF, pin)
        if self.tpm is not None:
            try:
                (made,) = second_layer(self.tpm, [made])
            except TpmError as error:
                LOG.error("event=PinKeyUnavailable why=%r", str(error))
                return None
        return hmac.compare_digest(made, _hex(rule.verifier)) and rule.scheme == (SCHEME if self.tpm is None else TPM_SCHEME)

    def counter(self) -> CounterFound | None:
        """Where the TPM's counter stands; None without a TPM."""
        if self.tpm is None:
            return None
        try:
            return CounterFound(self.tpm.counter())
        except TpmError as error:
            return CounterFound(None, str(error))

    def count_up(self) -> CountedUp:
        """Count it up by one."""
        if self.tpm is None:
            return CountedUp(None, "there is no TPM")
        try:
            return CountedUp(self.tpm.count_up())
        except TpmError as error:
            return CountedUp(None, str(error))


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def read_key(path: Path, size: int = KEY_BYTES) -> bytes:
    """A key file's 32 bytes (or ``size``), written as hex digits. Raises ``KeyFileError``."""
    try:
        # "replace", because a decoding error would carry the file's bytes, and a raw binary key is what one gets wrong first.
        key = bytes.fromhex(path.read_bytes().decode("ascii", "replace").strip())
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}; the key must be readable by the service's user") from error
    except ValueError as error:
        raise KeyFileError(f"{path}: not a key ({2 * size} hex digits expected)") from error
    if len(key) != size:
        raise KeyFileError(f"{path}: {len(key)} bytes, {size} expected")
    return key
