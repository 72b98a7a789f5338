"""A ledger may be larger than the memory that the service has (``MemoryMax=`` of the unit): whatever is done to it is done in pieces."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from terminal.core.faults import FaultCode
from terminal.core.records import FaultCleared, FaultRaised
from terminal.store.integrity import verify
from terminal.store.ledger import Ledger, Stamp
from terminal.store.opening import open_ledger
from terminal.store.sqlite_kind import ledger_key
from tests.store.damage_kit import encode

pytestmark = pytest.mark.usefixtures("ledger_kind")

FILE_MIB = 32
GROWTH_MIB = 14
"""What opening, a restoration and a backup may take: SQLite's own caches (2 to 4 MiB each of up to four files), and Python's objects."""
SEALED_GROWTH_MIB = 30
"""A restoration of an encrypted one: 26 MiB of files of 16, 32 and 64 MiB, with a bit flipped, a page ruined or the header."""
CODE = """
import sys
from pathlib import Path
from terminal.store.backup import make
from terminal.store.ledger_key import LedgerKey
from terminal.store.opening import open_ledger
from terminal.store.sqlite_kind import keep_ledgers
from tests.store.damage_kit import encode

def kib(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))

path = Path(sys.argv[2])
key = sys.stdin.buffer.read()
keep_ledgers(LedgerKey(key) if key else None)
small = path.parent / "small" / "ledger.db"
small.parent.mkdir(exist_ok=True)
open_ledger(small, small.parent / "backup", encode).close()  # what is only loaded once
before = kib("VmRSS:")
Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here on
if sys.argv[1] == "open":
    open_ledger(path, path.parent / "backup", encode).close()
else:
    assert make(path, path.parent / "backup") is None
print((kib("VmHWM:") - before) >> 10)
"""


@pytest.fixture(scope="module")
def big(ledger_kind: str, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Mostly rows that no table remembers, as in a ledger of years whose sales are over."""
    path = tmp_path_factory.mktemp("big") / "ledger.db"
    ledger, number = Ledger(path), 0
    code, detail = FaultCode.DEVICE_DOWN.value, "x" * 2_000
    while path.stat().st_size < FILE_MIB << 20:
        pairs = [(FaultRaised(code, f"{number + at}", detail), FaultCleared(code, f"{number + at}")) for at in range(250)]
        number += len(pairs)
        ledger.commit(Stamp(number, "trusted"), [record for pair in pairs for record in pair], [])
    ledger.close()
    return path.read_bytes()


def growth_mib(what: str, path: Path) -> int:
    """How far the peak of a process that does this goes above what it had before."""
    key = ledger_key()
    content = b"" if key is None else key.content()
    done = subprocess.run([sys.executable, "-c", CODE, what, str(path)], input=content, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return int(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("what", ["open", "backup"])
def test_a_ledger_is_opened_and_backed_up_in_less_memory_than_it_has(big: bytes, tmp_path: Path, what: str) -> None:
    (tmp_path / "ledger.db").write_bytes(big)
    assert growth_mib(what, tmp_path / "ledger.db") <= GROWTH_MIB


def test_a_damaged_one_is_made_anew_in_less_memory_than_it_has(ledger_kind: str, big: bytes, tmp_path: Path) -> None:
    path, damaged = tmp_path / "ledger.db", bytearray(big)
    found = damaged.find(b"DEVICE_DOWN", len(big) // 2)
    damaged[found + 3 if ledger_kind == "plain" else len(big) // 2 + 300] ^= 1
    path.write_bytes(damaged)
    assert growth_mib("open", path) <= (GROWTH_MIB if ledger_kind == "plain" else SEALED_GROWTH_MIB)
    assert (tmp_path / "ledger.db.damaged-1" / "ledger.db").exists()
    ledger = open_ledger(path, tmp_path / "backup", encode)
    (kind,) = ledger.connection.execute("SELECT detail FROM fault WHERE code = 'LEDGER_RESTORED'").fetchone()
    ledger.close()
    assert "nothing lost" in kind
    assert verify(path).sound
