"""What the swarm looks at less often than everything, and must still find: secrets in files, rows that were committed."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from terminal.core import records as r
from terminal.store.ledger import Ledger, Stamp
from tests.simulation.durable import Durable
from tests.simulation.journal_facts import Broken
from tests.simulation.secret_watch import PIECE, SecretWatch

PIN = "8204619357"
FACTS: list[r.Record] = [r.FaultRaised("STORAGE_FULL", "", ""), r.FaultCleared("STORAGE_FULL", ""), r.PinCleared("account-1")]


@pytest.mark.parametrize("seed", range(30))
def test_a_secret_is_found_wherever_it_is_written(tmp_path: Path, seed: int) -> None:
    rng = Random(seed)
    watch = SecretWatch(["70000000000001", PIN])
    content = bytearray(rng.randrange(10 * PIECE) * b"x" + b"y" * 100)
    (tmp_path / "ledger.db").write_bytes(content)
    watch.check_files(tmp_path)
    at = rng.choice([0, len(content) - 10, rng.randrange(len(content) - 10), max(0, PIECE * (len(content) // PIECE) - rng.randrange(11))])
    content[at : at + 10] = PIN[:9].encode() + b"?"  # all but its last digit
    (tmp_path / "ledger.db").write_bytes(content)
    watch.check_files(tmp_path)
    content[at + 9] = ord(PIN[9])
    (tmp_path / "ledger.db").write_bytes(content)
    with pytest.raises(Broken, match=r"a card number or PIN is in ledger\.db"):
        watch.check_files(tmp_path)


def test_a_secret_is_found_in_a_file_that_is_new_or_longer(tmp_path: Path) -> None:
    watch = SecretWatch(["04AB12CD34EF56"])
    (tmp_path / "a").write_bytes(b"x" * PIECE)
    watch.check_files(tmp_path)
    (tmp_path / "a").write_bytes(b"x" * PIECE + b"04ab12cd34ef56")
    with pytest.raises(Broken):
        watch.check_files(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    with pytest.raises(Broken, match="in b"):
        watch.check_files(tmp_path)
    with pytest.raises(Broken, match="on a screen"):
        watch.check_shown(["fine", "04AB12CD34EF56"])


def _ledger(tmp_path: Path, durable: Durable | None = None) -> Ledger:
    ledger = Ledger(tmp_path / "ledger.db")
    for fact in FACTS:
        ledger.commit(Stamp(1_000, "trusted"), [fact], [])
        if durable is not None:
            durable.add(fact)
            durable.wrote(ledger.head)
    return ledger


def test_a_start_finds_what_was_committed_and_takes_in_what_is_there_besides(tmp_path: Path) -> None:
    durable = Durable()
    ledger = _ledger(tmp_path, durable)
    durable.check(ledger)
    ledger.commit(Stamp(2_000, "trusted"), [r.PinTried("account-2", 3, 1)], [])  # durable, but nobody had been told so
    durable.check(ledger)
    assert durable.facts.tries == {"account-2": (3, 1)}
    ledger.close()


@pytest.mark.parametrize("spoil", ["DELETE FROM journal WHERE seq = 3", "UPDATE journal SET body = '{}' WHERE seq = 2"])
def test_a_start_misses_what_was_committed(tmp_path: Path, spoil: str) -> None:
    durable = Durable()
    ledger = _ledger(tmp_path, durable)
    ledger.connection.execute(spoil.replace("'{}'", "CAST('{}' AS BLOB)"))
    with pytest.raises(Broken, match="durable"):
        durable.check(ledger)
    ledger.close()


def test_a_start_misses_a_row_although_the_newest_is_there(tmp_path: Path) -> None:
    durable = Durable()
    ledger = _ledger(tmp_path, durable)
    ledger.connection.execute("DELETE FROM journal WHERE seq = 2")
    with pytest.raises(Broken, match="3 facts were committed behind row 0, 2 are there"):
        durable.check(ledger)
    ledger.close()
