"""Badges, chip cards and keys at the real terminal in the rig: how long until it knows who it is; its memory with everything on.

*Known*: the moment at which the driver hands ``MediumPresented`` to the core's inbox (``stamped.py``). *In the
field*: before the command that holds the badge out is written to the forecourt's process. The floor of each presentation is what the
emulator spent on it itself: its exchanges, from the command's last byte to the answer's, by its own log.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from random import Random

from tests.behaviour.setup import CardRow, CustomerRow, NozzleRow, Setup
from tests.bench import chips, floors, wires
from tests.bench.figures import Figure, percentile, spread
from tests.bench.rig import PREPARE as PREPARE_RIG
from tests.demo.station import StationError
from tests.rig import settings
from tests.rig.process import TerminalProcess, wait_for
from tests.rig.station import Station

UID, SECURE, CHIP = "04A1B2C3D4{:04X}", "70020000000000{:05d}", "70030000000000{:05d}"
CARDS = 8
"""Of each kind, in turns: the same one again at once is another matter."""
PIN = "1234"
CARD_MS = 25
"""A chip card's time for one command: cards of the field take 20 to 60 ms for a command with cryptography."""
SHOWN_S = 10.0
NOTICE_MS = 300
DIGITS = "123456789"
PREPARE = f"{PREPARE_RIG}, smartcard.scard"
LOOKS = 0.2
"""A badge comes anywhere within two looks into the field, seconds."""


def setup() -> Setup:
    """A DART and an AZT pump, and eight badges of each kind and as many chip cards."""
    kinds = (("badge", UID), ("secure badge", SECURE), ("smart card", CHIP))
    cards = [(kind, form.format(number)) for kind, form in kinds for number in range(CARDS)]
    return Setup(
        fuelling_points=(NozzleRow(1, "dart", 1, "DIESEL", 17_200), NozzleRow(2, "azt", 1, "DIESEL", 17_200)),
        customers=(CustomerRow("C1"),),
        cards=tuple(CardRow(number, number, kind, "C1", pin=PIN) for kind, number in cards),
    )


class _Process(TerminalProcess):
    def command(self, name: str, *more: str) -> list[str]:
        """``run`` with stamps."""
        command = super().command(name, *more)
        return [*command[:2], "tests.bench.stamped", *command[3:]] if name == "run" else command


class _Station(Station):
    def _configure(self, toml: Callable[[str], str]) -> TerminalProcess:
        process = super()._configure(toml)
        self.stamps = self.folder / "stamps"
        return _Process(process.config, process.runtime_dir, self.forecourt.ready["env"] | {chips.STAMPS: str(self.stamps)}, process.log)

    def known(self) -> list[int]:
        """When media became known."""
        return chips.stamps(self.stamps, "MediumPresented") if self.stamps.exists() else []


@dataclass(slots=True)
class Found:
    """Raw values of a run."""

    shown: dict[str, list[tuple[int, int]]] = field(default_factory=dict)  # a medium's name to held out, known
    pressed_ns: list[int] = field(default_factory=list)  # the last one ends the session
    resident_kib: int = 0
    chip: list[wires.Record] = field(default_factory=list)
    card: list[wires.Record] = field(default_factory=list)
    display: list[wires.Record] = field(default_factory=list)


class Media:
    """One run. ``presentations`` of each medium, ``presses`` of keys."""

    def __init__(self, presentations: int, presses: int, tell: Callable[[str], None]) -> None:
        self.presentations = presentations
        self.presses = presses
        self.tell = tell
        self.found = Found()
        self._random = Random(4)

    def run(self) -> Found:
        """Everything. Raises what the rig raises, and ``StationError`` when a medium is not known in time."""
        found, whole = self.found, setup()
        station = _Station(whole, toml=_settled, wire_log=True)
        try:
            self.tell(f"{self.presentations} badges that prove themselves, chip cards and badges by their UID; {self.presses} keys")
            self._badges(station, "EV2First", SECURE, "desfire")
            self._cards(station)
            self._fuellings(station)
            found.resident_kib = floors.Process(_pid(station)).resident_kib()
            self._keys(station)
            station.terminal.stop()
            plain = replace(whole, cards=tuple(card for card in whole.cards if card.medium != "secure badge"))
            self._configure_plainly(station, plain)
            station.power_on()
            self._badges(station, "UID only", UID, "auto")
            logs = station.folder / "sim"
            found.chip = wires.records(logs / "pn532.wire")
            found.card = wires.records(logs / "card.wire")
            found.display = wires.records(logs / "display.wire")
        finally:
            station.close()
        return found

    @staticmethod
    def _configure_plainly(station: _Station, plain: Setup) -> None:
        """The same terminal without proving profiles: a badge is its UID."""
        process = station.terminal
        text = _settled(settings.terminal_toml(plain, station.forecourt.ready, station.vault, station.state_dir, process.runtime_dir))
        badge_reader = next(line for line in text.splitlines() if line.startswith("badge_reader"))
        process.config.write_text(text.replace(badge_reader, badge_reader.replace("}", ', profile = "uid"}')), encoding="utf-8")

    # --- media

    def _badges(self, station: _Station, name: str, form: str, tag: str) -> None:
        rows = self.found.shown.setdefault(name, [])
        for number in range(self.presentations):
            time.sleep(self._random.random() * LOOKS)
            before, began = len(station.known()), time.monotonic_ns()
            station.forecourt.do("present", number=form.format(number % CARDS), tag=tag, hold_ms=1_500)
            rows.append((began, self._known(station, before, name)))
            station.forecourt.do("remove")
            self._welcome(station)

    def _cards(self, station: _Station) -> None:
        rows = self.found.shown.setdefault("smart card", [])
        for number in range(self.presentations):
            time.sleep(self._random.random() * LOOKS)
            before, began = len(station.known()), time.monotonic_ns()
            station.forecourt.do("insert", number=CHIP.format(number % CARDS), slow_ms=CARD_MS)
            rows.append((began, self._known(station, before, "smart card")))
            station.forecourt.do("take_out")
            self._welcome(station)

    @staticmethod
    def _known(station: _Station, before: int, name: str) -> int:
        if not wait_for(lambda: len(station.known()) > before, SHOWN_S):
            raise StationError(f"{name}: nothing was known after {SHOWN_S:g} s ({station.terminal.last_words()})")
        return station.known()[before]

    @staticmethod
    def _welcome(station: _Station) -> None:
        """Until the medium's session is over and the next one may come."""
        removed = len(chips.stamps(station.stamps, "MediumPresented"))
        if not wait_for(lambda: len(chips.stamps(station.stamps, "MediumRemoved")) >= removed, SHOWN_S):
            raise StationError("a medium that was taken away is still there")
        station.forecourt.do("keys", keys=["cancel"])
        station.forecourt.do("wait_display", contains="Welcome")

    def _fuellings(self, station: _Station) -> None:
        """One at each pump, so that nothing of the program is unused."""
        for fp in (1, 2):
            station.forecourt.do("present", number=SECURE.format(fp), tag="desfire")
            station.forecourt.do("wait_display", contains="PIN")
            station.forecourt.do("keys", keys=[*PIN, "enter"])
            station.forecourt.do("wait_display", contains="Pump no.")
            station.forecourt.do("keys", keys=[str(fp), "enter"])
            station.forecourt.do("wait_display", contains="Go to pump")
            station.forecourt.do("lift", fp=fp, nozzle=1)
            station.forecourt.do("squeeze", fp=fp, volume_ml=5_000)
            station.forecourt.do("wait_flow", fp=fp, volume_ml=5_000)
            station.forecourt.do("hang_up", fp=fp)
            if not wait_for(lambda: station.ready() and _unsent(station) == 0, SHOWN_S):
                raise StationError(f"the sale of pump {fp} was not closed: {station.terminal.status()}")

    def _keys(self, station: _Station) -> None:
        """Digits of a PIN, one by one, taken back after four; a person's rhythm, nothing else on the way to the display."""
        station.forecourt.do("present", number=SECURE.format(7), tag="desfire")
        station.forecourt.do("wait_display", contains="PIN")
        time.sleep(0.5)
        for number in range(self.presses):
            key = "clear" if number % 5 == 4 else DIGITS[number % len(DIGITS)]
            self.found.pressed_ns.append(time.monotonic_ns())
            station.forecourt.do("keys", keys=[key])
            time.sleep(0.12 + self._random.random() * 0.05)
        self.found.pressed_ns.append(time.monotonic_ns())
        station.forecourt.do("keys", keys=["cancel"])
        station.forecourt.do("wait_display", contains="Welcome")


def _settled(text: str) -> str:
    """In English, and a notice is gone soon."""
    return text.replace("[terminal]\n", '[terminal]\nlanguage = "en"\n').replace("[times]\n", f"[times]\nnotice_ms = {NOTICE_MS}\n")


def _unsent(station: Station) -> int:
    status = station.terminal.status()
    return 1 if status is None else int(status["unsent"])


def _pid(station: Station) -> int:
    process = station.terminal.process
    if process is None:
        raise StationError("the terminal was not started")
    return process.pid


def figures(found: Found) -> list[Figure]:
    """The raw values as figures beside their floors."""
    chip = chips.chip_exchanges(found.chip)
    card = chips.card_exchanges(found.card)
    return [
        *(_medium(name, chip, found.shown[name], "badge", "held out") for name in ("UID only", "EV2First")),
        *_smart_card(card, found.shown["smart card"]),
        _pressed(found),
        Figure(
            "resident memory, every driver",
            "MiB",
            found.resident_kib / 1024,
            "VmRSS with badge reader, stripe reader, smart cards, keypad, display, a DART and an AZT line and the host's workers, after "
            "badges, cards and a fuelling at each pump",
            floors.interpreter_kib(PREPARE) / 1024,
            "a bare interpreter that has imported the same libraries",
            bar=72,
        ),
    ]


def _medium(name: str, exchanges: Sequence[chips.Exchange], shown: Sequence[tuple[int, int]], what: str, begins: str) -> Figure:
    took = [(known - began) / 1e6 for began, known in shown]
    own = [chips.spent_ms(exchanges, began, known) for began, known in shown]
    return Figure(
        f"{what} to number, {name}",
        "ms",
        percentile(took, 0.5),
        f"p50; {begins} to MediumPresented in the core's inbox",
        percentile(own, 0.5),
        "p50; the emulator's own exchange times in the same stretches, by its log",
        bar=1.5,
        bar_of_floor=True,
        detail={
            "ms": spread(took),
            "own_ms": spread(own),
            "ratio_each": spread([one / other if other else 0.0 for one, other in zip(took, own, strict=True)]),
            "exchanges": spread([float(len(chips.within(exchanges, began, known))) for began, known in shown]),
        },
    )


def _smart_card(exchanges: Sequence[chips.Exchange], shown: Sequence[tuple[int, int]]) -> list[Figure]:
    """From the moment at which the PC/SC service has seen the card; and from the insertion, which it sees at its next look (400 ms)."""
    seen = []
    for began, known in shown:
        first = next((each for each in exchanges if began <= each.asked_ns <= known), None)
        if first is None:
            raise StationError("a card's number came without a word of the card")
        seen.append((first.asked_ns, known))
    waited = [(at - began) / 1e6 for (began, _), (at, _) in zip(shown, seen, strict=True)]
    took = [(known - began) / 1e6 for began, known in shown]
    own = [chips.spent_ms(exchanges, began, known) for began, known in shown]
    return [
        _medium(f"smart card of {CARD_MS} ms a command", exchanges, seen, "card", "the PC/SC service's first word to the card"),
        Figure(
            "card put in to number",
            "ms",
            percentile(took, 0.5),
            "p50; put in to MediumPresented in the core's inbox",
            percentile(waited, 0.5) + percentile(own, 0.5),
            "p50 of the PC/SC service's own look at the slot (every 400 ms) and of the card's own exchange times",
            detail={"ms": spread(took), "service_ms": spread(waited)},
        ),
    ]


def _pressed(found: Found) -> Figure:
    """The display's update is whole when the last byte of the line that changed is at its end of the wire."""
    first, whole, sizes = [], [], []
    drawn = [record for record in found.display if not record.out]
    for pressed, until in pairwise(found.pressed_ns):
        update = [record for record in drawn if pressed <= record.at_ns < until]
        if not update:
            raise StationError("a key that was pressed changed nothing at the display")
        first.append((update[0].at_ns - pressed) / 1e6)
        whole.append((update[-1].at_ns - pressed) / 1e6)
        sizes.append(float(sum(len(record.data) for record in update)))
    size = percentile(sizes, 0.5)
    return Figure(
        "key pressed to display updated",
        "ms",
        percentile(whole, 0.99),
        "p99; before the key is handed to the forecourt's process, to the last byte of the update at the display, 19200 baud",
        size * wires.DISPLAY_CHAR_MS,
        "the update's bytes on the wire",
        bar=50,
        detail={"whole_ms": spread(whole), "first_byte_ms": spread(first), "bytes": spread(sizes)},
    )


def measure(presentations: int, presses: int, tell: Callable[[str], None]) -> list[Figure]:
    """A run and its figures. Raises what the rig raises."""
    run = Media(presentations, presses, tell)
    return figures(run.run())
