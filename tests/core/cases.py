"""Cases of ``explain`` for the tests: the one of the behaviour language, changes to it, and random ones."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

Row = dict[str, Any]
ACCOUNT = "7001231234567890123"


def example() -> Row:
    """The case of the behaviour language, but for its denied range, which holds this very card."""
    return {
        "now": "2026-03-29T03:30:00+02:00",
        "zone": "Europe/Paris",
        "currency": "EUR",
        "site": "S1",
        "clock": "trusted",
        "host": "unreachable",
        "lists_checked": "2026-03-29T00:30:00Z",
        "policy": {},
        "customers": [{"customer": "C1", "status": "active", "offline": "ALLOWED", "zone": None}],
        "cards": [
            {
                "number": ACCOUNT,
                "account": ACCOUNT,
                "customer": "C1",
                "status": "active",
                "valid_from": None,
                "valid_to": "2027-12-31",
                "pin_required": False,
                "products": None,
                "offline": "ALLOWED",
                "tank_ml": None,
                "sites": None,
            }
        ],
        "limits": [{"subject": f"card {ACCOUNT}", "period": "DAY", "measure": "QUANTITY", "amount": 100000, "products": None}],
        "balances": [{"subject": "customer C1", "kind": "prepaid", "measure": "VALUE", "amount": 25000, "products": None, "watermark": 41}],
        "baselines": [
            {"subject": "customer C1", "window": "2026-03", "measure": "VALUE", "products": None, "amount": 12000, "watermark": 41}
        ],
        "sales": [
            {
                "sequence": 42,
                "account": ACCOUNT,
                "customer": "C1",
                "product": "GAZOLE",
                "quantity_ml": 30000,
                "value_minor": 5187,
                "authorized_at": "2026-03-28T23:10:00Z",
                "state": "delivered",
            }
        ],
        "deny": ["card 7001999", "customer C9", "range 7002000000000000000-7002999999999999999"],
        "request": {"card": ACCOUNT, "pin": None, "nozzles": [{"nozzle": 1, "product": "GAZOLE", "price": 17290}], "wish": None},
    }


def changed(**changes: Any) -> Row:
    """The example with other values; ``card__tank_ml`` is the first card's, ``request__wish`` the request's, and so on."""
    case = copy.deepcopy(example())
    for name, value in changes.items():
        part, _, key = name.partition("__")
        if not key:
            case[part] = value
        else:
            target = {"card": case["cards"], "customer": case["customers"], "sale": case["sales"], "limit": case["limits"]}.get(part)
            (case[part] if target is None else target[0])[key] = value
    return case


def limit(
    amount: int, period: str = "DAY", measure: str = "QUANTITY", subject: str = f"card {ACCOUNT}", products: list[str] | None = None
) -> Row:
    return {"subject": subject, "period": period, "measure": measure, "amount": amount, "products": products}


PRODUCTS = ["GAZOLE", "SP95", "FIOUL"]
NUMBERS = [ACCOUNT, "7001231234567890124", "4444"]
ZONES = ["Europe/Paris", "Atlantic/Azores", "America/Havana", "Africa/Cairo", "Pacific/Auckland"]
CHANGES = ["2025-03-30T00:30:00", "2025-10-26T00:00:00", "2024-04-25T22:00:00", "2024-11-03T04:00:00", "2026-02-01T00:00:00"]


def written(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


class Dice:
    """One random case, the same for the same seed. Every field is written."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = datetime.fromisoformat(self.one(*CHANGES)).replace(tzinfo=UTC) + timedelta(minutes=self.between(-3000, 3000))
        hours = self.often(self.between(-1, 12), 12, self.between(12, 24), 24, self.between(25, 72), 72, self.between(73, 90))
        self.checked = self.now - timedelta(hours=hours, seconds=self.one(0, 0, 1, 1800))

    def one(self, *values: Any) -> Any:
        return self.random.choice(values)

    def between(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def often(self, value: Any, *others: Any) -> Any:
        return value if self.random.random() < 0.7 else self.one(*others)

    def some(self, *values: Any) -> list[Any]:
        return self.random.sample(values, self.between(1, len(values)))

    def amount(self) -> int:
        return int(self.often(self.between(3000, 200_000), self.between(0, 3000), 0, 1, 2, 2000))

    def many(self, count: int, make: Callable[[], Row]) -> list[Row]:
        return [make() for _ in range(self.between(0, count))]

    def products(self) -> list[str] | None:
        found: list[str] | None = self.often(None, self.some(*PRODUCTS), self.some(*PRODUCTS), [])
        return found

    def subject(self) -> str:
        return str(self.one(f"card {ACCOUNT}", f"card {NUMBERS[1]}", "customer C1", "customer C1", "customer C2"))

    def day(self) -> str:
        return (self.now.date() + timedelta(days=self.between(-1, 1))).isoformat()

    def sale(self) -> Row:
        near = self.now + timedelta(minutes=self.between(-3000, 60))
        return {
            "sequence": self.between(1, 12),
            "account": self.one(*NUMBERS),
            "customer": self.one("C1", "C1", "C2", None),
            "product": self.one(*PRODUCTS),
            "quantity_ml": self.often(self.between(0, 20_000), 0, 1),
            "value_minor": self.between(0, 4000),
            "authorized_at": written(self.one(near, near, self.now, self.checked, self.checked + timedelta(seconds=1))),
            "state": self.often("delivered", "in_doubt", "in_doubt", "held"),
        }

    def card(self, number: str) -> Row:
        return {
            "number": number,
            "account": self.one(ACCOUNT, ACCOUNT, NUMBERS[1]),
            "customer": self.often("C1", "C2", None, "C7"),
            "status": self.one(*["active"] * 20, "blocked"),
            "valid_from": self.often(None, self.day()),
            "valid_to": self.often(None, self.day()),
            "pin_required": self.one(True, False, False),
            "products": self.products(),
            "offline": self.one("ALLOWED", "ALLOWED", "ALWAYS", "ALLOWED_OFFLINE", "ALLOWED_OFFLINE", "NEVER"),
            "tank_ml": self.often(None, self.amount()),
            "sites": self.often(None, ["S1"], ["S1", "S2"], ["S2"], []),
        }

    def limit(self) -> Row:
        period, measure = self.one("FUELLING", "DAY", "MONTH"), self.one("QUANTITY", "VALUE", "COUNT")
        if measure == "COUNT":
            period = self.one("DAY", "MONTH")
        amount = self.between(0, 9) if measure == "COUNT" else self.amount()
        return {"subject": self.subject(), "period": period, "measure": measure, "amount": amount, "products": self.products()}

    def balance(self) -> Row:
        row = {"subject": self.subject(), "kind": self.one("prepaid", "ceiling"), "measure": self.one("QUANTITY", "VALUE")}
        return row | {"amount": self.amount(), "products": self.products(), "watermark": self.often(self.between(0, 12), None)}

    def baselines(self, limits: list[Row]) -> list[Row]:
        """Known use of some of the limits, of this window, of a neighbour, or of an old one."""
        found: dict[str, Row] = {}
        for limit_ in limits:
            key = self.day() if limit_["period"] == "DAY" else self.one(self.day()[:7], self.day()[:7], "2024-01")
            row = {
                "subject": limit_["subject"],
                "window": key,
                "measure": limit_["measure"],
                "products": self.often(limit_["products"], None),
            }
            row |= {"amount": self.between(0, 1 + limit_["amount"]), "watermark": self.often(self.between(0, 12), None)}
            found[str((row["subject"], key, row["measure"], row["products"] and sorted(row["products"])))] = row
        return [row for row in found.values() if self.random.random() < 0.7]

    def policy(self) -> Row:
        every = {
            "min_dispense_ml": self.one(0, 1, 1, 5000),
            "terminal_cap_ml": self.amount(),
            "terminal_cap_minor": self.often(None, self.amount()),
            "only_terminal": self.one(True, False),
            "emergency_accounts": [ACCOUNT],
            "restricted_products": ["FIOUL"],
            "max_open": self.one(0, 2, 3, 9),
        }
        return {name: value for name, value in every.items() if self.random.random() < 0.25}

    def host(self) -> Any:
        decision = self.often("approved", "partial", "declined", "declined")
        bounds = {"quantity_ml": self.one(None, self.amount()), "value_minor": self.one(None, self.amount())}
        return self.often("unreachable", {"decision": decision, **bounds, "reason": self.one(None, "PIN_WRONG", "CREDIT_CEILING")})

    def request(self) -> Row:
        wish = self.one(None, {"quantity_ml": self.amount()}, {"value_minor": self.amount()})
        prices = (0, 1, 17290, 17290, 17290, 99999)
        nozzles = [{"nozzle": n, "product": name, "price": self.one(*prices)} for n, name in enumerate(self.some(*PRODUCTS), 1)]
        card = self.often(ACCOUNT, NUMBERS[1], *NUMBERS)
        return {
            "card": card,
            "pin": self.often("right", "wrong", "locked", None),
            "nozzles": self.often(nozzles, nozzles, []),
            "wish": wish,
        }

    def extended(self) -> Row:
        """A random case with the optional fields too: exposure, shares, networks, hours, ranges that are online only."""
        case = self.case()
        for row in case["limits"]:
            row["shared"] = self.one(True, False)
        case["shares"] = [self.share(row) for row in self.first_of_each(case["limits"]) if self.random.random() < 0.8]
        for row in case["sales"]:
            row["unsent"] = self.one(True, False)
        for row in case["cards"]:
            row["hours"] = self.often(None, self.hours(), self.hours(), "")
        case["networks"] = self.often([], ["S2"], ["N1", "S2"])
        case["online_only"] = self.often([], [f"range {ACCOUNT}-{NUMBERS[1]}"], ["range 4000-4999", "range 44440-44449"])
        for whose in ("card", "customer", "terminal"):
            for what in ("ml", "minor", "count"):
                if self.random.random() < 0.15:
                    case["policy"][f"exposure_{whose}_{what}"] = self.between(0, 5) if what == "count" else self.amount()
        return case

    def first_of_each(self, limits: list[Row]) -> list[Row]:
        """Windows of the day or month, one limit a key: there is one share for each."""
        found: dict[str, Row] = {}
        for row in limits:
            if row["period"] != "FUELLING":
                found.setdefault(str((row["subject"], row["period"], row["measure"], row["products"] and sorted(row["products"]))), row)
        return list(found.values())

    def share(self, limit_: Row) -> Row:
        key = self.now.date().isoformat()
        row = {name: limit_[name] for name in ("subject", "period", "measure", "products")}
        row |= {"window": key if limit_["period"] == "DAY" else key[:7], "grant": "G1"}
        amount = self.between(0, 5) if limit_["measure"] == "COUNT" else self.amount()
        return row | {"amount": amount, "watermark": self.often(self.between(0, 12), None)}

    def hours(self) -> str:
        days = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
        windows = []
        for _ in range(self.between(1, 3)):
            first, last = self.random.sample(range(0, 24 * 60, 15), 2)
            spans = self.one(self.one(*days), f"{self.one(*days)}-{self.one(*days)}", f"{self.one(*days)},{self.one(*days)}")
            end = self.often(f"{last // 60:02d}:{last % 60:02d}", "24:00")
            windows.append(f"{spans} {first // 60:02d}:{first % 60:02d}-{end}")
        return "; ".join(windows)

    def case(self) -> Row:
        limits = self.many(6, self.limit)
        status = {"status": self.one(*["active"] * 12, "blocked"), "offline": self.one(*["ALLOWED"] * 12, "NEVER")}
        denied = [
            ["card 4444"],
            ["customer C2"],
            ["range 4000-4999", "range 44440-44449"],
            [f"range {NUMBERS[1]}-{NUMBERS[1]}"],
            [f"card {ACCOUNT}"],
        ]
        return {
            "now": written(self.now),
            "zone": self.one(*ZONES),
            "currency": self.one("EUR", "JPY", "KWD"),
            "site": "S1",
            "clock": self.one(*["trusted"] * 6, "holdover", "untrusted"),
            "host": self.host(),
            "lists_checked": written(self.checked),
            "policy": self.policy(),
            "customers": [{"customer": name, **status, "zone": self.often(None, *ZONES)} for name in ("C1", "C2")],
            "cards": [self.card(number) for number in NUMBERS[: self.often(2, 2, 2, 0)]],
            "limits": limits,
            "balances": self.many(3, self.balance),
            "baselines": self.baselines(limits),
            "sales": self.many(8, self.sale),
            "deny": self.often([], *denied),
            "request": self.request(),
        }
