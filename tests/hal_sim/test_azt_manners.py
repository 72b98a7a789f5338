"""The AZT emulator: what it takes when, other makes, power and the line."""

from __future__ import annotations

import pytest

from hal_sim.dispensers import azt_codec as codec
from hal_sim.dispensers.azt import AztBus, AztHead, AztPosition, AztSettings
from hal_sim.dispensers.head import HeadState
from tests.hal_sim.azt_kit import ACK, CAN, NAK, PRICE, Hand, filled, in_state, make, make_head

# what is taken when


@pytest.mark.parametrize("state", ["0", "1", "2", "3", "4", "8"])
@pytest.mark.parametrize(
    ("command", "data", "states"),
    [
        ("3", "", "238"),
        ("8", "", "4"),
        ("Q", "4600", "01"),
        ("R", "050", "01"),
        ("S", "008000", "01"),
        ("T", "00700", "01"),
        ("O", "G020", "01"),
        ("V", "", "2"),
        *((command, "", "012348") for command in "1456PY7"),
        ("N", "G", "012348"),
    ],
)
def test_commands_are_taken_in_their_states_alone(command: str, data: str, states: str, state: str) -> None:
    hand, _ = in_state(state)
    before = hand.status
    answer = hand.ask(command, data)
    assert (answer != CAN) == (state in states)
    if answer == CAN:
        assert hand.status == before
        assert hand.ask("Y") == ("00000001" if state in "234" else "00000000")


@pytest.mark.parametrize("state", ["0", "1", "2", "3", "4", "8"])
def test_a_release_needs_rest_and_a_dose(state: str) -> None:
    hand, _ = in_state(state)
    hand.ask("T", "00500")
    assert hand.ask("2") == (ACK if state in "018" else CAN)


WRONG = "T99001 T0050 T T0A500 S12345 Q450 R5 OG000 OG999 O;002 O;181 O<031"


@pytest.mark.parametrize(("command", "data"), [(text[0], text[1:]) for text in WRONG.split()])
def test_wrong_data_is_refused_and_changes_nothing(command: str, data: str) -> None:
    hand, head = make()
    before = (dict(head.prices), head.preset, head.options, head.no_flow_ms, head.full_tank_ms)
    assert hand.ask(command, data) == CAN
    assert (dict(head.prices), head.preset, head.options, head.no_flow_ms, head.full_tank_ms) == before


@pytest.mark.parametrize("command", ["9", "[", "\\", "Z", "A"])
def test_an_unknown_command_is_nak(command: str) -> None:
    hand, _ = make()
    assert hand.ask(command) == NAK
    assert hand.ask("N", "Z") == NAK
    assert hand.ask("O", "Z111") == NAK


def test_unknown_data_behind_the_known_is_ignored() -> None:
    hand, head = make()
    assert hand.ask("1", "777") == "0"
    assert hand.ask("Q", "4600" + "99") == ACK
    assert head.prices == {1: 460_000}
    assert hand.ask("T", "00500" + "0" + "00123") == ACK
    assert head.preset == (5_000, None)


def test_the_smallest_dose_is_a_parameter() -> None:
    hand, _ = make()
    assert hand.ask("N", "G") == "001"
    assert hand.ask("O", "G200") == ACK
    assert hand.ask("N", "G") == "200"
    assert hand.ask("T", "00199") == CAN
    assert hand.ask("T", "00200") == ACK


def test_dose_0_takes_the_dose_away() -> None:
    hand, _ = make()
    hand.ask("S", "008000")
    assert hand.ask("X") == "000177"
    assert hand.ask("T", "00000") == ACK
    assert hand.ask("X") == CAN


# power, wire, other makes


@pytest.mark.parametrize("state", ["2", "3", "4"])
def test_a_power_cut_ends_a_release_and_keeps_the_record(state: str) -> None:
    hand, head = make()
    if state == "4":
        filled(hand, head)
    else:
        hand.ask("T", "00500")
        hand.ask("2")
        if state == "3":
            head.lift(1, hand.now)
            head.squeeze(2_000, hand.now)
            hand.wait(60_000)
    head.power_off(hand.now)
    assert hand.ask("1") == ""
    head.power_on(hand.now)
    assert hand.status == "40"
    assert hand.ask("4") == ("000000" if state == "2" else "000200")
    assert hand.ask("6")[:10] == ("0000000000" if state == "2" else "0000000200")
    assert head.prices == {1: PRICE}


def test_a_head_that_forgets_its_record() -> None:
    hand, head = make()
    head.forgets_record = True
    filled(hand, head)
    head.power_off(hand.now)
    head.power_on(hand.now)
    assert hand.status == "0"
    assert hand.ask("5") == "000000" + "000000" + "4500"
    assert hand.ask("6")[:10] == "0000000200"
    assert hand.ask("Y") == "00000001"


def test_a_head_that_acknowledges_and_does_nothing() -> None:
    hand, head = make()
    head.acks_and_does_nothing = True
    hand.ask("T", "00500")
    assert hand.ask("2") == ACK
    assert (hand.status, hand.ask("Y")) == ("0", "00000000")


def test_a_head_that_never_leaves_finished() -> None:
    hand, head = make()
    filled(hand, head)
    head.never_leaves_5 = True
    assert hand.ask("8") == ACK
    assert hand.status == "40"


def test_a_coarse_totaliser() -> None:
    hand, head = make(settings=AztSettings(totals_step_ml=1_000, totals_digits=8))
    filled(hand, head, 1_990)
    assert hand.ask("6") == "00000100" + "00008955"
    assert head.total_ml(1, hand.now) == 1_990


def test_a_head_that_confirms_itself_and_starts_with_the_flow() -> None:
    hand, head = make()
    head.confirms_itself = head.starts_with_flow = True
    hand.ask("T", "00500")
    hand.ask("2")
    head.lift(1, hand.now)
    assert hand.status == "2"
    head.squeeze(1_000, hand.now)
    assert hand.status == "3"
    hand.wait(60_000)
    head.hang_up(hand.now)
    assert hand.status == "0"
    assert (hand.ask("4"), hand.ask("Y")) == ("000100", "00000001")


def test_a_head_that_drops_its_release_with_the_hang_up() -> None:
    hand, head = make()
    head.starts_with_flow = head.hang_up_drops_release = True
    hand.ask("T", "00500")
    hand.ask("2")
    head.lift(1, hand.now)
    head.hang_up(hand.now)
    assert hand.status == "40"


def test_more_digits_and_other_decimals() -> None:
    head = AztHead({1: "GAZOLE"}, {1: 17_290})
    hand, _ = make(head, AztSettings(type_code=0x3B, price_decimals=3, status_tail=b"55"))
    assert hand.ask("7") == ";"
    assert hand.ask("1") == "055"
    hand.ask("T", "01000")
    hand.ask("2")
    head.lift(1, hand.now)
    head.squeeze(20_000, hand.now)
    hand.wait(60_000)
    assert hand.ask("1") == "4055"
    assert hand.ask("5") == "001000" + "00001729" + "001729"
    hand.ask("8")
    assert hand.ask("Q", "1899") == ACK
    assert head.prices == {1: 18_990}


def test_a_head_without_a_price_cannot_be_released() -> None:
    hand, head = make(AztHead({1: "AI95"}))
    assert hand.ask("5")[-4:] == "0000"
    hand.ask("T", "00500")
    assert hand.ask("2") == CAN
    hand.ask("Q", "4500")
    hand.ask("T", "00500")
    assert hand.ask("2") == ACK
    assert head.state is HeadState.AUTHORIZED


def test_an_exchanged_head_knows_nothing() -> None:
    hand, head = make()
    filled(hand, head)
    head.exchange(hand.now)
    assert hand.status == "0"
    assert hand.ask("5") == "0" * 16
    assert hand.ask("6") == "0" * 20
    assert hand.ask("Y") == "00000000"


# the line


def test_only_its_own_address_is_answered() -> None:
    heads = {address: make_head() for address in (1, 16, 225)}
    hand = Hand(AztBus(AztPosition({1: address}, head) for address, head in heads.items()))
    heads[16].lift(1, 0)
    assert [hand.ask("1", address=address) for address in (1, 2, 15, 16, 17, 225)] == ["0", "", "", "1", "", "0"]


def test_silence_to_what_is_malformed_and_to_broadcasts() -> None:
    hand, head = make()
    good = codec.request(1, 0x31)
    assert hand.exchange(good[:-1] + bytes((good[-1] ^ 1,))) == b""
    hand.ask("T", "00500")
    hand.ask("2")
    assert hand.exchange(codec.request(None, ord("]"), b"123")) == b""
    assert hand.status == "2"
    assert hand.exchange(codec.request(None, ord("W"), b"4")) == b""
    assert hand.status == "40"
    assert hand.exchange(codec.request(None, ord("1"))) == b""


def test_a_cut_drop_and_a_busy_head() -> None:
    hand, _ = make()
    position = hand.bus.positions[1]
    position.connected = False
    assert hand.ask("1") == ""
    position.connected = True
    position.can_next = 2
    assert [hand.ask("1") for _ in range(3)] == [CAN, CAN, "0"]
    assert position.refused == 2


def test_noise_before_an_answer() -> None:
    hand, _ = make()
    hand.bus.lead_in = b"\xfe"
    assert hand.exchange(codec.request(1, 0x31)) == b"\xfe" + codec.answer(b"0")


def test_nozzles_of_one_head_keep_their_books_apart() -> None:
    hand, head = make(make_head(2))
    filled(hand, head, 2_000, nozzle=1)
    assert hand.ask("1", address=2) == "0"
    assert hand.ask("T", "00500", 2) == CAN  # one valve, and its fill is not confirmed
    hand.ask("8")
    filled(hand, head, 3_000, nozzle=2)
    assert [hand.ask("4", address=n) for n in (1, 2)] == ["000200", "000300"]
    assert [hand.ask("Y", address=n) for n in (1, 2)] == ["00000001"] * 2
    assert [hand.ask("6", address=n)[:10] for n in (1, 2)] == ["0000000200", "0000000300"]
    assert [hand.ask("8", address=n) for n in (1, 2)] == [CAN, ACK]
    hand.ask("T", "00500", 1)
    assert hand.ask("2", address=2) == CAN  # that dose is for the other nozzle


def test_what_cannot_be_built() -> None:
    head = make_head(2)
    for addresses in ({1: 1}, {1: 1, 2: 1}, {1: 0, 2: 1}, {1: 1, 2: 226}):
        with pytest.raises(ValueError, match="address"):
            AztPosition(addresses, head)
    with pytest.raises(ValueError, match="two positions"):
        AztBus([AztPosition({1: 4}, make_head()), AztPosition({1: 4}, make_head())])
    for wrong in (
        {"type_code": 0x42},
        {"price_decimals": 5},
        {"volume_decimals": 4},
        {"totals_digits": 7},
        {"totals_step_ml": 0},
        {"minimum_dose_ml": 0},
    ):
        with pytest.raises(ValueError, match="are|is"):
            AztSettings(**wrong)  # type: ignore[arg-type]
