"""Guards of the whole suite: nothing leaves this machine, nothing in a virtual tier waits in real time.

The guard of the network is an audit hook of the interpreter (PEP 578): it sees the call whoever makes it, and changes no library.
"""

from __future__ import annotations

import ipaddress
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.not_run import pytest_terminal_summary as pytest_terminal_summary

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")
"""How long an example takes says something about the machine, nothing about the program."""

ROOT = Path(__file__).resolve().parent
LONGEST = (
    "tests/rig/test_rig_features",
    "tests/endurance",
    "tests/powercut",
    "tests/test_bench",
    "tests/service",
    "tests/wires",
    "tests/simulation",
    "tests/rig",
    "tests/features",
    "tests/fuzz",
    "tests/canary",
    "tests/test_demo",
    "tests/hal_sim/test_host_command",
    "tests/hal_sim/test_standalone_host",
    "tests/store/test_damage",
    "tests/drivers/test_smartcard_reader",
    "tests/oracle",
    "tests/store/test_card_import",
    "tests/store/test_power_cut",
    "tests/test_commission_command",
)
"""Files are played side by side (`make test`), each by one worker: a long one that began last would be waited for alone."""
VIRTUAL_TIERS = ("machines", "golden", "properties", "simulation")
"""Folders whose time is a number. A real sleep there makes a result depend on the machine's speed."""


def _is_local(address: object) -> bool:
    """True for Unix sockets, loopback, and what is no internet address at all (netlink and the like)."""
    if not (isinstance(address, tuple) and len(address) >= 2 and isinstance(address[0], str)):
        return True
    host = address[0].split("%")[0]
    if host in {"", "localhost"}:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _guard(event: str, args: tuple[object, ...]) -> None:
    if event in {"socket.connect", "socket.sendto", "socket.bind"} and not _is_local(args[1]):
        raise PermissionError(f"tests stay on this machine's loopback: {event} {args[1]}")


sys.addaudithook(_guard)


def _tier(path: Path) -> str:
    parts = path.relative_to(ROOT).parts
    return parts[0] if len(parts) > 1 else ""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The folder decides the tier: tests/rig is marked rig, tests/machine is marked machine. What takes longest begins first."""
    items.sort(key=lambda item: next((place for place, name in enumerate(LONGEST) if name in item.path.as_posix()), len(LONGEST)))
    for item in items:
        tier = _tier(item.path)
        if tier in {"rig", "machine"}:
            item.add_marker(tier)


@pytest.fixture(autouse=True)
def _no_real_sleep_in_virtual_tiers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if _tier(request.path) not in VIRTUAL_TIERS:
        return
    sleep = time.sleep

    def refuse(seconds: float) -> None:
        if sys._getframe(1).f_globals.get("__name__") != "subprocess":  # waiting for a child's end is no waiting for time
            raise RuntimeError(f"real sleep in a tier of virtual time: {request.node.nodeid}")
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", refuse)
