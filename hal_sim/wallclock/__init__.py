"""The wall clock of the program under test: a preloaded shim and the file through which its offset is set while it runs.

libfaketime breaks ``time.sleep`` of Python 3.11 (EINVAL), because it also shifts what waits ask for; this shim shifts only what the wall
clock shows (``firmware_notes/rig.md``, "Clocks").
"""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import subprocess
from pathlib import Path

VARIABLE = "FORECOURT_WALL_CLOCK"
SOURCE = Path(__file__).with_name("wallclock.c")


class BuildFailed(RuntimeError):
    """The shim could not be compiled; the text is the compiler's."""


def build(target_dir: Path) -> Path:
    """Compile the shim into ``target_dir`` unless a newer one is there; gives its path. Raises BuildFailed."""
    library = target_dir / "libwallclock.so"
    if library.exists() and library.stat().st_mtime_ns >= SOURCE.stat().st_mtime_ns:
        return library
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise BuildFailed("no C compiler found: install gcc")
    target_dir.mkdir(parents=True, exist_ok=True)
    half_done = target_dir / f".libwallclock-{os.getpid()}.so"  # several test processes may build at once
    command = [compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", str(half_done), str(SOURCE)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BuildFailed(result.stderr.strip())
    half_done.replace(library)
    return library


class WallClock:
    """The offset of a process's wall clock, in a file that the shim maps. Start the process with ``environment()``."""

    def __init__(self, path: Path, offset_ns: int = 0) -> None:
        self.path = path
        path.write_bytes(struct.pack("=q", offset_ns))
        with path.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), 8)

    @property
    def offset_ns(self) -> int:
        """Nanoseconds by which the process's wall clock is ahead of the machine's."""
        (value,) = struct.unpack("=q", self._page[:8])
        return int(value)

    @offset_ns.setter
    def offset_ns(self, value: int) -> None:
        self._page[:8] = struct.pack("=q", value)

    def environment(self, library: Path) -> dict[str, str]:
        """What the process's environment needs; ``LD_PRELOAD`` is to be joined with others by a colon."""
        return {"LD_PRELOAD": str(library), VARIABLE: str(self.path)}

    def close(self) -> None:
        """Give the mapping back; the file stays, a process may still map it."""
        self._page.close()
