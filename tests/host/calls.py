"""A question, what came of it, and conducts that most tests of the client share."""

from __future__ import annotations

import ssl

from terminal.core.events import HostTrouble
from terminal.host.client import Answer, HostClient, Trouble
from terminal.host.json_lane import Call
from tests.host.hostile import Conduct, request_of
from tests.host.kit import now_ms

ASK = Call("POST", "/v1/authorizations", b'{"key":"OPT1-1-1/authorize"}', "OPT1-1-1/authorize")
LONG_MS, SHORT_MS = 8_000, 300
LOOSE_MS = 4_000
"""A deadline of SHORT_MS must be over by then even on a machine that is busy; without one these calls would last for ever."""
ENOUGH_MS = 3_000
"""A deadline in which a busy machine has a whole answer from a host that does not wait."""
PATIENCE_S = 60.0


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


def in_time(client: HostClient, call: Call = ASK) -> Answer | Trouble:
    """What came of a call whose deadline was enough, and was kept."""
    began = now_ms()
    came = client.call(call, ENOUGH_MS)
    assert now_ms() - began < ENOUGH_MS + LOOSE_MS
    return came


def body_of(came: Answer | Trouble) -> bytes:
    """The body of an answer that came."""
    assert isinstance(came, Answer), came
    return came.body


def silence(connection: ssl.SSLSocket) -> None:
    """Nothing, until the client goes."""
    connection.recv(1)
