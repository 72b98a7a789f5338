"""How a site's badges are told apart, and how each gives its number: the profiles of the configuration, tried in their order. Pure.

A profile *fits* a badge when the badge has what the profile reads: an application, a signed link, a text. The first that fits decides, and
what fits a proving profile (``Ev2Profile``, ``SunProfile``) and fails there is a forgery, never a badge with a weaker name. A copy that
simply answers as a plain tag fits a weaker profile and is presented with trust T0; that its number belongs to a badge which must prove
itself is known by the card list alone, so the core refuses it there (``terminal.core.genuine``).

Sources: reference/security-and-reliability.md 2.1 (families), 2.2 (profiles by site), 2.3 (trust levels, what is proven);
firmware_notes/badges.md. Badges make every byte that is read here: whatever is out of shape raises ``BadgeRefused``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from drivers.badge.aes import same
from drivers.badge.apdu import DELAYED, EV2Error, Ev2Step
from drivers.badge.proof import BadgeProof, ProofProfile
from drivers.badge.sun import SunLayout, SunRefused, has_parameters, verify_text
from drivers.badge.uid import (
    MAX_NUMBER_LENGTH,
    BadgeFamily,
    BadgeRefused,
    NumberProfile,
    badge_number,
    first_link,
    first_text,
    is_random,
    uid_number,
)
from drivers.events import Trust
from drivers.smartcard.apdu import Send, Step

RND_BYTES = 16


class NotGenuine(BadgeRefused):
    """The badge was read and is not what it says it is."""


class Held(Protocol):
    """The badge in the field, as far as the profiles need it. What the air or the badge spoils is raised as the reader's own faults."""

    @property
    def uid(self) -> bytes:
        """As the anticollision showed it."""

    @property
    def family(self) -> BadgeFamily:
        """What can be read beyond the UID."""

    def ndef(self) -> bytes | None:
        """Its NDEF message, None when it holds none."""

    def transceive(self, apdu: bytes) -> bytes:
        """One APDU and its answer; for family TYPE_4 only."""


class Content(Enum):
    """What the bytes of a proven file are."""

    TEXT = "text"
    HEX = "hex"
    UID = "uid"


class UidOrder(Enum):
    """The order in which a UID's bytes make the number: as on the air, or the other way round."""

    AIR = "air"
    REVERSED = "reversed"


class UidForm(Enum):
    """How those bytes are written."""

    HEX = "hex"
    DECIMAL = "decimal"


@dataclass(frozen=True, slots=True)
class UidProfile:
    """The UID is the number. Fits every badge; a random UID is refused."""

    order: UidOrder = UidOrder.AIR
    form: UidForm = UidForm.HEX


@dataclass(frozen=True, slots=True)
class NdefProfile:
    """The first NDEF text record is the number. Fits a badge that has one which is not blank."""


@dataclass(frozen=True, slots=True)
class Ev2Profile:
    """A badge that authenticates itself (trust T2). ``key_for`` gives the key of the badge with a UID; ``ValueError``: it can have none.

    Fits an ISO-DEP badge that has the application. Its UID must not be random, unless the profile says so.
    """

    proof: ProofProfile
    key_for: Callable[[bytes], bytes] = field(repr=False)
    content: Content = Content.TEXT


@dataclass(frozen=True, slots=True)
class SunProfile:
    """A badge that signs its link at each reading (trust T1). The number is the signed UID in hex, or the text of the signed file data.

    Fits a badge whose first NDEF record is a link with the layout's parameters. The counter is for the caller to compare.
    """

    layout: SunLayout
    meta_key: bytes = field(repr=False)
    key_for: Callable[[bytes], bytes] = field(repr=False)


BadgeProfile = NumberProfile | UidProfile | NdefProfile | Ev2Profile | SunProfile


@dataclass(frozen=True, slots=True)
class Reading:
    """What a profile gave."""

    number: str = field(repr=False)
    trust: Trust = Trust.T0
    counter: int | None = None


def identify(badge: Held, profiles: tuple[BadgeProfile, ...], draw: Callable[[int], bytes]) -> Reading:
    """The reading of the first profile that fits; ``draw`` gives so many random bytes.

    Raises ``NotGenuine`` for a forgery and ``BadgeRefused`` for a badge that gives no number, both with a phrase for the event.
    """
    for profile in profiles:
        found = _READERS[type(profile)](badge, profile, draw)
        if found is not None:
            return found
    if is_random(badge.uid):
        raise BadgeRefused("random UID")
    raise BadgeRefused("fits no profile")


def _by_uid_or_text(badge: Held, profile: NumberProfile, draw: object) -> Reading:
    uid_number(badge.uid)
    readable = profile is NumberProfile.AUTO and badge.family in (BadgeFamily.TYPE_2, BadgeFamily.TYPE_4)
    return Reading(badge_number(badge.uid, badge.ndef() if readable else None, profile))


def _by_uid(badge: Held, profile: UidProfile, draw: object) -> Reading:
    number = uid_number(badge.uid)
    uid = bytes.fromhex(number)
    if profile.order is UidOrder.REVERSED:
        uid = uid[::-1]
    return Reading(uid.hex().upper() if profile.form is UidForm.HEX else str(int.from_bytes(uid, "big")))


def _by_text(badge: Held, profile: NdefProfile, draw: object) -> Reading | None:
    message = _message(badge)
    text = (first_text(message) or "").strip() if message else ""
    if not text:
        return None
    uid_number(badge.uid)
    return Reading(_number(text))


def _by_proof(badge: Held, profile: Ev2Profile, draw: Callable[[int], bytes]) -> Reading | None:
    if badge.family is not BadgeFamily.TYPE_4 or (is_random(badge.uid) and not profile.proof.random_uid):
        return None
    try:
        talk = BadgeProof(profile.proof, badge.uid, profile.key_for, draw(RND_BYTES))
    except ValueError:  # a UID of a length that these badges never have
        return None
    try:
        step: Step = talk.start()
        while isinstance(step, Send):
            step = talk.receive(badge.transceive(step.apdu))
    except EV2Error as error:
        if error.step is Ev2Step.SELECT:
            return None  # another badge
        if error.why == DELAYED:
            raise BadgeRefused(DELAYED) from None
        raise NotGenuine(str(error)) from None
    return Reading(_content(step.data, profile.content, badge.uid), Trust.T2)


def _content(data: bytes, content: Content, uid: bytes) -> str:
    """The number in a proven file. The badge holds the key; a file that is not as it was made is no badge of ours all the same."""
    if content is Content.HEX:
        return data.hex().upper()
    if content is Content.UID:
        if not same(data[: len(uid)], uid):
            raise NotGenuine("content: the badge holds another's UID")
        return uid.hex().upper()
    return _proven_text(data)


def _proven_text(data: bytes) -> str:
    """Text up to the first zero, ASCII, without blanks around it."""
    text, _, rest = data.partition(b"\x00")
    if any(rest) or not text.isascii():
        raise NotGenuine("content: no number")
    number = text.decode("ascii").strip()
    if not number or not number.isprintable() or len(number) > MAX_NUMBER_LENGTH:
        raise NotGenuine("content: no number")
    return number


def _by_link(badge: Held, profile: SunProfile, draw: object) -> Reading | None:
    message = _message(badge)
    link = first_link(message) if message else None
    if link is None or not has_parameters(link, profile.layout):
        return None
    if badge.family is not BadgeFamily.TYPE_4:
        raise NotGenuine("a signed link on a tag that cannot sign")
    try:
        said = verify_text(link, profile.layout, profile.meta_key, profile.key_for)
    except SunRefused as refused:
        raise NotGenuine(str(refused)) from None
    except ValueError:
        raise NotGenuine("signed message of another's badge") from None
    if not (is_random(badge.uid) or same(said.uid, badge.uid)):
        raise NotGenuine("a link of another's badge")
    number = said.uid.hex().upper() if profile.layout.enc is None else _proven_text(said.file_data)
    return Reading(number, Trust.T1, said.counter)


def _message(badge: Held) -> bytes | None:
    return badge.ndef() if badge.family in (BadgeFamily.TYPE_2, BadgeFamily.TYPE_4) else None


def _number(text: str) -> str:
    if len(text) > MAX_NUMBER_LENGTH or not text.isprintable():
        raise BadgeRefused("text is no number")
    return text


_READERS: dict[type, Callable[..., Reading | None]] = {
    NumberProfile: _by_uid_or_text,
    UidProfile: _by_uid,
    NdefProfile: _by_text,
    Ev2Profile: _by_proof,
    SunProfile: _by_link,
}
