"""A whole station in one process: dispensers, line, host, terminal, one heap. Built from the same scenario as the rig's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from drivers.events import Trust
from hal_sim.dispensers.azt import AztPosition
from hal_sim.dispensers.dart import DartPosition
from hal_sim.dispensers.head import HeadOptions
from hal_sim.host.book import HostBook
from terminal.core.batch_desk import BATCH_SALES
from terminal.core.card_data import Nozzle
from terminal.core.card_desk import OfflineTrust
from terminal.core.clock import ClockState
from terminal.core.deny_book import OnDeny
from terminal.core.facts import Cap, ExposureCaps, Policy
from terminal.core.host_link import HostTimes
from terminal.core.point_config import PointConfig, PointTimes
from terminal.core.session import SessionTimes
from terminal.core.site import SiteConfig
from terminal.core.teller import SiteRules
from terminal.host.json_lane import Lane
from terminal.store.pin_keys import FILE as PIN_KEYS
from terminal.store.pin_keys import PinKeys
from terminal.store.vault import KeyVault
from tests.virtual.heap import Heap
from tests.virtual.host import VirtualHost
from tests.virtual.pumps import NotBuilt, build_pumps, price_shape
from tests.virtual.terminal import VirtualTerminal

SIDE = 1
DEFAULT_LOCAL_TIME = "2026-03-18 12:00:00"
UPLOAD_MS = 10_000
KEYS = (bytes(range(32)), bytes(range(32, 64)), bytes(range(64, 96)))


__all__ = ["Forecourt", "NotBuilt", "policy_of"]


class Forecourt:
    """Everything but the people. ``begin`` brings the terminal up with fresh lists and a trusted clock."""

    def __init__(
        self,
        scenario: Mapping[str, Any],
        folder: Path,
        *,
        head_options: HeadOptions | None = None,
        leap: bool = True,
        point_times: PointTimes | None = None,
        host_times: HostTimes | None = None,
    ) -> None:
        self.scenario = scenario
        self.folder = folder
        self.heap = Heap()
        self.zone = str(scenario["zone"])
        self._epoch_utc = _utc_ms(str(scenario.get("local_time") or DEFAULT_LOCAL_TIME), self.zone)
        self.host_clock_off_ms = 0
        self.book = HostBook(dict(scenario), self._host_clock, token_key=KEYS[0], pin_key=KEYS[1], card_key=KEYS[2])
        self.heads, self.lines = build_pumps(scenario, self.heap, head_options or HeadOptions(), leap)
        self.vault = KeyVault(*KEYS, PinKeys(folder / PIN_KEYS, KEYS[1]))
        if self.vault.pin_keys is not None and scenario.get("ranges"):
            self.vault.pin_keys.load(*self.book.pin_initial_key())
        lane = Lane(str(scenario["terminal"]), str(scenario["site"]), str(scenario["currency"]))
        times = host_times or HostTimes()
        self.host = VirtualHost(self.heap, self.book, lane, folder, times.authorize_ms, UPLOAD_MS)
        config = self._config(point_times or PointTimes(), times)
        self.terminal = VirtualTerminal(self.heap, folder, config, self.vault, lane, self.host, self.lines)
        self.heap.actors = [self.terminal, *dict.fromkeys(self.lines.values())]

    def utc_ms(self) -> int:
        """True time: the host's clock while it is right."""
        return self._epoch_utc + self.heap.now

    def _host_clock(self) -> int:
        return self.utc_ms() + self.host_clock_off_ms

    def begin(self) -> None:
        """Power on, and run until a driver can be served."""
        self.terminal.power_on()
        if not self.heap.run_until(self.heap.now + 60_000, self.ready):
            raise AssertionError("the terminal did not become ready within a minute of its time")

    def ready(self) -> bool:
        """Lists are there, the clock is trusted, every connected point has been surveyed and reconciled."""
        engine = self.terminal.engine
        if engine is None:
            return False
        site = engine.site
        clock = site.desk.clock.state(self._instant())
        points = all(point.available or point.sale for point in site.points.values() if self.position(point.number).connected)
        return clock is ClockState.TRUSTED and site.lists.version > 0 and points

    def position(self, fp: int) -> DartPosition | AztPosition:
        """The emulated position of a fuelling point."""
        return next(position for position in self.lines[fp].bus.positions.values() if position.head is self.heads[fp])

    def _instant(self) -> Any:
        return self.heap.now

    def _config(self, point_times: PointTimes, host_times: HostTimes) -> SiteConfig:
        rows = self.scenario["fuelling_points"]
        points = tuple(
            PointConfig(
                fp,
                tuple(
                    Nozzle(row["nozzle"], row["product"], row["price"])
                    for row in sorted(rows, key=lambda r: r["nozzle"])
                    if row["fp"] == fp
                ),
                max(row["minimum_ml"] for row in rows if row["fp"] == fp),
                *price_shape([row for row in rows if row["fp"] == fp]),
            )
            for fp in self.heads
        )
        rules = SiteRules(
            str(self.scenario["terminal"]),
            str(self.scenario["site"]),
            self.zone,
            str(self.scenario["currency"]),
            int(self.scenario["decimals"]),
            policy_of(self.scenario.get("policy", {}), self.book.token_of),
            OnDeny(self.scenario.get("on_deny", "stop")),
            int(self.scenario.get("batch_sales", BATCH_SALES)),
            tuple(self.scenario.get("networks", ())),
            bool(self.scenario.get("bank_cards", False)),
            host_resets_emergency_stop=bool(self.scenario.get("host_resets_emergency_stop", False)),
            trust=OfflineTrust(Trust(self.scenario.get("offline_from", "T0")), Trust(self.scenario.get("offline_without_pin_from", "T0"))),
        )
        return SiteConfig(rules, points, (SIDE,), "fr", point_times, SessionTimes(), host_times, "virtual")


def policy_of(settings: Mapping[str, Any], token_of: Any) -> Policy:
    """The policy that a scenario's settings make; emergency accounts are named by number."""
    values = dict(settings)
    if "emergency_accounts" in values:
        values["emergency_accounts"] = frozenset(token_of(number) for number in values["emergency_accounts"])
    if "restricted_products" in values:
        values["restricted_products"] = frozenset(values["restricted_products"])
    caps = {whose: {what: values.pop(f"exposure_{whose}_{what}", None) for what in ("ml", "minor", "count")} for whose in _WHOSE}
    exposure = ExposureCaps(**{whose: Cap(**cap) for whose, cap in caps.items()})
    return Policy(**values, exposure=None if exposure == ExposureCaps() else exposure)


_WHOSE = ("card", "customer", "terminal")


def _utc_ms(local: str, zone: str) -> int:
    instant = datetime.strptime(local, "%Y-%m-%d %H:%M:%S").replace(tzinfo=ZoneInfo(zone))
    return int(instant.timestamp()) * 1000
