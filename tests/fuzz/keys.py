"""What stripe readers and keypads may type: tracks as characters, and input events."""

from __future__ import annotations

from functools import cache
from random import Random

from drivers.events import Key, MediumPresented
from drivers.keypad.decode import KEYS, KeyDecoder
from drivers.magstripe.decode import StripeDecoder
from drivers.magstripe.tracks import SwipeError, lrc, parse_swipe
from drivers.magstripe.wedge import ENTER, TABLES, WedgeLayout
from tests.fuzz.surface import Surface, demand, mutated, pieces

TRACKS = (
    "%B7001231234567890123^DOE/JOHN^29121011234?;7001231234567890123=29121011234?",
    ";7001231234567890123=29121011234?",
    ";7001==?",
    "%B7001^AB^^^?",
    "%E?;7001231234567890123=29121011234?+12?",
    "%E?;E?",
)
_WORDS = (b"?", b";", b"%", b"=", b"^", b"+", b"!", b"E?", b";E?", b"\n", b"0" * 420, b"\xe9", "\uff11".encode())
EVENT = 5
"""Bytes of one input event in an input: type, code in two, value, milliseconds since the one before."""
_SHIFT = 42


def swipe(data: bytes) -> bool:
    """One swipe as text."""
    text = data[1:].decode("utf-8", "replace")
    found = parse_swipe(text, lrc_sent=bool(data and data[0] & 1))
    for track in (found.track_1, found.track_2):
        if track is not None:
            demand(track.pan.isascii() and track.pan.isdecimal() and len(track.pan) <= 19, "a number that none can be")
            demand(track.pan in text, "a number that was not typed")
    return True


def with_checks(text: str) -> str:
    """The tracks with the check characters that they should have; none behind a track that the reader could not read."""
    return "".join(f"{track}?{'' if track[1:] == 'E' else lrc(track + '?')}" for track in text.split("?")[:-1])


def a_swipe(dice: Random) -> bytes:
    """A swipe, changed."""
    text, checked = dice.choice(TRACKS), dice.random() < 0.3
    if checked:
        text = with_checks(text)
    good = text.encode()
    return bytes((checked,)) + (good if dice.random() < 0.1 else mutated(dice, good, _WORDS))


def wedge(data: bytes) -> bool:
    """Input events of a stripe reader: media of digits, or what cannot be read."""
    layout = tuple(WedgeLayout)[data[0] & 1] if data else WedgeLayout.US
    decoder = StripeDecoder(1, layout, bool(data and data[0] & 2))
    now, told = 0, []
    for event in pieces(data[1:], EVENT):
        kind, low, high, value, after = event.ljust(EVENT, b"\0")
        now += after
        told += decoder.feed(kind, low | high << 8, value, now)
    told += decoder.tick(now + 1_000)
    demand(decoder.next_wakeup() is None, "a swipe that never ends")
    read = [one.number for one in told if isinstance(one, MediumPresented)]
    demand(all(number.isascii() and number.isdecimal() for number in read), "a number that none can be")
    return bool(read)


@cache
def _codes(layout: WedgeLayout) -> dict[str, tuple[int, bool]]:
    plain, shifted, _ = TABLES[layout]
    return {character: (code, False) for code, character in plain.items()} | {
        character: (code, True) for code, character in shifted.items() if character not in plain.values()
    }


def _event(kind: int, code: int, value: int, after: int = 0) -> bytes:
    return bytes((kind, code & 0xFF, code >> 8, value, after))


def typed(text: str, layout: WedgeLayout) -> bytes:
    """A text as the events of its keys."""
    codes, said = _codes(layout), bytearray()
    for character in text:
        if character not in codes:
            continue
        code, shift = codes[character]
        for number, value in ((_SHIFT, 1), (code, 1), (code, 0), (_SHIFT, 0)) if shift else ((code, 1), (code, 0)):
            said += _event(1, number, value, 1) + _event(0, 0, 0)
    return bytes(said)


@cache
def _typed_track(layout: WedgeLayout, text: str, checked: bool) -> bytes:
    return typed((with_checks(text) if checked else text) + ENTER, layout)


def a_typed_swipe(dice: Random) -> bytes:
    """A swipe's events, some lost, doubled or others."""
    layout, checked = dice.choice(tuple(WedgeLayout)), dice.random() < 0.4
    events = bytearray(_typed_track(layout, dice.choice(TRACKS), checked))
    for _ in range(dice.choice((0, 1, 1, 3, 10))):
        at = dice.randrange(len(events) // EVENT + 1) * EVENT
        events[at : at + EVENT * dice.choice((0, 0, 1, 2, 20))] = dice.choice(_EVENTS) or dice.randbytes(EVENT)
    return bytes((tuple(WedgeLayout).index(layout) | checked << 1,)) + bytes(events)


_EVENTS = (
    *(b"", b"", _event(0, 3, 0), _event(0, 0, 0), _event(1, 28, 1)),
    *(_event(1, _SHIFT, 1), _event(1, 100, 1), _event(1, 58, 1), _event(1, 26, 1, 255)),
    *(_event(1, _SHIFT, 1) + _event(1, 13, 1) + _event(1, _SHIFT, 0), _event(1, 15, 1)),
)
"""None (any bytes), lost events, the end of a packet, Enter, Shift, AltGr, a lock, a dead key late, +, a key of nothing."""


def keypad(data: bytes) -> bool:
    """Input events of a keypad: keys that went down, and no others."""
    decoder = KeyDecoder()
    pressed = 0
    for event in pieces(data, EVENT):
        kind, low, high, value, _ = event.ljust(EVENT, b"\0")
        code = low | high << 8
        key = decoder.feed(kind, code, value)
        if key is not None:
            demand(isinstance(key, Key) and KEYS[code] is key, "another key than the one that was pressed")
            demand((kind, value) == (1, 1), "a key that did not go down")
            pressed += 1
    return pressed > 0


def some_keys(dice: Random) -> bytes:
    """Keys of a keypad, shifts, lost events and others."""
    codes = (*KEYS, 42, 54, 30, 0x2FF)
    said = bytearray()
    for _ in range(dice.choice((1, 4, 12, 40))):
        kind = dice.choice((1, 1, 1, 1, 0, dice.randrange(256)))
        said += _event(kind, dice.choice(codes) if kind else dice.choice((0, 3)), dice.choice((0, 1, 1, 1, 2, 255)))
    return bytes(said) if dice.random() < 0.8 else mutated(dice, bytes(said))


SURFACES = (
    Surface("stripe-swipe", "tracks as text", a_swipe, swipe, (SwipeError,)),
    Surface("stripe-events", "input events of a stripe reader", a_typed_swipe, wedge, unit=EVENT),
    Surface("keypad-events", "input events of a keypad", some_keys, keypad, unit=EVENT),
)
