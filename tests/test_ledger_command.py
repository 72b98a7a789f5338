"""``python -m terminal ledger`` and the configuration of an encrypted ledger: what is refused is refused in one line, without the key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from terminal.core.records import TerminalStarted
from terminal.store.ledger import Ledger, Stamp
from terminal.store.sqlite_kind import is_encrypted, keep_ledgers
from tests.ledger_kinds import KEY
from tests.test_command_line import call, refused, station

__all__ = ["station"]
HEX = KEY.content().hex()


@pytest.fixture(autouse=True)
def _plain_afterwards() -> Iterator[None]:
    yield
    keep_ledgers(None)


@pytest.fixture
def config(station: Path) -> Path:
    """A station with a plain ledger and a key beside it."""
    state = station.parent / "state"
    state.mkdir()
    ledger = Ledger(state / "ledger.db")
    ledger.commit(Stamp(1, "trusted"), [TerminalStarted("boot", "1.0")], [])
    ledger.close()
    (station.parent / "ledger.key").write_text(HEX)
    return station


def rewrite(config: Path, *pairs: tuple[str, str]) -> None:
    text = config.read_text(encoding="utf-8")
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    config.write_text(text, encoding="utf-8")


def encrypted(config: Path, *, key: bool = True) -> None:
    """Say so in the configuration."""
    rewrite(config, ("# encrypted = false", "encrypted = true"))
    if key:
        rewrite(config, ("# ledger = ", "ledger = "))


@pytest.mark.parametrize("command", [(), ("encrypt",), ("decrypt",)])
def test_every_help_has_an_example(command: tuple[str, ...]) -> None:
    done = call("ledger", *command, "--help")
    assert done.exit_code == 0
    assert f"python -m terminal ledger {' '.join(command)}" in done.stdout.split("Example", 1)[1]


def test_encrypted_without_a_key_is_refused(config: Path) -> None:
    encrypted(config, key=False)
    assert "storage.encrypted: keys.ledger is missing" in refused("check-config", "--config", str(config))


@pytest.mark.parametrize("content", [None, "", "00", "zz" * 32, HEX[:-2], HEX + "00"])
def test_a_key_that_is_none_is_named_and_not_shown(config: Path, content: str | None) -> None:
    encrypted(config)
    file = config.parent / "ledger.key"
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    for command in ("run", "check-config"):
        said = refused(command, "--config", str(config))
        assert "keys.ledger: " in said
        assert "ledger.key" in said
        assert not content or content not in said


def test_the_key_itself_is_no_name_of_a_file(config: Path) -> None:
    encrypted(config)
    rewrite(config, (f"{config.parent}/ledger.key", HEX))
    said = refused("check-config", "--config", str(config))
    assert "keys.ledger: this is a key" in said
    assert HEX not in said


def test_a_credential_that_was_not_handed_over_is_named(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encrypted(config)
    rewrite(config, (f"{config.parent}/ledger.key", "credential:ledger.key"))
    assert "CREDENTIALS_DIRECTORY" in refused("check-config", "--config", str(config))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "nothing"))
    assert "ledger.key" in refused("check-config", "--config", str(config))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(config.parent))
    assert call("check-config", "--config", str(config)).exit_code == 0


def test_a_plain_site_needs_no_key(config: Path) -> None:
    (config.parent / "ledger.key").unlink()
    assert call("check-config", "--config", str(config)).exit_code == 0
    assert call("verify", "--config", str(config)).exit_code == 0


def test_there_and_back(config: Path) -> None:
    path, key = config.parent / "state" / "ledger.db", str(config.parent / "ledger.key")
    head = json.loads(call("verify", "--config", str(config), "--json").stdout)["head"]
    assert "name its key" in refused("ledger", "encrypt", "--config", str(config))
    done = call("ledger", "encrypt", "--config", str(config), "--key", key)
    assert done.exit_code == 0, done.output
    assert head in done.stdout
    assert "Set [storage] encrypted = true" in done.stdout
    assert is_encrypted(path)
    assert "encrypted; [storage] encrypted = true and [keys] ledger are missing" in refused("run", "--config", str(config))
    encrypted(config)
    assert json.loads(call("verify", "--config", str(config), "--json").stdout)["head"] == head
    again = json.loads(call("ledger", "encrypt", "--config", str(config), "--json").stdout)
    assert again == {"ledger": str(path), "encrypted": True, "was_so": True, "rows": 1, "head": head, "left": []}
    (config.parent / "other.key").write_text("00" * 32)
    other = ("--config", str(config), "--key", str(config.parent / "other.key"))
    for command in (("ledger", "decrypt"), ("verify",)):
        assert "not with this key" in refused(*command, *other)
    assert json.loads(call("ledger", "decrypt", "--config", str(config), "--json").stdout)["head"] == head
    assert not is_encrypted(path)
    assert "not encrypted, and [storage] encrypted = true" in refused("run", "--config", str(config))


def test_no_ledger_and_no_configuration(config: Path) -> None:
    key = str(config.parent / "ledger.key")
    (config.parent / "state" / "ledger.db").unlink()
    assert "no such file" in refused("ledger", "encrypt", "--config", str(config), "--key", key)
    assert "none.toml" in refused("ledger", "encrypt", "--config", str(config.parent / "none.toml"), "--key", key)
