"""EV2 as a conversation: turns, every mode, frames, hostile badges. The cryptography itself is held in test_badge_vectors.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.badge.aes import pad, unpad
from drivers.badge.apdu import (
    FRAMES_MAX,
    NDEF_APPLICATION,
    EV2Error,
    Ev2Step,
    PlainExchange,
    select_application,
    select_name,
    selected_application,
    selected_name,
    status_words,
    wrap,
)
from drivers.badge.diversify import badge_key, diversify
from drivers.badge.ev2 import Ev2Authentication
from drivers.badge.ev2_commands import (
    GET_VERSION,
    FileSettings,
    badge_version,
    card_uid,
    file_settings,
    get_card_uid,
    get_file_settings,
    read_data,
)
from drivers.badge.ev2_session import CommMode, Ev2Session
from drivers.badge.originality import is_original
from drivers.badge.proof import BadgeProof, ProofProfile
from drivers.badge.sun import SunLayout, SunRefused, decrypt_file_data, decrypt_picc, file_mac, verify_plain, verify_text
from drivers.smartcard.apdu import Done, Send, Step
from tests.drivers.small_badge import SmallBadge

KEY = bytes(range(16))
UID = bytes.fromhex("04A1B2C3D4E580")
NUMBER = b"7001231234567890"
RND_A = bytes(range(100, 116))


def badge(**change: object) -> SmallBadge:
    made = SmallBadge(KEY, UID, {2: NUMBER + bytes(240)}, bytes(range(50, 66)), b"\x01\x02\x03\x04")
    for name, value in change.items():
        setattr(made, name, value)
    return made


def talk(first: Send, receive: Callable[[bytes], Step], card: SmallBadge) -> Done:
    step: Step = first
    while isinstance(step, Send):
        step = receive(card.answer(step.apdu))
    return step


def open_session(card: SmallBadge, key: bytes = KEY, within: Ev2Session | None = None) -> Ev2Session:
    attempt = Ev2Authentication(key, 0, RND_A, within)
    return attempt.finish(card.answer(attempt.challenge(card.answer(attempt.start().apdu)).apdu))


@pytest.mark.parametrize("mode", list(CommMode))
@pytest.mark.parametrize("length", [1, 15, 16, 17, 32, 239])
@pytest.mark.parametrize("frame", [250, 59, 16, 7])
def test_a_file_in_every_mode_and_however_framed(mode: CommMode, length: int, frame: int) -> None:
    card = badge(mode=mode.value, frame=frame)
    session = open_session(card)
    for turn in range(3):
        command = read_data(2, 0, length, mode)
        assert talk(session.start(command, mode), session.receive, card) == Done((NUMBER + bytes(240))[:length], 0)
        assert session.counter == turn + 1


def test_another_key_in_the_same_transaction() -> None:
    card = badge()
    session = open_session(card)
    talk(session.start(get_card_uid(), CommMode.FULL), session.receive, card)
    following = open_session(card, within=session)
    assert following.transaction == session.transaction
    assert following.counter == 1
    assert talk(following.start(get_card_uid(), CommMode.FULL), following.receive, card).data == UID
    with pytest.raises(EV2Error, match="over"):
        session.start(get_card_uid(), CommMode.FULL)
    with pytest.raises(EV2Error, match="over"):
        session.succeeded_by(bytes(16), bytes(16))


def test_a_wrong_key_is_refused_by_either_side() -> None:
    with pytest.raises(EV2Error, match="^proof: authentication refused$"):
        open_session(badge(), key=bytes(16))


def test_a_replayed_answer_is_refused() -> None:
    card = badge()
    session = open_session(card)
    recorded = card.answer(session.start(get_card_uid(), CommMode.FULL).apdu)
    session.receive(recorded)
    session.start(get_card_uid(), CommMode.FULL)
    with pytest.raises(EV2Error, match="wrong MAC"):
        session.receive(recorded)


def test_a_lost_command_is_noticed_by_the_badge() -> None:
    card = badge()
    session = open_session(card)
    session.start(get_card_uid(), CommMode.FULL)
    assert card.answer(open_session(badge()).start(get_card_uid(), CommMode.FULL).apdu) is not None
    card.counter += 1
    with pytest.raises(EV2Error, match="MAC or padding"):
        session.receive(card.answer(wrap(0x51, bytes(8))))


def test_a_short_file_is_not_taken_for_the_whole_one() -> None:
    card = badge(mode="mac", files={2: b"abc"})
    session = open_session(card)
    with pytest.raises(EV2Error, match="beyond the end"):
        talk(session.start(read_data(2, 0, 4, CommMode.MAC), CommMode.MAC), session.receive, card)
    card = badge(mode="plain")
    session = open_session(card)
    session.start(read_data(2, 0, 4, CommMode.PLAIN), CommMode.PLAIN)
    with pytest.raises(EV2Error, match="wrong length"):
        session.receive(b"abc\x91\x00")


def test_turns_of_an_authentication() -> None:
    card = badge()
    attempt = Ev2Authentication(KEY, 0, RND_A)
    with pytest.raises(EV2Error, match="challenge: out of turn"):
        attempt.challenge(bytes(16) + b"\x91\xaf")
    with pytest.raises(EV2Error, match="command: out of turn"):
        attempt.start()
    attempt = Ev2Authentication(KEY, 0, RND_A)
    attempt.start()
    with pytest.raises(EV2Error, match="proof: out of turn"):
        attempt.finish(bytes(32) + b"\x91\x00")
    attempt = Ev2Authentication(KEY, 0, RND_A)
    proof = attempt.challenge(card.answer(attempt.start().apdu))
    good = card.answer(proof.apdu)
    attempt.finish(good)
    with pytest.raises(EV2Error, match="proof: out of turn"):
        attempt.finish(good)


def test_turns_of_a_session() -> None:
    session = open_session(badge())
    with pytest.raises(EV2Error, match="answer: out of turn"):
        session.receive(b"\x91\x00")
    session = open_session(badge())
    session.start(get_card_uid(), CommMode.FULL)
    with pytest.raises(EV2Error, match="command: out of turn"):
        session.start(get_card_uid(), CommMode.FULL)


def test_a_session_ends_before_its_counter_does() -> None:
    session = Ev2Session(bytes(16), bytes(16), bytes(4), counter=0xFFFF)
    with pytest.raises(EV2Error, match="used up"):
        session.start(get_card_uid(), CommMode.FULL)


@settings(max_examples=300)
@given(
    st.binary(max_size=40)
    | st.binary(max_size=40).map(lambda data: data + b"\x91\x00")
    | st.binary(max_size=40).map(lambda d: d + b"\x91\xaf")
)
def test_whatever_a_badge_answers_only_ev2error_comes_out(answer: bytes) -> None:
    attempt = Ev2Authentication(KEY, 0, RND_A)
    attempt.start()
    step, fault = outcome(attempt.challenge, answer)
    assert step is not None or fault is Ev2Step.CHALLENGE
    assert outcome(attempt.finish, answer) == (None, Ev2Step.PROOF)
    for mode in (CommMode.MAC, CommMode.FULL):
        session = open_session(badge())
        session.start(get_card_uid(), mode)
        step, fault = outcome(session.receive, answer)
        assert isinstance(step, Send) or fault is Ev2Step.ANSWER


def outcome(receive: Callable[[bytes], object], answer: bytes) -> tuple[object, Ev2Step | None]:
    try:
        return receive(answer), None
    except EV2Error as error:
        return None, error.step


def test_frames_without_an_end() -> None:
    for receive in (PlainExchange(GET_VERSION).receive, asked_session()):
        for _ in range(FRAMES_MAX - 1):
            assert receive(b"\x00\x91\xaf") == Send(wrap(0xAF))
        with pytest.raises(EV2Error, match="without an end"):
            receive(b"\x00\x91\xaf")


def asked_session() -> Callable[[bytes], Step]:
    session = open_session(badge())
    session.start(get_card_uid(), CommMode.FULL)
    return session.receive


def test_nothing_shows_a_secret() -> None:
    session = open_session(badge())
    attempt = Ev2Authentication(KEY, 0, RND_A)
    whole = BadgeProof(ProofProfile(), UID, lambda uid: KEY, RND_A)
    shown = f"{session!r} {attempt!r} {session.start(get_card_uid(), CommMode.FULL)!r} {Done(NUMBER, 0)!r} {whole!r}"
    assert "7001" not in shown
    assert "\\x" not in shown


# --- the whole proof --------------------------------------------------------------------------------------------------


def proof(card: SmallBadge, uid: bytes = UID, profile: ProofProfile | None = None, key: bytes = KEY) -> bytes:
    conversation = BadgeProof(profile or ProofProfile(), uid, lambda uid: key, RND_A)
    return talk(conversation.start(), conversation.receive, card).data


@pytest.mark.parametrize("mode", [CommMode.MAC, CommMode.FULL])
def test_a_badge_proves_itself(mode: CommMode) -> None:
    assert proof(badge(mode=mode.value), profile=ProofProfile(mode=mode)) == NUMBER


def test_a_copied_uid_is_refused() -> None:
    """The copy shows the other's UID and has no key for it, or has a key of its own and must tell its own UID inside the session."""
    master = bytes(range(16, 32))
    key = badge_key(master, UID, b"\x30\x42\xf5", b"fleet-1")
    with pytest.raises(EV2Error, match="^proof: "):
        proof(badge(key=bytes(16)), key=key)
    with pytest.raises(EV2Error, match="^content: the badge shows another's UID$"):
        proof(badge(uid=bytes(7)))
    assert proof(badge(uid=bytes(7)), profile=ProofProfile(random_uid=True)) == NUMBER


def test_a_badge_of_another_system_is_refused() -> None:
    with pytest.raises(EV2Error, match="^select: no such application$"):
        proof(badge(name=b"other"))
    with pytest.raises(EV2Error, match="^answer: no such file$"):
        proof(badge(files={}))


def test_turns_of_a_proof() -> None:
    conversation = BadgeProof(ProofProfile(), UID, lambda uid: KEY, RND_A)
    with pytest.raises(EV2Error, match="out of turn"):
        conversation.receive(b"\x90\x00")
    conversation.start()
    with pytest.raises(EV2Error, match="out of turn"):
        conversation.start()
    with pytest.raises(EV2Error, match="select"):
        conversation.receive(b"\x69\x85")
    with pytest.raises(EV2Error, match="out of turn"):
        conversation.receive(b"\x90\x00")
    with pytest.raises(ValueError, match="proves nothing"):
        BadgeProof(ProofProfile(mode=CommMode.PLAIN), UID, lambda uid: KEY, RND_A)


# --- parts ------------------------------------------------------------------------------------------------------------


def test_selecting() -> None:
    assert select_name(NDEF_APPLICATION).apdu.hex().upper() == "00A4040C07D276000085010100", "AN12196 table 22"
    selected_name(b"\x90\x00")
    assert select_application(b"\xf5\x42\x30").apdu.hex().upper() == "905A000003F5423000"
    selected_application(b"\x91\x00")
    for answer in (b"", b"\x6a\x82", b"\x00\x90\x00", b"\x91\x00"):
        with pytest.raises(EV2Error, match="^select: "):
            selected_name(answer)
    for answer in (b"", b"\x91\xa0", b"\x00\x91\x00", b"\x90\x00"):
        with pytest.raises(EV2Error, match="^select: "):
            selected_application(answer)
    for name in (b"", bytes(17)):
        with pytest.raises(EV2Error, match="^select: "):
            select_name(name)
    with pytest.raises(EV2Error, match="^select: "):
        select_application(b"ab")


def test_a_badges_version() -> None:
    """GetVersion in three frames, as read from an NTAG 424 in a public test (its production data blank)."""
    exchange = PlainExchange(GET_VERSION)
    assert exchange.start() == Send(bytes.fromhex("9060000000"))
    assert exchange.receive(bytes.fromhex("04040101001A0591AF")) == Send(bytes.fromhex("90AF000000"))
    assert exchange.receive(bytes.fromhex("04040201001A0591AF")) == Send(bytes.fromhex("90AF000000"))
    done = exchange.receive(bytes.fromhex("00000000000000000000000000009100"))
    assert isinstance(done, Done)
    version = badge_version(done.data)
    assert (version.hardware_type, version.hardware_major, version.hardware_minor, version.uid) == (4, 1, 0, bytes(7))
    for wrong in (b"", bytes(28), done.data[:-1], done.data + bytes(2)):
        with pytest.raises(EV2Error, match="^content: "):
            badge_version(wrong)
    with pytest.raises(EV2Error, match="^answer: illegal command$"):
        PlainExchange(GET_VERSION).receive(b"\x91\x1c")


def test_file_settings_as_published() -> None:
    """AN12196 tables 5 and 7."""
    settings = file_settings(bytes.fromhex("0040EEEE000100D1FE001F00004400004400002000006A0000"))
    assert settings == FileSettings(CommMode.PLAIN, read=14, write=14, read_write=14, change=14, size=256)
    assert file_settings(bytes.fromhex("000300E0800000")) == FileSettings(CommMode.FULL, read=14, write=0, read_write=0, change=0, size=128)
    assert file_settings(bytes.fromhex("0001EEEE200000")).mode is CommMode.MAC
    assert file_settings(bytes.fromhex("0002123F200000")) == FileSettings(CommMode.PLAIN, read=3, write=15, read_write=1, change=2, size=32)
    assert get_file_settings(2).header == b"\x02"
    for wrong in (b"", bytes(6), b"\x01" + bytes(6)):
        with pytest.raises(EV2Error, match="^content: "):
            file_settings(wrong)


def test_what_cannot_be_asked() -> None:
    assert wrap(0xAD, read_data(2, 128, 2, CommMode.MAC).header).hex().upper() == "90AD0000070280000002000000", "as in a public test"
    for values in ((32, 0, 1), (-1, 0, 1), (2, -1, 1), (2, 1 << 24, 1), (2, 0, 0), (2, 0, 240)):
        with pytest.raises(EV2Error, match="^command: "):
            read_data(*values, CommMode.FULL)
    with pytest.raises(EV2Error, match="^command: "):
        get_file_settings(32)
    with pytest.raises(EV2Error, match="^command: "):
        wrap(0x8D, bytes(256))
    with pytest.raises(EV2Error, match="^content: "):
        card_uid(bytes(5))
    for key, number, random in ((bytes(8), 0, RND_A), (KEY, 64, RND_A), (KEY, 0, bytes(8))):
        with pytest.raises(ValueError, match="EV2 key|key number"):
            Ev2Authentication(key, number, random)
    with pytest.raises(ValueError, match="4 bytes"):
        Ev2Session(KEY, KEY, b"")
    assert status_words(0x77) == "status 77"


@given(st.binary(max_size=100))
def test_padding(data: bytes) -> None:
    assert unpad(pad(data)) == data
    assert len(pad(data)) % 16 == 0
    got = unpad(data)
    assert got is None or pad(got) == data


def test_diversification_leaves_the_callers_bytes_alone_and_refuses_what_it_cannot_keep_apart() -> None:
    text = bytearray(UID)
    assert diversify(KEY, bytes(text)) == diversify(KEY, bytes(text)), "the second call with the same input gives the same key"
    assert text == UID
    for master, given_text in ((KEY, b""), (KEY, bytes(32)), (KEY[:8], UID)):
        with pytest.raises(ValueError, match="bytes"):
            diversify(master, given_text)
    with pytest.raises(ValueError, match="too short"):
        badge_key(KEY, UID, b"\x30\x42\xf5", b"fleet")
    with pytest.raises(ValueError, match="UID"):
        badge_key(KEY, bytes(5), b"\x30\x42\xf5", b"fleet-1-and-so-on")


# --- SUN texts --------------------------------------------------------------------------------------------------------

GOOD = "https://x.test/?picc_data=EF963FF7828658A599F3041510671E88&cmac=94EED9EE65337086"


@given(
    st.text(max_size=200)
    | st.lists(st.sampled_from(["picc_data=", "cmac=", "enc=", "&", "?", "EF963FF7828658A599F3041510671E88", "00", "é"])).map("".join)
)
def test_whatever_a_text_says_only_sunrefused_comes_out(text: str) -> None:
    for layout in (SunLayout(), SunLayout(enc="enc")):
        with pytest.raises(SunRefused):
            verify_text(text, layout, bytes(16), lambda uid: bytes(16))


def test_sun_texts_out_of_shape() -> None:
    assert verify_text(GOOD, SunLayout(), bytes(16), lambda uid: bytes(16)).counter == 61
    assert verify_text(GOOD + "#x", SunLayout(), bytes(16), lambda uid: bytes(16)).counter == 61
    mac_first = "https://x.test/?cmac=ECC1E7F6C6C73BF6&picc_data=FD91EC264309878BE6345CBE53BADF40&enc=CEE9A53E3E463EF1F459635736738962"
    wrong = [GOOD.lower(), GOOD + "&cmac=00", GOOD + "0", GOOD[:-1], GOOD[:-2], GOOD + " " * 512, GOOD.replace("?", "")]
    for text in wrong:
        with pytest.raises(SunRefused):
            verify_text(text, SunLayout(), bytes(16), lambda uid: bytes(16))
    with pytest.raises(SunRefused, match="no signed message"):
        verify_text(mac_first, SunLayout(enc="enc"), bytes(16), lambda uid: bytes(16))
    for picc in (b"", bytes(15), bytes(17)):
        with pytest.raises(SunRefused, match="wrong length"):
            decrypt_picc(bytes(16), picc)
    with pytest.raises(SunRefused, match="wrong length"):
        decrypt_file_data(bytes(16), UID, 1, bytes(15))
    with pytest.raises(ValueError, match="no UID"):
        decrypt_file_data(bytes(16), UID, 1 << 24, bytes(16))


def test_the_first_and_the_last_counter() -> None:
    for counter in (0, 0xFFFFFF):
        assert verify_plain(KEY, UID, counter, file_mac(KEY, UID, counter, b"x"), b"x").counter == counter
    for uid, counter in ((UID, -1), (UID, 1 << 24), (UID[:4], 1)):
        with pytest.raises(SunRefused, match="wrong length"):
            verify_plain(KEY, uid, counter, bytes(8))


def test_originality_of_the_wrong_key() -> None:
    with pytest.raises(ValueError, match="(?i)key|point"):
        is_original(UID, bytes(56), bytes(57))
    assert not is_original(UID, bytes(56))
