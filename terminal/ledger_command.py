"""``python -m terminal ledger``: an encrypted ledger's kind, changed by hand. Exit codes: 0 done, 2 a person must act."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from terminal import papers
from terminal.config import Config, ConfigError, load
from terminal.store.ledger import LedgerError, StorageFailed
from terminal.store.ledger_key import LedgerKey
from terminal.store.sqlite_kind import is_encrypted, keep_ledgers
from terminal.store.vault import KeyFileError, read_key

CONFIG = click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default=Path("/etc/forecourt-terminal/terminal.toml"),
    show_default=True,
    help="The terminal's TOML file.",
)
KEY = click.option(
    "--key", type=click.Path(path_type=Path), help="The file with an encrypted ledger's key, also /dev/stdin; else the configuration's."
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object.")


class _Mend(click.ClickException):
    """Something a person must mend, in one line."""

    exit_code = 2


def look_as_it_is(ledger: Path, key: Path | None, config: Path) -> None:
    """Ledgers are opened from now on in the way in which this file is kept. Raises ``ConfigError`` and ``LedgerError``."""
    try:
        encrypted = key is not None or is_encrypted(ledger)
    except OSError:
        encrypted = False  # whoever opens it says why it cannot be
    keep_ledgers(_key(key, config) if encrypted else None)


def _key(file: Path | None, config: Path) -> LedgerKey:
    if file is not None:
        try:
            return LedgerKey(read_key(file))
        except KeyFileError as error:
            raise ConfigError(str(error)) from None
    found = papers.ledger_key(load(config))
    if found is None:
        raise ConfigError("the ledger is encrypted, or is to be: name its key as ledger under [keys], or with --key")
    return found


@click.group("ledger")
def ledger() -> None:
    """Encrypt a stopped terminal's ledger, or decrypt it.

    A key is 64 hex digits, made once and sealed like the others (systemd/README.md). Keep a copy in a safe: without it nobody reads the
    ledger or its backups, not even here.

    \b
    Examples:
      openssl rand -hex 32 >ledger.key
      python -m terminal ledger encrypt --config terminal.toml --key ledger.key
      python -m terminal ledger decrypt --config terminal.toml --key ledger.key
    """


@ledger.command("encrypt")
@CONFIG
@KEY
@AS_JSON
def encrypt(path: Path, key: Path | None, as_json: bool) -> None:
    """Make the ledger and its backup encrypted. The terminal must be stopped; set [storage] encrypted = true before it starts again.

    A copy is made, compared row by row, verified and put in the ledger's place; the journal's head stays what it was. What the disk still
    has of the clear file is not wiped: on flash memory nothing can.

    \b
    Examples:
      python -m terminal ledger encrypt --config terminal.toml
      systemd-creds decrypt --name=ledger.key /etc/credstore.encrypted/forecourt-terminal.ledger.key - |
        python -m terminal ledger encrypt --key /dev/stdin --json
    """
    _convert(path, key, as_json, encrypted=True)


@ledger.command("decrypt")
@CONFIG
@KEY
@AS_JSON
def decrypt(path: Path, key: Path | None, as_json: bool) -> None:
    """Make the ledger and its backup plain again. The terminal must be stopped; set [storage] encrypted = false before it starts again.

    \b
    Example:
      python -m terminal ledger decrypt --config terminal.toml --key ledger.key
    """
    _convert(path, key, as_json, encrypted=False)


def _convert(path: Path, key: Path | None, as_json: bool, *, encrypted: bool) -> None:
    from terminal.store.conversion import convert

    try:
        config: Config = load(path)
        state_dir = Path(config.terminal.state_dir)
        backups = Path(config.storage.backup_dir) if config.storage.backup_dir else state_dir / "backup"
        done = convert(state_dir / "ledger.db", backups, _key(key, path), encrypt=encrypted)
    except (ConfigError, LedgerError, StorageFailed) as error:
        raise _Mend(str(error)) from None
    if as_json:
        click.echo(msgspec.json.encode(done).decode())
        return
    now = "encrypted" if encrypted else "not encrypted"
    click.echo(
        f"{done.ledger}: {'was' if done.was_so else 'is'} {now}{' already' if done.was_so else ''}, {done.rows} rows, head {done.head}"
    )
    if config.storage.encrypted is not encrypted:
        click.echo(f"Set [storage] encrypted = {str(encrypted).lower()} in {path} before the terminal starts.")
    for one in done.left:
        click.echo(f"{one}: a damaged ledger that is kept, and is {'not encrypted' if encrypted else 'encrypted'}.")
