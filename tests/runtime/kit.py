"""A site that answers as it is told, an outside that notes what left and when, and a clock that is set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from drivers.commands import DeviceCommand
from terminal.core.account_book import AccountBook
from terminal.core.card_lists import ListDelta, ListMark
from terminal.core.clock import TerminalClock
from terminal.core.effects import Effect
from terminal.core.events import ChangesApplied, ListsRefused
from terminal.core.faults import FaultBook
from terminal.core.host_link import HostTimes
from terminal.core.messages import Authorize, SaleMessage
from terminal.core.records import FaultRaised, Record
from terminal.core.rollback import CountedUp
from terminal.core.step import Desk
from terminal.core.terminal_state import TerminalState
from terminal.core.units import Instant
from terminal.core.uploads import Uploads
from terminal.host.json_lane import Lane
from terminal.runtime.engine import Engine
from terminal.store.ledger import Ledger, QueuedMessage

LANE = Lane("OPT1", "S1", "EUR")


class SetClock:
    """A clock that stands until it is set."""

    def __init__(self, at: int = 0) -> None:
        self.at = at

    def instant(self) -> Instant:
        """Now."""
        return Instant(self.at)


class ScriptedSite:
    """What ``Site`` is to the engine: for each event the effects that a test wrote down."""

    def __init__(self) -> None:
        self.desk = Desk(AccountBook(), TerminalClock(), FaultBook())
        self.uploads = Uploads(self.desk, HostTimes(), 0)
        self.script: dict[object, list[Effect]] = {}
        self.handled: list[tuple[object, int]] = []

    def handle(self, event: object, at: Instant) -> list[Effect]:
        """The effects of this event; none for one that nobody wrote down."""
        self.handled.append((event, at))
        return list(self.script.get(event, []))

    def boot(self, at: Instant) -> list[Effect]:
        """The same for the start."""
        return self.handle("boot", at)


class Watched:
    """The outside: what left, and how many facts were durable then."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.left: list[tuple[str, Any, int]] = []
        self.changed: ChangesApplied | ListsRefused = ListsRefused("nobody wrote down what becomes of it")

    def _note(self, what: str, value: object) -> None:
        (rows,) = self.ledger.connection.execute("SELECT count(*) FROM journal").fetchone()
        assert not self.ledger.connection.in_transaction
        self.left.append((what, value, rows))

    def send(self, command: DeviceCommand) -> None:
        """See ``Outside``."""
        self._note("send", command)

    def ask_host(self, question: Authorize) -> None:
        """See ``Outside``."""
        self._note("ask", question)

    def upload(self, messages: tuple[QueuedMessage, ...]) -> None:
        """See ``Outside``."""
        self._note("upload", messages)

    def probe_host(self) -> None:
        """See ``Outside``."""
        self._note("probe", None)

    def check_lists(self, epoch: str, version: int, mark: ListMark, whole: bool) -> None:
        """See ``Outside``."""
        self._note("lists", (epoch, version, mark, whole))

    def use_cards(self, file: str) -> None:
        """See ``Outside``."""
        self._note("cards", file)

    def apply_changes(self, deltas: tuple[ListDelta, ...]) -> ChangesApplied | ListsRefused:
        """See ``Outside``; answered as the test wrote down."""
        self._note("changes", deltas)
        return self.changed

    def open_push(self, last_event: int) -> None:
        """See ``Outside``."""
        self._note("push", last_event)

    def ack_event(self, event: int, effective_at: int, refused: str | None) -> None:
        """See ``Outside``."""
        self._note("ack", (event, effective_at, refused))

    def report_state(self, state: TerminalState) -> None:
        """See ``Outside``."""
        self._note("state", state)

    def tell_applied(self, epoch: str, version: int, at: int) -> None:
        """See ``Outside``."""
        self._note("applied", (epoch, version, at))

    def fetch_sales(self, epoch: int, after: int) -> None:
        """See ``Outside``."""
        self._note("sales", (epoch, after))

    def count_up(self) -> CountedUp:
        """See ``Outside``."""
        self._note("count up", ())
        return CountedUp(None, "there is no TPM")

    def encode(self, message: SaleMessage) -> bytes:
        """See ``Outside``."""
        return LANE.encode(message)


class Bench:
    """A real engine and a real ledger between a scripted site and a watched outside."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(folder / "ledger.db")
        self.site = ScriptedSite()
        self.outside = Watched(self.ledger)
        self.engine = Engine(self.site, self.ledger, self.outside)  # type: ignore[arg-type]

    def fill_disk(self, full: bool = True) -> None:
        """No statement of the ledger succeeds any more, or again."""
        self.ledger.connection.set_progress_handler((lambda: 1) if full else None, 1)

    @property
    def journal(self) -> list[str]:
        """The kinds of all facts, oldest first."""
        return [kind for (kind,) in self.ledger.connection.execute("SELECT kind FROM journal ORDER BY seq")]


def fault(subject: str) -> Record:
    """A fact."""
    return FaultRaised("DEVICE_DOWN", subject, "gone")
