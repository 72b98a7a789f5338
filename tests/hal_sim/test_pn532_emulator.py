"""The PN532 emulator: its frames against the user manual, and the real nfcpy at the end of a real pseudo-terminal.

Frames: NXP UM0701-02 6.2.1 (ACK, NACK, error frame), 7.2.2 (GetFirmwareVersion), 7.3.5 (InListPassiveTarget).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import ndef
import nfc
import nfc.clf
import nfc.clf.pn532
import nfc.clf.transport
import nfc.tag
import pytest

from hal_sim.badge.pn532 import ACK, ERROR_FRAME, Pn532, frame
from hal_sim.badge.tags import NdefFiles, Ntag21x, Tag, Type4A, UidOnlyTag, crc_a, tag_for_number
from hal_sim.clock import monotonic_ms
from hal_sim.pty_port import Loop, PtyPort
from hal_sim.wire import FaultRates, Faults

UID = bytes.fromhex("04A1B2C3D4E580")


def talk(chip: Pn532, data: bytes, now: int = 0) -> bytes:
    chip.on_bytes(data, now)
    return b"".join(sent for _, sent in chip.take_output())


def command(chip: Pn532, payload: str, now: int = 0) -> bytes:
    """The payload of the response to a command, after its ACK."""
    answer = talk(chip, frame(bytes.fromhex("D4" + payload)), now)
    if answer == ACK:  # the chip waits for a tag that does not answer
        chip.on_time(chip.next_wakeup() or now)
        answer += b"".join(sent for _, sent in chip.take_output())
    assert answer.startswith(ACK)
    body = answer[len(ACK) :]
    return body[5:-2]


# --- frames, written down from the manual


def test_firmware_version_as_in_the_manual() -> None:
    assert talk(Pn532(), bytes.fromhex("0000FF02FED4022A00")) == bytes.fromhex("0000FF00FF000000FF06FAD50332010607E800")


def test_a_frame_may_come_byte_by_byte_with_noise_before_it() -> None:
    chip = Pn532()
    answers = b"".join(talk(chip, bytes([byte])) for byte in bytes.fromhex("5555FF00AA0000FF02FED4022A00"))
    assert answers.endswith(bytes.fromhex("D50332010607E800"))


def test_a_damaged_frame_is_not_acknowledged_and_the_next_one_is() -> None:
    chip = Pn532()
    assert talk(chip, bytes.fromhex("0000FF02FED4022B00")) == b""
    assert talk(chip, bytes.fromhex("0000FF02FED4022A00")).startswith(ACK)


def test_nack_repeats_the_last_response() -> None:
    chip = Pn532()
    first = talk(chip, frame(b"\xd4\x02"))
    assert talk(chip, bytes.fromhex("0000FFFF0000")) == first[len(ACK) :]


@pytest.mark.parametrize("payload", ["D401", "D460", "D502", "D4"])
def test_unknown_or_malformed_commands_give_the_error_frame(payload: str) -> None:
    assert talk(Pn532(), frame(bytes.fromhex(payload))).endswith(ERROR_FRAME)


def test_a_missing_parameter_is_a_syntax_error_and_the_chip_goes_on() -> None:
    chip = Pn532()
    assert talk(chip, frame(bytes.fromhex("D44A"))).endswith(ERROR_FRAME)
    assert command(chip, "02") == bytes.fromhex("D50332010607")


def test_the_extended_frame_of_the_line_test_comes_back() -> None:
    chip = Pn532()
    data = bytes(range(256)) + b"\x00\x01\x02\x03"
    answer = talk(chip, frame(b"\xd4\x00\x00" + data))
    assert answer[6:11] == b"\x00\x00\xff\xff\xff"
    assert answer[14 : 14 + 2 + 1 + len(data)] == b"\xd5\x01\x00" + data


def test_a_found_tag_is_reported_as_the_manual_lays_it_out() -> None:
    chip = Pn532()
    command(chip, "1200")
    chip.present(Ntag21x(UID), 0)
    assert command(chip, "4A0100") == bytes.fromhex("D54B 01 01 0044 00 07 04A1B2C3D4E580")


def test_without_retries_bound_the_chip_waits_for_a_tag_until_the_host_aborts() -> None:
    chip = Pn532()
    assert talk(chip, frame(bytes.fromhex("D44A0100"))) == ACK
    assert talk(chip, ACK, 10) == b""
    chip.present(Ntag21x(UID), 20)
    assert chip.take_output() == []
    chip.remove()
    assert talk(chip, frame(bytes.fromhex("D44A0100")), 30) == ACK
    chip.present(Ntag21x(UID), 40)
    ((at, answer),) = chip.take_output()
    assert (at, answer[5:9]) == (40, bytes.fromhex("D54B0101"))


def test_latency_and_the_host_s_ack_that_aborts() -> None:
    chip = Pn532(latency_ms=7)
    chip.on_bytes(frame(b"\xd4\x02"), 100)
    assert chip.take_output() == [(100, ACK)]
    assert chip.next_wakeup() == 107
    chip.on_time(107)
    assert [at for at, _ in chip.take_output()] == [107]
    chip.on_bytes(frame(b"\xd4\x02"), 200)
    chip.on_bytes(ACK, 203)
    chip.on_time(300)
    assert chip.take_output() == [(200, ACK)]


def test_the_higher_uid_wins_and_the_other_is_found_once_the_first_is_halted() -> None:
    low, high = Ntag21x(bytes.fromhex("04000000000001")), Ntag21x(bytes.fromhex("04FF0000000001"))
    chip = Pn532()
    chip.present(low, 0)
    chip.present(high, 0)
    assert command(chip, "4A0100")[-7:] == high.uid
    assert command(chip, "425000")[2:] == b"\x01"  # HLTA is never answered
    assert command(chip, "4A0100", 1000)[-7:] == low.uid
    assert command(chip, "320100", 2000) == b"\xd5\x33"  # field off: everybody starts anew
    both = command(chip, "4A0200", 3000)
    assert both[2] == 2
    assert high.uid in both
    assert low.uid in both


def test_a_wanted_uid_is_found_with_its_cascade_tag() -> None:
    first, second = Ntag21x(UID), UidOnlyTag(bytes.fromhex("08112233"))
    chip = Pn532()
    chip.present(first, 0)
    chip.present(second, 0)
    assert command(chip, "4A0100" + "88" + UID.hex())[-7:] == UID
    assert command(chip, "4A0100" + "08112233")[-5:] == bytes.fromhex("0408112233")


def test_automatic_rats_and_apdus_through_data_exchange() -> None:
    chip = Pn532()
    chip.present(Type4A(UID, NdefFiles("BADGE-1")), 0)
    listed = command(chip, "4A0100")
    assert listed.endswith(UID + bytes.fromhex("067577810280"))
    assert command(chip, "4001" + "00A4040007D276000085010100") == bytes.fromhex("D541009000")
    assert command(chip, "4002" + "00") == bytes.fromhex("D54127")


def test_a_tag_held_for_a_while_goes_by_itself() -> None:
    chip = Pn532()
    chip.present(Ntag21x(UID), 100, hold_ms=700)
    assert chip.next_wakeup() == 800
    chip.on_time(799)
    assert [tag.uid for tag in chip.tags] == [UID]
    chip.on_time(800)
    assert len(chip.tags) == 0


def test_type_2_memory_rolls_over_refuses_and_keeps_one_time_bits() -> None:
    tag = Ntag21x(UID)
    tag.select()
    reply = tag.exchange(b"\x30\x2c")
    assert reply is not None
    assert reply.data[4:] == bytes(tag.exchange(b"\x30\x00").data[:12])  # type: ignore[union-attr]
    assert tag.exchange(b"\xa2\x04abcd") is not None
    assert tag.exchange(b"\x30\x04").data[:4] == b"abcd"  # type: ignore[union-attr]
    assert tag.exchange(b"\x30\x2d") is not None  # beyond the end: NAK and idle
    assert tag.exchange(b"\x30\x00") is None


def test_crc_a_of_the_standard_s_own_example() -> None:
    assert crc_a(b"\x00\x00") == bytes.fromhex("A01E")  # ISO/IEC 14443-3 annex B
    assert crc_a(b"\x12\x34") == bytes.fromhex("26CF")


@pytest.mark.parametrize(("number", "length"), [("A1B2C3D4", 4), ("04a1b2c3d4e580", 7), ("04A1B2C3D4E5F6071829", 10)])
def test_hexadecimal_numbers_are_uids(number: str, length: int) -> None:
    assert tag_for_number(number).uid == bytes.fromhex(number)
    assert len(tag_for_number(number).uid) == length


def test_any_other_number_is_a_text_on_a_tag_of_its_own() -> None:
    assert tag_for_number("FLEET 7") is not tag_for_number("FLEET 7")
    assert tag_for_number("FLEET 7").uid == tag_for_number("FLEET 7").uid != tag_for_number("FLEET 8").uid
    with pytest.raises(ValueError, match="number"):
        tag_for_number("")


# --- the real library


class Bench:
    """A chip on a pty, served by a thread, as the forecourt's process would."""

    def __init__(self, folder: Path, chip: Pn532, to_device: Faults | None = None) -> None:
        self.chip = chip
        self.loop = Loop()
        self.port = self.loop.add(PtyPort(chip, folder / "pn532", to_device=to_device))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stop.is_set():
            self.loop.step(2)

    def put(self, *tags: Tag) -> None:
        for tag in tags:
            self.chip.present(tag, monotonic_ms())

    @contextmanager
    def frontend(self) -> Iterator[nfc.ContactlessFrontend]:
        path = str(self.port.link)
        device = nfc.clf.pn532.init(nfc.clf.transport.TTY(path))
        device._path = path
        frontend = nfc.ContactlessFrontend()
        frontend.device = device
        try:
            yield frontend
        finally:
            frontend.close()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5)
        self.loop.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(chip: Pn532 | None = None, to_device: Faults | None = None) -> Bench:
        made.append(Bench(tmp_path, chip if chip is not None else Pn532(), to_device))
        return made[-1]

    yield make
    for each in made:
        each.close()


def sense(frontend: nfc.ContactlessFrontend) -> nfc.clf.RemoteTarget | None:
    return frontend.sense(nfc.clf.RemoteTarget("106A"))


def test_nfcpy_opens_closes_and_opens_again_at_its_own_speed(bench: Callable[..., Bench]) -> None:
    rig = bench()
    for _ in range(3):
        with rig.frontend() as frontend:
            assert "PN532" in str(frontend.device)
            assert rig.chip.baud == 921600
            assert sense(frontend) is None
        assert rig.chip.baud == 115200


def test_nfcpy_reads_the_text_of_an_ntag(bench: Callable[..., Bench]) -> None:
    rig = bench()
    rig.put(Ntag21x(UID, "BADGE-001"))
    with rig.frontend() as frontend:
        tag = nfc.tag.activate(frontend, sense(frontend))
        assert tag.product == "NXP NTAG213"
        assert tag.identifier == UID
        assert tag.ndef.records[0].text == "BADGE-001"
        assert tag.is_present
        tag.ndef.records = [ndef.TextRecord("OTHER")]
        assert nfc.tag.activate(frontend, sense(frontend)).ndef.records[0].text == "OTHER"


LONG_TEXT = "a rather long text, so that the answer needs more than one block " * 3


def test_nfcpy_reads_a_type_4_tag(bench: Callable[..., Bench]) -> None:
    rig = bench()
    rig.put(Type4A(UID, NdefFiles(LONG_TEXT)))
    with rig.frontend() as frontend:
        tag = nfc.tag.activate(frontend, sense(frontend))
        assert tag.ndef.records[0].text == LONG_TEXT
        assert tag.is_present


@pytest.mark.parametrize("ats", ["01", "0278", "0378B1"])
def test_a_short_ats_trips_nfcpy_though_the_card_is_in_order(bench: Callable[..., Bench], ats: str) -> None:
    rig = bench()
    rig.put(Type4A(UID, NdefFiles(LONG_TEXT), bytes.fromhex(ats)))
    with rig.frontend() as frontend:
        with pytest.raises(IndexError):
            nfc.tag.activate(frontend, sense(frontend))
        sense(frontend)
        assert frontend.exchange(b"\xe0\x80", 0.05) == bytes.fromhex(ats)
        assert frontend.exchange(bytes.fromhex("0200A4040007D276000085010100"), 0.05) == bytes.fromhex("029000")


def test_nfcpy_sees_uids_of_every_length(bench: Callable[..., Bench]) -> None:
    rig = bench()
    with rig.frontend() as frontend:
        for number in ("A1B2C3D4", "04A1B2C3D4E580", "04A1B2C3D4E5F6071829"):
            rig.put(tag_for_number(number))
            target = sense(frontend)
            assert target is not None
            assert target.sdd_res == bytes.fromhex(number)
            rig.chip.remove()


def test_a_tag_torn_away_in_mid_exchange_is_an_error_and_the_next_sense_works(bench: Callable[..., Bench]) -> None:
    rig = bench()
    rig.put(Ntag21x(UID, "BADGE-001"))
    with rig.frontend() as frontend:
        target = sense(frontend)
        rig.chip.tear_after(1)
        assert frontend.exchange(b"\x30\x00", 0.05)[:3] == UID[:3]
        with pytest.raises(nfc.clf.CommunicationError):
            frontend.exchange(b"\x30\x04", 0.05)
        assert sense(frontend) is None
        rig.put(Ntag21x(UID))
        assert sense(frontend).sdd_res == target.sdd_res  # type: ignore[union-attr]


def test_a_mute_reader_is_an_io_error(bench: Callable[..., Bench]) -> None:
    rig = bench()
    with rig.frontend() as frontend:
        rig.chip.mute = True
        with pytest.raises(OSError, match="Input/output"):
            sense(frontend)
        rig.chip.mute = False


def test_noise_on_the_line_is_an_io_error_and_passes(bench: Callable[..., Bench]) -> None:
    rig = bench()
    rig.put(Ntag21x(UID))
    with rig.frontend() as frontend:
        rig.port.to_device = Faults(FaultRates(flip=1_000_000), Random(7))
        with pytest.raises(OSError):  # noqa: PT011 - nfcpy has no error of its own for it
            sense(frontend)
        rig.port.to_device = None
        assert sense(frontend) is not None


def test_a_killed_program_leaves_the_chip_at_its_high_speed_until_its_power_is_cycled(bench: Callable[..., Bench]) -> None:
    rig = bench()
    with rig.frontend() as frontend:
        frontend.device.chipset.transport.close()  # what a killed process leaves behind
        frontend.device = None
    assert rig.chip.baud == 921600
    with pytest.raises(OSError), rig.frontend():  # noqa: PT011, PT012
        pass
    rig.chip.power_cycle()
    with rig.frontend() as frontend:
        assert sense(frontend) is None
