"""``python -m terminal stop | acknowledge | reset-emergency-stop``: orders to the terminal that runs on this machine.

Exit codes: 0 done, 1 the terminal refuses, 2 a person must act. Each is a row of the journal with who gave it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from terminal.config import ConfigError, load
from terminal.core.orders import OrderKind
from terminal.runtime.orders import Request, send


class _Mend(click.ClickException):
    """Something a person must mend, in one line."""

    exit_code = 2


def _options(command: Callable[..., None]) -> Callable[..., None]:
    where = click.option(
        "--config",
        "path",
        type=click.Path(path_type=Path),
        default=Path("/etc/forecourt-terminal/terminal.toml"),
        show_default=True,
        help="The terminal's TOML file.",
    )
    by = click.option("--by", required=True, metavar="NAME", help="Who gives the order; the user of this program is noted besides.")
    why = click.option("--why", default="", metavar="TEXT", help="Why, for the journal (at most 200 characters).")
    return where(by(why(command)))


def _order(path: Path, kind: OrderKind, by: str, why: str, done: str, **about: Any) -> None:
    if not 1 <= len(by) <= 64 or len(why) > 200:
        raise _Mend("--by has 1 to 64 characters, --why at most 200")
    try:
        directory = Path(load(path).terminal.runtime_dir)
    except ConfigError as error:
        raise _Mend(str(error)) from error
    try:
        refused = send(directory, Request(kind, by, why, **about))
    except OSError as error:
        why = error.strerror or str(error)
        raise _Mend(f"the terminal does not listen in {directory} ({why}); is it running, and are you its user or root?") from error
    if refused is not None:
        click.echo(f"refused: {refused}", err=True)
        sys.exit(1)
    click.echo(done)


@click.command("stop")
@click.argument("fuelling_point", type=click.IntRange(1, 99))
@_options
def stop_point(fuelling_point: int, path: Path, by: str, why: str) -> None:
    """Stop what waits or flows at a fuelling point. What has flowed is sold; the same driver must present his medium again.

    \b
    Example:
      python -m terminal stop 2 --by Meier --why "hose leaks"
    """
    _order(path, OrderKind.STOP_POINT, by, why, f"Fuelling point {fuelling_point} was told to stop.", fuelling_point=fuelling_point)


@click.command("acknowledge")
@click.argument("code")
@click.argument("subject")
@_options
def acknowledge(code: str, subject: str, path: Path, by: str, why: str) -> None:
    """Note that somebody has seen to a fault of the past (python -m terminal status lists CODE and SUBJECT); it is over then.

    \b
    Example:
      python -m terminal acknowledge UNATTRIBUTED_DELIVERY "fp 2 nozzle 1" --by Meier --why "tank truck, 5 l"
    """
    _order(path, OrderKind.ACKNOWLEDGE_FAULT, by, why, f"{code} of {subject} is over.", code=code, subject=subject)


@click.command("reset-emergency-stop")
@_options
def reset_emergency_stop(path: Path, by: str, why: str) -> None:
    """Let the terminal serve again after the emergency stop. First look why it was pressed, and pull the button out.

    \b
    Example:
      python -m terminal reset-emergency-stop --by Meier --why "child at the button, pumps looked at"
    """
    _order(path, OrderKind.RESET_EMERGENCY_STOP, by, why, "The terminal serves again.")
