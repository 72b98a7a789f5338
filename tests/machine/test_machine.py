"""What only a machine of its own shows: real udev names, USB keyboards, CCID, FTDI, unplugging, the hardware watchdog.

Run by ``make machine``; the power cuts are in ``test_power.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.machine.site import STRIPE as STRIPE_NUMBER
from tests.machine.site import Site
from tests.machine.vm import KEYPAD, PATIENCE_S, SERIAL, STRIPE, Machine
from tests.rig.process import wait_for
from tests.service.installation import UNIT

GRAB = """
import sys
sys.path.insert(0, "/opt/forecourt-terminal/lib/python{version}/site-packages")
import evdev
for name in ("keypad-1", "stripe-reader-1"):
    device = evdev.InputDevice("/dev/forecourt/" + name)
    try:
        device.grab()
        print(name, "free")
    except OSError as error:
        print(name, error.errno)
"""
EBUSY = 16


@pytest.fixture(scope="module")
def machine(site: Site) -> Iterator[Machine]:
    """One machine for all of this module, the service running."""
    made = site.power_on()
    site.start_service()
    yield made
    site.power_off()


# --- names -------------------------------------------------------------------------------------------------------------------------


def test_every_socket_has_its_name(machine: Machine) -> None:
    """The shipped rules, unchanged: each device by the socket that it is in, with group and mode, and FTDI's wait set to 1 ms."""
    names = machine.run("cd /dev/forecourt; ls").split()
    assert names == ["badge-reader-1", "display-1", "keypad-1", "pump-line-1", "stripe-reader-1"]
    for name, group in (("pump-line-1", "dialout"), ("badge-reader-1", "dialout"), ("display-1", "dialout"), ("keypad-1", "input")):
        assert machine.run(f"stat -Lc '%G %a' /dev/forecourt/{name}").strip() == f"{group} 660"
    for name, port in (
        ("pump-line-1", SERIAL["pumps"]),
        ("badge-reader-1", SERIAL["badges"]),
        ("keypad-1", KEYPAD),
        ("stripe-reader-1", STRIPE),
    ):
        path = machine.run(f"udevadm info -q property -n /dev/forecourt/{name} | sed -n s/^ID_PATH=//p").strip()
        assert path.endswith(f"-usb-0:{port}:1.0")
    timers = machine.run("cat /sys/bus/usb-serial/devices/*/latency_timer").split()
    assert timers == ["1", "1", "1"]


def test_the_installed_unit_is_understood_and_fenced_in(machine: Machine) -> None:
    said = machine.sh(f"systemd-analyze verify --man=no /etc/systemd/system/{UNIT} 2>&1")
    assert (said.code, said.out) == (0, "")
    assert machine.sh(f"systemd-analyze security --no-pager --threshold=15 {UNIT}").code == 0


def test_the_device_fence_holds(machine: Machine) -> None:
    """What a container cannot show: of the machine's devices the service may open its own kinds and no other."""
    pid = machine.run(f"systemctl show --value -p MainPID {UNIT}").strip()
    group = machine.run(f"cut -d: -f3 /proc/{pid}/cgroup").strip()
    opened = machine.run(
        f"sh -c 'echo $$ >/sys/fs/cgroup{group}/cgroup.procs; for each in ttyUSB0 input/event0 vda mem; do "
        "if (: </dev/$each) 2>/dev/null; then echo $each; fi; done'"
    ).split()
    assert opened == ["ttyUSB0", "input/event0"]


# --- keyboards ---------------------------------------------------------------------------------------------------------------------


def test_two_equal_keyboards_are_told_apart_and_held(site: Site, machine: Machine) -> None:
    """Both are the same make without a serial number. What the stripe reader types is a swipe and no key; nobody else may listen."""
    version = machine.run("ls /opt/forecourt-terminal/lib").strip().removeprefix("python")
    program = GRAB.format(version=version)
    said = machine.run(f"/opt/forecourt-terminal/bin/python - <<'END'\n{program}\nEND")
    assert said.split() == ["keypad-1", str(EBUSY), "stripe-reader-1", str(EBUSY)]
    site.hold_badge()
    machine.type("v0", ["1"])
    assert wait_for(lambda: site.shows_now("1"), PATIENCE_S, 0.2), site.logged()
    machine.type("v0", ["esc"])
    assert site.idle()
    machine.type("v1", ["semicolon", *STRIPE_NUMBER, "equal", *"29121010000", "shift-slash"])
    assert wait_for(lambda: site.side() != "idle", PATIENCE_S, 0.2), site.logged()
    machine.type("v0", ["esc"])
    assert site.idle()


# --- each device gone and back -----------------------------------------------------------------------------------------------------


def test_a_chip_card_through_ccid_and_pcscd(site: Site, machine: Machine) -> None:
    """The real libccid and pcscd, which its socket starts; the card proves itself with the sealed chip key."""
    with site.card_slot() as slot:
        slot.insert(site.chip_card())
        assert wait_for(lambda: site.side() == "choosing", PATIENCE_S, 0.2), site.logged()
        slot.take_out()
    machine.type("v0", ["esc"])
    assert site.idle()
    assert machine.run("systemctl is-active pcscd.service").strip() == "active"


def _keyboard(machine: Machine, name: str, port: str, display: str) -> Callable[[], None]:
    return lambda: machine.plug("usb-kbd", name, port, display=display)


@pytest.mark.parametrize(
    ("device", "port", "fault", "display"), [("keypad", KEYPAD, "keypad-1", "v0"), ("stripe", STRIPE, "stripe-1", "v1")]
)
def test_a_keyboard_is_unplugged_and_comes_back(site: Site, machine: Machine, device: str, port: str, fault: str, display: str) -> None:
    site.unplugged_and_back(fault, lambda: machine.unplug(device), _keyboard(machine, device, port, display))


@pytest.mark.parametrize(("device", "fault"), [("display", "display-1"), ("badges", "badge-1")])
def test_a_serial_adapter_is_unplugged_and_comes_back(site: Site, machine: Machine, device: str, fault: str) -> None:
    site.unplugged_and_back(fault, lambda: machine.unplug(device), lambda: machine.plug_serial(device))


def test_the_card_reader_is_unplugged_and_comes_back(site: Site, machine: Machine) -> None:
    site.unplugged_and_back("card-1", lambda: machine.unplug("cards"), machine.plug_card_reader)


def test_the_pump_line_speaks_with_odd_parity(machine: Machine) -> None:
    """FTDI's real driver has what DART needs: 9600 baud, 8 bits, odd parity."""
    settings = machine.run("stty -a -F /dev/forecourt/pump-line-1")
    assert settings.startswith("speed 9600 baud")
    assert {"parenb", "parodd", "cs8", "-cstopb"} <= set(settings.replace(";", " ").split())


def test_the_pump_line_is_unplugged_in_a_fuelling_and_comes_back(site: Site, machine: Machine) -> None:
    """The adapter goes while fuel flows; the pump goes on alone; the sale is completed when it is back."""
    site.begin_fuelling(5_000)
    machine.unplug("pumps")
    assert wait_for(lambda: not site.state_of(2).get("available", True), PATIENCE_S, 0.3), site.status()
    site.forecourt.do("wait_flow", fp=2, volume_ml=5_000)
    site.forecourt.do("hang_up", fp=2)
    machine.plug_serial("pumps")
    assert wait_for(lambda: site.host_sales() == 1, PATIENCE_S, 0.5), (site.status(), site.logged())
    assert site.forecourt.do("host_books")["agree"]


# --- the hardware watchdog: last, for it ends the machine ----------------------------------------------------------------------------


def test_the_hardware_watchdog_starts_a_hung_machine_anew(machine: Machine) -> None:
    """systemd holds the board's watchdog with the shipped 14 s; a kernel that stands still is reset by it, and boots."""
    held = machine.run("ls -l /proc/1/fd | grep -c /dev/watchdog").strip()
    assert held == "1"
    assert "14" in machine.run("systemctl show --value -p RuntimeWatchdogUSec").strip()
    machine.events.clear()
    machine.ask("human-monitor-command", **{"command-line": "info status"})
    machine.sh("echo 1 >/proc/sys/kernel/sysrq; (sleep 1; echo c >/proc/sysrq-trigger) >/dev/null 2>&1 &")
    assert machine.wait_for_event("WATCHDOG", PATIENCE_S)
    assert machine.wait_for_event("RESET", PATIENCE_S)
