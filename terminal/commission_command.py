"""``python -m terminal commission``: the walk from head to head. Exit codes: 0 all is OK, 1 something is not, 2 a person must act."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import msgspec

from terminal import commission_report as reports
from terminal import papers
from terminal.commission_report import CheckedNozzle, CheckedPoint, Report, ReportError, Result
from terminal.commission_steps import Instruction, Question, steps_of
from terminal.commissioning import SKIP, Walk
from terminal.config import Config, ConfigError, load
from terminal.config_tables import FuellingPointTable
from terminal.devices import PumpLines
from terminal.store import price_store
from terminal.store.at_rest import reading
from terminal.store.ledger import LedgerError
from terminal.store.sqlite_kind import keep_ledgers

BEGUN, DAY = "technician", "date"


class _Mend(click.ClickException):
    """Something a person must mend, in one line."""

    exit_code = 2


class Ended(Exception):
    """The technician ends the walk before its end; it goes on where it stopped."""


@click.command("commission", short_help="Walk from head to head: nozzle, product, price, decimals, emergency stop; writes a report.")
@click.option("--config", "path", type=click.Path(path_type=Path), default=Path("/etc/forecourt-terminal/terminal.toml"), show_default=True)
@click.option("--fp", "only", type=int, multiple=True, help="This fuelling point only; may be repeated.")
@click.option(
    "--answers", type=click.Path(path_type=Path), help="A JSON object: a question's name to its answer. What is not in it is skipped."
)
@click.option("--report", "into", type=click.Path(path_type=Path), default=Path("commissioning.json"), show_default=True)
@click.option("--litres", type=click.IntRange(1, 50), default=5, show_default=True, help="Of each measured delivery.")
@click.option("--afresh", is_flag=True, help="Begin anew; a report that is there is kept under another name.")
@click.option("--check", is_flag=True, help="Only say what the report says, and whether somebody has touched it.")
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object a line; answers are read from the input, a line each.")
def commission(
    path: Path, only: tuple[int, ...], answers: Path | None, into: Path, litres: int, afresh: bool, check: bool, as_json: bool
) -> None:
    """Walk from head to head and hold what is configured against what hangs there. The terminal must be stopped: it holds the ports.

    Every nozzle is lifted, its price read off the display, some litres delivered into a measuring can and read off, its totaliser compared;
    at the end the emergency stop is pressed. A small delivery is let go at each nozzle: pour it back. Answer "skip" to leave a step out;
    a report with a step left out is never OK. Ctrl-C ends; the same command goes on behind it.

    \b
    Examples:
      python -m terminal commission --config terminal.toml
      python -m terminal commission --config terminal.toml --fp 2 --report pump-2.json
      python -m terminal commission --config terminal.toml --answers answers.json --json
      python -m terminal commission --check --report commissioning.json
    """
    try:
        if check:
            report = reports.read(into)
        else:
            config = load(path)
            report = _walked(config, only, answers, into, litres * 1000, afresh, as_json)
    except (ConfigError, ReportError, LedgerError) as error:
        raise _Mend(str(error)) from error
    if as_json:
        click.echo(json.dumps({"result": report.result.value, "report": str(into), "sha256": report.sha256}))
    else:
        click.echo("\n".join(report.lines()))
    raise click.exceptions.Exit(0 if report.result is Result.OK else 1)


def _walked(config: Config, only: tuple[int, ...], answers: Path | None, into: Path, volume_ml: int, afresh: bool, as_json: bool) -> Report:
    unknown = sorted(set(only) - {point.number for point in config.fuelling_point})
    if unknown:
        raise _Mend(f"--fp: there is no fuelling point {unknown[0]}")
    report = _begun(config, into, afresh=afresh)
    technician = Console(as_json) if answers is None else Answers(_answers(answers, report), as_json)

    def save() -> None:
        reports.write(into, report)

    with PumpLines(config) as lines:
        walk = Walk(report, lines, technician, save, decimals=config.decimals, volume_ml=volume_ml)
        try:
            report.technician = _named(technician, BEGUN, "Who walks? (name)")
            report.date = _named(technician, DAY, "Which day is it?")
            save()
            walk.run(only)
        except (KeyboardInterrupt, Ended):
            walk.leave()
            click.echo("ended before the end; the same command goes on behind it", err=True)
        save()
    return report


def _named(technician: Console, name: str, text: str) -> str:
    said = technician.ask(Question(name, text)).strip()[:64]
    return "" if said.lower() == SKIP else said


# --- the report -------------------------------------------------------------------------------------------------------------------------


def _begun(config: Config, into: Path, *, afresh: bool) -> Report:
    """The report of the walk before, with everything left open that is configured otherwise now; or a new one."""
    from terminal.app import version

    fresh = Report(reports.FORMAT, config.terminal.id, config.terminal.site, version())
    fresh.points = [_point(config, point) for point in sorted(config.fuelling_point, key=lambda each: each.number)]
    if not into.exists():
        return fresh
    if afresh:
        kept = next(name for number in range(1, 10_000) if not (name := into.with_suffix(f".{number}.json")).exists())
        into.rename(kept)
        return fresh
    before = reports.read(into)
    if (before.terminal, before.site) != (fresh.terminal, fresh.site):
        raise ReportError(f"{into}: is terminal {before.terminal}'s of site {before.site}; take another name, or --afresh")
    known = {point.fp: point for point in before.points}
    for number, point in enumerate(fresh.points):
        old = known.get(point.fp)
        if old is not None and (old.head, old.nozzles) == (point.head, point.nozzles):
            fresh.points[number] = old
    fresh.pending = before.pending
    return fresh


def _point(config: Config, point: FuellingPointTable) -> CheckedPoint:
    line = next(each for each in config.line if each.name == point.line)
    counted = " ".join(f"{name} {getattr(point, f'{name}_decimals')}" for name in ("volume", "amount", "price", "total"))
    known = _prices_in_force(config)
    priced = next(each for each in config.site("").points if each.number == point.number)
    nozzles = [
        CheckedNozzle(each.nozzle, each.product, known.get((point.number, each.nozzle, each.product), each.price))
        for each in priced.nozzles
    ]
    head = f"{line.protocol} on {line.port} at {line.baudrate} baud, address {point.address} (0x{point.address:02X}), decimals: {counted}"
    return CheckedPoint(point.number, head, nozzles, steps_of(point.number, nozzles))


def _prices_in_force(config: Config) -> dict[tuple[int, int, str], int]:
    """Those of the ledger, where the terminal has run before: the configuration's are the first start's only. Raises LedgerError."""
    ledger = Path(config.terminal.state_dir) / "ledger.db"
    if not ledger.exists():
        return {}
    keep_ledgers(papers.ledger_key(config) if config.storage.encrypted else None)
    with reading(ledger) as db:
        return {(fact.fp, fact.nozzle, fact.product): fact.price for fact in price_store.remembered(db).in_force.values()}


# --- who walks --------------------------------------------------------------------------------------------------------------------------


class Console:
    """A technician at a screen, or a program that plays one."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def tell(self, instruction: Instruction) -> None:
        """Say what is to be done."""
        fields: dict[str, Any] = {"do": instruction.act.value, "fp": instruction.fp, "nozzle": instruction.nozzle}
        self._say(fields | {"volume_ml": instruction.volume_ml, "text": instruction.text}, f">> {instruction.text}")

    def ask(self, question: Question) -> str:
        """A line of the input. Raises Ended at its end."""
        self._say({"ask": question.name, "text": question.text}, f"?  {question.text}")
        try:
            return input()
        except EOFError:
            raise Ended from None

    def _say(self, fields: dict[str, Any], words: str) -> None:
        click.echo(json.dumps(fields) if self._as_json else words)


class Answers(Console):
    """Answers that were written down before; what has to be done is done by somebody all the same."""

    def __init__(self, known: dict[str, str], as_json: bool) -> None:
        super().__init__(as_json)
        self._known = known

    def ask(self, question: Question) -> str:
        """The answer of the file; a question that it does not know is skipped."""
        said = self._known.get(question.name, SKIP)
        self._say({"ask": question.name, "text": question.text, "answer": said}, f"?  {question.text} {said}")
        return said


def _answers(path: Path, report: Report) -> dict[str, str]:
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except OSError as error:
        raise ReportError(f"{path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise ReportError(f"{path}: a JSON object of texts is expected ({error})") from error
    asked = {BEGUN, DAY}
    for point in report.points:
        asked.add(f"fp {point.fp} emergency stop")
        asked |= {f"fp {point.fp} nozzle {n.nozzle} {what}" for n in point.nozzles for what in ("price", "ready", "volume", "amount")}
    unknown = sorted(set(found) - asked)
    if unknown:
        raise ReportError(f"{path}: nobody asks for {unknown[0]!r}")
    return found
