"""Every text in every language, and every one fits the display with the longest values it can get."""

from __future__ import annotations

import string

import pytest

from terminal.core.reasons import Reason
from terminal.core.screens import (
    COLUMNS,
    PROMPT_SCREENS,
    ROWS,
    Screen,
    entry_text,
    languages_text,
    money_text,
    reason_text,
    render,
    volume_text,
)
from terminal.core.texts import AGAIN, LANGUAGES, REASONS, SCREENS

ENCODING = {"fr": "iso-8859-1", "en": "iso-8859-1", "de": "iso-8859-1", "uk": "cp1251"}
"""What the displays' character sets have; a text outside of it would be shown as something else."""
CUT = {"products"}
"""A list of products may be longer than a line; it is cut, and the pump shows the rest."""
LONGEST = {
    "fp": ["32"],
    "amount": ["990.00 L", "99999.99 EUR"],
    "tries": ["3"],
    "entry": ["9999999999", "************"],
    "wish": ["99999.99 EUR", "990.00 L", ""],
    "currency": ["EUR"],
    "code": ["PUMP_RECORD_MISMATCH", ""],
    "hint": [*AGAIN.values(), ""],
    "meter": ["990.000 L"],
    "prover": ["1039.500 L"],
    "deviation": ["-49500 ml -50.0/1000"],
    "languages": [languages_text(LANGUAGES), ""],
}
"""At most ten digits are typed, twelve stars stand for a PIN; an entry in money or litres has a point and its unit."""

every_language = pytest.mark.parametrize("language", LANGUAGES)


def fields(line: str) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(line) if name]


def filled(line: str) -> list[str]:
    """The line with every longest value of its fields, which are at most two."""
    found = [line]
    for name in fields(line):
        values = [entry_text("9999999", 2)] if name == "entry" and ("{currency}" in line or " L" in line or " л" in line) else LONGEST[name]
        found = [text.replace("{" + name + "}", value) for text in found for value in values]
    return found


@every_language
def test_no_text_is_missing_and_none_is_too_much(language: str) -> None:
    assert set(SCREENS) == set(REASONS) == set(LANGUAGES) == set(ENCODING)
    assert set(SCREENS[language]) == {screen.value for screen in Screen}
    limits = {reason.value for reason in Reason if "LIMIT_" in reason.value}
    assert set(REASONS[language]) == {reason.value for reason in Reason} - limits | {"LIMIT", "CUSTOMER_LIMIT"}
    assert all(len(lines) == ROWS for lines in SCREENS[language].values())
    assert all(any(lines) for lines in SCREENS[language].values())
    assert all(REASONS[language].values())


@every_language
def test_the_languages_say_the_same_with_the_same_fields(language: str) -> None:
    for name, lines in SCREENS[language].items():
        assert sorted(f for line in lines for f in fields(line)) == sorted(f for line in SCREENS["en"][name] for f in fields(line)), name


@every_language
def test_no_line_is_wider_than_the_display(language: str) -> None:
    wide = []
    for name, lines in SCREENS[language].items():
        for line in lines:
            if CUT & set(fields(line)):
                rest = line.replace("{products}", "")
                assert len(rest) <= COLUMNS // 2, f"{name}: no room for a product behind {rest!r}"
            elif fields(line) != ["reason"]:
                wide += [text for text in filled(line) if len(text) > COLUMNS]
    wide += [text for text in REASONS[language].values() if len(text) > COLUMNS]
    assert wide == []


@every_language
def test_every_character_is_in_the_display_s_character_set(language: str) -> None:
    texts = [line for lines in SCREENS[language].values() for line in lines] + list(REASONS[language].values())
    assert [text for text in texts if text.encode(ENCODING[language], "ignore").decode(ENCODING[language]) != text] == []


@every_language
@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_words(reason: Reason, language: str) -> None:
    assert reason_text(reason, language)


def test_all_limits_of_a_card_share_a_text_and_all_of_a_customer_another() -> None:
    assert reason_text(Reason.LIMIT_DAY_QUANTITY, "en") == reason_text(Reason.LIMIT_MONTH_VALUE, "en") == "Badge limit reached"
    assert reason_text(Reason.CUSTOMER_LIMIT_DAY_COUNT, "en") == "Account limit"


@every_language
@pytest.mark.parametrize("screen", Screen)
def test_every_screen_is_rendered_to_the_display_s_size(screen: Screen, language: str) -> None:
    values = {name: found[0] for name, found in LONGEST.items()} | {"products": "GAZOLE, SP95, SP98, E85", "reason": "x" * 30}
    lines = render(screen, language, **values)
    assert len(lines) == ROWS
    assert all(len(line) <= COLUMNS for line in lines)
    assert not any("{" in line for line in lines)


def test_every_prompt_of_the_lists_has_a_screen_of_its_own() -> None:
    assert set(PROMPT_SCREENS) == {"ODOMETER", "VEHICLE", "DRIVER"}


@pytest.mark.parametrize(("ml", "text"), [(0, "0.00 L"), (9, "0.00 L"), (62_000, "62.00 L"), (62_019, "62.01 L"), (990_000, "990.00 L")])
def test_volumes_are_rounded_down(ml: int, text: str) -> None:
    assert volume_text(ml) == text


@pytest.mark.parametrize(
    ("minor", "decimals", "text"), [(8_000, 2, "80.00 EUR"), (5, 2, "0.05 EUR"), (500, 0, "500 EUR"), (1_234, 3, "1.234 EUR")]
)
def test_money_has_the_currencys_decimals(minor: int, decimals: int, text: str) -> None:
    assert money_text(minor, decimals, "EUR") == text


@pytest.mark.parametrize(("digits", "decimals", "text"), [("", 2, "0.00"), ("5", 2, "0.05"), ("5000", 2, "50.00"), ("5000", 0, "5000")])
def test_digits_are_shifted_in_from_the_right(digits: str, decimals: int, text: str) -> None:
    assert entry_text(digits, decimals) == text
