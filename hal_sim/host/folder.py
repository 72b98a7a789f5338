"""The folder of a stand-alone host: one host at a time, its scenario, its keys and its certificates, each made once and never again.

Source: firmware_notes/host-command.md, "The folder". A file is written whole beside its place and then renamed, so a power cut leaves
either no key or the key.
"""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
import secrets
import tomllib
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hal_sim.host.papers import Papers
from hal_sim.host.pki import Authority, Issued
from hal_sim.host.sqlite_book import FILE, Keys

AUTHORITY_NAME = "Fleet host CA"
EXAMPLE = Path(__file__).with_name("example.toml")
KEY_BYTES = 32
LOCK, SCENARIO = "lock", "scenario.json"


class CannotServe(Exception):
    """The host cannot be started; the text says why, for a person, without keys and card numbers."""


class Folder:
    """``--book DIR``. Holds the lock from the moment it is made until ``close``."""

    def __init__(self, path: Path) -> None:
        """Makes the folder when it is not there. Raises ``CannotServe``, also while another host has it."""
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise CannotServe(f"{path}: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(self._lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._lock)
            raise CannotServe(f"{path}: another host is running here (process {owner}); one folder is one host") from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)
        self.begun = (path / FILE).exists()

    def close(self) -> None:
        """Lets another host have the folder."""
        os.close(self._lock)

    # --- scenario -------------------------------------------------------------------------------------------------------

    def scenario(self, given: Path | None) -> dict[str, Any]:
        """The scenario of this folder; at the first start the given one, else the example. Raises ``CannotServe``."""
        kept = self.path / SCENARIO
        if given is None and not kept.exists() and not self.begun:
            given = EXAMPLE
        if given is None:
            return read_scenario(kept)
        scenario = read_scenario(given)
        if self.begun and kept.exists() and read_scenario(kept) != scenario:
            raise CannotServe(f"{given}: this folder was begun with another scenario; leave --scenario away, or take another folder")
        return scenario

    def keep_scenario(self, scenario: dict[str, Any]) -> None:
        """Written at the first start, when it is known to be right."""
        if not (self.path / SCENARIO).exists():
            self._put(SCENARIO, json.dumps(scenario, indent=1, sort_keys=True).encode())

    # --- keys and certificates ------------------------------------------------------------------------------------------

    def keys(self) -> Keys:
        """The host's secrets. Raises ``CannotServe`` when a book is there and one of them is not."""
        names = ("token.key", "pin.key", "card.key", "list.key")
        self._all_or_new(*names)
        found = []
        for name in names:
            text = self._get_or_make(name, lambda: secrets.token_bytes(KEY_BYTES).hex().encode())
            try:
                key = bytes.fromhex(text.decode("ascii"))
            except ValueError:
                key = b""
            if len(key) != KEY_BYTES:
                raise CannotServe(f"{self.path / name}: {2 * KEY_BYTES} hex digits are expected")
            found.append(key)
        keys = Keys(*found)
        public = Ed25519PrivateKey.from_private_bytes(keys.lists).public_key().public_bytes_raw()
        self._get_or_make("list.pub", lambda: public.hex().encode())
        return keys

    def papers(self, terminal: str, names: tuple[str, ...]) -> Papers:
        """Certificates of the authority, of this host under these further names and addresses, and of the terminal.

        Authority and terminal keep theirs for ever; the host's own is issued anew when a name is wanted that it does not have.
        Raises ``CannotServe``.
        """
        self._all_or_new("ca.crt", "ca.key", "client.crt", "client.key")
        authority = self._authority()
        client = self._pair("client", lambda: authority.client(terminal))
        if (self.path / "server.crt").exists() and not set(names) <= _names_of((self.path / "server.crt").read_bytes()):
            (self.path / "server.crt").unlink()
        server = self._pair("server", lambda: authority.server(*names))
        keys = [str(self.path / name) for name in ("token.key", "pin.key", "card.key", "list.pub")]
        return Papers(authority, str(self.path / "ca.crt"), *client, *server, *keys)

    def _authority(self) -> Authority:
        certificate, key = self.path / "ca.crt", self.path / "ca.key"
        if not (certificate.exists() and key.exists()):
            kept = Authority(AUTHORITY_NAME).keep()
            self._put("ca.key", kept.key)
            self._put("ca.crt", kept.certificate)
        try:
            return Authority(AUTHORITY_NAME, kept=Issued(certificate.read_bytes(), key.read_bytes()))
        except (ValueError, TypeError) as error:
            raise CannotServe(f"{self.path}: ca.crt and ca.key are not what this host wrote") from error

    def _pair(self, name: str, issue: Any) -> tuple[str, str]:
        certificate, key = f"{name}.crt", f"{name}.key"
        if not ((self.path / certificate).exists() and (self.path / key).exists()):
            issued = issue()
            self._put(key, issued.key)  # the certificate last: it stands only where its key does
            self._put(certificate, issued.certificate)
        return str(self.path / certificate), str(self.path / key)

    def _all_or_new(self, *names: str) -> None:
        gone = [name for name in names if not (self.path / name).exists()]
        if self.begun and gone:
            raise CannotServe(f"{self.path}: {', '.join(gone)} is gone; the book cannot be gone on with, put it back from a copy")

    def _get_or_make(self, name: str, make: Any) -> bytes:
        path = self.path / name
        if not path.exists():
            self._put(name, make())
        return path.read_bytes()

    def _put(self, name: str, content: bytes) -> None:
        aside = self.path / f"{name}.new"
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.rename(self.path / name)
        directory = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _names_of(certificate: bytes) -> set[str]:
    names = x509.load_pem_x509_certificate(certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(names.get_values_for_type(x509.DNSName)) | {str(each) for each in names.get_values_for_type(x509.IPAddress)}


def read_scenario(path: Path) -> dict[str, Any]:
    """A scenario of a TOML or JSON file, by its ending. Raises ``CannotServe`` with the place of the mistake."""
    try:
        text = path.read_text(encoding="utf-8")
        value = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise CannotServe(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CannotServe(f"{path}: not UTF-8 text") from error
    except json.JSONDecodeError as error:
        raise CannotServe(f"{path}, line {error.lineno}, column {error.colno}: {error.msg}") from error
    except tomllib.TOMLDecodeError as error:
        raise CannotServe(f"{path}: {error}") from error
    if not isinstance(value, dict):
        raise CannotServe(f"{path}: the scenario is one object")
    return value


def certificate_names(listen: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """What the host's certificate has to bear beside localhost. Raises ``CannotServe`` for what is neither a name nor an address."""
    wanted = [*names]
    try:
        if not ipaddress.ip_address(listen).is_unspecified:
            wanted.append(listen)
    except ValueError:
        wanted.append(listen)
    for name in wanted:
        if not name or not name.isascii() or len(name) > 253 or any(char.isspace() or char == "/" for char in name):
            raise CannotServe("a name of the host has letters, digits, dots and dashes only")
    return tuple(dict.fromkeys(wanted))
