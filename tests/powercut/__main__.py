"""``python -m tests.powercut``: power cuts in recorded days, one state again. Exit 0: all well, 1: something broke, 2: wrong use."""

from __future__ import annotations

import errno
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, fields
from pathlib import Path

import click

from terminal.store.sqlite_kind import ledger_key
from tests import reliability
from tests.powercut import campaign
from tests.powercut.campaign import (
    FUELLINGS,
    KEPT,
    PER_DAY,
    WEAKNESSES,
    Outcome,
    Recorded,
    caught,
    chunks,
    control,
    day_of,
    examine,
    record,
)
from tests.powercut.checks import Tally
from tests.powercut.failing import KINDS, Ended, Sickness, every, play
from tests.powercut.recorder import ROOT, NoFuse, Records, read_journal
from tests.powercut.states import Disk, Place, places

DISK_RESULT = ROOT / "build" / "powercut-disk.json"
RESULT = ROOT / "build" / "powercut.json"
CHUNK = 500
CONTROL_STATES, CONTROL_FUELLINGS = 600, 12


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """The power fails anywhere in a day of the real store, its disk at every operation of a fuelling. See firmware_notes/storage.md."""


ENCRYPTED = click.option("--encrypted", is_flag=True, help="Of an encrypted ledger.")


@main.command(
    epilog="Examples:\n\n  python -m tests.powercut run --states 50000\n\n  python -m tests.powercut run --states 2000 --jobs 2 --encrypted"
)
@click.option("--states", type=click.IntRange(1), default=50_000, show_default=True, help="How many disks are examined.")
@click.option("--first", type=click.IntRange(0), default=0, show_default=True, help="The number of the first.")
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="How many at a time.")
@click.option("--fuellings", type=click.IntRange(1, 500), default=FUELLINGS, show_default=True, help="Drivers a day who mean to fuel.")
@click.option(
    "--thorough", type=click.IntRange(1), default=20, show_default=True, help="One disk in so many goes the product's whole way up."
)
@click.option("--controls/--no-controls", default=True, show_default=True, help="Also weaken the store in each known way and see it found.")
@ENCRYPTED
def run(states: int, first: int, jobs: int, fuellings: int, thorough: int, controls: bool, encrypted: bool) -> None:
    """Record days, cut the power in each so many times, examine every disk."""
    name, title = "powercut", "Power cuts anywhere in a day of the real store"
    if encrypted:
        name, title = f"{name}-encrypted", f"{title}, its ledger encrypted"
    with reliability.campaign(name, title) as verdict:
        _run(verdict, states, first, jobs, fuellings, thorough, controls, encrypted)
    sys.exit(verdict.code)


def _run(
    verdict: reliability.Campaign, states: int, first: int, jobs: int, fuellings: int, thorough: int, controls: bool, encrypted: bool
) -> None:
    began = time.monotonic()
    campaign.begin(encrypted)
    total, days = Outcome(), []
    for day, seeds in _days(first, states):
        journal = _journal_of(day, encrypted)
        recorded = record(day, journal, fuellings)
        days.append(recorded)
        for outcome in _examined(journal, day, seeds, jobs, thorough, encrypted):
            total.add(outcome)
            _progress(total, states, began)
        if not total.broke:
            journal.unlink()
    found = {weakness.name: control(weakness, 1, CONTROL_STATES, CONTROL_FUELLINGS) for weakness in WEAKNESSES if controls}
    _clear()
    seconds = time.monotonic() - began
    missed = [weakness.name for weakness in WEAKNESSES if controls and not caught(weakness, found[weakness.name])]
    command = f"python -m tests.powercut run --states {states} --first {first} --jobs {jobs} --fuellings {fuellings} --thorough {thorough}"
    command += " --encrypted" if encrypted else ""
    _write(RESULT.with_stem(f"{RESULT.stem}-encrypted") if encrypted else RESULT, command, seconds, days, total, found)
    _tell(total, days, found, seconds)
    verdict.figures |= {
        "states": total.tally.states,
        "opened by the product's whole way up": total.tally.thorough,
        "days recorded": len(days),
        "weakened stores caught": f"{len(found) - len(missed)} of {len(found)}",
        "acknowledged facts lost or doubled, broken chains": len(total.broke),
    }
    verdict.wrong = "; ".join([*(f"{one.name}: {one.what}" for one in total.broke[:3]), *(f"{name} was not caught" for name in missed)])


@main.command(epilog="Example:\n\n  python -m tests.powercut replay --seed 1234")
@click.option("--seed", type=click.IntRange(0), required=True, help="Which state.")
@click.option("--fuellings", type=click.IntRange(1, 500), default=FUELLINGS, show_default=True, help="As in the run that found it.")
@click.option("--keep", type=click.Path(path_type=Path), help="Leave the disk's files in this new folder.")
@ENCRYPTED
def replay(seed: int, fuellings: int, keep: Path | None, encrypted: bool) -> None:
    """One state again: where it is cut, what the disk holds, what is wrong with it."""
    campaign.begin(encrypted)
    day = day_of(seed)
    journal = _journal_of(day, encrypted)
    if not journal.exists():
        record(day, journal, fuellings)
    records = read_journal(journal)
    (place,) = places(records, [seed])
    disk = Disk(records)
    disk.forward(place.cut)
    state = disk.state(place)
    click.echo(f"state {seed}: day {day}, cut behind record {place.cut} of {len(records)}, {place.policy}: {state.lost} pieces lost")
    for number in range(max(0, place.cut - 12), min(len(records), place.cut + 3)):
        click.echo(f"{'  CUT ' if number == place.cut else '      '}{number:>7} {_words(records[number])}")
    for path, content in sorted(state.files.items()):
        click.echo(f"      {len(content):>9} bytes  {path}")
    if keep is not None:
        keep.mkdir(parents=True)
        for path, content in state.files.items():
            (keep / path[1:]).write_bytes(content)
    outcome = examine(records, [place], day, thorough_every=1)
    click.echo("".join(f"broke: {one.name}: {one.what}\n" for one in outcome.broke) or "whole\n", nl=False)
    sys.exit(1 if outcome.broke else 0)


def _journal_of(day: int, encrypted: bool) -> Path:
    return KEPT / f"day-{day}{'-encrypted' if encrypted else ''}.journal"


def _days(first: int, states: int) -> Iterator[tuple[int, range]]:
    at, end = first, first + states
    while at < end:
        stop = min(end, (at // PER_DAY + 1) * PER_DAY)
        yield day_of(at), range(at, stop)
        at = stop


def _examined(journal: Path, day: int, seeds: range, jobs: int, thorough: int, encrypted: bool) -> Iterator[Outcome]:
    placed = chunks(read_journal(journal), seeds, CHUNK)
    with ProcessPoolExecutor(jobs, initializer=_begin, initargs=(journal, encrypted)) as pool:
        try:
            yield from pool.map(_work, placed, [day] * len(placed), [thorough] * len(placed))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


_journal: Records = []


def _begin(journal: Path, encrypted: bool) -> None:
    campaign.begin(encrypted)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _journal.extend(read_journal(journal))


def _work(placed: list[Place], day: int, thorough: int) -> Outcome:
    return examine(_journal, placed, day, thorough_every=thorough)


@main.command(
    epilog="Examples:\n\n  python -m tests.powercut disk\n\n  python -m tests.powercut disk --only 'sync 3' --number ENOSPC --lasts"
)
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="How many at a time.")
@click.option("--only", metavar="'KIND N'", help="One operation: write, sync, open or name, and which.")
@click.option("--number", default="EIO", show_default=True, help="With --only: the error, as errno names it.")
@click.option("--lasts", is_flag=True, help="With --only: all behind it fail too, until the disk is mended.")
def disk(jobs: int, only: str | None, number: str, lasts: bool) -> None:
    """Fail every write, sync, opening and naming of one fuelling, alone and with all behind it, by EIO and by ENOSPC."""
    with reliability.campaign("faulty-disk", "Every write, sync and opening failing", kept=only is None) as verdict:
        _disk(verdict, jobs, only, number, lasts)
    sys.exit(verdict.code)


def _disk(verdict: reliability.Campaign, jobs: int, only: str | None, number: str, lasts: bool) -> None:
    began = time.monotonic()
    clean = play(None)
    sick = [_named(only, number, lasts)] if only is not None else every(clean)
    found: list[Ended] = [clean]
    with ProcessPoolExecutor(jobs, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)) as pool:
        try:
            for ended in pool.map(play, sick):
                found.append(ended)
                _say(f"{len(found)} of {len(sick) + 1} disks, {time.monotonic() - began:.0f} s", len(found) % 100 == 0)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    _clear()
    broken = [ended for ended in found if ended.broken is not None]
    for ended in broken[: campaign.MOST_NAMED]:
        click.echo(f"{ended.sickness.words() if ended.sickness else 'a whole disk'}: {ended.broken}")
    seconds = time.monotonic() - began
    figures = {
        "command": "python -m tests.powercut disk",
        "seconds": round(seconds, 1),
        "operations": clean.operations,
        "disks": len(found),
        "failed": sum(ended.failed for ended in found),
        "most_starts": max(ended.starts for ended in found),
        "broken": [f"{ended.sickness.words() if ended.sickness else ''}: {ended.broken}" for ended in broken],
    }
    DISK_RESULT.write_text(json.dumps(figures, indent=1) + "\n")
    verdict.figures |= {"operations of one fuelling": clean.operations, "disks": len(found), "operations that failed": figures["failed"]}
    for ended in broken[:3]:
        verdict.amiss(f"{ended.sickness.words() if ended.sickness else 'a whole disk'}: {ended.broken}")
    click.echo(
        f"{len(found)} disks in {seconds:.0f} s, {figures['failed']} operations failed, at most {figures['most_starts']} starts a day: "
        + (f"{len(broken)} broke." if broken else "nothing released that was not written down, no fill lost, all served again.")
    )


def _named(only: str, number: str, lasts: bool) -> Sickness:
    kind, _, nth = only.partition(" ")
    if kind not in KINDS or not nth.isdigit() or not isinstance(getattr(errno, number, None), int):
        raise click.UsageError(f"--only 'sync 3' --number EIO: KIND is one of {', '.join(KINDS)}, the error is errno's name")
    return Sickness(kind, int(nth), getattr(errno, number), lasts)


# --- words ------------------------------------------------------------------------------------------------------------------


def _words(record: tuple[object, ...]) -> str:
    kind, *rest = record
    if kind == "mark":
        return f"acknowledged {type(rest[0]).__name__} {getattr(rest[0], 'seq', '')}"
    return " ".join([str(kind), *(f"{len(one)} bytes" if isinstance(one, bytes) else str(one) for one in rest)])


def _progress(total: Outcome, states: int, began: float) -> None:
    done = total.tally.states
    _say(f"{done} of {states} states, {time.monotonic() - began:.0f} s, {sum(total.tally.broken.values())} broke", done % 5_000 < CHUNK)


def _say(line: str, milestone: bool) -> None:
    """On a terminal one line that changes, in a log only the milestones."""
    if sys.stdout.isatty():
        click.echo(f"\r{line}", nl=False)
    elif milestone:
        click.echo(line)


def _clear() -> None:
    if sys.stdout.isatty():
        click.echo("\r\033[K", nl=False)


def _tell(total: Outcome, days: list[Recorded], found: dict[str, Outcome], seconds: float) -> None:
    tally = total.tally
    click.echo(
        f"{len(days)} days recorded: {sum(d.commits for d in days)} commits with {sum(d.rows for d in days)} facts, "
        f"{sum(d.fuellings for d in days)} fuellings, {sum(d.writes for d in days)} writes, {sum(d.syncs for d in days)} syncs, "
        f"{sum(d.card_changes for d in days)} changed lists"
    )
    click.echo(
        f"{tally.states} power cuts in {seconds:.0f} s: {tally.recovered} different disks recovered, {tally.thorough} taken the product's "
        f"whole way up, {tally.ahead} with the commit under way, {tally.behind} without"
    )
    kind = "" if ledger_key() is None else " --encrypted"
    for one in total.broke[: campaign.MOST_NAMED]:
        click.echo(f"state {one.seed} broke: {one.name}: {one.what}")
        click.echo(f"  again: .venv/bin/python -m tests.powercut replay --seed {one.seed}{kind}")
    for weakness in WEAKNESSES:
        if weakness.name in found:
            outcome = found[weakness.name]
            words = ", ".join(f"{count} {name}" for name, count in sorted(outcome.tally.broken.items())) or "nothing"
            verdict = "seen" if caught(weakness, outcome) else "NOT SEEN"
            click.echo(f"weakened ({weakness.name}): {verdict}: {words} in {outcome.tally.states} states")
    broken = sum(tally.broken.values())
    click.echo(f"{broken} states broke." if broken else "Nothing that was acknowledged was lost, doubled or torn.")


def _write(result: Path, command: str, seconds: float, days: list[Recorded], total: Outcome, found: dict[str, Outcome]) -> None:
    result.parent.mkdir(parents=True, exist_ok=True)
    text = {
        "command": command,
        "seconds": round(seconds, 1),
        "days": [asdict(day) for day in days],
        "states": _plain(total.tally),
        "broke": [asdict(one) for one in total.broke],
        "controls": {name: _plain(outcome.tally) for name, outcome in found.items()},
    }
    result.write_text(json.dumps(text, indent=1) + "\n")


def _plain(tally: Tally) -> dict[str, object]:
    values = {field.name: getattr(tally, field.name) for field in fields(tally)}
    return {name: dict(sorted(value.items())) if isinstance(value, Counter) else value for name, value in values.items()}


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except NoFuse as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("\nstopped", err=True)
        sys.exit(130)
    except BrokenProcessPool:
        click.echo("a worker process was killed; run again with fewer --jobs", err=True)
        sys.exit(2)
