"""What a seed draws: the station, its cards and limits, who comes, and the seed's own mix of faults.

Every component has a random generator of its own, forked from the seed by name, so that a draw more in one place changes nothing in
another. Card numbers are canaries: long hexadecimal strings that may appear in no file, line or screen; PINs have ten digits or more.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Any

from tests.simulation.card_draws import add_regulars, draw_cards, draw_customers, draw_rules
from tests.simulation.makes import Make, draw_lines, draw_make, row_of
from tests.simulation.media import Medium

PRODUCTS = (("GAZOLE", 17290), ("SP95", 18990), ("GNR", 12450), ("ADBLUE", 8990))


def fork(seed: int, name: str) -> Random:
    """The generator of one component."""
    return Random(int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "big"))


class Manner(Enum):
    """How a driver behaves."""

    HONEST = "honest"
    IMPATIENT = "impatient"
    WRONG_PIN = "wrong PIN"
    WRONG_NOZZLE = "wrong nozzle"
    EARLY_LIFTER = "early lifter"
    NEVER_LIFTS = "never lifts"
    HANGS_UP = "hangs up"
    GREEDY = "greedy"
    PAUSES = "pauses"
    OTHER_BADGE = "other badge"
    SAME_BADGE = "same badge"
    WISHES = "wishes"


WEIGHTS = {
    Manner.HONEST: 30,
    Manner.IMPATIENT: 6,
    Manner.WRONG_PIN: 8,
    Manner.WRONG_NOZZLE: 6,
    Manner.EARLY_LIFTER: 8,
    Manner.NEVER_LIFTS: 3,
    Manner.HANGS_UP: 8,
    Manner.GREEDY: 10,
    Manner.PAUSES: 8,
    Manner.OTHER_BADGE: 4,
    Manner.SAME_BADGE: 4,
    Manner.WISHES: 6,
}
TO_DELIVERY = frozenset(WEIGHTS) - {Manner.IMPATIENT, Manner.NEVER_LIFTS, Manner.HANGS_UP}


@dataclass(frozen=True, slots=True)
class Visit:
    """One driver's plan. ``gap_ms``: after the visit before began."""

    manner: Manner
    card: int
    fp: int
    litres_ml: int
    gap_ms: int


@dataclass(frozen=True, slots=True)
class Workload:
    """A seed's station and its people."""

    scenario: dict[str, Any]
    badges: tuple[Medium, ...]
    visits: tuple[Visit, ...]
    makes: dict[int, Make]
    pulse_ml: int
    overrun_ml: int
    checkpoint_pages: int
    fuellings: int  # sales to be delivered before the day ends

    def another(self, rng: Random) -> Visit:
        """One more driver, mostly an honest one."""
        points = sorted({row["fp"] for row in self.scenario["fuelling_points"]})
        manner = Manner.HONEST if rng.randrange(2) else rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        return Visit(manner, rng.randrange(len(self.badges)), rng.choice(points), 10 * rng.randint(100, 3_000), rng.randint(500, 5_000))


def draw(seed: int, fuellings: int) -> Workload:
    """Everything that does not depend on what happens. At least ``fuellings`` drivers mean to fuel."""
    station = fork(seed, "station")
    points, products = _points(seed, station)
    people = fork(seed, "cards")
    customers = draw_customers(people)
    cards, badges = draw_cards(people, customers, products)
    scenario = {
        "terminal": "OPT1",
        "site": "S1",
        "zone": station.choice(["Europe/Paris", "Europe/Kyiv", "UTC"]),
        "currency": "EUR",
        "decimals": 2,
        # Midnight, month ends and both changes of the clock are as likely as noon.
        "local_time": station.choice(
            ["2026-03-18 12:00:00", "2026-03-31 23:50:00", "2026-03-29 01:50:00", "2026-10-25 02:50:00", "2026-12-31 23:55:00"]
        ),
        "policy": _policy(station, fork(seed, "caps")),
        "batch_sales": fork(seed, "batches").choice([1, 2, 3, 500]),
        "host_resets_emergency_stop": fork(seed, "orders").randrange(2) == 0,
        "fuelling_points": points,
        "customers": customers,
        "cards": cards,
        **_limits(fork(seed, "limits"), cards, customers, products),
        **draw_rules(fork(seed, "rules"), cards, customers),
    }
    badges = add_regulars(fork(seed, "regulars"), scenario, badges)
    visits = _visits(fork(seed, "people"), fuellings, len(badges), sorted({row["fp"] for row in points}))
    heads = fork(seed, "heads")
    return Workload(
        scenario,
        badges,
        visits,
        {row["fp"]: draw_make(fork(seed, f"make {row['fp']}"), row["protocol"]) for row in points},
        pulse_ml=10,
        overrun_ml=heads.choice([0, 0, 0, 20, 50]),
        checkpoint_pages=heads.choice([8, 8, 20, 60, 800]),
        fuellings=fuellings,
    )


def _policy(station: Random, caps: Random) -> dict[str, Any]:
    policy: dict[str, Any] = {"max_open": 2} if station.randrange(4) == 0 else {}
    for whose in ("card", "customer", "terminal"):
        if caps.randrange(6) == 0:
            what, most = caps.choice([("ml", 80_000), ("minor", 12_000), ("count", 4)])
            policy[f"exposure_{whose}_{what}"] = caps.randint(1, most)
    return policy


def _points(seed: int, rng: Random) -> tuple[list[dict[str, Any]], list[str]]:
    sold = rng.sample(PRODUCTS, rng.randint(1, 3))
    rows = []
    for fp, line in enumerate(draw_lines(fork(seed, "lines")), 1):
        most = 2 if line[0] == "dart" else 1  # an AZT address is one hose
        here = rng.sample(sold, min(len(sold), rng.randint(1, most)))
        minimum = rng.choice([0, 1000, 2000])
        rows += [row_of(fp, line, nozzle, product, price, minimum) for nozzle, (product, price) in enumerate(here, 1)]
    return rows, [product for product, _ in sold]


def _limits(rng: Random, cards: list[dict[str, Any]], customers: list[dict[str, Any]], products: list[str]) -> dict[str, Any]:
    def subject() -> dict[str, str]:
        if rng.randrange(2):
            return {"card": rng.choice(cards)["account"]}
        return {"customer": rng.choice(customers)["customer"]}

    wide = {"QUANTITY": (20_000, 250_000), "VALUE": (3_000, 40_000), "COUNT": (2, 12)}
    tight = {"QUANTITY": (4_000, 60_000), "VALUE": (700, 9_000), "COUNT": (1, 3)}
    amounts = rng.choice([wide, tight, tight])
    limits: list[dict[str, Any]] = []
    balances, shares = [], []
    for _ in range(rng.randint(0, 4)):
        period = rng.choice(["FUELLING", "DAY", "MONTH"])
        measure = rng.choice(["QUANTITY", "VALUE"] if period == "FUELLING" else ["QUANTITY", "VALUE", "COUNT"])
        group = [rng.choice(products)] if rng.randrange(4) == 0 else None
        row: dict[str, Any] = {
            "subject": subject(),
            "period": period,
            "measure": measure,
            "amount": rng.randint(*amounts[measure]),
            "products": group,
        }
        if any(all(row[name] == other[name] for name in ("subject", "period", "measure", "products")) for other in limits):
            continue
        limits.append(row)
        if period != "FUELLING" and rng.randrange(3) == 0:
            row["shared"] = True
            ours, others = rng.randint(0, row["amount"]), 0
            if rng.randrange(2):
                others = rng.randint(0, row["amount"] - ours)
            of = {name: row[name] for name in ("subject", "period", "measure", "products")}
            shares += [of | {"amount": ours}] + [of | {"amount": others, "terminal": "OPT2"}] * (others > 0)
    for _ in range(rng.randint(0, 1)):
        kind, measure = rng.choice(["prepaid", "ceiling"]), rng.choice(["QUANTITY", "VALUE"])
        row = {"subject": subject(), "kind": kind, "measure": measure, "products": None, "amount": 3 * rng.randint(*amounts[measure])}
        balances.append(row)
    return {"limits": limits, "balances": balances, "host_counts": [], "shares": shares}


def _visits(rng: Random, fuellings: int, cards: int, points: list[int]) -> tuple[Visit, ...]:
    manners, weights = list(WEIGHTS), list(WEIGHTS.values())
    visits, meant = [], 0
    crowd = rng.choice([3_000, 15_000, 60_000])
    while meant < fuellings:
        manner = rng.choices(manners, weights)[0]
        meant += manner in TO_DELIVERY
        litres = rng.choice([500, 2_000, 8_000, 15_000, 30_000, 45_000]) + 10 * rng.randrange(200)
        visits.append(Visit(manner, rng.randrange(cards), rng.choice(points), litres, rng.randint(500, crowd)))
    return tuple(visits)
