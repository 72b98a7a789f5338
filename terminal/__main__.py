"""The command line: run, check-config, status, verify, explain, learn-badge. Exit codes: 0 fine, 1 a finding, 2 a person must act."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
import msgspec

from terminal.commission_command import commission
from terminal.config import Config, ConfigError, load
from terminal.core.refusal_code import BadCode
from terminal.ledger_command import KEY, look_as_it_is
from terminal.ledger_command import ledger as ledger_command
from terminal.order_command import acknowledge, reset_emergency_stop, stop_point
from terminal.pin_key_command import load_pin_key
from terminal.pump_command import pump
from terminal.runtime import logs
from terminal.runtime.no_core import forbid_core_files
from terminal.store.ledger import LedgerError, StorageFailed
from terminal.store.past import NotFound

CONFIG = click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default=Path("/etc/forecourt-terminal/terminal.toml"),
    show_default=True,
    help="The terminal's TOML file.",
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object.")


class _Stop(click.ClickException):
    """Something a person must mend, in one line; systemd does not start us again for it."""

    exit_code = 2


class _Lists(msgspec.Struct):
    epoch: str
    version: int


class _Point(msgspec.Struct):
    fp: int
    state: str
    sale: str | None


class _Fault(msgspec.Struct):
    code: str
    subject: str
    detail: str


class _Status(msgspec.Struct):
    """What is shown of ``runtime/status.py``'s file; while it waits for its disk the terminal has nothing but state and faults to tell."""

    state: str
    pid: int
    faults: list[_Fault]
    version: str = "?"
    host: str = "?"
    unsent: int = 0
    clock: str = "?"
    lists: _Lists | None = None
    fuelling_points: list[_Point] = []


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Outdoor payment terminal of a fuel station.

    \b
    Examples:
      python -m terminal check-config --config terminal.toml
      python -m terminal run --config terminal.toml
      python -m terminal status --config terminal.toml --json
      python -m terminal acknowledge UNATTRIBUTED_DELIVERY "fp 2 nozzle 1" --by Meier
      python -m terminal reset-emergency-stop --by Meier
      python -m terminal verify --ledger /var/lib/forecourt-terminal/ledger.db
      python -m terminal explain case.json
      python -m terminal ledger encrypt --config terminal.toml
      python -m terminal learn-badge --config terminal.toml
      python -m terminal pump --protocol azt --port /dev/ttyUSB0 status
      python -m terminal commission --config terminal.toml
    """


main.add_command(pump)
main.add_command(commission)
main.add_command(load_pin_key)
main.add_command(ledger_command)
main.add_command(stop_point)
main.add_command(acknowledge)
main.add_command(reset_emergency_stop)


@main.command("run")
@CONFIG
def run_command(path: Path) -> None:
    """Serve drivers until stopped (SIGTERM, Ctrl-C).

    \b
    Example:
      python -m terminal run --config terminal.toml
    """
    from terminal import app

    config = _load(path)
    logs.start()
    forbid_core_files()
    try:
        app.run(config)
    except (ConfigError, LedgerError) as error:
        raise _Stop(str(error)) from error


@main.command("check-config")
@CONFIG
def check_config(path: Path) -> None:
    """Read the configuration as `run` would, and say what is wrong or what it means.

    \b
    Example:
      python -m terminal check-config --config terminal.toml
    """
    from terminal import app
    from terminal.store.backup_folder import not_writable

    config = _load(path)
    try:
        app.check(config)
    except (ConfigError, LedgerError, ValueError) as error:
        raise _Stop(str(error)) from error
    closed = not_writable(Path(config.storage.backup_dir)) if config.storage.backup_dir else ""
    if closed:
        raise _Stop(f"[storage] backup_dir cannot be written by this user: {closed}; nothing but the backups needs it")
    points = ", ".join(str(point.number) for point in config.fuelling_point)
    click.echo(f"{path}: terminal {config.terminal.id} at site {config.terminal.site}, fuelling points {points}, host {config.host.url}")


@main.command("status")
@CONFIG
@AS_JSON
def status_command(path: Path, as_json: bool) -> None:
    """Show what the running terminal says of itself. Ends 1 when it does not serve.

    \b
    Examples:
      python -m terminal status --config terminal.toml
      python -m terminal status --config terminal.toml --json
    """
    config = _load(path)
    file = Path(config.terminal.runtime_dir) / "status.json"
    try:
        raw = file.read_bytes()
        found = msgspec.json.decode(raw, type=_Status)
    except OSError as error:
        raise _Stop(f"{file}: there is no status; is the terminal running? (python -m terminal run --config {path})") from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise _Stop(f"{file}: not a terminal's status; start the terminal again (python -m terminal run --config {path})") from error
    running = Path(f"/proc/{found.pid}").exists()
    click.echo(json.dumps({**json.loads(raw), "running": running}) if as_json else "\n".join(_words(found, running)))
    sys.exit(0 if running and found.state == "serving" else 1)


@main.command("verify")
@CONFIG
@click.option("--ledger", type=click.Path(path_type=Path), help="A ledger file or backup; else the configuration's.")
@KEY
@AS_JSON
def verify_command(path: Path, ledger: Path | None, key: Path | None, as_json: bool) -> None:
    """Check a stopped terminal's ledger: journal chain, sequences, tables, sums against the totalisers. Ends 1 on a finding.

    \b
    Examples:
      python -m terminal verify --config terminal.toml
      python -m terminal verify --ledger backup/ledger.db --json
    """
    from terminal.store.integrity import verify as verify_ledger

    file = ledger or Path(_load(path).terminal.state_dir) / "ledger.db"
    try:
        look_as_it_is(file, key, path)
        report = verify_ledger(file)
    except (ConfigError, LedgerError, StorageFailed) as error:
        raise _Stop(str(error)) from error
    click.echo(report.as_json() if as_json else "\n".join(report.lines()))
    sys.exit(0 if report.sound else 1)


@main.command("explain")
@click.argument("case", type=click.Path(), required=False)
@click.option("--code", metavar="CODE", help="The six characters that a refused driver reads on the display.")
@click.option("--sale", metavar="SALE", help="A sale, as OPT1-1-42.")
@CONFIG
@click.option("--ledger", type=click.Path(path_type=Path), help="A ledger file, backup or copy; else the configuration's.")
@KEY
def explain_command(case: str | None, code: str | None, sale: str | None, path: Path, ledger: Path | None, key: Path | None) -> None:
    """Say every step, reason and remainder of a decision.

    Of the case of a .json file, of each line of a .jsonl file, or of a decision of the past: the one behind a refusal code, or the one that
    let a sale go. The past is read from the ledger of a stopped terminal, from a backup, or from a copy of ledger.db and ledger.db-wal.

    \b
    Examples:
      python -m terminal explain case.json
      python -m terminal explain --code X7K2QD --config terminal.toml
      python -m terminal explain --sale OPT1-1-42 --ledger backup/ledger.db
    """
    from terminal import explain

    if sum(given is not None for given in (case, code, sale)) != 1:
        raise _Stop("name one of the three: a case's file, --code or --sale (see python -m terminal explain --help)")
    if case is not None:
        sys.exit(explain.main(case))
    file = ledger or Path(_load(path).terminal.state_dir) / "ledger.db"
    try:
        look_as_it_is(file, key, path)
        click.echo(explain.explain_past(file, code=code, sale=sale))
    except (ConfigError, BadCode, NotFound, LedgerError, StorageFailed) as error:
        raise _Stop(str(error)) from error


@main.command("learn-badge")
@CONFIG
@click.option("--port", metavar="PORT", help="The reader's serial port, when the configuration has not exactly one.")
@click.option("--seconds", type=click.IntRange(1, 3600), help="Wait no longer for a badge.")
@click.option("--write", "into", type=click.Path(path_type=Path), help="A new file for the profile; else it is shown.")
@AS_JSON
def learn_badge_command(path: Path, port: str | None, seconds: int | None, into: Path | None, as_json: bool) -> None:
    """Wait for a badge, say what it offers, and write the [[badge_profile]] for such badges. Ends 1 when no badge came.

    The terminal must be stopped: it holds the reader.

    \b
    Examples:
      python -m terminal learn-badge --config terminal.toml
      python -m terminal learn-badge --port /dev/ttyUSB0 --write fleet.toml
      python -m terminal learn-badge --port /dev/ttyUSB0 --seconds 30 --json
    """
    from terminal import learn_badge

    if into is not None and into.exists():
        raise _Stop(f"{into}: is there already; name a new file")
    try:
        at = port if port is not None else learn_badge.port_of(_load(path))
        click.echo(f"Hold a badge to the reader at {at} (Ctrl-C ends).", err=True)
        found = learn_badge.learn(at, lambda line: click.echo(line, err=True), seconds)
    except (ConfigError, OSError, ValueError) as error:
        raise _Stop(str(error)) from error
    except KeyboardInterrupt:
        found = None
    if found is None:
        click.echo("No badge was read.", err=True)
        sys.exit(1)
    profile = learn_badge.profile_text(found)
    click.echo(learn_badge.as_json(found, profile) if as_json else "\n".join(learn_badge.lines(found)))
    if into is not None:
        try:
            into.write_text(profile, encoding="utf-8")
        except OSError as error:
            raise _Stop(f"{into}: {error.strerror}") from error
    elif not as_json:
        click.echo(f"\n{profile}", nl=False)


def _load(path: Path) -> Config:
    try:
        return load(path)
    except ConfigError as error:
        raise _Stop(str(error)) from error


def _words(found: _Status, running: bool) -> list[str]:
    life = "running" if running else "NOT running (this is its last word)"
    lines = [f"terminal {found.version}: {found.state}, process {found.pid} {life}"]
    if found.lists is not None:
        lists = f"{found.lists.epoch}/{found.lists.version}"
        lines.append(f"host {found.host}, {found.unsent} messages wait, lists {lists}, clock {found.clock}")
    lines += [f"fuelling point {one.fp}: {one.state}" + (f", sale {one.sale}" if one.sale else "") for one in found.fuelling_points]
    return lines + ([f"fault {one.code} {one.subject}: {one.detail}" for one in found.faults] or ["no faults"])


if __name__ == "__main__":
    main(prog_name="python -m terminal")
