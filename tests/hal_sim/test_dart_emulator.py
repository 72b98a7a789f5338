"""The DART emulator in hand-made sessions and with the habits of foreign masters."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal_sim.dispensers import dart_codec as codec
from hal_sim.dispensers.dart import DartBus, DartPosition
from hal_sim.dispensers.head import Head, HeadOptions, HeadState

GOLDEN: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).parents[2] / "firmware_notes" / "dart.frames.toml").read_text(encoding="utf-8"),
)["frame"]
POLL = bytes.fromhex("5020FA")
EOT = bytes.fromhex("5070FA")


# a master by hand


@dataclass
class Hand:
    """A master that does exactly what it is told, one exchange at a time."""

    bus: DartBus
    now: int = 0
    number: int = 0

    def exchange(self, wire: bytes) -> bytes:
        self.now += 20
        self.bus.on_bytes(wire, self.now)
        answers = self.bus.take_output()
        assert all(at == self.now + self.bus.answer_delay_ms for at, _ in answers)
        return b"".join(data for _, data in answers)

    def command(self, transactions: str, number: int | None = None) -> bytes:
        if number is None:
            self.number = self.number + 1 if self.number < 15 else 1
            number = self.number
        return self.exchange(codec.encode(0x50, codec.DATA | number, bytes.fromhex(transactions)))

    def ack(self, number: int) -> bytes:
        return self.exchange(bytes((0x50, codec.ACK | number, codec.SF)))

    def drain(self) -> list[str]:
        """Poll and acknowledge until EOT: the transactions, in order."""
        said: list[str] = []
        while (answer := self.exchange(POLL)) != EOT:
            (frame,) = codec.FrameReader(accept_unescaped=False).feed(answer, 0)
            said += [codec.transaction(trans, data).hex() for trans, data in codec.split_transactions(frame.data)]
            assert self.ack(frame.number) == b""
        return said

    def ask(self, transactions: str) -> list[str]:
        assert self.command(transactions)[1] & 0xF0 == codec.ACK
        return self.drain()


def make_head(**options: int | bool) -> Head:
    return Head({1: "GAZOLE", 2: "SP95"}, {1: 17290, 2: 18990}, options=HeadOptions(**options))  # type: ignore[arg-type]


def make_hand(head: Head | None = None) -> tuple[Hand, Head, DartPosition]:
    head = head if head is not None else make_head()
    position = DartPosition(0x50, head)
    return Hand(DartBus([position])), head, position


def test_a_whole_fuelling_by_hand() -> None:
    hand, head, _ = make_hand()
    assert hand.exchange(POLL) == EOT
    assert hand.ask("010100") == ["010101", "030400172901"]
    assert hand.ask("650101") == ["651001" + "00" * 15]
    head.lift(1, hand.now)
    assert hand.drain() == ["030400172911"]
    assert hand.ask("020101" + "030400005000") == []
    assert head.preset == (50_000, None)
    assert hand.ask("010106") == ["010102"]
    assert head.valve_open
    head.squeeze(12_500, hand.now)
    assert hand.drain() == ["010104"]
    hand.now += 7_500
    live = hand.ask("010104")[0]
    assert live.startswith("0208")
    assert 500 <= int(live[4:12]) < 520
    hand.now += 60_000
    head.hang_up(hand.now)
    assert hand.drain() == ["030400172901", "010105"]
    assert hand.ask("010104") == ["0208" + "00001250" + "00002161"]
    assert hand.ask("650101" + "650111") == [
        "651001" + "0000001250" * 2 + "00" * 5,
        "651011" + "0000002161" * 2 + "00" * 5,
    ]
    assert hand.ask("010105") == ["010101"]
    assert hand.ask("010104") == ["0208" + "00" * 8]


def test_preset_reached_then_nozzle_in() -> None:
    hand, head, _ = make_hand(make_head(overrun_ml=120))
    assert hand.ask("020101" + "040400002000" + "010106") == ["010102"]
    head.lift(1, hand.now)
    head.squeeze(90_000, hand.now)
    assert hand.drain() == ["030400172911", "010104"]
    hand.now += 120_000
    assert hand.drain() == ["010106"]
    head.hang_up(hand.now)
    assert hand.drain() == ["030400172901", "010105"]
    volume = 11_570 + 120  # the most that still shows 20.00 at 1.729, and the overrun
    assert hand.ask("010104") == [f"0208{volume // 10:08d}{(volume * 1729 + 5_000) // 10_000:08d}"]


def test_wrong_nozzle_is_reported_and_never_flows() -> None:
    hand, head, _ = make_hand()
    hand.ask("020101" + "030400005000" + "010106")
    head.lift(2, hand.now)
    head.squeeze(5_000, hand.now)
    assert hand.drain() == ["030400189912"]
    hand.now += 60_000
    assert hand.ask("010104") == ["0208" + "00" * 8]
    head.hang_up(hand.now)
    assert hand.drain() == ["030400189902", "010105"]


def test_one_frame_start_of_the_field() -> None:
    hand, head, _ = make_hand(Head({n: f"P{n}" for n in (1, 2, 3, 4)}, state=HeadState.COMPLETED))
    golden = next(frame for frame in GOLDEN if frame["name"] == "one_frame_start")
    assert hand.exchange(bytes.fromhex(golden["wire"])) == bytes.fromhex("50C1FA")
    assert hand.drain() == ["010101", "010102"]
    assert head.prices == {1: 11_750, 2: 12_340, 3: 17_290, 4: 18_990}
    assert head.preset == (999_000, None)


def test_an_unpriced_head_wants_all_its_prices() -> None:
    hand, head, _ = make_hand(Head({1: "GAZOLE", 2: "SP95"}))
    assert hand.ask("010100") == ["010100", "030400000001"]
    assert hand.ask("0503001729") == []
    assert hand.ask("0506001729001899") == ["010105"]
    assert head.prices == {1: 17_290, 2: 18_990}
    assert hand.ask("010105") == ["010101"]


# the link


def test_unacknowledged_data_comes_again_unchanged() -> None:
    hand, head, _ = make_hand()
    head.lift(1, 0)
    first = hand.exchange(POLL)
    head.hang_up(hand.now)
    assert hand.exchange(POLL) == first
    assert hand.ack(first[1] & 0x0F) == b""
    assert hand.drain() == ["030400172901"]


def test_ack_of_another_number_is_no_ack_but_zero_is() -> None:
    hand, head, position = make_hand()
    for _ in range(2):
        head.lift(1, hand.now)
        hand.drain()
        head.hang_up(hand.now)
        hand.drain()
    head.lift(1, hand.now)
    data = hand.exchange(POLL)
    assert data[1] == 0x34
    hand.ack(9)
    assert hand.exchange(POLL) == data
    hand.ack(0)
    assert hand.exchange(POLL) == EOT
    assert position.ack_mismatches == 2


def test_pump_numbers_go_from_zero_to_fifteen_and_then_to_one() -> None:
    hand, _, _ = make_hand()
    seen: list[int] = []
    for _ in range(18):
        hand.command("010104")
        answer = hand.exchange(POLL)
        seen.append(answer[1] & 0x0F)
        hand.ack(seen[-1])
    assert seen == [*range(16), 1, 2]


def test_a_repeated_number_is_acknowledged_and_not_executed() -> None:
    hand, head, position = make_hand()
    assert hand.command("010106", 5) == bytes.fromhex("50C5FA")
    assert head.state is HeadState.AUTHORIZED
    head.stop(hand.now)
    head.reset(hand.now)
    assert hand.command("010106", 5) == bytes.fromhex("50C5FA")
    assert (head.state, position.repeats) == (HeadState.RESET, 1)
    assert hand.command("010106", 6) == bytes.fromhex("50C6FA")
    assert head.state is HeadState.AUTHORIZED


def test_number_zero_is_always_executed() -> None:
    hand, head, _ = make_hand()
    for _ in range(2):
        assert hand.command("010106", 0) == bytes.fromhex("50C0FA")
        assert head.state is HeadState.AUTHORIZED
        head.stop(hand.now)
        head.reset(hand.now)


def test_a_bad_crc_is_met_with_silence() -> None:
    hand, head, _ = make_hand()
    wire = bytearray(codec.encode(0x50, 0x31, bytes.fromhex("010106")))
    wire[5] ^= 1
    assert hand.exchange(bytes(wire)) == b""
    assert (head.state, hand.bus.rejected) == (HeadState.RESET, 1)


def test_nak_when_told_and_on_a_torn_transaction() -> None:
    hand, head, position = make_hand()
    position.nak_next = 1
    assert hand.command("010106", 3) == bytes.fromhex("5053FA")
    assert hand.command("0106", 3) == bytes.fromhex("5053FA")
    assert (head.state, position.refused) == (HeadState.RESET, 1)
    assert hand.command("010106", 3) == bytes.fromhex("50C3FA")
    assert head.state is HeadState.AUTHORIZED


def test_unknown_transactions_and_wrong_bcd_are_acknowledged_and_change_nothing() -> None:
    hand, head, position = make_hand()
    assert hand.ask("0D0101" + "0703000000" + "030400AB0000" + "010104") == ["0208" + "00" * 8]
    assert (head.preset, position.refused) == ((None, None), 1)


def test_other_addresses_and_cut_drops_are_silent() -> None:
    hand, head, position = make_hand()
    assert hand.exchange(bytes.fromhex("5120FA")) == b""
    position.connected = False
    head.lift(1, 0)
    assert hand.exchange(POLL) == b""
    assert hand.command("010106", 1) == b""
    assert head.state is HeadState.RESET
    position.connected = True
    assert hand.drain() == ["030400172911"]


def test_power_loss_keeps_totals_and_restarts_the_numbers() -> None:
    hand, head, _ = make_hand()
    hand.ask("020101" + "030400005000" + "010106")
    head.lift(1, hand.now)
    head.squeeze(40_000, hand.now)
    hand.drain()
    hand.now += 3_000
    head.power_off(hand.now)
    assert hand.exchange(POLL) == b""
    flowed = head.fill_ml(hand.now)
    assert flowed > 0
    head.power_on(hand.now)
    answer = hand.exchange(POLL)
    assert answer[1] == 0x30
    hand.ack(0)
    assert hand.ask("010104") == [f"0208{flowed // 10:08d}{head.fill_minor(0):08d}"]
    assert hand.ask("650101") == ["651001" + f"{flowed // 10:010d}" * 2 + "00" * 5]


@pytest.mark.parametrize("lie", ["acks_and_does_nothing", "never_leaves_5"])
def test_lies_are_acknowledged_and_have_no_effect(lie: str) -> None:
    head = make_head()
    setattr(head, lie, True)
    hand, _, _ = make_hand(head)
    if lie == "never_leaves_5":
        head.state = HeadState.COMPLETED
    before = head.state
    assert hand.ask("010106" if before is HeadState.RESET else "010105") == []
    assert head.state is before


def test_a_clumsy_master_gets_its_fill() -> None:
    """TX number always 0, ACK always C0, everything twice, prices again and again, no escaping."""
    hand, head, _ = make_hand(Head({1: "GAZOLE", 2: "SP95"}, {1: 17290, 2: 18990}, state=HeadState.COMPLETED))

    def drain() -> list[str]:
        said = []
        while (answer := hand.exchange(POLL)) != EOT:
            (frame,) = codec.FrameReader().feed(answer, 0)
            said.append(frame.data.hex())
            hand.ack(0)
        return said

    for _ in range(2):
        hand.command("0506001729001899", 0)
    for _ in range(2):
        hand.command("010105", 0)
    assert drain() == ["010101"]
    for _ in range(2):
        hand.command("010106", 0)
    assert drain() == ["010102"]
    head.lift(1, hand.now)
    head.squeeze(6_410, hand.now)
    drain()
    hand.now += 60_000
    head.hang_up(hand.now)
    assert drain() == ["030400172901" + "010105"]
    hand.command("010104", 0)
    assert drain() == ["0208" + "00000641" + "00001108"]


def test_an_unescaped_stop_flag_in_a_command() -> None:
    hand, head, _ = make_hand()
    for price in range(1, 10_000):
        data = bytes.fromhex(f"0506{price:06d}001899")
        wire = codec.encode(0x50, 0x30, data)
        if wire.count(0xFA) > 1:
            assert hand.exchange(wire.replace(b"\x10\xfa", b"\xfa")) == bytes.fromhex("50C0FA")
            assert head.prices[1] == price * 10
            return
    pytest.fail("no price with a stop flag in its CRC was found")


def test_burst_sends_on_after_each_ack_and_ends_with_eot() -> None:
    head = make_head()
    position = DartPosition(0x50, head, burst=True)
    hand = Hand(DartBus([position]))
    for _ in range(20):
        head.lift(1, 0)
        head.hang_up(0)
    first = hand.exchange(POLL)
    second = hand.ack(first[1] & 0x0F)
    assert second[1] == 0x31
    assert hand.ack(1) == EOT


def test_decimals_are_the_pumps_own() -> None:
    head = make_head()
    hand = Hand(DartBus([DartPosition(0x50, head, volume_decimals=3, amount_decimals=3, price_decimals=4, totals_decimals=0)]))
    hand.ask("030400012500" + "0506017290018990" + "010106")
    assert head.preset == (12_500, None)
    head.lift(1, hand.now)
    head.squeeze(99_000, hand.now)
    hand.now += 60_000
    assert hand.drain() == ["030401729011", "010104", "010106"]
    assert hand.ask("010104" + "650101") == ["0208" + "00012500" + "00021610", "651001" + "0000000012" * 2 + "00" * 5]


def test_impossible_lines_are_refused() -> None:
    with pytest.raises(ValueError, match="address"):
        DartPosition(0x70, make_head())
    with pytest.raises(ValueError, match="decimals"):
        DartPosition(0x50, make_head(), price_decimals=5)
    with pytest.raises(ValueError, match="two positions"):
        DartBus([DartPosition(0x50, make_head()), DartPosition(0x50, make_head())])


# skipping idle time


def test_quiet_until_knows_queue_flow_and_silence() -> None:
    hand, head, position = make_hand()
    assert hand.bus.quiet_until(0) is None
    hand.ask("030400001000" + "010106")
    head.lift(1, hand.now)
    assert hand.bus.quiet_until(hand.now) == hand.now
    hand.drain()
    assert hand.bus.quiet_until(hand.now) is None
    head.squeeze(50_000, hand.now)
    ends = hand.now + 15_000
    hand.drain()
    assert hand.bus.quiet_until(hand.now) == ends == hand.bus.next_wakeup()
    assert hand.bus.quiet_until(ends) == ends
    position.connected = False
    assert hand.bus.quiet_until(hand.now) == hand.now


@given(volume=st.integers(10, 30_000), preset=st.integers(1, 3_000), step=st.integers(1, 700))
def test_skipping_and_polling_leave_the_same_trace(volume: int, preset: int, step: int) -> None:
    def run(skip: bool) -> list[bytes]:
        hand, head, _ = make_hand()
        hand.ask(f"0304{preset:08d}" + "010106")
        head.lift(1, hand.now)
        head.squeeze(volume, hand.now)
        trace: list[bytes] = []
        start = hand.now
        while hand.now < start + 60_000:
            quiet = hand.bus.quiet_until(hand.now)
            if skip and (quiet is None or quiet > hand.now):
                # Jump to the last poll of the grid that is certainly EOT.
                until = start + 60_000 if quiet is None else quiet
                hand.now += max(0, (until - 1 - hand.now) // (20 + step)) * (20 + step)
            answer = hand.exchange(POLL)
            if answer != EOT:
                trace.append(answer + hand.now.to_bytes(4, "big"))
                hand.ack(answer[1] & 0x0F)
                hand.now -= 20
            hand.now += step
        return trace

    assert run(skip=True) == run(skip=False)
