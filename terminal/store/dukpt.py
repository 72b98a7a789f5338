"""AES DUKPT: another PIN key for every transaction, from keys that cannot be turned back. Pure: states are values.

Source: ANSI X9.24-3:2017 (AES DUKPT: derivation data, the terminal's registers), as checked in reference/security-and-reliability.md 1.1
and 2.4.

The terminal holds 32 derivation keys, one for each bit of the 32-bit transaction counter, and no key of the past: whoever takes the
state cannot open a PIN enciphered before. Counters with more than 16 set bits are skipped, as the host expects.

No counter may ever be used twice, also not after a power cut. So a block of counters is reserved first: ``reserve`` gives the state
behind the block, that state is written down for good, and only when it was (``committed``) do the block's keys come out. What a cut
leaves of a block is lost, never reused. A state holds keys: it belongs into the sealed file and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from terminal.store.aes import BLOCK, encrypt_block

REGISTERS = 32
SET_BITS_MAX = 16
"""Most set bits of a counter that is used."""

COUNTER_MAX = 0xFFFFFFFF
KEY_ID_BYTES = 8
KEY_SIZES = (16, 32)
RESERVE_MAX = 1_000

_VERSION = 0x01
_LAYOUT = 0x01
_ALGORITHM = {16: 0x0002, 32: 0x0004}


class DukptError(Exception):
    """No key can be had. The text is a phrase and carries nothing of a key."""


class Usage(Enum):
    """What a derived key is for (X9.24-3); the number goes into its derivation, so that no key serves two ends."""

    DERIVATION = 0x8000
    INITIAL_KEY = 0x8001
    PIN_ENCRYPTION = 0x1000
    MAC_GENERATION = 0x2000
    MAC_VERIFICATION = 0x2001
    DATA_ENCRYPTION = 0x3000
    DATA_DECRYPTION = 0x3001


def derive(key: bytes, usage: Usage, context: bytes) -> bytes:
    """A key as long as ``key`` for ``usage`` (X9.24-3). ``context``: the initial key's id (8 bytes), or its last half and the counter."""
    if len(key) not in KEY_SIZES or len(context) != 8:
        raise DukptError("wrong size of a key or its context")
    size = len(key)
    head = usage.value.to_bytes(2, "big") + _ALGORITHM[size].to_bytes(2, "big") + (8 * size).to_bytes(2, "big")
    return b"".join(encrypt_block(key, bytes((_VERSION, part)) + head + context) for part in range(1, size // BLOCK + 1))


def initial_key(base_key: bytes, key_id: bytes) -> bytes:
    """A terminal's initial key from the host's base key: the host's half, for its loading tool. No terminal ever holds a base key."""
    return derive(base_key, Usage.INITIAL_KEY, key_id)


@dataclass(frozen=True, slots=True)
class DukptState:
    """What a terminal keeps: the initial key's id, the next counter, and a key for each bit that is still needed."""

    key_id: bytes
    counter: int
    registers: tuple[bytes | None, ...] = field(repr=False)

    @classmethod
    def load(cls, key: bytes, key_id: bytes) -> DukptState:
        """The state right after the initial key ``key`` was brought in; the key itself is not kept. Raises ``DukptError``."""
        if len(key_id) != KEY_ID_BYTES:
            raise DukptError("an initial key's id has 8 bytes")
        return cls(bytes(key_id), 1, tuple(derive(key, Usage.DERIVATION, _context(key_id, 1 << bit)) for bit in range(REGISTERS)))

    @property
    def used_up(self) -> bool:
        """True when no counter is left: the terminal needs a new initial key."""
        return self.counter > COUNTER_MAX

    def to_bytes(self) -> bytes:
        """For the sealed file; it holds keys."""
        present = sum(1 << bit for bit, key in enumerate(self.registers) if key is not None)
        size = next((len(key) for key in self.registers if key is not None), KEY_SIZES[0])
        head = bytes((_LAYOUT, size)) + self.key_id + self.counter.to_bytes(5, "big") + present.to_bytes(4, "big")
        return head + b"".join(key for key in self.registers if key is not None)

    @classmethod
    def from_bytes(cls, data: bytes) -> DukptState:
        """The reverse of ``to_bytes``. Raises ``DukptError`` for anything that it never wrote."""
        if len(data) < 19 or data[0] != _LAYOUT or data[1] not in KEY_SIZES:
            raise DukptError("no state of this terminal's keys")
        size, counter, present = data[1], int.from_bytes(data[10:15], "big"), int.from_bytes(data[15:19], "big")
        if len(data) != 19 + size * present.bit_count() or counter != _usable(counter) or present != _needed(counter):
            raise DukptError("no state of this terminal's keys")
        keys = iter(data[at : at + size] for at in range(19, len(data), size))
        return cls(bytes(data[2:10]), counter, tuple(next(keys) if present >> bit & 1 else None for bit in range(REGISTERS)))


@dataclass(frozen=True, slots=True)
class Transaction:
    """One counter's keys. ``ksn`` (12 bytes) goes with the block to the host, which finds the same keys by it."""

    ksn: bytes
    _key: bytes = field(repr=False)

    def key(self, usage: Usage = Usage.PIN_ENCRYPTION) -> bytes:
        """The working key for ``usage``, as long as the initial key. Raises ``DukptError`` for a usage that is no work."""
        if usage in (Usage.DERIVATION, Usage.INITIAL_KEY):
            raise DukptError("not a working key")
        return derive(self._key, usage, self.ksn[4:])


class KeySupply:
    """The transactions of one committed block, each once."""

    def __init__(self, state: DukptState, end: DukptState) -> None:
        self._state = state
        self._end = end

    def __repr__(self) -> str:
        return f"KeySupply(next counter {self._state.counter}, up to {self._end.counter})"

    @property
    def empty(self) -> bool:
        """True when the next block must be reserved."""
        return self._state.counter >= self._end.counter

    def take(self) -> Transaction:
        """The next transaction; its derivation key is forgotten here. Raises ``DukptError`` when the block is empty."""
        if self.empty:
            raise DukptError("no reserved key is left")
        transaction, self._state = _step(self._state)
        return transaction


@dataclass(frozen=True, slots=True)
class Reservation:
    """A block of counters asked for. ``successor`` must be written down for good before any of them is used."""

    successor: DukptState
    _start: DukptState = field(repr=False)

    def committed(self, stored: DukptState) -> KeySupply:
        """The block's keys, against the state that was read back from where it was written. Raises ``DukptError`` when it is another."""
        if stored != self.successor:
            raise DukptError("the reservation was not committed")
        return KeySupply(self._start, self.successor)


def reserve(state: DukptState, count: int) -> Reservation:
    """Reserve the next ``count`` transactions (1 to 1000), fewer when the counter ends before. Raises ``DukptError`` when none is left."""
    if not 1 <= count <= RESERVE_MAX:
        raise DukptError("a reservation has 1 to 1000 transactions")
    if state.used_up:
        raise DukptError("the terminal's key is used up")
    after = state
    for _ in range(count):
        if after.used_up:
            break
        _, after = _step(after)
    return Reservation(after, state)


def _step(state: DukptState) -> tuple[Transaction, DukptState]:
    """The transaction of the state's counter, and the state behind it, which no longer holds that transaction's key."""
    counter = state.counter
    bit = (counter & -counter).bit_length() - 1
    key = state.registers[bit]
    if key is None:
        raise DukptError("no state of this terminal's keys")
    following = _usable(counter + 1)
    registers = list(state.registers)
    registers[bit] = None
    if counter.bit_count() < SET_BITS_MAX:
        for lower in range(bit):
            registers[lower] = derive(key, Usage.DERIVATION, _context(state.key_id, counter | 1 << lower))
    return Transaction(state.key_id + counter.to_bytes(4, "big"), key), DukptState(state.key_id, following, tuple(registers))


def _usable(counter: int) -> int:
    """The first counter from here on with at most 16 set bits (and at least one)."""
    counter = max(counter, 1)
    while counter.bit_count() > SET_BITS_MAX:
        counter += counter & -counter
    return counter


def _needed(counter: int) -> int:
    """Which registers hold a key when ``counter`` is next: that of its lowest set bit, and above it those of counters still to come."""
    if counter > COUNTER_MAX:
        return 0
    lowest = counter & -counter
    needed = lowest
    for bit in range(lowest.bit_length(), REGISTERS):
        later = counter >> bit << bit | 1 << bit
        if not counter >> bit & 1 and later.bit_count() <= SET_BITS_MAX:
            needed |= 1 << bit
    return needed


def _context(key_id: bytes, counter: int) -> bytes:
    """The context of every derivation but the first: the id's last four bytes and the counter."""
    return key_id[4:] + counter.to_bytes(4, "big")
