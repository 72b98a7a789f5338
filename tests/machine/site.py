"""The machine as a terminal in its cabinet: the simulated forecourt at its sockets, the installed service configured as the README says."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import re
import secrets
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hal_sim.smartcard.card import Card, Habits, make_card
from terminal.store.vault import KeyVault
from tests.behaviour.setup import CardRow, CustomerRow, NozzleRow, Setup
from tests.machine.card_peer import CardPeer
from tests.machine.image import Image
from tests.machine.vm import DISKS, PATIENCE_S, Machine
from tests.rig import settings
from tests.rig.forecourt_client import ForecourtClient
from tests.rig.process import wait_for
from tests.service.installation import PUBLIC, SECRETS, UNIT
from tests.service.station import CREDENTIALS, RUNTIME_DIR, STATE_DIR

BADGE, CHIP, STRIPE = "04A1B2C3D4E5F6", "7002000000000000016", "7001231234567890123"
SLOW_MS = 60_000
LIFT_MS = 20_000
AGAIN_S = 20.0
AWAY_S = 5.0
SETUP = Setup(
    fuelling_points=(NozzleRow(1, "dart", 1, "GAZOLE", 17290), NozzleRow(2, "dart", 1, "GAZOLE", 17290)),
    customers=(CustomerRow("C1"),),
    cards=(CardRow(BADGE, BADGE, "badge", "C1"), CardRow(CHIP, CHIP, "smart card", "C1"), CardRow(STRIPE, STRIPE, "stripe", "C1")),
    # Software emulation beside other work is slow: nobody is given up because of it.
    policy={"lift_timeout_ms": LIFT_MS, "host_timeout_ms": SLOW_MS},
)
ML_PER_MIN = 120_000
"""A fast pump: some seconds of flow."""
PORTS = {"pumps": "dart1", "badges": "pn532", "display": "display"}
"""The machine's serial adapter, and the forecourt's port that it is wired to."""
NAMES = {"dart1": "pump-line-1", "pn532": "badge-reader-1", "display": "display-1"}
PROXY = """[Unit]
Description=The way to the fleet host
[Socket]
ListenStream=127.0.0.1:{port}
[Install]
WantedBy=sockets.target
"""
PROXY_SERVICE = "[Service]\nExecStart=/usr/lib/systemd/systemd-socket-proxyd 10.0.2.2:{port}\n"
DATA_MIB = 64


class Site:
    """One forecourt and, one after another, the machines at it. ``saved`` is the layer that every machine starts from.

    ``data`` is the disk with the ledger that they all have, one after the other, and ``log`` what the newest of them did to it.
    """

    def __init__(self, image: Image) -> None:
        """Start the forecourt, boot and configure a machine, save its state."""
        self.image = image
        self.folder = Path(tempfile.mkdtemp(prefix=f"machine-{os.getpid()}-"))
        self._count = 0
        self.machine: Machine | None = None
        self.chip_key = secrets.token_bytes(32)
        scenario = settings.forecourt_scenario(SETUP, card_reader=None, keypad=None, stripe=None, ml_per_min=ML_PER_MIN)
        self.forecourt = ForecourtClient(scenario, self.folder)
        ready = self.forecourt.ready
        self.ports = {name: os.readlink(ready["ports"][port]) for name, port in PORTS.items()}
        self.data, self.log = self.folder / "data.img", self.folder / "log.img"
        try:
            self.saved = self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> Path:
        machine = Machine(self.image, self._place(), {})
        self.machine = machine
        begun = time.monotonic()
        machine.start(resume=False)
        self.boot_s = time.monotonic() - begun
        machine.run("systemctl is-system-running --wait || systemctl --failed --no-legend")
        self._configure(machine)
        # So that the first start does not wait for the disk.
        machine.run("/opt/forecourt-terminal/bin/python -m terminal check-config --config /etc/forecourt-terminal/terminal.toml; true")
        user, group = machine.run("id -u forecourt-terminal; id -g forecourt-terminal").split()
        with self.data.open("wb") as file:
            file.truncate(DATA_MIB << 20)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-E", f"root_owner={user}:{group}", str(self.data)], check=True)
        machine.save()
        layer = self.folder / "saved.qcow2"
        shutil.move(machine.layer, layer)
        self.machine = None
        return layer

    def _place(self) -> Path:
        self._count += 1
        place = self.folder / f"vm{self._count}"
        place.mkdir()
        return place

    # --- configuration, as the README says --------------------------------------------------------------------------------------

    def toml(self) -> str:
        """Devices by the names of the rules, secrets by the names of their credentials."""
        ready = self.forecourt.ready
        host = ready["host"]
        phys = {"phys": "x", "layout": "us", "lrc": False}
        seen = ready | {
            "ports": {port: f"/dev/forecourt/{name}" for port, name in NAMES.items()},
            "host": host | {field: f"credential:{name}" for field, name in CREDENTIALS.items()},
            "keypad": phys,
            "stripe_reader": phys,
            "card_reader": {"name": "*", "key": None},
        }
        vault = KeyVault.from_files(Path(host["token_key"]), Path(host["pin_key"]), Path(host["card_key"]))
        text = settings.terminal_toml(SETUP, seen, vault, Path(STATE_DIR), Path(RUNTIME_DIR))
        text = text.replace(f"input_ms = {settings.INPUT_MS}\n", f"input_ms = {SLOW_MS}\n")
        text = text.replace("[keys]\n", '[keys]\nchip = "credential:chip.key"\nchip_version = 1\n')
        for device in ("keypad", "stripe_reader"):
            text = re.sub(
                rf'^({device} = {{)phys = "x"', rf'\1path = "/dev/forecourt/{device.replace("_", "-")}-1"', text, flags=re.MULTILINE
            )
        return text

    def _configure(self, machine: Machine) -> None:
        host = self.forecourt.ready["host"]
        files = {name: Path(host[field]).read_bytes() for field, name in CREDENTIALS.items()} | {"chip.key": self.chip_key.hex().encode()}
        port = host["url"].rpartition(":")[2]
        places = {f"/etc/credstore/forecourt-terminal.{name}": files[name] for name in PUBLIC}
        places |= {f"/run/clear/{name}": files[name] for name in (*SECRETS, "chip.key")}
        places["/etc/forecourt-terminal/terminal.toml"] = self.toml().encode()
        places["/etc/systemd/system/host-proxy.socket"] = PROXY.format(port=port).encode()
        places["/etc/systemd/system/host-proxy.service"] = PROXY_SERVICE.format(port=port).encode()
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for place, content in places.items():
                entry = tarfile.TarInfo(place.lstrip("/"))
                entry.size, entry.mode = len(content), 0o644
                archive.addfile(entry, io.BytesIO(content))
        machine.run(f"echo {base64.b64encode(packed.getvalue()).decode()} | base64 -d | tar -xz -C /")
        for name in (*SECRETS, "chip.key"):
            machine.run(f"systemd-creds encrypt --name={name} /run/clear/{name} /etc/credstore.encrypted/forecourt-terminal.{name}")
        machine.run("rm -r /run/clear; ip link set lo up; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0")
        machine.run("systemctl start host-proxy.socket pcscd.socket")

    # --- machines ---------------------------------------------------------------------------------------------------------------

    def power_on(self) -> Machine:
        """A machine with every device in its socket, and the site's one disk for the ledger."""
        machine = Machine(self.image, self._place(), self.ports, self.saved)
        self.machine = machine
        machine.start()
        for name in PORTS:
            machine.plug_serial(name)
        machine.plug_card_reader()
        machine.wait("test -e /dev/forecourt/display-1 -a -e /dev/forecourt/pump-line-1 -a -e /dev/forecourt/keypad-1", PATIENCE_S)
        self._plug_disk(machine)
        return machine

    def _plug_disk(self, machine: Machine) -> None:
        """With a volatile cache that the guest must flush; ``log`` takes each write and flush from now on (``write_log``)."""
        self.log.write_bytes(b"")
        machine.ask("blockdev-add", **{"driver": "file", "node-name": "data-file", "filename": str(self.data)})
        machine.ask("blockdev-add", **{"driver": "file", "node-name": "log-file", "filename": str(self.log)})
        machine.ask("blockdev-add", **{"driver": "blklogwrites", "node-name": "data", "file": "data-file", "log": "log-file"})
        machine.ask("device_add", driver="scsi-hd", id="data-disk", bus=f"{DISKS}.0", drive="data", **{"write-cache": "on"})
        machine.wait("test -b /dev/sda", PATIENCE_S)
        assert machine.run("cat /sys/block/sda/queue/write_cache").strip() == "write back"
        machine.run(f"mount -t ext4 -o noatime,errors=remount-ro /dev/sda {STATE_DIR}")

    @property
    def machine_on(self) -> Machine:
        """The machine that is on."""
        if self.machine is None:
            raise RuntimeError("no machine is on")
        return self.machine

    def start_service(self) -> None:
        """systemctl start, then until a driver can be served."""
        started = self.machine_on.sh(f"systemctl start {UNIT}")
        if started.code:
            raise AssertionError(f"the service does not start: {started.err} {self.logged()}")
        if not wait_for(self.ready, PATIENCE_S, 0.5):
            raise AssertionError(f"not ready: {self.status()}; {self.logged()}")

    def status(self) -> dict[str, Any]:
        """What the terminal says of itself; empty before its first word."""
        said = self.machine_on.read(f"{RUNTIME_DIR}/status.json")
        found: dict[str, Any] = json.loads(said.out) if said.code == 0 and said.out else {}
        return found

    def ready(self) -> bool:
        """It serves, with lists, a trusted clock and both pumps."""
        status = self.status()
        points = status.get("fuelling_points", [])
        if not points or status["clock"] != "trusted" or not status["lists"]["version"]:
            return False
        return all(point["available"] or point["sale"] for point in points)

    def down(self) -> set[str]:
        """The devices that it misses."""
        return {fault["subject"] for fault in self.status().get("faults", [])}

    def logged(self) -> str:
        """The service's last lines."""
        return self.machine_on.sh(f"journalctl --no-pager -o cat -n 60 -u {UNIT}").out

    def unplugged_and_back(self, name: str, unplug: Any, plug: Any) -> None:
        """The terminal misses it, and finds it again by itself. Raises AssertionError."""
        assert name not in self.down()
        unplug()
        assert wait_for(lambda: name in self.down(), PATIENCE_S, 0.3), (self.down(), self.logged())
        plug()
        assert wait_for(lambda: name not in self.down(), PATIENCE_S, 0.3), (self.down(), self.logged())

    # --- people -----------------------------------------------------------------------------------------------------------------

    def shows_now(self, words: str) -> bool:
        """These words stand on the display."""
        return any(words in line for line in self.forecourt.do("display")["lines"])

    def state_of(self, fp: int) -> dict[str, Any]:
        """A fuelling point as the terminal sees it."""
        points: list[dict[str, Any]] = self.status().get("fuelling_points", [])
        return next((point for point in points if point["fp"] == fp), {})

    def pump(self, fp: int) -> dict[str, Any]:
        """The pump itself."""
        return next(pump for pump in self.forecourt.do("pumps")["pumps"] if pump["fp"] == fp)

    def begin_fuelling(self, volume_ml: int) -> None:
        """A driver with a badge at fuelling point 2; returns when the pump is released to him and he has squeezed."""
        self.ask_for_fuel()
        self.forecourt.do("lift", fp=2, nozzle=1)
        assert wait_for(lambda: self.pump(2)["valve"] == "open", PATIENCE_S, 0.1), (self.pump(2), self.logged())
        self.forecourt.do("squeeze", fp=2, volume_ml=volume_ml)

    def ask_for_fuel(self) -> None:
        """The same driver; returns when he may lift."""
        self.hold_badge()
        self.choose()
        assert wait_for(lambda: bool(self.state_of(2).get("sale")), PATIENCE_S, 0.2), self.logged()

    def choose(self) -> None:
        """Fuelling point 2."""
        self.machine_on.type("v0", ["2", "ret"])

    def hold_badge(self) -> None:
        """A badge held to the reader until its driver is asked for the fuelling point: software emulation reads slowly.

        What could not be read is held there again.
        """
        end = time.monotonic() + PATIENCE_S
        while True:
            self.forecourt.do("present", number=BADGE, medium="badge", stays=True)
            seen = wait_for(lambda: self.side() == "choosing", AGAIN_S, 0.2)
            self.forecourt.do("remove")
            if seen:
                return
            assert time.monotonic() < end, (self.status(), self.logged())
            assert self.idle(), (self.status(), self.logged())
            time.sleep(AWAY_S)  # or the reader takes it for the one that never left

    def idle(self) -> bool:
        """Nobody stands at the terminal any more."""
        return wait_for(lambda: self.side() == "idle", PATIENCE_S, 0.3)

    def side(self) -> str:
        """What the terminal does for whoever stands at it."""
        sides: list[dict[str, str]] = self.status().get("sides", [])
        return sides[0]["state"] if sides else ""

    def host_sales(self) -> int:
        """How many sales the host has booked."""
        return len(self.forecourt.do("host")["sales"])

    def host_open(self) -> int:
        """How many authorizations the host still holds something for."""
        return len(self.forecourt.do("host")["open"])

    def chip_card(self) -> Card:
        """The fleet's card of the table."""
        return make_card("fleet", CHIP, Habits(), self.chip_key)

    @contextlib.contextmanager
    def card_slot(self) -> Iterator[CardPeer]:
        """The reader's slot."""
        peer = CardPeer(self.machine_on.folder / "ccid")
        try:
            yield peer
        finally:
            peer.close()

    def power_off(self) -> None:
        """SIGKILL to the machine: its memory is gone."""
        if self.machine is not None:
            self.machine.kill()
            self.machine.close()
            self.machine = None

    def close(self) -> None:
        """End everything. Safe to call twice."""
        if self.machine is not None:
            self.machine.close()
        self.forecourt.close()
        shutil.rmtree(self.folder, ignore_errors=True)
