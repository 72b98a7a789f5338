"""The whole proof of a badge of trust T2, from its selection to the number in its file. Sans-IO.

Source: reference/security-and-reliability.md 2.3: authenticate with the key diversified by the badge's UID, ask for the true UID inside the
session, read the identifier in mode MAC or FULL. The UID of the anticollision alone is never believed: a badge that only copies it does not
hold the key made from it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from drivers.badge.aes import same
from drivers.badge.apdu import NDEF_APPLICATION, EV2Error, Ev2Step, select_application, select_name, selected_application, selected_name
from drivers.badge.ev2 import Ev2Authentication
from drivers.badge.ev2_commands import card_uid, get_card_uid, read_data
from drivers.badge.ev2_session import CommMode, Ev2Session, NativeCommand
from drivers.smartcard.apdu import Done, Send, Step

_AID_BYTES = 3


@dataclass(frozen=True, slots=True)
class ProofProfile:
    """How a site's badges are made. ``application`` is a DF name, or the three bytes of a DESFire AID; lengths in bytes."""

    application: bytes = NDEF_APPLICATION
    key_number: int = 0
    file_number: int = 2
    offset: int = 0
    length: int = 16
    mode: CommMode = CommMode.FULL
    random_uid: bool = False
    """True for badges that show another UID each time: their key is one for all, and the UID is compared with nothing."""


class BadgeProof:
    """One conversation: ``start``, then each answer to ``receive`` until ``Done``, whose data is what the file holds, proven.

    ``uid`` is what the anticollision showed, ``key_for`` gives the key of the badge with that UID, ``rnd_a`` is 16 random bytes.
    Raises ``ValueError`` for a profile that asks for mode PLAIN, ``EV2Error`` for every badge that does not prove itself.
    """

    def __init__(self, profile: ProofProfile, uid: bytes, key_for: Callable[[bytes], bytes], rnd_a: bytes) -> None:
        if profile.mode is CommMode.PLAIN:
            raise ValueError("what is read in the clear proves nothing")
        self._talk = self._conversation(profile, uid, key_for(uid), rnd_a)
        self._started = False

    def start(self) -> Send:
        """The first command."""
        if self._started:
            raise EV2Error(Ev2Step.COMMAND, "out of turn")
        self._started = True
        return next(self._talk)

    def receive(self, answer: bytes) -> Step:
        """What to send next, or the end. After a fault every further answer is out of turn."""
        if not self._started:
            raise EV2Error(Ev2Step.ANSWER, "out of turn")
        try:
            return self._talk.send(answer)
        except StopIteration as end:
            if end.value is None:
                raise EV2Error(Ev2Step.ANSWER, "out of turn") from None
            return Done(end.value, 0)

    @staticmethod
    def _conversation(profile: ProofProfile, uid: bytes, key: bytes, rnd_a: bytes) -> Generator[Send, bytes, bytes]:
        if len(profile.application) == _AID_BYTES:
            selected_application((yield select_application(profile.application)))
        else:
            selected_name((yield select_name(profile.application)))
        attempt = Ev2Authentication(key, profile.key_number, rnd_a)
        proof = attempt.challenge((yield attempt.start()))
        session = attempt.finish((yield proof))
        true_uid = card_uid((yield from _asked(session, get_card_uid(), CommMode.FULL)))
        if not (profile.random_uid or same(true_uid, uid)):
            raise EV2Error(Ev2Step.CONTENT, "the badge shows another's UID")
        command = read_data(profile.file_number, profile.offset, profile.length, profile.mode)
        return (yield from _asked(session, command, profile.mode))


def _asked(session: Ev2Session, command: NativeCommand, mode: CommMode) -> Generator[Send, bytes, bytes]:
    step: Step = session.start(command, mode)
    while isinstance(step, Send):
        step = session.receive((yield step))
    return step.data
