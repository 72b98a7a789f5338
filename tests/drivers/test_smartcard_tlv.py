"""BER-TLV of smart cards: what is read, what is refused, and that nothing else can come out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.smartcard.tlv import DEPTH_MAX, SIZE_MAX, Tlv, TlvError, TlvFault, encode, find, find_all, parse

PPSE = bytes.fromhex(
    "6F3A840E325041592E5359532E4444463031A528BF0C2561234F07A0000000031010500A566973612044656269748701019F0A080001050100000000"
)
"""Answer to SELECT PPSE of a payment card (reference/security-and-reliability.md 3.2)."""


def fault_of(data: bytes) -> TlvFault:
    with pytest.raises(TlvError) as refusal:
        parse(data)
    assert str(refusal.value) == refusal.value.fault.value
    return refusal.value.fault


def test_a_directory_as_recorded() -> None:
    objects = parse(PPSE)
    assert find(objects, 0x6F, 0x84).value == b"2PAY.SYS.DDF01"
    assert find(objects, 0x6F, 0xA5, 0xBF0C, 0x61, 0x4F).value.hex().upper() == "A0000000031010"
    assert find(objects, 0x6F, 0xA5, 0xBF0C, 0x61, 0x9F0A).value == bytes.fromhex("0001050100000000")
    assert repr(objects) == "(Tlv(tag=111),)"


def test_every_shorter_text_is_refused() -> None:
    for length in range(1, len(PPSE)):
        assert fault_of(PPSE[:length]) is TlvFault.SHORT


def test_missing_and_double_objects() -> None:
    entries = parse(encode(0x61, b"\x4f\x01\x01") + encode(0x61, b"\x4f\x01\x02"))
    assert [find(entry.children, 0x4F).value for entry in find_all(entries, 0x61)] == [b"\x01", b"\x02"]
    for path, fault in (((0x61, 0x4F), TlvFault.DUPLICATE), ((0x62,), TlvFault.MISSING), ((), TlvFault.MISSING)):
        with pytest.raises(TlvError) as refusal:
            find(entries, *path)
        assert refusal.value.fault is fault
    with pytest.raises(TlvError):
        find(parse(b"\x84\x01\x00"), 0x84, 0x4F)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ("84", TlvFault.SHORT),
        ("8401", TlvFault.SHORT),
        ("9F", TlvFault.SHORT),
        ("9F81", TlvFault.SHORT),
        ("8481", TlvFault.SHORT),
        ("848201", TlvFault.SHORT),
        ("8482010000", TlvFault.SHORT),
        ("8480", TlvFault.BAD_LENGTH),
        ("6F80840101 0000", TlvFault.BAD_LENGTH),
        ("848400000001AA", TlvFault.BAD_LENGTH),
        ("84FF", TlvFault.BAD_LENGTH),
        ("9F8001", TlvFault.BAD_TAG),
        ("9F0001", TlvFault.BAD_TAG),
        ("DF81818101", TlvFault.BAD_TAG),
        ("DF8181010100", TlvFault.BAD_TAG),
        ("6F03840200", TlvFault.SHORT),
    ],
)
def test_what_is_refused(data: str, fault: TlvFault) -> None:
    assert fault_of(bytes.fromhex(data)) is fault


def test_what_is_allowed_though_unusual() -> None:
    assert parse(b"") == ()
    assert parse(bytes(5)) == ()
    assert parse(bytes.fromhex("0084010100")) == (Tlv(0x84, b"\x01"),), "zeros are padding"
    assert parse(bytes.fromhex("84810101")) == (Tlv(0x84, b"\x01"),), "a longer length than needed"
    assert parse(bytes.fromhex("DF81010101")) == (Tlv(0xDF8101, b"\x01"),)
    assert parse(bytes.fromhex("8400")) == (Tlv(0x84, b""),)


def test_limits() -> None:
    deepest = b""
    for _ in range(DEPTH_MAX - 1):
        deepest = encode(0x6F, deepest)
    parse(encode(0x84, b"") if not deepest else deepest)
    assert fault_of(encode(0x6F, encode(0x6F, deepest))) is TlvFault.TOO_DEEP
    assert fault_of(bytes(SIZE_MAX + 1)) is TlvFault.TOO_LONG
    for tag in (-1, 0, 0x1F, 0x9F80, 0x8484, 0xDF818181):
        with pytest.raises(TlvError):
            encode(tag, b"")
    with pytest.raises(TlvError):
        encode(0x84, bytes(SIZE_MAX + 1))


PRIMITIVE_TAGS = st.sampled_from([0x5A, 0x57, 0x84, 0x4F, 0x9F0A, 0x5F20, 0xDF8101])
OUTER_TAGS = st.sampled_from([0x6F, 0x61, 0xA5, 0x70, 0xBF0C])
TREES = st.recursive(
    st.tuples(PRIMITIVE_TAGS, st.binary(max_size=300)).map(lambda item: encode(*item)),
    lambda inner: st.tuples(OUTER_TAGS, st.lists(inner, max_size=3)).map(lambda item: encode(item[0], b"".join(item[1]))),
    max_leaves=8,
)


def written(item: Tlv) -> bytes:
    return encode(item.tag, b"".join(map(written, item.children)) or item.value)


@given(st.lists(TREES, max_size=3).map(b"".join))
def test_what_was_written_is_read_and_written_again(data: bytes) -> None:
    try:
        objects = parse(data)
    except TlvError as error:
        assert error.fault is TlvFault.TOO_DEEP  # noqa: PT017
        return
    assert b"".join(map(written, objects)) == data


@settings(max_examples=500)
@given(st.binary(max_size=80) | st.tuples(st.integers(0, len(PPSE) - 1), st.integers(1, 255)).map(lambda change: mutated(*change)))
def test_whatever_a_card_says_only_tlverror_comes_out(data: bytes) -> None:
    try:
        objects = parse(data)
    except TlvError:
        return
    assert sum(len(item.value) for item in objects) <= len(data)


def mutated(at: int, by: int) -> bytes:
    return PPSE[:at] + bytes((PPSE[at] ^ by,)) + PPSE[at + 1 :]
