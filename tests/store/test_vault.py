"""The three things done with keys, against the reference's numbers (security-and-reliability 2.4, row ``ours opin1``)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from terminal.core.card_data import PinRule
from terminal.core.ids import SaleId
from terminal.core.pin import PinEntry
from terminal.store.vault import SEAL_DOMAIN, KeyFileError, KeyVault

NUMBER = "7001231234567890123"
TOKEN_KEY = bytes(range(0x00, 0x20))
FLEET_PIN_KEY = bytes(range(0x20, 0x40))
CARD_KEY = bytes(range(0x40, 0x60))
DEVICE_KEY = bytes.fromhex("2abe3241213af4d6c6833ed3906305268560b3c35a6e058b6195c2b68ff5382c")
TOKEN = "dccb1c42ae098ab1a71cdd079d48df17"
V1_1234 = "1e05479cec35d4fce704acc62dab3a1d"
V1_1235 = "43b079ea72a312bf6cc8360b4d9a63a6"


@pytest.fixture
def vault() -> KeyVault:
    return KeyVault(TOKEN_KEY, DEVICE_KEY, CARD_KEY)


def typed(digits: str) -> PinEntry:
    pin = PinEntry()
    for digit in digits:
        pin.add(digit)
    return pin


def test_the_token_is_the_references(vault: KeyVault) -> None:
    assert vault.token(NUMBER) == TOKEN


def test_the_device_key_follows_from_the_fleets() -> None:
    """Not done on a terminal; it ties the next test's key to the reference's fleet key, site and device."""
    assert hmac.digest(FLEET_PIN_KEY, b"fleet/opin-device/v1\0SITE-0042\0OPT-1", "sha256") == DEVICE_KEY


def test_the_pins_are_the_references(vault: KeyVault) -> None:
    assert vault.pin_matches(PinRule("opin1", 7, V1_1234, 3), TOKEN, typed("1234"))
    assert vault.pin_matches(PinRule("opin1", 7, V1_1235, 3), TOKEN, typed("1235"))


@pytest.mark.parametrize(
    ("rule", "account", "digits"),
    [
        (PinRule("opin1", 7, V1_1234, 3), TOKEN, "1235"),
        (PinRule("opin1", 7, V1_1234, 3), TOKEN, "12340"),
        (PinRule("opin1", 7, V1_1234, 3), TOKEN, ""),
        (PinRule("opin1", 8, V1_1234, 3), TOKEN, "1234"),
        (PinRule("opin1", 7, V1_1234, 3), TOKEN[:-2] + "00", "1234"),
        (PinRule("opin2", 7, V1_1234, 3), TOKEN, "1234"),
        (PinRule("opin1", 7, "", 3), TOKEN, "1234"),
        (PinRule("opin1", 7, V1_1234[:-2], 3), TOKEN, "1234"),
        (PinRule("opin1", 7, "no hex at all", 3), TOKEN, "1234"),
        (PinRule("opin1", 7, V1_1234, 3), "no hex at all", "1234"),
    ],
)
def test_anything_else_matches_nothing(vault: KeyVault, rule: PinRule, account: str, digits: str) -> None:
    assert not vault.pin_matches(rule, account, typed(digits))


def test_only_the_card_key_and_the_same_sale_open_the_sealed_field(vault: KeyVault) -> None:
    sale = SaleId("OPT-1-1-42")
    box = base64.b64decode(vault.seal(NUMBER, sale), validate=True)
    nonce = hashlib.sha256(SEAL_DOMAIN + b"OPT-1-1-42").digest()[:12]
    assert AESGCM(CARD_KEY).decrypt(nonce, box, b"OPT-1-1-42").decode() == NUMBER
    assert len(box) == len(NUMBER) + 16
    for key, sealed, data in (
        (TOKEN_KEY, box, b"OPT-1-1-42"),
        (CARD_KEY, box, b"OPT-1-1-43"),
        (CARD_KEY, bytes([box[0] ^ 1]) + box[1:], b"OPT-1-1-42"),
    ):
        with pytest.raises(InvalidTag):
            AESGCM(key).decrypt(nonce, sealed, data)


def test_a_retry_seals_the_same_and_another_sale_another(vault: KeyVault) -> None:
    assert vault.seal(NUMBER, SaleId("OPT-1-1-1")) == vault.seal(NUMBER, SaleId("OPT-1-1-1"))
    boxes = {vault.seal(NUMBER, SaleId(f"OPT-1-1-{number}")) for number in range(100)}
    assert len(boxes) == 100


def files(folder: Path) -> list[Path]:
    paths = [folder / "token", folder / "pin", folder / "card"]
    for path, key in zip(paths, (TOKEN_KEY, DEVICE_KEY, CARD_KEY), strict=True):
        path.write_text(key.hex() + "\n", encoding="ascii")
    return paths


def test_keys_come_from_files(tmp_path: Path, vault: KeyVault) -> None:
    read = KeyVault.from_files(*files(tmp_path))
    sale = SaleId("OPT-1-1-42")
    assert read.token(NUMBER) == TOKEN
    assert read.pin_matches(PinRule("opin1", 7, V1_1234, 3), TOKEN, typed("1234"))
    assert read.seal(NUMBER, sale) == vault.seal(NUMBER, sale)


SECRET = bytes(range(0x90, 0xB0))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (SECRET, r"not a key \(64 hex digits expected\)"),
        (SECRET.hex().encode()[:-2], "31 bytes, 32 expected"),
        (SECRET.hex().encode()[:-1], "not a key"),
        (b"", "0 bytes, 32 expected"),
        (b"key=" + SECRET.hex().encode(), "not a key"),
        (None, "No such file.*readable by the service's user"),
    ],
    ids=["binary", "short", "odd", "empty", "named", "missing"],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_wrong_key_file_is_named_and_its_content_is_not(tmp_path: Path, place: int, content: bytes | None, words: str) -> None:
    paths = files(tmp_path)
    paths[place].unlink()
    if content is not None:
        paths[place].write_bytes(content)
    with pytest.raises(KeyFileError, match=words) as caught:
        KeyVault.from_files(*paths)
    assert str(paths[place]) in str(caught.value)
    told = ""
    error: BaseException | None = caught.value
    while error is not None:
        told += repr(error) + str(error) + repr(vars(error))
        error = error.__cause__ or error.__context__
    for part in (repr(SECRET[:4])[2:-1], SECRET.hex()[:8]):
        assert part not in told


def test_the_vault_shows_nothing(vault: KeyVault) -> None:
    shown = repr(vault) + str(vault)
    for key in (TOKEN_KEY, DEVICE_KEY, CARD_KEY):
        assert key.hex() not in shown
        assert repr(key) not in shown
