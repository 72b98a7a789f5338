"""Steps about why: the code on the display, the decision behind it, behind a sale, and of a case; each by the real command line.

PYTEST_DONT_REWRITE (there is no bare assert here)
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from terminal.core.texts import CODES
from tests.behaviour import values
from tests.behaviour.command_line import explain
from tests.behaviour.stage import DRIVER_WAIT_MS, Kind, NotSo, Stage, known

_SHOWN = re.compile(rf"(?:{'|'.join(sorted(set(CODES.values())))}) ([0-9A-HJKMNP-TV-Z]{{6}})(?![0-9A-Za-z])")


def _code(stage: Stage) -> str | None:
    """The refusal code that came up last since the medium was held out."""
    found = [code for screen in stage.shown() for code in _SHOWN.findall(screen)]
    return found[-1] if found else None


def _shown_code(stage: Stage) -> str:
    stage.expect(
        lambda: _code(stage) is not None,
        DRIVER_WAIT_MS,
        lambda: f"the display showed {' / '.join(repr(screen) for screen in stage.shown()) or 'nothing'}",
    )
    return _code(stage) or ""


def _explained(stage: Stage, *arguments: str) -> dict[str, Any]:
    """What the command line says of a decision of the past, from a copy of the ledger. Raises NotSo when it ends otherwise than with 0."""
    with tempfile.TemporaryDirectory(prefix="explain-") as folder:
        done = explain(*arguments, "--ledger", str(stage.world.copy_ledger(Path(folder))))
    if done.code:
        raise NotSo(f"explain {' '.join(arguments)} ended with {done.code}: {done.error.strip()}")
    told: dict[str, Any] = json.loads(done.out)
    return told


@known(Kind.THEN, "the display shows a refusal code")
def _shows(stage: Stage) -> None:
    _shown_code(stage)


@known(Kind.THEN, "the display shows no refusal code")
def _shows_none(stage: Stage) -> None:
    code = _code(stage)
    if code is not None:
        raise NotSo(f"the display shows the refusal code {code}")


@known(Kind.THEN, 'the refusal code explains "{reason}"')
def _explains(stage: Stage, reason: str) -> None:
    values.one_of(reason, values.REASONS, "a reason")
    code = _shown_code(stage)
    told = _explained(stage, "--code", code.lower())
    if (told["decision"], told["reason"]) != ("declined", reason):
        raise NotSo(f"refusal code {code} explains {told['decision']}, {told['reason']}")


@known(Kind.THEN, 'sale {number} explains "{decision:approved|partial|declined}" by the {by:host|terminal}')
def _sale_explains(stage: Stage, number: str, decision: str, by: str) -> None:
    sale = f"{stage.setup.terminal}-1-{values.whole(number, 'the number of the sale')}"
    told = _explained(stage, "--sale", sale)
    if (told["decision"], told["decided_by"]) != (decision, "host" if by == "host" else "offline"):
        raise NotSo(f"sale {sale} explains {told['decision']}, decided by {told['decided_by']}, reason {told['reason']}")


# === cases ======================================================================================================


@known(Kind.WHEN, "the case is explained")
def _explain(stage: Stage, docstring: str) -> None:
    stage.explained = stage.world.explain_case(docstring)


def _answer(stage: Stage) -> dict[str, Any]:
    done = stage.explained
    if done is None:
        raise NotSo("no case was explained before")
    if done.code:
        raise NotSo(f"explain ended with {done.code}: {done.error.strip()}")
    told: dict[str, Any] = json.loads(done.out)
    return told


@known(
    Kind.THEN,
    'the explanation is {decision:approved|partial} for {volume:amount} of "{product}" bound by "{bound}"',
)
def _allows(stage: Stage, decision: str, volume: str, product: str, bound: str) -> None:
    volume_ml = values.volume_ml(volume)
    values.one_of(bound, values.REASONS, "a reason")
    told = _answer(stage)
    found = told["allowance"].get(product)
    if told["decision"] != decision or found is None or (found["quantity_ml"], found["bound_by"]) != (volume_ml, bound):
        raise NotSo(f"the explanation is {told['decision']} ({told['reason']}) with {told['allowance']}")


@known(Kind.THEN, 'the explanation is declined with "{reason}" at step "{step}"')
def _declines(stage: Stage, reason: str, step: str) -> None:
    values.one_of(reason, values.REASONS, "a reason")
    told = _answer(stage)
    last = told["steps"][-1]
    if (told["decision"], told["reason"], last["step"]) != ("declined", reason, step):
        raise NotSo(f"the explanation is {told['decision']} ({told['reason']}) at {last['step']}")


@known(Kind.THEN, 'the case is refused at line {line}, naming "{field}"')
def _refused_case(stage: Stage, line: str, field: str) -> None:
    wanted = f"line {values.whole(line, 'the line')}: {field}: "
    done = stage.explained
    if done is None:
        raise NotSo("no case was explained before")
    if done.code != 2 or wanted not in done.error or done.out:
        raise NotSo(f"explain ended with {done.code}: {(done.error or done.out).strip()}")
