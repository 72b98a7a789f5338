"""Prompts and when an answer is believed: rules of the signed list, the odometer's last reading, and what a doubt leaves on the record.

Pure values and functions. Distances in whole kilometres (or whatever the odometer counts), volumes in millilitres.
(features.md F11; reference/host-and-offline-authorization.md 8.6 step 8.)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from terminal.core.card_data import Subject
from terminal.core.units import UtcMs

ODOMETER = "ODOMETER"
CONSUMPTION = "CONSUMPTION"
"""The mark of a sale of which more flowed than the distance explains."""
TRIES = 3
"""So many wrong answers to one prompt, and it is over."""
MAX_DIGITS = 10


class WrongAnswers(Enum):
    """What the third wrong answer does: the attempt ends, or it is taken and the record says so."""

    REFUSE = "refuse"
    MARK = "mark"


class Implausible(Enum):
    """What happens to an odometer of which the fuel since its last reading cannot tell: asked again, marked, or the end of the attempt."""

    ASK = "ask"
    MARK = "mark"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class PromptRule:
    """How the answers of an account, or of all of a customer's cards, to one prompt are judged. None does not bind.

    ``answers``: keyed hashes of those that are right. ``min_step``, ``max_step``: how far an odometer may have gone since its last
    reading. ``most_per_100km_ml``: more than this for the distance is marked; ``least_per_100km_ml``: so much must have been taken, or have
    been in the tank, for the distance, else ``implausible`` counts. Of an hour meter both are per 100 hours.
    """

    subject: Subject
    prompt: str
    min_digits: int
    max_digits: int
    answers: frozenset[str] | None
    min_step: int | None
    max_step: int | None
    most_per_100km_ml: int | None
    wrong: WrongAnswers
    least_per_100km_ml: int | None = None
    implausible: Implausible = Implausible.MARK


@dataclass(frozen=True, slots=True)
class Odometer:
    """A reading and since when it is known. The later one counts: a host that enters an exchanged instrument's zero is believed.

    ``since_ml``: what this account has taken here with that reading and after it; None where the host entered it, who knows what elsewhere.
    """

    reading: int
    at: UtcMs
    since_ml: int | None = None


@dataclass(frozen=True, slots=True)
class OdometerRead:
    """Journal: this account's odometer was read, believed, and is the one that the next reading is compared with."""

    account: str
    reading: int
    at: int


def later(one: Odometer | None, other: Odometer | None) -> Odometer | None:
    """The newer of two readings."""
    if one is None or other is None:
        return one or other
    return one if one.at > other.at else other


def rule_of(rules: tuple[PromptRule, ...], prompt: str, account: Subject) -> PromptRule | None:
    """The rule for this prompt: the account's own goes before its customer's."""
    found = [rule for rule in rules if rule.prompt == prompt]
    return min(found, key=lambda rule: rule.subject != account, default=None)


def believable(rule: PromptRule | None, answer: str, hashed: str, last: Odometer | None) -> bool:
    """Is this answer one that the rule takes? ``hashed``: the answer as the list writes it; ``last``: the odometer's last reading."""
    if rule is None:
        return True
    if not rule.min_digits <= len(answer) <= rule.max_digits or (rule.answers is not None and hashed not in rule.answers):
        return False
    if rule.prompt != ODOMETER or last is None:
        return True
    step = int(answer) - last.reading
    return (rule.min_step is None or step >= rule.min_step) and (rule.max_step is None or step <= rule.max_step)


def plausible(rule: PromptRule | None, reading: int, last: Odometer | None, tank_ml: int | None) -> bool:
    """Can the vehicle have come so far on what it has taken since its last reading, with a full tank then (``tank_ml``) on top of that?"""
    if rule is None or rule.least_per_100km_ml is None or last is None or last.since_ml is None or reading <= last.reading:
        return True
    return rule.least_per_100km_ml * (reading - last.reading) <= 100 * (last.since_ml + (tank_ml or 0))


def most_for(rule: PromptRule | None, reading: int, last: Odometer | None) -> int | None:
    """So many millilitres explain the distance since the last reading at most; None where that cannot be said."""
    if rule is None or rule.most_per_100km_ml is None or last is None or reading <= last.reading:
        return None
    return rule.most_per_100km_ml * (reading - last.reading) // 100
