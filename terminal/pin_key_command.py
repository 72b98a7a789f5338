"""``python -m terminal load-pin-key``: bring an initial key for PIN blocks in, once. Exit codes: 0 done, 2 a person must act."""

from __future__ import annotations

from pathlib import Path

import click

from terminal.config import ConfigError, load, resolve
from terminal.store.pin_keys import FILE, PinKeys, PinKeysError
from terminal.store.vault import KeyFileError, read_key


class _Mend(click.ClickException):
    """Something a person must mend, in one line."""

    exit_code = 2


@click.command("load-pin-key")
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default=Path("/etc/forecourt-terminal/terminal.toml"),
    show_default=True,
    help="The terminal's TOML file.",
)
@click.argument("file", type=click.Path(path_type=Path))
def load_pin_key(path: Path, file: Path) -> None:
    """Take the host's initial key for PIN blocks from FILE: the key (32 or 64 hex digits), a blank, its id (16 hex digits).

    The terminal must be stopped, and FILE is to be destroyed afterwards: nothing needs it any more, and whoever has it can open PINs.

    \b
    Example:
      python -m terminal load-pin-key --config terminal.toml initial.key
    """
    try:
        config = load(path)
        key, _, key_id = file.read_bytes().decode("ascii", "replace").strip().partition(" ")
        keys = PinKeys(Path(config.terminal.state_dir) / FILE, read_key(resolve(config.keys.pin)))
        keys.load(bytes.fromhex(key), bytes.fromhex(key_id))
    except OSError as error:
        raise _Mend(f"{file}: {error.strerror}") from None
    except ValueError:
        raise _Mend(f"{file}: no initial key (hex digits, a blank, the key's id in hex digits)") from None
    except (ConfigError, KeyFileError, PinKeysError) as error:
        raise _Mend(str(error)) from None
    click.echo(f"The key is loaded. Destroy {file} now.")
