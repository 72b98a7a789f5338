"""Badges that prove themselves, through real nfcpy: honest ones, copies, turned bits, replays, two at once, and torn away at every step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from drivers.badge.ev2_session import CommMode
from drivers.badge.profiles import BadgeProfile, Content, Ev2Profile, NdefProfile, SunProfile, UidForm, UidOrder, UidProfile
from drivers.badge.proof import ProofProfile
from drivers.badge.sun import SunLayout
from drivers.badge.uid import NumberProfile
from drivers.events import MediumKind, MediumPresented, MediumRemoved, MediumUnreadable, Trust
from hal_sim.badge.catalogue import APPLICATION, FILE_NUMBER, KEY_NUMBER, Badges, SmartTag, StaticLink, Tampered
from hal_sim.badge.desfire import Desfire
from hal_sim.badge.ev2 import Application, Mode, StandardFile
from hal_sim.badge.ntag424 import Ntag424, SignedLink, link_file
from hal_sim.badge.tags import Ntag21x, Tag, Type4A, tag_for_number
from tests.drivers.badge_place import Place, place
from tests.drivers.issuer import secure_profile, signing_profile

NUMBER = "04A1B2C3D4E580"
UID = bytes.fromhex(NUMBER)
OTHER = "04998877665544"
KEY = bytes(range(16))
KINDS_TORN = ("desfire", "ntag424")


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    with place(tmp_path) as made:
        yield made


def proven(number: str, trust: Trust = Trust.T2, counter: int | None = None) -> MediumPresented:
    return MediumPresented(1, MediumKind.SECURE_BADGE, number, trust, counter=counter)


def forged(event: object) -> str:
    assert isinstance(event, MediumUnreadable), event
    assert event.forged, event
    return event.why


def unreadable(event: object) -> str:
    assert isinstance(event, MediumUnreadable), event
    assert not event.forged, event
    return event.why


def test_a_secure_badge_is_read_once_and_removed_once(here: Place) -> None:
    for number in (NUMBER, "FLEET-0815"):
        here.hold(here.badges.make(number, "desfire"))
        assert here.said() == proven(number)
        here.take_away()
        assert here.said() == MediumRemoved(1, MediumKind.SECURE_BADGE)
    assert here.events.empty()


def test_a_signing_badge_counts(here: Place) -> None:
    counters = []
    for _ in range(2):
        here.hold(here.badges.make(NUMBER, "ntag424"))
        said = here.said()
        assert isinstance(said, MediumPresented)
        assert said == proven(NUMBER, Trust.T1, said.counter)
        counters.append(said.counter or 0)
        here.take_away()
        here.said()
    assert 0 < counters[0] < counters[1]
    here.hold(here.badges.make(NUMBER, "replay"))
    assert here.said() == proven(NUMBER, Trust.T1, counters[1]), "a replay is the core's to see, by its counter"


def test_a_plain_badge_is_still_one(here: Place) -> None:
    for tag, number in ((Ntag21x(UID), NUMBER), (tag_for_number("TRUCK-1"), "TRUCK-1"), (here.badges.make(OTHER, "classic"), OTHER)):
        here.hold(tag)
        assert here.said() == MediumPresented(1, MediumKind.BADGE, number)
        here.take_away()
        assert here.said() == MediumRemoved(1, MediumKind.BADGE)


def test_a_short_ats_does_not_matter(here: Place) -> None:
    here.hold(here.badges.make(NUMBER, "short ats"))
    assert here.said() == proven(NUMBER)


# --- what is no badge of ours


def test_a_copy_without_the_key(here: Place) -> None:
    here.hold(here.badges.make(NUMBER, "clone"))
    assert forged(here.said()) == "proof: authentication refused"
    here.take_away()
    here.hold(here.badges.make(OTHER, "desfire"))
    assert here.said() == proven(OTHER)


def test_an_honest_badge_under_anothers_uid(here: Place) -> None:
    """Its own key, which is not the one made from the UID that it shows."""
    tag = here.badges.make(OTHER, "desfire")
    assert isinstance(tag, SmartTag)
    tag._shown = UID
    here.hold(tag)
    assert forged(here.said()) == "proof: authentication refused"


@pytest.mark.parametrize("answer", range(1, 8))
@pytest.mark.parametrize("bit", [0, 77, 127])
def test_a_turned_bit_in_any_answer(here: Place, answer: int, bit: int) -> None:
    """Every answer behind the selection: challenge, proof, both parts of the UID, all parts of the file."""
    chip = here.badges.desfire(NUMBER)
    here.hold(SmartTag(chip, through=Tampered(chip, answer, bit)))
    assert forged(here.said()) in {
        "proof: authentication refused",
        "proof: the badge does not hold the key",
        "answer: wrong MAC",
    }


@pytest.mark.parametrize("bit", [8 * 40 + 1, 8 * 80, 8 * 115])  # in the values of UID and counter, of the file data, of the MAC
def test_a_turned_bit_in_a_signed_link(here: Place, bit: int) -> None:
    chip = here.badges.ntag424(NUMBER)
    link = bytearray(link_file(chip.signed(chip.link or pytest.fail("it signs"))))
    link[bit // 8] ^= 1 << bit % 8
    here.hold(Type4A(UID, StaticLink(bytes(link))))
    assert forged(here.said()) in {
        "signature does not fit",
        "signed message under another key",
        "no signed message",
        "a link of another's badge",
    }


def test_a_link_under_another_key(here: Place) -> None:
    here.hold(SmartTag(Badges(8).ntag424(NUMBER)))
    assert forged(here.said()) == "signed message under another key"


def test_a_link_copied_to_another_badge(here: Place) -> None:
    chip = here.badges.ntag424(NUMBER)
    link = link_file(chip.signed(chip.link or pytest.fail("it signs")))
    here.hold(Type4A(bytes.fromhex(OTHER), StaticLink(link)))
    assert forged(here.said()) == "a link of another's badge"


def test_a_link_copied_to_a_tag_that_cannot_sign(here: Place) -> None:
    chip = here.badges.ntag424(NUMBER)
    record = link_file(chip.signed(chip.link or pytest.fail("it signs")))
    tag = Ntag21x(UID, "x", model="NTAG216")
    message = record[2 : 2 + int.from_bytes(record[:2], "big")]
    tag._memory[16 : 18 + len(message) + 1] = bytes([3, len(message)]) + message + b"\xfe"
    here.hold(tag)
    assert forged(here.said()) == "a signed link on a tag that cannot sign"


def test_the_uid_in_the_file_must_be_the_badges_own(tmp_path: Path) -> None:
    """One key for all badges of the site: then the file alone says whose it is."""
    profile = Ev2Profile(ProofProfile(APPLICATION, KEY_NUMBER, FILE_NUMBER, 0, 16, CommMode.MAC), lambda uid: KEY, Content.UID)
    with place(tmp_path, (profile,)) as here:
        for written in (UID, bytes.fromhex(OTHER)):
            file = StandardFile(written.ljust(16, b"\0"), Mode.MAC, KEY_NUMBER)
            here.hold(SmartTag(Desfire(UID, {APPLICATION: Application({KEY_NUMBER: KEY}, {FILE_NUMBER: file})}, Random(1).randbytes)))
            if written == UID:
                assert here.said() == proven(NUMBER)
                here.take_away()
                here.said()
        assert forged(here.said()) == "content: the badge holds another's UID"


@pytest.mark.parametrize(
    ("mode", "content", "file", "why"),
    [
        (Mode.FULL, Content.TEXT, b"\x00" * 16, "content: no number"),
        (Mode.FULL, Content.TEXT, b"A\x00B".ljust(16, b"\0"), "content: no number"),
        (Mode.FULL, Content.TEXT, "Ä".encode().ljust(16, b"\0"), "content: no number"),
        (Mode.MAC, Content.HEX, b"0123456789ABCDEF", "answer: wrong padding"),
        (Mode.PLAIN, Content.HEX, b"0123456789ABCDEF", "answer: wrong length"),
    ],
)
def test_a_file_that_is_not_as_it_was_made(tmp_path: Path, mode: Mode, content: Content, file: bytes, why: str) -> None:
    profile = Ev2Profile(ProofProfile(APPLICATION, KEY_NUMBER, FILE_NUMBER, 0, 16, CommMode.FULL), lambda uid: KEY, content)
    application = Application({KEY_NUMBER: KEY}, {FILE_NUMBER: StandardFile(file, mode, KEY_NUMBER)})
    with place(tmp_path, (profile, NumberProfile.AUTO)) as here:
        here.hold(SmartTag(Desfire(UID, {APPLICATION: application}, Random(1).randbytes)))
        assert forged(here.said()) == why


def test_a_badge_that_makes_everybody_wait_is_no_forgery(here: Place) -> None:
    """Somebody tried it with wrong keys before."""
    chip = here.badges.desfire(NUMBER)
    here.hold(SmartTag(chip, through=lambda apdu: b"\x91\xad" if apdu[1] == 0x71 else chip(apdu)))
    assert unreadable(here.said()) == "authentication delayed"


# --- random UIDs


def test_a_badge_with_a_random_uid_proves_itself_under_one_key_for_all(tmp_path: Path) -> None:
    profile = Ev2Profile(ProofProfile(APPLICATION, KEY_NUMBER, FILE_NUMBER, 0, 16, CommMode.FULL, random_uid=True), lambda uid: KEY)
    file = StandardFile(b"HIDDEN-7".ljust(16, b"\0"), read=KEY_NUMBER)
    application = Application({KEY_NUMBER: KEY}, {FILE_NUMBER: file})
    with place(tmp_path, (profile, UidProfile())) as here:
        here.hold(SmartTag(Desfire(UID, {APPLICATION: application}, Random(1).randbytes), drawn=Random(2)))
        assert here.said() == proven("HIDDEN-7")
        here.take_away()
        assert here.said() == MediumRemoved(1, MediumKind.SECURE_BADGE)


def test_a_random_uid_is_no_number(here: Place) -> None:
    """The issuer's key is made from the UID, so such a badge cannot prove itself, and nothing else of it is a name."""
    here.hold(SmartTag(here.badges.desfire(NUMBER), drawn=Random(2)))
    assert unreadable(here.said()) == "random UID"


def test_a_signing_badge_may_show_a_random_uid(here: Place) -> None:
    here.hold(SmartTag(here.badges.ntag424(NUMBER), drawn=Random(2)))
    said = here.said()
    assert isinstance(said, MediumPresented)
    assert (said.number, said.trust) == (NUMBER, Trust.T1)


# --- other profiles


@pytest.mark.parametrize(
    ("profiles", "tag", "number"),
    [
        ((UidProfile(UidOrder.REVERSED),), Ntag21x(UID), "80E5D4C3B2A104"),
        ((UidProfile(form=UidForm.DECIMAL),), Ntag21x(UID), str(0x04A1B2C3D4E580)),
        ((NdefProfile(), UidProfile()), Ntag21x(UID), NUMBER),
        ((NdefProfile(), UidProfile()), tag_for_number("TRUCK-1"), "TRUCK-1"),
        ((NdefProfile(), UidProfile()), tag_for_number("TRUCK-1", type_4=True), "TRUCK-1"),
    ],
)
def test_how_a_plain_number_is_formed(tmp_path: Path, profiles: tuple[BadgeProfile, ...], tag: Tag, number: str) -> None:
    with place(tmp_path, profiles) as here:
        here.hold(tag)
        assert here.said() == MediumPresented(1, MediumKind.BADGE, number)


def test_a_badge_that_fits_no_profile(tmp_path: Path) -> None:
    badges = Badges(7)
    with place(tmp_path, (secure_profile(badges), signing_profile(badges), NdefProfile())) as here:
        for tag in (Ntag21x(UID), here.badges.make(OTHER, "classic"), Type4A(UID, StaticLink(link_file("https://elsewhere.example/x")))):
            here.hold(tag)
            assert unreadable(here.said()) == "fits no profile"
            here.take_away()


def test_a_link_whose_number_is_the_uid(tmp_path: Path) -> None:
    profile = SunProfile(SunLayout(), KEY, lambda uid: KEY)
    with place(tmp_path, (profile,)) as here:
        here.hold(SmartTag(Ntag424(UID, {}, Random(1).randbytes, link=SignedLink("https://x.example/b", KEY, KEY), counter=41)))
        assert here.said() == proven(NUMBER, Trust.T1, 42)


# --- hands


@pytest.mark.parametrize("kind", KINDS_TORN)
def test_torn_away_at_every_step(here: Place, kind: str) -> None:
    """Taken out after every number of exchanges: refused as unreadable, never as forged, never with a weaker name; the next badge works."""
    torn = 0
    for exchanges in range(60):
        here.hold(here.badges.make(NUMBER, kind), tear_after=exchanges)
        said = here.said()
        if isinstance(said, MediumPresented):
            break
        assert unreadable(said) == "taken away too early"
        torn += 1
        here.hold(here.badges.make(OTHER, "desfire"))
        assert here.said() == proven(OTHER)
        here.take_away()
        assert here.said() == MediumRemoved(1, MediumKind.SECURE_BADGE)
    assert isinstance(said, MediumPresented)
    assert (said.number, said.kind) == (NUMBER, MediumKind.SECURE_BADGE)
    assert torn >= 8, "a badge that is read in fewer steps is not read at all"


@pytest.mark.parametrize("other", ["clone", "auto", "desfire"])
def test_two_badges_at_once(here: Place, other: str) -> None:
    here.hold(here.badges.make(NUMBER, "desfire"), here.badges.make(OTHER, other))
    assert unreadable(here.said()) == "two badges"
    here.take_away()
    here.hold(here.badges.make(NUMBER, "desfire"))
    assert here.said() == proven(NUMBER)


def test_nothing_of_a_badge_is_in_the_log_or_a_repr(here: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "drivers")
    for kind in ("desfire", "ntag424", "clone"):
        here.hold(here.badges.make(NUMBER, kind))
        event = here.said()
        here.take_away()
        if isinstance(event, MediumPresented):
            here.said()
        assert NUMBER not in repr(event).upper()
    profiles = repr((secure_profile(here.badges), signing_profile(here.badges))).upper()
    for key in (here.badges.master, here.badges.sun_meta, here.badges.sun_file):
        assert key.hex().upper() not in profiles + caplog.text.upper()
        assert repr(key).upper() not in profiles
