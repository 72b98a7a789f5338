"""The command line: bad input ends with 2 and one line that says what to do; every help has an example."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hal_sim.host.pki import Authority
from terminal.__main__ import main
from terminal.store.ledger import Ledger
from tests.test_config import EXAMPLE, ROOT, example

LIST_KEY = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex().encode()
COMMANDS = ("run", "check-config", "status", "verify", "explain")


def call(*arguments: str) -> Result:
    """The program in this process."""
    return CliRunner().invoke(main, list(arguments), prog_name="python -m terminal")


def refused(*arguments: str) -> str:
    """The one line of a call that ends with 2."""
    done = call(*arguments)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return str(done.stderr)


@pytest.fixture
def station(tmp_path: Path) -> Path:
    """A configuration whose files are all there."""
    authority = Authority()
    client = authority.client("OPT1")
    files = {"host-ca.crt": authority.certificate, "tls.crt": client.certificate, "tls.key": client.key}
    files |= {f"{name}.key": b"00" * 32 for name in ("token", "pin", "card")}
    files["list.pub"] = LIST_KEY
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    text = example().replace("credential:", f"{tmp_path}/").replace("/var/lib/forecourt-terminal", f"{tmp_path}/state")
    path = tmp_path / "terminal.toml"
    path.write_text(text.replace("/run/forecourt-terminal", f"{tmp_path}/run"), encoding="utf-8")
    (tmp_path / "run").mkdir()
    return path


# --- help -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_help_has_an_example(command: str, flag: str) -> None:
    """That can be copied."""
    done = call(*filter(None, [command, flag]))
    assert done.exit_code == 0
    assert f"  python -m terminal {command}" in done.stdout.split("Example", 1)[1]


@pytest.mark.parametrize("arguments", [[], ["sell"], ["run", "--fast"], ["explain"], ["status", "extra"]])
def test_a_call_that_is_none_ends_with_2(arguments: list[str]) -> None:
    """With the way to the help."""
    done = call(*arguments)
    assert done.exit_code == 2
    assert "--help" in done.stderr or "Examples:" in done.stderr
    assert "Traceback" not in done.output


def test_an_option_without_its_value_is_named() -> None:
    """In one line."""
    assert "--config" in refused("check-config", "--config")


def test_every_example_of_the_help_is_a_call_that_exists() -> None:
    """Command and options as they are; whatever is refused is refused for its files."""
    for command in ("", *COMMANDS):
        text = call(*filter(None, [command, "--help"])).stdout
        for line in text.splitlines():
            if line.strip().startswith("python -m terminal "):
                words = ["/nowhere/x" if word.endswith((".toml", ".db", ".json")) else word for word in shlex.split(line)[3:]]
                said = call(*words).output
                assert "Usage:" not in said, line
                assert "No such option" not in said, line


# --- configuration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "check-config", "status", "verify"])
@pytest.mark.parametrize("content", [None, b"", b"\xff", b"[terminal", b'[terminal]\nid = "a b"\n', b"a = " + b"[" * 20_000])
def test_a_configuration_that_cannot_be_used(tmp_path: Path, command: str, content: bytes | None) -> None:
    """Missing, empty, no text, no TOML, wrong: the file is named."""
    path = tmp_path / "terminal.toml"
    if content is not None:
        path.write_bytes(content)
    assert str(path) in refused(command, "--config", str(path))


@pytest.mark.parametrize("command", ["run", "check-config", "status", "verify"])
def test_a_folder_is_no_configuration(tmp_path: Path, command: str) -> None:
    """In one line, too."""
    assert "Is a directory" in refused(command, "--config", str(tmp_path))


@pytest.mark.parametrize("command", ["run", "check-config"])
@pytest.mark.parametrize("name", ["host-ca.crt", "tls.crt", "tls.key", "token.key", "pin.key", "card.key", "list.pub"])
def test_a_missing_key_or_certificate_is_named(station: Path, command: str, name: str) -> None:
    """Before any device is opened."""
    (station.parent / name).unlink()
    assert name in refused(command, "--config", str(station))


@pytest.mark.parametrize("content", [b"", b"00", b"zz" * 32, b"00" * 33, b"\x00\xff" * 16, b"00112233445566778899aabbccddeef" * 2])
@pytest.mark.parametrize("command", ["run", "check-config"])
def test_a_key_that_is_none_is_named_and_not_shown(station: Path, command: str, content: bytes) -> None:
    """Too short, too long, no hex, raw bytes."""
    (station.parent / "pin.key").write_bytes(content)
    said = refused(command, "--config", str(station))
    assert "pin.key" in said
    assert not content or content.decode("ascii", "replace") not in said


@pytest.mark.parametrize("content", [b"", b"00", b"zz" * 32, b"00" * 33, b"\x00\xff" * 16])
@pytest.mark.parametrize("command", ["run", "check-config"])
def test_a_list_key_that_is_none_is_named(station: Path, command: str, content: bytes) -> None:
    """The current one, and the next one where there is one."""
    (station.parent / "list.pub").write_bytes(content)
    assert "list.pub" in refused(command, "--config", str(station))
    (station.parent / "list.pub").write_bytes(LIST_KEY)
    (station.parent / "next.pub").write_bytes(content)
    text = station.read_text(encoding="utf-8").replace("[policy]", f'list_next = "{station.parent}/next.pub"\n\n[policy]')
    station.write_text(text, encoding="utf-8")
    assert "next.pub" in refused(command, "--config", str(station))


@pytest.mark.parametrize("command", ["run", "check-config"])
def test_credentials_without_systemd(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """The example by hand: it says what is missing."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert "CREDENTIALS_DIRECTORY" in refused(command, "--config", str(EXAMPLE))


def test_a_state_folder_that_cannot_be_made(station: Path) -> None:
    """A file stands in its place."""
    (station.parent / "state").write_bytes(b"")
    assert str(station.parent / "state") in refused("run", "--config", str(station))


def test_what_only_a_driver_knows_is_a_refusal_too(station: Path) -> None:
    """More positions than a line carries."""
    point = '\n[[fuelling_point]]\nnumber = {n}\nline = "pumps"\naddress = {a}\nnozzles = [{{ nozzle = 1, product = "G", price = "1" }}]\n'
    text = station.read_text(encoding="utf-8") + "".join(point.format(n=n, a=80 + n % 32) for n in range(3, 40))
    station.write_text(text, encoding="utf-8")
    for command in ("run", "check-config"):
        assert "Traceback" not in refused(command, "--config", str(station))


def test_a_good_configuration_is_said_to_be_good(station: Path) -> None:
    """With what it means."""
    done = call("check-config", "--config", str(station))
    assert done.exit_code == 0
    assert "terminal OPT1 at site S1, fuelling points 1, 2, host https://fleet.example:8443" in done.stdout


def test_a_backup_folder_that_cannot_be_written_is_told(station: Path, tmp_path: Path) -> None:
    """By trying; the terminal would serve all the same, and have no backups."""
    (tmp_path / "taken").write_bytes(b"")
    whole = station.read_text(encoding="utf-8")
    station.write_text(whole.replace("[storage]", f'[storage]\nbackup_dir = "{tmp_path / "taken"}"'), encoding="utf-8")
    assert "backup_dir cannot be written by this user" in refused("check-config", "--config", str(station))
    station.write_text(whole.replace("[storage]", f'[storage]\nbackup_dir = "{tmp_path}"'), encoding="utf-8")
    assert call("check-config", "--config", str(station)).exit_code == 0


# --- status -----------------------------------------------------------------------------------------------------------

SERVING: dict[str, Any] = {
    "state": "serving",
    "version": "1.0",
    "pid": os.getpid(),
    "clock": "trusted",
    "host": "reachable",
    "unsent": 0,
    "lists": {"epoch": "e1", "version": 3},
    "fuelling_points": [{"fp": 1, "state": "idle", "sale": None}, {"fp": 2, "state": "fuelling", "sale": "OPT1-1-7"}],
    "faults": [],
}


def status_of(station: Path, content: object, *flags: str) -> Result:
    """The answer to this status file."""
    (station.parent / "run" / "status.json").write_text(json.dumps(content), encoding="utf-8")
    return call("status", "--config", str(station), *flags)


def test_a_terminal_that_serves(station: Path) -> None:
    """In words and as JSON, whole."""
    done = status_of(station, SERVING)
    assert done.exit_code == 0
    assert "fuelling point 2: fuelling, sale OPT1-1-7" in done.stdout
    assert json.loads(status_of(station, SERVING | {"new": 1}, "--json").stdout) == SERVING | {"new": 1, "running": True}


def test_a_terminal_that_does_not_serve_ends_1(station: Path) -> None:
    """Its process is gone, it is out of service, or it waits for its disk."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    done = status_of(station, SERVING | {"pid": gone.pid})
    assert (done.exit_code, "NOT running" in done.stdout) == (1, True)
    assert status_of(station, SERVING | {"state": "out of service"}).exit_code == 1
    fault = {"code": "STORAGE_FAILED", "subject": "ledger", "detail": "database or disk is full"}
    done = status_of(station, {"state": "waiting for storage", "version": "1", "pid": os.getpid(), "faults": [fault]})
    assert (done.exit_code, "fault STORAGE_FAILED ledger: database or disk is full" in done.stdout) == (1, True)


@pytest.mark.parametrize(
    "content",
    [None, [], {}, "serving", 1, {"state": "serving"}, SERVING | {"pid": "self"}, SERVING | {"lists": []}, SERVING | {"faults": [{}]}],
)
@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_status_that_is_none(station: Path, content: object, flags: tuple[str, ...]) -> None:
    """Whatever lies there."""
    done = status_of(station, content, *flags)
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert "status.json" in done.stderr


def test_no_status_at_all_says_how_to_start(station: Path) -> None:
    """The next command is in the line."""
    assert "python -m terminal run" in refused("status", "--config", str(station))
    (station.parent / "run" / "status.json").write_bytes(b"\xff{")
    assert "status.json" in refused("status", "--config", str(station))


# --- verify and explain -----------------------------------------------------------------------------------------------


def test_verify_finds_a_ledger_sound(tmp_path: Path) -> None:
    """An empty one; in words and as JSON."""
    Ledger(tmp_path / "ledger.db").close()
    assert call("verify", "--ledger", str(tmp_path / "ledger.db")).exit_code == 0
    assert isinstance(json.loads(call("verify", "--ledger", str(tmp_path / "ledger.db"), "--json").stdout), dict)


def test_verify_leaves_an_open_ledger_alone(tmp_path: Path) -> None:
    """The running terminal's."""
    ledger = Ledger(tmp_path / "ledger.db")
    try:
        assert "stop the terminal first" in refused("verify", "--ledger", str(tmp_path / "ledger.db"))
    finally:
        ledger.close()


@pytest.mark.parametrize("content", [None, b"", b"no database", b"SQLite format 3\x00" + bytes(84), bytes(8192)])
def test_verify_of_what_is_no_ledger(tmp_path: Path, content: bytes | None) -> None:
    """Missing, empty, something else, torn; nothing is made there."""
    path = tmp_path / "ledger.db"
    if content is not None:
        path.write_bytes(content)
    assert str(path) in refused("verify", "--ledger", str(path))
    assert [found.name for found in tmp_path.iterdir()] == ([] if content is None else ["ledger.db"])


def test_verify_of_a_folder(tmp_path: Path) -> None:
    """No ledger either."""
    assert str(tmp_path) in refused("verify", "--ledger", str(tmp_path))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("case.json", None),
        ("case.txt", b"{}"),
        ("case.json", b""),
        ("case.json", b"{}"),
        ("case.json", b"[]"),
        ("case.json", b"\xff"),
        ("case.json", b'{"site":'),
        ("case.json", b"[" * 20_000),
        ("case.jsonl", b"{}\n{}\n"),
    ],
)
def test_explain_of_what_is_no_case(tmp_path: Path, name: str, content: bytes | None) -> None:
    """The file is named."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert str(path) in refused("explain", str(path))


def test_explain_of_a_folder(tmp_path: Path) -> None:
    """In one line."""
    folder = tmp_path / "case.json"
    folder.mkdir()
    assert str(folder) in refused("explain", str(folder))


# --- the real process -------------------------------------------------------------------------------------------------


def test_as_its_own_process() -> None:
    """No traceback on the way out of the interpreter."""
    done = subprocess.run(
        [sys.executable, "-m", "terminal", "run", "--config", "/nowhere/terminal.toml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: /nowhere/terminal.toml: No such file or directory\n"
