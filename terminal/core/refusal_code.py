"""Six characters for the display that lead from a refused driver to the exact decision: ``X7K2QD``.

A code is the terminal's counter of refusals behind a bijection of thirty bits, so no two refusals of a terminal share one (before a
billion of them), and the next one cannot be told from the last. It is a name, not a secret. Digits and letters are those of Crockford's
base 32, which leaves out I, L, O and U; whoever types O, I or L means 0 and 1. (features.md F66.)
"""

from __future__ import annotations

import hashlib

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 6
BITS = 5 * LENGTH
_MASK = (1 << BITS) - 1
_MEANT = str.maketrans({"O": "0", "I": "1", "L": "1"})


class BadCode(ValueError):
    """Not six characters of a refusal code."""


def refusal_code(terminal: str, number: int) -> str:
    """The code of a terminal's ``number``-th refusal."""
    value = _mixed(terminal, number & _MASK)
    return "".join(ALPHABET[value >> shift & 31] for shift in range(BITS - 5, -1, -5))


def read_code(text: str) -> str:
    """A code as it was typed, in the form in which it is stored. Raises ``BadCode``."""
    code = text.strip().upper().translate(_MEANT)
    if len(code) != LENGTH or any(letter not in ALPHABET for letter in code):
        raise BadCode(f"a refusal code has {LENGTH} characters, digits and letters without I, L, O and U, as X7K2QD")
    return code


def _mixed(terminal: str, value: int) -> int:
    """Each step can be undone: adding and multiplying by an odd number modulo 2^30, and folding the upper half into the lower."""
    seed = int.from_bytes(hashlib.sha256(terminal.encode()).digest()[:12], "big")
    for round_ in range(3):
        value = (value * ((seed >> 30 * round_ & _MASK) | 1) + (seed >> (15 + 8 * round_))) & _MASK
        value ^= value >> 15
        value = value * 0x2C1B3C6D & _MASK
        value ^= value >> 13
    return value
