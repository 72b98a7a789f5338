"""What a seed's customers and cards are: numbers that are canaries, media of four kinds, PINs here and at the host, pairs, prompts.

A number is a canary: it may appear in no file, line or screen. Badges have long hexadecimal numbers, stripes and chip cards long decimal
ones with a check digit; PINs have ten digits or more.
"""

from __future__ import annotations

from random import Random
from typing import Any

from tests.simulation.media import PREFIX, Medium

DIGITS = 18
PROMPTS = ("odometer", "vehicle", "driver")


def draw_customers(rng: Random) -> list[dict[str, Any]]:
    """One to three; the first one is never blocked from the start."""
    return [
        {
            "customer": f"C{number}",
            "status": "blocked" if number > 1 and rng.randrange(10) == 0 else "active",
            "offline": rng.choice(["ALLOWED", "ALLOWED", "ALLOWED", "ALWAYS", "NEVER"]),
            "zone": rng.choice([None, None, "Asia/Tokyo"]),
        }
        for number in range(1, rng.randint(1, 3) + 1)
    ]


def draw_cards(rng: Random, customers: list[dict[str, Any]], products: list[str]) -> tuple[list[dict[str, Any]], tuple[Medium, ...]]:
    """Two to eight cards, and what their holders know of them."""
    cards: list[dict[str, Any]] = []
    media: list[Medium] = []
    for _ in range(rng.randint(2, 8)):
        kind = rng.choice(["badge", "badge", "badge", "badge", "badge", "stripe", "stripe", "smart card", "smart card", "secure badge"])
        number = _number(rng, kind)
        pin = _pin(rng) if rng.randrange(2) else None
        account = cards[0]["number"] if cards and rng.randrange(8) == 0 else number
        if account != number:
            pin = media[0].pin  # one account, one PIN
        media.append(Medium(number, pin, kind, rng.choice(["desfire", "ntag424"]) if kind == "secure badge" else ""))
        cards.append(
            {
                "number": number,
                "account": account,
                "medium": kind,
                "customer": rng.choice(customers)["customer"] if account == number else cards[0]["customer"],
                "status": "blocked" if cards and rng.randrange(12) == 0 else "active",
                "pin": pin,
                "products": [rng.choice(products)] if rng.randrange(4) == 0 else None,
                "offline": rng.choice(["ALLOWED", "ALLOWED", "ALLOWED", "ALWAYS", "ALLOWED_OFFLINE", "NEVER"]),
                "prompts": rng.sample(PROMPTS, rng.choice([1, 1, 2])) if rng.randrange(5) == 0 else [],
                "tank_ml": rng.choice([None, None, 40_000]),
                "sites": None,
                "hours": None,
                "pair": None,
                "language": rng.choice([None, "en", "de"]),
            }
        )
    return cards, _paired(rng, cards, media)


def add_regulars(rng: Random, scenario: dict[str, Any], media: tuple[Medium, ...]) -> tuple[Medium, ...]:
    """Two cards of a customer without limits, so that somebody can fuel where limits and lists have stopped all the others.

    Their holders know a PIN, where one is asked for at all; everything else about them is drawn like the others'.
    """
    regulars = []
    scenario["customers"].append({"customer": "REGULARS", "status": "active", "offline": "ALLOWED", "zone": None})
    for _ in range(2):
        kind = rng.choice(["badge", "badge", "stripe", "smart card"])
        wants_pin = kind in ("stripe", "smart card") or rng.randrange(3) == 0
        medium = Medium(_number(rng, kind), _pin(rng) if wants_pin else None, kind, "")
        regulars.append(medium)
        scenario["cards"].append(
            {
                "number": medium.number,
                "account": medium.number,
                "medium": kind,
                "customer": "REGULARS",
                "status": "active",
                "pin": medium.pin,
                "products": None,
                "offline": rng.choice(["ALLOWED", "ALWAYS"]),
                "prompts": [],
                "tank_ml": None,
                "sites": None,
                "hours": None,
                "pair": None,
                "language": rng.choice([None, "en", "de"]),
            }
        )
    return (*media, *regulars)


def _pin(rng: Random) -> str:
    return "".join(str(rng.randrange(10)) for _ in range(rng.randint(10, 12)))


def _number(rng: Random, kind: str) -> str:
    if kind == "badge":
        return f"04{rng.getrandbits(48):012X}CA"
    if kind == "secure badge":
        return f"{rng.getrandbits(64):016X}"
    digits = PREFIX + "".join(str(rng.randrange(10)) for _ in range(DIGITS - len(PREFIX) - 1))
    total = sum(value if place % 2 else (2 * value - 9 if value > 4 else 2 * value) for place, value in enumerate(map(int, digits[::-1])))
    return digits + str(-total % 10)


def _paired(rng: Random, cards: list[dict[str, Any]], media: list[Medium]) -> tuple[Medium, ...]:
    """In every third seed two cards of different accounts belong together."""
    if rng.randrange(3) == 0:
        one, other = rng.sample(range(len(cards)), 2)
        if cards[one]["account"] != cards[other]["account"]:
            group = rng.choice(["FLEET-7", ""])
            for here, there in ((one, other), (other, one)):
                cards[here]["pair"] = group or cards[there]["account"]
                known = media[here]
                media[here] = Medium(known.number, known.pin, known.kind, known.make, there)
    return tuple(media)


def draw_rules(rng: Random, cards: list[dict[str, Any]], customers: list[dict[str, Any]]) -> dict[str, Any]:
    """The card table's rows, and what answers to prompts are believed."""
    ranges: list[dict[str, Any]] = []
    if any(card["number"].startswith(PREFIX) for card in cards) and rng.randrange(2):
        row: dict[str, Any] = {"first": PREFIX, "last": PREFIX, "kind": "fleet", "routing": "host", "lengths": [DIGITS], "luhn": True}
        where = rng.choice([None, "offline", "online", "online", "none"])
        ranges.append(row if where is None else row | {"pin": where})
    rules: list[dict[str, Any]] = []
    asked = [card for card in cards if "odometer" in card["prompts"]]
    if asked and rng.randrange(2):
        card = rng.choice(asked)
        subject = {"card": card["account"]} if rng.randrange(2) else {"customer": card["customer"]}
        rules.append(
            {
                "subject": subject,
                "prompt": "odometer",
                "min_digits": rng.randint(1, 3),
                "max_digits": rng.randint(6, 8),
                "min_step": rng.choice([None, 1]),
                "max_step": rng.choice([None, 2_000]),
                "most_per_100km_ml": rng.choice([None, 40_000]),
                "wrong": rng.choice(["refuse", "mark"]),
            }
        )
    known = [{"account": card["account"], "reading": rng.randint(1_000, 50_000)} for card in asked if rng.randrange(2)]
    unique = {row["account"]: row for row in known}
    return {"ranges": ranges, "prompt_rules": rules, "odometers": list(unique.values())}
