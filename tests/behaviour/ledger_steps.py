"""Steps about the ledger's file: bits that flip while the terminal has no power, and the host that takes what was made of it.

PYTEST_DONT_REWRITE (there is no bare assert here)
"""

from __future__ import annotations

from pathlib import Path

from terminal.store.log_repair import FRAME, HEADER, examine_log
from terminal.store.schema import PAGE_SIZE
from terminal.store.sqlite_kind import ledger_key
from tests.behaviour.stage import Kind, Stage, known

FILES = ("ledger.db", "ledger.db-wal")


def flip_a_bit(folder: Path) -> None:
    """One bit of the newest delivered sale's row, in the log or, when it is not there, in the file. Raises ``ValueError`` without one."""
    for path in (folder / name for name in reversed(FILES) if (folder / name).exists()):
        content = bytearray(path.read_bytes())
        at = content.rfind(b'SaleDelivered{"sale":') if ledger_key() is None else _newest_page(content, path)
        if at >= 0:
            content[at + 40] ^= 4
            path.write_bytes(content)
            return
    raise ValueError("no sale was delivered yet")


def _newest_page(content: bytearray, path: Path) -> int:
    """Where the page is that was written last: an encrypted ledger does not show what stands in it."""
    frames = examine_log(bytes(content)).frames if path.name.endswith("-wal") else 0
    if frames:
        return HEADER + (frames - 1) * (FRAME + PAGE_SIZE) + FRAME
    return len(content) - PAGE_SIZE if not path.name.endswith("-wal") else -1


def keep_ledger(folder: Path) -> None:
    """What is in the ledger now, beside it."""
    for name in FILES:
        (folder / f"kept-{name}").unlink(missing_ok=True)
        if (folder / name).exists():
            (folder / f"kept-{name}").write_bytes((folder / name).read_bytes())


def put_ledger_back(folder: Path) -> None:
    """The copy in the ledger's place."""
    for name in FILES:
        (folder / name).unlink(missing_ok=True)
        if (folder / f"kept-{name}").exists():
            (folder / f"kept-{name}").rename(folder / name)


@known(Kind.WHEN, "somebody copies the ledger")
def _copies(stage: Stage) -> None:
    stage.world.keep_ledger()


@known(Kind.WHEN, "somebody puts the copy of the ledger back")
def _puts_back(stage: Stage) -> None:
    stage.world.put_ledger_back()


@known(Kind.WHEN, "a bit of the last sale flips in the ledger")
def _flips(stage: Stage) -> None:
    stage.world.flip_a_bit()


@known(Kind.WHEN, "the host confirms the ledger")
def _confirms(stage: Stage) -> None:
    stage.world.host_confirms_ledger()
