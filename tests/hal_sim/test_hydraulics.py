"""Flow, meter and head without any protocol, and the wire's faults."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal_sim.dispensers.dart import DartBus, DartPosition
from hal_sim.dispensers.head import Change, Head, HeadOptions, HeadState
from hal_sim.dispensers.hydraulics import Flow, amount_of, volume_within
from hal_sim.wire import PPM, FaultRates, Faults, LineRate, Wire

GAZOLE = 17290


def make_head(**options: int | bool) -> Head:
    return Head({1: "GAZOLE", 2: "SP95"}, {1: GAZOLE, 2: 18990}, options=HeadOptions(**options))  # type: ignore[arg-type]


def released(head: Head, volume_ml: int | None = None, amount_minor: int | None = None) -> Head:
    assert head.set_preset(volume_ml, amount_minor, 0)
    assert head.set_allowed([1], 0)
    head.lift(1, 0)
    assert head.authorize(0)
    return head


def test_forty_litres_a_minute() -> None:
    flow = Flow(1_000, 12_500)
    assert flow.volume_at(1_000) == 0
    assert flow.volume_at(1_000 + 15_000) == 10_000
    assert flow.end_ms == 1_000 + 18_750
    assert flow.volume_at(10**9) == 12_500


def test_slow_down_before_the_end() -> None:
    flow = Flow(0, 10_000, 40_000, slow_ml=1_000, slow_rate_ml_per_min=4_000)
    assert flow.volume_at(13_500) == 9_000
    assert flow.end_ms == 13_500 + 15_000
    assert flow.volume_at(13_500 + 7_500) == 9_500


@given(
    volume=st.integers(0, 200_000),
    rate=st.integers(1, 700_000),
    slow=st.integers(0, 5_000),
    slow_rate=st.integers(1, 50_000),
    part=st.integers(0, 200_000),
)
def test_instant_and_volume_agree(volume: int, rate: int, slow: int, slow_rate: int, part: int) -> None:
    flow = Flow(77, volume, rate, slow, slow_rate)
    wanted = min(part, volume)
    at = flow.instant_of(wanted)
    assert flow.volume_at(at) >= wanted
    assert at == 77 or flow.volume_at(at - 1) < wanted
    assert flow.volume_at(flow.end_ms) == volume


@pytest.mark.parametrize(("rate", "volume"), [(0, 10), (-1, 10), (40_000, -1)])
def test_impossible_flows_are_refused(rate: int, volume: int) -> None:
    with pytest.raises(ValueError, match="flow"):
        Flow(0, volume, rate)


@given(amount=st.integers(1, 1_000_000), price=st.integers(1, 100_000), decimals=st.sampled_from([0, 2, 3]))
def test_volume_within_is_the_largest(amount: int, price: int, decimals: int) -> None:
    volume = volume_within(amount, price, decimals)
    assert amount_of(volume, price, decimals) <= amount < amount_of(volume + 1, price, decimals)


def test_amounts_round_half_up() -> None:
    assert amount_of(12_500, GAZOLE) == 2161
    assert amount_of(500, 100) == 1  # half a cent
    assert amount_of(499, 100) == 0


def test_a_fill_runs_by_time_alone_and_ends_with_the_nozzle() -> None:
    asked, silent = released(make_head(), 50_000), released(make_head(), 50_000)
    for head in (asked, silent):
        head.squeeze(12_500, 1_000)
        assert head.state is HeadState.FILLING
        assert head.delivering
    for now in range(1_000, 19_000, 7):
        asked.advance(now)
        assert asked.fill_ml(now) <= 12_500
    for head in (asked, silent):
        head.hang_up(60_000)
        assert (head.state, head.fill_ml(60_000), head.fill_minor(60_000)) == (HeadState.COMPLETED, 12_500, 2161)
        assert head.totals_ml(60_000) == {1: 12_500, 2: 0}
        assert head.preset == (None, None)


def test_trigger_in_two_goes_and_a_preset_between() -> None:
    head = released(make_head(), 10_000)
    head.squeeze(4_000, 0)
    head.advance(10_000)
    assert (head.state, head.delivering, head.fill_ml(10_000)) == (HeadState.FILLING, False, 4_000)
    head.squeeze(40_000, 20_000)
    assert head.next_change() == 20_000 + 9_000
    head.advance(29_000)
    assert (head.state, head.fill_ml(29_000), head.valve_open) == (HeadState.LIMIT_REACHED, 10_000, False)
    head.hang_up(30_000)
    assert head.state is HeadState.COMPLETED


def test_release_trigger_keeps_the_fill_open() -> None:
    head = released(make_head())
    head.squeeze(40_000, 0)
    head.release_trigger(1_501)
    assert (head.state, head.delivering, head.fill_ml(99_999)) == (HeadState.FILLING, False, 1_000)


def test_preset_amount_is_met_and_never_passed() -> None:
    head = released(make_head(), None, 5_000)
    head.squeeze(100_000, 0)
    head.advance(10**6)
    assert (head.state, head.fill_minor(10**6)) == (HeadState.LIMIT_REACHED, 5_000)


def test_overrun_flows_past_the_preset_and_is_counted() -> None:
    head = released(make_head(overrun_ml=150), 20_000)
    head.squeeze(100_000, 0)
    head.advance(10**6)
    assert head.fill_ml(10**6) == 20_150 == head.total_ml(1, 10**6)


def test_no_overrun_when_the_driver_stops_first() -> None:
    head = released(make_head(overrun_ml=150), 20_000)
    head.squeeze(19_000, 0)
    head.advance(10**6)
    assert (head.state, head.fill_ml(10**6)) == (HeadState.FILLING, 19_000)


def test_wrong_nozzle_never_opens_the_valve() -> None:
    head = make_head()
    head.set_allowed([1], 0)
    assert head.authorize(0)
    head.lift(2, 10)
    head.squeeze(5_000, 20)
    head.advance(10**6)
    assert (head.state, head.valve_open, head.delivering) == (HeadState.AUTHORIZED, False, False)
    head.hang_up(10**6)
    assert head.state is HeadState.COMPLETED
    assert head.totals_ml(10**6) == {1: 0, 2: 0}


def test_a_held_trigger_flows_as_soon_as_the_point_is_released() -> None:
    head = make_head()
    head.lift(1, 0)
    head.squeeze(1_000, 0)
    assert not head.delivering
    assert head.authorize(500)
    assert (head.state, head.next_change()) == (HeadState.FILLING, 2_000)


ACCEPTED = {
    "reset": {HeadState.COMPLETED, HeadState.LIMIT_REACHED},
    "authorize": {HeadState.RESET},
    "stop": {HeadState.AUTHORIZED, HeadState.FILLING, HeadState.SUSPENDED},
    "suspend": {HeadState.FILLING},
    "resume": {HeadState.SUSPENDED},
}


@pytest.mark.parametrize("state", list(HeadState))
@pytest.mark.parametrize("command", list(ACCEPTED))
def test_which_command_is_accepted_in_which_state(command: str, state: HeadState) -> None:
    head = Head({1: "GAZOLE"}, {1: GAZOLE}, state=state)
    done = getattr(head, command)(0)
    assert done is (state in ACCEPTED[command])
    assert (head.state is state) is not done


def test_suspend_and_resume_keep_the_rest() -> None:
    head = released(make_head(), 10_000)
    head.squeeze(50_000, 0)
    assert head.suspend(1_500)
    assert (head.fill_ml(60_000), head.valve_open) == (1_000, False)
    assert head.resume(60_000)
    head.advance(60_000 + 13_500)
    assert (head.state, head.fill_ml(10**6)) == (HeadState.LIMIT_REACHED, 10_000)


def test_power_loss_ends_the_fill_and_keeps_the_memory() -> None:
    head = released(make_head(), 50_000)
    head.squeeze(40_000, 0)
    head.power_off(3_000)
    assert head.fill_ml(10**6) == 2_000
    head.hang_up(4_000)
    head.power_on(5_000)
    assert (head.state, head.fill_ml(9_000), head.total_ml(1, 9_000)) == (HeadState.COMPLETED, 2_000, 2_000)
    assert head.prices == {1: GAZOLE, 2: 18990}


def test_the_stop_key_tells_its_state_and_the_emergency_stop_an_alarm_too() -> None:
    for emergency in (False, True):
        head = released(make_head(), 50_000)
        told: list[tuple[Change, int]] = []
        head.listeners.append(lambda change, at, told=told: told.append((change, at)))  # type: ignore[misc]
        head.squeeze(40_000, 0)
        if emergency:
            head.emergency_stop(True, 1_500)
        else:
            head.press_stop(1_500)
        assert told == [(Change.STATE, 0), (Change.STATE, 1_500), *([(Change.ALARM, 1_500)] if emergency else [])]
        assert head.fill_ml(10**6) == 1_000


def test_no_head_lets_fuel_flow_before_the_emergency_stop_is_reset() -> None:
    head = make_head()
    head.emergency_stop(True, 0)
    head.last_alarm = 0
    assert not head.authorize(100)
    assert head.last_alarm == 0x09
    head.emergency_stop(False, 200)
    assert head.authorize(300)


def test_prices_need_all_nozzles_and_no_release() -> None:
    head = Head({1: "GAZOLE", 2: "SP95"})
    assert not head.set_prices([17290], 0)
    assert head.set_prices([17290, 18990], 0)
    assert head.state is HeadState.COMPLETED
    assert head.reset(0)
    assert head.authorize(0)
    assert not head.set_prices([1, 1], 0)
    assert head.prices == {1: 17290, 2: 18990}


def test_a_head_without_prices_is_not_programmed() -> None:
    assert Head({1: "GAZOLE", 2: "SP95"}, {1: GAZOLE}).state is HeadState.NOT_PROGRAMMED
    assert make_head().state is HeadState.RESET


def test_a_price_change_leaves_the_kept_fill_as_it_was() -> None:
    head = released(make_head(), 50_000)
    head.squeeze(10_000, 0)
    head.hang_up(60_000)
    assert head.set_prices([99_990, 99_990], 60_001)
    assert head.fill_minor(60_002) == 1_729


def test_require_preset_and_local_delivery() -> None:
    head = make_head(require_preset=True)
    assert not head.authorize(0)
    head.dispense_locally(2, 5_000, 0)
    assert (head.totals_ml(0), head.fill_ml(0)) == ({1: 0, 2: 5_000}, 0)


@pytest.mark.parametrize("wrong", [{0: "A"}, {16: "A"}, {}])
def test_impossible_heads_are_refused(wrong: dict[int, str]) -> None:
    with pytest.raises(ValueError, match="nozzle"):
        Head(wrong)


def test_impossible_gestures_are_refused() -> None:
    head = make_head()
    with pytest.raises(ValueError, match="out"):
        head.hang_up(0)
    with pytest.raises(ValueError, match="nozzle"):
        head.squeeze(100, 0)
    head.lift(1, 0)
    with pytest.raises(ValueError, match="lifted"):
        head.lift(2, 0)


GESTURES = st.sampled_from(["lift1", "lift2", "hang", "squeeze", "let go", "stop button", "reset", "authorize", "stop", "off", "on"])


@given(st.lists(st.tuples(GESTURES, st.integers(0, 5_000)), max_size=40))
def test_totals_are_the_sum_of_the_fills_whatever_people_do(script: list[tuple[str, int]]) -> None:
    head = make_head()
    now, booked = 0, 0
    for gesture, pause in script:
        now += pause
        head.advance(now)
        if gesture.startswith("lift") and head.nozzle_out is None:
            head.lift(int(gesture[-1]), now)
        elif gesture == "hang" and head.nozzle_out is not None:
            head.hang_up(now)
        elif gesture == "squeeze" and head.nozzle_out is not None:
            head.squeeze(pause + 1, now)
        elif gesture == "reset":
            kept = head.fill_ml(now)
            if head.reset(now):
                booked += kept
        else:
            act = {"let go": head.release_trigger, "stop button": head.press_stop, "authorize": head.authorize, "stop": head.stop}
            power = {"off": head.power_off, "on": head.power_on}
            if gesture in act or gesture in power:
                {**act, **power}[gesture](now)
        assert sum(head.totals_ml(now).values()) == booked + head.fill_ml(now)


# the wire


def make_wire(rates: FaultRates | None = None, seed: int = 1) -> Wire:
    bus = DartBus([DartPosition(0x50, make_head())])
    faults = Faults(rates, Random(seed)) if rates is not None else None
    return Wire(bus, LineRate(), to_device=faults)


def test_a_poll_takes_its_time_both_ways() -> None:
    wire = make_wire()
    wire.send(bytes.fromhex("5020FA"), 100)
    assert wire.receive(113) == []
    assert wire.next_event() == 100 + 4 + 6 + 4
    assert wire.receive(114) == [(114, bytes.fromhex("5070FA"))]


def test_a_cut_wire_loses_both_ways() -> None:
    wire = make_wire()
    wire.send(bytes.fromhex("5020FA"), 0)
    wire.run_until(8)
    wire.cut = True
    assert wire.receive(100) == []
    wire.send(bytes.fromhex("5020FA"), 100)
    wire.cut = False
    assert wire.receive(1_000) == []


def test_echo_and_split() -> None:
    wire = Wire(DartBus([DartPosition(0x50, make_head())]), echo=True, to_master=Faults(FaultRates(split=PPM), Random(3)))
    wire.send(bytes.fromhex("5020FA"), 0)
    pieces = wire.receive(50)
    assert b"".join(piece for _, piece in pieces) == bytes.fromhex("5020FA5070FA")
    assert [len(piece) for _, piece in pieces] == [1] * 6
    assert [at for at, _ in pieces] == sorted(at for at, _ in pieces)


def test_each_fault_does_what_it_says() -> None:
    data = bytes(range(0x30, 0x3A))

    def with_rate(**rates: int) -> bytes:
        return b"".join(Faults(FaultRates(**rates), Random(5)).apply(data))

    assert with_rate() == data
    assert with_rate(drop=PPM) == b""
    assert len(with_rate(drop_byte=PPM)) == 9
    assert sum((a ^ b).bit_count() for a, b in zip(with_rate(flip=PPM), data, strict=True)) == 1
    assert with_rate(duplicate=PPM) == data * 2
    assert len(with_rate(noise=PPM)) > 10
    with pytest.raises(ValueError, match="parts per million"):
        FaultRates(drop=-1)


def test_a_seed_replays_its_faults() -> None:
    rates = FaultRates(drop=100_000, drop_byte=100_000, flip=300_000, duplicate=200_000, split=200_000, noise=300_000)

    def run(seed: int) -> list[list[bytes]]:
        faults = Faults(rates, Random(seed))
        return [faults.apply(b"\x50\x20\xfa") for _ in range(200)]

    assert run(7) == run(7)
    assert run(7) != run(8)
