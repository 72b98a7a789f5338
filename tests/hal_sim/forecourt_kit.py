"""A client of the forecourt process and a hand-made DART master on a real serial port."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import serial

from hal_sim.dispensers import dart_codec as codec

ROOT = Path(__file__).resolve().parents[2]
UID = "04A1B2C3D4E580"
SCENARIO: dict[str, Any] = {
    "terminal": "OPT1",
    "site": "S1",
    "zone": "Europe/Paris",
    "currency": "EUR",
    "decimals": 2,
    "local_time": "2026-03-28T23:50:00",
    "ml_per_min": 600_000,
    "fuelling_points": [
        {"fp": 1, "nozzle": 1, "product": "GAZOLE", "price": 17290, "total_ml": 5_000},
        {"fp": 2, "nozzle": 1, "product": "GAZOLE", "price": 17290},
        {"fp": 2, "nozzle": 2, "product": "SP95", "price": 18900},
    ],
    "customers": [{"customer": "C1"}],
    "cards": [{"number": UID, "customer": "C1", "pin": "1234"}],
}


class Rig:
    """The process and its two pipes."""

    def __init__(self, folder: Path, scenario: dict[str, Any], python: str = sys.executable) -> None:
        file = folder / "scenario.json"
        file.write_text(json.dumps(scenario), encoding="utf-8")
        self.process = subprocess.Popen(
            [python, "-m", "hal_sim", "forecourt", "--scenario", str(file), "--dir", str(folder / "run")],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.ready = self.answer(20)

    def answer(self, timeout: float = 10) -> dict[str, Any]:
        out = self.process.stdout
        assert out is not None
        readable, _, _ = select.select([out], [], [], timeout)
        assert readable, "no answer in time"
        line = out.readline()
        assert line, self.process.stderr.read() if self.process.stderr is not None else ""
        answer: dict[str, Any] = json.loads(line)
        return answer

    def raw(self, line: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.answer()

    def do(self, command: str, **fields: Any) -> dict[str, Any]:
        return self.raw(json.dumps({"do": command} | fields))

    def pump(self, fp: int) -> dict[str, Any]:
        (found,) = [each for each in self.do("pumps")["pumps"] if each["fp"] == fp]
        return dict(found)

    def close(self) -> tuple[int, str]:
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()
        code = self.process.wait(10)
        errors = self.process.stderr.read() if self.process.stderr is not None else ""
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        return code, errors


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    made = Rig(tmp_path_factory.mktemp("forecourt"), SCENARIO)
    yield made
    assert made.close() == (0, "")


class Master:
    """The other end of the DART line, just enough of it to see the pump from there."""

    def __init__(self, path: str) -> None:
        self._port = serial.Serial(path, 9600, parity=serial.PARITY_ODD, timeout=0.2)
        self._number = 0

    def __enter__(self) -> Master:
        return self

    def __exit__(self, *_: object) -> None:
        self._port.close()

    def exchange(self, frame: bytes) -> bytes:
        self._port.reset_input_buffer()
        self._port.write(frame)
        answer = bytearray()
        while byte := self._port.read(1):
            answer += byte
            if byte[0] == codec.SF and not (len(answer) > 1 and answer[-2] == 0x10):
                break
        return bytes(answer)

    def poll(self, address: int) -> bytes:
        answer = self.exchange(codec.encode(address, codec.POLL))
        if len(answer) > 3:
            self._port.write(codec.encode(address, codec.ACK))
            time.sleep(0.02)
        return answer

    def tell(self, address: int, *transactions: bytes) -> bytes:
        self._number = self._number % 15 + 1
        return self.exchange(codec.encode(address, codec.DATA | self._number, b"".join(transactions)))
