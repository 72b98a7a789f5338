"""The only importer of requests: one HTTPS call with our own authority, mutual TLS, a total deadline and a cap on the answer.

Never raises to its caller for anything the line or the host does: what came, or ``Trouble`` with what it means for the question.

The library's time-outs are per read, so a host that drips bytes would hold a call for ever; and its errors do not say whether a question
has left. Both are known at the socket, so the sockets are ours (``ssl.SSLContext.sslsocket_class``): each wait ends with the call's
deadline, and the first byte sent behind the handshake is noted. One limit stays: looking up a name has the system's own time-out.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as LibraryTimeout

from terminal.core.events import HostTrouble
from terminal.host.certificates import KnownTime, Pair, common_validity, judge
from terminal.host.json_lane import Call

ANSWER_CAP = 1 << 20
CHUNK = 64 << 10
NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL: it would ask the operating system's clock."""
_DER = 2
"""ENCODING_DER of the interpreter's ssl."""
IDLE_MS = 30_000
"""A connection that nobody has used for so long may be forgotten by something on the way without a word: it is not used again."""

_REFUSED_BY_HOST = (
    "ACCESS_DENIED",
    "BAD_CERTIFICATE",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_REQUIRED",
    "CERTIFICATE_REVOKED",
    "CERTIFICATE_UNKNOWN",
    "HANDSHAKE_FAILURE",
    "UNKNOWN_CA",
    "UNSUPPORTED_CERTIFICATE",
)
"""Alerts by which a TLS 1.3 host ends its half of the handshake: what we sent behind ours was never read (RFC 8446, 4.4.2 and 6.2)."""


_TIMEOUTS = (TimeoutError, LibraryTimeout, requests.Timeout)
"""The library counts ``NewConnectionError``, a refused connection, among them."""


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
    too_large: bool = False
    """The answer was longer than the caller allowed: asking the same again gives the same."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the host is and how we prove ourselves. ``url`` without a trailing slash."""

    url: str
    authority: Path
    certificate: Path
    key: Path
    connect_ms: int = 3_000


class _Exchange:
    """What the call under way may still do and what it has done; its sockets read and write it."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._end = 0
        self._stall_ms = 0
        self.sent = False
        self.heard = False
        self.connected = False
        self.closed = False
        self.socket: _Socket | None = None
        self.now: Callable[[], KnownTime | None] = lambda: None
        self.valid: Callable[[tuple[int, int]], None] = lambda valid: None

    def begin(self, deadline_ms: int, stall_ms: int) -> None:
        """A new call."""
        self._end = self._clock() + deadline_ms
        self._stall_ms = stall_ms
        self.sent = self.heard = self.connected = False

    @property
    def over(self) -> bool:
        """The call's time is over."""
        return self._clock() > self._end

    def wait_s(self) -> float:
        """How long one wait may last. Raises ``TimeoutError`` when there is no time left, ``ConnectionAbortedError`` behind ``close``."""
        if self.closed:
            raise ConnectionAbortedError("the terminal stops")
        left = self._end - self._clock()
        if left <= 0:
            raise TimeoutError("the call's time is over")
        return min(left, self._stall_ms) / 1000


class _Outdated(ssl.SSLCertVerificationError):
    """The chain is the fleet's, and not valid now."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class _Socket(ssl.SSLSocket):
    """A TLS socket whose every wait keeps the deadline of the call under way."""

    def _exchange(self) -> _Exchange:
        context = self.context
        if not isinstance(context, _Context):
            raise TypeError("made by another context")
        return context.exchange

    def do_handshake(self, block: bool = False) -> None:
        """Within the deadline; remembers the socket, so that another thread can cut it."""
        exchange = self._exchange()
        exchange.socket = self
        exchange.connected = True
        self.settimeout(exchange.wait_s())
        super().do_handshake(block)
        # The library offers the chain itself from 3.13 on.
        chain = [bytes(each.public_bytes(_DER)) for each in self._sslobj.get_verified_chain()]  # type: ignore[attr-defined]
        why = judge(chain, exchange.now())
        if why:
            raise _Outdated(why)
        with contextlib.suppress(ValueError):
            exchange.valid(common_validity(chain))

    def send(self, data: Any, flags: int = 0) -> int:
        """From here on nobody can say that the question did not leave."""
        exchange = self._exchange()
        self.settimeout(exchange.wait_s())
        exchange.sent = True
        return super().send(data, flags)

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        """Within the deadline."""
        exchange = self._exchange()
        self.settimeout(exchange.wait_s())
        size = super().recv_into(buffer, nbytes, flags)
        exchange.heard = exchange.heard or size > 0
        return size


class _Context(ssl.SSLContext):
    """TLS 1.2 or later, certificate and name checked; authority and our own pair are loaded by the library at each connection."""

    sslsocket_class = _Socket
    exchange: _Exchange


class _Adapter(HTTPAdapter):
    def __init__(self, context: _Context) -> None:
        self._context = context
        super().__init__(max_retries=0, pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)


class HostClient:
    """One connection that is kept; used by one thread. Only ``close`` may be called from another."""

    def __init__(
        self,
        endpoint: Endpoint,
        clock: Callable[[], int],
        now: Callable[[], KnownTime | None] = lambda: None,
        pair: Callable[[], Pair] | None = None,
        valid: Callable[[tuple[int, int]], None] = lambda valid: None,
    ) -> None:
        """``clock`` gives milliseconds; only differences count. ``now`` is the time by which certificates are judged.

        ``valid`` is told at each connection from when until when (UTC ms) the host's certificates are valid.
        ``pair``: with which we prove ourselves, asked before each connection; by default the endpoint's.
        """
        self._endpoint = endpoint
        self._pair = pair or (lambda: Pair(0, endpoint.certificate, endpoint.key))
        self.clock = clock
        self._exchange = _Exchange(clock)
        context = _Context(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.hostname_checks_common_name = False
        context.verify_flags |= NO_CHECK_TIME
        context.exchange = self._exchange
        self._exchange.now = now
        self._exchange.valid = valid
        self._adapter = _Adapter(context)
        self._used = clock()

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

    def stream(self, call: Call, deadline_ms: int, cap: int, stall_ms: int | None = None) -> Iterator[int | bytes | Trouble]:
        """The status, then the body in pieces as it comes, at most ``cap`` bytes of it; a ``Trouble`` ends it.

        ``stall_ms``: silence of that length ends it too, long before the deadline of a big answer.
        """
        if self.clock() - self._used > IDLE_MS:
            self._adapter.close()
        self._exchange.begin(deadline_ms, deadline_ms if stall_ms is None else stall_ms)
        try:
            response = self._ask(call, deadline_ms)
            if isinstance(response, Trouble):
                yield response
                return
            with response:
                yield response.status_code
                yield from self._body(response, cap, packed=call.packed)
        finally:
            self._used = self.clock()

    def _body(self, response: requests.Response, cap: int, *, packed: bool) -> Iterator[bytes | Trouble]:
        size = 0
        pieces = response.raw.stream(CHUNK, decode_content=False) if packed else response.iter_content(CHUNK)
        while True:
            try:
                piece = next(pieces, None)
            except (requests.RequestException, HTTPError, HTTPException, OSError, ValueError) as error:
                yield _trouble(error, self._exchange)
                return
            if piece is None:
                return
            size += len(piece)
            if size > cap:
                yield Trouble(HostTrouble.TECHNICAL, "the answer is larger than allowed", too_large=True)
                return
            if self._exchange.over:
                yield Trouble(HostTrouble.TIMED_OUT, "the answer did not end in time")
                return
            yield piece

    def _ask(self, call: Call, deadline_ms: int) -> requests.Response | Trouble:
        came = self._send(call, deadline_ms)
        exchange = self._exchange
        if isinstance(came, Trouble) and came.kind is HostTrouble.TECHNICAL and not (exchange.connected or exchange.heard):
            # The kept connection had ended while nobody looked. The call's key makes a second try harmless wherever the first one got to;
            # what was noted of the first one stays, so that this can no more become "it never left".
            return self._send(call, deadline_ms)
        return came

    def _send(self, call: Call, deadline_ms: int) -> requests.Response | Trouble:
        """Past the library's session, which would read the whole body of a redirect before it does not follow it."""
        headers = {"Accept-Encoding": "gzip" if call.body is None else "identity", "User-Agent": "forecourt-terminal"}
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        if call.key is not None:
            headers["Idempotency-Key"] = call.key
        headers |= dict(call.headers)
        endpoint, pair = self._endpoint, self._pair()
        try:
            request = requests.Request(call.method, endpoint.url + call.path, headers=headers, data=call.body).prepare()
            return self._adapter.send(
                request,
                stream=True,
                timeout=(min(endpoint.connect_ms, deadline_ms) / 1000, deadline_ms / 1000),
                verify=str(endpoint.authority),
                cert=(str(pair.certificate), str(pair.key)),
            )
        except (requests.RequestException, HTTPError, HTTPException, OSError, ValueError) as error:
            return _trouble(error, self._exchange)

    def close(self) -> None:
        """End the connection, under a call as well; no further call leaves."""
        self._exchange.closed = True
        under_way = self._exchange.socket
        if under_way is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(under_way, socket.SHUT_RDWR)
        self._adapter.close()


def _trouble(error: Exception, exchange: _Exchange) -> Trouble:
    """Did the question leave? Only a certain no is ``NO_LINE``."""
    causes = list(_causes(error))
    timed_out = any(isinstance(one, _TIMEOUTS) and not isinstance(one, NewConnectionError) for one in causes)
    if not exchange.sent:
        return Trouble(HostTrouble.NO_LINE, "the connection was not accepted in time" if timed_out else _why_not(causes))
    if timed_out:
        return Trouble(HostTrouble.TIMED_OUT, "no answer in time")
    alerts = [one.reason or "" for one in causes if isinstance(one, ssl.SSLError)]
    if exchange.connected and not exchange.heard and any(alert.endswith(_REFUSED_BY_HOST) for alert in alerts):
        return Trouble(HostTrouble.NO_LINE, "the host refuses our certificate")
    return Trouble(HostTrouble.TECHNICAL, f"the connection broke ({type(error).__name__})")


def _why_not(causes: list[BaseException]) -> str:
    for one in causes:
        if isinstance(one, ssl.SSLCertVerificationError):
            return one.why if isinstance(one, _Outdated) else "the host's certificate was refused"
    if any(isinstance(one, ssl.SSLError) for one in causes):
        return "no secure connection: the host's certificate or our own was refused"
    return "the host refuses the connection or cannot be found"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it carries: the libraries wrap theirs in arguments, in ``reason`` and in causes."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [*one.args, getattr(one, "reason", None), one.__cause__]
