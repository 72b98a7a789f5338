"""DART transactions to the forecourt's values and back (reference dispenser-protocols 1.7)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.dispenser.dart import mapping
from drivers.dispenser.dart.frames import Transaction
from drivers.dispenser.dart.mapping import AlarmReply, FillReply, NozzleReply, StatusReply, TotalReply
from drivers.dispenser.dart.profile import LineProfile, PositionProfile
from drivers.dispenser.units import Unsendable, floored, rounded
from drivers.events import PumpStatus

HEAD = PositionProfile(fp=1, address=0x50)
SOUM = PositionProfile(fp=1, address=0x50, amount_decimals=0, price_decimals=0, currency_decimals=0)
COARSE = PositionProfile(fp=1, address=0x50, volume_decimals=1, amount_decimals=0, total_decimals=0)


def words(code: int, data: str) -> Transaction:
    return Transaction(code, bytes.fromhex(data))


@pytest.mark.parametrize(
    ("profile", "transaction", "reply"),
    [
        (HEAD, words(1, "00"), StatusReply(PumpStatus.NOT_PROGRAMMED)),
        (HEAD, words(1, "06"), StatusReply(PumpStatus.LIMIT_REACHED)),
        (HEAD, words(1, "08"), StatusReply(PumpStatus.SUSPENDED)),
        (SOUM, words(2, "00000641 00067305"), FillReply(6410, 67305)),
        (HEAD, words(2, "00000641 00067305"), FillReply(6410, 67305)),
        (COARSE, words(2, "00000064 00000067"), FillReply(6400, 6700)),
        (HEAD, words(3, "001729 12"), NozzleReply(2, 17290, 2)),
        (HEAD, words(3, "001729 02"), NozzleReply(None, 17290, 2)),
        (SOUM, words(3, "010500 11"), NozzleReply(1, 105_000_000, 1)),
        (HEAD, words(5, "09"), AlarmReply("emergency stop")),
        (HEAD, words(5, "77"), AlarmReply("unknown alarm 77")),
        (HEAD, words(0x65, "01 0001234567 0000000042 0000000000"), TotalReply(1, 12_345_670)),
        (COARSE, words(0x65, "02 0000012345 0000000042 0000000000"), TotalReply(2, 12_345_000)),
    ],
)
def test_replies(profile: PositionProfile, transaction: Transaction, reply: mapping.Reply) -> None:
    assert mapping.reply(profile, transaction) == reply


@pytest.mark.parametrize(
    "transaction",
    [
        words(1, "03"),  # no such status
        words(1, ""),
        words(1, "0101"),
        words(2, "0000064A 00067305"),  # no digits
        words(2, "00000641"),
        words(3, "001729 10"),  # out, but which?
        words(3, "00ff29 11"),
        words(0x65, "01 00012345FF 0000000042 0000000000"),
        words(0x66, "00"),
    ],
)
def test_what_cannot_be_understood_says_nothing(transaction: Transaction) -> None:
    assert mapping.reply(HEAD, transaction) is None


@given(st.builds(Transaction, st.integers(0, 255), st.binary(max_size=20)))
def test_no_reply_breaks_anything(transaction: Transaction) -> None:
    mapping.reply(HEAD, transaction)


def test_presets_are_never_more_than_asked() -> None:
    assert mapping.preset(HEAD, 12_349, None) == words(3, "00001234")
    assert mapping.preset(HEAD, None, 8000) == words(4, "00008000")
    assert mapping.preset(COARSE, None, 8099) == words(4, "00000080")
    assert mapping.preset(HEAD, 10**12, None) == words(3, "99999999")


@pytest.mark.parametrize(("volume", "amount"), [(None, None), (1000, 1000), (9, None), (None, 0), (-1, None)])
def test_no_start_without_exactly_one_preset(volume: int | None, amount: int | None) -> None:
    with pytest.raises(Unsendable):
        mapping.preset(HEAD, volume, amount)


def test_prices_are_exact_or_refused() -> None:
    assert mapping.prices(HEAD, (11750, 12340)) == words(5, "001175 001234")
    assert mapping.prices(SOUM, (105_000_000,)) == words(5, "010500")
    for bad in ((), (11755,), (10**9,), (-10,), (10,) * 16):
        with pytest.raises(Unsendable):
            mapping.prices(HEAD, bad)


def test_nozzles() -> None:
    assert mapping.allowed_nozzle(2) == words(2, "02")
    assert mapping.request_total(9) == words(0x65, "09")
    for bad in (0, 16, -1):
        with pytest.raises(Unsendable):
            mapping.allowed_nozzle(bad)
        with pytest.raises(Unsendable):
            mapping.request_total(bad)
    with pytest.raises(Unsendable):
        mapping.request_total(10)  # 11...19 would be counters of money


@given(st.integers(0, 99_999_999), st.integers(0, 8), st.integers(0, 8))
def test_units_there_and_back(value: int, decimals: int, more: int) -> None:
    wider = rounded(value, decimals, decimals + more)
    assert rounded(wider, decimals + more, decimals) == value
    assert floored(wider, decimals + more, decimals) == value


def test_profiles_refuse_what_cannot_work() -> None:
    with pytest.raises(ValueError, match="baudrate"):
        LineProfile(baudrate=4800)
    with pytest.raises(ValueError, match="answer_window_ms"):
        LineProfile(answer_window_ms=0)
    with pytest.raises(ValueError, match="address"):
        PositionProfile(fp=1, address=0x70)
    with pytest.raises(ValueError, match="fp"):
        PositionProfile(fp=0, address=0x50)
    with pytest.raises(ValueError, match="price_decimals"):
        PositionProfile(fp=1, address=0x50, price_decimals=5)
    assert LineProfile().transmit_ms(3) == 4
    assert LineProfile(baudrate=19200).transmit_ms(3) == 2
