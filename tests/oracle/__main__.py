"""``python -m tests.oracle``: is every answer of ``explain`` right? Exit 0: no difference, 1: one, 2: wrong use or something in the way."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from tests.core.naive import answer
from tests.oracle import damage
from tests.oracle.ask import ROOT, Difference, differences, line
from tests.oracle.coverage import reached, required
from tests.oracle.dice import Dice
from tests.oracle.shrink import smallest
from tests.reliability import Campaign, campaign

CHUNK = 1000
BAD_CHUNK = 25
CASE_FILE = ROOT / "build" / "oracle-case.json"
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Chunk:
    """What came of some cases."""

    cases: int
    reached: Counter[str]
    different: list[Difference]


def judge(first: int, count: int) -> Chunk:
    """Make ``count`` cases from that seed on, ask the command about all of them, compare."""
    cases = [Dice(seed).case() for seed in range(first, first + count)]
    seen: Counter[str] = Counter()
    for case in cases:
        seen.update(reached(case, answer(case)))
    different = [Difference(first + one.number, one.case, one.said, one.right) for one in differences(cases)]
    return Chunk(count, seen, different)


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""Examples:

  python -m tests.oracle --cases 100000

  python -m tests.oracle --bad 500

  python -m tests.oracle --case build/oracle-case.json""",
)
@click.option("--cases", type=click.IntRange(1), default=100_000, show_default=True, help="How many.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The first case's seed; the following count up.")
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="How many at a time.")
@click.option("--bad", type=click.IntRange(1), help="Instead: so many malformed cases, which explain has to refuse by line and field.")
@click.option("--case", "file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Instead: one case, both answers.")
def main(cases: int, seed: int, jobs: int, bad: int | None, file: Path | None) -> None:
    """Random cases through the real `python -m terminal explain`; each answer is held against the rules written apart."""
    if file is not None:
        sys.exit(_show(file))
    if bad is not None:
        sys.exit(_bad(bad, seed, jobs))
    with campaign("oracle", "Decisions against the rules written apart") as found:
        _good(cases, seed, jobs, found)
    sys.exit(found.code)


def _good(cases: int, seed: int, jobs: int, found: Campaign) -> None:
    began, done, seen = time.monotonic(), 0, Counter[str]()
    firsts = range(seed, seed + cases, CHUNK)
    with _workers(jobs) as pool:
        tasks = {pool.submit(_Worker.run, judge, first, min(CHUNK, seed + cases - first)) for first in firsts}
        for chunk in _results(tasks):
            done += chunk.cases
            seen += chunk.reached
            found.figures |= {"cases": done, "different": len(chunk.different)}
            if chunk.different:
                found.amiss(f"seed {chunk.different[0].number}: explain and the rules differ")
                _tell(chunk.different)
                return
            _progress(done, cases, began)
    seconds = time.monotonic() - began
    _coverage(seen)
    click.echo(f"{cases} cases from seed {seed} in {seconds:.0f} s ({cases / seconds:.0f}/s, {jobs} at a time): no answer differs.")
    missing = [name for name in required() if not seen[name]]
    if missing:
        found.amiss(f"never came up: {', '.join(missing)}")
        click.echo(f"But these never came up, so nothing is known about them; take more cases than {cases}: {', '.join(missing)}", err=True)


def _bad(count: int, seed: int, jobs: int) -> int:
    began, done, seen = time.monotonic(), 0, Counter[str]()
    with _workers(jobs) as pool:
        tasks = {
            pool.submit(_Worker.run, damage.judge, first, min(BAD_CHUNK, seed + count - first))
            for first in range(seed, seed + count, BAD_CHUNK)
        }
        for chunk in _results(tasks):
            done += chunk.cases
            seen += chunk.kinds
            if chunk.wrong:
                one = chunk.wrong[0]
                CASE_FILE.parent.mkdir(exist_ok=True)
                kept = CASE_FILE.with_name(f"oracle-bad{one.suffix}")
                kept.write_bytes(one.file)
                click.echo(f"seed {one.seed}, {one.kind}: {one.what}\nSee it again: .venv/bin/python -m terminal explain {_short(kept)}")
                return 1
            _progress(done, count, began)
    _table({name: seen[name] for name in sorted(seen)})
    click.echo(
        f"{count} malformed cases from seed {seed} in {time.monotonic() - began:.0f} s: each refused (2) by line and field, no traceback."
    )
    missing = [kind for kind in damage.KINDS if not seen[kind]]
    if missing:
        click.echo(f"But these never came up; take more than {count}: {', '.join(missing)}", err=True)
    return 1 if missing else 0


def _show(file: Path) -> int:
    try:
        case = json.loads(file.read_bytes())
        right = answer(case)
    except (ValueError, KeyError, TypeError) as error:
        raise click.UsageError(f"{file}: not a complete case: {error!r}") from error
    found = differences([case])
    click.echo(f"rules:   {line(right)}")
    click.echo(f"explain: {found[0].said if found else 'the same'}")
    return 1 if found else 0


def _tell(different: list[Difference]) -> None:
    click.echo(f"seed {different[0].number}: explain and the rules differ ({len(different)} of these do). Making the case small …")
    small = smallest(different[0])
    CASE_FILE.parent.mkdir(exist_ok=True)
    CASE_FILE.write_text(json.dumps(small.case, indent=1, ensure_ascii=False) + "\n")
    click.echo(f"rules:   {small.right}\nexplain: {small.said}")
    click.echo(f"The case: {_short(CASE_FILE)}. See it again:")
    click.echo(f"  .venv/bin/python -m terminal explain {_short(CASE_FILE)}")
    click.echo(f"  .venv/bin/python -m tests.oracle --case {_short(CASE_FILE)}")


def _short(file: Path) -> str:
    return str(file.relative_to(ROOT))


# --- many at a time ---------------------------------------------------------------------------------------------------


class _Worker:
    """What Ctrl-C does in a worker process: the task in hand ends, those that wait there end at once, and an idle one just goes."""

    busy = stopped = False

    @classmethod
    def begin(cls) -> None:
        signal.signal(signal.SIGINT, cls.interrupted)

    @classmethod
    def interrupted(cls, number: int, frame: object) -> None:
        cls.stopped = True
        if cls.busy:
            raise KeyboardInterrupt
        sys.exit(130)

    @classmethod
    def run(cls, judge_: Callable[[int, int], Found], first: int, count: int) -> Found:
        if cls.stopped:
            raise KeyboardInterrupt
        cls.busy = True
        try:
            return judge_(first, count)
        finally:
            cls.busy = False


@contextmanager
def _workers(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Worker processes; what is not begun yet is dropped at the end."""
    pool = ProcessPoolExecutor(jobs, initializer=_Worker.begin)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _results(tasks: set[Future[Found]]) -> Iterator[Found]:
    while tasks:
        ready, tasks = wait(tasks, return_when=FIRST_COMPLETED)
        yield from (one.result() for one in ready)


_told_at = 0.0


def _progress(done: int, count: int, began: float) -> None:
    global _told_at
    now = time.monotonic()
    if sys.stderr.isatty() and now - _told_at >= 1:
        _told_at = now
        click.echo(f"{done} of {count} cases, {now - began:.0f} s", err=True)


def _coverage(seen: Counter[str]) -> None:
    _table({name: seen[name] for name in required()})


def _table(rows: dict[str, int]) -> None:
    for name, count in rows.items():
        click.echo(f"{count:>9}  {name}")


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("\nstopped", err=True)
        sys.exit(130)
    except BrokenProcessPool:
        click.echo("a worker process was killed; run again with fewer --jobs", err=True)
        sys.exit(2)
