"""Which screen and which fields; no pixels. A screen is rendered to at most four lines of twenty characters."""

from __future__ import annotations

from enum import Enum

from terminal.core.reasons import Reason
from terminal.core.texts import AGAIN, CODES, REASONS, SCREENS

ROWS, COLUMNS = 4, 20


class Screen(Enum):
    """Every screen a driver can see; the value is the key of ``texts``."""

    WELCOME = "WELCOME"
    PIN = "PIN"
    PIN_AGAIN = "PIN_AGAIN"
    PIN_HOST = "PIN_HOST"
    ODOMETER = "ODOMETER"
    VEHICLE = "VEHICLE"
    DRIVER = "DRIVER"
    NUMBER = "NUMBER"
    SECOND_CARD = "SECOND_CARD"
    FUELLING_POINT = "FUELLING_POINT"
    WISH_MONEY = "WISH_MONEY"
    WISH_VOLUME = "WISH_VOLUME"
    ASKING = "ASKING"
    GO_TO_PUMP = "GO_TO_PUMP"
    WRONG_NOZZLE = "WRONG_NOZZLE"
    PRICE_DIFFERS = "PRICE_DIFFERS"
    REFUSED = "REFUSED"
    OUT_OF_SERVICE = "OUT_OF_SERVICE"
    CLOSED = "CLOSED"
    EMERGENCY_STOP = "EMERGENCY_STOP"
    TEST_POINT = "TEST_POINT"
    TEST_PUMP = "TEST_PUMP"
    PROVER = "PROVER"
    DEVIATION = "DEVIATION"


PROMPT_SCREENS: dict[str, Screen] = {"ODOMETER": Screen.ODOMETER, "VEHICLE": Screen.VEHICLE, "DRIVER": Screen.DRIVER}


def reason_text(reason: Reason, language: str) -> str:
    """A reason in a driver's words; all limits of a card share one, all limits of a customer another."""
    texts = REASONS[language]
    if reason.value in texts:
        return texts[reason.value]
    return texts["CUSTOMER_LIMIT" if reason.value.startswith("CUSTOMER_LIMIT") else "LIMIT"]


def again_text(language: str) -> str:
    """What stands under a prompt whose answer was not believed."""
    return AGAIN[language]


def languages_text(languages: tuple[str, ...]) -> str:
    """The keys of the welcome screen: ``1=FR 2=EN``; nothing where there is no choice."""
    return " ".join(f"{key}={language.upper()}" for key, language in enumerate(languages, 1)) if len(languages) > 1 else ""


def code_text(code: str, language: str) -> str:
    """A refusal's code with its word in front; empty for a refusal without one."""
    return f"{CODES[language]} {code}" if code else ""


def render(screen: Screen, language: str, **fields: object) -> tuple[str, ...]:
    """The screen's lines with its fields filled in, each cut to the display's width."""
    return tuple(line.format(**fields)[:COLUMNS] for line in SCREENS[language][screen.value])


def volume_text(volume_ml: int) -> str:
    """``62.00 L``, rounded down: a driver is never promised more than there is."""
    return f"{volume_ml // 1000}.{volume_ml % 1000 // 10:02d} L"


def money_text(amount_minor: int, decimals: int, currency: str) -> str:
    """``80.00 EUR`` in the currency's decimals."""
    if decimals == 0:
        return f"{amount_minor} {currency}"
    scale = 10**decimals
    return f"{amount_minor // scale}.{amount_minor % scale:0{decimals}d} {currency}"


def entry_text(digits: str, decimals: int) -> str:
    """Digits shifted in from the right, as payment terminals do: ``5000`` reads 50.00."""
    return money_text(int(digits or "0"), decimals, "").strip()
