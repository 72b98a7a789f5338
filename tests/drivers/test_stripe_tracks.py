"""Tracks of a magnetic stripe: forms, faults, check characters, and nothing of a track in any error."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drivers.magstripe.swipe import IDLE_MS, SwipeCollector, Unreadable
from drivers.magstripe.tracks import SWIPE_MAX, Swipe, SwipeError, SwipeFault, Track1, Track2, lrc, parse_swipe

ONE = "%B7001231234567890123^FLEET/VEHICLE 12^49125000000000000?"
TWO = ";7001231234567890123=491250012345?"
PAN = "7001231234567890123"


def fault_of(text: str, lrc_sent: bool = False) -> SwipeFault:
    with pytest.raises(SwipeError) as refusal:
        parse_swipe(text, lrc_sent)
    assert refusal.value.__context__ is None
    assert str(refusal.value) == refusal.value.fault.value
    return refusal.value.fault


def test_a_whole_swipe() -> None:
    swipe = parse_swipe(ONE + TWO)
    assert swipe.track_1 == Track1(PAN, "FLEET/VEHICLE 12", "4912", "500", "0000000000")
    assert swipe.track_2 == Track2(PAN, "4912", "500", "12345", TWO[1:-1])
    assert repr(swipe) == "Swipe(track_1=Track1(), track_2=Track2())"


def test_each_track_alone_and_in_any_order() -> None:
    assert parse_swipe(ONE).track_2 is None
    assert parse_swipe(TWO).track_1 is None
    assert parse_swipe(TWO + ONE) == parse_swipe(ONE + TWO) == parse_swipe(ONE + TWO + "+01234=ANYTHING?")


@pytest.mark.parametrize(
    ("data", "expiry", "service", "rest"),
    [
        ("7001=4912500", "4912", "500", ""),
        ("7001==500", None, "500", ""),
        ("7001=4912=", "4912", None, ""),
        ("7001===", None, None, ""),
        ("7001===12=34", None, None, "12=34"),
        ("7001==5001", None, "500", "1"),
    ],
)
def test_fields_that_a_card_leaves_out(data: str, expiry: str | None, service: str | None, rest: str) -> None:
    assert parse_swipe(f";{data}?").track_2 == Track2("7001", expiry, service, rest, data)
    one = parse_swipe(f"%B{data.split('=')[0]}^NAME^{data.split('=', 1)[1].replace('=', '^', 2 - bool(expiry) - bool(service))}?").track_1
    assert one is not None
    assert (one.expiry, one.service_code) == (expiry, service)


@pytest.mark.parametrize(
    ("track", "check"),
    [
        ("%AT3?", "<"),  # MagTek's TTL interface manual, section 1
        (";00?", "4"),  # the same, section 3
        (";01?", "5"),
        ("%7C^SZ?", "9"),  # DataCard CP80 service manual, section 2
    ],
)
def test_check_characters_as_published(track: str, check: str) -> None:
    assert lrc(track) == check


def test_check_character_sent() -> None:
    sent = ONE + lrc(ONE) + TWO + lrc(TWO)
    assert parse_swipe(sent, lrc_sent=True) == parse_swipe(ONE + TWO)
    assert fault_of(sent) is SwipeFault.NOISE, "a reader that sends it must be set up so"
    assert fault_of(ONE + TWO, lrc_sent=True) is SwipeFault.BAD_LRC
    assert fault_of(TWO, lrc_sent=True) is SwipeFault.TORN
    assert parse_swipe(f"%E?{TWO}{lrc(TWO)}", lrc_sent=True).track_2 is not None


def test_every_changed_character_is_seen_by_the_check_character() -> None:
    sent = TWO + lrc(TWO)
    for at in range(len(sent)):
        for digit in "0123456789=:<>;?":
            if digit != sent[at]:
                fault_of(sent[:at] + digit + sent[at + 1 :], lrc_sent=True)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", SwipeFault.NOTHING),
        ("7001=4912500?", SwipeFault.NOTHING),
        ("%", SwipeFault.TORN),
        (TWO[:-1], SwipeFault.TORN),
        (ONE + TWO[:9], SwipeFault.TORN),
        (TWO[:9] + TWO, SwipeFault.RUN_TOGETHER),
        (TWO[:9] + ONE + TWO, SwipeFault.RUN_TOGETHER),
        (TWO + TWO, SwipeFault.RUN_TOGETHER),
        (ONE + TWO + ONE + TWO, SwipeFault.RUN_TOGETHER),
        ("%E?", SwipeFault.READ_ERROR),
        (";E?", SwipeFault.READ_ERROR),
        (ONE + ";E?", SwipeFault.READ_ERROR),
        ("+1?", SwipeFault.NOTHING),
        ("x" + TWO, SwipeFault.NOISE),
        (TWO + "x", SwipeFault.NOISE),
        (TWO + "\r", SwipeFault.NOISE),
        (";7001=4912500\ufffd1?", SwipeFault.BAD_CHARACTER),
        (";7001=4912500A?", SwipeFault.BAD_CHARACTER),
        ("%B7001^small^4912500?", SwipeFault.BAD_CHARACTER),
        (f";7001=4912500{'1' * 26}?", SwipeFault.TOO_LONG),
        (f"%B7001^NAME^4912500{'1' * 59}?", SwipeFault.TOO_LONG),
        ("%" * (SWIPE_MAX + 1), SwipeFault.TOO_LONG),
        (";7001?", SwipeFault.BAD_FORM),
        (";=4912500?", SwipeFault.BAD_FORM),
        (";70012312345678901234=4912500?", SwipeFault.BAD_FORM),
        (";7001=49?", SwipeFault.BAD_FORM),
        (";7001=4912?", SwipeFault.BAD_FORM),
        (";7001=4912500:?", SwipeFault.BAD_FORM),
        ("%A7001^NAME^4912500?", SwipeFault.BAD_FORM),
        ("%B7001^N^4912500?", SwipeFault.BAD_FORM),
        ("%B7001^NAME^4912500^?", SwipeFault.BAD_FORM),
        ("%B٧٠٠١^NAME^4912500?", SwipeFault.BAD_CHARACTER),
        ("%B7002^NAME^4912500?;7001=4912500?", SwipeFault.DISAGREE),
    ],
)
def test_faults(text: str, fault: SwipeFault) -> None:
    assert fault_of(text) is fault


def test_the_longest_tracks_pass() -> None:
    assert parse_swipe(f";7001=4912500{'1' * 25}?").track_2 is not None, "40 with its check character"
    assert parse_swipe(f"%B7001^NAME^4912500{'1' * 58}?").track_1 is not None, "79 with its check character"


DIGITS = "0123456789"
FIELD_2 = st.tuples(
    st.text(DIGITS, min_size=1, max_size=19),
    st.text(DIGITS, min_size=4, max_size=4) | st.just("="),
    st.text(DIGITS, min_size=3, max_size=3) | st.just("="),
    st.text(DIGITS + "=", max_size=8),
)


@given(FIELD_2, st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ /.-", min_size=2, max_size=26), st.booleans())
def test_what_was_written_is_read(fields: tuple[str, str, str, str], name: str, lrc_sent: bool) -> None:
    pan, expiry, service, rest = fields
    two = f";{pan}={expiry}{service}{rest}?"
    one = f"%B{pan}^{name}^{expiry}{service}?".replace("=", "^")
    text = one + lrc(one) + two + lrc(two) if lrc_sent else one + two
    swipe = parse_swipe(text, lrc_sent)
    known = (None if expiry == "=" else expiry, None if service == "=" else service)
    assert swipe.track_1 is not None
    assert swipe.track_2 is not None
    assert (swipe.track_1.pan, swipe.track_1.name, swipe.track_1.expiry, swipe.track_1.service_code) == (pan, name, *known)
    assert (swipe.track_2.pan, swipe.track_2.expiry, swipe.track_2.service_code, swipe.track_2.discretionary) == (pan, *known, rest)


NOISE = st.text("%;?+!B^=E0123456789 AZ\n\ufffdé", max_size=120)


@given(NOISE | st.text(max_size=60), st.booleans())
@example("%B7001^NAME^4912500?;7001=4912500?", False)
def test_whatever_is_typed_only_swipe_error_comes_out(text: str, lrc_sent: bool) -> None:
    try:
        swipe = parse_swipe(text, lrc_sent)
    except SwipeError:
        return
    assert swipe.track_1 or swipe.track_2


# --- where a swipe ends -----------------------------------------------------------------------------------------------

GOOD = parse_swipe(ONE + TWO)


def collected(chunks: list[str], lrc_sent: bool = False) -> list[Swipe | Unreadable]:
    collector = SwipeCollector(lrc_sent)
    got = [outcome for chunk in chunks for outcome in collector.receive(chunk, 1_000)]
    return got + collector.tick(1_000 + IDLE_MS)


def test_enter_or_a_pause_ends_a_swipe() -> None:
    collector = SwipeCollector()
    assert collector.next_wakeup() is None
    assert collector.receive(ONE + TWO, 0) == []
    assert collector.next_wakeup() == IDLE_MS
    assert collector.tick(IDLE_MS - 1) == []
    assert collector.tick(IDLE_MS) == [GOOD]
    assert collector.next_wakeup() is None
    assert collector.receive("\n", IDLE_MS + 1) == [], "an Enter that comes late ends nothing"
    assert collector.receive(ONE + TWO + "\n", 5_000) == [GOOD]
    assert collector.next_wakeup() is None


def test_the_next_swipe_after_a_pause_is_another() -> None:
    collector = SwipeCollector()
    collector.receive(TWO[:9], 0)
    assert collector.receive(ONE + TWO + "\n", IDLE_MS) == [Unreadable(SwipeFault.TORN), GOOD]


def test_lost_events_spoil_the_swipe_under_way_and_no_other() -> None:
    collector = SwipeCollector()
    collector.receive(ONE, 0)
    collector.torn(1)
    assert collector.receive(TWO + "\n", 2) == [Unreadable(SwipeFault.TORN)]
    assert collector.receive(TWO + "\n", 3) == [parse_swipe(TWO)]
    collector.torn(4)
    assert collector.tick(4 + IDLE_MS) == [Unreadable(SwipeFault.TORN)]


def test_a_stuck_reader_fills_no_memory() -> None:
    collector = SwipeCollector()
    for now in range(1_000):
        collector.receive("%" * 50, now)
    assert len(collector._text) <= SWIPE_MAX + 1
    assert collector.receive("\n", 1_001) == [Unreadable(SwipeFault.TOO_LONG)]


@given(st.lists(st.sampled_from([ONE, TWO, ONE + TWO, "\n", TWO[:7], "x", "%E?"]), max_size=8), st.data())
def test_how_the_characters_are_cut_changes_nothing(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    chunks = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert collected(chunks) == collected([text]) == collected(list(text))
