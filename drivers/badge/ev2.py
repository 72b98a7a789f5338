"""EV2 mutual authentication: badge and terminal prove to each other that both hold the key, and agree on two session keys. Sans-IO.

DESFire EV2 and EV3, DESFire Light and NTAG 424 DNA speak it alike (71 First, 77 NonFirst). Sources: NXP NT4H2421Gx rev. 3.0 section 9.1,
AN12196 rev. 2.0 tables 14, 19 and 23; reference/security-and-reliability.md 2.3 and 2.4. What follows under the session keys is in
``drivers.badge.ev2_session``. The 16 random bytes come from the caller, so that nothing in here draws luck.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from drivers.badge.aes import BLOCK, ZERO_BLOCK, cbc_decrypt, cbc_encrypt, cmac, same
from drivers.badge.apdu import ADDITIONAL_FRAME, STATUS_MORE, STATUS_OK, EV2Error, Ev2Step, expect, wrap
from drivers.badge.ev2_session import Ev2Session
from drivers.smartcard.apdu import Send

AUTHENTICATE_FIRST = 0x71
AUTHENTICATE_NON_FIRST = 0x77

KEY_BYTES = 16
KEY_NUMBER_MAX = 0x3F
"""Key numbers of an application: 0 to 13, with bit 6 never set; the badge refuses what it does not have."""

_TRANSACTION_BYTES = 4
_CAPABILITY_BYTES = 6
_NO_CAPABILITIES = 0
_SV_ENC = bytes.fromhex("A55A00010080")
_SV_MAC = bytes.fromhex("5AA500010080")


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """SesAuthENC and SesAuthMAC. Neither is ever shown."""

    enc: bytes = field(repr=False)
    mac: bytes = field(repr=False)


def session_keys(key: bytes, rnd_a: bytes, rnd_b: bytes) -> SessionKeys:
    """Both session keys from the badge's key and the two random numbers (AN12196 table 14, steps 23 to 28)."""
    mixed = bytes(a ^ b for a, b in zip(rnd_a[2:8], rnd_b[:6], strict=True))
    shared = rnd_a[:2] + mixed + rnd_b[6:] + rnd_a[8:]
    return SessionKeys(cmac(key, _SV_ENC + shared), cmac(key, _SV_MAC + shared))


class _State(Enum):
    NEW = auto()
    CHALLENGE_ASKED = auto()
    PROOF_ASKED = auto()
    OVER = auto()


class Ev2Authentication:
    """One attempt: ``start`` → answer → ``challenge`` → answer → ``finish``. Any fault ends it; a second attempt is a new object.

    Without ``within`` it is AuthenticateEV2First, which opens a transaction. With a session in ``within`` it is AuthenticateEV2NonFirst:
    another key in the same transaction, whose identifier and command counter go on; that older session is of no use afterwards.
    Raises ``ValueError`` for a key or random number of the wrong size, ``EV2Error`` for everything that a badge does wrong.
    """

    def __init__(self, key: bytes, key_number: int, rnd_a: bytes, within: Ev2Session | None = None) -> None:
        if len(key) != KEY_BYTES or len(rnd_a) != BLOCK:
            raise ValueError("an EV2 key and its random number have 16 bytes each")
        if not 0 <= key_number <= KEY_NUMBER_MAX:
            raise ValueError("no key number")
        self._key = bytes(key)
        self._key_number = key_number
        self._rnd_a = bytes(rnd_a)
        self._rnd_b = b""
        self._within = within
        self._state = _State.NEW

    def start(self) -> Send:
        """Ask for the badge's challenge."""
        self._pass(_State.NEW, Ev2Step.COMMAND)
        self._state = _State.CHALLENGE_ASKED
        if self._within is None:
            return Send(wrap(AUTHENTICATE_FIRST, bytes((self._key_number, _NO_CAPABILITIES))))
        return Send(wrap(AUTHENTICATE_NON_FIRST, bytes((self._key_number,))))

    def challenge(self, answer: bytes) -> Send:
        """Answer the badge's challenge, and challenge it."""
        self._pass(_State.CHALLENGE_ASKED, Ev2Step.CHALLENGE)
        secret = expect(answer, STATUS_MORE, BLOCK, Ev2Step.CHALLENGE)
        self._rnd_b = cbc_decrypt(self._key, ZERO_BLOCK, secret)
        proof = cbc_encrypt(self._key, ZERO_BLOCK, self._rnd_a + _turned(self._rnd_b))
        self._state = _State.PROOF_ASKED
        return Send(wrap(ADDITIONAL_FRAME, proof))

    def finish(self, answer: bytes) -> Ev2Session:
        """Check the badge's proof; from here on the badge is known to hold the key."""
        self._pass(_State.PROOF_ASKED, Ev2Step.PROOF)
        size = BLOCK if self._within else _TRANSACTION_BYTES + BLOCK + 2 * _CAPABILITY_BYTES
        text = cbc_decrypt(self._key, ZERO_BLOCK, expect(answer, STATUS_OK, size, Ev2Step.PROOF))
        # What the badge says of its capabilities behind the proof is not used; a changed bit there garbles the proof in the same block.
        at = 0 if self._within else _TRANSACTION_BYTES
        if not same(text[at : at + BLOCK], _turned(self._rnd_a)):
            raise EV2Error(Ev2Step.PROOF, "the badge does not hold the key")
        keys = session_keys(self._key, self._rnd_a, self._rnd_b)
        if self._within is None:
            return Ev2Session(keys.enc, keys.mac, text[:at])
        return self._within.succeeded_by(keys.enc, keys.mac)

    def _pass(self, wanted: _State, step: Ev2Step) -> None:
        """Every call leaves the attempt over unless it comes to its end."""
        state, self._state = self._state, _State.OVER
        if state is not wanted:
            raise EV2Error(step, "out of turn")


def _turned(block: bytes) -> bytes:
    return block[1:] + block[:1]
