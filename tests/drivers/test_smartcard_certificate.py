"""Chip cards with a certificate: the golden one, every bit of it flipped, every other certificate that a card could show, and habits."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from drivers.events import Trust
from drivers.smartcard.certificate import CertificateRefused, FleetAuthority
from drivers.smartcard.fleet import CardRefused, ChipKey, FleetCard, FleetDialogue, signed_by_card
from hal_sim.smartcard.card import Card, Habits, Personal, make_card
from hal_sim.smartcard.certified import CERTIFIED_MAKES, Certified, CertifiedCard, make_certified
from hal_sim.smartcard.certified import CardAuthority as Issuer
from tests.drivers.test_smartcard_fleet import EVERY_HABIT

GOLDEN: dict[str, Any] = tomllib.loads((Path(__file__).resolve().parents[2] / "firmware_notes" / "chip-card.frames.toml").read_text())
CARD, CERTIFIED = GOLDEN["card"], GOLDEN["certified"]
NUMBER, SERIAL, CHALLENGE = CARD["number"], bytes.fromhex(CARD["serial"]), bytes.fromhex(CARD["challenge"])
IDENTITY, CERTIFICATE, PROOF = (bytes.fromhex(CERTIFIED[name]) for name in ("identity", "certificate", "proof"))
NOW: int = CERTIFIED["at_utc_ms"]
AUTHORITY = FleetAuthority(CERTIFIED["authority"].encode())
ISSUER = Issuer()
PINNED = FleetAuthority(ISSUER.pem())
MASTER = bytes(range(32))


def talk(
    card: Card, authority: FleetAuthority | None = PINNED, key: ChipKey | None = None, now: int | None = NOW, challenge: bytes = CHALLENGE
) -> FleetCard:
    """The whole conversation. Raises CardRefused."""
    dialogue = FleetDialogue(card.habits.t0, key, challenge, authority, now)
    step: bytes | FleetCard = dialogue.start()
    for _ in range(40):
        if isinstance(step, FleetCard):
            return step
        card.heard.append(step)
        step = dialogue.receive(card.apdu(step))
    raise AssertionError("the conversation has no end")


# --- the golden card --------------------------------------------------------------------------------------------------


def judged(certificate: bytes = CERTIFICATE, identity: bytes = IDENTITY, challenge: bytes = CHALLENGE, proof: bytes = PROOF) -> bool:
    """Is the golden proof good, with this changed?"""
    try:
        key = AUTHORITY.card_key(certificate, NUMBER, SERIAL, NOW)
    except CertificateRefused:
        return False
    return key.signed(signed_by_card(challenge, identity), proof)


def test_the_golden_card() -> None:
    assert judged()


@pytest.mark.parametrize("part", ["certificate", "identity", "challenge", "proof"])
def test_no_bit_of_it_can_be_changed(part: str) -> None:
    good = {"certificate": CERTIFICATE, "identity": IDENTITY, "challenge": CHALLENGE, "proof": PROOF}[part]
    for bit in range(len(good) * 8):
        changed = bytearray(good)
        changed[bit // 8] ^= 1 << bit % 8
        assert not judged(**{part: bytes(changed)}), f"bit {bit}"


# --- cards ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("habits", EVERY_HABIT, ids=str)
def test_every_habit(habits: Habits) -> None:
    card = make_certified("certificate", NUMBER, habits, ISSUER, SERIAL, "2712")
    found = talk(card)
    assert found == FleetCard(NUMBER, "2712", proven=True, certified=True)
    assert found.trust is Trust.T3
    assert {command[1] for command in card.heard} <= {0xA4, 0xB0, 0x88, 0xC0}


@pytest.mark.parametrize(
    ("make", "why"),
    [
        ("certificate copy", "gives a wrong proof"),
        ("certificate of another", "shows another card's certificate"),
        ("foreign certificate", "shows a certificate of another authority"),
        ("expired certificate", "shows a certificate that has expired"),
    ],
)
@pytest.mark.parametrize("t0", [False, True])
def test_every_other_make_is_forged(make: str, why: str, t0: bool) -> None:
    with pytest.raises(CardRefused) as refused:
        talk(make_certified(make, NUMBER, Habits(t0=t0), ISSUER, SERIAL, "2912"))
    assert (str(refused.value), refused.value.forged) == (why, True)
    assert make in CERTIFIED_MAKES


def test_who_proves_what_by_which_key() -> None:
    """A certificate where only the fleet's key is known, and the other way round, prove nothing; where both are, each card has its own."""

    def certified() -> Card:
        return make_certified("certificate", NUMBER, Habits(), ISSUER, SERIAL, "2912")

    def keyed() -> Card:
        return make_card("fleet", NUMBER, Habits(), MASTER)

    key = ChipKey(MASTER)
    assert talk(certified(), PINNED, key).trust is Trust.T3
    assert talk(keyed(), PINNED, key).trust is Trust.T2
    assert talk(certified(), None, None).trust is Trust.T0
    for card, authority, own in ((certified(), None, key), (keyed(), PINNED, None)):
        with pytest.raises(CardRefused, match="by another key than ours") as refused:
            talk(card, authority, own)
        assert refused.value.forged


def test_a_proof_is_good_for_one_challenge() -> None:
    card = make_certified("certificate", NUMBER, Habits(), ISSUER, SERIAL, "2912")
    said: dict[int, bytes] = {}

    class Recorded(Card):
        def execute(self, ins: int, p1: int, p2: int, data: bytes) -> bytes:
            answer = card.execute(ins, p1, p2, data)
            return said.setdefault(0x88, answer) if ins == 0x88 else answer

    assert talk(Recorded(Habits())).certified
    with pytest.raises(CardRefused, match="gives a wrong proof"):
        talk(Recorded(Habits()), challenge=bytes(16))


@given(st.integers(0, len(IDENTITY) * 8 - 1))
def test_another_identity_on_the_way_is_noticed(bit: int) -> None:
    real = make_certified("certificate", NUMBER, Habits(), ISSUER, SERIAL, "2912")

    class Middle(Card):
        def execute(self, ins: int, p1: int, p2: int, data: bytes) -> bytes:
            answer = real.execute(ins, p1, p2, data)
            if (ins, p1) != (0xB0, 0x81):
                return answer
            changed = bytearray(answer)
            changed[bit // 8] ^= 1 << bit % 8
            return bytes(changed)

    with pytest.raises(CardRefused) as refused:
        talk(Middle(Habits()))
    assert NUMBER[:6] not in str(refused.value)


# --- certificates -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (None, "the time is not known"),
        (round(datetime(1999, 12, 31, tzinfo=UTC).timestamp() * 1000), "not in force yet"),
        (round(datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1000), "has expired"),
    ],
)
def test_its_time(now: int | None, why: str) -> None:
    with pytest.raises(CardRefused, match=why):
        talk(make_certified("certificate", NUMBER, Habits(), ISSUER, SERIAL, "2912"), now=now)


def test_an_authority_that_has_expired_vouches_for_nobody() -> None:
    old = Issuer(end=datetime(2001, 1, 1, tzinfo=UTC))
    with pytest.raises(CardRefused, match="has expired"):
        talk(make_certified("certificate", NUMBER, Habits(), old, SERIAL, "2912"), FleetAuthority(old.pem()))


def test_the_next_authority_is_known_beside_the_present_one() -> None:
    following = Issuer("Fleet cards")
    both = FleetAuthority(ISSUER.pem() + following.pem())
    for issuer in (ISSUER, following):
        assert talk(make_certified("certificate", NUMBER, Habits(), issuer, SERIAL, "2912"), both).certified


def shown(certificate: bytes, key: ec.EllipticCurvePrivateKey | None = None) -> FleetCard:
    """A card that shows this certificate."""
    own = key or ec.generate_private_key(ec.SECP256R1())
    return talk(CertifiedCard(Certified(Personal(NUMBER, "2912", 0, SERIAL), certificate, own), Habits()))


def made(**changes: Any) -> bytes:
    """A certificate of the right authority, with this changed."""
    key = changes.get("key", ec.generate_private_key(ec.SECP256R1()).public_key())
    names = changes.get("names", [(NameOID.COMMON_NAME, NUMBER), (NameOID.SERIAL_NUMBER, SERIAL.hex().upper())])
    begun = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(oid, value) for oid, value in names]))
        .issuer_name(ISSUER.certificate.subject)
        .public_key(key)
        .serial_number(7)
        .not_valid_before(datetime(2000, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2099, 1, 1, tzinfo=UTC))
    )
    for extension, critical in changes.get("extensions", [(x509.BasicConstraints(False, None), True), (USAGE, True)]):
        begun = begun.add_extension(extension, critical)
    return begun.sign(ISSUER.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


USAGE = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
SIGNER = x509.KeyUsage(True, False, False, False, False, True, False, False, False)
CA, LEAF = x509.BasicConstraints(True, None), x509.BasicConstraints(False, None)
STRANGE = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")


def test_the_certificate_of_these_tests_is_right_before_it_is_changed() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    assert shown(made(key=key.public_key()), key).certified


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"names": [(NameOID.COMMON_NAME, NUMBER)]}, "another card's certificate"),
        ({"names": [(NameOID.COMMON_NAME, NUMBER), (NameOID.SERIAL_NUMBER, "00" * 8)]}, "another card's certificate"),
        ({"names": [(NameOID.COMMON_NAME, "7" * 19), (NameOID.SERIAL_NUMBER, SERIAL.hex().upper())]}, "another card's certificate"),
        (
            {"names": [(NameOID.COMMON_NAME, "7"), (NameOID.COMMON_NAME, NUMBER), (NameOID.SERIAL_NUMBER, SERIAL.hex().upper())]},
            "another card's certificate",
        ),
        ({"extensions": [(CA, True), (USAGE, True)]}, "not for cards"),
        ({"extensions": [(LEAF, True), (SIGNER, True)]}, "not for cards"),
        ({"extensions": [(LEAF, True), (USAGE, True), (STRANGE, True)]}, "not for cards"),
        ({"extensions": [(LEAF, True)]}, "cannot be read"),
        ({"extensions": []}, "cannot be read"),
        ({"key": ed25519.Ed25519PrivateKey.generate().public_key()}, "another kind of key"),
        ({"key": ec.generate_private_key(ec.SECP384R1()).public_key()}, "another kind of key"),
        ({"key": rsa.generate_private_key(65537, 2048).public_key()}, "another kind of key"),
    ],
)
def test_certificates_of_our_authority_that_are_not_this_cards(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(CardRefused, match=why) as refused:
        shown(made(**changes))
    assert refused.value.forged
    assert NUMBER not in str(refused.value)


def test_a_card_cannot_make_certificates_for_others() -> None:
    """What a card's key has signed is of another authority, whatever it calls itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    false = Issuer()
    false.key = key
    with pytest.raises(CardRefused, match="of another authority"):
        shown(false.issue(NUMBER, SERIAL, key.public_key()), key)


@given(st.binary(max_size=1_200))
def test_whatever_is_shown_as_a_certificate_is_refused_in_words(content: bytes) -> None:
    for text in (content, CERTIFICATE[:40] + content, b"\x30\x82" + len(content).to_bytes(2, "big") + content):
        with pytest.raises(CardRefused) as refused:
            shown(text)
        assert str(refused.value).startswith(("shows a", "gives no", "gives a wrong", "does not answer"))


def test_a_certificate_without_an_end_is_given_up() -> None:
    class Endless(CertifiedCard):
        def _read(self, p1: int, p2: int) -> bytes:
            return super()._read(p1, p2) if p1 == 0x81 else b"\x30\x82\xff\xff" + bytes(200) + b"\x90\x00"

    card = Endless(Certified(Personal(NUMBER, "2912", 0, SERIAL), CERTIFICATE, ec.generate_private_key(ec.SECP256R1())), Habits())
    with pytest.raises(CardRefused, match="cannot be read"):
        talk(card)
    assert len(card.heard) <= 4


@pytest.mark.parametrize(
    "pem",
    [b"", b"no certificate", CERTIFIED["authority"].encode()[:200], ISSUER.pem() * 5],
)
def test_authorities_that_are_none(pem: bytes) -> None:
    with pytest.raises(ValueError, match="one to four certificates"):
        FleetAuthority(pem)


def test_a_cards_certificate_is_no_authority() -> None:
    leaf = x509.load_der_x509_certificate(CERTIFICATE).public_bytes(serialization.Encoding.PEM)
    with pytest.raises(ValueError, match="one to four certificates"):
        FleetAuthority(leaf)
