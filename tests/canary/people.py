"""Drivers with canaries in their pockets: what they hold out, type, tear and leave; and what happens to the station meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from drivers.magstripe.decode import StripeDecoder
from drivers.magstripe.wedge import WedgeLayout
from hal_sim.magstripe import wedge
from tests.behaviour.setup import CardRow, CustomerRow, HostConduct, NozzleRow, RangeRow, Setup, Subject, SubjectKind
from tests.behaviour.world import Amount
from tests.canary.forced import CORE, PLACES
from tests.canary.search import Canary
from tests.canary.station import Station
from tests.virtual.forecourt import SIDE
from tests.virtual.host import Conduct

NOTICE_MS = 8_000
REST_MS = 40_000
PIN_DIGITS = 12
SWIPES = (*("none",) * 8, "half", "double", "noise", "dropped", "stray", "error", "bad lrc")
CHIPS = ("fleet", "fleet", "copy", "no proof", "foreign", "bank", "bank", "certificate", "certificate copy", "expired certificate")
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


def _digits(rng: Random, count: int) -> str:
    return str(rng.randint(1, 6)) + "".join(str(rng.randrange(10)) for _ in range(count - 1))


@dataclass(slots=True)
class Pocket:
    """All secrets of one station's people."""

    canaries: list[Canary]

    def add(self, kind: str, text: str) -> str:
        """One more; the text itself."""
        self.canaries.append(Canary(kind, text))
        return text


def _range(first: str, last: str, pin: str | None) -> RangeRow:
    plain: dict[str, object] = dict.fromkeys(("media", "number", "restriction", "prompts"))
    of = {"kind": "fleet", "routing": "host", "lengths": list(range(8, 20)), "luhn": False, "expiry": False, "service_code": False}
    return RangeRow({"first": first, "last": last, "pin": pin, **of, **plain})


def station_of(rng: Random, pocket: Pocket, host_pins: bool) -> Setup:
    """A site with cards of all kinds. ``host_pins``: with a card table, and PINs that the host checks."""

    def card(number: str, medium: str, pin: bool, check: str = "terminal") -> CardRow:
        code = pocket.add("pin", _digits(rng, PIN_DIGITS)) if pin else None
        return CardRow(
            pocket.add("number", number), number, medium, "C1", pin=code, pin_check=check, prompts=("odometer",) * (rng.randrange(5) == 0)
        )

    cards = [card(f"04{rng.getrandbits(96):024X}"[:20], "badge", bool(at % 2)) for at in range(0 if host_pins else 4)]
    cards += [card(f"04{rng.getrandbits(48):012X}", "secure badge", True) for _ in range(0 if host_pins else 1)]
    cards += [card(_digits(rng, rng.choice((16, 19))), "stripe", bool(at % 2)) for at in range(4)]
    cards += [card(_digits(rng, 19), "smart card", bool(at % 2)) for at in range(3)]
    cards += [card(f"7001{_digits(rng, 12)}", "badge", True, check) for check in ("host", "both") if host_pins]
    return Setup(
        fuelling_points=(NozzleRow(1, "dart", 1, "GAZOLE", 17290), NozzleRow(2, "dart", 1, "SP95", 18590)),
        customers=(CustomerRow("C1", offline="ALWAYS"),),
        cards=tuple(cards),
        ranges=(_range("1", "6", None), _range("7001", "7001", "online")) if host_pins else (),
        policy={"bank_cards": True},
    )


class People:
    """Comes to one station, session after session."""

    def __init__(self, station: Station, setup: Setup, pocket: Pocket, rng: Random) -> None:
        self.station = station
        self.cards = setup.cards
        self.pocket = pocket
        self.rng = rng
        self.plain = False
        """Nothing goes wrong but what is forced."""

    def session(self, forced: bool) -> None:
        """One driver, from the first look to the last; then everything is whole again."""
        station, rng = self.station, self.rng
        place = rng.choice(PLACES) if forced else None
        self.plain = forced
        if not forced:
            self._weather()
        station.forcing.plan(place)
        card = self._card_for(*place) if place else rng.choice(self.cards)
        station.forced(lambda: self._driver(card))
        station.set_host(HostConduct())
        station.disk_full(False)
        station.remove_card()
        for fp in station.station.heads:
            self._hang_up(fp)
        station.return_power()
        if rng.randrange(4) == 0:
            card = rng.choice(self.cards)
            station.unlock_pin(card.account)
        station.pass_time(REST_MS)

    def _card_for(self, where: str, module: str, path: str) -> CardRow:
        """One with which that function is come by."""
        medium = {"magstripe": "stripe", "smartcard": "smart card", "badge": "badge"}.get(module.split(".")[1])
        medium = "secure badge" if path == "_content" else medium
        own = [card for card in self.cards if medium in (None, card.medium)] or list(self.cards)
        if where == CORE and "pin" in path.lower():
            own = [card for card in own if card.pin]
        if path == "KeyVault.pin_block":
            own = [card for card in own if card.pin_check != "terminal"] or own
        card = self.rng.choice(own)
        self.station.unlock_pin(card.account)
        return card

    def _weather(self) -> None:
        """How host and disk are during this session."""
        station, rng = self.station, self.rng
        conduct = rng.choice(
            (Conduct(),) * 4 + (Conduct(reachable=False), Conduct(delay_ms=9_000), Conduct(always_500=True), Conduct(garbage=True))
            + (Conduct(lose_answers=True), Conduct(repeat=True))
        )  # fmt: skip
        station.station.host.conduct = conduct
        if rng.randrange(12) == 0:
            station.disk_full(True)
        if rng.randrange(10) == 0:
            subject = Subject(SubjectKind.CARD, rng.choice(self.cards).number)
            station.host_blocks(subject)
            station.host_unblocks(subject)
        if rng.randrange(10) == 0:
            station.publish_lists()

    def _driver(self, card: CardRow) -> None:
        if not self.plain and self.rng.randrange(12) == 0:
            self.station._type(self.pocket.add("pin", _digits(self.rng, PIN_DIGITS)))  # at the welcome screen, of all places
        self._hold_out(card)
        if not self._prove(card):
            return
        self._fuel()

    def _hold_out(self, card: CardRow) -> None:
        station, rng = self.station, self.rng
        stranger = not self.plain and rng.randrange(12) == 0
        number = self.pocket.add("number", _digits(rng, 17)) if stranger else card.number
        if card.medium == "stripe":
            self._swipe(number, "none" if self.plain else rng.choice(SWIPES))
        elif card.medium == "smart card":
            make, tear_at = ("fleet", 0) if self.plain else (rng.choice(CHIPS), rng.choice((0, 0, 0, 0, 1, 2, 3)))
            station.insert(number, make=make, tear_at=tear_at)
        else:
            second = rng.choice(self.cards).number if not self.plain and rng.randrange(10) == 0 else ""
            station.present_badge(number, second=second, tear_after=0 if self.plain else rng.choice((0, 0, 0, 0, 1, 2)))

    def _swipe(self, number: str, fault: str) -> None:
        """As ``CardHands.swipe``, with a name and a rest of the track that are canaries too."""
        station, rng = self.station, self.rng
        name = self.pocket.add("name", "".join(rng.choice(LETTERS) for _ in range(14)))
        rest = self.pocket.add("track", _digits(rng, 12))
        lines = [line.replace("DRIVER/A", name) for line in wedge.tracks_of(number, (1, 2), "2912", "101", rest[: 37 - len(number) - 10])]
        decoder = StripeDecoder(SIDE, WedgeLayout.US)
        for packet in wedge.swipe_packets(lines, lines[1:], wedge.WedgeLayout.US, False, wedge.SwipeFault(fault)):
            station.pass_time(1)
            for event in (*packet, (wedge.EV_SYN, 0, 0)):
                for told in decoder.feed(*event, station.heap.now):
                    station.terminal.post(told)
        station.pass_time(400)
        for told in decoder.tick(station.heap.now):
            station.terminal.post(told)

    def _prove(self, card: CardRow) -> bool:
        """PINs and prompts until a point is asked for. False: gone."""
        station, rng = self.station, self.rng
        for _ in range(5):
            asked = station.asked()
            if asked == "PIN":
                self._pin(card)
                station.pass_time(rng.choice((200, 61_000 if rng.randrange(4) == 0 else 200)))
            elif asked not in (None, "FUELLING POINT"):
                station.answer_prompt(asked or "", str(rng.randint(1_000, 99_999)))
            else:
                break
            station.wait(station.settled, 12_000)
        return station.asked() == "FUELLING POINT"

    def _pin(self, card: CardRow) -> None:
        station, rng = self.station, self.rng
        right = card.pin or self.pocket.add("pin", _digits(rng, PIN_DIGITS))
        if self.plain:
            station.enter_pin(right)
            return
        how: Callable[[], object] = rng.choice(
            (lambda: station.enter_pin(right),) * 5
            + (lambda: station.enter_pin(self.pocket.add("pin", _digits(rng, PIN_DIGITS))),) * 2
            + (lambda: self._half_typed(right, "cancel"), lambda: self._half_typed(right, "clear"), lambda: self._cut_while_typing(right))
        )
        how()

    def _half_typed(self, pin: str, key: str) -> None:
        for digit in pin[: self.rng.randint(1, PIN_DIGITS)]:
            self.station.press_key(digit)
        self.station.press_key(key)

    def _cut_while_typing(self, pin: str) -> None:
        for digit in pin:
            self.station.press_key(digit)
        self.station.cut_power()
        self.station.pass_time(2_000)
        self.station.return_power()

    def _fuel(self) -> None:
        station, rng = self.station, self.rng
        fp = rng.choice((1, 2))
        if rng.randrange(6) == 0:
            station.wish(Amount(volume_ml=5_000))
        station.choose(fp)
        station.wait(station.settled, 20_000)
        station.pass_time(NOTICE_MS)
        station.lift(fp, 1)
        station.wait(lambda: station.release(fp) is not None, 5_000)
        station.flow(fp, rng.choice((1_000, 4_000)))
        if rng.randrange(6) == 0:
            station.cut_power()
            station.pass_time(2_000)
            station.return_power()
        self._hang_up(fp)
        station.pass_time(NOTICE_MS)

    def _hang_up(self, fp: int) -> None:
        if self.station.station.heads[fp].nozzle_out is not None:
            self.station.hang_up(fp)
