"""In the guest: shell lines come as JSON over the virtio port, what they said goes back. Reference on hardware, section C.

A file can be asked for without a shell: under software emulation a new process is dear, and what is asked for often is a file.
"""

import json
import os
import signal
import subprocess
import tempfile
import time
from typing import Any

PORT = "/dev/virtio-ports/agent"


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Run one line, or read one file; its end and its words."""
    if "read" in request:
        try:
            with open(request["read"]) as file:
                return {"rc": 0, "out": file.read(), "err": ""}
        except OSError as error:
            return {"rc": 1, "out": "", "err": str(error)}
    # Into files, not pipes, and as a group of their own: what a line leaves running must not keep us waiting.
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(["sh", "-c", request["cmd"]], stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True)
        try:
            code = process.wait(request["t"])
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            code = -1
        for file in (out, err):
            file.seek(0)
        return {"rc": code, "out": out.read(), "err": err.read() + (" took too long" if code == -1 else "")}


def main() -> None:
    """Serve for ever."""
    while not os.path.exists(PORT):
        time.sleep(0.05)
    with open(PORT, "r+b", buffering=0) as port:
        port.write(json.dumps({"hello": os.uname().release}).encode() + b"\n")
        rest = b""
        while True:
            data = port.read(65536)
            if not data:  # nobody at the other end: the machine was saved, and is not yet resumed by a test
                time.sleep(0.02)
                continue
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                port.write(json.dumps(answer(json.loads(line))).encode() + b"\n")


if __name__ == "__main__":
    main()
