"""Stations one after the other, each with people and canaries of its own; what was found, and the proof that it would have been."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random

from tests.canary.forced import Forcing
from tests.canary.people import People, Pocket, station_of
from tests.canary.search import Found, Outlet, Search
from tests.canary.station import Seals, Station, watching
from tests.virtual.forecourt import KEYS

SESSIONS_A_STATION = 30
FORCED_EVERY = 3
"""Of so many sessions one meets a function that fails."""


@dataclass(slots=True)
class Report:
    """Of a whole run. ``opened``: sealed numbers that the card key opened; ``seen``: those that the search
    sees when they are not sealed."""

    found: Counter[Found] = field(default_factory=Counter)
    sessions: int = 0
    canaries: int = 0
    forms: int = 0
    bytes: int = 0
    sales: int = 0
    deaths: int = 0
    opened: int = 0
    seen: int = 0
    broken: int = 0
    pin_blocks: int = 0
    forced: Counter[str] = field(default_factory=Counter)
    places: Counter[str] = field(default_factory=Counter)


def run(sessions: int, seed: int, quoting: bool = False) -> Report:
    """So many sessions. The same seed gives the same people."""
    report = Report()
    while report.sessions < sessions:
        _one(report, min(SESSIONS_A_STATION, sessions - report.sessions), Random(f"{seed}/{report.sessions}"), quoting)
    return report


def _one(report: Report, sessions: int, rng: Random, quoting: bool) -> None:
    outlet, seals, forcing = Outlet(), Seals(), Forcing(quoting)
    pocket = Pocket([])
    for key in KEYS:
        pocket.add("key", key.hex())
    setup = station_of(rng, pocket, bool(report.sessions // SESSIONS_A_STATION % 2))
    with watching(outlet, seals):
        station = Station(setup, outlet, forcing)
        pocket.add("key", station.station.book.pin_initial_key()[0].hex())
        people = People(station, setup, pocket, rng)
        for number in range(1, sessions + 1):
            people.session(number % FORCED_EVERY == 0)
        station.close()
    search = Search(pocket.canaries)
    report.found.update(outlet.search(search))
    report.sessions += sessions
    report.canaries += len(pocket.canaries)
    report.forms += search.count
    report.bytes += outlet.size()
    report.sales += station.host_sales()
    report.deaths += station.deaths
    report.broken += seals.broken
    report.pin_blocks += seals.blocks
    numbers = {canary.text for canary in pocket.canaries if canary.kind == "number"}
    report.opened += sum(number in numbers for number, _ in seals.opened)
    report.seen += sum(any(one.kind == "number" for one in search.find("request", body)) for _, body in seals.opened)
    report.forced.update(forcing.fired)
    for kept in (outlet.texts, outlet.files):
        report.places.update({place: len(many) for place, many in kept.items()})
