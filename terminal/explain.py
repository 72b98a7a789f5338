"""``explain``: why a decision came out as it did, by the terminal's own ``decide``: a case in a file, or a decision of the past.

One ``.json`` file holds one case, a ``.jsonl`` file one a line; every case gives one line of JSON. A case that cannot be read is named by
line and field. Source: design/behaviour-language.md, section explain.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from terminal.case import Case, FieldError, case_of
from terminal.case_rows import CaseRow, Names
from terminal.core.authorization import Decision, Judged, Remaining, decide, gather
from terminal.core.card_data import Limit
from terminal.core.units import UtcMs
from terminal.core.windows import Window, utc_datetime
from terminal.json_lines import line_of_path
from terminal.store import past

_DECODER = msgspec.json.Decoder(CaseRow)
_AT = re.compile(r"^(?P<what>.*?)(?: - at `\$?\.?(?P<path>[^`]*)`)?$", re.DOTALL)
_NAMED = re.compile(r"`([^`]*)`$")
_BYTE = re.compile(r"\(byte (\d+)\)")


class CaseError(Exception):
    """A case that cannot be read: which ``line`` of the file, which ``field`` (empty when it is no JSON at all), and ``why``."""

    def __init__(self, line: int, where: str, why: str) -> None:
        super().__init__(f"line {line}: {where}: {why}" if where else f"line {line}: {why}")
        self.line = line
        self.field = where
        self.why = why


def explain_case(raw: bytes | dict[str, Any]) -> dict[str, Any]:
    """Decide one case and say how: decision, reason, decided_by, steps, remaining, allowance.

    Quantities in millilitres, money in minor units, prices in 1/10000 of the major unit per litre. Raises CaseError; its line is that of
    the field within ``raw`` (1 for a dict).
    """
    try:
        row = _DECODER.decode(raw) if isinstance(raw, bytes) else msgspec.convert(raw, CaseRow)
        return _answer(case_of(row))
    except FieldError as error:
        raise CaseError(_line(raw, error.field), error.field, error.why) from error
    except msgspec.ValidationError as error:
        where, why = _complaint(str(error))
        raise CaseError(_line(raw, where), where, why) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CaseError(_syntax_line(raw, error), "", _syntax(error)) from error


def explain_file(path: Path | str) -> Iterator[bytes]:
    """One line of JSON (without its line end) for each case of a ``.json`` or ``.jsonl`` file, as they are read.

    Raises CaseError at the first case that cannot be read, with the file's line, and OSError for a file that cannot.
    """
    file = Path(path)
    if file.suffix not in (".json", ".jsonl"):
        raise CaseError(1, "", "the file's name must end in .json (one case) or .jsonl (one a line)")
    if file.suffix == ".json":
        yield _line_of_json(explain_case(file.read_bytes()))
        return
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                yield _line_of_json(explain_case(line))
            except CaseError as error:
                raise CaseError(number, error.field, error.why) from error


def explain_past(ledger: Path, *, code: str | None = None, sale: str | None = None) -> str:
    """One line of JSON for the decision behind a refusal code or a sale. Raises ``past.NotFound``, ``BadCode`` and ``LedgerError``."""
    found = past.by_code(ledger, code) if code is not None else past.by_sale(ledger, sale or "")
    return _line_of_json(explain_judged(found)).decode()


def main(path: str) -> int:
    """Write the answers to standard output. Ends 0, also when declined; 2 with a message on standard error when a case cannot be read."""
    try:
        for line in explain_file(path):
            sys.stdout.write(line.decode() + "\n")
    except CaseError as error:
        sys.stdout.flush()
        sys.stderr.write(f"{path}: {error}\n")
        return 2
    except OSError as error:
        sys.stdout.flush()
        sys.stderr.write(f"{path}: {error.strerror or 'cannot be read'}\n")
        return 2
    sys.stdout.flush()
    return 0


# --- the answer -------------------------------------------------------------------------------------------------------


def _answer(case: Case) -> dict[str, Any]:
    row = case.row
    facts = gather(
        case.request,
        case.host,
        case.lists,
        case.deny,
        case.book,
        site=row.site,
        zone=row.zone,
        decimals=case.decimals,
        now_utc=case.now_utc,
        clock_state=row.clock,
        lists_checked_utc=case.lists_checked_utc,
        policy=case.policy,
        networks=tuple(row.networks),
        exposure=case.exposure,
    )
    return _written(decide(facts, case.policy), case.lists.products_as_written.__getitem__)


def explain_judged(found: Judged) -> dict[str, Any]:
    """The same for a decision of the past, from the facts that were written down with it. Subjects are accounts' tokens here."""
    return _written(decide(found.facts, found.policy), lambda limit: None if limit.products is None else sorted(limit.products))


def _written(decision: Decision, products_of: Callable[[Limit], Names]) -> dict[str, Any]:
    word = "declined" if not decision.approved else "partial" if decision.partial else "approved"
    return {
        "decision": word,
        "reason": None if decision.reason is None else decision.reason.value,
        "decided_by": decision.decided_by.value,
        "steps": [{"step": step.step.value, "result": "pass" if step.passed else "fail"} for step in decision.steps],
        "remaining": [_remaining(left, products_of) for left in decision.remaining],
        "allowance": {
            one.product: {"quantity_ml": one.quantity_ml, "value_minor": one.value_minor, "bound_by": one.bound_by.value}
            for one in decision.allowance
        },
    }


def _remaining(left: Remaining, products_of: Callable[[Limit], Names]) -> dict[str, Any]:
    limit = left.limit
    return {
        "subject": f"{limit.subject.kind.value} {limit.subject.id}",
        "period": limit.period.value,
        "measure": limit.measure.value,
        "products": products_of(limit),
        "limit": limit.amount,
        "used": left.used,
        "held": left.held,
        "remaining": left.remaining,
        "window": _window(left.window),
    }


def _window(window: Window | None) -> list[str] | None:
    return None if window is None else [_rfc3339(window.start), _rfc3339(window.end)]


def _rfc3339(at: UtcMs) -> str:
    return utc_datetime(at).isoformat(timespec="seconds" if at % 1000 == 0 else "milliseconds").replace("+00:00", "Z")


def _line_of_json(answer: dict[str, Any]) -> bytes:
    # Not msgspec: its integers end at 64 bits, a sum over a case need not.
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()


# --- complaints -------------------------------------------------------------------------------------------------------


def _complaint(message: str) -> tuple[str, str]:
    """The field and the rule of a validation message, without any value of the case: it may be a card number."""
    match = _AT.match(message)
    what, path = (message, "") if match is None else (match["what"], match["path"] or "")
    if what.startswith("Invalid enum value"):
        return path, "not one of the known words"
    named = _NAMED.search(what)
    if named is not None and what.startswith(("Object contains unknown field", "Object missing required field")):
        problem = "unknown field" if "unknown" in what else "required field is missing"
        return f"{path}.{named[1]}".lstrip("."), problem
    return path, what[0].lower() + what[1:]


def _line(raw: bytes | dict[str, Any], where: str) -> int:
    return line_of_path(raw, where) if isinstance(raw, bytes) else 1


def _syntax(error: Exception) -> str:
    return "not UTF-8" if isinstance(error, UnicodeDecodeError) else _BYTE.sub("", str(error)).strip()


def _syntax_line(raw: bytes | dict[str, Any], error: Exception) -> int:
    if not isinstance(raw, bytes):
        return 1
    match = _BYTE.search(str(error))
    return raw.count(b"\n", 0, int(match[1]) if match else len(raw.rstrip())) + 1
