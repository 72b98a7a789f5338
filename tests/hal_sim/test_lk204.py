"""The display emulator against the command summary of the LK204-25 manual (firmware_notes/lk204.md)."""

from __future__ import annotations

import pytest

from hal_sim.display.lk204 import Lk204

BLANK = " " * 20


def shown(*parts: bytes, code_page: str = "iso-8859-1") -> Lk204:
    display = Lk204(code_page)
    for part in parts:
        display.on_bytes(part, 0)
    return display


def test_text_goes_on_in_the_next_line_and_the_fifth_scrolls() -> None:
    display = shown(*(f"{n:<20}".encode() for n in range(1, 6)))
    assert [line.strip() for line in display.lines()] == ["2", "3", "4", "5"]


def test_a_full_screen_does_not_scroll_before_its_81st_character() -> None:
    display = shown(b"x" * 80)
    assert display.lines() == ("x" * 20,) * 4
    display.on_bytes(b"y", 0)
    assert display.lines() == ("x" * 20, "x" * 20, "x" * 20, "y" + " " * 19)


def test_without_scrolling_the_first_line_is_written_over() -> None:
    display = shown(b"\xfe\x52", b"x" * 80, b"y")
    assert display.lines() == ("y" + "x" * 19, *("x" * 20,) * 3)


def test_without_wrapping_the_rest_of_a_line_is_lost_and_noticed() -> None:
    display = shown(b"\xfe\x44", b"A" * 22)
    assert display.lines() == ("A" * 20, BLANK, BLANK, BLANK)
    assert display.faults == ["text beyond the end of line 1"] * 2


@pytest.mark.parametrize("cut", range(1, 9))
def test_cursor_and_clear_may_come_in_any_pieces(cut: int) -> None:
    stream = b"rubbish\xfe\x58\xfe\x47\x05\x03Hello"
    display = shown(stream[:cut], stream[cut:])
    assert display.lines() == (BLANK, BLANK, "    Hello" + " " * 11, BLANK)
    assert display.cursor == (10, 3)
    assert display.faults == []


def test_the_prefix_byte_as_a_parameter_is_a_parameter() -> None:
    display = shown(b"\xfe\x50\xfe", b"ok")
    assert display.contrast == 0xFE
    assert display.lines()[0].strip() == "ok"


def test_backlight_home_and_control_characters() -> None:
    display = shown(b"\xfe\x46AB\x08C\x0d*\x0aD")
    assert not display.backlight
    assert [line.rstrip() for line in display.lines()[:2]] == ["*C", " D"]
    display.on_bytes(b"\xfe\x42\x00\xfe\x48!", 0)
    assert display.backlight
    assert display.lines()[0].startswith("!C")
    display.on_bytes(b"\x0c", 0)
    assert display.lines() == (BLANK,) * 4


@pytest.mark.parametrize(
    ("code_page", "text"),
    [("iso-8859-1", "Présentez à Köln ß"), ("cp1251", "Прикладіть картку її"), ("iso-8859-15", "12,50 €")],
)
def test_text_is_read_with_the_profile_s_code_page(code_page: str, text: str) -> None:
    assert shown(text.encode(code_page), code_page=code_page).lines()[0].rstrip() == text


def test_the_wrong_code_page_shows_what_a_person_would_see() -> None:
    assert shown("Прошу".encode("cp1251")).lines()[0].rstrip() == "Ïðîøó"


def test_faults_name_what_a_driver_should_not_send() -> None:
    display = shown(b"\xfe\x47\x15\x01", b"\xfe\x47\x00\x01", b"\xfe\x01", b"\xfe\x4e\x08" + bytes(8), b"ok")
    assert display.faults == ["cursor to column 21, row 1", "cursor to column 0, row 1", "unknown command 0x01", "custom character 8"]
    assert display.lines()[0].strip() == "ok"


def test_a_custom_character_takes_nine_bytes_and_no_cell() -> None:
    display = shown(b"\xfe\x4e\x02" + bytes(range(0xF8, 0x100)) + b"text")
    assert display.custom == {2: bytes(range(0xF8, 0x100))}
    assert display.lines()[0].strip() == "text"


@pytest.mark.parametrize("code_page", ["utf-8", "utf-16", "no-such-page"])
def test_only_single_byte_code_pages(code_page: str) -> None:
    with pytest.raises((ValueError, LookupError)):
        Lk204(code_page)
