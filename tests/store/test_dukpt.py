"""AES DUKPT against the published keys, against the host's own way to them, and against power cuts (firmware_notes/pins.vectors.toml)."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terminal.store.aes import encrypt_block
from terminal.store.dukpt import (
    COUNTER_MAX,
    DukptError,
    DukptState,
    KeySupply,
    Transaction,
    Usage,
    derive,
    initial_key,
    reserve,
)

VECTORS: dict[str, Any] = tomllib.loads((Path(__file__).resolve().parents[2] / "firmware_notes" / "pins.vectors.toml").read_text())
SETS = ("dukpt_128", "dukpt_256")
USAGES = {"pin": Usage.PIN_ENCRYPTION, "mac": Usage.MAC_GENERATION, "data": Usage.DATA_ENCRYPTION}


def raw(case: dict[str, Any], name: str) -> bytes:
    return bytes.fromhex(case[name])


def host_key(key: bytes, key_id: bytes, counter: int) -> bytes:
    """The host's way to a transaction's key: from the initial key down, one step for each set bit."""
    so_far = 0
    for bit in range(31, -1, -1):
        if counter >> bit & 1:
            so_far |= 1 << bit
            key = derive(key, Usage.DERIVATION, key_id[4:] + so_far.to_bytes(4, "big"))
    return key


def standing_at(key: bytes, key_id: bytes, counter: int) -> DukptState:
    """A terminal's state with this counter next, made by the host's way: the millions of steps before it are not walked."""
    lowest = counter & -counter
    registers: list[bytes | None] = [None] * 32
    for bit in range(lowest.bit_length() - 1, 32):
        at = counter >> bit << bit | 1 << bit
        if (1 << bit == lowest or not counter >> bit & 1) and at.bit_count() <= 16:
            registers[bit] = host_key(key, key_id, at)
    return DukptState(key_id, counter, tuple(registers))


def supply(state: DukptState, count: int) -> tuple[KeySupply, DukptState]:
    reservation = reserve(state, count)
    stored = DukptState.from_bytes(reservation.successor.to_bytes())
    return reservation.committed(stored), stored


def walked(state: DukptState, count: int) -> Iterator[Transaction]:
    keys, _ = supply(state, count)
    while not keys.empty:
        yield keys.take()


def loaded(case: dict[str, Any]) -> DukptState:
    return DukptState.load(raw(case, "initial_key"), raw(case, "key_id"))


@pytest.mark.parametrize("name", SETS)
def test_initial_key_and_registers(name: str) -> None:
    case = VECTORS[name]
    assert initial_key(raw(case, "base_key"), raw(case, "key_id")) == raw(case, "initial_key")
    state = loaded(case)
    assert state.counter == 1
    if "registers" in case:
        assert [key.hex().upper() for key in state.registers if key is not None] == case["registers"]
    assert raw(case, "initial_key") not in state.registers, "the initial key is not kept"
    assert case["source"]


def test_derivation_data_as_published() -> None:
    """X9.24-3: the block that is enciphered, byte by byte (here for the initial key and for the PIN key of counter 1)."""
    case = VECTORS["dukpt_128"]
    assert encrypt_block(raw(case, "base_key"), bytes.fromhex("01018001000200801234567890123456")) == raw(case, "initial_key")
    first = case["transaction"][0]
    assert encrypt_block(raw(first, "key"), bytes.fromhex("01011000000200809012345600000001")) == raw(first, "pin")


@pytest.mark.parametrize(("name", "case"), [(name, case) for name in SETS for case in VECTORS[name]["transaction"]])
def test_published_transactions(name: str, case: dict[str, Any]) -> None:
    key, key_id = raw(VECTORS[name], "initial_key"), raw(VECTORS[name], "key_id")
    keys, _ = supply(standing_at(key, key_id, case["counter"]), 1)
    transaction = keys.take()
    assert transaction.ksn == key_id + case["counter"].to_bytes(4, "big")
    assert {word: transaction.key(usage).hex().upper() for word, usage in USAGES.items() if word in case} == {
        word: case[word] for word in USAGES if word in case
    }
    if "key" in case:
        assert host_key(key, key_id, case["counter"]) == raw(case, "key")


def test_a_terminal_walks_to_the_same_keys_as_the_host() -> None:
    case = VECTORS["dukpt_128"]
    published = {entry["counter"]: entry["pin"] for entry in case["transaction"]}
    state, seen = loaded(case), 0
    for expected, transaction in enumerate(walked(state, 300), 1):
        counter = int.from_bytes(transaction.ksn[8:], "big")
        assert counter == expected
        key = host_key(raw(case, "initial_key"), state.key_id, counter)
        assert transaction.key() == derive(key, Usage.PIN_ENCRYPTION, state.key_id[4:] + transaction.ksn[8:])
        seen += published.get(counter) == transaction.key().hex().upper()
    assert seen == 5, "1, 2, 3, 7 and 8 were on the way"


def counters_near(places: list[int]) -> st.SearchStrategy[int]:
    near = st.sampled_from(places).flatmap(lambda place: st.integers(max(1, place - 300), min(COUNTER_MAX, place + 300)))
    return (near | st.integers(1, COUNTER_MAX)).filter(lambda counter: counter.bit_count() <= 16)


@settings(max_examples=60)
@given(counters_near([1, 0x10000, 0x1FFFF, 0x20000, 0xFFFE4000, 0xFFFE8000, 0xFFFF0000, 0x80000000]), st.integers(1, 40))
def test_from_any_counter_on_the_walk_skips_what_must_be_skipped(counter: int, count: int) -> None:
    case = VECTORS["dukpt_128"]
    key, key_id = raw(case, "initial_key"), raw(case, "key_id")
    state = standing_at(key, key_id, counter)
    got = list(walked(state, count))
    wanted: list[int] = []
    following = counter
    while len(wanted) < count and following <= COUNTER_MAX:
        if following.bit_count() <= 16:
            wanted.append(following)
            following += 1
        else:
            following += following & -following
    assert [int.from_bytes(transaction.ksn[8:], "big") for transaction in got] == wanted
    for transaction, at in zip(got, wanted, strict=True):
        assert transaction == Transaction(key_id + at.to_bytes(4, "big"), host_key(key, key_id, at))
    _, stored = supply(state, count)
    if not stored.used_up:
        assert stored == standing_at(key, key_id, stored.counter)


def test_the_counter_ends() -> None:
    case = VECTORS["dukpt_128"]
    state = standing_at(raw(case, "initial_key"), raw(case, "key_id"), 0xFFFF0000)
    keys, last = supply(state, 1_000)
    assert keys.take().ksn[8:] == bytes.fromhex("FFFF0000")
    assert keys.empty
    assert last.used_up
    assert DukptState.from_bytes(last.to_bytes()) == last
    with pytest.raises(DukptError, match="used up"):
        reserve(last, 1)


# --- reservation and storage ------------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 12), st.booleans()), min_size=1, max_size=12))
def test_no_counter_is_used_twice_however_the_power_fails(days: list[tuple[int, int, bool]]) -> None:
    """Each day: reserve a block, the write survives the cut or not, use some of it; the next start knows only what is on the disk."""
    disk = loaded(VECTORS["dukpt_128"]).to_bytes()
    used: list[bytes] = []
    for size, wanted, cut_before_the_write in days:
        reservation = reserve(DukptState.from_bytes(disk), size)
        if cut_before_the_write:
            with pytest.raises(DukptError, match="not committed"):
                reservation.committed(DukptState.from_bytes(disk))
            continue
        disk = reservation.successor.to_bytes()
        keys = reservation.committed(DukptState.from_bytes(disk))
        used += [keys.take().ksn for _ in range(min(size, wanted))]
        if wanted >= size:
            with pytest.raises(DukptError, match="no reserved key"):
                keys.take()
    assert used == sorted(set(used))


def test_a_state_knows_no_key_of_the_past() -> None:
    case = VECTORS["dukpt_128"]
    state = loaded(case)
    _, stored = supply(state, 20)
    past = [host_key(raw(case, "initial_key"), state.key_id, counter) for counter in range(1, 21)]
    assert [transaction.key() for transaction in walked(state, 20)] == [
        derive(key, Usage.PIN_ENCRYPTION, state.key_id[4:] + counter.to_bytes(4, "big")) for counter, key in enumerate(past, 1)
    ]
    assert not set(past) & set(stored.registers)


def test_storage_refuses_what_it_never_wrote() -> None:
    for name in SETS:
        good = supply(loaded(VECTORS[name]), 5)[1].to_bytes()
        assert DukptState.from_bytes(good).to_bytes() == good
        for length in range(len(good)):
            with pytest.raises(DukptError):
                DukptState.from_bytes(good[:length])
        head_bits = [bit for bit in range(8 * 19) if not 16 <= bit < 80]  # all but the key's id, which may be any
        for bit in head_bits:
            changed = bytearray(good)
            changed[bit // 8] ^= 1 << bit % 8
            with pytest.raises(DukptError):
                DukptState.from_bytes(bytes(changed))


def test_nothing_shows_a_key() -> None:
    state = loaded(VECTORS["dukpt_128"])
    keys, _ = supply(state, 3)
    transaction = keys.take()
    shown = f"{state!r} {keys!r} {reserve(state, 3)!r} {transaction!r}".upper()
    hidden = [key for key in state.registers if key is not None] + [transaction.key()]
    assert not any(key.hex().upper() in shown or repr(key)[2:-1].upper() in shown for key in hidden)


def test_wrong_use_is_refused() -> None:
    state = loaded(VECTORS["dukpt_128"])
    for count in (0, -1, 1_001):
        with pytest.raises(DukptError, match="1 to 1000"):
            reserve(state, count)
    with pytest.raises(DukptError, match="wrong size"):
        derive(bytes(24), Usage.PIN_ENCRYPTION, bytes(8))
    with pytest.raises(DukptError, match="wrong size"):
        derive(bytes(16), Usage.PIN_ENCRYPTION, bytes(7))
    with pytest.raises(DukptError, match="8 bytes"):
        DukptState.load(bytes(16), bytes(7))
    with pytest.raises(DukptError, match="not a working key"):
        supply(state, 1)[0].take().key(Usage.DERIVATION)
