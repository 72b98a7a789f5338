"""``python -m terminal pump``: a technician's hand tool on one head. Exit codes: 0 done, 1 the head gave no answer, 2 a person must act."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

from terminal.pump_protocols import PROTOCOLS
from terminal.pump_tool import Hand, Head, NoAnswer, PortLost, event_fields, listen
from terminal.runtime.clock import SystemClock

Json = dict[str, Any]


class _Mend(click.ClickException):
    """Something a person must mend, in one line."""

    exit_code = 2


class _Address(click.ParamType):  # type: ignore[type-arg]
    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """A number, decimal or with 0x."""
        try:
            return int(str(value), 0)
        except ValueError:
            self.fail("an address such as 0x51 or 3 is expected", param, ctx)


_AS_JSON = click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object a line.")
_SECONDS = click.option("--seconds", type=click.IntRange(1, 1_000_000), help="End after so long; else with Ctrl-C.")
_PLACES = ("volume", "amount", "price", "total")


@click.group(short_help="A technician's hand tool: ask one head, or listen to its line.")
@click.option("--protocol", required=True, type=click.Choice(tuple(PROTOCOLS)))
@click.option("--port", required=True, metavar="PATH", help="The line's serial port, such as /dev/ttyUSB0.")
@click.option("--address", type=_Address(), help="DART 0x50...0x6F (0x50), AZT 1...225 (1).")
@click.option("--nozzles", type=click.IntRange(1, 15), default=1, show_default=True, help="How many nozzles the DART position has.")
@click.option("--speed", type=int, help="Baud: DART 9600 or 19200, AZT 4800 or 9600; the first is taken.")
@click.option("--profile", metavar="NAME", help="A pump profile that comes with the program, as in terminal.toml.")
@click.option("--echo", is_flag=True, help="DART: the adapter hears its own transmissions.")
@click.option("--currency-decimals", type=click.IntRange(0, 4), default=2, show_default=True, help="Of the site's currency.")
@click.option("--volume-decimals", type=click.IntRange(0, 3), help="Of the head, as in terminal.toml; else the protocol's usual ones.")
@click.option("--amount-decimals", type=click.IntRange(0, 4), help="Of the head.")
@click.option("--price-decimals", type=click.IntRange(0, 4), help="Of the head.")
@click.option("--total-decimals", type=click.IntRange(0, 3), help="Of the head's totals.")
@click.pass_context
def pump(context: click.Context, /, protocol: str, port: str, address: int | None, nozzles: int, speed: int | None, **rest: Any) -> None:
    """Ask one head by hand, or listen to its line. The terminal must be stopped: it holds the port.

    Nothing here can let fuel flow, or erase a record. Exit codes: 0 done, 1 the head gave no answer, 2 a person must act.

    \b
    Examples:
      python -m terminal pump --protocol azt --port /dev/ttyUSB0 --address 3 status
      python -m terminal pump --protocol dart --port /dev/ttyUSB0 --address 0x51 --nozzles 2 totals --json
      python -m terminal pump --protocol dart --port /dev/ttyUSB0 fill
      python -m terminal pump --protocol dart --port /dev/ttyUSB0 watch --seconds 60
      python -m terminal pump --protocol azt --port /dev/ttyUSB0 listen --write line.jsonl
    """
    context.obj = Head(protocol, port, address, nozzles, speed, **rest)


@pump.command("status")
@_AS_JSON
@click.pass_obj
def status_command(head: Head, as_json: bool) -> None:
    """What the head says of itself: its state, and which nozzle is out.

    \b
    Example:
      python -m terminal pump --protocol azt --port /dev/ttyUSB0 status
    """
    with _hand(head) as hand:
        found = hand.survey()
    nozzle = "all nozzles hang, or the protocol does not say" if found.nozzle is None else f"nozzle {found.nozzle} is out"
    _say({"address": head.at(), "status": found.status.value, "nozzle": found.nozzle}, f"{found.status.value}, {nozzle}", as_json)


@pump.command("totals")
@_AS_JSON
@click.pass_obj
def totals_command(head: Head, as_json: bool) -> None:
    """The totaliser of every nozzle.

    \b
    Example:
      python -m terminal pump --protocol dart --port /dev/ttyUSB0 --nozzles 2 totals
    """
    with _hand(head) as hand:
        totals = hand.totals_ml()
    words = "\n".join(f"nozzle {nozzle}: {_litres(volume_ml)} l" for nozzle, volume_ml in totals.items())
    _say({"address": head.at(), "totals_ml": {str(nozzle): volume_ml for nozzle, volume_ml in totals.items()}}, words, as_json)


@pump.command("fill")
@_AS_JSON
@click.pass_obj
def fill_command(head: Head, as_json: bool) -> None:
    """The head's own record of its running or last fill. Reading it erases nothing.

    \b
    Example:
      python -m terminal pump --protocol azt --port /dev/ttyUSB0 fill --json
    """
    with _hand(head) as hand:
        found = hand.fill()
    words = f"{_litres(found.volume_ml)} l, amount {found.amount_minor} in minor units"
    _say({"address": head.at(), "volume_ml": found.volume_ml, "amount_minor": found.amount_minor}, words, as_json)


@pump.command("stop")
@_AS_JSON
@click.pass_obj
def stop_command(head: Head, as_json: bool) -> None:
    """End a release or a fill that runs.

    \b
    Example:
      python -m terminal pump --protocol dart --port /dev/ttyUSB0 stop
    """
    with _hand(head) as hand:
        found = hand.stop()
    _say({"address": head.at(), "status": found.value}, found.value, as_json)


@pump.command("watch")
@_SECONDS
@_AS_JSON
@click.pass_obj
def watch_command(head: Head, seconds: int | None, as_json: bool) -> None:
    """Poll the head and say all that happens at it.

    \b
    Example:
      python -m terminal pump --protocol azt --port /dev/ttyUSB0 watch --seconds 60
    """
    with _hand(head) as hand:
        for event in hand.watch(seconds):
            fields = event_fields(event)
            words = " ".join(f"{name}={value}" for name, value in fields.items() if name != "event")
            _say(fields, f"{fields['event']} {words}".rstrip(), as_json)


@pump.command("listen")
@_SECONDS
@click.option("--write", "into", type=click.Path(dir_okay=False, path_type=Path), help="A new file: every byte and frame, one JSON a line.")
@click.option("--all", "everything", is_flag=True, help="Also what an idle line says: DART polls and their EOT, AZT status.")
@_AS_JSON
@click.pass_obj
def listen_command(head: Head, seconds: int | None, into: Path | None, everything: bool, as_json: bool) -> None:
    """Decode what others say on the line. Nothing is ever sent; connect receivers only, and the real master goes on working.

    \b
    Example:
      python -m terminal pump --protocol dart --port /dev/ttyUSB0 listen --write line.jsonl
    """
    with _plainly(head), ExitStack() as stack:
        try:
            file = None if into is None else stack.enter_context(into.open("x", encoding="ascii", buffering=1))
        except FileExistsError as error:
            raise _Mend(f"{into}: is there already; name a new file") from error
        except OSError as error:
            raise _Mend(f"{into}: {error.strerror}") from error
        for heard in listen(head, _now, seconds):
            if file is not None:
                file.write(json.dumps(heard.as_fields()) + "\n")
            if heard.says is not None and (everything or not heard.idle):
                _say(heard.as_fields(), f"{heard.t_ms:10d} {heard.says}", as_json)


# --- common ---------------------------------------------------------------------------------------------------------------------------


def _now() -> int:
    return SystemClock().instant()


@contextmanager
def _plainly(head: Head) -> Iterator[None]:
    """Failures in one line, Ctrl-C as an ordinary end."""
    try:
        yield
    except PortLost as error:
        raise _Mend(str(error)) from error
    except ValueError as error:
        raise _Mend(str(error)) from error
    except NoAnswer as error:
        raise click.ClickException(f"{head.port}: {error}") from error
    except KeyboardInterrupt:
        return


@contextmanager
def _hand(head: Head) -> Iterator[Hand]:
    with _plainly(head), Hand(head, _now) as hand:
        yield hand


def _say(fields: Json, words: str, as_json: bool) -> None:
    click.echo(json.dumps(fields) if as_json else words)


def _litres(volume_ml: int) -> str:
    return f"{volume_ml // 1000}.{volume_ml % 1000:03d}"
