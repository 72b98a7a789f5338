"""The installed service under real systemd: ready, fed, watched, restarted, fenced in, refused its start without its keys.

Everything is the real thing but the devices (the rig's) and the kernel, which the container shares with this machine.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.setup import CardRow, CustomerRow, NozzleRow, Setup
from tests.behaviour.told import books_differ
from tests.rig.clean_log import unexpected
from tests.rig.process import wait_for
from tests.service import installation, other_disk, probe
from tests.service.container import Container
from tests.service.freeze import freeze, reap, thread_id
from tests.service.installation import UNIT
from tests.service.station import CREDENTIALS, FAST, Service, ServiceStation, ServiceWorld

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a container needs root")

BADGE = "04A1B2C3D4E5F6"
SETUP = Setup(
    fuelling_points=(NozzleRow(1, "dart", 1, "GAZOLE", 17290), NozzleRow(2, "dart", 1, "GAZOLE", 17290)),
    customers=(CustomerRow("C1"),),
    cards=(CardRow(BADGE, BADGE, "badge", "C1"),),
)
PATIENCE_S = 120.0
AGAIN_S = 150.0
EXPOSURE_MAX_TENTHS = "15"


class Fast(ServiceStation):
    """The shipped unit, with a watchdog that tests can wait for."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup, drop_ins={"fast.conf": FAST})


class FastWorld(ServiceWorld):
    """The people of it."""

    station_class = Fast


@pytest.fixture(scope="module")
def world() -> Iterator[FastWorld]:
    """One container for all; each test leaves the service running."""
    made = FastWorld(SETUP)
    yield made
    made.close()


@pytest.fixture(scope="module")
def station(world: FastWorld) -> ServiceStation:
    found = world._station
    assert isinstance(found, ServiceStation)
    return found


@pytest.fixture
def box(station: ServiceStation) -> Container:
    return station.box


@pytest.fixture
def service(station: ServiceStation) -> Service:
    """Serving, with all its ten starts in ten minutes before it."""
    station.box.run("systemctl", "reset-failed", UNIT)
    assert wait_for(station.ready, PATIENCE_S), station.service.last_words()
    return station.service


def back(service: Service, restarts: int) -> bool:
    """It was started again and serves."""
    return wait_for(lambda: int(service.show("NRestarts")) > restarts and service.show("ActiveState") == "active", AGAIN_S, 0.2)


# --- the installed unit ------------------------------------------------------------------------------------------------------------


def test_ready(box: Container, service: Service) -> None:
    """systemd heard READY from the program itself, and nothing else in the container failed either."""
    assert service.show("ActiveState") == "active"
    assert service.show("SubState") == "running"
    assert service.show("StatusText") == "serving 2 fuelling points"
    assert service.show("User") == "forecourt-terminal"
    assert service.show("NRestarts") == "0"
    assert box.run("systemctl", "--failed", "--no-legend").stdout == ""


def test_the_installed_unit_is_understood_without_a_word(box: Container) -> None:
    judged = box.run("systemd-analyze", "verify", "--man=no", f"/etc/systemd/system/{UNIT}", check=False)
    assert (judged.returncode, judged.stdout, judged.stderr) == (0, "", "")


def test_the_installed_unit_is_fenced_in(box: Container) -> None:
    judged = box.run("systemd-analyze", "security", "--no-pager", f"--threshold={EXPOSURE_MAX_TENTHS}", UNIT, check=False)
    assert judged.returncode == 0, judged.stdout[-200:]


def test_the_fence_holds(box: Container, service: Service) -> None:
    """The shipped unit with a probe in the program's place: what it could do, and what it could not though the program must; and the same
    without the fence, which must differ in everything but what nobody without rights can do."""
    box.shell(probe.PREPARE)
    pid = service.show("MainPID")
    box.run("systemctl", "stop", UNIT)  # both units have the same folders
    found, free = probed(box, ""), probed(box, "# Rights: none.")
    box.run("systemctl", "start", UNIT)
    assert pid != "0"
    assert found["can"] == []
    assert found["cannot"] == free["cannot"] == []
    assert [name for name in probe.TRIES if name not in free["can"]] == list(probe.ANYBODY)
    status = found["status"]
    assert status["Uid"] == free["status"]["Uid"]
    assert (status["CapEff"], status["CapBnd"]) == ("0" * 16, "0" * 16)
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert "0" not in status["Uid"].split()
    groups = {installation.group_id(box.root, name) for name in ("dialout", "input")}
    assert groups <= {int(number) for number in status["Groups"].split()}


def probed(box: Container, fence_from: str) -> dict[str, Any]:
    """What the probe found under the shipped unit; ``fence_from``: without what stands in the unit from this line on."""
    unit = (box.root / installation.PLACES[UNIT]).read_text()
    others = ("Type=", "NotifyAccess=", "Restart", "WatchdogSec=", "StartLimit", "OnFailure=")
    if fence_from:
        head, fence, _ = unit.partition(fence_from)
        assert fence
        unit = head
    lines = [line for line in unit.splitlines() if not line.startswith(others)]
    text = "\n".join(lines).replace(" -m terminal run --config /etc/forecourt-terminal/terminal.toml", " /usr/lib/probe.py")
    text = text.replace("[Service]\n", "[Service]\nType=oneshot\n")
    (box.root / "usr/lib/probe.py").write_text((Path(__file__).parent / "probe.py").read_text())
    (box.root / "etc/systemd/system/probe.service").write_text(text)
    box.shell("systemctl daemon-reload")
    done = box.run("systemctl", "start", "probe.service", check=False)
    said = box.run("journalctl", "--no-pager", "--output=cat", "--unit=probe.service").stdout
    assert done.returncode == 0, said
    found: dict[str, Any] = json.loads([line for line in said.splitlines() if line.startswith("{")][-1])
    return found


def test_credentials_are_decrypted_for_the_service_alone(station: ServiceStation, box: Container) -> None:
    """What was sealed is there in clear, for its user only and not on the disk; no file of the root holds a secret in clear."""
    folder = box.inside(f"/run/credentials/{UNIT}")
    mounted = next(line.split() for line in box.inside("/proc/1/mounts").read_text().splitlines() if f"/run/credentials/{UNIT}" in line)
    assert mounted[2] in ("ramfs", "tmpfs")
    assert "ro" in mounted[3].split(",")
    for field, name in CREDENTIALS.items():
        clear = Path(station.forecourt.ready["host"][field]).read_bytes()
        assert (folder / name).read_bytes() == clear
        assert (folder / name).stat().st_mode & 0o077 & ~0o040 == 0
        if name in installation.SECRETS:
            found = subprocess.run(
                ["grep", "-rlF", clear.decode().splitlines()[-2 if name == "tls.key" else 0], str(box.root / "etc"), str(box.root / "var")],
                capture_output=True,
                text=True,
                check=False,
            )
            assert found.stdout == ""


def test_the_log_is_kept_in_memory_and_bounded(box: Container) -> None:
    """Sixty megabytes of lines, by a program of no unit, which no rate limits: the oldest go, and nothing is on the disk."""
    box.shell("yes \"$(printf '%0600d' 0)\" | head -n 100000 | systemd-cat -t flood; journalctl --sync")
    used = sum(file.stat().st_size for file in box.inside("/run/log/journal").rglob("*.journal"))
    assert 8 << 20 < used <= 32 << 20
    assert not list((box.root / "var/log").glob("journal/*/*"))


# --- backups on another disk -------------------------------------------------------------------------------------------------------


def test_backups_go_to_another_disk_with_the_readme_s_drop_in_and_only_then(box: Container, service: Service) -> None:
    """A file system of its own at the place; the fence forbids it, the terminal serves on and says so; then with the drop-in."""
    with other_disk.configured(box, service):
        assert wait_for(lambda: "Read-only file system" in other_disk.missing(service), PATIENCE_S, 0.2), service.last_words()
        other_disk.permit(box)
        assert wait_for((box.inside(other_disk.PLACE) / "ledger-backup.db").is_file, PATIENCE_S, 0.2), service.last_words()
        assert wait_for(lambda: service.status() is not None and not other_disk.missing(service), PATIENCE_S, 0.2)


# --- restarts ----------------------------------------------------------------------------------------------------------------------


def test_a_killed_program_comes_back_by_itself(service: Service) -> None:
    restarts = int(service.show("NRestarts"))
    service.kill()
    assert back(service, restarts)
    assert service.show("NRestarts") == str(restarts + 1)


def test_a_hung_core_is_ended_by_the_watchdog(service: Service) -> None:
    """Every thread stopped, the core with them: nothing can say that it hangs, and the watchdog hears nothing."""
    restarts = int(service.show("NRestarts"))
    os.kill(service.main_pid(), signal.SIGSTOP)
    assert back(service, restarts)
    assert "Watchdog timeout" in service.logged()


def test_a_hung_device_thread_is_ended_by_the_watchdog(service: Service) -> None:
    """One thread stopped where it stands, the core and all others running: the terminal says who, and starves its own watchdog.

    (Each source alone: ``tests/runtime/test_pulse.py``.)
    """
    name = "line-pumps"
    restarts = int(service.show("NRestarts"))
    thread = thread_id(service.main_pid(), name)
    freeze(thread)

    def over() -> bool:
        reap(thread)
        return int(service.show("NRestarts")) > restarts and service.show("ActiveState") == "active"

    assert wait_for(over, AGAIN_S, 0.2)
    logged = service.logged()
    assert f"event=Silent who='{name}'" in logged, logged


def release(world: FastWorld, station: ServiceStation, service: Service) -> None:
    """Fuel flows at fuelling point 2 for the badge's holder."""
    world.present_badge(BADGE)
    world.choose(2)
    assert wait_for(lambda: world.asked() is None, PATIENCE_S)
    world.lift(2, 1)
    assert wait_for(lambda: world.release(2) is not None, PATIENCE_S), (world.screens(), service.last_words())
    station.forecourt.do("squeeze", fp=2, volume_ml=30_000)
    station.forecourt.do("wait_flow", fp=2, volume_ml=1_000)


def test_a_badge_reader_that_hangs_in_mid_fuelling_is_ended_with_the_program_and_the_fill_is_booked_once(
    world: FastWorld, station: ServiceStation, service: Service
) -> None:
    """Its adapter takes nothing more: the write of the real library does not come back, for ever. The program says who hangs, starves its
    watchdog and is started anew, with the reader still stuck; the pump goes on; the sale is completed, once."""
    restarts, sales = int(service.show("NRestarts")), world.host_sales()
    release(world, station, service)
    station.forecourt.do("reader", stuck=True)
    assert back(service, restarts), service.last_words()
    assert "event=Silent who='badge-1'" in service.logged()
    assert "Watchdog timeout" in service.logged()
    station.forecourt.do("reader", stuck=False)
    station.forecourt.do("release", fp=2)
    world.hang_up(2)
    assert wait_for(lambda: world.host_sales() == sales + 1 and world.settled(), PATIENCE_S), service.last_words()
    assert world.ledger_sales()[-1].volume_ml >= 1_000
    assert books_differ(world.books(), SETUP) == ""
    assert wait_for(station.ready, PATIENCE_S), "and the reader reads again"
    assert int(service.show("NRestarts")) == restarts + 1


def test_a_stop_in_mid_fuelling_leaves_the_fuel_to_the_next_start(world: FastWorld, station: ServiceStation, service: Service) -> None:
    """systemctl stop while fuel flows: a clean end in time; the pump goes on; at the next start the sale is completed and booked."""
    sales = world.host_sales()
    release(world, station, service)
    begun = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - begun < 20  # the unit's TimeoutStopSec
    assert service.show("Result") == "success"
    station.forecourt.do("release", fp=2)
    world.hang_up(2)
    station.power_on()
    assert wait_for(lambda: world.host_sales() == sales + 1 and world.settled(), PATIENCE_S)
    assert world.ledger_sales()[-1].volume_ml >= 1_000
    assert books_differ(world.books(), SETUP) == ""


# --- what only a person can mend ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pin.key", "tls.crt"])
def test_without_a_credential_it_does_not_start_and_says_which(box: Container, service: Service, name: str) -> None:
    """Exit 2, one clear line, and no second try."""
    service.stop()
    store = "credstore" if name == "tls.crt" else "credstore.encrypted"
    file = box.root / f"etc/{store}/forecourt-terminal.{name}"
    kept = file.read_bytes()
    file.unlink()
    before = len(service.logged())
    refused = box.run("systemctl", "start", UNIT, check=False)
    assert refused.returncode != 0
    time.sleep(1)  # ten times RestartSec
    assert (service.show("ActiveState"), service.show("ExecMainStatus"), service.show("NRestarts")) == ("failed", "2", "0")
    said = service.logged()[before:]
    assert name in said
    assert unexpected(said) == []
    file.write_bytes(kept)
    service.start()
    assert service.show("ActiveState") == "active"


def test_a_credential_sealed_on_another_machine_is_not_tried_again(box: Container, service: Service) -> None:
    """Only systemd can say that: 243/CREDENTIALS. Tried again and again it would restart the machine every few seconds for ever."""
    service.stop()
    file = box.root / "etc/credstore.encrypted/forecourt-terminal.pin.key"
    kept = file.read_bytes()
    file.write_bytes(kept[:-8] + b"AAAAAAA=")
    assert box.run("systemctl", "start", UNIT, check=False).returncode != 0
    time.sleep(1)
    assert (service.show("ActiveState"), service.show("ExecMainStatus"), service.show("NRestarts")) == ("failed", "243", "0")
    file.write_bytes(kept)
    service.start()
    assert service.show("ActiveState") == "active"


# --- ten deaths -------------------------------------------------------------------------------------------------------------------

REBOOT, AGAIN = "forecourt-terminal-reboot.service", "forecourt-terminal-again.timer"
MISSED = "forecourt-terminal-reboot.timer"
DEATHS = "[Service]\nRestartSec=20ms\nExecStart=\nExecStart=/bin/false\n"
AGAIN_FAST = "[Timer]\nOnUnitInactiveSec=\nOnUnitInactiveSec=8s\nAccuracySec=100ms\n"
"""Longer than the start limit's interval, as the shipped one is."""


def up_at_least(seconds: int, away: int = 600) -> str:
    """A drop-in: for how long the machine must have run before it is started anew (the container has this machine's uptime), and the
    terminal have been away."""
    return f"[Service]\nExecStart=\nExecStart=/usr/lib/forecourt-terminal/reboot-due {seconds} {away}\n"


def drop_in(box: Container, unit: str, text: str) -> Path:
    folder = box.inside(f"/run/systemd/system/{unit}.d")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "test.conf").write_text(text)
    return folder / "test.conf"


def spared(box: Container) -> str:
    """What the check said that decided against a start of the machine."""
    return box.run("journalctl", "--no-pager", "--output=cat", f"--unit={REBOOT}").stdout


def test_the_units_beside_it_are_understood_and_fenced_in(box: Container) -> None:
    for unit in (REBOOT, AGAIN, MISSED):
        judged = box.run("systemd-analyze", "verify", "--man=no", f"/etc/systemd/system/{unit}", check=False)
        assert (judged.returncode, judged.stdout, judged.stderr) == (0, "", "")
    judged = box.run("systemd-analyze", "security", "--no-pager", f"--threshold={EXPOSURE_MAX_TENTHS}", REBOOT, check=False)
    assert judged.returncode == 0, judged.stdout[-200:]


def test_what_a_person_must_mend_starts_no_machine_anew_and_a_stop_is_meant(box: Container, service: Service) -> None:
    """Exit 2 in a machine that has run for long enough; then a stop by hand, behind which nothing tries again."""
    drop_in(box, REBOOT, up_at_least(0))
    config = box.root / "etc/forecourt-terminal/terminal.toml"
    kept = config.read_text()
    service.stop()
    assert box.run("systemctl", "is-active", AGAIN, check=False).stdout.strip() == "inactive"
    config.write_text(kept + "\n[nonsense]\n")
    assert box.run("systemctl", "start", UNIT, check=False).returncode != 0
    assert wait_for(lambda: "a person must mend it: exit code 2" in spared(box), PATIENCE_S, 0.2), spared(box)
    assert box.up
    config.write_text(kept)
    service.start()
    assert box.run("systemctl", "is-active", AGAIN, check=False).stdout.strip() == "active"


def test_a_machine_that_was_started_within_the_hour_goes_on_and_the_terminal_is_tried_again(box: Container, service: Service) -> None:
    """Deaths in a row (four here, for a quick end); the check spares the machine. When their cause is over the terminal comes back by
    itself, though systemd had given it up."""
    drop_in(box, REBOOT, up_at_least(10**9))
    drop_in(box, AGAIN, AGAIN_FAST)
    deaths = drop_in(box, UNIT, "[Unit]\nStartLimitIntervalSec=6s\nStartLimitBurst=4\n" + DEATHS)
    box.run("systemctl", "daemon-reload")
    box.run("systemctl", "restart", UNIT, check=False)
    assert wait_for(lambda: "the machine has run for" in spared(box), PATIENCE_S, 0.2), spared(box)
    assert box.up
    assert service.show("ActiveState") == "failed"
    deaths.unlink()
    box.run("systemctl", "daemon-reload")
    assert wait_for(lambda: service.show("ActiveState") == "active", AGAIN_S, 0.2), service.last_words()


def test_ten_deaths_in_ten_minutes_start_the_machine_anew(box: Container, service: Service) -> None:
    """Last, for it ends the container: 133 is nspawn's word for a machine that wants to be started again."""
    drop_in(box, REBOOT, up_at_least(0))
    drop_in(box, UNIT, DEATHS)
    box.run("systemctl", "daemon-reload")
    box.run("systemctl", "restart", UNIT, check=False)
    assert box.wait_for_end(PATIENCE_S) == 133
