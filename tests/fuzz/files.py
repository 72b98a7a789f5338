"""What people may write: the configuration file and cases for ``explain``."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from terminal.config import ConfigError, load
from terminal.explain import CaseError, explain_case
from tests.fuzz.hosts import a_json
from tests.fuzz.surface import ROOT, Surface, demand, mutated
from tests.oracle.dice import Dice

_WORDS = (
    b'"', b"[", b"]", b"[[", b"=", b"\n", b"#", b"'''", b'"""', b"{", b"}", b"\\", b"\\u0000", b"\xff", b"\x00", b"-1", b"0",
    b"99999999999999999999",
    b"1.5", b"inf", b"1979-05-27", b"true", b'""', b"[" * 1500, b"a." * 300, b'"https://[::1"', b'"https://a:99999"', b'"credential:x"',
    b'"credential:../x"', b'"Europe/../x"', b'"/"', b'"\xc3\xa9"', b"x" * 5000,
)  # fmt: skip
CASES = 400
"""So many good cases are the grounds of all malformed ones."""


@cache
def example() -> bytes:
    """The example without its comments."""
    text = (ROOT / "systemd" / "terminal.example.toml").read_text(encoding="utf-8")
    return "\n".join(line for line in text.splitlines() if line and not line.startswith("#")).encode()


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="fuzz-")


def configuration(data: bytes) -> bool:
    """What loads is good enough to start from."""
    path = Path(_folder().name) / "terminal.toml"
    path.write_bytes(data)
    try:
        config = load(path)
    except ConfigError as error:
        demand("\n" not in str(error), "a refusal of more than one line")
        raise
    demand(len(config.site("1").points) == len(config.fuelling_point), "a fuelling point got lost")
    return True


def a_configuration(dice: Random) -> bytes:
    """The example, changed: lines dropped, doubled and exchanged, values and bytes."""
    lines = example().split(b"\n")
    for _ in range(dice.choice((0, 1, 1, 3))):
        at = dice.randrange(len(lines))
        name, sign, _ = lines[at].partition(b" = ")
        lines[at : at + 1] = dice.choice(([], [lines[at]] * 2, [name + sign + dice.choice(_WORDS)], [dice.choice(lines)]))
        if not lines:
            break
    text = b"\n".join(lines)
    return text if dice.random() < 0.5 else mutated(dice, text, _WORDS)


@cache
def _case(seed: int) -> Any:
    return json.loads(json.dumps(Dice(seed).case(), default=str))


def case(data: bytes) -> bool:
    """An answer that can be written down."""
    told = explain_case(data)
    demand(told["decision"] in ("approved", "partial", "declined"), "a decision that is none")
    json.dumps(told)
    return True


def a_case(dice: Random) -> bytes:
    """A case, changed."""
    return a_json(dice, _case(dice.randrange(CASES)))


SURFACES = (
    Surface("config", "the configuration", a_configuration, configuration, (ConfigError,)),
    Surface("explain", "cases for explain", a_case, case, (CaseError,)),
)
