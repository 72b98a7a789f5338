"""``python -m tests.play FILE… --world virtual|rig``: plays feature files and says in one line each how they ended.

Ends 0 when all scenarios pass, 1 when one fails, 2 when a file or a step is not understood (then nothing was played).
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tests.behaviour.binding import LATER, Scene, feature_id, shown
from tests.behaviour.record import Outcome, write_json
from tests.behaviour.worlds import WIRES, WORLDS, NoSuchWorld, load_world
from tests.ledger_kinds import kept
from tests.play.jobs import Plays, Told
from tests.play.run import files_of, play, understand
from tests.play.table import table

EXAMPLES = """
\b
Examples:
  python -m tests.play F14                                   one of our features, in the virtual world
  python -m tests.play F01 F09 --world rig                   the real program on ptys and HTTPS
  python -m tests.play tests/features --world rig --jobs 3   all of them, three files at a time
  python -m tests.play F40 --wire lossy                      over a line that loses a twentieth of all it carries
  python -m tests.play F36 --world rig --encrypted           with an encrypted ledger
  python -m tests.play ~/station.feature                     a file of your own
  python -m tests.play tests/features --json results.json    all of them, results in a file
  python -m tests.play --table                               what was played last, as a table
  python -m tests.play tests/features --table                all of them, then the table

\b
It ends 0 when all scenarios pass, 1 when one fails, 2 when a file or a step is not understood;
then it names file, line and the nearest step, and has played nothing.
"""


def _tell(told: Told) -> None:
    word = "ok  " if told["outcome"] == "passed" else "FAIL"
    click.echo(f"{word} {told['id']} {told['scenario']}  ({told['seconds']:.3f} s)")
    if told["outcome"] != "passed":
        file = shown(Path(told["file"]))
        click.echo(f"       {file}:{told['line']}: {told['step']}" if told["line"] else f"       {file}")
        for text in (told["reason"] or "").splitlines() or [""]:
            click.echo(f"       {text}")
    sys.stdout.flush()


def _as_json(outcome: Outcome) -> Told:
    return {
        "file": str(outcome.scene.file),
        "id": feature_id(outcome.scene.file),
        "scenario": outcome.title,
        "world": outcome.world,
        "outcome": "passed" if outcome.passed else "failed",
        "seconds": round(outcome.seconds, 3),
        "line": outcome.line or None,
        "step": outcome.step or None,
        "reason": outcome.reason or None,
    }


def _left_out(scenes: list[Scene], world: str) -> None:
    for scene in scenes:
        if not scene.plays_in(world):
            why = "needs the machine tier" if "machine" in scene.tags else "only in the virtual world"
            click.echo(f"--   {feature_id(scene.file)} {scene.key}  ({why})")


@click.command(epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("feature", nargs=-1, metavar="[FILE|FOLDER|ID]...")
@click.option("--world", default="virtual", show_default=True, metavar="virtual|rig", help="Where to play (also module:Class).")
@click.option("--wire", type=click.Choice(WIRES), help="Play over this wire to the pumps (virtual world only).")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the results to this file.")
@click.option("--table", "show_table", is_flag=True, help="Print the table of features (after playing, if a file is named).")
@click.option(
    "--jobs", default=1, show_default=True, type=click.IntRange(1, 16), help="Play so many files at once, each in its own process."
)
@click.option("--built", is_flag=True, help="Leave out what is tagged @later.")
@click.option("--only", multiple=True, metavar="TITLE", help="Only the scenario of this title; may be given several times.")
@click.option("--encrypted", is_flag=True, help="The terminal's ledger is encrypted.")
@click.option("--trace", is_flag=True, help="For developers: print tracebacks of failures.")
def main(
    feature: tuple[str, ...],
    world: str,
    wire: str | None,
    json_file: Path | None,
    show_table: bool,
    jobs: int,
    built: bool,
    only: tuple[str, ...],
    encrypted: bool,
    trace: bool,
) -> None:
    """Play feature files: plain sentences that say what drivers, pumps and the host do, and what must then be so."""
    if show_table and not feature:
        _show_table()
        return
    if not feature:
        raise click.UsageError("name a feature file, a folder or an id such as F14 (--help shows examples)")
    files, unknown = files_of(feature)
    scenes, problems = understand(files)
    if unknown or problems:
        for problem in (*unknown, *problems):
            click.echo(str(problem), err=True)
        click.echo("nothing was played", err=True)
        sys.exit(2)
    if world not in WORLDS and ":" not in world:
        raise click.UsageError(f"there is no world {world!r}; known are {', '.join(WORLDS)}")
    if wire is not None:
        if world != "virtual":
            raise click.UsageError("--wire lies in the virtual world only")
        world = f"{world}/{wire}"
    if built:
        scenes = [scene for scene in scenes if LATER not in scene.tags]
    with kept(encrypted=encrypted):
        status = _play(scenes, world, json_file, trace, only) if jobs == 1 else _play_at_once(scenes, world, json_file, jobs, built, only)
    if show_table:
        _show_table()
    sys.exit(status)


def _show_table() -> None:
    try:
        click.echo(table())
    except OSError as absent:
        raise click.ClickException(f"the table of features cannot be read: {absent}") from None


def _play(scenes: list[Scene], world: str, json_file: Path | None, trace: bool, only: tuple[str, ...]) -> int:
    """Play what was understood; returns the exit status."""
    told: list[Told] = []

    def tell(outcome: Outcome) -> None:
        told.append(_as_json(outcome))
        _tell(told[-1])

    try:
        load_world(world)
        _left_out(scenes, world)
        play(scenes, world, tell, trace, only)
    except (NoSuchWorld, RuntimeError) as broken:
        click.echo(str(broken), err=True)
        return 1
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        return 1
    return _summary(told, world, json_file)


def _play_at_once(scenes: list[Scene], world: str, json_file: Path | None, jobs: int, built: bool, only: tuple[str, ...]) -> int:
    """The same with several processes; scenarios are told file by file."""
    told: list[Told] = []
    _left_out(scenes, world)
    files = dict.fromkeys(scene.file for scene in scenes if scene.plays_in(world))
    plays = Plays(list(files), world, jobs, built, dict.fromkeys(files, only))
    try:
        for one in plays.outcomes():
            told.append(one)
            _tell(one)
    except RuntimeError as broken:
        click.echo(str(broken), err=True)
        return 1
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        return 1
    finally:
        plays.close()
    return _summary(told, world, json_file)


def _summary(told: list[Told], world: str, json_file: Path | None) -> int:
    failed = sum(one["outcome"] != "passed" for one in told)
    if json_file is not None:
        try:
            write_json(json_file.resolve(), {"world": world, "passed": len(told) - failed, "failed": failed, "scenarios": told})
        except OSError as unwritable:
            click.echo(f"the results cannot be written: {unwritable}", err=True)
            return 1
    click.echo(f"{len(told) - failed} passed, {failed} failed in the {world} world")
    return 1 if failed else 0


if __name__ == "__main__":
    main()
