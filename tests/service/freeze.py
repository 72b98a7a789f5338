"""One thread of a running program stopped where it stands, the others running on: ptrace(2), as a debugger does it."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_SEIZE, _INTERRUPT, _DETACH = 0x4206, 0x4207, 17
_WALL = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_LIBC.ptrace.restype = ctypes.c_long


def thread_id(process: int, name: str) -> int:
    """The kernel's number of this process's thread of this name. Raises LookupError."""
    for task in Path(f"/proc/{process}/task").iterdir():
        if (task / "comm").read_text().strip() == name[:15]:
            return int(task.name)
    raise LookupError(f"process {process} has no thread {name}")


def freeze(thread: int) -> None:
    """Stop it until it dies or this process's calling thread ends. Raises OSError."""
    for request in (_SEIZE, _INTERRUPT):
        if _LIBC.ptrace(request, thread, None, None) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    os.waitpid(thread, _WALL)


def reap(thread: int) -> None:
    """Let a frozen thread that was killed be gone: until its tracer has looked, its process cannot end."""
    try:
        while not os.waitpid(thread, _WALL | os.WNOHANG)[0]:
            return
    except ChildProcessError:
        return
