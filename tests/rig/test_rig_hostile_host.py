"""A host that is not what it should be, in the real one's place on the rig: drivers go on fuelling offline, and the books agree afterwards.

One station plays every conduct (reference security-and-reliability 4; threat-model.md): who cannot prove itself hears no request, and
what comes from one that can (``endless``, ``dripping``, a redirect) costs a driver no more than the deadline of his question.
"""

from __future__ import annotations

import datetime as dt
import functools
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.behaviour.told import books_differ
from tests.host.calls import told
from tests.host.hostile import Conduct, Host, Pki, answer, context_of, host_with, old_context_of, request_of
from tests.host.test_hostile_answers import SLOW, endless
from tests.rig.clean_log import unexpected
from tests.rig.switch import AUTHORIZE_MS, SwitchedStation
from tests.rig.test_rig_program import BADGE, OTHER, SETUP
from tests.rig.world import RigWorld

LOOSE_S = 20.0
"""From the driver's choice to fuel, beyond his question's deadline: he lifts, the pump is read and polled, and the machine is busy."""
VOLUME_ML = 2_500


@dataclass(frozen=True, slots=True)
class Hostile:
    """``heard``: whether it can prove itself, so that it gets a request to answer."""

    context: Callable[[Path], ssl.SSLContext]
    conduct: Conduct
    heard: bool


def _pair(name: str) -> Callable[[Path], ssl.SSLContext]:
    return lambda folder: context_of(folder, name)


def _redirect(connection: ssl.SSLSocket) -> None:
    """To a host that would be believed."""
    url = TRAP[-1].url
    while request_of(connection):
        connection.sendall(answer(b"", f"Location: {url}/v1/authorizations", status="307 Temporary Redirect"))


TRAP: list[Host] = []
OPEN = told(lambda connection: connection.sendall(answer(b"{}")))
HOSTS = {
    "wrong authority": Hostile(_pair("stranger"), OPEN, heard=False),
    "wrong name": Hostile(_pair("elsewhere"), OPEN, heard=False),
    "expired": Hostile(_pair("expired"), OPEN, heard=False),
    "old TLS": Hostile(old_context_of, OPEN, heard=False),
    "redirect": Hostile(_pair("server"), _redirect, heard=True),
    "drip": Hostile(_pair("server"), SLOW["body"], heard=True),
    "endless": Hostile(_pair("server"), endless(), heard=True),
}


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """Certificates of an authority that the terminal trusts, and one that it does not."""
    own = Pki(tmp_path)
    own.issue("server")
    own.issue("elsewhere", address="127.0.0.9")
    own.issue("expired", end=dt.datetime(2001, 1, 1, tzinfo=dt.UTC))
    Pki(tmp_path, "other-ca.crt").issue("stranger")
    return tmp_path


class World(RigWorld):
    """Behind a switch."""

    _station: SwitchedStation


@pytest.fixture
def world(hostile: Path) -> Iterator[World]:
    class Here(World):
        station_class = functools.partial(SwitchedStation, other_authority=hostile / "ca.crt")  # type: ignore[assignment]

    made = Here(SETUP)
    try:
        yield made
        assert unexpected(made.log()) == []
    finally:
        made.close()


def test_whoever_stands_in_the_host_s_place_drivers_fuel_offline_and_the_books_agree(world: World, hostile: Path) -> None:
    (hostile / "ca.crt").write_bytes((hostile / "ca.crt").read_bytes() + world._station.host_authority)  # lets our terminal in
    with host_with(context_of(hostile), OPEN) as trap:
        TRAP.append(trap)
        for number, (name, one) in enumerate(HOSTS.items()):
            _play(world, hostile, number, name, one)
            assert world.wait(lambda: len(world.ledger_sales()) > number, 15_000), name  # noqa: B023 - asked here
        assert world.host_sales() == 0
        assert trap.connections == 0, "nobody was sent on"
    world._station.put(None)
    assert world.wait(lambda: not books_differ(world.books(), SETUP), 60_000), books_differ(world.books(), SETUP)
    assert world.host_sales() == len(HOSTS)
    assert [sale.volume_ml for sale in world.ledger_sales()] == [VOLUME_ML] * len(HOSTS)
    assert world.wait(lambda: world.host_open_authorizations() == 0, 30_000)


def _play(world: World, folder: Path, number: int, name: str, one: Hostile) -> None:
    """A driver while this host stands there."""
    heard: list[bytes] = []
    with host_with(one.context(folder), _noted(one.conduct, heard)) as host:
        world._station.put(host.url)
        waited_s = _fuel(world, (BADGE, OTHER)[number % 2], 1 + number % 2)
        assert waited_s < AUTHORIZE_MS / 1000 + LOOSE_S, name
        assert world.wait(lambda: host.connections > 0 and (not one.heard or bool(heard)), 15_000), name
    assert bool(heard) is one.heard, name


def _noted(conduct: Conduct, heard: list[bytes]) -> Conduct:
    """A request's first byte is noted; none of these conducts reads what it begins with."""

    def serve(connection: ssl.SSLSocket) -> None:
        first = connection.recv(1)
        if first:
            heard.append(first)
            conduct(connection)

    return serve


def _fuel(world: World, badge: str, fp: int) -> float:
    """One driver, from his badge to the hook. How long he waited between his choice and fuel, in seconds."""
    world.present_badge(badge)
    assert world.wait(lambda: world.asked() == "FUELLING POINT", 30_000), world.screens()[-3:]
    began = time.monotonic()
    world.choose(fp)
    world.lift(fp, 1)
    assert world.wait(lambda: world.release(fp) is not None, 45_000), world.screens()[-3:]
    waited_s = time.monotonic() - began
    world.flow(fp, VOLUME_ML)
    world.hang_up(fp)
    assert world.wait(lambda: not world.act("pumps")["pumps"][fp - 1]["delivering"], 5_000)
    return waited_s
