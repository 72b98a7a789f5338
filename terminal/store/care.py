"""Everything that keeps the ledger well while the program runs: its disk, its opening, its backups. One thread."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from terminal.core.events import BackupEnded, RoomSeen
from terminal.core.rollback_mark import LedgerPruned
from terminal.store.backup import BackupKeeper
from terminal.store.disk_room import DiskRoom
from terminal.store.ledger import Ledger, Stamp, StorageFailed
from terminal.store.opening import open_ledger
from terminal.store.pruning import Pruner
from terminal.store.salvage import Encode

LOG = logging.getLogger("terminal")
FILE = "ledger.db"
LEFT = ("cards-*.part*", ".look-*", "*.rebuilt", f"{FILE}.converted", f"{FILE}.converted-wal", f"{FILE}.converted-journal")
"""Card files that an import did not end, copies for a look at a strange ledger, and what a restoration or a conversion did not end."""
ROOM_EVERY_MS = 60_000
ROOM_AGAIN_MS = 2_000
"""Between two looks at a disk on which there was no room."""


class LedgerCare:
    """Of one state directory, from one opening of the ledger to the next."""

    def __init__(
        self, room: DiskRoom, directory: Path, backups: Path, backup_ms: int, encode: Encode, suspected: set[str] | None = None
    ) -> None:
        """``backups``: their folder; ``backup_ms``: between two of them; ``encode``: a record for the host as bytes.

        ``suspected``: findings of backups for which the ledger was opened once more already; given by who makes one of these after another.
        """
        self.room = room
        self._directory = directory
        self._path = directory / FILE
        self._backups = backups
        self._backup_ms = backup_ms
        self._encode = encode
        self._keeper: BackupKeeper | None = None
        self._suspected = set[str]() if suspected is None else suspected
        self.keep_months = 0
        """So many months of the ledger stay; what is older is pruned when the host has it. 0: nothing is."""
        self._pruner: Pruner | None = None
        self._room_due = 0
        self._low: bool | None = None

    def open(self, held: Callable[[Ledger], None] = lambda ledger: None) -> Ledger:
        """The ledger, examined and whole; ``held``: see ``open_ledger``. Raises ``LedgerError`` and ``StorageFailed``.

        What a power cut or a kill left half made beside it is swept away: nobody makes such files yet, and the disk may be full of them.
        """
        try:
            missing = self.room.missing()
            if missing is not None:
                raise StorageFailed(missing)
            ledger = open_ledger(self._path, self._backups, self._encode, held)
        except StorageFailed:
            self._sweep()
            raise
        self._sweep()
        return ledger

    def _sweep(self) -> None:
        for one in (found for pattern in LEFT for found in self._directory.glob(pattern)):
            try:
                if one.is_dir():
                    shutil.rmtree(one)
                else:
                    one.unlink()
                LOG.info("event=Swept path=%r", str(one))
            except OSError as error:
                LOG.warning("event=NotSwept path=%r why=%r", str(one), error.strerror)

    def begin(self, ledger: Ledger, now: int) -> None:
        """The ledger is in use from now on (milliseconds): backups are made of it."""
        self._keeper = BackupKeeper(ledger, self._backups, self._backup_ms, now)
        self._keeper.keep_months = self.keep_months
        self._keeper.reserve_bytes = self.room.reserve_bytes
        self._pruner = Pruner(ledger, self._backups)
        self._pruner.clear()
        self._low, self._room_due = None, now
        if not self.room.ready():  # makes its ballast now, not in a driver's time
            self._room_due = now + ROOM_EVERY_MS  # what filled the disk may be done with it soon: the fault says that it lasts

    def news(self, now: int) -> list[BackupEnded | RoomSeen]:
        """Between steps: what the core should hear. Raises ``StorageFailed`` as ``look``."""
        return [seen for seen in (self.look(now), self.look_at_room(now)) if seen is not None]

    def look(self, now: int) -> BackupEnded | None:
        """Between steps: what the core should hear of a backup that has ended.

        Raises ``StorageFailed`` when one came out damaged: the ledger is opened once more then, and examined.
        """
        ended = self._keeper.look(now) if self._keeper is not None else None
        if ended is None:
            return None
        damaged, why = ended
        if why:
            LOG.error("event=%s why=%r", "LedgerSuspect" if damaged else "BackupFailed", why)
        if damaged and why not in self._suspected:
            self._suspected.add(why)  # once: where the start's examination finds nothing, neither will the next one's
            raise StorageFailed(f"the backup found the ledger damaged: {why}")
        if not why and self._pruner is not None and self.keep_months:
            self._pruner.look_for_proposal()
        return BackupEnded(why)

    def look_at_room(self, now: int) -> RoomSeen | None:
        """Between steps, every minute: what the core should hear of the room on the ledger's disk, when it has changed."""
        if now < self._room_due:
            return None
        why = self.room.low()
        self._room_due = now + (ROOM_AGAIN_MS if why else ROOM_EVERY_MS)
        if bool(why) is self._low or (why and self.room.keeps()):  # the fault would be the write that fails: it is told when the sale ends
            return None
        self._low = bool(why)
        return RoomSeen(why)

    def prune(self, now: int, stamp: Callable[[], Stamp], quiet: Callable[[], bool], known_to_host: int) -> LedgerPruned | None:
        """Between steps: a piece of what is to be pruned, while nobody is served (``quiet``) and no backup is made. See ``Pruner.work``."""
        pruner, keeper = self._pruner, self._keeper
        if pruner is None or keeper is None or not pruner.wants or keeper.under_way or not quiet():
            return None
        return pruner.work(now, stamp(), known_to_host=known_to_host)

    def end(self) -> None:
        """The ledger is about to be closed."""
        if self._keeper is not None:
            self._keeper.stop()
            self._keeper = None
