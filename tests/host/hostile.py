"""Hosts that misbehave, over real TLS on the loopback: each connection is given to a function of the test."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import queue
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PATIENCE_S = 60.0
Conduct = Callable[[ssl.SSLSocket], None]
_START, _END = dt.datetime(2000, 1, 1, tzinfo=dt.UTC), dt.datetime(2099, 1, 1, tzinfo=dt.UTC)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])


class Pki:
    """Writes ``ca.crt`` and certificates of its making into a folder."""

    def __init__(self, folder: Path, authority: str = "ca.crt") -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._issuer = _name(f"test {authority}")
        builder = self._builder(self._issuer, self._key.public_key(), _END)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        certificate = builder.sign(self._key, hashes.SHA256())
        (folder / authority).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, end: dt.datetime) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._issuer).public_key(key)
        return builder.serial_number(x509.random_serial_number()).not_valid_before(_START).not_valid_after(end)

    def issue(self, name: str, address: str = "127.0.0.1", end: dt.datetime = _END) -> None:
        """``name.crt`` and ``name.key`` for an address."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        certificate = (
            self._builder(_name(name), key.public_key(), end).add_extension(names, critical=False).sign(self._key, hashes.SHA256())
        )
        (self.folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        plain = serialization.NoEncryption()
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        (self.folder / f"{name}.key").write_bytes(pem)


def context_of(folder: Path, pair: str = "server") -> ssl.SSLContext:
    """A server that asks for a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{pair}.crt", folder / f"{pair}.key")
    context.load_verify_locations(folder / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def old_context_of(folder: Path) -> ssl.SSLContext:
    """A server that speaks TLS 1.1 alone."""
    context = context_of(folder)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def request_of(connection: ssl.SSLSocket) -> bytes:
    """One whole request; b"" when the client has gone."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Host:
    """Accepts, shakes hands, and lets each connection's conduct do what it does; the last conduct serves all that come later."""

    def __init__(self, context: ssl.SSLContext, conducts: list[Conduct]) -> None:
        self._context = context
        self._conducts = conducts
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self.over = threading.Event()
        self.requests: list[bytes] = []
        self.ended: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.connections = 0
        self._thread = threading.Thread(target=self._accept, name="hostile-host", daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self._listener.accept()
                number = self.connections
                self.connections += 1
                threading.Thread(target=self._serve, args=(plain, number), name=f"hostile-{number}", daemon=True).start()

    def _serve(self, plain: socket.socket, number: int) -> None:
        plain.settimeout(PATIENCE_S)
        with contextlib.suppress(OSError), self._context.wrap_socket(plain, server_side=True) as connection:
            self._conducts[min(number, len(self._conducts) - 1)](connection)
        plain.close()
        self.ended.put(number)

    def close(self) -> None:
        """Stop listening and let conducts that wait on ``over`` end."""
        self.over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE_S)


@contextlib.contextmanager
def host_with(context: ssl.SSLContext, *conducts: Conduct) -> Iterator[Host]:
    """A host for the time of the block."""
    host = Host(context, list(conducts))
    try:
        yield host
    finally:
        host.close()


@contextlib.contextmanager
def plain_host(talk: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """A host that speaks no TLS: what it does with each connection is ``talk``. Yields the url."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        talk(connection, over)

        thread = threading.Thread(target=accept, name="plain-host", daemon=True)
        thread.start()
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE_S)
