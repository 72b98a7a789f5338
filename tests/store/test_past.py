"""A decision of the past, found by its code or its sale in a ledger at rest, and told by the command line as ``explain`` tells a case."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from terminal.__main__ import main
from terminal.core.authorization import Policy, decide
from terminal.core.internal_events import EndCause, NothingDelivered
from terminal.core.reasons import Reason
from terminal.core.records import TerminalStarted
from terminal.core.refusal_code import BadCode, refusal_code
from terminal.core.refusals import judged
from terminal.store.ledger import Ledger, LedgerBusy, LedgerError, Stamp
from terminal.store.past import NotFound, by_code, by_sale
from terminal.store.sqlite_kind import connect, ledger_key
from tests.core.decisions import CARD, facts_of, limit
from tests.store.books import JUDGED, NEW_YEAR, TERMINAL, Station, medium

pytestmark = pytest.mark.usefixtures("ledger_kind")

DECLINED = judged(facts_of(limits=(limit(100),)), Policy())
CODE = refusal_code(TERMINAL, 0)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """One refusal at the first look, one sale that was authorized, one that was declined, one that was given up."""
    path = tmp_path / "ledger.db"
    station = Station(path)
    station.refusals.note(1, Reason.LIMIT_DAY_QUANTITY, medium(CARD.token), None, DECLINED)
    station.commit()
    station.grant(station.reserve(0), 1)
    declined = station.reserve(1)
    station.refusals.note(1, Reason.LIMIT_DAY_QUANTITY, medium(CARD.token), None, DECLINED, declined.id)
    station.end_empty(declined, 0)
    station.fire(station.reserve(2), NothingDelivered(station.minting.id(), EndCause.CANCELLED))
    station.refusals.note(1, Reason.CANCELLED, None, None)
    station.commit()
    station.ledger.close()
    return path


def explain(*arguments: str) -> Result:
    """With an encrypted ledger's key, as a person has it."""
    key = ledger_key()
    if key is None or "--ledger" not in arguments:
        return CliRunner().invoke(main, ["explain", *arguments], prog_name="python -m terminal")
    with tempfile.NamedTemporaryFile("w", suffix=".key") as file:
        file.write(key.content().hex())
        file.flush()
        return CliRunner().invoke(main, ["explain", *arguments, "--key", file.name], prog_name="python -m terminal")


def told(*arguments: str) -> dict[str, Any]:
    done = explain(*arguments)
    assert done.exit_code == 0, done.stderr
    (line,) = done.stdout.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def test_the_code_leads_to_the_facts_and_they_decide_the_same(ledger: Path) -> None:
    found = by_code(ledger, CODE)
    assert found == DECLINED
    assert decide(found.facts, found.policy).reason is Reason.LIMIT_DAY_QUANTITY


def test_the_command_line_tells_it_in_the_shape_of_a_case(ledger: Path) -> None:
    answer = told("--code", CODE, "--ledger", str(ledger))
    assert (answer["decision"], answer["reason"], answer["decided_by"]) == ("declined", "LIMIT_DAY_QUANTITY", "offline")
    assert answer["steps"][-1] == {"step": "limits", "result": "fail"}
    (left,) = answer["remaining"]
    assert (left["subject"], left["limit"], left["remaining"]) == ("card a1", 100, 100)
    assert left["window"] == ["2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"]
    assert answer["allowance"] == {}
    assert told("--code", CODE.lower(), "--ledger", str(ledger)) == answer


def test_a_sale_leads_to_the_decision_that_let_it_go_or_declined_it(ledger: Path) -> None:
    assert by_sale(ledger, f"{TERMINAL}-1-1") == JUDGED
    assert by_sale(ledger, f"{TERMINAL}-1-2") == DECLINED
    answer = told("--sale", f"{TERMINAL}-1-1", "--ledger", str(ledger))
    assert answer["allowance"] == {} or answer["decision"] == "approved"


def test_a_look_leaves_the_ledger_as_it_was(ledger: Path) -> None:
    before = {file.name: file.read_bytes() for file in ledger.parent.iterdir()}
    by_code(ledger, CODE)
    assert {file.name: file.read_bytes() for file in ledger.parent.iterdir()} == before


def test_a_copy_of_a_running_terminal_s_two_files_is_enough(tmp_path: Path) -> None:
    station = Station(tmp_path / "ledger.db")
    station.refusals.note(1, Reason.LIMIT_DAY_QUANTITY, None, None, DECLINED)
    station.commit()
    with pytest.raises(LedgerBusy, match="stop the terminal first, or name a backup, or a copy"):
        by_code(station.ledger.path, CODE)
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("ledger.db", "ledger.db-wal"):
        shutil.copyfile(tmp_path / name, copy / name)
    assert by_code(copy / "ledger.db", CODE) == DECLINED
    station.ledger.close()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--code", refusal_code(TERMINAL, 7)], "no refusal code"),
        (["--code", "X7K2Q"], "6 characters"),
        (["--code", "X7K2QU"], "6 characters"),
        (["--sale", f"{TERMINAL}-1-99"], "no sale"),
        (["--sale", "42"], "OPT1-1-42"),
        (["--sale", f"{TERMINAL}-1-3"], "given up"),
    ],
)
def test_what_is_not_there_ends_2_with_one_clear_line(ledger: Path, arguments: list[str], words: str) -> None:
    done = explain(*arguments, "--ledger", str(ledger))
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [[], ["--code", CODE, "--sale", "OPT1-1-1"], ["case.json", "--code", CODE]])
def test_one_of_the_three_is_named(arguments: list[str]) -> None:
    done = explain(*arguments)
    assert done.exit_code == 2
    assert "name one of the three" in done.stderr


def test_no_ledger_and_no_configuration(tmp_path: Path) -> None:
    for arguments in (["--ledger", str(tmp_path / "none.db")], ["--config", str(tmp_path / "none.toml")]):
        done = explain("--code", CODE, *arguments)
        assert (done.exit_code, done.stdout) == (2, "")
        assert len(done.stderr.splitlines()) == 1


def test_an_edited_row_is_not_believed(ledger: Path) -> None:
    db = connect(ledger)
    db.execute("UPDATE journal SET body = CAST(replace(CAST(body AS TEXT), '100', '999') AS BLOB) WHERE kind = 'Refused'")
    db.commit()
    db.close()
    with pytest.raises(LedgerError, match="damaged or was edited"):
        by_code(ledger, CODE)


@pytest.mark.parametrize("content", [b"", b"not a database, but long enough to have a head" * 40])
def test_what_is_no_ledger_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    with pytest.raises(LedgerError):
        by_code(path, CODE)


def test_a_torn_file_is_refused(ledger: Path) -> None:
    ledger.write_bytes(ledger.read_bytes()[: 3 * 1024])
    with pytest.raises(LedgerError):
        by_code(ledger, CODE)


def test_an_earlier_program_s_sale_has_no_decision(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.commit(Stamp(NEW_YEAR, "trusted"), [TerminalStarted("boot", "1.0")], [])
    ledger.connection.execute(
        "INSERT INTO sale (sequence, epoch, id, state, fp, account, quantity_ml, value_minor, authorized_at, reversal, reserved_row, "
        "authorized_row) VALUES (1, 1, 'OPT-1-1-1', 'booked', 1, 'a', 1, 1, 1, 0, 1, NULL)"
    )
    ledger.close()
    with pytest.raises(NotFound):
        by_sale(tmp_path / "ledger.db", "OPT-1-1-1")


def test_a_malformed_code_is_told_before_the_ledger_is_opened(tmp_path: Path) -> None:
    with pytest.raises(BadCode):
        by_code(tmp_path / "none.db", "I am refused")
