"""Builds a card file from a snapshot's bytes in bounded memory and checks everything on the way, in a process of its own.

``python -m terminal.store.card_import`` reads one job (JSON) from its standard input and writes one answer; the terminal starts it through
``ImportProcess``. It gives way to everybody else, holds a few thousand rows at a time and writes through a temporary name, so that the card
file is whole or not there. (design/architecture.md, Storage; features.md F41.)
"""

from __future__ import annotations

import gc
import hashlib
import os
import sqlite3
import subprocess  # noqa: S404 - starts this very module, with a fixed command line
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from terminal.store import identification
from terminal.store.background import give_way
from terminal.store.card_file import KEYS, TABLES, log_of
from terminal.store.list_rows import MAX_LINE, ListError, RowReader, hash_text
from terminal.store.pin_layer import Layer, layering
from terminal.store.tpm import TpmError

PIECE = 128 << 10
CHUNK = 2_000
MOST_MS = 3 * 3_600_000
"""100,000 PINs take a TPM more than an hour (firmware_notes/decisions/0010)."""
CACHE_KIB = 8 << 10
_GZIP = b"\x1f\x8b"


class Job(msgspec.Struct, frozen=True):
    """What to build from what, and what the signed head promised of it. ``tpm``: the device by which PINs get their second layer,
    ``previous`` the card file from which what has it already is taken over."""

    source: str
    target: str
    epoch: str
    version: int
    rows: int
    size: int
    sha256: str
    content_hash: str
    issued_at: int
    tpm: str = ""
    previous: str = ""


class _Done(msgspec.Struct):
    refused: str | None


class ImportFailed(Exception):
    """The import could not do its work, which says nothing about the list; it may be tried again."""


# --- building -------------------------------------------------------------------------------------------------------------------


def build(job: Job) -> None:
    """Build ``job.target``. Raises ``ListError`` for what is wrong with the list, ``ImportFailed`` for disk and files; nothing is at the
    target's name then that was not there before."""
    target = Path(job.target)
    partial = target.with_suffix(".part")
    partial.unlink(missing_ok=True)
    try:
        with Path(job.source).open("rb") as source:
            _fill(partial, job, _lines(_inflated(_pieces(source.read), job.size)))
        _sync(partial)
        log_of(target).unlink(missing_ok=True)  # of a file that had this name before: it must never be played into this one
        os.replace(partial, target)
        _sync(target.parent)
    except (sqlite3.Error, OSError) as error:
        raise ImportFailed(f"the card file cannot be written: {error}") from error
    except TpmError as error:
        raise ImportFailed(f"the PINs cannot be guarded: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
        log_of(partial).unlink(missing_ok=True)


def _fill(partial: Path, job: Job, lines: Iterator[list[bytes]]) -> None:
    connection = sqlite3.connect(partial, isolation_level=None)
    try:
        # Nobody sees the file before it is whole and synced under its own name, so neither journal nor syncs are needed while it grows.
        for setting in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", f"cache_size = -{CACHE_KIB}"):
            connection.execute(f"PRAGMA {setting}").fetchone()
        connection.executescript(TABLES)
        connection.execute("BEGIN")
        with layering(connection, job.tpm, job.previous) as layer:
            _Filler(connection, layer).fill(job, lines)
        head = (job.epoch, job.version, job.rows, job.sha256, job.content_hash, job.issued_at)
        connection.execute("INSERT INTO head VALUES (?, ?, ?, ?, ?, ?)", head)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
    finally:
        connection.close()


class _Filler:
    """Puts rows into their tables, many at a time, and keeps both hashes."""

    def __init__(self, connection: sqlite3.Connection, layer: Layer) -> None:
        self._connection = connection
        self._layer = layer
        self._waiting: dict[str, list[tuple[bytes | str, ...]]] = {table: [] for table in KEYS}
        marks = {table: ", ".join("?" * (len(key) + 1)) for table, key in KEYS.items()}
        self._insert = {table: f"INSERT INTO {table} VALUES ({marks[table]})" for table in KEYS}  # noqa: S608 - our own words

    def fill(self, job: Job, blocks: Iterator[list[bytes]]) -> None:
        reader = RowReader()
        digest, total = hashlib.sha256(), 0
        for lines in blocks:
            total += reader.take(lines, self._waiting)
            if reader.end is not None:
                lines.pop()
            digest.update(b"\n".join((*lines, b"")))
            self._flush(at_least=CHUNK)
        reader.check_end(job.rows, job.sha256, digest.hexdigest())
        if hash_text(total) != job.content_hash:
            raise ListError("its content hash is not the one that was announced")
        if reader.named - reader.products:
            raise ListError("it names a product that is not in the list")
        self._flush(at_least=1)
        doubt = identification.doubt(self._connection)
        if doubt is not None:
            raise ListError(doubt)

    def _flush(self, at_least: int) -> None:
        for table, rows in self._waiting.items():
            if len(rows) >= at_least:
                try:
                    self._connection.executemany(self._insert[table], self._layer(rows) if table == "card" else rows)
                except sqlite3.IntegrityError:
                    raise ListError(f"a {table} row comes twice") from None
                rows.clear()


# --- the bytes ------------------------------------------------------------------------------------------------------------------


def _pieces(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while piece := read(PIECE):
        yield piece


def _inflated(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """The list's bytes, out of gzip where it is packed, never more than were announced. Raises ``ListError``."""
    first = next(pieces, b"")
    source = (piece for part in ((first,), pieces) for piece in part)
    seen = 0
    for piece in _unpacked(source) if first.startswith(_GZIP) else source:
        seen += len(piece)
        if seen > size:
            raise ListError(f"it is longer than the {size} bytes that were announced")
        yield piece
    if seen != size:
        raise ListError(f"it was cut short: {seen} of {size} bytes")


def _unpacked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        for packed in pieces:
            rest = packed
            while rest and not unpacker.eof:
                piece = unpacker.decompress(rest, PIECE)
                rest = unpacker.unconsumed_tail
                if piece:
                    yield piece
            if unpacker.unused_data:
                raise ListError("there are bytes behind the packed list")
        while not unpacker.eof and (piece := unpacker.decompress(b"", PIECE)):
            yield piece
        if not unpacker.eof:
            raise ListError("it was cut short: the packed list has no end")
    except zlib.error:
        raise ListError("it cannot be unpacked") from None


def _lines(pieces: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Whole lines without their line feeds, as many as come together; one that never ends is refused before it fills the memory."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        if whole:
            yield whole
        if len(rest) > MAX_LINE:
            raise ListError(f"a row is longer than {MAX_LINE} bytes")
    if rest:
        yield [rest]


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# --- the process ----------------------------------------------------------------------------------------------------------------


class ImportProcess:
    """Runs imports, one at a time, each in a process of its own. ``stop`` may be called from another thread."""

    def __init__(self, timeout_ms: int = MOST_MS) -> None:
        self._timeout_ms = timeout_ms
        self._child: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def __call__(self, job: Job) -> None:
        """As ``build``. Raises ``ListError`` and ``ImportFailed``."""
        root = str(Path(__file__).resolve().parents[2])
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}
        try:
            child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "terminal.store.card_import"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
            )
        except OSError as error:
            raise ImportFailed(f"the import cannot be started: {error.strerror}") from error
        self._child = child
        if self._stopped:
            child.kill()
        try:
            answer, _ = child.communicate(msgspec.json.encode(job), timeout=self._timeout_ms / 1000)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            raise ImportFailed("the import did not end in time") from None
        finally:
            self._child = None
        if child.returncode:
            raise ImportFailed(f"the import ended with {child.returncode}")
        refused = msgspec.json.decode(answer, type=_Done).refused
        if refused is not None:
            raise ListError(refused)

    def stop(self) -> None:
        """End the one under way and start no other."""
        self._stopped = True
        child = self._child
        if child is not None:
            child.kill()


def main() -> int:
    """One job from standard input; 1 when it could not be done for a reason that is not the list's."""
    give_way()
    gc.disable()  # rows hold nothing that holds them
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    refused = None
    try:
        build(job)
    except ListError as error:
        refused = str(error)
    except ImportFailed as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(_Done(refused)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
