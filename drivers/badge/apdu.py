"""Native badge commands inside ISO 7816 APDUs: 90 INS 00 00 [Lc data] 00, answered by data and 91 xx, more frames fetched with AF. Sans-IO.

Sources: NXP NT4H2421Gx (NTAG 424 DNA) rev. 3.0 sections 8 and 10, AN12196 rev. 2.0 (tables 7, 14, 22); the same wrapping on DESFire EV1 to
EV3. Everything that a badge says here is unproven; proof is ``drivers.badge.ev2``.
"""

from __future__ import annotations

from enum import Enum

from drivers.smartcard.apdu import ApduError, Command, Done, Send, Step, parse_response

FRAMES_MAX = 40
"""Most frames of one answer: a badge that goes on is no badge of ours."""

NDEF_APPLICATION = bytes.fromhex("D2760000850101")
"""DF name of the NFC Forum Type 4 application, the only one of an NTAG 424 (AN12196 table 22)."""

ADDITIONAL_FRAME = 0xAF
SELECT_APPLICATION = 0x5A
_NATIVE = 0x90
_NATIVE_STATUS = 0x91

STATUS_OK = 0x00
STATUS_MORE = 0xAF

DELAYED = "authentication delayed"
"""A badge that was tried with wrong keys makes everybody wait: it says nothing about what it is."""

_STATUS_WORDS = {
    0x1C: "illegal command",
    0x1E: "the badge found a MAC or padding wrong",
    0x40: "no such key",
    0x7E: "wrong length",
    0x9D: "permission denied",
    0x9E: "parameter refused",
    0xA0: "no such application",
    0xAD: DELAYED,
    0xAE: "authentication refused",
    0xBE: "beyond the end of the file",
    0xCA: "command aborted",
    0xEE: "the badge's memory failed",
    0xF0: "no such file",
}


class Ev2Step(Enum):
    """Where a conversation with a badge broke off."""

    SELECT = "select"
    CHALLENGE = "challenge"
    PROOF = "proof"
    COMMAND = "command"
    ANSWER = "answer"
    CONTENT = "content"


class EV2Error(Exception):
    """A badge did not answer exactly as it must. Names the step and a reason from a closed set, never a key, a text or a badge's bytes."""

    def __init__(self, step: Ev2Step, why: str) -> None:
        super().__init__(f"{step.value}: {why}")
        self.step = step
        self.why = why


def status_words(status: int) -> str:
    """A badge's status code in words."""
    return _STATUS_WORDS.get(status, f"status {status:02X}")


def wrap(ins: int, data: bytes = b"") -> bytes:
    """The APDU of one native command. Raises ``EV2Error`` when it does not fit."""
    try:
        return Command(_NATIVE, ins, 0x00, 0x00, data, 0x100).encode()
    except ApduError as error:
        raise EV2Error(Ev2Step.COMMAND, "does not fit into one frame") from error


def unwrap(answer: bytes, step: Ev2Step) -> tuple[int, bytes]:
    """Status code and data of an answer to a native command. Raises ``EV2Error`` for anything that is none."""
    try:
        response = parse_response(answer)
    except ApduError as error:
        raise EV2Error(step, str(error)) from error
    if response.sw1 != _NATIVE_STATUS:
        raise EV2Error(step, "no answer to a native command")
    return response.sw2, response.data


def expect(answer: bytes, status: int, size: int, step: Ev2Step) -> bytes:
    """Data of an answer that must have this status and this many bytes. Raises ``EV2Error``."""
    got, data = unwrap(answer, step)
    if got != status:
        raise EV2Error(step, status_words(got))
    if len(data) != size:
        raise EV2Error(step, "wrong length of the answer")
    return data


class Frames:
    """Collects the frames of one answer: what came so far, and AF for the next one."""

    def __init__(self, step: Ev2Step) -> None:
        self._step = step
        self._data = bytearray()
        self._frames = 0

    def receive(self, answer: bytes) -> Step:
        """``Send`` for the next frame or ``Done`` with all data and the last status code. Raises ``EV2Error``."""
        status, data = unwrap(answer, self._step)
        self._data += data
        self._frames += 1
        if status != STATUS_MORE:
            return Done(bytes(self._data), status)
        if self._frames >= FRAMES_MAX:
            raise EV2Error(self._step, "an answer without an end")
        return Send(wrap(ADDITIONAL_FRAME))


class PlainExchange:
    """One native command outside any session, up to its last frame. ``Done.status`` is always ``STATUS_OK``; others raise ``EV2Error``."""

    def __init__(self, ins: int, data: bytes = b"") -> None:
        self._first = Send(wrap(ins, data))
        self._frames = Frames(Ev2Step.ANSWER)

    def start(self) -> Send:
        """The command."""
        return self._first

    def receive(self, answer: bytes) -> Step:
        """The next thing to do after this answer."""
        step = self._frames.receive(answer)
        if isinstance(step, Done) and step.status != STATUS_OK:
            raise EV2Error(Ev2Step.ANSWER, status_words(step.status))
        return step


def select_name(name: bytes) -> Send:
    """ISO SELECT of an application by its DF name, no answer data wanted (P2 = 0C), as AN12196 table 22. Raises ``EV2Error``."""
    if not 1 <= len(name) <= 16:
        raise EV2Error(Ev2Step.SELECT, "a DF name has 1 to 16 bytes")
    return Send(Command(0x00, 0xA4, 0x04, 0x0C, bytes(name), 0x100).encode())


def selected_name(answer: bytes) -> None:
    """Check the answer to ``select_name``. Raises ``EV2Error``."""
    try:
        response = parse_response(answer)
    except ApduError as error:
        raise EV2Error(Ev2Step.SELECT, str(error)) from error
    if response.status != 0x9000:
        raise EV2Error(Ev2Step.SELECT, "no such application" if response.status == 0x6A82 else f"status {response.status:04X}")
    if response.data:
        raise EV2Error(Ev2Step.SELECT, "wrong length of the answer")


def select_application(aid: bytes) -> Send:
    """Native SELECT of a DESFire application by its three bytes, as they stand on the badge (low byte first). Raises ``EV2Error``."""
    if len(aid) != 3:
        raise EV2Error(Ev2Step.SELECT, "an AID has 3 bytes")
    return Send(wrap(SELECT_APPLICATION, aid))


def selected_application(answer: bytes) -> None:
    """Check the answer to ``select_application``. Raises ``EV2Error``."""
    expect(answer, STATUS_OK, 0, Ev2Step.SELECT)
