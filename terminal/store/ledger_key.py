"""The key of an encrypted ledger, and by which bytes such a ledger is known.

The key is raw, 32 bytes, and there is no passphrase to derive it from. In place of the file's random salt, which nothing needs then, stand
a name and a mark of the key: so a wrong key is told from a damaged file before SQLite opens either, and a page of a backup fits into the
ledger of the same key. (https://www.zetetic.net/sqlcipher/sqlcipher-api/, PRAGMA key;
https://www.zetetic.net/sqlcipher/design/; firmware_notes/storage.md, Encrypted.)
"""

from __future__ import annotations

import hashlib
import hmac

KEY_BYTES = 32
SALT_BYTES = 16
NAME = b"fuelled1"
"""The first bytes of an encrypted ledger; eight of its key's mark follow."""
_MARK = b"fleet/ledger-mark/v1\0"
_MAC_MASK, _MAC_ROUNDS = 0x3A, 2
"""SQLCipher's hmac_salt_mask and fast_kdf_iter."""


class LedgerKey:
    """Nothing shows it: no repr, no message."""

    __slots__ = ("_key", "mac_key", "salt")

    def __init__(self, key: bytes) -> None:
        """``key``: 32 bytes, else ``ValueError``."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"a ledger's key has {KEY_BYTES} bytes")
        self._key = key
        self.salt = NAME + hmac.digest(key, _MARK, "sha256")[: SALT_BYTES - len(NAME)]
        masked = bytes(one ^ _MAC_MASK for one in self.salt)
        self.mac_key = hashlib.pbkdf2_hmac("sha512", key, masked, _MAC_ROUNDS, KEY_BYTES)
        """What SQLCipher proves its pages with."""

    def statement(self) -> str:
        """What keys a new connection. Never to be shown."""
        return f"PRAGMA key = \"x'{self._key.hex()}{self.salt.hex()}'\""

    def content(self) -> bytes:
        """For the process that makes backups, through a pipe."""
        return self._key
