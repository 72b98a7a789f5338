"""Runs in the program's place and says, as one JSON object, what it could do there: inside the unit's fence, and once without it.

A fence that keeps off what nobody could have done is none. So the places to write to are opened to everybody (``PREPARE``), and what the
same user cannot do without the fence either is named (``ANYBODY``): there the fence shows nothing.
"""

import ctypes
import json
import mmap
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)


def can(action: Callable[[], object]) -> bool:
    """It did not fail."""
    try:
        action()
    except (OSError, ValueError):
        return False
    return True


def call(name: str, *arguments: object) -> None:
    """A function of the C library. Raises OSError."""
    if getattr(LIBC, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)


def write(path: str) -> Callable[[], object]:
    """Make a file."""
    return lambda: Path(path).write_text("x")


def suid() -> None:
    """A file of ours that makes others us."""
    file = Path("suid")
    file.write_text("x")
    file.chmod(0o4755)


PREPARE = """set -e
for place in /etc /usr /etc/forecourt-terminal /opt/forecourt-terminal /var/lib; do mkdir -p -m 1777 $place/everybodys; done
mkdir -p /home/x
chmod 755 /root
touch /tmp/everybodys
cp /usr/bin/id /usr/lib/id-as-root
chmod 4755 /usr/lib/id-as-root
"""
"""As root before the probe: nothing but the fence is in the way."""


def root_by_program() -> None:
    """A set-user-id program that the machine has. Raises OSError when it makes nobody root."""
    if subprocess.run(["/usr/lib/id-as-root", "-u"], capture_output=True, text=True, check=False).stdout.strip() != "0":
        raise OSError("still nobody")


TRIES: dict[str, Callable[[], object]] = {
    "write to /etc": write("/etc/everybodys/x"),
    "write to /usr": write("/usr/everybodys/x"),
    "write to the configuration": write("/etc/forecourt-terminal/everybodys/x"),
    "write to the program": write("/opt/forecourt-terminal/everybodys/x"),
    "write to /var": write("/var/lib/everybodys/x"),
    "look into /root": lambda: os.listdir("/root"),
    "look into /home": lambda: os.listdir("/home/x"),
    "read the sealed keys": lambda: os.listdir("/etc/credstore.encrypted"),
    "read the seal": lambda: Path("/var/lib/systemd/credential.secret").read_bytes(),
    "see process 1": lambda: os.stat("/proc/1"),
    "see the kernel's settings": lambda: Path("/proc/sys/kernel/hostname").read_text(),
    "see the shared /tmp": lambda: os.stat("/tmp/everybodys"),
    "become root": lambda: os.setuid(0),
    "become root by a set-user-id program": root_by_program,
    "mount": lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
    "unshare": lambda: call("unshare", 0x10000000),
    "trace": lambda: call("ptrace", 0, 0, None, None),
    "set the clock": lambda: call("settimeofday", ctypes.byref(ctypes.create_string_buffer(16)), None),
    "set the host's name": lambda: call("sethostname", b"x", 1),
    "make a file that is run as us": suid,
    "run written memory": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC),
    "send raw packets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "talk to the kernel's network": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "be scheduled before all": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
}
ANYBODY = (
    "read the sealed keys",
    "read the seal",
    "become root",
    "mount",
    "set the clock",
    "set the host's name",
    "send raw packets",
    "be scheduled before all",
)
"""What a user without rights is refused on any machine."""


def read_key_in_memory() -> None:
    """As the TLS library reads a renewed key. Raises OSError."""
    handle = os.memfd_create("key")
    os.write(handle, b"x")
    if Path(f"/proc/self/fd/{handle}").read_bytes() != b"x":
        raise OSError("not what was written")


NEEDED: dict[str, Callable[[], object]] = {
    "write its state": write("x"),
    "write its status": write("/run/forecourt-terminal/x"),
    "write to its own /tmp": write("/tmp/x"),
    "read its configuration": lambda: Path("/etc/forecourt-terminal/terminal.toml").read_text(),
    "read its keys": lambda: Path(os.environ["CREDENTIALS_DIRECTORY"], "pin.key").read_text(),
    "read a key in its own memory": read_key_in_memory,
    "open a pump line": lambda: os.close(os.open("/dev/forecourt/pump-line-1", os.O_RDWR | os.O_NOCTTY)),
    "talk over IP": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).close(),
}


if __name__ == "__main__":
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    print(
        json.dumps(
            {
                "can": [name for name, action in TRIES.items() if can(action)],
                "cannot": [name for name, action in NEEDED.items() if not can(action)],
                "status": {name: status[name] for name in ("Uid", "Groups", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp")},
            }
        )
    )
