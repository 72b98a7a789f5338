"""APDUs and what 61xx and 6Cxx ask for, against a card that answers by a script."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.smartcard.apdu import ANSWER_MAX, GET_RESPONSE_MAX, ApduError, Command, Done, Exchange, Response, Send, parse_response, select

READ = Command(0x00, 0xB2, 0x01, 0x0C, le=256)


@pytest.mark.parametrize(
    ("command", "t0", "wire"),
    [
        (Command(0x00, 0xA4, 0x04, 0x00), False, "00A40400"),
        (Command(0x00, 0xA4, 0x04, 0x00), True, "00A4040000"),
        (READ, False, "00B2010C00"),
        (Command(0x00, 0xB0, 0x00, 0x00, le=16), True, "00B0000010"),
        (Command(0x00, 0x88, 0x00, 0x00, b"\x01\x02"), False, "00880000020102"),
        (Command(0x00, 0x88, 0x00, 0x00, b"\x01\x02", 256), False, "0088000002010200"),
        (Command(0x00, 0x88, 0x00, 0x00, b"\x01\x02", 256), True, "00880000020102"),
        (select(b"1PAY.SYS.DDF01"), False, "00A404000E315041592E5359532E444446303100"),
        (select(bytes.fromhex("F000000001"), next_one=True), False, "00A4040205F00000000100"),
    ],
)
def test_commands(command: Command, t0: bool, wire: str) -> None:
    assert command.encode(t0).hex().upper() == wire
    assert "\\x" not in repr(command), "data may be a secret"


@pytest.mark.parametrize(
    "command",
    [Command(256, 0, 0, 0), Command(0, -1, 0, 0), Command(0, 0, 0, 0, bytes(256)), Command(0, 0, 0, 0, le=0), Command(0, 0, 0, 0, le=257)],
)
def test_commands_that_cannot_be_written(command: Command) -> None:
    with pytest.raises(ApduError):
        command.encode()


def test_selecting_nothing() -> None:
    for name in (b"", bytes(17)):
        with pytest.raises(ApduError):
            select(name)


def test_responses() -> None:
    assert parse_response(b"ab\x90\x00") == Response(b"ab", 0x90, 0x00)
    assert parse_response(b"\x6a\x82").status == 0x6A82
    for answer in (b"", b"\x90", b"\x00\x00", b"\x60\x00", b"\x60", bytes(ANSWER_MAX) + b"\x90\x00"):
        with pytest.raises(ApduError):
            parse_response(answer)


def test_a_plain_answer() -> None:
    exchange = Exchange(READ)
    assert exchange.start() == Send(bytes.fromhex("00B2010C00"))
    assert exchange.receive(b"data\x90\x00") == Done(b"data", 0x9000)
    with pytest.raises(ApduError, match="to nothing"):
        exchange.receive(b"\x90\x00")


def test_an_answer_in_pieces() -> None:
    exchange = Exchange(Command(0x01, 0xA4, 0x04, 0x00, b"\xf0", 256), t0=True)
    assert exchange.start() == Send(bytes.fromhex("01A4040001F0"))
    assert exchange.receive(b"\x61\x03") == Send(bytes.fromhex("01C0000003")), "on the same channel"
    assert exchange.receive(b"abc\x61\x00") == Send(bytes.fromhex("01C0000000")), "00 is 256"
    assert exchange.receive(b"de\x90\x00") == Done(b"abcde", 0x9000)


def test_the_length_that_the_card_names() -> None:
    exchange = Exchange(READ)
    exchange.start()
    assert exchange.receive(b"\x6c\x05") == Send(bytes.fromhex("00B2010C05"))
    with pytest.raises(ApduError, match="another length"):
        exchange.receive(b"\x6c\x06")
    exchange = Exchange(READ)
    exchange.start()
    with pytest.raises(ApduError, match="another length"):
        exchange.receive(b"data\x6c\x05")
    exchange = Exchange(READ)
    exchange.start()
    exchange.receive(b"\x61\x05")
    assert exchange.receive(b"\x6c\x05") == Done(b"", 0x6C05), "after the first answer it is an ordinary refusal"


def test_a_card_without_an_end() -> None:
    exchange = Exchange(READ)
    exchange.start()
    for _ in range(GET_RESPONSE_MAX):
        assert isinstance(exchange.receive(b"x\x61\x10"), Send)
    with pytest.raises(ApduError, match="no end"):
        exchange.receive(b"x\x61\x10")


def test_one_exchange_is_one_command() -> None:
    exchange = Exchange(READ)
    with pytest.raises(ApduError, match="to nothing"):
        exchange.receive(b"\x90\x00")
    exchange.start()
    with pytest.raises(ApduError, match="one command"):
        exchange.start()


@given(
    st.lists(
        st.binary(max_size=300) | st.tuples(st.binary(max_size=20), st.integers(0x60, 0x9F)).map(lambda x: x[0] + bytes((x[1], 0x10))),
        max_size=15,
    )
)
def test_whatever_a_card_answers_only_apduerror_comes_out(answers: list[bytes]) -> None:
    exchange = Exchange(READ)
    exchange.start()
    said = b"".join(answers)
    for answer in answers:
        try:
            step = exchange.receive(answer)
        except ApduError:
            return
        if isinstance(step, Done):
            assert len(step.data) <= len(said)
            return
