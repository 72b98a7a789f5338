"""Refusal codes: six characters, one for each refusal, and forgiving towards whoever types them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.core.refusal_code import ALPHABET, BITS, LENGTH, BadCode, read_code, refusal_code

numbers = st.integers(0, 2**BITS - 1)


@given(st.sampled_from(["OPT1", "OPT2", "T"]), numbers, numbers)
def test_no_two_refusals_of_a_terminal_share_a_code(terminal: str, one: int, other: int) -> None:
    assert (refusal_code(terminal, one) == refusal_code(terminal, other)) is (one == other)


def test_the_first_hundred_thousand_are_all_different_and_none_follows_from_the_last() -> None:
    codes = [refusal_code("OPT1", number) for number in range(100_000)]
    assert len(set(codes)) == len(codes)
    steps = {(int(_plain(b), 32) - int(_plain(a), 32)) % 2**BITS for a, b in pairwise(codes)}
    assert len(steps) > 10_000, "a step that repeats would tell the next code"
    firsts = [sum(code[0] == letter for code in codes) for letter in ALPHABET]
    assert min(firsts) > len(codes) // len(ALPHABET) // 2


def _plain(code: str) -> str:
    """Crockford's digits as those that ``int`` reads."""
    return code.translate(str.maketrans(ALPHABET, "0123456789abcdefghijklmnopqrstuv"))


def test_terminals_do_not_count_alike() -> None:
    assert [refusal_code("OPT1", n) for n in range(20)] != [refusal_code("OPT2", n) for n in range(20)]


@given(numbers)
def test_what_is_read_from_a_display_and_typed_is_the_code(number: int) -> None:
    code = refusal_code("OPT1", number)
    assert len(code) == LENGTH
    assert set(code) <= set(ALPHABET)
    assert read_code(f" {code.lower()} ") == code
    assert read_code(code.replace("0", "O").replace("1", "I")) == code
    assert read_code(code.replace("0", "o").replace("1", "l")) == code


@pytest.mark.parametrize("text", ["", "X7K2Q", "X7K2QDD", "X7K2QU", "X7-2QD", "X7K2Q\u00b2", "'; DROP"])
def test_what_is_no_code_is_refused(text: str) -> None:
    with pytest.raises(BadCode, match="six|6 characters"):
        read_code(text)
