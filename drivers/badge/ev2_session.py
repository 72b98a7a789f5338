"""Commands under the session keys of an EV2 authentication: in the clear, with MACs, or enciphered with MACs. Sans-IO.

Sources: NXP NT4H2421Gx rev. 3.0 section 9.1 (secure messaging), AN12196 rev. 2.0 section 4 and tables 7, 17, 18, 21, 24, 28.

    command MAC    INS ‖ CmdCtr ‖ TI ‖ header ‖ data          answer MAC    status ‖ CmdCtr+1 ‖ TI ‖ data
    command IV     E(A5 5A ‖ TI ‖ CmdCtr ‖ 0…)                 answer IV     E(5A A5 ‖ TI ‖ CmdCtr+1 ‖ 0…)

CmdCtr (low byte first) counts commands of every mode, PLAIN too, so a lost or repeated frame shows at the next MAC. An answer in mode
PLAIN proves nothing, not even inside a session: what counts as proof is read in MAC or FULL.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from drivers.badge.aes import BLOCK, cbc_decrypt, cbc_encrypt, encrypt_block, pad, same, short_mac, unpad
from drivers.badge.apdu import STATUS_OK, EV2Error, Ev2Step, Frames, status_words, wrap
from drivers.smartcard.apdu import Done, Send, Step

MAC_BYTES = 8
_IV_COMMAND = b"\xa5\x5a"
_IV_ANSWER = b"\x5a\xa5"
_COUNTER_MAX = 0xFFFF


class CommMode(Enum):
    """How a file or command is protected on the air."""

    PLAIN = "plain"
    MAC = "mac"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class NativeCommand:
    """INS, header (never enciphered) and data of one native command; ``answer_size`` is how many bytes must come back, None for any."""

    ins: int
    header: bytes = b""
    data: bytes = field(default=b"", repr=False)
    answer_size: int | None = None


class _State(Enum):
    READY = auto()
    ASKED = auto()
    ENDED = auto()


class Ev2Session:
    """One open transaction with a badge: ``start`` a command, hand each answer to ``receive`` until it is ``Done``.

    ``Done.data`` is checked and deciphered. Any fault ends the session, on the badge as in here, and raises ``EV2Error``.
    """

    def __init__(self, enc: bytes, mac: bytes, transaction: bytes, counter: int = 0) -> None:
        """``enc`` and ``mac`` are the session keys, ``transaction`` is TI (4 bytes), ``counter`` CmdCtr."""
        if len(transaction) != 4:
            raise ValueError("a transaction identifier has 4 bytes")
        self._enc = enc
        self._mac = mac
        self._transaction = transaction
        self._counter = counter
        self._state = _State.READY
        self._command = NativeCommand(0)
        self._mode = CommMode.PLAIN
        self._frames = Frames(Ev2Step.ANSWER)

    @property
    def counter(self) -> int:
        """CmdCtr: commands answered so far in this transaction."""
        return self._counter

    @property
    def transaction(self) -> bytes:
        """TI: what the badge calls this transaction."""
        return self._transaction

    def succeeded_by(self, enc: bytes, mac: bytes) -> Ev2Session:
        """The session under new keys in the same transaction (AuthenticateEV2NonFirst). This one ends."""
        if self._state is not _State.READY:
            raise EV2Error(Ev2Step.COMMAND, "the session is over")
        self._state = _State.ENDED
        return Ev2Session(enc, mac, self._transaction, self._counter)

    def start(self, command: NativeCommand, mode: CommMode) -> Send:
        """The APDU of this command in this mode."""
        if self._state is not _State.READY:
            raise EV2Error(Ev2Step.COMMAND, "out of turn" if self._state is _State.ASKED else "the session is over")
        if self._counter >= _COUNTER_MAX:
            raise EV2Error(Ev2Step.COMMAND, "the session is used up")
        data = command.data
        if mode is CommMode.FULL and data:
            data = cbc_encrypt(self._enc, self._iv(_IV_COMMAND), pad(data))
        text = command.header + data
        mac = b"" if mode is CommMode.PLAIN else short_mac(self._mac, bytes((command.ins,)) + self._place() + text)
        apdu = wrap(command.ins, text + mac)
        self._command, self._mode, self._frames = command, mode, Frames(Ev2Step.ANSWER)
        self._state = _State.ASKED
        return Send(apdu)

    def receive(self, answer: bytes) -> Step:
        """``Send`` for the next frame, or ``Done`` with what the badge said."""
        state, self._state = self._state, _State.ENDED
        if state is not _State.ASKED:
            raise EV2Error(Ev2Step.ANSWER, "out of turn")
        step = self._frames.receive(answer)
        if isinstance(step, Send):
            self._state = _State.ASKED
            return step
        if step.status != STATUS_OK:
            raise EV2Error(Ev2Step.ANSWER, status_words(step.status))
        self._counter += 1
        data = self._opened(step.data)
        if self._command.answer_size is not None and len(data) != self._command.answer_size:
            raise EV2Error(Ev2Step.ANSWER, "wrong length of the answer")
        self._state = _State.READY
        return Done(data, STATUS_OK)

    def _opened(self, data: bytes) -> bytes:
        if self._mode is CommMode.PLAIN:
            return data
        if len(data) < MAC_BYTES:
            raise EV2Error(Ev2Step.ANSWER, "no MAC")
        data, mac = data[:-MAC_BYTES], data[-MAC_BYTES:]
        if not same(mac, short_mac(self._mac, bytes((STATUS_OK,)) + self._place() + data)):
            raise EV2Error(Ev2Step.ANSWER, "wrong MAC")
        if self._mode is CommMode.MAC or not data:
            return data
        if len(data) % BLOCK:
            raise EV2Error(Ev2Step.ANSWER, "wrong length of the answer")
        text = unpad(cbc_decrypt(self._enc, self._iv(_IV_ANSWER), data))
        if text is None:
            raise EV2Error(Ev2Step.ANSWER, "wrong padding")
        return text

    def _place(self) -> bytes:
        """CmdCtr and TI, as each MAC and IV holds them."""
        return self._counter.to_bytes(2, "little") + self._transaction

    def _iv(self, kind: bytes) -> bytes:
        return encrypt_block(self._enc, kind + self._transaction + self._counter.to_bytes(2, "little") + bytes(8))
