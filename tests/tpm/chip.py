"""A TPM 2.0: Debian's swtpm as its own process, behind a pseudo terminal that is opened, written and read as /dev/tpmrm0 would be."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import tty
from pathlib import Path

WAIT_S = 60.0


class Chip:
    """Its memory is ``folder``; a chip that is unplugged and plugged in again (``off``, ``on``) has everything but its handles."""

    def __init__(self, folder: Path) -> None:
        found = shutil.which("swtpm", path=f"{os.environ.get('PATH', '')}:/usr/bin:/usr/local/bin")
        if found is None:
            raise RuntimeError("swtpm is missing: .ci/setup installs Debian's package of that name")
        self._program = found
        self.folder = folder
        self.device = folder / "tpm"
        folder.mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._kept = -1
        self.on()

    def on(self) -> None:
        """Power. The device's name stays the same."""
        master, slave = os.openpty()
        tty.setraw(slave)
        flags = "not-need-init,startup-clear"
        command = [self._program, "chardev", "--tpm2", "--fd", str(master), "--tpmstate", f"dir={self.folder}", "--flags", flags]
        self._process = subprocess.Popen(command, pass_fds=[master], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(master)
        self._kept = slave  # as long as somebody has it open, a program that closes it hangs nobody up
        self.device.unlink(missing_ok=True)
        self.device.symlink_to(os.ttyname(slave))
        end = time.monotonic() + WAIT_S
        while not (self.folder / "tpm2-00.permall").exists():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("swtpm did not start")
            time.sleep(0.01)

    def off(self) -> None:
        """No power: whoever asks finds no device."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(WAIT_S)
            self._process = None
            os.close(self._kept)
            self.device.unlink(missing_ok=True)
