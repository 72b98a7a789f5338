"""The simulated host over real HTTPS: mutual TLS, key files, faults, and coming back on the same port."""

from __future__ import annotations

import json
import socket
import ssl
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from hal_sim.host import HostServer
from hal_sim.host.pki import Authority
from tests.hal_sim.host_kit import CARD_KEY, PIN_KEY, TOKEN_KEY, Terminal, openapi, valid, world

PATIENCE_S = 60.0


class Site:
    """A running host and a terminal that calls it over the wire."""

    def __init__(self, directory: Path) -> None:
        self.book, self.terminal, self.clock = world()
        self.server = HostServer(self.book, directory)
        self.url = self.server.start()
        self.http = self.session()

    def session(self, cert: tuple[str, str] | None = None, ca: str | None = None) -> requests.Session:
        """A new connection pool with the client certificate, or another one."""
        http = requests.Session()
        http.trust_env = False
        http.verify = ca or self.server.ca_path
        http.cert = cert or (self.server.client_cert_path, self.server.client_key_path)
        return http

    def post(self, path: str, message: dict[str, Any], timeout: float = PATIENCE_S) -> requests.Response:
        """One financial call."""
        key = message["items"][0]["key"] if "items" in message else message["key"]
        return self.http.post(self.url + path, json=message, headers={"Idempotency-Key": key}, timeout=timeout)

    def authorize(self, sequence: int, timeout: float = PATIENCE_S) -> requests.Response:
        """An authorization."""
        return self.post("/v1/authorizations", self.terminal.authorization(sequence), timeout)

    def complete(self, sequence: int, volume_ml: int) -> requests.Response:
        """A completion."""
        return self.post(f"/v1/authorizations/OPT1-1-{sequence}/completion", self.terminal.record(sequence, volume_ml))

    def time(self, timeout: float = PATIENCE_S) -> requests.Response:
        """The host's time."""
        return self.http.get(self.url + "/v1/time", timeout=timeout)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Started, and stopped without an error of its own at the end."""
    made = Site(tmp_path / "host")
    yield made
    made.http.close()
    made.server.stop()
    assert made.server.errors == []


def test_a_whole_sale_on_one_connection(site: Site) -> None:
    answer = site.authorize(1)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert valid("Decision", answer.json())
    assert site.complete(1, 12_500).json()["result"] == "accepted"
    advice = {"terminal": "OPT1", "items": [site.terminal.advice(2, 0)]}
    assert site.post("/v1/transactions", advice).json()["results"] == [{"key": "OPT1-1-2/advice", "result": "accepted"}]
    head = site.http.get(site.url + "/v1/terminals/OPT1/lists", timeout=PATIENCE_S).json()["lists"]["cards"]
    cards = site.http.get(f"{site.url}/v1/terminals/OPT1/lists/cards/{head['epoch']}/{head['version']}", timeout=PATIENCE_S)
    assert cards.headers["Content-Encoding"] == "gzip"
    assert len(cards.content) == head["bytes"]
    state = openapi()["components"]["schemas"]["State"]["examples"][0]
    assert site.http.put(site.url + "/v1/terminals/OPT1/state", json=state, timeout=PATIENCE_S).status_code == 200
    adapter = site.http.get_adapter(site.url)
    assert isinstance(adapter, requests.adapters.HTTPAdapter)
    pools = adapter.poolmanager.pools
    assert [pools[key].num_connections for key in pools.keys()] == [1], "kept alive"  # noqa: SIM118
    assert len(site.book.sales()) == 1


def test_key_files_are_for_the_owner_only(site: Site) -> None:
    server = site.server
    for path, key in [(server.token_key_path, TOKEN_KEY), (server.pin_key_path, PIN_KEY), (server.card_key_path, CARD_KEY)]:
        assert bytes.fromhex(Path(path).read_text()) == key
    for file in Path(server.ca_path).parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name
    names = {Path(path).name for path in (server.ca_path, server.client_cert_path, server.client_key_path)}
    assert names == {"ca.crt", "client.crt", "client.key"}


def test_a_host_of_another_authority_is_refused_by_the_terminal(site: Site, tmp_path: Path) -> None:
    other = tmp_path / "other.crt"
    other.write_bytes(Authority().certificate)
    with pytest.raises(requests.exceptions.SSLError):
        site.session(ca=str(other)).get(site.url + "/v1/time", timeout=PATIENCE_S)
    assert not site.book.calls


def test_a_terminal_of_another_authority_is_refused_by_the_host(site: Site, tmp_path: Path) -> None:
    stranger = Authority().client("OPT1")
    certificate, key = tmp_path / "x.crt", tmp_path / "x.key"
    certificate.write_bytes(stranger.certificate)
    key.write_bytes(stranger.key)
    with pytest.raises(requests.exceptions.ConnectionError):
        site.session(cert=(str(certificate), str(key))).get(site.url + "/v1/time", timeout=PATIENCE_S)
    assert not site.book.calls


def test_a_terminal_without_certificate_is_refused(site: Site) -> None:
    http = requests.Session()
    http.trust_env = False
    with pytest.raises(requests.exceptions.ConnectionError):
        http.get(site.url + "/v1/time", timeout=PATIENCE_S, verify=site.server.ca_path)
    assert not site.book.calls


def test_only_the_loopback_is_served(site: Site) -> None:
    assert site.url.startswith("https://127.0.0.1:")
    by_name = site.http.get(f"https://localhost:{site.server.port}/v1/time", timeout=PATIENCE_S)
    assert by_name.status_code == 200


def test_unreachable_refuses_and_comes_back_on_the_same_port(site: Site) -> None:
    assert site.time().status_code == 200
    port = site.server.port
    for _ in range(3):
        site.server.set_reachable(False)
        site.server.set_reachable(False)
        with pytest.raises(requests.exceptions.ConnectionError):
            site.authorize(1)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        site.server.set_reachable(True)
        assert site.server.port == port
        assert site.time().status_code == 200
    assert not site.book.open_authorizations()


def test_the_port_is_kept_while_unreachable(site: Site) -> None:
    # Nothing was ever connected here, so that only the host itself can be in the way.
    site.server.set_reachable(False)
    with socket.socket() as thief, pytest.raises(OSError, match="in use"):
        thief.bind(("127.0.0.1", site.server.port))


def test_unreachable_cuts_a_call_under_way(site: Site) -> None:
    site.server.faults.delay_ms = 60_000
    cutter = threading.Timer(0.3, site.server.set_reachable, [False])
    cutter.start()
    started = time.monotonic()
    with pytest.raises(requests.exceptions.ConnectionError):
        site.authorize(1, timeout=30)
    assert time.monotonic() - started < 10
    cutter.join()
    assert len(site.book.open_authorizations()) == 1, "it was booked before"


def test_a_lost_answer_is_booked_once(site: Site) -> None:
    assert site.authorize(1).json()["decision"] == "approved"
    site.server.faults.lose_answers = True
    for _ in range(2):
        with pytest.raises(requests.exceptions.ConnectionError):
            site.complete(1, 5_000)
    assert len(site.book.sales()) == 1
    site.server.restore()
    assert site.complete(1, 5_000).json()["result"] == "accepted"
    assert len(site.book.sales()) == 1


def test_a_late_answer_is_booked_at_once(site: Site) -> None:
    site.server.faults.delay_ms = 1_000
    with pytest.raises(requests.exceptions.ReadTimeout):
        site.authorize(1, timeout=0.2)
    assert len(site.book.open_authorizations()) == 1
    site.server.faults.clear()
    reversal = {"key": "OPT1-1-1/reverse", "terminal": "OPT1", "sale": "OPT1-1-1", "epoch": 1, "sequence": 1, "reason": "LATE"}
    assert site.post("/v1/authorizations/OPT1-1-1/reversal", reversal).json()["result"] == "accepted"
    assert not site.book.open_authorizations()


def test_a_call_that_is_overtaken_by_its_reversal_opens_no_hold(site: Site) -> None:
    site.server.faults.delay_before_ms = 500
    with pytest.raises(requests.exceptions.ReadTimeout):
        site.authorize(1, timeout=0.1)
    site.server.faults.clear()
    reversal = {"key": "OPT1-1-1/reverse", "terminal": "OPT1", "sale": "OPT1-1-1", "epoch": 1, "sequence": 1, "reason": "TIMED_OUT"}
    assert site.post("/v1/authorizations/OPT1-1-1/reversal", reversal).status_code == 200
    deadline = time.monotonic() + PATIENCE_S
    while site.book.calls["authorize"] == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    with site.server.lock:
        assert (site.book.calls["authorize"], site.book.open_authorizations()) == (1, [])


def test_500_and_garbage_book_nothing(site: Site) -> None:
    site.server.faults.always_500 = True
    answer = site.authorize(1)
    assert (answer.status_code, valid("Error", answer.json())) == (500, True)
    site.server.faults.clear()
    site.server.faults.garbage = True
    answer = site.authorize(1)
    assert answer.status_code == 200
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()
    site.server.faults.clear()
    assert not site.book.calls
    assert site.authorize(1).json()["authorization"] == "A1"


def test_a_dripping_answer_arrives_whole_and_slowly(site: Site) -> None:
    site.server.faults.drip_ms = 10
    started = time.monotonic()
    answer = site.time()
    assert answer.json() == {"time": "2026-03-28T22:50:00.000Z"}
    assert time.monotonic() - started >= 0.01 * (len(answer.content) - 1)


def test_what_is_not_for_the_book(site: Site) -> None:
    assert site.http.delete(site.url + "/v1/time", timeout=PATIENCE_S).status_code == 405
    chunked = site.http.post(site.url + "/v1/transactions", data=iter([b"{}"]), timeout=PATIENCE_S)
    assert (chunked.status_code, chunked.json()["error"]) == (411, "length_required")
    assert site.time().status_code == 200
    context = ssl.create_default_context(cafile=site.server.ca_path)
    context.load_cert_chain(site.server.client_cert_path, site.server.client_key_path)
    with context.wrap_socket(socket.create_connection(("127.0.0.1", site.server.port), PATIENCE_S), server_hostname="localhost") as raw:
        raw.sendall(b"POST /v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_silent_client_blocks_nobody(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.server.port), PATIENCE_S):
        assert site.time().status_code == 200
    with socket.create_connection(("127.0.0.1", site.server.port), PATIENCE_S) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert site.time().status_code == 200


def test_many_at_once_are_booked_once_each(site: Site) -> None:
    bodies = [site.terminal.advice(sequence, 1_000) for sequence in range(1, 21)]
    failures: list[str] = []

    def send() -> None:
        with site.session() as http:
            for body in bodies:
                data = json.dumps({"terminal": "OPT1", "items": [body]})
                answer = http.post(site.url + "/v1/transactions", data=data, headers={"Idempotency-Key": body["key"]}, timeout=PATIENCE_S)
                if answer.json().get("results") != [{"key": body["key"], "result": "accepted"}]:
                    failures.append(answer.text)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [sale["sequence"] for sale in site.book.sales()] == sorted(range(1, 21))
    assert site.book.missing_sequences() == []


def test_stop_gives_the_port_back_and_start_takes_it_again(site: Site) -> None:
    port = site.server.port
    site.server.stop()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
    assert site.server.start() == f"https://127.0.0.1:{port}"
    assert site.time().status_code == 200


def test_the_terminal_kit_speaks_the_same_over_both_ways(site: Site) -> None:
    direct = Terminal(site.book, site.clock)
    assert direct.authorize(1) == site.authorize(1).json()
