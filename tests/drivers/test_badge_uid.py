"""Numbers of badges and the shape of attacker-made bytes, without a reader.

UIDs and SAKs: NXP AN10833, AN10927. Records: NFC Forum NDEF 1.0 and Text RTD 1.0, written out by hand.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.badge.uid import (
    MAX_NUMBER_LENGTH,
    BadgeFamily,
    BadgeRefused,
    NumberProfile,
    badge_number,
    classify,
    first_text,
    full_ats,
    is_random,
    uid_number,
)

UID7 = bytes.fromhex("04A1B2C3D4E580")
TEXT = bytes.fromhex("D1010C5402656E") + b"BADGE-001"  # MB ME SR TNF=1, "T", "en"
URI = bytes.fromhex("9101085501") + b"x.test/"


def text_record(text: bytes, status: int = 2, flags: int = 0xD1) -> bytes:
    payload = bytes([status]) + b"en"[: status & 0x3F] + text
    return bytes([flags, 1, len(payload)]) + b"T" + payload


@pytest.mark.parametrize(
    ("atqa", "sak", "family"),
    [
        ("4400", 0x00, BadgeFamily.TYPE_2),  # Ultralight, NTAG
        ("4403", 0x20, BadgeFamily.TYPE_4),  # DESFire, NTAG 424
        ("0400", 0x20, BadgeFamily.TYPE_4),
        ("0403", 0x60, BadgeFamily.TYPE_4),
        ("0400", 0x08, BadgeFamily.MIFARE_CLASSIC),
        ("0200", 0x18, BadgeFamily.MIFARE_CLASSIC),
        ("0400", 0x09, BadgeFamily.MIFARE_CLASSIC),
        ("0400", 0x28, BadgeFamily.MIFARE_CLASSIC),
        ("0200", 0x38, BadgeFamily.MIFARE_CLASSIC),
        ("0400", 0x88, BadgeFamily.MIFARE_CLASSIC),
        ("0400", 0x10, BadgeFamily.UID_ONLY),  # MIFARE Plus in security level 2
        ("0400", 0x40, BadgeFamily.UID_ONLY),
    ],
)
def test_family_by_sak(atqa: str, sak: int, family: BadgeFamily) -> None:
    assert classify(bytes.fromhex(atqa), sak) is family


@pytest.mark.parametrize("atqa", [b"\x00\x0c", b"", b"\x44"])
def test_type_1_tag_and_broken_atqa_are_refused(atqa: bytes) -> None:
    with pytest.raises(BadgeRefused, match="unknown make"):
        classify(atqa, 0)


@pytest.mark.parametrize("uid", ["A1B2C3D4", "04A1B2C3D4E580", "04A1B2C3D4E580112233"])
def test_uid_is_upper_hex_in_the_order_of_the_air(uid: str) -> None:
    assert uid_number(bytes.fromhex(uid)) == uid


def test_random_uid_is_refused_whatever_the_badge_holds() -> None:
    assert is_random(bytes.fromhex("08123456"))
    assert not is_random(bytes.fromhex("08123456789ABC"))
    for ndef, profile in ((None, NumberProfile.UID), (TEXT, NumberProfile.AUTO)):
        with pytest.raises(BadgeRefused, match="random UID"):
            badge_number(bytes.fromhex("08123456"), ndef, profile)


@pytest.mark.parametrize("length", [0, 1, 5, 8, 11])
def test_impossible_uid_lengths(length: int) -> None:
    with pytest.raises(BadgeRefused, match="impossible UID length"):
        uid_number(bytes(length))


def test_profiles() -> None:
    assert badge_number(UID7, TEXT, NumberProfile.AUTO) == "BADGE-001"
    assert badge_number(UID7, TEXT, NumberProfile.UID) == "04A1B2C3D4E580"
    assert badge_number(UID7, None, NumberProfile.AUTO) == "04A1B2C3D4E580"
    assert badge_number(UID7, b"", NumberProfile.AUTO) == "04A1B2C3D4E580"
    assert badge_number(UID7, URI, NumberProfile.AUTO) == "04A1B2C3D4E580"


def test_the_first_text_record_counts_wherever_it_stands() -> None:
    message = URI + text_record(b"FLEET 7", flags=0x11) + text_record(b"SECOND", flags=0x51)
    assert first_text(message) == "FLEET 7"
    assert first_text(URI[:0]) is None
    # A record after the one with the message-end flag is no part of the message.
    assert first_text(bytes([URI[0] | 0x40]) + URI[1:] + TEXT) is None


def test_text_encodings_and_long_form() -> None:
    assert first_text(text_record("Schlüssel".encode())) == "Schlüssel"
    assert first_text(text_record("Ключ".encode("utf-16-be"), status=0x82)) == "Ключ"
    assert first_text(text_record("Ключ".encode("utf-16"), status=0x82)) == "Ключ"
    long_form = bytes.fromhex("C1010000000A54") + b"\x02enBADGE-1"
    assert first_text(long_form) == "BADGE-1"
    with_id = bytes.fromhex("D9010A0254") + b"id" + b"\x02enBADGE-2"
    assert first_text(with_id) == "BADGE-2"


@pytest.mark.parametrize(
    "message",
    [
        TEXT[:-1],
        TEXT[:3],
        b"\xd1",
        bytes.fromhex("F1010C5402656E") + b"BADGE-001",  # chunked
        text_record(b"", status=0x3F)[:4] + b"\x3f",
        bytes([0xD1, 1, 0]) + b"T",
        text_record(b"\xff\xfe\xfd"),
        text_record(b"\xd8\x00", status=0x82),
    ],
)
def test_broken_messages_are_refused_without_quoting_them(message: bytes) -> None:
    with pytest.raises(BadgeRefused) as caught:
        first_text(message)
    assert "BADGE" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("text", [b"AB\x00CD", b"AB\nCD", b"9" * (MAX_NUMBER_LENGTH + 1)])
def test_text_that_is_no_number(text: bytes) -> None:
    with pytest.raises(BadgeRefused, match="text is no number"):
        badge_number(UID7, text_record(text), NumberProfile.AUTO)


def test_blank_text_falls_back_to_the_uid_and_margins_are_cut() -> None:
    assert badge_number(UID7, text_record(b"  \t "), NumberProfile.AUTO) == "04A1B2C3D4E580"
    assert badge_number(UID7, text_record(b" 4711 \n"), NumberProfile.AUTO) == "4711"


@given(st.binary(max_size=80))
def test_any_bytes_give_a_text_none_or_a_refusal(message: bytes) -> None:
    try:
        number = badge_number(UID7, message, NumberProfile.AUTO)
    except BadgeRefused:
        return
    assert 0 < len(number) <= MAX_NUMBER_LENGTH


@pytest.mark.parametrize(
    ("ats", "full"),
    [
        ("067577810280", "067577810280"),  # DESFire: TA, TB, TC and one historical byte
        ("01", "0572004002"),  # nothing but its length: FSCI 2, FWI 4
        ("0205", "0575004002"),  # T0 alone
        ("03258E", "0575008E02"),  # TB(1) alone: where nfcpy looks for it there is nothing
        ("05450080AA", "077500400080AA"),  # TC(1) and history
        ("063577810280", "07757781020280"),  # TA and TB; 02 80 is history, not TC(1)
    ],
)
def test_ats_is_spelled_out(ats: str, full: str) -> None:
    assert full_ats(bytes.fromhex(ats)).hex().upper() == full


@pytest.mark.parametrize("ats", ["", "00", "02", "0375", "0775778102", "037577"])
def test_ats_that_contradicts_itself(ats: str) -> None:
    with pytest.raises(BadgeRefused, match="broken ATS"):
        full_ats(bytes.fromhex(ats))


@given(st.binary(max_size=24))
def test_any_ats_is_refused_or_long_enough_for_the_library(ats: bytes) -> None:
    try:
        full = full_ats(ats)
    except BadgeRefused:
        return
    assert full[0] == len(full) >= 5
    assert full_ats(full) == full
