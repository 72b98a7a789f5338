"""A wrong word of the host about the time, over real TLS: its certificate is judged by what has passed, and the line is never cut by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hal_sim.host.pki import Authority
from terminal.core.clock import ClockState, TerminalClock
from terminal.core.units import Instant
from terminal.host.certificates import KnownTime, common_validity, judge, known_time
from terminal.host.client import Answer, Endpoint, HostClient
from terminal.host.json_lane import instant_text
from tests.host.calls import LOOSE_MS
from tests.host.hostile import Pki, answer, context_of, host_with, request_of
from tests.host.kit import LANE, now_ms
from tests.host.test_certificates import DAY, DAY_MS, NOW, TODAY, _der


def test_what_has_passed_and_not_the_time_that_stands_is_held_against_an_end() -> None:
    """The host was a year ahead and took it back: ours stands there, and its certificate has not ended."""
    chain = [_der(Authority(), TODAY - 10 * DAY, TODAY + 10 * DAY)]
    assert judge(chain, KnownTime(NOW + 366 * DAY_MS, proven=True, passed_ms=NOW)) == ""
    assert "expired" in judge(chain, KnownTime(NOW + 366 * DAY_MS, proven=True, passed_ms=NOW + 11 * DAY_MS))
    assert judge(chain, KnownTime(NOW, proven=True, passed_ms=NOW - 26 * 3_600_000)) == "", "a host behind does not make it begin later"


def test_the_bounds_of_a_chain_are_those_of_its_narrowest() -> None:
    authority = Authority()
    wide, narrow = _der(authority, TODAY - 9 * DAY, TODAY + DAY), _der(authority, TODAY - DAY, TODAY + 9 * DAY)
    assert common_validity([wide, narrow]) == (NOW - DAY_MS, NOW + DAY_MS)


@pytest.mark.parametrize("at", [0, 5])
def test_one_wrong_year_from_the_host_never_ends_the_line(tmp_path: Path, at: int) -> None:
    """At the first word of all, and later: the next connection is made, and the right time is heard on it."""
    pki, clock, said, found = Pki(tmp_path), TerminalClock(), [NOW], list[tuple[int, int]]()
    pki.issue("server", end=TODAY + 300 * DAY)
    pki.issue("client")
    clock.host_valid = lambda: found[-1] if found else None

    def conduct(connection: Any) -> None:
        while request_of(connection):
            connection.sendall(answer(b'{"time":"%s"}' % instant_text(said[0]).encode()))

    with host_with(context_of(tmp_path), conduct) as host:
        endpoint = Endpoint(host.url, tmp_path / "ca.crt", tmp_path / "client.crt", tmp_path / "client.key")

        def ask(minute: int, host_time: int) -> str:
            instant, said[0] = Instant(minute * 60_000), host_time
            trusted, passed_ms = clock.state(instant) is ClockState.TRUSTED, clock.passed_utc(instant)
            known = known_time(clock.known_utc(instant), trusted=trusted, own=endpoint.certificate, passed_ms=passed_ms)
            client = HostClient(endpoint, now_ms, lambda: known, valid=found.append)
            came = client.call(LANE.probe(), LOOSE_MS)
            client.close()
            assert isinstance(came, Answer), came
            return clock.host_said(LANE.time(came.body), instant)

        for minute in range(at):
            assert ask(minute, NOW + minute * 60_000) == ""
        assert ask(at, NOW + 366 * DAY_MS) != ""
        assert ask(10, NOW + 10 * 60_000) == ""
    assert clock.utc(Instant(10 * 60_000)) == NOW + 10 * 60_000
