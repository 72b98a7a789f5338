"""In the guest: shell lines come as JSON over the virtio port, what they said goes back. Reference on hardware, section C."""

import json
import os
import subprocess
import time
from typing import Any

PORT = "/dev/virtio-ports/agent"


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Run one line; its end and its words."""
    try:
        done = subprocess.run(["sh", "-c", request["cmd"]], capture_output=True, text=True, errors="replace", timeout=request["t"])
    except subprocess.TimeoutExpired:
        return {"rc": -1, "out": "", "err": "took too long"}
    return {"rc": done.returncode, "out": done.stdout, "err": done.stderr}


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
