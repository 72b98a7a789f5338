"""Key events of a stripe reader into characters; the codes are held against the library's own table."""

from __future__ import annotations

import pytest
from evdev import ecodes
from hypothesis import given
from hypothesis import strategies as st

from drivers.magstripe import wedge
from drivers.magstripe.tracks import parse_swipe
from drivers.magstripe.wedge import ODD, TABLES, Mark, WedgeDecoder, WedgeLayout, typed

SHIFT, ALT_GR = ecodes.KEY_LEFTSHIFT, ecodes.KEY_RIGHTALT
ONE = "%B7001231234567890123^FLEET/VEHICLE 12^49125000000000000?"
TWO = ";7001231234567890123=491250012345?"
TRACK_CHARACTERS = "".join(map(chr, range(0x20, 0x60)))


def strokes(text: str, layout: WedgeLayout) -> list[tuple[int, int]]:
    """What a reader set to this layout sends for a text: down and up of each key, with the modifier around it."""
    plain, shifted, alt_gr = TABLES[layout]
    events: list[tuple[int, int]] = []
    for character in text:
        for modifier, table in ((0, plain), (SHIFT, shifted), (ALT_GR, alt_gr)):
            found = [code for code, typed_by_it in table.items() if typed_by_it == character]
            if found:
                held = [(modifier, 1)] if modifier else []
                events += [*held, (found[0], 1), (found[0], 0), *[(code, 0) for code, _ in held]]
                if layout is WedgeLayout.FRENCH and modifier == 0 and character == "^":
                    events += [(ecodes.KEY_SPACE, 1), (ecodes.KEY_SPACE, 0)]
                break
        else:
            raise AssertionError(f"{layout} cannot type {character!r}")
    return events


@pytest.mark.parametrize("layout", list(WedgeLayout))
def test_every_character_of_a_track_can_be_typed(layout: WedgeLayout) -> None:
    assert typed(strokes(TRACK_CHARACTERS, layout), layout) == TRACK_CHARACTERS


@given(st.text(TRACK_CHARACTERS), st.sampled_from(WedgeLayout))
def test_what_is_typed_comes_out(text: str, layout: WedgeLayout) -> None:
    assert typed(strokes(text, layout), layout) == text


@pytest.mark.parametrize("layout", list(WedgeLayout))
def test_a_whole_swipe(layout: WedgeLayout) -> None:
    assert parse_swipe(typed(strokes(ONE + TWO, layout), layout)) == parse_swipe(ONE + TWO)
    other = WedgeLayout.US if layout is WedgeLayout.FRENCH else WedgeLayout.FRENCH
    assert typed(strokes(TWO, layout), other) != TWO


@pytest.mark.parametrize(
    ("layout", "keys", "text"),
    [
        (WedgeLayout.US, "LEFTSHIFT 5", "%"),
        (WedgeLayout.US, "SEMICOLON", ";"),
        (WedgeLayout.US, "EQUAL", "="),
        (WedgeLayout.US, "LEFTSHIFT 6", "^"),
        (WedgeLayout.US, "RIGHTSHIFT SLASH", "?"),
        (WedgeLayout.US, "1", "1"),
        (WedgeLayout.US, "0", "0"),
        (WedgeLayout.US, "LEFTSHIFT A", "A"),
        (WedgeLayout.US, "A", "A"),
        (WedgeLayout.US, "LEFTSHIFT MINUS", "_"),
        (WedgeLayout.US, "KP7", "7"),
        (WedgeLayout.US, "ENTER", "\n"),
        (WedgeLayout.FRENCH, "LEFTSHIFT APOSTROPHE", "%"),
        (WedgeLayout.FRENCH, "COMMA", ";"),
        (WedgeLayout.FRENCH, "EQUAL", "="),
        (WedgeLayout.FRENCH, "LEFTBRACE SPACE", "^"),
        (WedgeLayout.FRENCH, "RIGHTALT 9", "^"),
        (WedgeLayout.FRENCH, "LEFTSHIFT M", "?"),
        (WedgeLayout.FRENCH, "LEFTSHIFT 1", "1"),
        (WedgeLayout.FRENCH, "LEFTSHIFT 0", "0"),
        (WedgeLayout.FRENCH, "LEFTSHIFT DOT", "/"),
        (WedgeLayout.FRENCH, "LEFTSHIFT COMMA", "."),
        (WedgeLayout.FRENCH, "Q", "A"),
        (WedgeLayout.FRENCH, "SEMICOLON", "M"),
        (WedgeLayout.FRENCH, "W", "Z"),
        (WedgeLayout.FRENCH, "1", "&"),
        (WedgeLayout.FRENCH, "2", "É"),
        (WedgeLayout.FRENCH, "KP7", "7"),
        (WedgeLayout.FRENCH, "KPENTER", "\n"),
        (WedgeLayout.FRENCH, "LEFTBRACE A", "^Q"),
        (WedgeLayout.FRENCH, "LEFTBRACE SPACE SPACE", "^ "),
        (WedgeLayout.FRENCH, "LEFTSHIFT LEFTBRACE", "¨"),
    ],
)
def test_keys(layout: WedgeLayout, keys: str, text: str) -> None:
    """Held in the order given: a modifier goes down first and stays."""
    assert typed([(ecodes.ecodes[f"KEY_{key}"], 1) for key in keys.split()], layout) == text


def test_digits_of_a_french_wedge_need_shift() -> None:
    assert typed(strokes("0123456789", WedgeLayout.FRENCH), WedgeLayout.FRENCH) == "0123456789"
    main_row = [(code, 1) for code in range(2, 12)]
    assert not set(typed(main_row, WedgeLayout.FRENCH)) & set("0123456789")


def test_the_number_block_types_digits_in_every_layout() -> None:
    keys = "KP0 KP1 KP2 KP3 KP4 KP5 KP6 KP7 KP8 KP9 KPSLASH KPASTERISK KPMINUS KPPLUS"
    block = [(ecodes.ecodes[f"KEY_{key}"], 1) for key in keys.split()]
    for layout in WedgeLayout:
        assert typed(block, layout) == typed([(SHIFT, 1), *block], layout) == "0123456789/*-+"


def test_only_a_key_going_down_types() -> None:
    assert typed([(ecodes.KEY_4, value) for value in (0, 1, 2, 2, 2, 0)], WedgeLayout.US) == "4"
    assert typed([(ecodes.KEY_4, 1), (ecodes.KEY_4, 0), (ecodes.KEY_4, 1)], WedgeLayout.US) == "44"


def test_either_shift_alone_is_enough() -> None:
    left_up = [
        (SHIFT, 1),
        (ecodes.KEY_RIGHTSHIFT, 1),
        (SHIFT, 2),
        (SHIFT, 0),
        (ecodes.KEY_5, 1),
        (ecodes.KEY_RIGHTSHIFT, 0),
        (ecodes.KEY_5, 1),
    ]
    assert typed(left_up, WedgeLayout.US) == "%5"


def test_a_key_that_types_nothing_is_not_dropped() -> None:
    assert typed([(ecodes.KEY_7, 1), (ecodes.KEY_F1, 1), (ecodes.KEY_8, 1)], WedgeLayout.US) == f"7{ODD}8"
    for held in ("KEY_LEFTCTRL", "KEY_RIGHTCTRL", "KEY_LEFTALT", "KEY_LEFTMETA", "KEY_RIGHTMETA"):
        assert (
            typed([(ecodes.ecodes[held], 1), (ecodes.KEY_7, 1), (ecodes.ecodes[held], 0), (ecodes.KEY_7, 1)], WedgeLayout.US) == f"{ODD}7"
        )
    assert typed([(ALT_GR, 1), (ecodes.KEY_5, 1)], WedgeLayout.US) == ODD
    locks = [(code, 1) for code in (ecodes.KEY_CAPSLOCK, ecodes.KEY_NUMLOCK, ecodes.KEY_SCROLLLOCK)]
    assert typed([*locks, (ecodes.KEY_A, 1)], WedgeLayout.US) == "A"


def test_lost_events_are_told_once_and_what_was_held_is_forgotten() -> None:
    decoder = WedgeDecoder(WedgeLayout.US)
    assert decoder.feed(wedge.EV_KEY, SHIFT, 1) is None
    assert decoder.feed(wedge.EV_SYN, wedge.SYN_REPORT, 0) is None
    assert decoder.feed(wedge.EV_SYN, wedge.SYN_DROPPED, 0) is Mark.TORN
    assert decoder.feed(wedge.EV_KEY, ecodes.KEY_5, 1) is None, "of a torn packet"
    assert decoder.feed(wedge.EV_SYN, wedge.SYN_REPORT, 0) is None
    assert decoder.feed(wedge.EV_KEY, ecodes.KEY_5, 1) == "5"
    assert decoder.feed(ecodes.EV_MSC, ecodes.MSC_SCAN, 5) is None
    decoder.feed(wedge.EV_KEY, SHIFT, 1)
    decoder.forget()
    assert decoder.feed(wedge.EV_KEY, ecodes.KEY_5, 1) == "5"


def test_codes_of_the_event_protocol() -> None:
    ours = (wedge.EV_SYN, wedge.EV_KEY, wedge.SYN_REPORT, wedge.SYN_DROPPED)
    assert ours == (ecodes.EV_SYN, ecodes.EV_KEY, ecodes.SYN_REPORT, ecodes.SYN_DROPPED)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 0x2FF), st.integers(0, 2))), st.sampled_from(WedgeLayout))
def test_any_events_are_taken(events: list[tuple[int, int, int]], layout: WedgeLayout) -> None:
    decoder = WedgeDecoder(layout)
    for event in events:
        got = decoder.feed(*event)
        assert got is None or got is Mark.TORN or (isinstance(got, str) and 1 <= len(got) <= 2)
