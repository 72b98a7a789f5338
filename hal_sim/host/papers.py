"""A host's certificates and keys as files, and what it answers a terminal that asks for its next certificate.

Source: firmware_notes/host-api.md, "Transport" and "The terminal's certificate".
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from hal_sim.host.book import HostBook
from hal_sim.host.pki import Authority, Issued

INITIAL_KEY = "pin-initial.key"
"""The initial key for PIN blocks and its id, in hex with a blank between, as a terminal loads it."""


@dataclass(frozen=True, slots=True)
class Papers:
    """Where a host's certificates and keys lie, as paths of files."""

    authority: Authority = field(repr=False)
    ca: str
    client_certificate: str
    client_key: str
    server_certificate: str
    server_key: str
    token_key: str
    pin_key: str
    card_key: str
    list_key: str


def _write(path: Path, content: bytes) -> str:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    return str(path)


def _write_pair(folder: Path, name: str, issued: Issued) -> tuple[str, str]:
    return _write(folder / f"{name}.crt", issued.certificate), _write(folder / f"{name}.key", issued.key)


def make_papers(book: HostBook, folder: Path) -> Papers:
    """New ones in this folder; only the authority's key is written nowhere. Raises ``OSError``."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = Authority()
    server, client = authority.server(), authority.client(book.terminal)
    ca = _write(folder / "ca.crt", authority.certificate)
    keys = {"token.key": book.token_key, "pin.key": book.pin_key, "card.key": book.card_key, "list.pub": book.shelf.public}
    paths = [_write(folder / name, key.hex().encode()) for name, key in keys.items()]
    _write(folder / INITIAL_KEY, " ".join(each.hex() for each in book.pin_initial_key()).encode())
    return Papers(authority, ca, *_write_pair(folder, "client", client), *_write_pair(folder, "server", server), *paths)
