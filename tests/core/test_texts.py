"""Every text that a driver can see, in every language: found by looking at the module, so that none that comes later is forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from terminal.core import texts
from terminal.core.refusal_code import LENGTH
from terminal.core.screens import COLUMNS, ROWS
from terminal.core.texts import LANGUAGES

BY_LANGUAGE: dict[str, dict[str, Any]] = {
    name: value for name, value in vars(texts).items() if isinstance(value, dict) and set(value) & set(LANGUAGES)
}


def test_what_is_looked_at_is_all_there_is() -> None:
    """Four languages of features.md F12, and every table of the module that has anything in one of them."""
    assert set(LANGUAGES) == {"fr", "en", "de", "uk"}
    assert {"SCREENS", "REASONS", "AGAIN", "CODES"} <= set(BY_LANGUAGE)


@pytest.mark.parametrize("name", sorted(BY_LANGUAGE))
def test_every_language_has_every_text(name: str) -> None:
    table = BY_LANGUAGE[name]
    assert set(table) == set(LANGUAGES)
    if isinstance(table["en"], dict):
        for language in LANGUAGES:
            assert set(table[language]) == set(table["en"]), language


@pytest.mark.parametrize("name", sorted(BY_LANGUAGE))
def test_no_text_is_longer_than_a_line_nor_a_screen_higher_than_the_display(name: str) -> None:
    """What has fields is filled with the longest values in tests/machines/test_screens.py."""
    for language, found in BY_LANGUAGE[name].items():
        for key, text in found.items() if isinstance(found, dict) else ((name, found),):
            lines = (text,) if isinstance(text, str) else text
            assert len(lines) <= ROWS, (language, key)
            assert all(len(line) <= COLUMNS or "{" in line for line in lines), (language, key)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_refusals_code_has_room_behind_its_word(language: str) -> None:
    assert len(texts.CODES[language]) + 1 + LENGTH <= COLUMNS
