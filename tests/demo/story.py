"""Three drivers come to a forecourt with two pumps: one is served online, one while the host is away, one is refused.

The figures that are printed are looked at while they happen: the display's at the display, the pump's at the pump, the host's at the host.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.demo.show import Show, litres, money
from tests.demo.station import Station, StationError

PRICE = 17_290
ML_PER_MIN = 90_000
LOOK_S = 0.1
SETTLED_LOOKS = 2
FLOW_LIMIT_MS = 60_000
HOST_LIMIT_MS = 20_000


@dataclass(frozen=True, slots=True)
class Driver:
    """Somebody with a badge. ``takes_ml``: what the tank can take."""

    name: str
    badge: str
    pin: str
    customer: str
    takes_ml: int = 0
    status: str = "active"


ANNA = Driver("Anna", "04A1B2C3D4E5F6", "1234", "HAULIER", 18_240)
BORIS = Driver("Boris", "04B1C2D3E4F5A6", "4711", "BAKERY", 14_350)
CARLA = Driver("Carla", "04C1D2E3F4A5B6", "2580", "HAULIER", status="blocked")
DRIVERS = (ANNA, BORIS, CARLA)

SCENARIO: dict[str, Any] = {
    "terminal": "OPT1",
    "site": "S1",
    "zone": "Europe/Paris",
    "currency": "EUR",
    "decimals": 2,
    "ml_per_min": ML_PER_MIN,
    "fuelling_points": [
        {"fp": 1, "nozzle": 1, "product": "DIESEL", "price": PRICE, "total_ml": 482_113_960},
        {"fp": 2, "nozzle": 1, "product": "DIESEL", "price": PRICE, "total_ml": 517_608_420},
    ],
    "customers": [{"customer": name, "status": "active", "offline": "ALLOWED", "zone": None} for name in ("HAULIER", "BAKERY")],
    "cards": [
        {
            "number": driver.badge,
            "medium": "badge",
            "customer": driver.customer,
            "status": driver.status,
            "pin": driver.pin,
            "offline": "ALLOWED",
        }
        for driver in DRIVERS
    ],
    "limits": [
        {"subject": {"card": ANNA.badge}, "period": "DAY", "measure": "QUANTITY", "amount": 120_000, "products": None},
        {"subject": {"customer": BORIS.customer}, "period": "MONTH", "measure": "VALUE", "amount": 15_000, "products": None},
    ],
}
HOST_EXTRA = "probe_ms = 1000\n"
"""The host is looked for once a second while it is away (5 s in the field), so that nobody waits in a demonstration."""


class Story:
    """Plays it. ``pause_s`` is how long people think."""

    def __init__(self, station: Station, show: Show, pause_s: float) -> None:
        self.station = station
        self.show = show
        self._pause_s = pause_s

    def play(self) -> None:
        """All three. Raises ``StationError`` when something does not happen."""
        self.show.title("Anna: the host answers")
        self._identify(ANNA)
        self._choose(ANNA, 1)
        self._fuel(ANNA, 1)
        self._wait_for_host(ANNA, 1)
        self.show.title("Boris: the line to the host is cut")
        self.station.do("host", reachable=False)
        self.show.say("The fleet-card host cannot be reached any more")
        self._identify(BORIS)
        self._choose(BORIS, 2)
        self._fuel(BORIS, 2, meanwhile=self._carla)
        if self._arrived(2):
            raise StationError("the host has heard of a sale while its line was cut")
        self.show.note("The sale is safe in the terminal's ledger and waits; the host has not heard of it.")
        self.station.do("host", restore=True)
        self.show.say("The line to the host is back")
        self._wait_for_host(BORIS, 2)

    def _carla(self) -> None:
        """Somebody else comes while Boris fuels: the terminal is free again."""
        self.show.title("Carla: comes while Boris fuels, with a badge that is blocked")
        self._present(CARLA)
        self._show_screen("Refused")
        self.show.note("Refused by the list in the terminal: no host is needed for it.")
        self.show.title("Boris fuels on")

    # --- a driver ------------------------------------------------------------------------------------------------------------

    def _present(self, driver: Driver) -> None:
        self.station.wait_screen("Welcome")
        self._think()
        self.station.do("present", number=driver.badge, medium="badge")
        self.show.say(f"{driver.name} holds the badge against the terminal")

    def _identify(self, driver: Driver) -> None:
        self._present(driver)
        self._show_screen("PIN")
        self._think()
        self._type(driver.pin)
        self.show.say(f"{driver.name} types the PIN")

    def _choose(self, driver: Driver, fp: int) -> None:
        self._show_screen("Pump no.")
        self._think()
        self._type(str(fp))
        self.show.say(f"{driver.name} chooses pump {fp}")
        self._show_screen(f"Go to pump {fp}")
        self.show.note(
            "The host was asked and has agreed."
            if self._decided_by() == "host"
            else "Decided here, from the list that the host sent earlier, within what is left of the limits."
        )

    def _decided_by(self) -> str:
        lines = [line for line in self.station.log.read_text(encoding="utf-8").splitlines() if "event=SaleAuthorized" in line]
        return lines[-1].split("decided_by=")[1].split()[0] if lines else ""

    def _fuel(self, driver: Driver, fp: int, meanwhile: Callable[[], None] | None = None) -> None:
        station, whole = self.station, driver.takes_ml
        self._think()
        station.do("lift", fp=fp, nozzle=1)
        self.show.say(f"{driver.name} takes the nozzle of pump {fp}")
        station.do("squeeze", fp=fp, volume_ml=whole)
        station.wait(lambda: station.pump(fp)["valve"] == "open", FLOW_LIMIT_MS, f"pump {fp} was not released")
        self.show.say(f"Pump {fp} is released, fuel flows")
        interrupted = meanwhile is None
        until = time.monotonic() + FLOW_LIMIT_MS / 1000
        while (pump := station.pump(fp))["fill_ml"] < whole:
            if time.monotonic() > until:
                raise StationError(f"pump {fp} gave only {litres(pump['fill_ml'])} of {litres(whole)}")
            self.show.flow(fp, pump["fill_ml"], pump["fill_minor"], whole)
            if not interrupted and meanwhile is not None and pump["fill_ml"] > whole // 4:
                interrupted = True
                meanwhile()
            time.sleep(LOOK_S)
        self.show.flow(fp, pump["fill_ml"], pump["fill_minor"], whole)
        self._think()
        station.do("hang_up", fp=fp)
        self.show.say(f"{driver.name} hangs up: {litres(pump['fill_ml'])}, {money(pump['fill_minor'])} on the pump")
        station.wait(lambda: self._free(fp), 10_000, f"the sale of pump {fp} was not closed")

    def _free(self, fp: int) -> bool:
        return any(point["fp"] == fp and point["available"] for point in self.station.status()["fuelling_points"])

    def _wait_for_host(self, driver: Driver, fp: int) -> None:
        self.station.wait(lambda: bool(self._arrived(fp)), HOST_LIMIT_MS, f"{driver.name}'s sale did not reach the host")
        sale = self._arrived(fp)[-1]
        self.show.say(
            f"The host has {driver.name}'s sale: {litres(sale['quantity_ml'])}, {money(sale['value_minor'])}, number {sale['sale']}"
        )

    def _arrived(self, fp: int) -> list[dict[str, Any]]:
        return [sale for sale in self.station.do("host")["sales"] if sale["fuelling_point"] == fp]

    # --- hands and eyes ---------------------------------------------------------------------------------------------------------

    def _think(self) -> None:
        time.sleep(self._pause_s)

    def _type(self, digits: str) -> None:
        for key in (*digits, "enter"):
            self.station.do("keys", keys=[key])
            time.sleep(self._pause_s / 4)

    def _show_screen(self, text: str) -> None:
        """Print the display once it says ``text`` and has stopped changing: characters arrive one by one."""
        self.station.wait_screen(text)
        last: Sequence[str] = ()
        same = 0
        while same < SETTLED_LOOKS:
            time.sleep(LOOK_S / 2)
            now = self.station.screen()
            same, last = (same + 1, last) if now == last else (0, now)
        self.show.display(last)
