"""Tracks 1 and 2 of a magnetic stripe, out of the characters that a reader typed. Pure.

Sources: ISO/IEC 7813 (fields), ISO/IEC 7811-2 (characters, LRC), the reference on hosts 4.1; MagTek's TTL interface manual, section 3 and
appendix A (LRC examples, held in the tests). Luhn, expiry and what a service code means are the card table's business, not this page's.

    track 1   % B PAN ^ name ^ YYMM|^ service|^ discretionary ? [LRC]      at most 79 characters
    track 2   ; PAN = YYMM|= service|= discretionary ? [LRC]               at most 40

A track is never in an exception: ``SwipeError`` carries one of a few phrases.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

TRACK_1_MAX = 79
TRACK_2_MAX = 40
"""Longest track with sentinels and LRC, in characters."""

SWIPE_MAX = 400
"""Longest text looked at: three tracks and some noise; what is longer is no swipe."""

_STARTS = "%;+!"
_END = "?"
_READ_ERROR = "E"

_TRACK_1 = re.compile(r"B(?P<pan>\d{1,19})\^(?P<name>[^^]{2,26})\^(?P<expiry>\d{4}|\^)(?P<service>\d{3}|\^)(?P<rest>[^^]*)", re.ASCII)
_TRACK_2 = re.compile(r"(?P<pan>\d{1,19})=(?P<expiry>\d{4}|=)(?P<service>\d{3}|=)(?P<rest>[\d=]*)", re.ASCII)
_ALPHABET_1 = re.compile(r"[ -_]*")
_ALPHABET_2 = re.compile(r"[0-9:<=>]*")


class SwipeFault(Enum):
    """What was wrong with a swipe. The value is a phrase fit for ``MediumUnreadable.why``."""

    NOTHING = "no track"
    TORN = "swipe broken off"
    RUN_TOGETHER = "two swipes in one"
    READ_ERROR = "the reader could not read the stripe"
    NOISE = "noise beside the tracks"
    BAD_CHARACTER = "a character that no track has"
    BAD_LRC = "check character does not fit"
    TOO_LONG = "too long for a track"
    BAD_FORM = "not a card's track"
    DISAGREE = "the tracks are of two cards"


class SwipeError(Exception):
    """The swipe gives no number. Carries the fault and nothing of the track."""

    def __init__(self, fault: SwipeFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Track1:
    """Track 1, format B. ``expiry`` is YYMM and ``service_code`` three digits, None where the card leaves them out."""

    pan: str = field(repr=False)
    name: str = field(repr=False)
    expiry: str | None = field(repr=False)
    service_code: str | None = field(repr=False)
    discretionary: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Track2:
    """Track 2. ``data`` is everything between the sentinels, for the slices of the card table."""

    pan: str = field(repr=False)
    expiry: str | None = field(repr=False)
    service_code: str | None = field(repr=False)
    discretionary: str = field(repr=False)
    data: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Swipe:
    """What one swipe gave: at least one of the two."""

    track_1: Track1 | None
    track_2: Track2 | None


def lrc(text: str) -> str:
    """The check character over a track with both sentinels: each bit of the character values made even (ISO/IEC 7811-2).

    Track 1 has values of six bits from space on, the others four from ``0`` on; ``+`` so counts as the ``;`` that it stands for.
    """
    base, bits = (" ", 0x3F) if text.startswith("%") else ("0", 0x0F)
    total = 0
    for character in text:
        total ^= ord(character) - ord(base)
    return chr((total & bits) + ord(base))


def parse_swipe(text: str, lrc_sent: bool = False) -> Swipe:
    """All tracks of one swipe, as typed, without the closing Enter. Raises ``SwipeError``.

    ``lrc_sent`` says that this reader types the check character after each end sentinel: with it a LRC is demanded and checked, without it
    none may be there (it cannot be told from noise). A track 1 that the reader could not read (``%E?``) does not spoil a good track 2; a
    third track is left alone when it is told apart by its sentinel (``+`` or ``!``).
    """
    if len(text) > SWIPE_MAX:
        raise SwipeError(SwipeFault.TOO_LONG)
    track_1: Track1 | None = None
    track_2: Track2 | None = None
    tracks = _split(text, lrc_sent)
    starts = [track[0] for track in tracks]
    if len(set(starts)) != len(starts):
        raise SwipeError(SwipeFault.RUN_TOGETHER)
    failed = False
    for track in tracks:
        data = track[1:-1]
        if track[0] in "%;" and data == _READ_ERROR:
            failed = True
        elif track[0] == "%":
            track_1 = _track_1(data)
        elif track[0] == ";":
            track_2 = _track_2(data)
    if track_2 is None and (failed or track_1 is None):
        raise SwipeError(SwipeFault.READ_ERROR if failed else SwipeFault.NOTHING)
    if track_1 and track_2 and track_1.pan != track_2.pan:
        raise SwipeError(SwipeFault.DISAGREE)
    return Swipe(track_1, track_2)


def _split(text: str, lrc_sent: bool) -> list[str]:
    """The tracks with their sentinels, each checked as far as it can be without reading it."""
    if not any(start in text for start in _STARTS):
        raise SwipeError(SwipeFault.NOTHING)
    tracks = []
    at = 0
    while at < len(text):
        if text[at] not in _STARTS:
            raise SwipeError(SwipeFault.NOISE)
        end = text.find(_END, at)
        if end < 0:
            raise SwipeError(SwipeFault.TORN)
        track = text[at : end + 1]
        if any(start in track[1:] for start in "%;"):
            raise SwipeError(SwipeFault.RUN_TOGETHER)
        at = end + 1
        if lrc_sent and track[1:-1] != _READ_ERROR:
            if at >= len(text):
                raise SwipeError(SwipeFault.TORN)
            _check(track)
            if text[at] != lrc(track):
                raise SwipeError(SwipeFault.BAD_LRC)
            at += 1
        else:
            _check(track)
        tracks.append(track)
    return tracks


def _check(track: str) -> None:
    """Characters and length of a track; of a third track nothing is asked, since nothing of it is used."""
    alphabet, longest = (_ALPHABET_1, TRACK_1_MAX) if track[0] == "%" else (_ALPHABET_2, TRACK_2_MAX)
    data = track[1:-1]
    if track[0] in "%;" and data != _READ_ERROR:
        if not alphabet.fullmatch(data):
            raise SwipeError(SwipeFault.BAD_CHARACTER)
        if len(track) + 1 > longest:
            raise SwipeError(SwipeFault.TOO_LONG)


def _track_1(data: str) -> Track1:
    match = _TRACK_1.fullmatch(data)
    if match is None:
        raise SwipeError(SwipeFault.BAD_FORM)
    return Track1(match["pan"], match["name"], _given(match["expiry"]), _given(match["service"]), match["rest"])


def _track_2(data: str) -> Track2:
    match = _TRACK_2.fullmatch(data)
    if match is None:
        raise SwipeError(SwipeFault.BAD_FORM)
    return Track2(match["pan"], _given(match["expiry"]), _given(match["service"]), match["rest"], data)


def _given(text: str) -> str | None:
    """A field, or None for the separator that stands in its place."""
    return None if text in "^=" else text
