"""One QEMU machine: started from a saved state in a second, its devices plugged and unplugged, its memory lost by SIGKILL.

Source: reference on hardware, section C (options, what binds a keyboard to its keys, what a SIGKILL loses). Software emulation: an
unmodified kernel does not run under every machine's KVM, and nothing here is in a hurry.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.machine.image import Image
from tests.rig.process import _die_with_parent

BOOT_S = 600.0
PATIENCE_S = 300
"""Software emulation on a machine that has other things to do is slow without being wrong."""
QEMU = "qemu-system-x86_64"
HUB = "1"
"""The sockets of systemd/70-forecourt-terminal.rules are those of a hub at the board's first socket."""
KEYPAD, STRIPE, CARDS = "1.4", "1.5", "1.7"
SERIAL = {"pumps": "1.1", "badges": "1.3", "display": "1.6"}
DISKS = "disks"
"""Where the ledger's disk is plugged in, by virtio SCSI: Linux asks it for its cache, and flushes it. It does not ask a USB stick."""
STATE = "booted"


class MachineFailed(AssertionError):
    """The machine did not do what it must; the text says what it said."""


@dataclass(frozen=True, slots=True)
class Said:
    """The end and the words of a line in the guest."""

    code: int
    out: str
    err: str


class Machine:
    """``folder`` gets its own layer of the disk, sockets and console; ``ports`` are the terminals of the forecourt, by name."""

    def __init__(self, image: Image, folder: Path, ports: dict[str, str], layer: Path | None = None) -> None:
        """Nothing is started. ``layer``: a disk layer with a saved state, copied for this machine."""
        self.folder = folder
        self.layer = folder / "layer.qcow2"
        self._image = image
        self._ports = ports
        self._process: subprocess.Popen[bytes] | None = None
        self.events: list[dict[str, Any]] = []
        if layer is not None:
            subprocess.run(["cp", "--sparse=always", str(layer), str(self.layer)], check=True)
        else:
            command = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(image.disk.resolve()), "-F", "raw", str(self.layer)]
            subprocess.run(command, check=True)

    def _command(self) -> list[str]:
        options = [QEMU, "-nodefaults", "-display", "none", "-machine", "q35,i8042=off", "-accel", "tcg,thread=multi", "-cpu", "max"]
        options += ["-smp", "2", "-m", "768", "-kernel", str(self._image.kernel), "-initrd", str(self._image.initrd)]
        options += ["-append", "root=/dev/vda rw console=ttyS0 quiet net.ifnames=0 mitigations=off panic=0 nmi_watchdog=0"]
        options += ["-drive", f"file={self.layer},format=qcow2,if=none,id=d0", "-device", "virtio-blk-pci,drive=d0"]
        options += ["-chardev", f"file,id=con,path={self.folder}/console.log", "-serial", "chardev:con"]
        options += ["-qmp", f"unix:{self.folder}/qmp,server=on,wait=off", "-device", "virtio-serial-pci"]
        options += [
            "-chardev",
            f"socket,id=ag,path={self.folder}/agent,server=on,wait=off",
            "-device",
            "virtserialport,chardev=ag,name=agent",
        ]
        options += [
            "-device",
            "qemu-xhci,id=xhci",
            "-device",
            "virtio-rng-pci",
            "-netdev",
            "user,id=n0",
            "-device",
            "virtio-net-pci,netdev=n0",
        ]
        options += ["-device", f"virtio-scsi-pci,id={DISKS}"]
        options += ["-device", "i6300esb,id=wd", "-action", "watchdog=reset", "-device", f"usb-hub,bus=xhci.0,port={HUB},id=hub"]
        for place, (port, name) in enumerate(((KEYPAD, "keypad"), (STRIPE, "stripe"))):
            options += ["-device", f"bochs-display,id=v{place}"]
            options += ["-device", f"usb-kbd,id={name},bus=xhci.0,port={port},display=v{place}"]
        for name in SERIAL:
            options += ["-chardev", self._serial(name)]
        options += ["-chardev", f"socket,id=c-cards,path={self.folder}/ccid,server=on,wait=off"]
        return options

    def _serial(self, name: str) -> str:
        port = self._ports.get(name)
        return f"null,id=c-{name}" if port is None else f"serial,id=c-{name},path={port}"

    # --- running --------------------------------------------------------------------------------------------------------------------

    def start(self, resume: bool = True) -> None:
        """Start it from its saved state, or by booting; return when its agent answers. Raises MachineFailed."""
        for name in ("qmp", "agent", "ccid"):
            (self.folder / name).unlink(missing_ok=True)
        with (self.folder / "qemu.err").open("wb") as errors:
            self._process = subprocess.Popen(
                [*self._command(), *(["-loadvm", STATE] if resume else [])],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - nothing here runs threads
            )
        self._qmp = self._connect("qmp")
        self._qmp_file = self._qmp.makefile("r")
        self._read_qmp()
        self.ask("qmp_capabilities")
        self._agent = self._connect("agent")
        self._agent.settimeout(BOOT_S)
        self._agent_file = self._agent.makefile("r")
        if not resume:
            self._agent_file.readline()
        self.sh(f"date -s @{int(time.time())}; true")

    def _connect(self, name: str) -> socket.socket:
        end = time.monotonic() + 30
        while True:
            found = socket.socket(socket.AF_UNIX)
            try:
                found.connect(str(self.folder / name))
                return found
            except OSError:
                found.close()
                if self._process is None or self._process.poll() is not None or time.monotonic() > end:
                    raise MachineFailed((self.folder / "qemu.err").read_text()) from None
                time.sleep(0.02)

    def _read_qmp(self) -> dict[str, Any]:
        line = self._qmp_file.readline()
        if not line:
            raise MachineFailed(f"QEMU ended: {(self.folder / 'qemu.err').read_text()}")
        found: dict[str, Any] = json.loads(line)
        return found

    def ask(self, command: str, **arguments: object) -> Any:
        """A command to QEMU itself. Raises MachineFailed with its refusal."""
        self._qmp.sendall((json.dumps({"execute": command, "arguments": arguments}) + "\n").encode())
        while True:
            answer = self._read_qmp()
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise MachineFailed(f"{command}: {answer['error']['desc']}")
            self.events.append(answer)

    def wait_for_event(self, name: str, timeout_s: float) -> bool:
        """QEMU says that this has happened."""
        end = time.monotonic() + timeout_s
        while not any(event.get("event") == name for event in self.events):
            if time.monotonic() > end:
                return False
            self.ask("query-status")
            time.sleep(0.2)
        return True

    def sh(self, line: str, timeout_s: int = PATIENCE_S) -> Said:
        """A shell line in the guest, whatever its end."""
        return self._said({"cmd": line, "t": timeout_s})

    def read(self, path: str) -> Said:
        """A file in the guest; end 1 when there is none."""
        return self._said({"read": path})

    def _said(self, request: dict[str, object]) -> Said:
        self._agent.sendall((json.dumps(request) + "\n").encode())
        try:
            answer = json.loads(self._agent_file.readline())
        except (TimeoutError, ValueError) as error:
            raise MachineFailed(f"the agent does not answer to {str(request)[:200]}: {self.console()[-1500:]}") from error
        return Said(answer["rc"], answer["out"], answer["err"])

    def run(self, line: str, timeout_s: int = PATIENCE_S) -> str:
        """A shell line that must work; what it printed. Raises MachineFailed."""
        said = self.sh(line, timeout_s)
        if said.code:
            raise MachineFailed(f"{line[:200]}: {said.code}: {said.err[-1500:]} {said.out[-1500:]}")
        return said.out

    def wait(self, line: str, timeout_s: float) -> str:
        """Repeat a shell line until it works; what it printed. Raises MachineFailed."""
        end = time.monotonic() + timeout_s
        while True:
            said = self.sh(line)
            if said.code == 0:
                return said.out
            if time.monotonic() > end:
                raise MachineFailed(f"never came: {line[:200]}: {said.err[-800:]} {said.out[-800:]}")
            time.sleep(0.3)

    # --- hands ----------------------------------------------------------------------------------------------------------------------

    def type(self, display: str, codes: Sequence[str]) -> None:
        """Press and release keys (qcode names, ``shift-`` before one that is shifted) on the keyboard that is bound to this display.

        v0 is the keypad, v1 the stripe reader.
        """
        for code in codes:
            chord = code.split("-") if code.startswith("shift-") else [code]
            for down, each in [*((True, key) for key in chord), *((False, key) for key in reversed(chord))]:
                event = {"type": "key", "data": {"down": down, "key": {"type": "qcode", "data": each}}}
                self.ask("input-send-event", device=display, head=0, events=[event])
                time.sleep(0.03)

    def unplug(self, name: str) -> None:
        """Take a device out of its socket; return when QEMU says that it is gone."""
        self.events.clear()
        self.ask("device_del", id=name)
        if not self.wait_for_event("DEVICE_DELETED", PATIENCE_S):
            raise MachineFailed(f"{name} stays plugged")

    def plug(self, driver: str, name: str, port: str, **more: object) -> None:
        """Put a device into a socket."""
        self.ask("device_add", driver=driver, id=name, bus="xhci.0", port=port, **more)

    def plug_serial(self, name: str) -> None:
        """A USB serial adapter with FTDI's chip, wired to the forecourt's port of this name.

        Put in after the start: QEMU cannot save a machine that has one.
        """
        self.plug("usb-serial", name, SERIAL[name], chardev=f"c-{name}", **{"always-plugged": True})

    def plug_card_reader(self) -> None:
        """A CCID reader whose slot is ``folder/ccid``."""
        self.plug("usb-ccid", "cards", CARDS)
        self.ask("device_add", driver="ccid-card-passthru", chardev="c-cards", bus="cards.0")

    # --- the end --------------------------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Save the state into the layer and end."""
        said = self.ask("human-monitor-command", **{"command-line": f"savevm {STATE}"})
        if said:
            raise MachineFailed(f"savevm: {said}")
        self.ask("quit")
        self._ended()

    def kill(self) -> None:
        """The power goes: everything that the guest had only in its memory is lost."""
        if self._process is not None:
            self._process.kill()
        self._ended()

    def _ended(self) -> None:
        if self._process is not None:
            self._process.wait(20)
            self._process = None
            for each in (self._qmp, self._agent):
                each.close()

    def close(self) -> None:
        """End it and forget its disk. Safe to call twice."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            self._process = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def console(self) -> str:
        """What the guest's kernel printed."""
        return (self.folder / "console.log").read_text(errors="replace")
