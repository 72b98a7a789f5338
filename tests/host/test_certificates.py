"""Certificates by the terminal's own time, and the renewal of its own, against the real host over real TLS."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hal_sim.host import HostServer
from hal_sim.host.pki import Authority
from terminal.core.events import HostTrouble
from terminal.core.host_events import CertificateSeen
from terminal.host.certificates import SEALED, SKEW_MS, KnownTime, Pair, PairError, PairShelf, judge, known_time, read_validity
from terminal.host.client import Answer, Endpoint, HostClient, Trouble
from terminal.host.json_lane import Call
from terminal.host.renewal import AGAIN_MS, LOOK_MS, Renewal
from tests.hal_sim.host_kit import world
from tests.host.calls import LOOSE_MS
from tests.host.kit import LANE, now_ms

DAY = dt.timedelta(days=1)
TODAY = dt.datetime.now(dt.UTC).replace(microsecond=0)
NOW = int(TODAY.timestamp()) * 1000
"""The simulated host's TLS library judges us by the machine's clock, so the days are counted from today."""
DAY_MS = 86_400_000


# --- by whose clock ---------------------------------------------------------------------------------------------------------


def _der(authority: Authority, begins: dt.datetime, ends: dt.datetime) -> bytes:
    pem = authority.client("host", begins, ends).certificate
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("days", "proven", "refused"),
    [
        (0, True, ""),
        (0, False, ""),
        (11, True, "expired"),
        (11, False, "expired"),
        (-11, True, "not valid yet"),
        (-11, False, ""),
    ],
)
def test_only_what_the_terminal_can_prove_is_held_against_a_certificate(days: int, proven: bool, refused: str) -> None:
    chain = [_der(Authority(), TODAY - 10 * DAY, TODAY + 10 * DAY)]
    why = judge(chain, KnownTime(NOW + days * DAY_MS, proven))
    assert (refused in why) if refused else why == ""


def test_a_certificate_of_a_host_that_is_minutes_ahead_is_taken() -> None:
    chain = [_der(Authority(), TODAY + DAY, TODAY + 2 * DAY)]
    assert judge(chain, KnownTime(NOW + DAY_MS - SKEW_MS, proven=True)) == ""
    assert judge(chain, KnownTime(NOW + DAY_MS - SKEW_MS - 1000, proven=True)) != ""


def test_every_certificate_of_the_chain_is_judged() -> None:
    authority = Authority()
    young, old = _der(authority, TODAY - DAY, TODAY + DAY), _der(authority, TODAY - 9 * DAY, TODAY - DAY)
    assert judge([young, old], KnownTime(NOW, proven=True)) == "the host's certificate has expired"
    assert judge([young, b"no certificate"], KnownTime(NOW, proven=True)) == "the host's certificate cannot be read"


def test_without_a_clock_our_own_certificate_says_what_has_passed(tmp_path: Path) -> None:
    pair = _pair(Authority(), tmp_path, 0)
    assert known_time(None, trusted=False, own=pair.certificate) == KnownTime(read_validity(pair.certificate).begins, proven=False)
    assert known_time(NOW, trusted=True, own=pair.certificate) == KnownTime(NOW, proven=True)
    assert known_time(None, trusted=False, own=tmp_path / "none") is None


# --- over real TLS ----------------------------------------------------------------------------------------------------------


@dataclass
class Site:
    """A host whose certificates we make, and this terminal with a pair of its own."""

    server: HostServer
    authority: Authority
    endpoint: Endpoint
    shelf: PairShelf
    now: KnownTime | None
    ms: int = 0

    def client(self, pair: Callable[[], Pair] | None = None) -> HostClient:
        """As the terminal makes them."""
        return HostClient(self.endpoint, now_ms, lambda: self.now, pair or (lambda: self.shelf.current))

    def renewal(self) -> Renewal:
        """As the terminal's, with a clock of ours."""
        return Renewal(LANE, self.shelf, self.client, lambda: self.now, lambda: self.ms, LOOSE_MS)

    def look(self, renewal: Renewal | None = None) -> CertificateSeen:
        """One look over a connection with the current pair."""
        client = self.client()
        try:
            return (renewal or self.renewal()).look(client)
        finally:
            client.close()

    def time(self) -> Answer | Trouble:
        """The host's time, asked with the current pair."""
        client = self.client()
        try:
            return client.call(LANE.probe(), LOOSE_MS)
        finally:
            client.close()


def _pair(authority: Authority, folder: Path, age_days: int, life_days: int = 365) -> Pair:
    begins = TODAY - age_days * DAY
    issued = authority.client("OPT1", begins, begins + life_days * DAY)
    (folder / "own.crt").write_bytes(issued.certificate)
    (folder / "own.key").write_bytes(issued.key)
    return Pair(0, folder / "own.crt", folder / "own.key")


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Sites with a certificate of so many days; stopped behind the test."""
    servers: list[HostServer] = []

    def make(age_days: int, life_days: int = 365) -> Site:
        book, _, _ = world()
        server = HostServer(book, tmp_path / "host")
        servers.append(server)
        book._now = lambda: NOW
        authority = book.authority
        assert authority is not None
        pair = _pair(authority, tmp_path, age_days, life_days)
        endpoint = Endpoint(server.start(), tmp_path / "host" / "ca.crt", pair.certificate, pair.key)
        return Site(server, authority, endpoint, PairShelf(tmp_path / "tls", pair), KnownTime(NOW, proven=True))

    yield make
    for server in servers:
        server.stop()
        assert server.errors == []


def test_a_host_whose_certificate_has_ended_hears_nothing_by_our_time(made: Callable[..., Site]) -> None:
    site = made(0)
    assert isinstance(site.time(), Answer)
    site.now = KnownTime(int(dt.datetime(2101, 1, 1, tzinfo=dt.UTC).timestamp()) * 1000, proven=False)
    told = site.time()
    assert told == Trouble(HostTrouble.NO_LINE, "the host's certificate has expired")
    assert site.server.book.calls["time"] == 1
    site.now = KnownTime(0, proven=True)
    assert site.time() == Trouble(HostTrouble.NO_LINE, "the host's certificate is not valid yet")


def test_a_young_certificate_is_left_alone(made: Callable[..., Site]) -> None:
    site = made(242)
    assert site.look() == CertificateSeen(read_validity(site.endpoint.certificate).ends)
    assert site.shelf.current.number == 0
    assert site.server.book.calls["certificate"] == 0


def test_an_old_certificate_gets_a_successor_that_is_used_from_then_on_and_after_a_start(made: Callable[..., Site], tmp_path: Path) -> None:
    site = made(244)
    seen = site.look()
    assert seen.why == ""
    assert site.shelf.current.number == 1
    assert seen.ends == NOW + 365 * DAY_MS
    assert isinstance(site.time(), Answer)
    assert site.look().ends == seen.ends, "a second look has nothing to do"
    assert site.server.book.calls["certificate"] == 1
    again = PairShelf(tmp_path / "tls", Pair(0, site.endpoint.certificate, site.endpoint.key))
    assert again.current == site.shelf.current
    sealed = tmp_path / "tls" / "1" / SEALED
    assert (sealed.stat().st_mode & 0o777, sealed.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_the_next_successor_takes_the_place_of_the_first(made: Callable[..., Site], tmp_path: Path) -> None:
    site = made(244)
    site.server.book._now = lambda: NOW - DAY_MS
    site.look()
    site.server.book._now = lambda: NOW
    site.now = KnownTime(NOW + 300 * DAY_MS, proven=True)
    assert site.look().why == ""
    assert site.shelf.current.number == 2
    assert sorted(path.name for path in (tmp_path / "tls").iterdir()) == ["2", "use"]


def test_time_that_is_not_proven_renews_nothing(made: Callable[..., Site]) -> None:
    site = made(300)
    site.now = KnownTime(NOW, proven=False)
    site.look()
    assert site.server.book.calls["certificate"] == 0


def test_a_successor_that_does_not_work_is_thrown_away_and_the_old_one_serves_on(made: Callable[..., Site], tmp_path: Path) -> None:
    site = made(244)
    site.server.book.authority = Authority("somebody else")
    seen = site.look()
    assert "the new certificate does not work" in seen.why
    assert seen.ends == read_validity(site.endpoint.certificate).ends
    assert site.shelf.current.number == 0
    assert site.shelf.following() is None
    assert isinstance(site.time(), Answer)


def test_power_that_goes_between_fetching_and_trying_leaves_the_successor_to_the_next_look(
    made: Callable[..., Site], tmp_path: Path
) -> None:
    site = made(244)
    issued = site.authority.client("OPT1", TODAY, TODAY + 365 * DAY)
    site.shelf.put(issued.certificate, issued.key)
    fresh = PairShelf(tmp_path / "tls", Pair(0, site.endpoint.certificate, site.endpoint.key))
    assert fresh.current.number == 0
    site.shelf = fresh
    assert site.look().why == ""
    assert site.shelf.current.number == 1
    assert site.server.book.calls["certificate"] == 0, "it was there already"


def test_a_torn_shelf_falls_back_to_the_pair_of_commissioning(made: Callable[..., Site], tmp_path: Path) -> None:
    site = made(244)
    site.look()
    (tmp_path / "tls" / "1" / "client.crt").write_bytes(b"-----BEGIN")
    commissioned = Pair(0, site.endpoint.certificate, site.endpoint.key)
    assert PairShelf(tmp_path / "tls", commissioned).current == commissioned
    (tmp_path / "tls" / "use").write_bytes(b"\xff")
    assert PairShelf(tmp_path / "tls", commissioned).current == commissioned


@pytest.mark.parametrize("place", [100, 0, -2])
def test_a_key_with_a_flipped_bit_falls_back_to_the_pair_of_commissioning_and_is_renewed(
    made: Callable[..., Site], tmp_path: Path, place: int
) -> None:
    site = made(244)
    site.look()
    sealed = tmp_path / "tls" / "1" / SEALED
    key = bytearray(sealed.read_bytes())
    key[place] ^= 1
    sealed.write_bytes(key)
    commissioned = Pair(0, site.endpoint.certificate, site.endpoint.key)
    site.shelf = PairShelf(tmp_path / "tls", commissioned)
    assert site.shelf.current == commissioned
    assert isinstance(site.time(), Answer)
    assert site.look().why == ""
    assert PairShelf(tmp_path / "tls", commissioned).current == site.shelf.current != commissioned


def test_a_key_of_another_certificate_is_no_pair(made: Callable[..., Site], tmp_path: Path) -> None:
    site = made(244)
    one, other = (site.authority.client("OPT1", TODAY, TODAY + 365 * DAY) for _ in range(2))
    site.shelf.put(one.certificate, other.key)
    assert site.shelf.following() is None


def test_a_line_that_goes_away_during_the_try_costs_no_certificate(made: Callable[..., Site]) -> None:
    site = made(244)

    class _Away(Renewal):
        gone = True

        def _try(self, pair: Pair, proven: Any) -> None:
            if self.gone:
                site.server.set_reachable(False)
            super()._try(pair, proven)

    renewal = _Away(LANE, site.shelf, site.client, lambda: site.now, lambda: site.ms, LOOSE_MS)
    assert "could not be tried yet" in site.look(renewal).why
    site.server.set_reachable(True)
    renewal.gone = False
    assert site.look(renewal).why == ""
    assert (site.shelf.current.number, site.server.book.calls["certificate"]) == (1, 1)


def test_a_pair_of_a_new_commissioning_goes_before_successors_of_the_old_one(made: Callable[..., Site], tmp_path: Path) -> None:
    site = made(244)
    site.look()
    newer = _pair(site.authority, tmp_path, -1)
    assert PairShelf(tmp_path / "tls", newer).current == newer


def test_a_successor_from_before_a_new_commissioning_is_never_taken_up_again(made: Callable[..., Site], tmp_path: Path) -> None:
    site = made(244)
    issued = site.authority.client("OPT1", TODAY - 100 * DAY, TODAY + 265 * DAY)
    site.shelf.put(issued.certificate, issued.key)
    assert site.shelf.following() is not None
    site.shelf = PairShelf(tmp_path / "tls", _pair(site.authority, tmp_path, 1))
    assert site.shelf.following() is None
    assert site.look().why == ""
    assert site.shelf.current.number == 0
    assert list((tmp_path / "tls").iterdir()) == []


def test_a_host_that_is_away_is_asked_again_soon(made: Callable[..., Site]) -> None:
    site = made(244)
    site.server.stop()
    renewal = site.renewal()
    assert renewal.due()
    assert "refuses the connection" in site.look(renewal).why
    assert not renewal.due()
    site.ms = AGAIN_MS
    assert renewal.due()


def test_a_look_an_hour_is_enough(made: Callable[..., Site]) -> None:
    site = made(10)
    renewal = site.renewal()
    site.look(renewal)
    site.ms = LOOK_MS - 1
    assert not renewal.due()
    site.ms = LOOK_MS
    assert renewal.due()


class _Says:
    """A host that answers the request with this certificate, whatever was asked."""

    def __init__(self, body: bytes, status: int = 200) -> None:
        self.answer = Answer(status, body)

    def call(self, call: Call, deadline_ms: int) -> Answer | Trouble:
        assert call.path == "/v1/terminals/OPT1/certificate"
        return self.answer

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        (b"", 500, "status 500"),
        (b"not json", 200, "holds no certificate"),
        (b"{}", 200, "holds no certificate"),
        (b'{"certificate": "-----BEGIN CERTIFICATE-----"}', 200, "holds no certificate"),
    ],
)
def test_an_answer_that_is_none_keeps_the_old_pair(made: Callable[..., Site], body: bytes, status: int, why: str) -> None:
    site = made(244)
    assert why in site.renewal().look(_Says(body, status)).why
    assert site.shelf.following() is None


def test_a_certificate_for_another_key_is_refused(made: Callable[..., Site]) -> None:
    site = made(244)
    foreign = site.authority.client("OPT1", TODAY, TODAY + 400 * DAY).certificate.decode("ascii")
    assert site.renewal().look(_Says(json.dumps({"certificate": foreign}).encode())).why == "the host's certificate is for another key"


@pytest.mark.parametrize(
    ("name", "begins", "days", "why"),
    [
        ("OPT2", -1, 365, "another name"),
        ("OPT1", -1, 0, "not valid for longer"),
        ("OPT1", -1, 100, "longer"),
        ("OPT1", -244, 365, "begins no later than ours"),
        ("OPT1", -400, 365, "begins no later than ours"),
        ("OPT1", 1, 365, "not valid yet"),
        ("OPT1", 300, 700, "not valid yet"),
    ],
)
def test_a_certificate_for_another_name_or_time_than_ours_is_refused(
    made: Callable[..., Site], name: str, begins: int, days: int, why: str
) -> None:
    site = made(244)

    class _Signs(_Says):
        def call(self, call: Call, deadline_ms: int) -> Answer | Trouble:
            asked = x509.load_pem_x509_csr(json.loads(call.body or b"{}")["request"].encode())
            assert asked.is_signature_valid
            signed = _signed(site.authority, name, asked.public_key(), begins, days)
            return Answer(200, json.dumps({"certificate": signed}).encode())

    assert why in site.renewal().look(_Signs(b"")).why
    assert site.shelf.current.number == 0


def _signed(authority: Authority, name: str, key: Any, begins: int, days: int) -> str:
    usage = x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH
    return authority._sign(name, key, usage, [], (TODAY + begins * DAY, TODAY + days * DAY)).decode("ascii")


def test_the_host_signs_only_for_the_terminal_itself(made: Callable[..., Site]) -> None:
    site = made(0)
    for request in ("", "no request", "-----BEGIN CERTIFICATE REQUEST-----"):
        body = json.dumps({"request": request}).encode()
        status, _, answer = site.server.book.handle("POST", "/v1/terminals/OPT1/certificate", {}, body)
        assert (status, json.loads(answer)["error"]) == (400, "bad_request")


def test_a_certificate_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.crt").write_bytes(b"garbage")
    with pytest.raises(PairError, match="x.crt cannot be read"):
        read_validity(tmp_path / "x.crt")
