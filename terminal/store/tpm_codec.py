"""The few commands of a TPM 2.0 that a terminal needs, as bytes: sans-IO, so that it can be read beside the specification.

A key for HMAC that the TPM makes from its own seed and never gives away, an HMAC by it, and a counter in its memory that only goes up.
Source: TCG, Trusted Platform Module Library 2.0, part 2 (structures), part 3 (commands TPM2_CreatePrimary, TPM2_HMAC, TPM2_FlushContext,
TPM2_NV_DefineSpace, TPM2_NV_Increment, TPM2_NV_Read); reference security-and-reliability 1.3. Answers come from a chip on a bus that can
be tapped: everything that is out of shape raises ``TpmError``, which carries no data.
"""

from __future__ import annotations

import struct
from typing import Final

HEADER_BYTES: Final = 10
ANSWER_MAX: Final = 4_096
COUNTER_INDEX: Final = 0x0183_4645
"""Of the range that the TCG leaves to a platform's owner."""

HMAC_BYTES: Final = 32
BUSY: Final = frozenset({0x908, 0x90A, 0x920, 0x922})
"""TPM_RC_YIELDED, TESTING, NV_RATE and RETRY: the same command may be sent again after a while."""
UNDEFINED: Final = 0x18B
"""TPM_RC_HANDLE for the first handle: there is no such index."""
UNWRITTEN: Final = 0x14A
"""TPM_RC_NV_UNINITIALIZED: a counter that was never counted up."""

_NO_SESSIONS, _SESSIONS = 0x8001, 0x8002
_OWNER, _PASSWORD = 0x4000_0001, 0x4000_0009
_CREATE_PRIMARY, _HMAC, _FLUSH = 0x131, 0x155, 0x165
_NV_DEFINE, _NV_INCREMENT, _NV_READ = 0x12A, 0x134, 0x14E
_KEYEDHASH, _SHA256, _SCHEME_HMAC = 0x0008, 0x000B, 0x0005
# fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, noDA, sign: made by the TPM, bound to it, for signatures alone.
_KEY_ATTRIBUTES = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 10 | 1 << 18
# OWNERWRITE, AUTHWRITE, type counter, OWNERREAD, AUTHREAD, NO_DA.
_COUNTER_ATTRIBUTES = 1 << 1 | 1 << 2 | 1 << 4 | 1 << 17 | 1 << 18 | 1 << 25
_COUNTER_BYTES = 8


class TpmError(Exception):
    """The TPM refuses or does not answer as it should. ``code``: its own answer, 0 where there was none."""

    def __init__(self, why: str, code: int = 0) -> None:
        super().__init__(f"the TPM {why}" + (f" ({code:#x})" if code else ""))
        self.code = code


def create_key(label: bytes) -> bytes:
    """Make the HMAC key of this label (32 bytes) from the owner's seed: the same one every time, in the same TPM alone."""
    public = struct.pack(">HHI", _KEYEDHASH, _SHA256, _KEY_ATTRIBUTES) + _sized(b"")
    public += struct.pack(">HH", _SCHEME_HMAC, _SHA256) + _sized(label)
    return _authorized(_CREATE_PRIMARY, (_OWNER,), _sized(_sized(b"") + _sized(b"")) + _sized(public) + _sized(b"") + bytes(4))


def hmac(key: int, message: bytes) -> bytes:
    """HMAC-SHA256 of the message by a key's handle."""
    return _authorized(_HMAC, (key,), _sized(message) + struct.pack(">H", _SHA256))


def flush(handle: int) -> bytes:
    """Forget a key's handle: there is room for few."""
    return _command(_NO_SESSIONS, _FLUSH, struct.pack(">I", handle))


def define_counter(index: int) -> bytes:
    """Make the counter. A TPM begins a new one above every counter that it ever had."""
    public = struct.pack(">IHI", index, _SHA256, _COUNTER_ATTRIBUTES) + _sized(b"") + struct.pack(">H", _COUNTER_BYTES)
    return _authorized(_NV_DEFINE, (_OWNER,), _sized(b"") + _sized(public))


def increment(index: int) -> bytes:
    """Count up by one."""
    return _authorized(_NV_INCREMENT, (index, index), b"")


def read_counter(index: int) -> bytes:
    """Read the counter."""
    return _authorized(_NV_READ, (index, index), struct.pack(">HH", _COUNTER_BYTES, 0))


# --- answers --------------------------------------------------------------------------------------------------------------


def answer_size(header: bytes) -> int:
    """Bytes of the whole answer by its first ten. Raises ``TpmError``."""
    size = int(struct.unpack(">HII", header[:HEADER_BYTES])[1]) if len(header) >= HEADER_BYTES else 0
    if not HEADER_BYTES <= size <= ANSWER_MAX:
        raise TpmError("answers out of shape")
    return size


def checked(answer: bytes) -> bytes:
    """What follows the header of an answer that says yes. Raises ``TpmError`` with the TPM's code for every other."""
    if answer_size(answer) != len(answer):
        raise TpmError("answers out of shape")
    tag, _, code = struct.unpack(">HII", answer[:HEADER_BYTES])
    if code:
        raise TpmError("refuses", code)
    if tag not in (_NO_SESSIONS, _SESSIONS):
        raise TpmError("answers out of shape")
    return answer[HEADER_BYTES:]


def handle_of(body: bytes) -> int:
    """The handle at the beginning of an answer. Raises ``TpmError``."""
    if len(body) < 4:
        raise TpmError("answers out of shape")
    return int.from_bytes(body[:4], "big")


def hmac_of(body: bytes) -> bytes:
    """The 32 bytes of an HMAC. Raises ``TpmError``."""
    return _value_of(body, HMAC_BYTES)


def counter_of(body: bytes) -> int:
    """The value of a counter. Raises ``TpmError``."""
    return int.from_bytes(_value_of(body, _COUNTER_BYTES), "big")


def _value_of(body: bytes, size: int) -> bytes:
    """The one sized value of an answer: size of the parameters, size of the value, value."""
    if len(body) < 6 + size or struct.unpack(">IH", body[:6]) != (2 + size, size):
        raise TpmError("answers out of shape")
    return body[6 : 6 + size]


# --- commands -------------------------------------------------------------------------------------------------------------


def _sized(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


def _command(tag: int, code: int, body: bytes) -> bytes:
    return struct.pack(">HII", tag, HEADER_BYTES + len(body), code) + body


def _authorized(code: int, handles: tuple[int, ...], parameters: bytes) -> bytes:
    """With the empty password: whoever reaches the device may use key and counter, and nobody may take them away."""
    session = struct.pack(">IHBH", _PASSWORD, 0, 0, 0)
    named = b"".join(struct.pack(">I", handle) for handle in handles)
    return _command(_SESSIONS, code, named + struct.pack(">I", len(session)) + session + parameters)
