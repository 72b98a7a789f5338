"""Keys and certificates that the configuration names, files or credentials: read or at least looked at, so that a start fails plainly."""

from __future__ import annotations

import os
from pathlib import Path

from terminal.config import Config, ConfigError, resolve
from terminal.host.client import Endpoint
from terminal.host.list_head import KeyFileError as ListKeyFileError
from terminal.host.list_head import ListKeys
from terminal.store.ledger_key import LedgerKey
from terminal.store.pin_keys import FILE as PIN_KEYS
from terminal.store.vault import KeyFileError, KeyVault, read_key


def vault(config: Config) -> KeyVault:
    """The terminal's own keys. Raises ConfigError."""
    keys = config.keys
    try:
        sealed, tpm = Path(config.terminal.state_dir) / PIN_KEYS, None if keys.tpm is None else Path(keys.tpm)
        return KeyVault.from_files(resolve(keys.token), resolve(keys.pin), resolve(keys.card), sealed, tpm)
    except KeyFileError as error:
        raise ConfigError(f"keys: {error}") from error


def ledger_key(config: Config) -> LedgerKey | None:
    """The key of the ledger; None where none is named. Raises ConfigError."""
    name = config.keys.ledger
    try:
        return None if name is None else LedgerKey(read_key(resolve(name)))
    except KeyFileError as error:
        raise ConfigError(f"keys.ledger: {error}") from error


def list_keys(config: Config) -> ListKeys:
    """The host's public keys that sign card lists. Raises ConfigError."""
    following = config.keys.list_next
    try:
        return ListKeys.from_files(resolve(config.keys.list_current), None if following is None else resolve(following))
    except ListKeyFileError as error:
        raise ConfigError(f"keys: {error}") from error


def endpoint(config: Config) -> Endpoint:
    """Where the host is, and by what both prove themselves. Raises ConfigError."""
    host = config.host
    authority, certificate, key = resolve(host.authority), resolve(host.certificate), resolve(host.key)
    for path in (authority, certificate, key):
        if not os.access(path, os.R_OK):
            raise ConfigError(f"host: {path} is missing or may not be read")
    return Endpoint(host.url, authority, certificate, key, host.connect_ms)
