"""What the cases reached. A comparison that never met a rule proves nothing about it, so every name here has to come up."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from tests.core.naive import DECIMALS, MEASURES, ORDER, PERIODS, Naive, Row, instant, same, window

FAILS = {
    "deny_list": ("CARD_BLOCKED", "CUSTOMER_BLOCKED"),
    "in_use": ("CARD_IN_USE",),
    "pin": ("PIN_WRONG", "PIN_LOCKED"),
    "host": ("HOST_DECLINED", "WISH", "PIN_WRONG"),
    "card": ("CARD_UNKNOWN", "CARD_BLOCKED", "CUSTOMER_BLOCKED", "CARD_NOT_YET_VALID", "CARD_EXPIRED"),
    "offline_gate": ("CLOCK_UNTRUSTED", "OFFLINE_NOT_ALLOWED", "LIST_TOO_OLD"),
    "site": ("SITE_NOT_ALLOWED", "TIME_NOT_ALLOWED"),
    "product": ("PRODUCT_NOT_ALLOWED",),
}
NEVER = {"LIMIT_FUELLING_COUNT", "CUSTOMER_LIMIT_FUELLING_COUNT"}
"""Bounds that no case can have: COUNT does not go with FUELLING."""
BOUNDS = [name for name in ORDER if name not in NEVER]
COUNTS = {name for name in BOUNDS if name.endswith("_COUNT")}
SITUATIONS = (
    "a window of 23 h",
    "a window of 25 h",
    "29 February",
    "an hour that comes twice",
    "the customer's own zone",
    "several bounds equally tight",
    "a baseline that counts",
    "a baseline of another window",
    "a sale at or below the watermark",
    "a sale above the watermark",
    "a sale in doubt that binds",
    "a hold that binds",
    "factor 1",
    "factor 0.7",
    "factor 0.3",
    "an emergency account",
    "only_terminal with old lists",
    "a share that binds",
    "a shared limit without a share",
    "a range that is online only",
    "a site of the terminal's network",
    "hours that hold",
    "an unknown card that the host approves",
    "a product at two nozzles",
    "price 0",
    "0 decimals",
    "2 decimals",
    "3 decimals",
    "a wish for money",
    "a wish for a quantity",
)


def required() -> list[str]:
    """Every name that has to come up."""
    found = [f"decision {word}" for word in ("approved", "partial", "declined")] + ["decided by host", "decided by offline"]
    found += [f"{step}: {reason}" for step, reasons in FAILS.items() for reason in reasons]
    found += [f"bound: {name}" for name in BOUNDS if name not in COUNTS]
    found += [f"limits: {name}" for name in BOUNDS]
    return found + list(SITUATIONS)


def reached(case: Row, told: Row) -> Counter[str]:
    """The names that this case, answered so, counts for."""
    found = {f"decision {told['decision']}", f"decided by {told['decided_by']}"}
    if told["reason"] is not None:
        found.add(f"{told['steps'][-1]['step']}: {told['reason']}")
    found |= {f"bound: {row['bound_by']}" for row in told["allowance"].values()}
    if told["reason"] == "OFFLINE_NOT_ALLOWED" and "NEVER" not in str((case["cards"], case["customers"])):
        found.add("a range that is online only")
    if told["steps"][-1]["step"] == "limits":
        found |= _situations(case, told)
    return Counter(found)


def _situations(case: Row, told: Row) -> set[str]:
    seen = Naive(case)
    found = {f"{DECIMALS[case['currency']]} decimals"}
    for row in told["remaining"]:
        if row["period"] == "DAY":
            start, end = (instant(at) for at in row["window"])
            found.add(f"a window of {(end - start) // timedelta(hours=1)} h")
            found |= {"29 February"} if window("DAY", seen.now, seen.zone)[0].endswith("-02-29") else set()
    local = seen.now.astimezone(ZoneInfo(seen.zone))
    if local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset():
        found.add("an hour that comes twice")
    if seen.customer and seen.customer["zone"] not in (None, case["zone"]):
        found.add("the customer's own zone")
    if seen.card is not None:
        found |= {"hours that hold"} if seen.card.get("hours") else set()
        found |= {"a site of the terminal's network"} if seen.card["sites"] and "S1" not in seen.card["sites"] else set()
    if not seen.approved:
        found |= _offline(case, seen, told)
    elif seen.card is None:
        found.add("an unknown card that the host approves")
    return found | _request(seen, told)


def _offline(case: Row, seen: Naive, told: Row) -> set[str]:
    age = seen.now - seen.checked
    found = {f"factor {float(seen.factor() or 0):g}"}
    if age > timedelta(hours=72):
        found.add("an emergency account")
    if age > timedelta(hours=12) and seen.factor() == Fraction(1):
        found.add("only_terminal with old lists")
    binding = {row["bound_by"] for row in told["allowance"].values()} | {told["reason"]}
    for limit in seen.mine("limits"):
        if limit["period"] == "FUELLING":
            continue
        key, start, end = window(limit["period"], seen.now, seen.zone)
        name = f"{'CUSTOMER_' if limit['subject'].startswith('customer') else ''}LIMIT_{limit['period']}_{limit['measure']}"
        if name not in binding:
            continue
        if limit.get("shared"):
            before, since, held = seen.use(limit)
            left, share = (seen.factor() or 0) * max(0, limit["amount"] - before) - since - held, seen.share(limit)
            rows = [
                row
                for row in case["shares"]
                if (row["subject"], row["window"], row["measure"]) == (limit["subject"], key, limit["measure"])
            ]
            found |= {"a share that binds"} if 0 < share < left else set()
            found |= {"a shared limit without a share"} if not rows else set()
        states = {
            row["state"]: row for row in seen.sales(limit["subject"], limit["products"]) if start <= instant(row["authorized_at"]) < end
        }
        found |= {"a sale in doubt that binds"} if "in_doubt" in states else set()
        found |= {"a hold that binds"} if "held" in states else set()
        for row in case["baselines"]:
            if (row["subject"], row["measure"]) == (limit["subject"], limit["measure"]) and same(row["products"], limit["products"]):
                found.add("a baseline that counts" if row["window"] == key else "a baseline of another window")
                if row["window"] == key and row["watermark"] is not None and "delivered" in states:
                    above = states["delivered"]["sequence"] > row["watermark"]
                    found.add("a sale above the watermark" if above else "a sale at or below the watermark")
    return found


def _request(seen: Naive, told: Row) -> set[str]:
    found = set()
    nozzles = seen.nozzles()
    names = [row["product"] for row in nozzles]
    found |= {"a product at two nozzles"} if len(names) != len(set(names)) else set()
    found |= {"price 0"} if any(row["price"] == 0 for row in nozzles) else set()
    if told["decision"] == "partial":
        found.add("a wish for money" if "value_minor" in seen.request["wish"] else "a wish for a quantity")
    for row in nozzles:
        amounts = sorted(seen.quantities(row))
        if len({place for quantity, place in amounts if quantity == amounts[0][0]}) > 1:
            found.add("several bounds equally tight")
    return found


assert len(PERIODS) * len(MEASURES) * 2 + 7 == len(ORDER)
