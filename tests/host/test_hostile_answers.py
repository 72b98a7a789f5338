"""Answers that are none: dripping, broken, endless, packed, redirected. The question has left, so it is never ``NO_LINE``."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import tracemalloc
import zlib
from pathlib import Path

import pytest

from terminal.core.events import HostTrouble, UploadFailed
from terminal.core.ids import MessageKey
from terminal.host.client import ANSWER_CAP, Answer, Trouble
from terminal.host.workers import upload_result
from tests.host.calls import ASK, LONG_MS, body_of, in_short, in_time, silence, told, trouble
from tests.host.hostile import Conduct, answer, context_of, host_with, request_of
from tests.host.kit import LANE, client_of


def dripping(head: bytes, drop: bytes) -> Conduct:
    """``head``, then ``drop`` again and again without an end."""

    def serve(connection: ssl.SSLSocket) -> None:
        connection.sendall(head)
        while True:  # the client's end of the connection ends it
            connection.sendall(drop)
            threading.Event().wait(0.02)

    return told(serve)


OK = b"HTTP/1.1 200 OK\r\n"
SLOW: dict[str, Conduct] = {
    "silence": told(lambda connection: silence(connection)),
    "status line": dripping(b"HTTP/1.1 200 ", b"O"),
    "headers": dripping(OK + b"X-Slow: ", b"x"),
    "many headers": dripping(OK, b"X-Slow: x\r\n"),
    "continue": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": dripping(OK + b"Content-Length: 100000\r\n\r\n", b" "),
    "body without length": dripping(OK + b"\r\n", b" "),
    "chunks": dripping(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "packed": dripping(OK + b"Content-Encoding: gzip\r\nContent-Length: 100000\r\n\r\n" + gzip.compress(b"")[:10], b"\x00\x00\x00\xff\xff"),
}


@pytest.mark.parametrize("what", [name for name in SLOW if name != "many headers"])
def test_whatever_drips_ends_with_the_deadline(pki: Path, what: str) -> None:
    """Each byte in time, the whole never: the question may have arrived."""
    with host_with(context_of(pki), SLOW[what]) as host:
        assert in_short(client_of(pki, host.url)) is HostTrouble.TIMED_OUT


def test_headers_without_end_are_broken_off(pki: Path) -> None:
    """By the deadline or by the library's own bound."""
    with host_with(context_of(pki), SLOW["many headers"]) as host:
        assert in_short(client_of(pki, host.url)) in (HostTrouble.TIMED_OUT, HostTrouble.TECHNICAL)


def _reset(connection: ssl.SSLSocket) -> None:
    connection.sendall(answer(b'{"time":"2026', length=500))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    connection.close()


def _not_tls(connection: ssl.SSLSocket) -> None:
    socket.socket.send(connection, b"\x17\x03\x03\x00\x20" + b"\xee" * 32)
    connection.recv(1)


BROKEN: dict[str, Conduct] = {
    "nothing": told(lambda connection: None),
    "half a status line": told(lambda connection: connection.sendall(b"HTTP/1.1 20")),
    "no status line": told(lambda connection: connection.sendall(b"\x00\xff\xfe\r\n\r\n")),
    "body cut short": told(lambda connection: connection.sendall(answer(b'{"time":', length=100))),
    "reset in the body": told(_reset),
    "two lengths": told(lambda connection: connection.sendall(answer(b"{}", "Content-Length: 7"))),
    "chunk without size": told(lambda connection: connection.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n")),
    "packed garbage": told(lambda connection: connection.sendall(answer(b"no gzip at all", "Content-Encoding: gzip"))),
    "many packings": told(lambda connection: connection.sendall(answer(b"{}", "Content-Encoding: " + ", ".join(["gzip"] * 50)))),
    "garbled record": told(_not_tls),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_answer_may_have_been_heard(pki: Path, what: str) -> None:
    """Never ``NO_LINE``: the host has read the question."""
    with host_with(context_of(pki), BROKEN[what]) as host:
        assert trouble(client_of(pki, host.url).call(ASK, LONG_MS)) is HostTrouble.TECHNICAL


def test_half_the_headers_are_no_booking(pki: Path) -> None:
    """The library takes the end of the line for the end of the headers: then there is no body, and the lane refuses that."""
    with host_with(context_of(pki), told(lambda connection: connection.sendall(OK + b"Content-Len"))) as host:
        came = client_of(pki, host.url).call(ASK, LONG_MS)
    assert came == Answer(200, b"")
    assert upload_result(LANE, "OPT1-1-1/complete", Answer(200, b"")) == UploadFailed(
        MessageKey("OPT1-1-1/complete"), HostTrouble.TECHNICAL, "not an answer of the contract: Input data was truncated"
    )


def endless(*headers: str, status: str = "200 OK") -> Conduct:
    def serve(connection: ssl.SSLSocket) -> None:
        connection.sendall("\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode())
        while True:
            connection.sendall(b" " * 65536)

    return told(serve)


@pytest.mark.parametrize("headers", [(), ("Content-Length: 999999999999",)])
def test_an_endless_body_is_cut_at_the_cap(pki: Path, headers: tuple[str, ...]) -> None:
    """With and without a length."""
    with host_with(context_of(pki), endless(*headers)) as host:
        came = in_time(client_of(pki, host.url))
    assert came == Trouble(HostTrouble.TECHNICAL, "the answer is larger than allowed", too_large=True)


def test_the_cap_is_exact(pki: Path) -> None:
    """The largest body that is allowed comes whole; a byte more does not."""
    with host_with(context_of(pki), told(lambda connection: connection.sendall(answer(b" " * ANSWER_CAP)))) as host:
        assert len(body_of(client_of(pki, host.url).call(ASK, LONG_MS))) == ANSWER_CAP
    with host_with(context_of(pki), told(lambda connection: connection.sendall(answer(b" " * (ANSWER_CAP + 1))))) as host:
        assert trouble(client_of(pki, host.url).call(ASK, LONG_MS)) is HostTrouble.TECHNICAL


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_bomb_is_capped_by_what_comes_out(pki: Path, encoding: str) -> None:
    """200 MiB of blanks in 200 KiB, which nobody asked to be packed: neither read whole nor held."""
    packer = zlib.compressobj(9, wbits=31 if encoding == "gzip" else 15)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()
    with host_with(context_of(pki), told(lambda connection: connection.sendall(answer(bomb, f"Content-Encoding: {encoding}")))) as host:
        client = client_of(pki, host.url)
        tracemalloc.start()
        try:
            assert trouble(client.call(ASK, LONG_MS)) is HostTrouble.TECHNICAL
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 8 * ANSWER_CAP


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_a_redirect_is_an_answer_and_not_followed(pki: Path, status: str) -> None:
    """The question goes to nobody else."""
    asked: list[bytes] = []
    with host_with(context_of(pki), lambda connection: asked.append(request_of(connection))) as other:

        def elsewhere(connection: ssl.SSLSocket) -> None:
            connection.sendall(answer(b"", f"Location: {other.url}/v1/authorizations", status=status))
            silence(connection)

        with host_with(context_of(pki), told(elsewhere)) as host:
            came = in_time(client_of(pki, host.url))
    assert isinstance(came, Answer)
    assert came.status == int(status[:3])
    assert asked == []


@pytest.mark.parametrize("location", ["/", "https://[::1", "\x7f", ""])
def test_a_redirect_with_an_endless_body_is_capped_too(pki: Path, location: str) -> None:
    """The library would read it whole before it does not follow it."""
    with host_with(context_of(pki), endless(f"Location: {location}", status="302 Found")) as host:
        assert trouble(in_time(client_of(pki, host.url))) is HostTrouble.TECHNICAL


def test_nothing_of_the_host_is_kept(pki: Path) -> None:
    """Cookies are not sent back."""
    heard: list[bytes] = []

    def serve(connection: ssl.SSLSocket) -> None:
        for _ in range(2):
            heard.append(request_of(connection))
            connection.sendall(answer(b"{}", "Set-Cookie: a=b"))

    with host_with(context_of(pki), serve) as host:
        client = client_of(pki, host.url)
        assert all(isinstance(client.call(ASK, LONG_MS), Answer) for _ in range(2))
        assert host.connections == 1
    assert [b"cookie" in request.lower() for request in heard] == [False, False]
