"""What hunts found, each as it came in and by what is due now."""

from __future__ import annotations

import pytest

from drivers.badge.uid import BadgeRefused, full_ats
from drivers.magstripe.tracks import SwipeError, SwipeFault, lrc, parse_swipe
from terminal.explain import CaseError, explain_case

TWO = ";7001231234567890123=29121011234?"


@pytest.mark.parametrize("third", ["!\ufffd?", "+P@?", "+\ufffd\ufffd?", "!?"], ids=ascii)
def test_a_third_track_of_odd_characters_is_refused_and_nothing_else(third: str) -> None:
    """With a reader that types check characters: the sum of such a track was no character, and ``ValueError`` ended the reader's thread."""
    with pytest.raises(SwipeError) as refused:
        parse_swipe(f"{TWO}{lrc(TWO)}{third}z", lrc_sent=True)
    assert refused.value.fault is SwipeFault.BAD_LRC


def test_a_third_track_has_the_check_character_of_its_own_sentinel() -> None:
    """``+`` stands for the ``;`` that is on the stripe (ISO/IEC 4909): 11 ^ 1 ^ 2 ^ 15 is 7."""
    assert parse_swipe(f"{TWO}{lrc(TWO)}+12?7", lrc_sent=True) == parse_swipe(TWO)
    with pytest.raises(SwipeError, match=SwipeFault.BAD_LRC.value):
        parse_swipe(f"{TWO}{lrc(TWO)}+12?8", lrc_sent=True)


@pytest.mark.parametrize("size", [253, 254, 255])
def test_an_ats_too_long_to_be_spelled_out_is_a_badge_refused(size: int) -> None:
    """Its length is one byte: with the bytes that it leaves out it would have more than 255, and a plain ``ValueError`` came out."""
    with pytest.raises(BadgeRefused, match="broken ATS"):
        full_ats(bytes((size, 0x02)) + bytes(size - 2))


def test_the_longest_ats_that_can_be_spelled_out_is() -> None:
    """252 bytes with nothing between the format byte and the historical ones, 255 with everything."""
    assert full_ats(bytes((252, 0x02)) + bytes(250)) == bytes((255, 0x72, 0x00, 0x40, 0x02)) + bytes(250)
    whole = bytes((255, 0x72, 0x80, 0x40, 0x02)) + bytes(250)
    assert full_ats(whole) == whole


@pytest.mark.parametrize("raw", [b'{"a.b":1,"', b'{"a.b":1,"\\q":1}', b'{"`a":[],"'], ids=ascii)
def test_a_case_with_a_wrong_field_before_broken_json_is_refused(raw: bytes) -> None:
    """The field is complained of before the rest is read: looking for its line met the rest, and a traceback came out."""
    with pytest.raises(CaseError, match="unknown field"):
        explain_case(b"\n" + raw)
