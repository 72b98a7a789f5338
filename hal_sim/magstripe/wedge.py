"""A magnetic card drawn through a keyboard-wedge reader: tracks as text, and the key events that type them in two layouts.

Sources: ISO/IEC 7813 and 7811-2 (tracks, LRC), Linux input-event-codes.h, the layouts ``us`` and ``fr`` of xkeyboard-config; written from
``firmware_notes/stripes.md``. Each character is a row of the keys that a person would press, the modifier first.
"""

from __future__ import annotations

from enum import Enum
from random import Random

EV_SYN, EV_KEY = 0, 1
SYN_DROPPED = 3
SHIFT, ALT_GR, ENTER, F1, SPACE, CARET_KEY = 42, 100, 28, 59, 57, 26
ALL_CODES = tuple(range(1, 128))
"""What the device says that it can send: all of a keyboard."""

CHARACTER_NS = 1_000_000
"""One packet of events every millisecond: quicker than most wedges."""

Event = tuple[int, int, int]
Packet = tuple[Event, ...]


class WedgeLayout(Enum):
    """The keyboard that the reader pretends to be."""

    US = "us"
    FRENCH = "fr"


class SwipeFault(Enum):
    """What goes wrong while swiping."""

    NONE = "none"
    HALF = "half"  # the card stops in the middle
    DOUBLE = "double"  # the next card is drawn before Enter
    NOISE = "noise"  # repeats and releases that nobody pressed: no fault for who listens well
    DROPPED = "dropped"  # the kernel lost events
    STRAY = "stray"  # a key that is of no track
    ERROR = "error"  # the reader's own word: it could not read
    BAD_LRC = "bad lrc"


def _us() -> dict[str, tuple[int, ...]]:
    keys: dict[str, tuple[int, ...]] = {" ": (SPACE,)}
    for first, plain, shifted in (
        (2, "1234567890-=", "!@#$%^&*()_+"),
        (16, "qwertyuiop[]", "QWERTYUIOP{}"),
        (30, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
        (44, "zxcvbnm,./", "ZXCVBNM<>?"),
        (43, "\\", "|"),
    ):
        keys |= {character: (first + place,) for place, character in enumerate(plain)}
        keys |= {character: (SHIFT, first + place) for place, character in enumerate(shifted)}
    return keys


def _french() -> dict[str, tuple[int, ...]]:
    keys: dict[str, tuple[int, ...]] = {" ": (SPACE,)}
    for first, letters in ((16, "AZERTYUIOP"), (30, "QSDFGHJKLM"), (44, "WXCVBN")):
        keys |= {letter: (SHIFT, first + place) for place, letter in enumerate(letters)}
    keys |= {digit: (SHIFT, 2 + place) for place, digit in enumerate("1234567890")}
    keys |= {"&": (2,), '"': (4,), "'": (5,), "(": (6,), "-": (7,), "_": (9,), ")": (12,), "=": (13,), "+": (SHIFT, 13)}
    keys |= {"$": (27,), "%": (SHIFT, 40), "*": (43,), "<": (86,), ">": (SHIFT, 86)}
    keys |= {",": (50,), "?": (SHIFT, 50), ";": (51,), ".": (SHIFT, 51), ":": (52,), "/": (SHIFT, 52), "!": (53,)}
    return keys | {"#": (ALT_GR, 4), "[": (ALT_GR, 6), "\\": (ALT_GR, 9), "^": (ALT_GR, 10), "@": (ALT_GR, 11), "]": (ALT_GR, 12)}


KEYS = {WedgeLayout.US: _us(), WedgeLayout.FRENCH: _french()}


def check_character(track: str) -> str:
    """The LRC: every column of the characters made even, sentinels included, in the track's own code (ISO/IEC 7811-2)."""
    first, bits = (0x20, 6) if track[0] == "%" else (0x30, 4)
    columns = [sum((ord(character) - first) >> bit & 1 for character in track) % 2 for bit in range(bits)]
    return chr(first + sum(bit << place for place, bit in enumerate(columns)))


def tracks_of(number: str, which: tuple[int, ...], expiry: str, service: str, rest: str) -> list[str]:
    """The tracks of one card with their sentinels. Raises ValueError for a number that no stripe can hold, not repeating it."""
    if not (number.isascii() and number.isdigit() and 1 <= len(number) <= 19):
        raise ValueError("a stripe's number has 1 to 19 digits")
    texts = {1: f"%B{number}^DRIVER/A^{expiry or '^'}{service or '^'}{rest}?", 2: f";{number}={expiry or '='}{service or '='}{rest}?"}
    if not which or any(track not in texts for track in which):
        raise ValueError("the tracks are 1 and 2")
    return [texts[track] for track in sorted(set(which))]


def swipe_packets(tracks: list[str], second: list[str], layout: WedgeLayout, lrc: bool, fault: SwipeFault) -> list[Packet]:
    """What the reader types for one swipe, as packets of events; ``second`` is the card that follows too early."""
    lines = [";E?"] if fault is SwipeFault.ERROR else [*tracks, *(second if fault is SwipeFault.DOUBLE else [])]
    text = "".join(line + (_lrc(line, fault) if lrc and fault is not SwipeFault.ERROR else "") for line in lines)
    if fault is SwipeFault.HALF:
        text = text[: -len(lines[-1]) // 2]
    packets = [packet for character in text for packet in _typed(character, layout)]
    if fault is SwipeFault.NOISE:
        packets = _noisy(packets)
    middle = len(packets) // 2
    if fault is SwipeFault.DROPPED:
        packets[middle:middle] = [((EV_SYN, SYN_DROPPED, 0),)]
    if fault is SwipeFault.STRAY:
        packets[middle:middle] = [((EV_KEY, F1, 1),), ((EV_KEY, F1, 0),)]
    return packets if fault is SwipeFault.HALF else [*packets, *_key(ENTER)]


def _lrc(line: str, fault: SwipeFault) -> str:
    right = check_character(line)
    return right if fault is not SwipeFault.BAD_LRC else "1" if right != "1" else "2"


def _typed(character: str, layout: WedgeLayout) -> list[Packet]:
    if layout is WedgeLayout.FRENCH and character == "^":
        return [*_key(CARET_KEY), *_key(SPACE)]  # the dead key, made alive by a space
    codes = KEYS[layout][character]
    # One report of a USB keyboard carries its modifiers with its key, and the kernel makes one packet of it, modifiers first.
    return [tuple((EV_KEY, code, 1) for code in codes), tuple((EV_KEY, code, 0) for code in codes)]


def _key(code: int) -> list[Packet]:
    return [((EV_KEY, code, 1),), ((EV_KEY, code, 0),)]


def _noisy(packets: list[Packet]) -> list[Packet]:
    """Each key repeats while it is down, and keys come up that never went down."""
    dice = Random(4)
    noisy: list[Packet] = []
    for packet in packets:
        noisy.append(packet)
        kind, code, value = packet[-1]
        if value == 1:
            noisy.append(((kind, code, 2),))
            noisy.append(((EV_KEY, dice.choice((30, 44, 57)), 0),))
    return noisy
