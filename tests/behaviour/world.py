"""What a scenario acts on: one protocol that the virtual world and the rig both keep, and the ``Setup`` that they start from.

Every judgement and every waiting time of the language lives in ``steps.py``. A world only *acts* (upper half of ``World``), *lets time
pass* (``wait``, ``pass_time``) and *looks* (lower half: snapshots, never waiting, never changing anything).

Source: ``firmware_notes/features.md`` and the behaviour language, sections "Given", "When", "Then" and "What the steps mean".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.behaviour.command_line import CommandLine
from tests.behaviour.given_words import Correction as Correction
from tests.behaviour.given_words import GivenOrder as GivenOrder
from tests.behaviour.setup import (
    BalanceRow,
    CardRow,
    CustomerRow,
    HostConduct,
    HostCountRow,
    LimitRow,
    NozzleRow,
    Setup,
    ShareRow,
    Subject,
    SubjectKind,
)

__all__ = [
    "Amount",
    "BalanceRow",
    "Books",
    "CardRow",
    "CustomerRow",
    "HostConduct",
    "HostCountRow",
    "LimitRow",
    "NozzleRow",
    "Release",
    "SaleSeen",
    "Setup",
    "ShareRow",
    "Subject",
    "SubjectKind",
    "World",
]

# --- what a world shows -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Amount:
    """A wish, a preset or a remainder: exactly one of litres (``volume_ml``) and money (``amount_minor``) is set."""

    volume_ml: int | None = None
    amount_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """The *pump itself* says that fuel may flow at this nozzle (authorized or filling), up to this preset.

    ``price`` is what the head charges, 1/10000 of the major unit per litre.
    """

    nozzle: int
    preset: Amount
    price: int


@dataclass(frozen=True, slots=True)
class SaleSeen:
    """A delivered sale of the ledger with volume above 0. ``account`` and ``number`` are names of the cards table.

    The ledger holds tokens, no clear numbers: a world finds the name by making the token of each card of its setup.
    ``number`` is None where the ledger knows the account only.
    """

    volume_ml: int
    amount_minor: int
    product: str
    account: str
    number: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Books:
    """The three books since the scenario began: millilitres by (fp, nozzle); a nozzle that delivered nothing may be left out.

    ``pumps``: totaliser now less totaliser at the start, read at the emulator. ``ledger`` and ``host``: sum of the sales, each also
    with unattributed deliveries. ``ledger_minor`` and ``host_minor``: money of all sales. ``ledger_sales`` and ``host_sales``: the ids
    of sales with volume above 0.
    """

    pumps: Mapping[tuple[int, int], int]
    ledger: Mapping[tuple[int, int], int]
    host: Mapping[tuple[int, int], int]
    ledger_minor: int
    host_minor: int
    ledger_sales: tuple[str, ...]
    host_sales: tuple[str, ...]


LIST_FAULTS = (
    "wrong signature", "wrong hash", "wrong content hash", "truncated", "bomb", "older", "expired", "other terminal", "skipped delta",
    "doubled delta", "wrong delta", "shrunk", "empty", "unknown field", "unknown limit", "unknown product", "negative amount",
    "absurd amount", "1970",
)  # fmt: skip
"""What may be wrong with a list, as the steps name it."""


@dataclass(frozen=True, slots=True)
class PriceSaid:
    """What the host says of prices. ``fp`` None: wherever the product is sold; ``starts`` "": at once, else local time of the site;
    ``version`` None: the next one; ``confirmed``: also when it jumps far; ``checked`` False: also what cannot be.
    """

    product: str
    price: int
    fp: int | None = None
    starts: str = ""
    version: int | None = None
    confirmed: bool = False
    checked: bool = True

    def fields(self, starts_at_ms: int | None) -> dict[str, Any]:
        """As the host's command takes them."""
        found: dict[str, Any] = {"product": self.product, "price": self.price, "confirm_jump": self.confirmed, "checked": self.checked}
        more = {"fuelling_point": self.fp, "starts_at_ms": starts_at_ms, "version": self.version}
        return found | {name: value for name, value in more.items() if value is not None}


class World(Protocol):
    """A forecourt with one terminal. Made as ``Class(setup)`` at the first When or Then, when the terminal must be ready for a driver.

    Acts do what a person, a wire or the host does. They never fail because the terminal ignores them, and they return as soon as it is
    done (the steps then wait for ``settled``, a question or a release as the language says). A pump, the host and people live on while
    the terminal has no power; what is then held out to the terminal or typed is lost.
    """

    # -- time ----------------------------------------------------------------------------------------------------------

    def wait(self, until: Callable[[], bool], at_most_ms: int) -> bool:
        """Let the scenario's time run until ``until()`` holds, at most so long; return what it said last.

        Asks before any time passes and again after every change (virtual: after each event; rig: at least every 50 ms). In the virtual
        world time is exact: it ends at the very event, or after exactly ``at_most_ms``.
        """

    def pass_time(self, duration_ms: int) -> None:
        """``N s pass``. Virtual: exactly so long. Rig: at most so long, ending early when the world is at rest
        (no open hold, nothing under way to a pump, outbox empty or host away, at least 2 s gone)."""

    # -- the driver ----------------------------------------------------------------------------------------------------

    def present_badge(self, number: str, *, make: str = "", second: str = "", tear_after: int = 0) -> None:
        """Hold a badge to the reader and take it away once read: its UID when ``number`` is 8, 14 or 20 hex digits, else the text of
        its first NDEF record. A ``secure badge`` of the cards table is a DESFire that says its number behind its proof; a number in no
        table is a plain badge. ``make`` as in ``hal_sim.badge.catalogue``; ``second`` is held out with it; ``tear_after``: pulled away
        after so many exchanges (0 never)."""

    def press_key(self, key: str) -> None:
        """Press one digit, and nothing else."""

    def swipe(self, number: str, *, tracks: tuple[int, ...] = (1, 2), fault: str = "none", second: str = "", rest: str = "") -> None:
        """Draw a stripe with this PAN on these tracks. ``rest`` is what follows it (YYMM, service code, discretionary data).

        ``fault`` as in ``hal_sim.magstripe.wedge``; ``second`` follows a double swipe.
        """

    def insert(self, number: str, *, make: str = "fleet", tear_at: int = 0) -> None:
        """Put a smart card in that carries this number in EF.ID. It stays in until ``remove_card``.

        ``make`` as in ``hal_sim.smartcard.card`` and ``certified``; ``tear_at``: at this command it is pulled out again (0 never).
        """

    def card_service(self, running: bool) -> None:
        """The operating system's service for card readers stops, or runs again. A card that is in stays in."""

    def card_heard(self) -> Sequence[bytes]:
        """Every command that was sent to the smart card that is in, or was in last."""

    def remove_card(self) -> None:
        """Take the smart card out; nothing when none is in."""

    def enter_pin(self, pin: str) -> None:
        """Type the digits and ENTER."""

    def answer_prompt(self, name: str, value: str) -> None:
        """Type the answer and ENTER. ``name`` is odometer, vehicle or driver."""

    def wish(self, amount: Amount) -> None:
        """Key in the wish the way this terminal takes one."""

    def choose(self, fp: int) -> None:
        """Key in the fuelling point and ENTER."""

    def cancel(self) -> None:
        """Press CANCEL."""

    def lift(self, fp: int, nozzle: int) -> None:
        """Take this nozzle out at the pump. Nothing when it is out already."""

    def flow(self, fp: int, volume_ml: int) -> None:
        """Squeeze the trigger until so much more has run, the preset is reached or the pump stops; return then.

        When the pump is not released (the step has waited for it) nothing flows. Virtual: 40 L/min. Rig: 600 L/min. Works without
        terminal or line.
        """

    def hang_up(self, fp: int) -> None:
        """Hang up whichever nozzle is out; nothing when none is."""

    # -- power, wires, buttons -----------------------------------------------------------------------------------------

    def cut_power(self) -> None:
        """The terminal alone loses its power, in the middle of whatever it does. Nothing when it has none."""

    def return_power(self) -> None:
        """The terminal starts again; return when it is ready for a driver or says why not. Nothing when it has power."""

    def cut_line(self, fp: int) -> None:
        """The fuelling point's own drop is open: neither side hears the other. The pump goes on as its protocol says."""

    def restore_line(self, fp: int) -> None:
        """The drop is whole again."""

    def noise(self, fp: int) -> None:
        """Bytes that are no frame, and spoilt frames, on this line, for 5 s of the scenario's time, beginning now. Return at once."""

    def exchange_head(self, fp: int) -> None:
        """A fitter puts another head in the place of this one: it knows no fill and no price, its totalisers stand at zero."""

    def press_stop(self, fp: int) -> None:
        """The stop of this fuelling point is pressed: whatever flows there ends."""

    def emergency_stop(self, pressed: bool) -> None:
        """The site's hard-wired emergency stop is pressed (True), or its button is pulled out again (False), which alone resets nothing
        at the terminal. Whatever flows at any head ends; only the heads that can tell, and an input where one is wired, tell of it."""

    def head_habit(self, fp: int, habit: str) -> None:
        """From now on the head of this fuelling point is another, or a worse, one (``hal_sim.pump_lines.HABITS``)."""

    def live(self, fp: int) -> tuple[int, int]:
        """What the terminal knows of the fuelling that runs here: millilitres and minor units so far; zeros where none does."""

    def head_alarm(self, fp: int, code: int) -> None:
        """The head of this fuelling point reports this alarm of its own (DC5 code; an AZT head has no word for it)."""

    def dispense_unreleased(self, fp: int, nozzle: int, volume_ml: int) -> None:
        """Fuel leaves this nozzle although nobody has released it: a key switch, a defect."""

    def order(self, order: GivenOrder) -> str | None:
        """A person in charge gives an order, at the site or through the host. Why the terminal refuses it at the site; None when it is
        done, or when it is the host's and the terminal's answer is in the host's acknowledgements."""

    def orders_taken(self) -> Sequence[tuple[str, str]]:
        """The orders of the journal: what, and by whom."""

    def disk_full(self, full: bool) -> None:
        """The ledger's disk takes no further byte (True), or has room again (False)."""

    def keep_ledger(self) -> None:
        """Somebody takes a copy of the ledger; the terminal has no power."""

    def put_ledger_back(self) -> None:
        """Somebody puts that copy in the ledger's place; the terminal has no power."""

    def flip_a_bit(self) -> None:
        """One bit of the last sale's row in the ledger; the terminal has no power."""

    def host_confirms_ledger(self) -> None:
        """The host's people take the terminal's ledger as it is."""

    def set_clock(self, local_time: str) -> None:
        """Somebody sets the operating system's clock to this wall time in the site's zone (``2026-03-01 12:00:00``)."""

    # -- the host ------------------------------------------------------------------------------------------------------

    def set_host(self, conduct: HostConduct) -> None:
        """From now on the host behaves so. ``HostConduct()`` ends every fault of it."""

    def host_blocks(self, subject: Subject) -> None:
        """The host denies this card number or customer and tells a terminal that it reaches, as it does in service (push)."""

    def host_unblocks(self, subject: Subject) -> None:
        """The host lifts that block, the same way."""

    def unlock_pin(self, account: str) -> None:
        """The host sets the PIN tries of this account back, the same way."""

    def publish_lists(self) -> None:
        """The host publishes its lists as they are now; a terminal that reaches it then checks and takes them."""

    def spoil_lists(self, fault: str) -> None:
        """The host's lists are wrong in this way (one of ``LIST_FAULTS``) from now on, until the host becomes reachable."""

    def host_sets_odometer(self, card: str, reading: int) -> None:
        """The host enters another odometer's reading for the account of this number, and publishes its lists."""

    def host_loses(self, sale: str) -> None:
        """The host forgets its record of this sale, as if it had never come."""

    def host_misbooks(self, sale: str, volume_ml: int) -> None:
        """The host has another volume in its record of this sale than came."""

    def host_closes(self, scope: str, name: str, *, closed: bool) -> None:
        """The host closes (or opens again) the site (name ""), a product or a fuelling point, and tells the terminal."""

    def host_corrects(self, correction: Correction) -> None:
        """The host corrects the last sale of the terminal's ledger that delivered or is in doubt, once it has its record."""

    def change_price(self, said: PriceSaid) -> None:
        """The host sends a new price, and a terminal that reaches it has it in its ledger when this returns, or has refused it."""

    def price_at_head(self, fp: int, nozzle: int, price: int) -> None:
        """A person changes the price of this nozzle at the head itself."""

    def head_keeps_prices(self, fp: int, keeps: bool) -> None:
        """From now on this head takes every price that the line brings and goes on showing its own (True), or obeys again."""

    def head_price(self, fp: int, nozzle: int) -> int | None:
        """Snapshot: the price that this head has for this nozzle, None where it has none. 1/10000 of the major unit per litre."""

    def display(self, fp: int) -> tuple[int, int]:
        """Snapshot: what the head's own display shows of its fill, in ml and minor units."""

    def commission(self, slips: Mapping[str, str]) -> Mapping[str, Any]:
        """A technician walks every fuelling point while the terminal is off, with these slips (``walker``); a second walk goes on behind
        the first. The report, with ``asked``, what he was asked."""

    # -- looking: snapshots --------------------------------------------------------------------------------------------

    def settled(self) -> bool:
        """The terminal has nothing of the present session under way: it waits for a driver or for the answer to a question, or has no
        power.

        False while a medium is read, a PIN is checked, the host is asked or a hold is being committed.
        """

    def asked(self) -> str | None:
        """What the terminal asks the driver now: PIN, ODOMETER, VEHICLE, DRIVER, SECOND CARD, FUELLING POINT; None when nothing."""

    def refusals(self) -> Sequence[str]:
        """The reason of every refusal since the scenario began, in order, also those at a fuelling point and across power cuts."""

    def screens(self) -> Sequence[str]:
        """Every picture of the display since the scenario began, in order, the last one is there now; the lines of one joined with a
        line feed."""

    def release(self, fp: int) -> Release | None:
        """What the pump emulator itself says; None when no fuel may flow. Told without terminal and without line too."""

    def faults(self) -> Collection[str]:
        """The names of the faults that the terminal holds raised now."""

    def ledger_sales(self) -> Sequence[SaleSeen]:
        """The delivered (or booked) sales with volume above 0, in order. Readable without power too."""

    def ledger_tests(self) -> Sequence[tuple[int, str, int]]:
        """The test fuellings with volume above 0, which are no sales: millilitres, product, minor units. Readable without power too."""

    def proved(self) -> Sequence[int]:
        """The deviation in millilitres of each prover's reading in the journal."""

    def unattributed(self, fp: int) -> Sequence[int]:
        """Millilitres of each unattributed delivery of the ledger at this fuelling point."""

    def remaining(self, subject: Subject, period: str, measure: str, products: tuple[str, ...] | None) -> int | None:
        """``remaining`` of this limit as ``explain`` has it: max(0, limit - used - held). None when there is no such limit.

        ``products`` None stands for the only limit of that subject, period and measure, whatever its products.
        """

    def copy_ledger(self, into: Path) -> Path:
        """Copy the ledger's files to this folder, as a technician would who must not stop the terminal; the copy of ``ledger.db``."""

    def explain_case(self, case: str) -> CommandLine:
        """Put this text into a file and have the terminal's command line explain it."""

    def host_sales(self) -> int:
        """How many sales with volume above 0 the host has booked; one booked twice counts twice."""

    def host_open_authorizations(self) -> int:
        """How many authorizations the host holds that are neither completed nor reversed."""

    def host_view(self) -> Mapping[str, Any]:
        """The host's own book as ``hal_sim.views.book_view`` gives it: records, what it said unasked, what it heard of that, …"""

    def books(self) -> Books:
        """The three books as they stand."""

    def close(self) -> None:
        """End everything this world started. Called once, also after a failure."""
