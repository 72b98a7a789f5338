"""The HTTPS client against the host of the tests and against hosts that misbehave: the right trouble, in time, and nothing else.

What must hold everywhere: ``NO_LINE`` only where the question surely did not leave, because a question that may have arrived is reversed.
"""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hal_sim.host import HostServer
from terminal.core.events import HostTrouble
from terminal.host import client as client_module
from terminal.host.client import Answer, Endpoint, HostClient, Trouble
from terminal.host.json_lane import Call
from tests.hal_sim.host_kit import Terminal, world
from tests.host.calls import ASK, LONG_MS, LOOSE_MS, PATIENCE_S, SHORT_MS, body_of, in_short, in_time, silence, told, trouble
from tests.host.hostile import Conduct, Host, answer, context_of, host_with, old_context_of, plain_host, request_of
from tests.host.kit import LANE, client_of, now_ms

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


def test_a_list_comes_as_it_travels(site: Site) -> None:
    """Packed, so that a download that broke can be gone on with; unpacked it has the announced size."""
    heads = json.loads(body_of(site.client.call(LANE.list_heads(), LONG_MS)))["lists"]["cards"]
    pieces = list(site.client.stream(LANE.snapshot(heads["epoch"], heads["version"], 0, ""), LONG_MS, 1 << 20))
    assert pieces[0] == 200
    assert len(gzip.decompress(b"".join(piece for piece in pieces if isinstance(piece, bytes)))) == heads["bytes"]


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
    files: dict[str, Any] = {
        "authority": Path(site.server.ca_path),
        "certificate": pki / "client.crt",
        "key": pki / "client.key",
        name: wrong,
    }
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
        assert trouble(in_time(client_of(pki, host.url))) is HostTrouble.NO_LINE
        assert in_short(client_of(pki, host.url)) is HostTrouble.NO_LINE
    assert set(seen) <= {b""}


def test_our_own_authority_only(pki: Path) -> None:
    """A host of our authority is no host for a client of another one."""
    with host_with(context_of(pki), told(lambda connection: connection.sendall(answer(b"{}")))) as host:
        assert trouble(in_time(client_of(pki, host.url, authority="other-ca.crt"))) is HostTrouble.NO_LINE
        assert in_short(client_of(pki, host.url, authority="other-ca.crt")) is HostTrouble.NO_LINE


def test_old_tls_is_refused(pki: Path) -> None:
    """TLS 1.1 alone."""
    with host_with(old_context_of(pki), told(lambda connection: connection.sendall(answer(b"{}")))) as host:
        assert trouble(in_time(client_of(pki, host.url))) is HostTrouble.NO_LINE
        assert in_short(client_of(pki, host.url)) is HostTrouble.NO_LINE


def test_a_certificate_refused_in_the_handshake_is_no_line(pki: Path) -> None:
    """TLS 1.2: the handshake ends on both sides before anything is sent."""
    context = context_of(pki)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with host_with(context, told(lambda connection: connection.sendall(answer(b"{}")))) as host:
        assert trouble(in_time(client_of(pki, host.url, pair="stranger"))) is HostTrouble.NO_LINE


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
        assert body_of(client.call(ASK, LONG_MS)) == b'"first"'
        assert host.ended.get(timeout=PATIENCE_S) == 0
        assert body_of(client.call(ASK, LONG_MS)) == b'"second"'


def _hears(connection: ssl.SSLSocket) -> None:
    request_of(connection)


def test_a_connection_that_ends_under_the_question_is_made_anew(pki: Path) -> None:
    """The end crosses the question on its way: no byte of an answer came, and the key makes the second try harmless."""
    with host_with(context_of(pki), _once(_hears), SECOND) as host:
        client = client_of(pki, host.url)
        assert body_of(client.call(ASK, LONG_MS)) == b'"first"'
        assert body_of(client.call(ASK, LONG_MS)) == b'"second"'
        assert host.connections == 2


def test_the_second_try_does_not_unsay_the_first(pki: Path) -> None:
    """The kept connection took the question, then nobody listens any more: it may have arrived."""
    hosts: list[Host] = []

    def vanish(connection: ssl.SSLSocket) -> None:
        request_of(connection)
        hosts[0].close()

    with host_with(context_of(pki), _once(vanish)) as host:
        hosts.append(host)
        client = client_of(pki, host.url)
        assert body_of(client.call(ASK, LONG_MS)) == b'"first"'
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

    def half(connection: ssl.SSLSocket) -> None:
        connection.sendall(answer(b"row\n", length=1000))
        silence(connection)

    with host_with(context_of(pki), told(half)) as host:
        *pieces, last = client_of(pki, host.url).stream(LANE.snapshot("e1", 1, 0, ""), 600_000, 1 << 20, SHORT_MS)
    assert pieces[0] == 200
    assert isinstance(last, Trouble)
    assert last.kind is HostTrouble.TIMED_OUT
    assert now_ms() - began < LOOSE_MS


def test_close_cuts_the_call_under_way(pki: Path) -> None:
    """A stop does not wait for the host; nothing leaves behind it."""
    heard = threading.Event()

    def silent(connection: ssl.SSLSocket) -> None:
        heard.set()
        silence(connection)

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
