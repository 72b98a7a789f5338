"""The badge reader's thread on real nfcpy, with the small PN532 of these tests behind a pty."""

from __future__ import annotations

import logging
import os
import queue
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from drivers.badge.reader import Pn532, bring_back, identity
from drivers.badge.reader_rules import ReaderLost, check_port_path, chip_timeout
from drivers.badge.reader_thread import BadgeReader
from drivers.badge.uid import BadgeRefused, NumberProfile
from drivers.events import DeviceDown, DeviceEvent, DeviceUp, MediumKind, MediumPresented, MediumRemoved, MediumUnreadable
from tests.drivers.small_pn532 import Answer, Badge, Chip, IsoCard, Ntag, Scripted

UID = bytes.fromhex("04A1B2C3D4E580")
OTHER = bytes.fromhex("04998877665544")
RECORD = bytes.fromhex("D1010C5402656E") + b"BADGE-001"


class Inbox:
    def __init__(self) -> None:
        self.events: queue.SimpleQueue[DeviceEvent] = queue.SimpleQueue()

    def next(self) -> DeviceEvent:
        return self.events.get(timeout=60)

    def is_empty(self) -> bool:
        return self.events.empty()


def now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


@pytest.fixture
def chip() -> Iterator[Chip]:
    made = Chip()
    yield made
    made.close()


@contextmanager
def running(chip: Chip, profile: NumberProfile = NumberProfile.AUTO, clock: Callable[[], int] = now_ms) -> Iterator[Inbox]:
    inbox = Inbox()
    reader = BadgeReader("badge-1", 1, chip.path, inbox.events.put, clock, (profile,))
    reader.start()
    try:
        yield inbox
    finally:
        assert reader.stop()


def looks(chip: Chip, count: int) -> None:
    """Let the reader look into the field so many times more."""
    until, limit = chip.looks + count, time.monotonic() + 10
    while chip.looks < until:
        assert time.monotonic() < limit, "the reader stopped looking"
        time.sleep(0.01)


def shown(event: DeviceEvent) -> str:
    assert isinstance(event, MediumPresented), event
    assert (event.side, event.kind, event.trust.value) == (1, MediumKind.BADGE, "T0")
    return event.number


def refused(event: DeviceEvent) -> str:
    assert isinstance(event, MediumUnreadable), event
    assert (event.side, event.kind) == (1, MediumKind.BADGE)
    return event.why


def test_a_badge_that_stays_is_presented_once_and_removed_once(chip: Chip) -> None:
    with running(chip) as inbox:
        assert inbox.next() == DeviceUp("badge-1")
        for _ in range(2):
            chip.badges = [Ntag(UID, None)]
            assert shown(inbox.next()) == "04A1B2C3D4E580"
            looks(chip, 6)
            assert inbox.is_empty()
            chip.badges = []
            assert inbox.next() == MediumRemoved(1, MediumKind.BADGE)
        looks(chip, 5)
        assert inbox.is_empty()


def test_a_badge_lost_for_two_looks_is_still_there(chip: Chip) -> None:
    chip.badges = [Ntag(UID, None)]
    with running(chip) as inbox:
        assert shown(inbox.next()) == "04A1B2C3D4E580"
        assert inbox.next() == DeviceUp("badge-1")
        for _ in range(3):
            chip.blind_looks = 2
            looks(chip, 5)
        assert inbox.is_empty()


@pytest.mark.parametrize(
    ("badge", "profile", "number"),
    [
        (Ntag(UID, RECORD), NumberProfile.AUTO, "BADGE-001"),
        (Ntag(UID, RECORD), NumberProfile.UID, "04A1B2C3D4E580"),
        (Ntag(UID, None), NumberProfile.AUTO, "04A1B2C3D4E580"),
        (Ntag(bytes.fromhex("A1B2C3D4"), RECORD), NumberProfile.AUTO, "BADGE-001"),
        (IsoCard(UID, RECORD), NumberProfile.AUTO, "BADGE-001"),
        (IsoCard(UID, None), NumberProfile.AUTO, "04A1B2C3D4E580"),
        (IsoCard(UID, RECORD, ats=b"\x01"), NumberProfile.AUTO, "BADGE-001"),
        (IsoCard(UID, RECORD, ats=bytes.fromhex("02 05")), NumberProfile.AUTO, "BADGE-001"),
        (IsoCard(UID, RECORD, ats=b""), NumberProfile.UID, "04A1B2C3D4E580"),
        (Badge(bytes.fromhex("A1B2C3D4")), NumberProfile.AUTO, "A1B2C3D4"),
        # It answers, though not with an APDU: that is a badge without text, not a broken one.
        (Scripted(UID, lambda block: bytes([block[0]])), NumberProfile.AUTO, "04A1B2C3D4E580"),
    ],
)
def test_numbers(chip: Chip, badge: Badge, profile: NumberProfile, number: str) -> None:
    chip.badges = [badge]
    with running(chip, profile) as inbox:
        assert shown(inbox.next()) == number
    if profile is NumberProfile.UID or badge.sak == 0x08:
        assert badge.asked == 0, "nothing beyond the UID may be asked of it"


@pytest.mark.parametrize(
    ("badge", "why"),
    [
        (Badge(bytes.fromhex("08123456")), "random UID"),
        (IsoCard(UID, RECORD, ats=b""), "broken ATS"),
        (IsoCard(UID, RECORD, ats=b"\x05\x75"), "broken ATS"),
        (Ntag(UID, RECORD[:4] + b"\xff" + RECORD[5:]), "NDEF text record cut short"),
        (Scripted(UID, lambda _: None), "does not answer as it should"),
    ],
)
def test_refusals(chip: Chip, badge: Badge, why: str) -> None:
    chip.badges = [badge]
    with running(chip) as inbox:
        assert refused(inbox.next()) == why
        assert inbox.next() == DeviceUp("badge-1")
        looks(chip, 6)
        assert inbox.is_empty(), "a refused badge is refused once"
        chip.badges = []
        looks(chip, 5)
        assert inbox.is_empty(), "what was never presented is not removed"
        chip.badges = [Ntag(OTHER, None)]
        assert shown(inbox.next()) == "04998877665544"


def test_a_random_uid_that_changes_at_every_look_is_one_badge(chip: Chip) -> None:
    class Telephone(Badge):
        atqa, sak = b"\x04\x00", 0x20

        def select(self) -> None:
            self.uid = b"\x08" + os.urandom(3)

    chip.badges = [Telephone(b"\x08\x00\x00\x01")]
    with running(chip) as inbox:
        assert refused(inbox.next()) == "random UID"
        assert inbox.next() == DeviceUp("badge-1")
        looks(chip, 8)
        assert inbox.is_empty()


def test_two_badges(chip: Chip) -> None:
    first, second = Ntag(UID, None), IsoCard(OTHER, None)
    chip.badges = [first, second]
    with running(chip) as inbox:
        assert refused(inbox.next()) == "two badges"
        assert inbox.next() == DeviceUp("badge-1")
        looks(chip, 8)
        assert inbox.is_empty()
        chip.badges = [second]
        assert shown(inbox.next()) == "04998877665544"
        chip.badges = [first]
        assert inbox.next() == MediumRemoved(1, MediumKind.BADGE)
        assert shown(inbox.next()) == "04A1B2C3D4E580"


@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_a_badge_torn_away_is_not_taken_for_one_without_text(chip: Chip, after: int) -> None:
    class Torn(Ntag):
        def reply(self, command: bytes) -> Answer:
            if self.asked > after:
                chip.badges = []
                return None
            return super().reply(command)

    chip.badges = [Torn(UID, RECORD)]
    with running(chip) as inbox:
        assert refused(inbox.next()) == "taken away too early"


def test_a_second_reading_follows_a_failed_one(chip: Chip) -> None:
    class Late(Ntag):
        def reply(self, command: bytes) -> Answer:
            return None if 4 <= self.asked <= 9 else super().reply(command)

    badge = Late(UID, RECORD)
    chip.badges = [badge]
    with running(chip) as inbox:
        assert shown(inbox.next()) == "BADGE-001"
    assert badge.asked > 9, "the first reading must have failed"


@pytest.mark.parametrize(
    "say",
    [
        pytest.param(lambda block: b"\xf2\x3f", id="asks for more time for ever"),
        pytest.param(lambda block: bytes([0x12 | (block[0] & 1)]) + b"x", id="chains for ever"),
    ],
)
def test_a_badge_that_takes_for_ever_is_cut_off(chip: Chip, say: Callable[[bytes], bytes]) -> None:
    ticks = iter(range(0, 10**9, 10))
    chip.badges = [Scripted(UID, say)]
    with running(chip, clock=lambda: next(ticks)) as inbox:
        assert refused(inbox.next()) == "takes too long"
        assert inbox.next() == DeviceUp("badge-1")
    assert chip.badges[0].asked <= 160


def test_waiting_times_never_exceed_what_is_left() -> None:
    assert chip_timeout(1500) == 0.8192
    assert chip_timeout(4_000_000) == 3.2768
    for left_ms in range(1, 5000):
        assert 0 < chip_timeout(left_ms) <= left_ms / 1000
        assert chip_timeout(left_ms) > min(left_ms / 2000, 1.6)


def test_answers_drawn_at_random_are_never_the_readers_fault(chip: Chip) -> None:
    draw = random.Random(20260815)

    def babble(block: bytes) -> bytes:
        plausible = bytes([block[0]]) + draw.randbytes(draw.randrange(20)) + draw.choice([b"\x90\x00", b"", b"\x6a"])
        return draw.choice([plausible, plausible, draw.randbytes(draw.randrange(6)), b""])

    ticks = iter(range(0, 10**9, 5))
    opened = Pn532(chip.path, lambda: next(ticks))
    outcomes = {"number": 0, "refused": 0}
    try:
        for _ in range(150):
            chip.badges = [
                Scripted(UID, babble, ats=draw.choice([b"\x01", bytes.fromhex("067577810280"), draw.randbytes(draw.randrange(6))]))
            ]
            target = opened.sense()
            assert identity(target) == UID
            try:
                opened.read(target, (NumberProfile.AUTO,))
                outcomes["number"] += 1
            except BadgeRefused:
                outcomes["refused"] += 1
    finally:
        opened.close()
    assert min(outcomes.values()) > 10


# --- the chip and its port --------------------------------------------------------------------------------------------


def test_an_orderly_stop_leaves_the_chip_at_its_first_speed(chip: Chip) -> None:
    with running(chip) as inbox:
        assert inbox.next() == DeviceUp("badge-1")
        assert chip.speed == 921600
    assert chip.speed == 115200


@pytest.mark.parametrize("speed", [921600, 460800, 230400])
def test_a_chip_left_at_a_higher_speed_is_brought_back(chip: Chip, speed: int) -> None:
    chip.speed = speed
    chip.badges = [Ntag(UID, None)]
    with running(chip) as inbox:
        assert shown(inbox.next()) == "04A1B2C3D4E580"


def test_bring_back_says_whether_it_found_one(chip: Chip) -> None:
    chip.speed = 921600
    assert bring_back(chip.path)
    assert chip.speed == 115200
    chip.silent = True
    assert not bring_back(chip.path)


def test_a_silent_chip_is_down_and_comes_back_by_itself(chip: Chip) -> None:
    chip.badges = [Ntag(UID, None)]
    with running(chip) as inbox:
        assert shown(inbox.next()) == "04A1B2C3D4E580"
        assert inbox.next() == DeviceUp("badge-1")
        chip.silent = True
        assert inbox.next() == MediumRemoved(1, MediumKind.BADGE)
        down = inbox.next()
        assert isinstance(down, DeviceDown)
        assert down.device == "badge-1"
        assert down.reason == f"ReaderLost: the PN532 on {chip.path} stopped answering (OSError)"
        chip.silent = False
        assert shown(inbox.next()) == "04A1B2C3D4E580"
        assert inbox.next() == DeviceUp("badge-1")


def test_a_missing_port_is_said_once_and_leaks_nothing(tmp_path: os.PathLike[str], chip: Chip) -> None:
    link = os.fspath(tmp_path) + "/usb-badge_reader-if00"
    inbox = Inbox()
    reader = BadgeReader("badge-1", 1, link, inbox.events.put, now_ms)
    reader.start()
    try:
        down = inbox.next()
        assert isinstance(down, DeviceDown)
        assert "could not open port" in down.reason
        os.symlink(chip.path, link)
        assert inbox.next() == DeviceUp("badge-1")
    finally:
        assert reader.stop()


def test_failed_opens_and_closes_leak_no_descriptor(chip: Chip) -> None:
    chip.silent = True
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        with pytest.raises(ReaderLost, match="no PN532 answers"):
            Pn532(chip.path, now_ms)
    chip.silent = False
    opened = Pn532(chip.path, now_ms)
    chip.silent = True
    opened.close()
    opened.close()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    "path", ["", "ttyUSB0", "-F", "/dev/tty USB0", "/dev/x;reboot", "/dev/$(id)", "/dev/x\n", "/dev/`id`", "/dev/x&", "/dév"]
)
def test_a_port_that_could_reach_the_shell_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="plain absolute path"):
        BadgeReader("badge-1", 1, path, lambda event: None, now_ms)


def test_by_id_links_are_plain_paths() -> None:
    path = "/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A10:2+3-if00.port0"
    assert check_port_path(path) == path


def test_no_number_in_the_log(chip: Chip, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    chip.badges = [Ntag(UID, RECORD)]
    with running(chip) as inbox:
        event = inbox.next()
        assert shown(event) == "BADGE-001"
        assert inbox.next() == DeviceUp("badge-1")
        chip.silent = True
        assert inbox.next() == MediumRemoved(1, MediumKind.BADGE)
    text = (caplog.text + repr(event)).upper()
    for secret in ("BADGE-001", "04A1B2C3D4E580", RECORD.hex().upper()):
        assert secret not in text
