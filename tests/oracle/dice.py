"""Random cases of ``explain`` that go everywhere: most steps pass, amounts meet each other to the millilitre, edges are hit exactly.

The amounts of limits and balances are chosen last, from the use that the naive rules see, so that several bounds are equally tight or
one apart. The same seed gives the same case.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from fractions import Fraction
from math import ceil
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from tests.core.naive import ORDER, WEEK, Naive, Row, window
from tests.oracle.moments import ZONES, moment, written

PRODUCTS = ("GAZOLE", "SP95", "FIOUL", "GNR")
CURRENCIES = ("EUR", "EUR", "EUR", "JPY", "KWD", "USD", "TND", "XOF")
NUMBERS = ("7001231234567890123", "7001231234567890124", "04A1B2C3D4E5F6", "4444")
ACCOUNTS = ("7001231234567890123", "A-17", "4444")
CUSTOMERS = ("C1", "C2")
HUGE = 10**15
REASONS = (*ORDER, "PIN_WRONG", "CARD_BLOCKED", "HOST_DECLINED", "CARD_EXPIRED", "TIMED_OUT")
PRICES = (17290, 17290, 17290, 18495, 18495, 9999, 1, 7, 10_000_000, 0, 0)


class Dice:
    """One case."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.zone = self.one(*ZONES)
        self.now = moment(self.random, self.zone)
        hours = self.mostly(
            self.between(0, 11), 12, 12, 24, 24, 72, 72, self.between(13, 23), self.between(25, 71), self.between(73, 9000), -1
        )
        self.checked = self.now - timedelta(hours=hours, milliseconds=self.one(0, 0, 0, 1, -1, 1000, -1000, 1_800_000))
        self.levels = [self.one(self.between(2000, 90_000), self.between(0, 2500), self.between(0, 200_000)) for _ in range(2)]
        self.prices = [self.one(*PRICES) for _ in range(2)]
        self.currency = self.one(*CURRENCIES)

    # --- draws --------------------------------------------------------------------------------------------------------

    def one(self, *values: Any) -> Any:
        return self.random.choice(values)

    def between(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def mostly(self, value: Any, *others: Any, share: float = 0.75) -> Any:
        return value if self.random.random() < share else self.one(*others)

    def some(self, values: tuple[str, ...]) -> list[str]:
        return self.random.sample(values, self.between(1, len(values)))

    def many(self, most: int, make: Callable[[], Row]) -> list[Row]:
        return [make() for _ in range(self.between(0, most))]

    def products(self) -> list[str] | None:
        found: list[str] | None = self.mostly(None, self.some(PRODUCTS), self.some(PRODUCTS), ["GAZOLE"], ["GAZOLE", "SP95"], [], share=0.7)
        return found

    def subject(self) -> str:
        return str(self.one(*[f"card {ACCOUNTS[0]}"] * 3, f"card {ACCOUNTS[1]}", *["customer C1"] * 3, "customer C2"))

    def level(self) -> int:
        """An amount in millilitres that others have too, one beside it, or something extreme."""
        return int(
            max(0, self.mostly(self.one(*self.levels) + self.one(0, 0, 0, 1, -1), 0, 1, 2, 1999, 2000, HUGE, self.between(0, 10**6)))
        )

    def money(self) -> int:
        """What about a level costs, to the minor unit, or something extreme."""
        decimals = {"JPY": 0, "XOF": 0, "KWD": 3, "TND": 3}.get(self.currency, 2)
        cost = Fraction(self.one(*self.levels) * self.one(*self.prices), 10 ** (7 - decimals))
        return int(max(0, self.mostly(ceil(cost) + self.one(0, 0, 1, -1), 0, 1, 2, HUGE, self.between(0, 10**5))))

    def time_near(self) -> datetime:
        """On an edge of a window, at the list check, now, or somewhere about."""
        edges = [self.now, self.checked]
        for period in ("DAY", "MONTH"):
            edges += window(period, self.now, self.zone)[1:]
        at: datetime = self.one(self.now - timedelta(seconds=self.between(0, 90_000)), self.one(*edges), self.one(*edges))
        return at + timedelta(milliseconds=self.one(0, 0, 0, -1, 1, 1000, -60_000, 3_600_000))

    # --- rows ---------------------------------------------------------------------------------------------------------

    def sale(self) -> Row:
        return {
            "sequence": self.between(1, 12),
            "account": self.one(*ACCOUNTS[:2], ACCOUNTS[0], ACCOUNTS[2]),
            "customer": self.one("C1", "C1", "C2", None),
            "product": self.one(*PRODUCTS),
            "quantity_ml": self.mostly(self.between(1, 30_000), 0, 0, 1, HUGE, share=0.85),
            "value_minor": self.mostly(self.between(0, 6000), 0, 1, HUGE, share=0.9),
            "authorized_at": written(self.random, self.time_near()),
            "state": self.mostly("delivered", "in_doubt", "in_doubt", "in_doubt", "held"),
        }

    def card(self, number: str) -> Row:
        today = self.now.date()
        return {
            "number": number,
            "account": self.one(ACCOUNTS[0], ACCOUNTS[0], ACCOUNTS[1]),
            "customer": self.mostly("C1", "C2", "C2", "C2", None, None, None, "C7", share=0.8),
            "status": self.mostly("active", "blocked", share=0.98),
            "valid_from": self.mostly(None, *((today + timedelta(days=n)).isoformat() for n in (-400, -1, -1, 0, 0, 0, 1)), share=0.8),
            "valid_to": self.mostly(None, *((today + timedelta(days=n)).isoformat() for n in (-1, 0, 0, 0, 1, 1, 400)), share=0.8),
            "pin_required": self.mostly(False, True, share=0.8),
            "products": self.products(),
            "offline": self.one(*("ALLOWED", "ALWAYS", "ALLOWED_OFFLINE") * 12, "NEVER"),
            "tank_ml": self.mostly(None, self.level()),
            "sites": self.mostly(None, ["S1"], ["S2", "S1"], ["S1", "S3"], ["S1", "S1"], ["N1"], ["S2"], [], share=0.9),
        }

    def customer(self, name: str) -> Row:
        return {
            "customer": name,
            "status": self.mostly("active", "blocked", share=0.97),
            "offline": self.one(*("ALLOWED", "ALWAYS", "ALLOWED_OFFLINE") * 9, "NEVER"),
            "zone": self.mostly(None, *ZONES, share=0.7),
        }

    def limit(self) -> Row:
        measure = self.one("QUANTITY", "QUANTITY", "VALUE", "VALUE", "COUNT")
        period = self.one("DAY", "MONTH") if measure == "COUNT" else self.one("FUELLING", "DAY", "DAY", "MONTH", "MONTH")
        return {"subject": self.subject(), "period": period, "measure": measure, "amount": 0, "products": self.products()}

    def balance(self) -> Row:
        row = {"subject": self.subject(), "kind": self.one("prepaid", "ceiling"), "measure": self.one("QUANTITY", "VALUE"), "amount": 0}
        return row | {"products": self.products(), "watermark": self.mostly(self.between(0, 12), None)}

    def baselines(self, limits: list[Row]) -> list[Row]:
        """Known use: of this window, of the one before or after, in another measure, of other products, of nobody."""
        found: dict[str, Row] = {}
        for row in [*limits, *self.many(1, self.limit)]:
            span = "DAY" if row["period"] == "DAY" else "MONTH"
            shift = timedelta(days=self.mostly(0, -1, 1, -31, 31, 365, share=0.8))
            key = window(self.mostly(span, "DAY", "MONTH", share=0.9), self.now + shift, self.mostly(self.zone, *ZONES, share=0.9))[0]
            products = row["products"]
            if products and self.random.random() < 0.5:
                products = self.random.sample(products, len(products))
            measure = self.mostly(row["measure"], "QUANTITY", "VALUE", "COUNT", share=0.9)
            amount = self.between(0, 3) if measure == "COUNT" else self.mostly(self.between(0, 20_000), 0, self.level())
            baseline = {"subject": row["subject"], "window": key, "measure": measure, "products": self.mostly(products, None, share=0.9)}
            baseline |= {"amount": amount, "watermark": self.mostly(self.between(0, 12), None)}
            named = baseline["products"]
            found[str((row["subject"], key, measure, None if named is None else sorted(set(named))))] = baseline
        return [row for row in found.values() if self.random.random() < 0.6]

    def policy(self) -> Row:
        every = {
            "min_dispense_ml": self.one(0, 1, 2001, self.level()),
            "terminal_cap_ml": self.one(self.level(), self.level(), 0),
            "terminal_cap_minor": self.one(None, self.money(), self.money()),
            "only_terminal": self.one(True, False),
            "emergency_accounts": self.one([], [ACCOUNTS[0]], [ACCOUNTS[0]], list(ACCOUNTS)),
            "restricted_products": self.one([], ["FIOUL"], ["FIOUL", "GNR"], ["GAZOLE"]),
            "max_open": self.one(0, 2, 2, 3, 3, 3, 9, 9),
        }
        return {name: value for name, value in every.items() if self.random.random() < 0.2}

    def host(self) -> Any:
        bounds = {"quantity_ml": self.one(None, self.level()), "value_minor": self.one(None, self.money())}
        decision = self.one("approved", "approved", "partial", "partial", "declined")
        return self.mostly("unreachable", {"decision": decision, **bounds, "reason": self.one(None, self.one(*REASONS))}, share=0.7)

    def denied(self) -> list[str]:
        number = int(NUMBERS[0])
        ranges = (
            f"range {number}-{number}",
            f"range {number + 1}-{number + 9}",
            f"range {number - 5}-{number - 1}",
            f"range {number - 1}-{number + 1}",
            "range 4440-4449",
            "range 04440-04449",
            "range 0000-9999",
        )
        words = (f"card {NUMBERS[0]}", "card 4444", "card A-17", f"card {NUMBERS[2]}", "customer C1", "customer C2", "customer C9")
        return self.mostly([], self.some((*words, *ranges))[:3], [self.one(*ranges)], [self.one(*words)], share=0.9)  # type: ignore[no-any-return]

    def request(self) -> Row:
        names = self.some(PRODUCTS)
        if self.random.random() < 0.2:
            names.append(self.one(*names))
        nozzles = [{"nozzle": n, "product": name, "price": self.one(*self.prices)} for n, name in enumerate(names, 1)]
        if self.random.random() < 0.02:
            nozzles = self.one([], [{"nozzle": 1, "product": "GAZOLE", "price": HUGE}])
        wish = self.mostly(None, {"quantity_ml": self.level()}, {"value_minor": self.money()}, share=0.4)
        card = self.mostly(NUMBERS[0], NUMBERS[0], NUMBERS[1], NUMBERS[2], NUMBERS[2], NUMBERS[3], share=0.8)
        return {"card": card, "pin": self.mostly("right", "wrong", "locked", None, share=0.75), "nozzles": nozzles, "wish": wish}

    # --- the whole ----------------------------------------------------------------------------------------------------

    def case(self) -> Row:
        """Every field written."""
        limits = self.many(6, self.limit)
        case = {
            "now": written(self.random, self.now),
            "zone": self.zone,
            "currency": self.currency,
            "site": "S1",
            "clock": self.one(*["trusted"] * 20, *["holdover"] * 9, "untrusted"),
            "host": self.host(),
            "lists_checked": written(self.random, self.checked),
            "policy": self.policy(),
            "customers": [self.customer(name) for name in CUSTOMERS[: self.mostly(2, 1, share=0.9)]],
            "cards": [self.card(number) for number in NUMBERS[: self.mostly(3, 4, 4, 1, 0, share=0.93)]],
            "limits": limits,
            "balances": self.many(3, self.balance),
            "baselines": self.baselines(limits),
            "sales": self.many(8, self.sale),
            "deny": self.denied(),
            "request": self.request(),
        }
        if self.random.random() < 0.6:
            self._extend(case)
        self._aim(case)
        return case

    def _extend(self, case: Row) -> None:
        """The optional fields: hours, networks, ranges that are online only, sales without an answer, exposure caps, shared limits."""
        for row in case["cards"]:
            row["hours"] = self.mostly(None, self.hours(), self.hours(), "", share=0.7)
        case["networks"] = self.mostly([], ["N1"], ["S2", "N1"])
        case["online_only"] = self.mostly([], [f"range {NUMBERS[0]}-{NUMBERS[1]}"], ["range 4440-4449", "range 0-9"], share=0.9)
        for row in case["sales"]:
            row["unsent"] = self.one(True, False)
        for row in case["limits"]:
            row["shared"] = self.mostly(False, True)
        found: dict[str, Row] = {}
        for row in case["limits"]:
            if row["period"] != "FUELLING" and self.random.random() < 0.9:
                share = {name: row[name] for name in ("subject", "period", "measure", "products")}
                shift = timedelta(days=self.mostly(0, -1, 1, -31, 31, share=0.85))
                share |= {"window": window(row["period"], self.now + shift, self.zone)[0], "grant": "G1", "amount": 0}
                share["watermark"] = self.mostly(self.between(0, 12), None)
                products = None if row["products"] is None else sorted(set(row["products"]))
                found[str((row["subject"], share["window"], row["measure"], products))] = share
        case["shares"] = list(found.values())
        for whose in ("card", "customer", "terminal"):
            for what in ("ml", "minor", "count"):
                if self.random.random() < 0.1:
                    case["policy"][f"exposure_{whose}_{what}"] = 0

    def hours(self) -> str:
        """Windows with an edge near now."""
        local = self.now.astimezone(ZoneInfo(self.zone))
        windows = []
        for _ in range(self.between(1, 3)):
            first = (local.hour * 60 + local.minute + self.one(0, 1, 0, -1, -60, 1, self.between(-600, 600))) % 1440
            last = (first + self.one(1, 60, 480, 1439, self.between(1, 1439))) % 1440
            if self.random.random() < 0.5:
                first, last = last, first
            days = [WEEK[(local.weekday() + shift) % 7] for shift in self.random.sample((0, 0, 0, -1, 1, 2, 3), 2)]
            spans = self.one(days[0], f"{days[0]}-{days[1]}", f"{days[1]},{days[0]}", "Mo-Su")
            end = "24:00" if last == 0 else f"{last // 60:02d}:{last % 60:02d}"
            windows.append(f"{spans} {first // 60:02d}:{first % 60:02d}-{end}")
        return "; ".join(windows)

    def _aim(self, case: Row) -> None:
        """Choose the amounts such that what is left meets the levels."""
        seen = Naive(case)
        factor = (seen.factor() if seen.card else None) or Fraction(1)
        for row in case["limits"]:
            before, since, held = seen.use(row)
            if row["measure"] == "COUNT":
                row["amount"] = max(0, before + since + held + self.one(0, 1, 1, 2, 3))
                continue
            left = self.money() if row["measure"] == "VALUE" else self.level()
            row["amount"] = left if row["period"] == "FUELLING" else min(HUGE, before + ceil((left + since + held) / factor))
        for row in case.get("shares", ()):
            left = self.between(0, 2) if row["measure"] == "COUNT" else self.money() if row["measure"] == "VALUE" else self.level()
            row["amount"] = min(HUGE, left + self.one(0, 1, 1) * seen.use(row)[2])
        whole = Fraction(1) if self.random.random() < 0.3 else factor
        for name in case["policy"]:
            if name.startswith("exposure_"):
                out = [sale for sale in case["sales"] if sale["state"] != "delivered" or sale.get("unsent")]
                column = "quantity_ml" if name.endswith("_ml") else "value_minor"
                left = self.money() if name.endswith("_minor") else self.level()
                aimed = (
                    len(out) + self.one(-1, 0, 1) if name.endswith("_count") else ceil((left + sum(sale[column] for sale in out)) / whole)
                )
                case["policy"][name] = min(HUGE, max(0, aimed))
        for row in case["balances"]:
            left = self.money() if row["measure"] == "VALUE" else self.level()
            row["amount"] = min(HUGE, ceil((left + self._gone(seen, row)) / factor))

    @staticmethod
    def _gone(seen: Naive, row: Row) -> int:
        column = "quantity_ml" if row["measure"] == "QUANTITY" else "value_minor"
        return int(sum(sale[column] for sale in seen.sales(row["subject"], row["products"])))
