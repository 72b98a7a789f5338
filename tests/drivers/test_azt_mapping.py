"""Digits on an AZT wire and the forecourt's numbers (reference dispenser-protocols 3.4, 3.5; azt.md)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.dispenser.azt import mapping
from drivers.dispenser.azt.frames import Answer, Command, Short, Word
from drivers.dispenser.azt.mapping import Digits, Register, State, StatusReply
from drivers.dispenser.azt.profile import PositionProfile
from drivers.dispenser.units import Unsendable

USUAL = PositionProfile(1, 1)
THREE = PositionProfile(1, 1, price_decimals=3)
YEN = PositionProfile(1, 1, price_decimals=0, amount_decimals=0, currency_decimals=0)


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (b"0", StatusReply(State.HANGING, False)),
        (b"1", StatusReply(State.LIFTED, False)),
        (b"2", StatusReply(State.AUTHORIZED, False)),
        (b"31", StatusReply(State.STARTED, False)),
        (b"40", StatusReply(State.FINISHED, False)),
        (b"41", StatusReply(State.FINISHED, True)),
        (b"4051", StatusReply(State.FINISHED, False)),
        (b"8", StatusReply(State.LOCAL_DOSE, False)),
        (b"5", None),
        (b":", None),
        (b"", None),
    ],
)
def test_status(data: bytes, reply: StatusReply | None) -> None:
    assert mapping.status(data) == reply


@pytest.mark.parametrize(
    ("profile", "code", "data", "register"),
    [
        (USUAL, b":", b"0005000225004500", Register(5_000, 22_500, 450_000)),
        (USUAL, b";", b"00050000022500004500", Register(5_000, 22_500, 450_000)),
        (USUAL, b"A", b"0050000225004500", Register(5_000, 22_500, 450_000)),
        (USUAL, b"A", b"0050000225004500999", Register(5_000, 22_500, 450_000)),
        (THREE, b":", b"0012500021611729", Register(12_500, 2_161, 17_290)),
        (YEN, b":", b"0010000018000180", Register(10_000, 1_800, 1_800_000)),
        (USUAL, b";", b"0005000225004500", None),
        (USUAL, b":", b"00050002250045:0", None),
    ],
)
def test_the_register_by_type_and_decimals(profile: PositionProfile, code: bytes, data: bytes, register: Register | None) -> None:
    digits = mapping.digits_of(code)
    assert digits is not None
    assert mapping.register(profile, digits, data) == register


def test_every_type_is_known_and_no_other() -> None:
    assert {code for code in range(0x30, 0x5F) if mapping.digits_of(bytes((code,)))} == set(range(0x3A, 0x42))
    assert mapping.digits_of(b"@") == Digits(6, 8, 6)
    assert mapping.digits_of(b"") is None


@given(st.integers(1, 2_000_000))
def test_a_dose_of_volume_never_exceeds_what_was_asked_nor_what_the_protocol_carries(volume_ml: int) -> None:
    try:
        request = mapping.dose(USUAL, volume_ml, None)
    except Unsendable:
        assert volume_ml < 10
        return
    told = int(request.data) * 10
    assert request.command == Command.DOSE_VOLUME.value
    assert len(request.data) == 5
    assert told == min(volume_ml // 10 * 10, 990_000)


@given(st.integers(1, 5_000_000))
def test_a_dose_of_money_is_never_above_what_was_asked(amount_minor: int) -> None:
    request = mapping.dose(USUAL, None, amount_minor)
    assert request.command == Command.DOSE_AMOUNT.value
    assert request.data == f"{min(amount_minor, 999_999):06d}".encode()


@given(st.integers(0, 99_000), st.integers(1, 9_999))
def test_what_a_fill_costs_is_rounded_half_up(hundredths: int, unit_price: int) -> None:
    assert mapping.cost(USUAL, hundredths * 10, unit_price * 100) == (hundredths * unit_price + 50) // 100


@pytest.mark.parametrize(("value", "data"), [(450_000, b"4500"), (100, b"0001"), (999_900, b"9999")])
def test_a_price_is_told_exactly(value: int, data: bytes) -> None:
    assert mapping.price(USUAL, (value,)).data == data


@pytest.mark.parametrize("data", [b"", b"0012a4", b"::::::"])
def test_what_is_no_number_is_none(data: bytes) -> None:
    assert mapping.volume(USUAL, data) is None
    assert mapping.total(USUAL, data) is None
    assert mapping.transaction(data) is None


def test_totals_of_any_width() -> None:
    for width in range(8, 13):
        assert mapping.total(USUAL, f"{1_234_567:0{width}d}{0:0{width}d}".encode()) == 12_345_670


GIVEN = {
    Command.STATUS: b"40",
    Command.CURRENT: b"000500",
    Command.TOTALS: b"00012345670061728315",
    Command.TYPE: b":",
    Command.TRANSACTION: b"00000003",
}
COMMANDS = (Command.AUTHORIZE, Command.RESET, Command.CONFIRM, Command.PRICE, Command.SLOW_DOWN, Command.DOSE_AMOUNT, Command.DOSE_VOLUME)


def test_no_answer_is_taken_for_that_to_another_question() -> None:
    for asked in GIVEN:
        for answered, data in GIVEN.items():
            assert mapping.fits(asked.value, Answer(data)) is (asked is answered), (asked, answered)
    for command in COMMANDS:
        assert not any(mapping.fits(command.value, Answer(data)) for data in GIVEN.values())
        assert all(mapping.fits(command.value, Short(word)) for word in Word)
    for asked in GIVEN:
        assert not mapping.fits(asked.value, Short(Word.ACK))
        assert mapping.fits(asked.value, Short(Word.CAN)) is (asked is not Command.STATUS)
