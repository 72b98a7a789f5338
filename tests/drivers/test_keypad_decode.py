"""Key codes into keys; the codes themselves are held against the library's own table."""

from __future__ import annotations

import pytest
from evdev import ecodes

from drivers.events import Key
from drivers.keypad import decode
from drivers.keypad.decode import KEYS, KeyDecoder


def press(decoder: KeyDecoder, code: int, value: int = 1) -> Key | None:
    key = decoder.feed(decode.EV_KEY, code, value)
    decoder.feed(decode.EV_SYN, decode.SYN_REPORT, 0)
    return key


@pytest.mark.parametrize(
    ("name", "key"),
    [(f"KEY_{row}{digit}", Key(str(digit))) for digit in range(10) for row in ("", "KP", "NUMERIC_")]
    + [
        ("KEY_ENTER", Key.ENTER),
        ("KEY_KPENTER", Key.ENTER),
        ("KEY_BACKSPACE", Key.CLEAR),
        ("KEY_KPDOT", Key.CLEAR),
        ("KEY_DELETE", Key.CLEAR),
        ("KEY_CLEAR", Key.CLEAR),
        ("KEY_ESC", Key.CANCEL),
        ("KEY_CANCEL", Key.CANCEL),
    ],
)
def test_codes(name: str, key: Key) -> None:
    assert press(KeyDecoder(), ecodes.ecodes[name]) is key


def test_codes_of_the_event_protocol() -> None:
    ours = (decode.EV_SYN, decode.EV_KEY, decode.SYN_REPORT, decode.SYN_DROPPED)
    assert ours == (ecodes.EV_SYN, ecodes.EV_KEY, ecodes.SYN_REPORT, ecodes.SYN_DROPPED)
    assert len(KEYS) == 38, "a code listed twice would vanish silently"


def test_every_other_code_means_nothing() -> None:
    assert {code for code in range(0x300) if press(KeyDecoder(), code) is not None} == set(KEYS)


def test_only_the_press_counts() -> None:
    decoder = KeyDecoder()
    got = [press(decoder, ecodes.KEY_4, value) for value in (1, 2, 2, 2, 0)]
    assert got == [Key.DIGIT_4, None, None, None, None]
    assert decoder.feed(ecodes.EV_MSC, ecodes.MSC_SCAN, 1) is None
    assert decoder.feed(ecodes.EV_LED, ecodes.KEY_4, 1) is None


def test_a_shifted_digit_is_punctuation() -> None:
    decoder = KeyDecoder()
    press(decoder, ecodes.KEY_LEFTSHIFT)
    press(decoder, ecodes.KEY_RIGHTSHIFT)
    press(decoder, ecodes.KEY_LEFTSHIFT, 2)
    assert press(decoder, ecodes.KEY_8) is None
    assert press(decoder, ecodes.KEY_KP8) is Key.DIGIT_8
    assert press(decoder, ecodes.KEY_ENTER) is Key.ENTER
    press(decoder, ecodes.KEY_LEFTSHIFT, 0)
    assert press(decoder, ecodes.KEY_8) is None
    press(decoder, ecodes.KEY_RIGHTSHIFT, 0)
    assert press(decoder, ecodes.KEY_8) is Key.DIGIT_8


def test_lost_events_end_a_torn_packet_and_forget_what_was_held() -> None:
    decoder = KeyDecoder()
    press(decoder, ecodes.KEY_LEFTSHIFT)
    assert decoder.feed(ecodes.EV_SYN, ecodes.SYN_DROPPED, 0) is None
    assert decoder.feed(ecodes.EV_KEY, ecodes.KEY_5, 1) is None, "of the torn packet"
    decoder.feed(ecodes.EV_SYN, ecodes.SYN_REPORT, 0)
    assert press(decoder, ecodes.KEY_5) is Key.DIGIT_5


def test_forget() -> None:
    decoder = KeyDecoder()
    press(decoder, ecodes.KEY_LEFTSHIFT)
    decoder.feed(ecodes.EV_SYN, ecodes.SYN_DROPPED, 0)
    decoder.forget()
    assert press(decoder, ecodes.KEY_5) is Key.DIGIT_5
