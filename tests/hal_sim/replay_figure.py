"""How long a stand-alone host needs to play its book again: ``python -m tests.hal_sim.replay_figure 200000``.

For firmware_notes/host-command.md. Writes a book of so many inputs (half authorizations, half completions) and opens it in a new process.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hal_sim.host.sqlite_book import Keys, SqliteBook
from tests.hal_sim.host_kit import CARD_KEY, PIN_KEY, TOKEN_KEY, Clock, Terminal, scenario

KEYS = Keys(TOKEN_KEY, PIN_KEY, CARD_KEY, bytes(32))


def write(folder: Path, inputs: int) -> None:
    """A book of so many inputs. Not durable, or a slow disk would be measured here."""
    clock = Clock()
    book = SqliteBook(scenario(), folder, KEYS, clock)
    book.db.execute("PRAGMA synchronous = OFF")
    terminal = Terminal(book, clock)
    for sequence in range(1, inputs // 2 + 1):
        asked, record = terminal.authorization(sequence), terminal.record(sequence, 5_000)
        for path, message in (("/v1/authorizations", asked), (f"/v1/authorizations/{asked['sale']}/completion", record)):
            status, _, content = book.handle("POST", path, {"Idempotency-Key": message["key"]}, json.dumps(message).encode())
            assert status == 200, content
    book.shut()


def replay(folder: Path) -> None:
    """Opens it and says what that took."""
    began = time.process_time()
    book = SqliteBook(scenario(), folder, KEYS, Clock())
    took = time.process_time() - began
    size = (folder / "book.db").stat().st_size / 2**20
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(f"{book.replayed} inputs: {took:.1f} s of one core, book {size:.0f} MiB, memory {memory:.0f} MiB")
    book.shut()


if __name__ == "__main__":
    if sys.argv[1].isdigit():
        with tempfile.TemporaryDirectory() as made:
            write(Path(made), int(sys.argv[1]))
            subprocess.run([sys.executable, "-m", "tests.hal_sim.replay_figure", made], check=True)
    else:
        replay(Path(sys.argv[1]))
