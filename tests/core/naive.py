"""The rules of ``explain`` once more, written apart from the terminal: dictionaries, fractions and linear searches, slow and plain.

It shares no code with ``terminal``; the tests hold the two against each other.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import cache
from math import floor
from typing import Any
from zoneinfo import ZoneInfo

Row = dict[str, Any]
PERIODS, MEASURES = ("FUELLING", "DAY", "MONTH"), ("QUANTITY", "VALUE", "COUNT")
ORDER = [
    *[f"LIMIT_{p}_{m}" for p in PERIODS for m in MEASURES],
    *[f"CUSTOMER_LIMIT_{p}_{m}" for p in PERIODS for m in MEASURES],
    *"BALANCE_EMPTY CREDIT_CEILING EXPOSURE_REACHED HOST TANK_CAPACITY TERMINAL_CAP WISH".split(),
]
DECIMALS = {"EUR": 2, "USD": 2, "JPY": 0, "XOF": 0, "KWD": 3, "TND": 3}
POLICY: Row = {
    "min_dispense_ml": 2000,
    "terminal_cap_ml": 990000,
    "terminal_cap_minor": None,
    "only_terminal": False,
    "emergency_accounts": [],
    "restricted_products": [],
    "max_open": 1,
} | {f"exposure_{whose}_{what}": None for whose in ("card", "customer", "terminal") for what in ("ml", "minor", "count")}
WEEK = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"]


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


@cache
def start_of(day: date, zone: str) -> datetime:
    at = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=27)
    while at.astimezone(ZoneInfo(zone)).date() < day:
        at += timedelta(minutes=15)
    return at


def window(period: str, now: datetime, zone: str) -> tuple[str, datetime, datetime]:
    day = now.astimezone(ZoneInfo(zone)).date()
    if period == "DAY":
        return day.isoformat(), start_of(day, zone), start_of(day + timedelta(days=1), zone)
    first = day.replace(day=1)
    return first.isoformat()[:7], start_of(first, zone), start_of((first + timedelta(days=31)).replace(day=1), zone)


def written(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def same(left: list[str] | None, right: list[str] | None) -> bool:
    return left == right if left is None or right is None else set(left) == set(right)


def open_at(hours: str, wall: datetime) -> bool:
    """Is a card with these hours open at this wall time? Goes through every minute of every window, one by one."""
    if not hours.strip():
        return True
    for part in hours.split(";"):
        days, times = part.strip().split(" ")
        first, last = times.split("-")
        for span in days.split(","):
            day = WEEK.index(span.split("-")[0])
            while True:
                monday = datetime(2024, 1, 1, tzinfo=UTC)
                at = monday + timedelta(days=day, hours=int(first[:2]), minutes=int(first[3:]))
                for _ in range(24 * 60):
                    if (at.weekday(), at.hour, at.minute) == (wall.weekday(), wall.hour, wall.minute):
                        return True
                    at += timedelta(minutes=1)
                    if f"{at:%H:%M}" == last or (last == "24:00" and f"{at:%H:%M}" == "00:00"):
                        break
                if WEEK[day] == span.split("-")[-1]:
                    break
                day = (day + 1) % 7
    return False


class Naive:
    def __init__(self, case: Row) -> None:
        self.case, self.request = case, case["request"]
        self.policy = POLICY | case["policy"]
        self.now, self.checked = instant(case["now"]), instant(case["lists_checked"])
        self.card = next((c for c in case["cards"] if c["number"] == self.request["card"]), None)
        self.name = self.card["customer"] if self.card else None
        self.customer = next((c for c in case["customers"] if c["customer"] == self.name), None)
        self.zone = (self.customer and self.customer["zone"]) or case["zone"]
        self.account = self.card["account"] if self.card else self.request["card"]
        self.host = None if case["host"] == "unreachable" else case["host"]
        self.approved = self.host is not None and self.host["decision"] != "declined"
        self.scale = 10 ** (7 - DECIMALS[case["currency"]])

    def answer(self) -> Row:
        steps: list[Row] = []
        allowance: dict[str, Row] = {}
        reason, decision = None, "approved"
        for name in ("deny_list", "in_use", "pin", "host", "card", "offline_gate", "site", "product", "limits"):
            reason = getattr(self, f"step_{name}")()
            steps.append({"step": name, "result": "fail" if reason else "pass"})
            if reason:
                decision = "declined"
                break
        else:
            allowance = self.allowance()
            best = self.best(allowance)
            wish = self.wish_ml(best)
            if wish is not None and wish > allowance[best]["quantity_ml"]:
                decision = "partial"
        return {
            "decision": decision,
            "reason": reason,
            "decided_by": "host" if self.host else "offline",
            "steps": steps,
            "remaining": [] if self.approved else [self.remaining(limit) for limit in self.mine("limits")],
            "allowance": allowance,
        }

    def mine(self, rows: str) -> list[Row]:
        if self.card is None:
            return []
        names = [f"card {self.account}"] + ([f"customer {self.name}"] if self.name else [])
        return [row for row in self.case[rows] if row["subject"] in names]

    def step_deny_list(self) -> str | None:
        number = self.request["card"]
        for entry in self.case["deny"]:
            kind, rest = entry.split(" ", 1)
            if kind == "card" and rest == number:
                return "CARD_BLOCKED"
            if kind == "range":
                low, high = rest.split("-")
                if number.isdecimal() and len(low) == len(number) and int(low) <= int(number) <= int(high):
                    return "CARD_BLOCKED"
        return "CUSTOMER_BLOCKED" if self.name and f"customer {self.name}" in self.case["deny"] else None

    def step_in_use(self) -> str | None:
        held = [s for s in self.case["sales"] if s["account"] == self.account and s["state"] == "held"]
        return "CARD_IN_USE" if len(held) >= self.policy["max_open"] else None

    def step_pin(self) -> str | None:
        if self.card is None or not self.card["pin_required"] or self.request["pin"] == "right":
            return None
        return "PIN_LOCKED" if self.request["pin"] == "locked" else "PIN_WRONG"

    def step_host(self) -> str | None:
        if self.host and self.host["decision"] == "declined":
            return str(self.host["reason"] or "HOST_DECLINED")
        return None

    def step_card(self) -> str | None:
        if self.approved:
            return None
        if self.card is None:
            return "CARD_UNKNOWN"
        if self.card["status"] == "blocked":
            return "CARD_BLOCKED"
        if self.name and (self.customer is None or self.customer["status"] == "blocked"):
            return "CUSTOMER_BLOCKED"
        today = self.now.astimezone(ZoneInfo(self.zone)).date().isoformat()
        if self.card["valid_from"] and today < self.card["valid_from"]:
            return "CARD_NOT_YET_VALID"
        return "CARD_EXPIRED" if self.card["valid_to"] and today > self.card["valid_to"] else None

    def factor(self) -> Fraction | None:
        assert self.card is not None
        age = self.now - self.checked
        if age <= timedelta(hours=12):
            found = Fraction(1)
        elif age <= timedelta(hours=24):
            found = Fraction(7, 10)
        elif age <= timedelta(hours=72) and self.card["offline"] in ("ALWAYS", "ALLOWED_OFFLINE"):
            found = Fraction(3, 10)
        elif age > timedelta(hours=72) and self.account in self.policy["emergency_accounts"]:
            found = Fraction(3, 10)
        else:
            return None
        return Fraction(1) if self.policy["only_terminal"] else found

    def step_offline_gate(self) -> str | None:
        if self.approved:
            return None
        assert self.card is not None
        if self.case["clock"] == "untrusted":
            return "CLOCK_UNTRUSTED"
        if self.card["offline"] == "NEVER" or (self.customer and self.customer["offline"] == "NEVER"):
            return "OFFLINE_NOT_ALLOWED"
        for entry in self.case.get("online_only", []):
            low, high = entry.removeprefix("range ").split("-")
            if len(low) == len(self.request["card"]) and low <= self.request["card"] <= high:
                return "OFFLINE_NOT_ALLOWED"
        return "LIST_TOO_OLD" if self.factor() is None else None

    def step_site(self) -> str | None:
        if self.card is None:
            return None
        here = [self.case["site"], *self.case.get("networks", [])]
        if self.card["sites"] is not None and not any(place in self.card["sites"] for place in here):
            return "SITE_NOT_ALLOWED"
        wall = self.now.astimezone(ZoneInfo(self.case["zone"]))
        return None if open_at(self.card.get("hours") or "", wall) else "TIME_NOT_ALLOWED"

    def nozzles(self) -> list[Row]:
        named = self.card["products"] if self.card else None
        if named is None:
            return [n for n in self.request["nozzles"] if n["product"] not in self.policy["restricted_products"]]
        return [n for n in self.request["nozzles"] if n["product"] in named]

    def step_product(self) -> str | None:
        return None if self.nozzles() else "PRODUCT_NOT_ALLOWED"

    def step_limits(self) -> str | None:
        allowance = self.allowance()
        best = allowance[self.best(allowance)]
        return str(best["bound_by"]) if best["quantity_ml"] < max(1, self.policy["min_dispense_ml"]) else None

    def best(self, allowance: dict[str, Row]) -> str:
        found = ""
        for product, row in allowance.items():
            if not found or row["quantity_ml"] > allowance[found]["quantity_ml"]:
                found = product
        return found

    def sales(self, subject: str, products: list[str] | None) -> list[Row]:
        kind, name = subject.split(" ", 1)
        mine = [s for s in self.case["sales"] if s["account" if kind == "card" else "customer"] == name]
        return [s for s in mine if products is None or s["product"] in products]

    def use(self, limit: Row) -> tuple[int, int, int]:
        """Before and since the list check, and held."""
        if limit["period"] == "FUELLING":
            return 0, 0, 0
        key, start, end = window(limit["period"], self.now, self.zone)
        fits = [
            b
            for b in self.case["baselines"]
            if (b["subject"], b["window"], b["measure"]) == (limit["subject"], key, limit["measure"])
            and same(b["products"], limit["products"])
        ]
        before, mark = (fits[0]["amount"], fits[0]["watermark"]) if fits else (0, None)
        since = held = 0
        for sale in self.sales(limit["subject"], limit["products"]):
            at = instant(sale["authorized_at"])
            if not start <= at < end:
                continue
            open_ = sale["state"] != "delivered"
            amount = {"QUANTITY": sale["quantity_ml"], "VALUE": sale["value_minor"], "COUNT": int(open_ or sale["quantity_ml"] > 0)}[
                limit["measure"]
            ]
            if open_:
                held += amount
            elif mark is None or sale["sequence"] > mark:
                before, since = (before + amount, since) if at <= self.checked else (before, since + amount)
        return before, since, held

    def remaining(self, limit: Row) -> Row:
        before, since, held = self.use(limit)
        span = None if limit["period"] == "FUELLING" else [written(at) for at in window(limit["period"], self.now, self.zone)[1:]]
        row = {key: limit[key] for key in ("subject", "period", "measure", "products")}
        left = max(0, limit["amount"] - before - since - held)
        return row | {"limit": limit["amount"], "used": before + since, "held": held, "remaining": left, "window": span}

    def wish_ml(self, product: str) -> int | None:
        wish = self.request["wish"]
        if wish is None or "quantity_ml" in wish:
            return None if wish is None else wish["quantity_ml"]
        price = self.dearest(product)["price"]
        return floor(Fraction(wish["value_minor"] * self.scale, price)) if price else None

    def bounds(self, product: str) -> list[tuple[str, str, Any]]:
        found: list[tuple[str, str, Any]] = []
        if not self.approved:
            factor = self.factor()
            assert factor is not None
            for limit in self.mine("limits"):
                if limit["products"] is not None and product not in limit["products"]:
                    continue
                name = f"{'CUSTOMER_' if limit['subject'].startswith('customer') else ''}LIMIT_{limit['period']}_{limit['measure']}"
                if limit["period"] == "FUELLING":
                    found.append((name, limit["measure"], limit["amount"]))
                    continue
                before, since, held = self.use(limit)
                scaled = Fraction(1) if limit["measure"] == "COUNT" else factor
                found.append((name, limit["measure"], max(0, floor(scaled * max(0, limit["amount"] - before)) - since - held)))
                if limit.get("shared"):
                    found.append((name, limit["measure"], self.share(limit)))
            for row in self.mine("balances"):
                if row["products"] is None or product in row["products"]:
                    found.append(self.balance(row, factor))
            if self.host is None:
                found += self.exposure(factor)
        else:
            assert self.host is not None
            found += [("HOST", "QUANTITY", self.host["quantity_ml"]), ("HOST", "VALUE", self.host["value_minor"])]
        found.append(("TANK_CAPACITY", "QUANTITY", self.card["tank_ml"] if self.card else None))
        found.append(("TERMINAL_CAP", "QUANTITY", self.policy["terminal_cap_ml"]))
        found.append(("TERMINAL_CAP", "VALUE", self.policy["terminal_cap_minor"]))
        wish = self.request["wish"] or {}
        found += [("WISH", "QUANTITY", wish.get("quantity_ml")), ("WISH", "VALUE", wish.get("value_minor"))]
        return [bound for bound in found if bound[2] is not None]

    def share(self, limit: Row) -> int:
        key, start, end = window(limit["period"], self.now, self.zone)
        for row in self.case.get("shares", []):
            if (row["subject"], row["window"], row["measure"]) == (limit["subject"], key, limit["measure"]) and same(
                row["products"], limit["products"]
            ):
                left = int(row["amount"])
                for sale in self.sales(limit["subject"], limit["products"]):
                    if start <= instant(sale["authorized_at"]) < end:
                        if sale["state"] != "delivered":
                            left -= {"QUANTITY": sale["quantity_ml"], "VALUE": sale["value_minor"], "COUNT": 1}[limit["measure"]]
                        elif row["watermark"] is None or sale["sequence"] > row["watermark"]:
                            flowed = int(sale["quantity_ml"] > 0)
                            left -= {"QUANTITY": sale["quantity_ml"], "VALUE": sale["value_minor"], "COUNT": flowed}[limit["measure"]]
                return max(0, left)
        return 0

    def exposure(self, factor: Fraction) -> list[tuple[str, str, Any]]:
        out = [s for s in self.case["sales"] if s["state"] != "delivered" or s.get("unsent")]
        out = [s for s in out if s["state"] != "delivered" or s["quantity_ml"] or s["value_minor"]]
        whose = {
            "card": [s for s in out if s["account"] == self.account],
            "customer": [s for s in out if s["customer"] == self.name],
            "terminal": out,
        }
        found: list[tuple[str, str, Any]] = []
        for name, sales in whose.items():
            if name == "customer" and not self.name:
                continue  # nobody's cap
            litres, money, count = (self.policy[f"exposure_{name}_{what}"] for what in ("ml", "minor", "count"))
            if litres is not None:
                found.append(("EXPOSURE_REACHED", "QUANTITY", max(0, floor(factor * litres) - sum(s["quantity_ml"] for s in sales))))
            if money is not None:
                found.append(("EXPOSURE_REACHED", "VALUE", max(0, floor(factor * money) - sum(s["value_minor"] for s in sales))))
            if count is not None:
                found.append(("EXPOSURE_REACHED", "COUNT", max(0, count - len(sales))))
        return found

    def balance(self, row: Row, factor: Fraction) -> tuple[str, str, int]:
        column = "quantity_ml" if row["measure"] == "QUANTITY" else "value_minor"
        gone = sum(
            sale[column]
            for sale in self.sales(row["subject"], row["products"])
            if sale["state"] != "delivered" or row["watermark"] is None or sale["sequence"] > row["watermark"]
        )
        name = "BALANCE_EMPTY" if row["kind"] == "prepaid" else "CREDIT_CEILING"
        return name, row["measure"], max(0, floor(factor * row["amount"]) - gone)

    def quantities(self, nozzle: Row) -> list[tuple[int, int]]:
        """Every bound that binds at this nozzle: the quantity it leaves, and its place in the order."""
        found = []
        for name, measure, amount in self.bounds(nozzle["product"]):
            quantity = amount
            if measure == "COUNT":
                if amount >= 1:
                    continue
                quantity = 0
            elif measure == "VALUE":
                if nozzle["price"] == 0:
                    continue
                quantity = floor(Fraction(amount * self.scale, nozzle["price"]))
            found.append((quantity, ORDER.index(name)))
        return found

    def dearest(self, product: str) -> Row:
        """Of the nozzles with this product the one that gives least, so that the answer holds at each; the first on a tie."""
        return min((n for n in self.nozzles() if n["product"] == product), key=lambda nozzle: min(self.quantities(nozzle))[0])

    def allowance(self) -> dict[str, Row]:
        found: dict[str, Row] = {}
        for product in [nozzle["product"] for nozzle in self.nozzles()]:
            nozzle = self.dearest(product)
            quantity, place = min(self.quantities(nozzle))
            cost = floor(Fraction(quantity * nozzle["price"], self.scale) + Fraction(1, 2))
            found[product] = {"quantity_ml": quantity, "value_minor": cost, "bound_by": ORDER[place]}
        return found


def answer(case: Row) -> Row:
    """What ``explain`` has to say of a complete case (no field left out but the policy's)."""
    return Naive(case).answer()
