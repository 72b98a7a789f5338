"""The stripe reader's thread on the real evdev library: on umockdev, with a keypad plugged in beside it, and its pure half in every detail.

The forecourt's process holds the devices (it needs umockdev and gcc); the threads run in a child that has its environment.
"""

from __future__ import annotations

import ctypes.util
import json
import os
import queue
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.events import DeviceDown, DeviceEvent, MediumKind, MediumPresented, MediumUnreadable, Trust
from drivers.magstripe.decode import StripeDecoder, StripeEvent
from drivers.magstripe.device import StripeReader
from drivers.magstripe.swipe import IDLE_MS
from drivers.magstripe.wedge import WedgeLayout
from hal_sim.magstripe import wedge
from hal_sim.priority import HARDWARE_NICENESS
from tests.hal_sim.forecourt_kit import SCENARIO, Rig

ROOT = Path(__file__).resolve().parents[2]
NUMBER, OTHER = "7001231234567890123", "7001231234567890456"
needs_umockdev = pytest.mark.skipif(ctypes.util.find_library("umockdev") is None, reason="umockdev is not installed")

# --- the pure half against the emulated wedge -------------------------------------------------------------------------


def swiped(
    layout: str, *, lrc: bool = False, fault: str = "none", tracks: tuple[int, ...] = (1, 2), expiry: str = "2912"
) -> list[StripeEvent]:
    decoder = StripeDecoder(2, WedgeLayout(layout), lrc)
    lines = wedge.tracks_of(NUMBER, tracks, expiry, "101", "00042")
    packets = wedge.swipe_packets(lines, wedge.tracks_of(OTHER, (2,), "", "", ""), wedge.WedgeLayout(layout), lrc, wedge.SwipeFault(fault))
    told: list[StripeEvent] = []
    for now, packet in enumerate(packets):
        for event in (*packet, (wedge.EV_SYN, 0, 0)):
            told += decoder.feed(*event, now)
    return told + decoder.tick(len(packets) + IDLE_MS)


@pytest.mark.parametrize("layout", ["us", "fr"])
@pytest.mark.parametrize("lrc", [False, True])
@pytest.mark.parametrize("tracks", [(1,), (2,), (1, 2)])
@pytest.mark.parametrize("fault", ["none", "noise"])
def test_what_a_swipe_carries(layout: str, lrc: bool, tracks: tuple[int, ...], fault: str) -> None:
    (told,) = swiped(layout, lrc=lrc, tracks=tracks, fault=fault)
    assert told == MediumPresented(2, MediumKind.STRIPE, NUMBER, Trust.T0, expiry="2912", service_code="101", discretionary="00042")
    assert not any(secret in repr(told) for secret in (NUMBER, "2912", "101", "00042"))


@pytest.mark.parametrize("layout", ["us", "fr"])
@pytest.mark.parametrize(
    ("fault", "lrc", "why"),
    [
        ("half", False, "swipe broken off"),
        ("half", True, "swipe broken off"),
        ("double", False, "two swipes in one"),
        ("double", True, "two swipes in one"),
        ("dropped", False, "swipe broken off"),
        ("stray", False, "a character that no track has"),
        ("error", False, "the reader could not read the stripe"),
        ("bad lrc", True, "check character does not fit"),
    ],
)
def test_what_goes_wrong_is_told_once_in_words(layout: str, fault: str, lrc: bool, why: str) -> None:
    assert swiped(layout, lrc=lrc, fault=fault) == [MediumUnreadable(2, MediumKind.STRIPE, why)]


def test_a_wrong_layout_gives_no_other_number() -> None:
    decoder = StripeDecoder(1, WedgeLayout.US)
    packets = wedge.swipe_packets(
        wedge.tracks_of(NUMBER, (1, 2), "2912", "101", ""), [], wedge.WedgeLayout.FRENCH, False, wedge.SwipeFault.NONE
    )
    told = [one for packet in packets for event in packet for one in decoder.feed(*event, 0)]
    assert told
    assert all(isinstance(one, MediumUnreadable) for one in told)


def test_a_card_without_an_expiry_says_none() -> None:
    (told,) = swiped("us", expiry="", tracks=(2,))
    assert isinstance(told, MediumPresented)
    assert (told.number, told.expiry, told.service_code) == (NUMBER, None, "101")


def test_a_plug_drawn_in_mid_swipe_leaves_nothing_behind() -> None:
    decoder = StripeDecoder(1, WedgeLayout.US)
    half = wedge.swipe_packets(wedge.tracks_of(NUMBER, (2,), "2912", "101", ""), [], wedge.WedgeLayout.US, False, wedge.SwipeFault.HALF)
    for packet in half:
        for event in packet:
            decoder.feed(*event, 0)
    assert decoder.next_wakeup() == IDLE_MS
    decoder.forget()
    assert decoder.next_wakeup() is None
    assert decoder.tick(10 * IDLE_MS) == []


# --- the thread -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "phys"), [(None, None), ("/dev/input/event0", "usb-1/input0")])
def test_found_by_exactly_one_thing(path: str | None, phys: str | None) -> None:
    with pytest.raises(ValueError, match="a stripe reader is found either by its path or by its physical path"):
        StripeReader("stripe-1", 1, lambda event: None, lambda: 0, path=path, phys=phys)


def test_a_missing_reader_is_said_in_its_own_name() -> None:
    inbox: queue.SimpleQueue[DeviceEvent] = queue.SimpleQueue()
    reader = StripeReader("stripe-1", 1, inbox.put, lambda: 0, phys="usb-0000:00:1a.0-9")
    reader.start()
    assert inbox.get(timeout=60) == DeviceDown("stripe-1", "StripeFault: no stripe reader at usb-0000:00:1a.0-9")
    assert reader.stop()


CHILD = """
import json, queue, sys, threading, time
from drivers.keypad.device import Keypad
from drivers.magstripe.device import StripeReader
from drivers.magstripe.wedge import WedgeLayout
ready, stripe_at = json.loads(sys.argv[1]), sys.argv[2]
inbox = queue.SimpleQueue()
clock = lambda: time.monotonic_ns() // 1_000_000
stripe = ready["stripe_reader"]
threads = [
    Keypad("keypad-1", 1, inbox.put, clock, phys=ready["keypad"]["phys"]),
    StripeReader("stripe-1", 1, inbox.put, clock, phys=stripe_at, layout=WedgeLayout(stripe["layout"]), lrc_sent=stripe["lrc"]),
]
for thread in threads:
    thread.start()
threading.Thread(target=lambda: (sys.stdin.read(), inbox.put(None)), daemon=True).start()
while (event := inbox.get()) is not None:
    fields = [getattr(event, name) for name in ("device", "reason", "why", "number", "expiry") if getattr(event, name, None)]
    print(type(event).__name__, *fields, event.key.value if hasattr(event, "key") else "", sep="|", flush=True)
print("stopped", *[thread.stop() for thread in threads], flush=True)
"""


class Child:
    """Both threads in a process of their own; ``expect`` gives its next line."""

    def __init__(self, ready: dict[str, object], stripe_at: str) -> None:
        environment = ready["env"]
        assert isinstance(environment, dict)
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, json.dumps(ready), stripe_at],
            cwd=ROOT,
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip().rstrip("|")

    def close(self) -> list[str]:
        out, _ = self.process.communicate(timeout=90)
        return [line.rstrip("|") for line in out.splitlines()]


@pytest.fixture(params=[{"layout": "us", "lrc": False}, {"layout": "fr", "lrc": True}], ids=["us", "fr with LRC"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    bare = {"badge": None, "display": None, "host": None}
    made = Rig(tmp_path, SCENARIO | bare | {"stripe": request.param})
    yield made
    assert made.close() == (0, "")


@needs_umockdev
def test_keypad_and_stripe_reader_side_by_side(rig: Rig) -> None:
    """Each hears its own: a stripe gives no key, and keys give no swipe."""
    child = Child(rig.ready, str(rig.ready["stripe_reader"]["phys"]))
    assert {child.line(), child.line()} == {"DeviceUp|keypad-1", "DeviceUp|stripe-1"}
    assert rig.do("swipe", number=NUMBER)["ok"]
    assert child.line() == f"MediumPresented|{NUMBER}|2912"
    assert rig.do("keys", keys=["7", "enter"])["ok"]
    assert [child.line(), child.line()] == ["KeyPressed|7", "KeyPressed|enter"]
    for fault, said in (("half", "swipe broken off"), ("double", "two swipes in one"), ("dropped", "swipe broken off")):
        assert rig.do("swipe", number=NUMBER, second=OTHER, fault=fault)["ok"]
        assert child.line() == f"MediumUnreadable|{said}"
    assert rig.do("swipe", number=OTHER, fault="noise", tracks=["1"])["ok"]
    assert child.line() == f"MediumPresented|{OTHER}|2912"
    assert child.close() == ["stopped True True"]


@pytest.fixture
def busy() -> Iterator[None]:
    """Both processors of a small machine are busy."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    yield
    for loop in loops:
        loop.kill()
        loop.wait()


@needs_umockdev
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may put a program before the others")
@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("layout", ["us", "fr"])
def test_a_swipe_is_whole_although_the_machine_is_busy(tmp_path: Path, layout: str) -> None:
    """A real reader types at its own pace whatever this machine does; so does the emulator, which goes before other programs."""
    rig = Rig(tmp_path, SCENARIO | {"badge": None, "display": None, "host": None, "stripe": {"layout": layout}})
    assert os.getpriority(os.PRIO_PROCESS, rig.process.pid) == HARDWARE_NICENESS
    child = Child(rig.ready, str(rig.ready["stripe_reader"]["phys"]))
    assert {child.line(), child.line()} == {"DeviceUp|keypad-1", "DeviceUp|stripe-1"}
    for fault, said in (("none", f"MediumPresented|{NUMBER}|2912"), ("double", "MediumUnreadable|two swipes in one")) * 3:
        assert rig.do("swipe", number=NUMBER, second=OTHER, fault=fault)["ok"]
        assert child.line() == said
    assert child.close() == ["stopped True True"]
    assert rig.close() == (0, "")


@needs_umockdev
def test_a_keypad_is_never_taken_for_a_stripe_reader(tmp_path: Path) -> None:
    rig = Rig(tmp_path, SCENARIO | {"badge": None, "display": None, "host": None, "stripe": {}})
    place = str(rig.ready["keypad"]["phys"])
    child = Child(rig.ready, place)
    said = {child.line(), child.line()}
    assert said == {"DeviceUp|keypad-1", f"DeviceDown|stripe-1|StripeFault: no stripe reader at {place}, 1 input without its keys"}
    assert rig.do("keys", keys=["1", "2"])["ok"]
    assert [child.line(), child.line()] == ["KeyPressed|1", "KeyPressed|2"]
    assert child.close() == ["stopped True True"]
    assert rig.close() == (0, "")
