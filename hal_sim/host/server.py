"""The book over real HTTPS with mutual TLS, on the loopback, with faults that can be set while it runs.

Source: firmware_notes/host-api.md, sections "Transport" and "Faults of the server". One thread per connection, one lock around the book.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from hal_sim.host.book import EVENT_STREAM, HostBook
from hal_sim.host.faults import ERRORS, Faults
from hal_sim.host.messages import MAX_BODY, encode
from hal_sim.host.papers import Papers, make_papers
from hal_sim.host.push import HEARTBEAT, HELLO

HANDSHAKE_S = 5.0
HEARTBEAT_S = 25.0
IDLE_S = 60.0
LINGER_S = 0.5
LINGER_READS = 128
GLANCE_S = 0.2
GARBAGE = b"<html><body>Welcome! Please log in.</body></html>\x00\xff\xfe"


class _Dropped(Exception):
    """The connection is to be closed without (further) answer."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "fleet-host"
    sys_version = ""
    disable_nagle_algorithm = True
    timeout = IDLE_S

    def setup(self) -> None:
        # The handshake is done here, in the connection's own thread, so that a silent client never blocks the others.
        connection: ssl.SSLSocket = self.request
        connection.settimeout(HANDSHAKE_S)
        connection.do_handshake()
        super().setup()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged: paths carry sale numbers, and tests read the book."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the library refuses by itself (what is no HTTP, or too long), in the contract's words and not in HTML."""
        content = encode({"error": "bad_request", "message": "this is no request that is understood here"})
        self._answer(400, {"Content-Type": "application/json", "Connection": "close"}, content, 0)
        self._linger()

    def _serve(self) -> None:
        owner = self.server.owner if isinstance(self.server, _Listener) else None
        length = self.headers.get("Content-Length", "0")
        known = self.headers.get("Transfer-Encoding") is None and length.isascii() and length.isdigit()
        if owner is None or not known or len(length) > 9 or int(length) > MAX_BODY:
            status, code = (413, "too_large") if known else (411, "length_required")
            error = f'{{"error":"{code}","message":"a body of known length, at most {MAX_BODY} bytes, is expected"}}'
            self._answer(status, {"Content-Type": "application/json", "Connection": "close"}, error.encode(), 0)
            self._linger()
            return
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise _Dropped
        if owner.faults.silent:
            self._say_nothing(owner)
        headers = dict(self.headers.items())
        with owner.news:
            told = owner.told
        status, answered, content = owner.answer(self.command, self.path, headers, body)
        if answered.get("Content-Type") == EVENT_STREAM:
            self._stream(owner, answered, headers, told)
        else:
            self._answer(status, answered, content, owner.faults.drip_ms, owner.faults.cut_after)

    def _stream(self, owner: HostServer, answered: dict[str, str], asked: dict[str, str], told: int) -> None:
        """The open end of an event stream: what is new as it comes, a comment when nothing does, until somebody hangs up."""
        self.close_connection = True
        self.send_response(200)
        for name, value in answered.items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with owner.lock:
            cursor = owner.book.cursor(asked)
        text = HELLO
        while not owner.stopping.is_set() and owner.serves(self.server):
            with owner.lock:
                news, cursor = owner.book.news(cursor)
            text += news
            if text:
                self.wfile.write(b"%X\r\n%b\r\n" % (len(text), text))
            told, text = owner.await_news(told)

    def _say_nothing(self, owner: HostServer) -> None:
        """Until the caller hangs up (or says more), or the fault or the server ends. Raises ``_Dropped`` always."""
        while owner.faults.silent and owner.serves(self.server) and not owner.stopping.is_set():
            if select.select([self.connection], [], [], GLANCE_S)[0]:
                break
        raise _Dropped

    def _linger(self) -> None:
        # Closing on unread bytes resets the connection, and the client would lose the answer that tells it why.
        self.connection.settimeout(LINGER_S)
        with contextlib.suppress(TimeoutError):
            for _ in range(LINGER_READS):
                if not self.rfile.read1(65536):
                    return

    def _answer(self, status: int, headers: dict[str, str], body: bytes, drip_ms: int, cut_after: int = 0) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if 0 < cut_after < len(body):
            self.wfile.write(body[:cut_after])
            raise _Dropped
        if drip_ms == 0:
            self.wfile.write(body)
            return
        for index in range(len(body)):
            self.wfile.write(body[index : index + 1])
            self.wfile.flush()
            if isinstance(self.server, _Listener) and self.server.owner.stopping.wait(drip_ms / 1000):
                raise _Dropped

    def __getattr__(self, name: str) -> Any:
        # Whatever the method is, the book answers it: it knows which one is allowed.
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int, owner: HostServer, context: ssl.SSLContext) -> None:
        self.owner = owner
        self._context = context
        super().__init__((owner.host, port), _Handler)

    def get_request(self) -> tuple[Any, Any]:
        plain, address = super().get_request()
        return self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), address

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self.owner.tracked(request):
            super().process_request_thread(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that breaks off, or fails the handshake, is everyday life here. Anything else is kept for the tests to see."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError | _Dropped):
            self.owner.errors.append(repr(type(error)))


class HostServer:
    """Serves a book. ``lock`` guards it: a test that controls or reads the book while calls may come holds it too.

    Event streams are held open; ``heartbeat_s`` is how long one is silent at most.

    The directory gets ``ca.crt``, ``client.crt``, ``client.key``, ``token.key``, ``pin.key``, ``card.key`` and ``list.pub`` (keys in hex),
    all of them 0600, besides the server's own pair.
    """

    def __init__(
        self, book: HostBook, directory: str | os.PathLike[str], *, port: int = 0, host: str = "127.0.0.1", papers: Papers | None = None
    ) -> None:
        """Makes CA, certificates and key files, unless there are ``papers`` already: then nothing is written.

        ``port`` 0 takes a free one at ``start``. Raises ``OSError``.
        """
        self.book = book
        self.host = host
        self.lock = threading.Lock()
        self.faults = Faults()
        self.errors: list[str] = []
        self.stopping = threading.Event()
        self.heartbeat_s = HEARTBEAT_S
        self.news = threading.Condition()
        self.told = 0
        book.listeners.append(self._wake_streams)
        self.port = port
        self._reach = threading.RLock()
        self._flapping: tuple[threading.Thread, threading.Event] | None = None
        self._listener: _Listener | None = None
        self._thread: threading.Thread | None = None
        self._placeholder: socket.socket | None = None
        self._connections: set[Any] = set()
        self._connections_lock = threading.Lock()
        papers = papers or make_papers(book, Path(directory))
        book.authority = papers.authority
        self.ca_path, self.client_cert_path, self.client_key_path = papers.ca, papers.client_certificate, papers.client_key
        self.token_key_path, self.pin_key_path, self.card_key_path = papers.token_key, papers.pin_key, papers.card_key
        self.list_key_path = papers.list_key
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._context.load_cert_chain(papers.server_certificate, papers.server_key)
        self._context.load_verify_locations(self.ca_path)
        self._context.verify_mode = ssl.CERT_REQUIRED

    @property
    def url(self) -> str:
        """Where the host is, without a slash at the end."""
        shown = "127.0.0.1" if self.host in ("", "0.0.0.0") else self.host  # noqa: S104 - compared, not bound
        return f"https://{shown}:{self.port}"

    @property
    def reachable(self) -> bool:
        """Whether connections are taken."""
        return self._listener is not None

    def start(self) -> str:
        """Starts to listen and returns the url. Raises ``OSError`` when the port is taken."""
        self.stopping.clear()
        self.set_reachable(True)
        return self.url

    def stop(self) -> None:
        """Stops listening, ends all connections and gives the port back."""
        self.stopping.set()
        self.flap(0, 0)
        self.set_reachable(False)
        self._drop_placeholder()

    def set_reachable(self, reachable: bool) -> None:
        """False refuses connections and cuts those there are; True listens on the same port again. Other faults stay as they are."""
        with self._reach:
            if reachable and self._listener is None:
                self._open()
            elif not reachable and self._listener is not None:
                self._close(self._listener)

    def _open(self) -> None:
        self._drop_placeholder()
        self._listener = _Listener(self.port, self, self._context)
        self.port = self._listener.server_address[1]
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.02,), name="host-server", daemon=True)
        self._thread.start()

    def _close(self, listener: _Listener) -> None:
        listener.shutdown()
        listener.server_close()
        if self._thread is not None:
            self._thread.join()
        self._listener = None
        self._wake_streams()
        # A bound socket that does not listen refuses connections and keeps the port from being given to somebody else.
        self._placeholder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._placeholder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._placeholder.bind((self.host, self.port))
        self._cut_all()

    def flap(self, up_ms: int, down_ms: int) -> None:
        """The line comes and goes from now on, so long each; (0, 0) ends that and leaves the line as it is at that moment."""
        if self._flapping is not None:
            thread, enough = self._flapping
            enough.set()
            thread.join()
            self._flapping = None
        if up_ms > 0 and down_ms > 0:
            enough = threading.Event()
            thread = threading.Thread(target=self._flap, args=(up_ms, down_ms, enough), name="host-flapping", daemon=True)
            self._flapping = (thread, enough)
            thread.start()

    def _flap(self, up_ms: int, down_ms: int, enough: threading.Event) -> None:
        while not enough.wait((up_ms if self.reachable else down_ms) / 1000):
            self.set_reachable(not self.reachable)

    @property
    def flaps(self) -> bool:
        """Whether the line comes and goes."""
        return self._flapping is not None

    def restore(self) -> None:
        """Ends every fault: all of ``faults`` off, lists as they should be, and reachable."""
        self.flap(0, 0)
        self.faults.clear()
        self.book.shelf.spoil("")
        self.set_reachable(True)

    def _wake_streams(self) -> None:
        with self.news:
            self.told += 1
            self.news.notify_all()

    def await_news(self, told: int) -> tuple[int, bytes]:
        """Waits until more was said than that; with a comment to send when the time of the heartbeat is over instead."""
        with self.news:
            heard = self.news.wait_for(lambda: self.told != told, self.heartbeat_s)
            return self.told, b"" if heard else HEARTBEAT

    def serves(self, listener: object) -> bool:
        """Whether this is the listener of now."""
        return self._listener is listener

    def _drop_placeholder(self) -> None:
        if self._placeholder is not None:
            self._placeholder.close()
            self._placeholder = None

    def _cut_all(self) -> None:
        with self._connections_lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)

    @contextlib.contextmanager
    def tracked(self, connection: Any) -> Iterator[None]:
        """Keeps a connection known, so that it can be cut, while its thread serves it."""
        with self._connections_lock:
            self._connections.add(connection)
        try:
            yield
        finally:
            with self._connections_lock:
                self._connections.discard(connection)

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """One call through the faults and the book. Raises ``_Dropped`` where the answer is to be lost."""
        faults = self.faults
        self._pause(faults.delay_before_ms)
        if faults.always_500:
            return 500, {"Content-Type": "application/json"}, b'{"error":"internal","message":"out of order"}'
        if faults.error:
            code, message = ERRORS[faults.error]
            return faults.error, {"Content-Type": "application/json"}, encode({"error": code, "message": message})
        if faults.garbage:
            return 200, {"Content-Type": "text/html"}, GARBAGE
        lose, delay_ms = faults.lose_answers, faults.delay_ms
        with self.lock:
            answer = self.book.handle(method, path, headers, body)
        self._pause(delay_ms)
        if lose:
            raise _Dropped
        return answer

    def _pause(self, pause_ms: int) -> None:
        if pause_ms > 0 and self.stopping.wait(pause_ms / 1000):
            raise _Dropped
