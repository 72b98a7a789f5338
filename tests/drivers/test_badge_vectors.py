"""Badge cryptography against the published examples (firmware_notes/badges.vectors.toml), and every flipped bit of what they protect."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.badge.aes import ZERO_BLOCK, cbc_decrypt, cmac
from drivers.badge.apdu import EV2Error
from drivers.badge.diversify import badge_key, diversify
from drivers.badge.ev2 import Ev2Authentication, SessionKeys, session_keys
from drivers.badge.ev2_session import CommMode, Ev2Session, NativeCommand
from drivers.badge.originality import is_original
from drivers.badge.sun import SunLayout, SunReading, SunRefused, verify_plain, verify_text
from drivers.smartcard.apdu import Done, Send

VECTORS: dict[str, list[dict[str, Any]]] = tomllib.loads(
    (Path(__file__).resolve().parents[2] / "firmware_notes" / "badges.vectors.toml").read_text()
)


def each(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", VECTORS[kind], ids=lambda case: str(case["name"]).replace(" ", "-"))


def raw(case: dict[str, Any], name: str) -> bytes:
    return bytes.fromhex(case[name])


def flips(data: bytes) -> Iterator[bytes]:
    """The same bytes with one bit changed, for every bit."""
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def test_every_vector_has_a_source() -> None:
    assert {kind: len(cases) for kind, cases in VECTORS.items()} == {
        "cmac": 3,
        "diversified": 2,
        "diversified_text": 4,
        "authentication": 3,
        "command": 8,
        "sun": 3,
        "sun_plain": 1,
        "originality": 1,
    }
    assert all(case["source"].strip() for cases in VECTORS.values() for case in cases)


@each("cmac")
def test_cmac(case: dict[str, Any]) -> None:
    key, message, mac = raw(case, "key"), raw(case, "message"), raw(case, "mac")
    assert cmac(key, message) == mac
    assert mac not in {cmac(changed, message) for changed in flips(key)} | {cmac(key, changed) for changed in flips(message)}


@each("diversified")
def test_diversified_keys(case: dict[str, Any]) -> None:
    master, uid, aid, system, key = (raw(case, name) for name in ("master", "uid", "aid", "system", "key"))
    assert badge_key(master, uid, aid, system) == key
    assert key not in {badge_key(changed, uid, aid, system) for changed in flips(master)}
    assert key not in {badge_key(master, changed, aid, system) for changed in flips(uid)}
    assert key not in {badge_key(master, uid, changed, system) for changed in flips(aid)}
    assert key not in {badge_key(master, uid, aid, changed) for changed in flips(system)}


@each("diversified_text")
def test_diversified_from_any_text(case: dict[str, Any]) -> None:
    master, text, key = raw(case, "master"), raw(case, "text"), raw(case, "key")
    assert diversify(master, text) == key
    assert (cmac(master, b"\x01" + text) == key) is (len(text) >= 16), "below that plain CMAC gives another key"
    assert key not in {diversify(changed, text) for changed in flips(master)} | {diversify(master, changed) for changed in flips(text)}


# --- authentication ---------------------------------------------------------------------------------------------------


def attempt(case: dict[str, Any], key: bytes | None = None, rnd_a: bytes | None = None) -> Ev2Authentication:
    within = None if case["first"] else Ev2Session(bytes(16), bytes(16), raw(case, "transaction"), counter=1)
    return Ev2Authentication(key or raw(case, "key"), case["key_number"], rnd_a or raw(case, "rnd_a"), within)


@each("authentication")
def test_authentication(case: dict[str, Any]) -> None:
    talk = attempt(case)
    assert talk.start() == Send(raw(case, "command_1"))
    assert talk.challenge(raw(case, "answer_1")) == Send(raw(case, "command_2"))
    session = talk.finish(raw(case, "answer_2"))
    assert session.transaction == raw(case, "transaction")
    assert session.counter == (0 if case["first"] else 1), "NonFirst goes on counting"
    rnd_b = rnd_b_of(case)
    assert session_keys(raw(case, "key"), raw(case, "rnd_a"), rnd_b) == SessionKeys(raw(case, "enc"), raw(case, "mac"))
    # The session works under the vector's keys: it asks exactly as one that was given them.
    given = Ev2Session(raw(case, "enc"), raw(case, "mac"), raw(case, "transaction"), session.counter)
    command = NativeCommand(0x8D, b"\x03", b"text")
    assert session.start(command, CommMode.FULL) == given.start(command, CommMode.FULL)


def rnd_b_of(case: dict[str, Any]) -> bytes:
    """What the badge drew, out of the command that returns it turned by one byte."""
    turned = cbc_decrypt(raw(case, "key"), ZERO_BLOCK, raw(case, "command_2")[5:-1])[16:]
    return turned[-1:] + turned[:-1]


@each("authentication")
def test_every_flipped_bit_of_the_badges_proof_is_noticed(case: dict[str, Any]) -> None:
    for changed in flips(raw(case, "answer_2")):
        talk = attempt(case)
        talk.start()
        talk.challenge(raw(case, "answer_1"))
        with pytest.raises(EV2Error, match="^proof: "):
            talk.finish(changed)


@each("authentication")
def test_every_flipped_bit_of_key_and_random_number_is_noticed(case: dict[str, Any]) -> None:
    wrong = [{"key": changed} for changed in flips(raw(case, "key"))] + [{"rnd_a": changed} for changed in flips(raw(case, "rnd_a"))]
    for change in wrong:
        talk = attempt(case, **change)
        talk.start()
        assert talk.challenge(raw(case, "answer_1")) != Send(raw(case, "command_2"))
        with pytest.raises(EV2Error, match="does not hold the key"):
            talk.finish(raw(case, "answer_2"))


@each("authentication")
def test_every_flipped_bit_of_the_challenge_spoils_what_follows(case: dict[str, Any]) -> None:
    """The terminal cannot see it, nothing having been proven yet: the badge gets a wrong answer, and the keys do not fit."""
    good = raw(case, "answer_1")
    given = Ev2Session(raw(case, "enc"), raw(case, "mac"), raw(case, "transaction"), 0 if case["first"] else 1)
    fitting = given.start(NativeCommand(0x51), CommMode.MAC)
    for changed in flips(good):
        talk = attempt(case)
        talk.start()
        if changed[16:] != good[16:]:
            with pytest.raises(EV2Error, match="^challenge: "):
                talk.challenge(changed)
        else:
            assert talk.challenge(changed) != Send(raw(case, "command_2"))
            assert talk.finish(raw(case, "answer_2")).start(NativeCommand(0x51), CommMode.MAC) != fitting


# --- secure messaging -------------------------------------------------------------------------------------------------


def asked(case: dict[str, Any], **change: Any) -> tuple[Ev2Session, Send]:
    enc, mac, transaction = (change.get(name, raw(case, name)) for name in ("enc", "mac", "transaction"))
    session = Ev2Session(enc, mac, transaction, change.get("counter", case["counter"]))
    command = NativeCommand(case["ins"], change.get("header", raw(case, "header")), change.get("data", raw(case, "data")))
    return session, session.start(command, CommMode(case["mode"]))


@each("command")
def test_command(case: dict[str, Any]) -> None:
    session, first = asked(case)
    assert first == Send(raw(case, "apdu"))
    assert session.receive(raw(case, "answer")) == Done(raw(case, "content"), 0)
    assert session.counter == case["counter"] + 1


@each("command")
def test_every_flipped_bit_of_an_answer_is_noticed(case: dict[str, Any]) -> None:
    for changed in flips(raw(case, "answer")):
        session, _ = asked(case)
        with pytest.raises(EV2Error, match="^answer: "):
            session.receive(changed)
        with pytest.raises(EV2Error, match="over"):
            session.start(NativeCommand(0x51), CommMode.FULL)


@each("command")
def test_every_flipped_bit_of_what_a_command_is_made_of_changes_its_mac(case: dict[str, Any]) -> None:
    """The badge, which checks this MAC, would see each of them. Without a MAC only what is sent itself differs."""
    golden = raw(case, "apdu")
    names = ["header", "data"] if case["mode"] == "plain" else ["header", "data", "mac", "transaction"]
    for name in names:
        for changed in flips(raw(case, name)):
            got = asked(case, **{name: changed})[1].apdu
            assert got != golden
            assert case["mode"] == "plain" or got[-9:-1] != golden[-9:-1]
    if case["mode"] != "plain":
        for counter in (case["counter"] ^ 1 << bit for bit in range(15)):
            assert asked(case, counter=counter)[1].apdu[-9:-1] != golden[-9:-1]


@each("command")
def test_every_flipped_bit_of_the_sessions_state_is_noticed_in_the_answer(case: dict[str, Any]) -> None:
    if case["mode"] == "plain":
        return
    wrong = [{name: changed} for name in ("mac", "transaction") for changed in flips(raw(case, name))]
    wrong += [{"counter": case["counter"] ^ 1 << bit} for bit in range(15)]
    if case["mode"] == "full" and case["content"]:
        wrong += [{"enc": changed} for changed in flips(raw(case, "enc"))]
    for change in wrong:
        session, _ = asked(case, **change)
        with pytest.raises(EV2Error, match="^answer: wrong (MAC|padding)"):
            session.receive(raw(case, "answer"))


# --- SUN and originality ----------------------------------------------------------------------------------------------


def layout(case: dict[str, Any]) -> SunLayout:
    return SunLayout(case["picc_name"], case["mac_name"], case.get("enc_name"))


def read(case: dict[str, Any], text: str, key: bytes) -> SunReading:
    return verify_text(text, layout(case), raw(case, "key"), lambda uid: key)


@each("sun")
def test_signed_url(case: dict[str, Any]) -> None:
    reading = read(case, case["text"], raw(case, "key"))
    assert (reading.uid, reading.counter, reading.file_data) == (raw(case, "uid"), case["counter"], raw(case, "file_data"))
    assert reading.newer_than(None)
    assert reading.newer_than(case["counter"] - 1)
    assert not reading.newer_than(case["counter"])
    assert not reading.newer_than(case["counter"] + 1)
    assert reading == SunReading(reading.uid, reading.counter), "a replay is the same value"


@each("sun")
def test_every_flipped_bit_of_a_signed_url_is_noticed(case: dict[str, Any]) -> None:
    """From the first parameter's name on: what stands before says nothing."""
    text = case["text"].encode()
    start = text.index(b"?")
    for tail in flips(text[start:]):
        with pytest.raises(SunRefused):
            read(case, (text[:start] + tail).decode("latin-1"), raw(case, "key"))


@each("sun")
def test_every_flipped_bit_of_either_key_is_noticed(case: dict[str, Any]) -> None:
    for changed in flips(raw(case, "key")):
        with pytest.raises(SunRefused, match="signature"):
            read(case, case["text"], changed)
        with pytest.raises(SunRefused):
            verify_text(case["text"], layout(case), changed, lambda uid: raw(case, "key"))


@each("sun_plain")
def test_plain_signed_message(case: dict[str, Any]) -> None:
    key, uid, mac, counter = raw(case, "key"), raw(case, "uid"), raw(case, "mac"), case["counter"]
    assert verify_plain(key, uid, counter, mac) == SunReading(uid, counter)
    wrong = [(changed, uid, counter, mac) for changed in flips(key)] + [(key, changed, counter, mac) for changed in flips(uid)]
    wrong += [(key, uid, counter ^ 1 << bit, mac) for bit in range(24)] + [(key, uid, counter, changed) for changed in flips(mac)]
    for values in wrong:
        with pytest.raises(SunRefused, match="does not fit"):
            verify_plain(*values)


@each("originality")
def test_originality(case: dict[str, Any]) -> None:
    uid, signature, public = raw(case, "uid"), raw(case, "signature"), raw(case, "public_key")
    assert is_original(uid, signature, public)
    assert is_original(uid, signature), "it is the key that the driver has built in"
    assert not any(is_original(changed, signature, public) for changed in flips(uid))
    assert not any(is_original(uid, changed, public) for changed in flips(signature))
    for changed in flips(public):
        try:
            assert not is_original(uid, signature, changed)
        except ValueError:
            continue  # No point of the curve at all.
    assert not is_original(uid[:4], signature)
    assert not is_original(uid, signature[:-1])
