"""Every vector of the reference (security-and-reliability 2.4) that is no badge's, with each of its bits flipped: no other input gives it.

Those of badges (CMAC, AN10922, EV2, SUN, CommMode, GetCardUID, originality) are in tests/drivers/test_badge_vectors.py, a chip card's
certificate in test_smartcard_certificate.py, a block that is changed on its way in test_pin_block.py. Formats 0 to 3, TDES and TR-31 are
not in this product.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from terminal.core.pin import PinEntry, opin1
from terminal.store.dukpt import DukptState, Usage, derive, initial_key, reserve
from terminal.store.ledger import CHAIN_START, chain_hash
from terminal.store.pin_block import PinBlockError, encipher
from terminal.store.vault import KeyVault

VECTORS: dict[str, Any] = tomllib.loads((Path(__file__).resolve().parents[2] / "firmware_notes" / "pins.vectors.toml").read_text())
BODIES = (b'{"e":"boot"}', b'{"e":"auth","t":"x"}')
LINKS = (
    bytes.fromhex("e7667cb28460f91d2fe6f8441fb635301c451acdda348d2761e22522e418dc97"),
    bytes.fromhex("2630ef417e138abd4f0b1b42b249cd65fe0bd3929ce34998cccf014a6376449f"),
)


def flips(data: bytes) -> Iterator[bytes]:
    """The same bytes with one bit changed, for every bit."""
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def typed(digits: str) -> PinEntry:
    entry = PinEntry()
    for digit in digits:
        entry.add(digit)
    return entry


# --- PIN verifier and token -----------------------------------------------------------------------------------------------

TOKEN_KEY, NUMBER = bytes(range(0x20)), "7001231234567890123"
TOKEN = "dccb1c42ae098ab1a71cdd079d48df17"
DEVICE_KEY = bytes.fromhex("2abe3241213af4d6c6833ed3906305268560b3c35a6e058b6195c2b68ff5382c")
V1 = bytes.fromhex("1e05479cec35d4fce704acc62dab3a1d")


def test_opin1() -> None:
    token = bytes.fromhex(TOKEN)
    assert opin1(DEVICE_KEY, token, 7, typed("1234")) == V1
    assert opin1(DEVICE_KEY, token, 7, typed("1235")).hex() == "43b079ea72a312bf6cc8360b4d9a63a6"
    others = [opin1(changed, token, 7, typed("1234")) for changed in flips(DEVICE_KEY)]
    others += [opin1(DEVICE_KEY, changed, 7, typed("1234")) for changed in flips(token)]
    others += [opin1(DEVICE_KEY, token, 7 ^ 1 << bit, typed("1234")) for bit in range(32)]
    others += [opin1(DEVICE_KEY, token, 7, typed(f"{pin:04}")) for pin in range(10_000) if pin != 1234]
    others += [opin1(DEVICE_KEY, token, 7, typed(pin)) for pin in ("12340", "01234", "12341234", "123")]
    assert V1 not in others


def test_the_token_of_a_number() -> None:
    def token(key: bytes, number: str) -> str:
        return KeyVault(key, bytes(32), bytes(32)).token(number)

    assert token(TOKEN_KEY, NUMBER) == TOKEN
    assert TOKEN not in {token(changed, NUMBER) for changed in flips(TOKEN_KEY)}
    assert TOKEN not in {token(TOKEN_KEY, changed.decode("latin-1")) for changed in flips(NUMBER.encode())}


# --- audit chain ----------------------------------------------------------------------------------------------------------


def test_the_audit_chain() -> None:
    first = chain_hash(CHAIN_START, 1, BODIES[0])
    assert (first, chain_hash(first, 2, BODIES[1])) == LINKS
    for previous, seq, body, link in ((CHAIN_START, 1, BODIES[0], LINKS[0]), (LINKS[0], 2, BODIES[1], LINKS[1])):
        others = [chain_hash(changed, seq, body) for changed in flips(previous)]
        others += [chain_hash(previous, seq ^ 1 << bit, body) for bit in range(64)]
        others += [chain_hash(previous, seq, changed) for changed in flips(body)]
        assert link not in others


# --- AES DUKPT ------------------------------------------------------------------------------------------------------------


def transaction(key: bytes, key_id: bytes, counter: int, usage: Usage) -> bytes:
    """The key of the counter-th transaction, as the terminal takes it."""
    state = DukptState.load(key, key_id)
    reservation = reserve(state, counter)
    supply = reservation.committed(DukptState.from_bytes(reservation.successor.to_bytes()))
    return [supply.take() for _ in range(counter)][-1].key(usage)


WORKING = (Usage.PIN_ENCRYPTION, Usage.MAC_GENERATION, Usage.DATA_ENCRYPTION)
WANTED = {
    (1, Usage.PIN_ENCRYPTION): "AF8CB133A78F8DC2D1359F18527593FB",
    (1, Usage.MAC_GENERATION): "A2DC23DE6FDE0824A2BC321E08E4B8B7",
    (1, Usage.DATA_ENCRYPTION): "A35C412EFD41FDB98B69797C02DCD08F",
    (2, Usage.PIN_ENCRYPTION): "D30BDC73EC9714B000BEC66BDB7B6D09",
}


def test_the_initial_key_of_aes_dukpt() -> None:
    base, key_id = bytes.fromhex("FEDCBA9876543210F1F1F1F1F1F1F1F1"), bytes.fromhex("1234567890123456")
    wanted = bytes.fromhex("1273671EA26AC29AFA4D1084127652A1")
    assert initial_key(base, key_id) == wanted
    assert wanted not in {initial_key(changed, key_id) for changed in flips(base)}
    assert wanted not in {initial_key(base, changed) for changed in flips(key_id)}


@pytest.mark.parametrize(("counter", "usage"), WANTED)
def test_the_keys_of_aes_dukpt(counter: int, usage: Usage) -> None:
    key, key_id = bytes.fromhex("1273671EA26AC29AFA4D1084127652A1"), bytes.fromhex("1234567890123456")
    wanted = bytes.fromhex(WANTED[counter, usage])
    assert transaction(key, key_id, counter, usage) == wanted
    assert wanted not in {transaction(changed, key_id, counter, usage) for changed in flips(key)}
    # The first half of the id says only whose key it is: what is derived depends on the second (X9.24-3, 6.3.2).
    assert wanted not in {transaction(key, key_id[:4] + changed, counter, usage) for changed in flips(key_id[4:])}
    assert wanted not in {transaction(key, key_id, other, usage) for other in (1, 2, 3, 4, 5) if other != counter}
    assert wanted not in {transaction(key, key_id, counter, other) for other in WORKING if other is not usage}


def test_one_step_of_the_derivation() -> None:
    case = VECTORS["dukpt_128"]
    key, context = bytes.fromhex(case["initial_key"]), bytes.fromhex(case["key_id"])[4:] + (1).to_bytes(4, "big")
    wanted = bytes.fromhex("4F21B565BAD9835E112B6465635EAE44")
    assert derive(key, Usage.DERIVATION, context) == wanted
    assert wanted not in {derive(changed, Usage.DERIVATION, context) for changed in flips(key)}
    assert wanted not in {derive(key, Usage.DERIVATION, changed) for changed in flips(context)}


# --- PIN block ------------------------------------------------------------------------------------------------------------


def block(key: bytes, pin: bytes, pan: str, random: bytes) -> bytes | None:
    try:
        return encipher(key, bytearray(pin), pan, random)
    except PinBlockError:
        return None


@pytest.mark.parametrize("case", VECTORS["pin_block"], ids=lambda case: case["source"][:30])
def test_a_block_of_format_4(case: dict[str, str]) -> None:
    key, random, pin, pan = bytes.fromhex(case["key"]), bytes.fromhex(case["random"]), case["pin"].encode(), case["pan"]
    wanted = bytes.fromhex(case["block"])
    assert block(key, pin, pan, random) == wanted
    assert wanted not in {block(changed, pin, pan, random) for changed in flips(key)}
    assert wanted not in {block(key, changed, pan, random) for changed in flips(pin)}
    assert wanted not in {block(key, pin, changed.decode("latin-1"), random) for changed in flips(pan.encode())}
    assert wanted not in {block(key, pin, pan, changed) for changed in flips(random)}


# --- Ed25519 --------------------------------------------------------------------------------------------------------------

RFC_8032 = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
)


@pytest.mark.parametrize(("private", "public", "message", "signature"), RFC_8032, ids=["test 1", "test 2"])
def test_signatures_of_lists(private: str, public: str, message: str, signature: str) -> None:
    """By the library that the lists' heads are checked with (terminal/host/list_head.py; its own flips: tests/host/test_list_sync.py)."""
    text, signed, key = bytes.fromhex(message), bytes.fromhex(signature), bytes.fromhex(public)
    assert Ed25519PrivateKey.from_private_bytes(bytes.fromhex(private)).sign(text) == signed
    assert good(key, text, signed)
    assert not any(good(changed, text, signed) for changed in flips(key))
    assert not any(good(key, changed, signed) for changed in (*flips(text), text + b"\0"))
    assert not any(good(key, text, changed) for changed in flips(signed))


def good(key: bytes, text: bytes, signed: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signed, text)
    except (InvalidSignature, ValueError):
        return False
    return True
