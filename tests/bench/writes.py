"""Counts what a process gives to write on the ledger's files, and its syncs: a preloaded shim (``writes.c``) and the file of its counters.

Not /proc/PID/io, which counts every file, and not the disk, which counts in its own blocks: what the program asks for is what it
answers for.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "FORECOURT_WRITES"
SOURCE = Path(__file__).with_name("writes.c")
_COUNTS = struct.Struct("=4q")


class CannotCount(Exception):
    """The shim cannot be built; the text is for people."""


@dataclass(frozen=True, slots=True)
class Counts:
    """On the ledger, its journal and its log together; ``log_bytes`` of the write-ahead log alone."""

    bytes: int
    writes: int
    syncs: int
    log_bytes: int

    def __sub__(self, other: Counts) -> Counts:
        """What came in between."""
        return Counts(self.bytes - other.bytes, self.writes - other.writes, self.syncs - other.syncs, self.log_bytes - other.log_bytes)


def build(folder: Path) -> Path:
    """The shim, compiled when it is missing or old. Raises ``CannotCount``."""
    library = folder / "libwrites.so"
    if library.exists() and library.stat().st_mtime_ns >= SOURCE.stat().st_mtime_ns:
        return library
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise CannotCount("no C compiler found: install gcc")
    folder.mkdir(parents=True, exist_ok=True)
    half_done = folder / f".libwrites-{os.getpid()}.so"
    command = [compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", str(half_done), str(SOURCE), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotCount(done.stderr.strip())
    half_done.replace(library)
    return library


def prepare(path: Path) -> dict[str, str]:
    """Counters at zero in ``path``, and what the counted process's environment needs beside the preload."""
    path.write_bytes(bytes(_COUNTS.size))
    return {VARIABLE: str(path)}


def read(path: Path) -> Counts:
    """What has been counted so far."""
    return Counts(*_COUNTS.unpack(path.read_bytes()))


def counts() -> Counts:
    """What this very process has written so far; all zero when it was started without the shim."""
    path = os.environ.get(VARIABLE)
    return Counts(0, 0, 0, 0) if path is None else read(Path(path))
