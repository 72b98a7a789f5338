"""The HTTPS client against the host of the tests and against hosts that misbehave: the right trouble, in time, and nothing else.

What must hold everywhere: ``NO_LINE`` only where the question surely did not leave, because a question that may have arrived is reversed.
"""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hal_sim.host import HostServer
from terminal.core.events import HostTrouble, UploadFailed
from terminal.core.ids import MessageKey
from terminal.host import client as client_module
from terminal.host.client import ANSWER_CAP, Answer, Endpoint, HostClient, Trouble
from terminal.host.json_lane import Call
from terminal.host.workers import upload_result
from tests.hal_sim.host_kit import Terminal, world
from tests.host.hostile import Conduct, answer, context_of, host_with, plain_host, request_of
from tests.host.kit import LANE, client_of, now_ms

ASK = Call("POST", "/v1/authorizations", b'{"key":"OPT1-1-1/authorize"}', "OPT1-1-1/authorize")
LONG_MS, SHORT_MS = 8_000, 300
LOOSE_MS = 4_000
"""A deadline of SHORT_MS must be over by then even on a machine that is busy; without one these calls would last for ever."""
PATIENCE_S = 10.0


def told(conduct: Conduct) -> Conduct:
    """Read the request, then misbehave."""

    def serve(connection: ssl.SSLSocket) -> None:
        if request_of(connection):
            conduct(connection)

    return serve


def trouble(came: Answer | Trouble) -> HostTrouble:
    """The kind of trouble that came."""
    assert isinstance(came, Trouble), came
    assert came.why
    assert "\n" not in came.why
    return came.kind


def in_short(client: HostClient, call: Call = ASK) -> HostTrouble:
    """The trouble of a call with a short deadline, which is kept."""
    began = now_ms()
    kind = trouble(client.call(call, SHORT_MS))
    assert now_ms() - began < LOOSE_MS
    return kind


# --- the host of the tests --------------------------------------------------------------------------------------------------------


class Site:
    """A running host and the terminal's client."""

    def __init__(self, folder: Path) -> None:
        self.book, self.messages, self.clock = world()
        self.server = HostServer(self.book, folder)
        self.client = client_of(folder, self.server.start())
        self.folder = folder

    def question(self, sequence: int) -> Call:
        """An authorization."""
        message = Terminal(self.book, self.clock).authorization(sequence)
        return Call("POST", "/v1/authorizations", json.dumps(message).encode(), message["key"])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Started, and stopped behind the test."""
    found = Site(tmp_path)
    yield found
    found.client.close()
    found.server.stop()
    assert found.server.errors == []


def test_an_answer_comes_whole(site: Site) -> None:
    """Mutual TLS, key in the header, decision in the body."""
    came = site.client.call(site.question(1), LONG_MS)
    assert isinstance(came, Answer)
    assert came.status == 200
    assert LANE.authorized(came.body)[0].authorization == "A1"
    assert site.book.calls["authorize"] == 1


def test_a_list_comes_unpacked(site: Site) -> None:
    """It travels with gzip and is capped by what comes out."""
    heads = json.loads(_body(site.client.call(LANE.list_heads(), LONG_MS)))["lists"]["cards"]
    pieces = list(site.client.stream(LANE.snapshot(heads["epoch"], heads["version"]), LONG_MS, 1 << 20))
    assert pieces[0] == 200
    assert sum(len(piece) for piece in pieces if isinstance(piece, bytes)) == heads["bytes"]


def _body(came: Answer | Trouble) -> bytes:
    assert isinstance(came, Answer), came
    return came.body


def test_a_host_that_is_away_is_no_line_and_then_there_again(site: Site) -> None:
    """Refused connections never left; the next call finds the host by itself."""
    site.client.call(LANE.probe(), LONG_MS)
    site.server.set_reachable(False)
    came = site.client.call(site.question(1), LONG_MS)
    assert came == Trouble(HostTrouble.NO_LINE, "the host refuses the connection or cannot be found")
    site.server.set_reachable(True)
    assert isinstance(site.client.call(site.question(1), LONG_MS), Answer)


@pytest.mark.parametrize(("fault", "kind"), [("delay_ms", HostTrouble.TIMED_OUT), ("lose_answers", HostTrouble.TECHNICAL)])
def test_what_was_booked_and_not_answered_is_never_no_line(site: Site, fault: str, kind: HostTrouble) -> None:
    """The hold is there: it has to be reversed. On a new connection and on a kept one."""
    setattr(site.server.faults, fault, 60_000)
    assert trouble(site.client.call(site.question(1), 500)) is kind
    site.server.faults.clear()
    assert isinstance(site.client.call(LANE.probe(), LONG_MS), Answer)
    setattr(site.server.faults, fault, 60_000)
    assert trouble(site.client.call(site.question(2), 500)) is kind
    assert site.book.calls["authorize"] >= 2


def test_a_body_that_drips_ends_with_the_deadline(site: Site) -> None:
    """Each byte comes in time and the whole does not."""
    site.server.faults.drip_ms = 20
    began = now_ms()
    assert trouble(site.client.call(site.question(1), 600)) is HostTrouble.TIMED_OUT
    assert now_ms() - began < LOOSE_MS


def test_without_our_certificate_nothing_is_answered(site: Site, pki: Path) -> None:
    """A stranger's certificate: refused before the host read anything, whether or not its alert came through."""
    endpoint = Endpoint(site.server.url, Path(site.server.ca_path), pki / "stranger.crt", pki / "stranger.key")
    assert trouble(HostClient(endpoint, now_ms).call(site.question(1), LONG_MS)) in (HostTrouble.NO_LINE, HostTrouble.TECHNICAL)
    assert site.book.calls["authorize"] == 0


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\x00\xff" * 100])
@pytest.mark.parametrize("name", ["authority", "certificate", "key"])
def test_files_that_are_no_certificates_are_no_line(site: Site, pki: Path, tmp_path: Path, name: str, content: bytes) -> None:
    """A person has to mend it; until then it is offline, without an exception."""
    wrong = tmp_path / "wrong.pem"
    wrong.write_bytes(content)
    files = {"authority": Path(site.server.ca_path), "certificate": pki / "client.crt", "key": pki / "client.key"} | {name: wrong}
    assert trouble(HostClient(Endpoint(site.server.url, **files), now_ms).call(ASK, LONG_MS)) is HostTrouble.NO_LINE


def test_missing_files_are_no_line(site: Site, tmp_path: Path) -> None:
    """Also when they go while we run."""
    assert trouble(client_of(tmp_path / "nowhere", site.server.url).call(ASK, LONG_MS)) is HostTrouble.NO_LINE


# --- who is there -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", ["elsewhere", "expired", "stranger"])
def test_a_host_that_cannot_prove_itself_hears_nothing(pki: Path, pair: str) -> None:
    """Another name, an old certificate, another authority."""
    seen: list[bytes] = []
    with host_with(context_of(pki, pair), lambda connection: seen.append(request_of(connection))) as host:
        assert trouble(client_of(pki, host.url).call(ASK, LONG_MS)) is HostTrouble.NO_LINE
    assert seen in ([], [b""])


def test_our_own_authority_only(pki: Path) -> None:
    """A host of our authority is no host for a client of another one."""
    with host_with(context_of(pki), told(lambda connection: connection.sendall(answer(b"{}")))) as host:
        assert trouble(client_of(pki, host.url, authority="other-ca.crt").call(ASK, LONG_MS)) is HostTrouble.NO_LINE


def test_old_tls_is_refused(pki: Path) -> None:
    """TLS 1.1 alone."""
    context = context_of(pki)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with host_with(context, told(lambda connection: connection.sendall(answer(b"{}")))) as host:
        assert trouble(client_of(pki, host.url).call(ASK, LONG_MS)) is HostTrouble.NO_LINE


def test_a_certificate_refused_in_the_handshake_is_no_line(pki: Path) -> None:
    """TLS 1.2: the handshake ends on both sides before anything is sent."""
    context = context_of(pki)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with host_with(context, told(lambda connection: connection.sendall(answer(b"{}")))) as host:
        assert trouble(client_of(pki, host.url, pair="stranger").call(ASK, LONG_MS)) is HostTrouble.NO_LINE


# --- nobody is there, or not in time --------------------------------------------------------------------------------------------------


def test_no_tls_at_all_is_no_line(pki: Path) -> None:
    """A captive portal that speaks HTTP."""
    with plain_host(lambda connection, over: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as url:
        assert trouble(client_of(pki, url).call(ASK, LONG_MS)) is HostTrouble.NO_LINE


def test_a_handshake_that_never_ends_is_no_line(pki: Path) -> None:
    """The connection is accepted and silent."""
    with plain_host(lambda connection, over: _wait(over)) as url:
        assert in_short(client_of(pki, url)) is HostTrouble.NO_LINE


def test_a_handshake_that_drips_is_no_line(pki: Path) -> None:
    """A record that comes byte by byte, each in time."""

    def drip(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"\x16\x03\x03\x40\x00")
        while not over.wait(0.02):
            try:
                connection.sendall(b"\x00")
            except OSError:
                return

    with plain_host(drip) as url:
        assert in_short(client_of(pki, url)) is HostTrouble.NO_LINE


def test_a_queue_that_is_full_is_no_line(pki: Path) -> None:
    """Nobody accepts: the connection itself takes too long."""
    with socket.socket() as listener, socket.socket() as filler:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        filler.connect(listener.getsockname())
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        assert in_short(client_of(pki, url, connect_ms=200)) is HostTrouble.NO_LINE


@pytest.mark.parametrize(
    "url", ["https://no-such-host.invalid", "https://127.0.0.1:1", "https://[::1", "https://a b", "https://127.0.0.1:99999"]
)
def test_an_address_that_leads_nowhere_is_no_line(pki: Path, url: str) -> None:
    """Unknown name, closed port, no url."""
    assert trouble(client_of(pki, url).call(ASK, LONG_MS)) is HostTrouble.NO_LINE


def _wait(over: threading.Event) -> None:
    over.wait(PATIENCE_S)


# --- answers that are none ----------------------------------------------------------------------------------------------------------


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
    "silence": told(lambda connection: _silence(connection)),
    "status line": dripping(b"HTTP/1.1 200 ", b"O"),
    "headers": dripping(OK + b"X-Slow: ", b"x"),
    "many headers": dripping(OK, b"X-Slow: x\r\n"),
    "continue": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": dripping(OK + b"Content-Length: 100000\r\n\r\n", b" "),
    "body without length": dripping(OK + b"\r\n", b" "),
    "chunks": dripping(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "packed": dripping(OK + b"Content-Encoding: gzip\r\nContent-Length: 100000\r\n\r\n" + gzip.compress(b"")[:10], b"\x00\x00\x00\xff\xff"),
}


def _silence(connection: ssl.SSLSocket) -> None:
    connection.recv(1)


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


def _endless(*headers: str, status: str = "200 OK") -> Conduct:
    def serve(connection: ssl.SSLSocket) -> None:
        connection.sendall("\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode())
        while True:
            connection.sendall(b" " * 65536)

    return told(serve)


@pytest.mark.parametrize("headers", [(), ("Content-Length: 999999999999",)])
def test_an_endless_body_is_cut_at_the_cap(pki: Path, headers: tuple[str, ...]) -> None:
    """With and without a length."""
    with host_with(context_of(pki), _endless(*headers)) as host:
        came = client_of(pki, host.url).call(ASK, LONG_MS)
    assert came == Trouble(HostTrouble.TECHNICAL, "the answer is larger than allowed")


def test_the_cap_is_exact(pki: Path) -> None:
    """The largest body that is allowed comes whole; a byte more does not."""
    with host_with(context_of(pki), told(lambda connection: connection.sendall(answer(b" " * ANSWER_CAP)))) as host:
        assert len(_body(client_of(pki, host.url).call(ASK, LONG_MS))) == ANSWER_CAP
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

        with host_with(context_of(pki), told(elsewhere)) as host:
            came = client_of(pki, host.url).call(ASK, LONG_MS)
    assert isinstance(came, Answer)
    assert came.status == int(status[:3])
    assert asked == []


@pytest.mark.parametrize("location", ["/", "https://[::1", "\x7f", ""])
def test_a_redirect_with_an_endless_body_is_capped_too(pki: Path, location: str) -> None:
    """The library would read it whole before it does not follow it."""
    with host_with(context_of(pki), _endless(f"Location: {location}", status="302 Found")) as host:
        assert trouble(client_of(pki, host.url).call(ASK, LONG_MS)) is HostTrouble.TECHNICAL


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


# --- the kept connection ----------------------------------------------------------------------------------------------------------------


def _once(then: Callable[[ssl.SSLSocket], None]) -> Conduct:
    def serve(connection: ssl.SSLSocket) -> None:
        request_of(connection)
        connection.sendall(answer(b'"first"'))
        then(connection)

    return serve


SECOND: Conduct = told(lambda connection: connection.sendall(answer(b'"second"')))


def test_a_connection_that_the_host_closed_is_made_anew(pki: Path) -> None:
    """Closed while nobody looked: the next question is answered all the same."""
    with host_with(context_of(pki), _once(lambda connection: None), SECOND) as host:
        client = client_of(pki, host.url)
        assert _body(client.call(ASK, LONG_MS)) == b'"first"'
        assert host.ended.get(timeout=PATIENCE_S) == 0
        assert _body(client.call(ASK, LONG_MS)) == b'"second"'


def test_a_connection_that_ends_under_the_question_is_made_anew(pki: Path) -> None:
    """The end crosses the question on its way: no byte of an answer came, and the key makes the second try harmless."""
    with host_with(context_of(pki), _once(lambda connection: request_of(connection) and None), SECOND) as host:
        client = client_of(pki, host.url)
        assert _body(client.call(ASK, LONG_MS)) == b'"first"'
        assert _body(client.call(ASK, LONG_MS)) == b'"second"'
        assert host.connections == 2


def test_the_second_try_does_not_unsay_the_first(pki: Path) -> None:
    """The kept connection took the question, then nobody listens any more: it may have arrived."""
    hosts = []

    def vanish(connection: ssl.SSLSocket) -> None:
        request_of(connection)
        hosts[0].close()

    with host_with(context_of(pki), _once(vanish)) as host:
        hosts.append(host)
        client = client_of(pki, host.url)
        assert _body(client.call(ASK, LONG_MS)) == b'"first"'
        assert trouble(client.call(ASK, LONG_MS)) is HostTrouble.TECHNICAL
        assert host.connections == 1


def test_a_new_connection_that_breaks_is_not_tried_again(pki: Path) -> None:
    """Only the kept one has an excuse."""
    with host_with(context_of(pki), told(lambda connection: None), SECOND) as host:
        assert trouble(client_of(pki, host.url).call(ASK, LONG_MS)) is HostTrouble.TECHNICAL
        assert host.connections == 1


def test_half_an_answer_is_not_tried_again(pki: Path) -> None:
    """The host has spoken: what it did is not ours to guess."""
    with host_with(context_of(pki), _once(lambda connection: _half(connection)), SECOND) as host:
        client = client_of(pki, host.url)
        client.call(ASK, LONG_MS)
        assert trouble(client.call(ASK, LONG_MS)) is HostTrouble.TECHNICAL
        assert host.connections == 1


def _half(connection: ssl.SSLSocket) -> None:
    request_of(connection)
    connection.sendall(b"HTTP/1.1 2")


def test_a_connection_idle_for_long_is_not_used_again(pki: Path) -> None:
    """What is between us and the host may have forgotten it without a word."""
    at = [0]
    with host_with(context_of(pki), told(lambda connection: _serve_on(connection))) as host:
        client = HostClient(Endpoint(host.url, pki / "ca.crt", pki / "client.crt", pki / "client.key"), lambda: at[0])
        for pause, connections in ((0, 1), (client_module.IDLE_MS, 1), (client_module.IDLE_MS + 1, 2)):
            at[0] += pause
            assert isinstance(client.call(ASK, LONG_MS), Answer)
            assert host.connections == connections


def _serve_on(connection: ssl.SSLSocket) -> None:
    connection.sendall(answer(b"{}"))
    while request_of(connection):
        connection.sendall(answer(b"{}"))


def test_silence_ends_a_big_answer_long_before_its_deadline(pki: Path) -> None:
    """A list may take minutes, but not in silence."""
    began = now_ms()
    conduct = told(lambda connection: (connection.sendall(answer(b"row\n", length=1000)), _silence(connection))[1])
    with host_with(context_of(pki), conduct) as host:
        *pieces, last = client_of(pki, host.url).stream(LANE.snapshot("e1", 1), 600_000, 1 << 20, SHORT_MS)
    assert pieces[0] == 200
    assert isinstance(last, Trouble)
    assert last.kind is HostTrouble.TIMED_OUT
    assert now_ms() - began < LOOSE_MS


def test_close_cuts_the_call_under_way(pki: Path) -> None:
    """A stop does not wait for the host; nothing leaves behind it."""
    heard = threading.Event()

    def silent(connection: ssl.SSLSocket) -> None:
        heard.set()
        _silence(connection)

    came: list[Answer | Trouble] = []
    with host_with(context_of(pki), told(silent)) as host:
        client = client_of(pki, host.url)
        thread = threading.Thread(target=lambda: came.append(client.call(ASK, 60_000)))
        thread.start()
        assert heard.wait(PATIENCE_S)
        client.close()
        thread.join(PATIENCE_S)
        assert trouble(came[0]) is HostTrouble.TECHNICAL
        assert trouble(client.call(ASK, LONG_MS)) is HostTrouble.NO_LINE
        assert host.connections <= 2
