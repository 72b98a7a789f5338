"""The rig reads the emulated display back: every screen in every language, and every picture that stood still."""

from __future__ import annotations

import pytest

from drivers.display.lk204 import INIT, CodePage, redraw, screen
from hal_sim.display.pictures import STILL_MS, WatchedLk204
from terminal.core.screens import Screen, languages_text, render
from terminal.core.texts import LANGUAGES
from tests.rig.display import QUESTIONS, recognise

FIELDS = {
    "entry": "12",
    "tries": 2,
    "wish": "20.00 L",
    "currency": "EUR",
    "fp": 2,
    "amount": "100.00 L",
    "products": "GAZOLE, SP95, SP98, E85",
    "reason": "?",
    "code": "",
    "languages": languages_text(LANGUAGES),
    "hint": "",
    "meter": "20.00 L",
    "prover": "19.95 L",
    "deviation": "50 ml, 2.5 per mille",
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("wanted", Screen)
def test_every_screen_is_recognised(language: str, wanted: Screen) -> None:
    code_page = CodePage.CYRILLIC if language == "uk" else CodePage.LATIN_1
    display = WatchedLk204(code_page.value)
    display.on_bytes(INIT + redraw(screen(render(wanted, language, **FIELDS), code_page)), 0)
    seen = recognise(display.lines(), code_page)
    assert seen is not None
    assert (seen.screen, seen.language) == (wanted, language)
    if wanted in QUESTIONS and wanted is not Screen.SECOND_CARD:
        assert seen.entry == "12"
        assert seen.typed


def test_a_half_drawn_picture_is_no_screen() -> None:
    assert recognise(("Bienvenue", "", "Essais restants : 2", ""), CodePage.LATIN_1) is None


def test_only_pictures_that_stand_still_are_kept_and_none_twice_in_a_row() -> None:
    display = WatchedLk204()
    display.on_bytes(b"one", 0)
    display.on_bytes(b" two", STILL_MS - 1)
    assert display.next_wakeup() == 2 * STILL_MS - 1
    display.on_time(2 * STILL_MS - 1)
    display.on_bytes(b"\xfe\x58one two", 500)
    display.on_time(500 + STILL_MS)
    assert [picture[0].rstrip() for picture in display.pictures] == ["", "one two"]
    assert display.drawn == 2
    assert display.next_wakeup() is None
