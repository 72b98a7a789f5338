"""The only importer of requests: one HTTPS call with our own authority, mutual TLS, a total deadline and a cap on the answer.

Never raises to its caller for anything the line or the host does: what came, or ``Trouble`` with what it means for the question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NameResolutionError, NewConnectionError, SSLError

from terminal.core.events import HostTrouble
from terminal.host.json_lane import Call

ANSWER_CAP = 1 << 20
LINE_CAP = 64 << 10
CHUNK = 64 << 10


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of an answer that came whole and in time."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Trouble:
    """No usable answer: what it means, and why in words without any content."""

    kind: HostTrouble
    why: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the host is and how we prove ourselves. ``url`` without a trailing slash."""

    url: str
    authority: Path
    certificate: Path
    key: Path
    connect_ms: int = 3_000


class HostClient:
    """One session, so one connection that is kept; used by one thread."""

    def __init__(self, endpoint: Endpoint, clock: Callable[[], int]) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(endpoint.authority)
        self._session.cert = (str(endpoint.certificate), str(endpoint.key))
        self._session.mount("https://", HTTPAdapter(max_retries=0, pool_connections=1, pool_maxsize=1))

    def call(self, call: Call, deadline_ms: int) -> Answer | Trouble:
        """Send and wait at most so long for the whole answer."""
        parts: list[bytes] = []
        status = 0
        for piece in self.stream(call, deadline_ms, ANSWER_CAP):
            if isinstance(piece, Trouble):
                return piece
            if isinstance(piece, int):
                status = piece
            else:
                parts.append(piece)
        return Answer(status, b"".join(parts))

    def stream(self, call: Call, deadline_ms: int, cap: int) -> Iterator[int | bytes | Trouble]:
        """The status, then the body in pieces as it comes; a ``Trouble`` ends it."""
        end = self._clock() + deadline_ms
        headers = {"Content-Type": "application/json"} if call.body is not None else {}
        if call.key is not None:
            headers["Idempotency-Key"] = call.key
        try:
            with self._session.request(
                call.method,
                self._endpoint.url + call.path,
                data=call.body,
                headers=headers,
                timeout=(self._endpoint.connect_ms / 1000, deadline_ms / 1000),
                allow_redirects=False,
                stream=True,
            ) as response:
                yield response.status_code
                size = 0
                for piece in response.iter_content(CHUNK):
                    size += len(piece)
                    if size > cap:
                        yield Trouble(HostTrouble.TECHNICAL, "the answer is larger than allowed")
                        return
                    if self._clock() > end:
                        yield Trouble(HostTrouble.TIMED_OUT, "the answer did not end in time")
                        return
                    yield piece
        except (requests.RequestException, OSError, ValueError) as error:
            yield _trouble(error)

    def close(self) -> None:
        """End the connection."""
        self._session.close()


def _trouble(error: Exception) -> Trouble:
    """Did the question leave? Only a certain no is ``NO_LINE``."""
    inner = error.args[0] if error.args else None
    reason = inner.reason if isinstance(inner, MaxRetryError) else inner
    if isinstance(error, requests.exceptions.ConnectTimeout) or isinstance(reason, ConnectTimeoutError):
        return Trouble(HostTrouble.NO_LINE, "the connection was not accepted in time")
    if isinstance(error, requests.exceptions.SSLError) or isinstance(reason, SSLError):
        return Trouble(HostTrouble.NO_LINE, "the host's certificate or our own was refused")
    if isinstance(reason, NewConnectionError | NameResolutionError):
        return Trouble(HostTrouble.NO_LINE, "the host refuses the connection or cannot be found")
    if isinstance(error, requests.exceptions.Timeout):
        return Trouble(HostTrouble.TIMED_OUT, "no answer in time")
    if isinstance(error, requests.exceptions.ConnectionError) and "timed out" in str(reason).lower():
        return Trouble(HostTrouble.TIMED_OUT, "no answer in time")
    return Trouble(HostTrouble.TECHNICAL, f"the connection broke ({type(error).__name__})")
