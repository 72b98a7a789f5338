"""The badge profiles of the configuration: what they become, and that every mistake in them is named with its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.badge.diversify import badge_key
from drivers.badge.ev2_session import CommMode
from drivers.badge.profiles import Content, Ev2Profile, NdefProfile, SunProfile, UidForm, UidOrder, UidProfile
from drivers.badge.proof import ProofProfile
from drivers.badge.sun import SunLayout
from drivers.badge.uid import NumberProfile
from terminal.badges import profiles_of
from terminal.config import Config, ConfigError
from tests.test_config import example, load_text, refusal

UID = bytes.fromhex("04A1B2C3D4E580")
KEYS = {"badge_master": bytes(range(16)), "sun_meta": bytes(range(16, 32)), "sun_file": bytes(range(32, 48))}
EV2 = '[[badge_profile]]\nname = "fleet"\nkind = "ev2"\napplication = "F5A110"\nsystem = "FLEET-01"\n'
SUN = '[[badge_profile]]\nname = "links"\nkind = "sun"\nsystem = "FLEET-01"\n'
NDEF = '[[badge_profile]]\nname = "texts"\nkind = "ndef"\n'
UIDS = '[[badge_profile]]\nname = "uids"\nkind = "uid"\n'
NEEDS_MASTER = 'badge_master = "/k"\n'
NEEDS_SUN = 'sun_meta = "/k"\nsun_file = "/k"\n'


def text(tables: str, keys: str = "", profile: str | None = None) -> str:
    """The example with these tables and keys; ``profile`` of the reader."""
    reader = '/badge-reader-1" }' if profile is None else f'/badge-reader-1", profile = "{profile}" }}'
    return example(("# chip = ", keys + "# chip = "), ('/badge-reader-1" }', reader)) + tables


def config(folder: Path, tables: str, profile: str | None = None) -> Config:
    """With key files that can be read, of the keys that are needed."""
    lines = ""
    for name, key in KEYS.items():
        if ('"ev2"' if name == "badge_master" else '"sun"') in tables:
            (folder / name).write_text(key.hex() + "\n")
            lines += f'{name} = "{folder / name}"\n'
    return load_text(folder, text(tables, lines, profile))


def profiles(found: Config) -> tuple[object, ...]:
    reader = found.side[0].badge_reader
    assert reader is not None
    return profiles_of(found, reader)


def test_without_tables_the_readers_own_profile_is_all(tmp_path: Path) -> None:
    assert profiles(config(tmp_path, "")) == (NumberProfile.AUTO,)
    assert profiles(config(tmp_path, "", "uid")) == (NumberProfile.UID,)


def test_tables_come_before_it_in_their_order(tmp_path: Path) -> None:
    ev2, sun, ndef, auto = profiles(config(tmp_path, EV2 + SUN + NDEF))
    assert isinstance(ev2, Ev2Profile)
    assert (ev2.proof, ev2.content) == (ProofProfile(bytes.fromhex("F5A110"), mode=CommMode.FULL), Content.TEXT)
    assert ev2.key_for(UID) == badge_key(KEYS["badge_master"], UID, bytes.fromhex("F5A110"), b"FLEET-01")
    assert isinstance(sun, SunProfile)
    assert (sun.layout, sun.meta_key) == (SunLayout(), KEYS["sun_meta"])
    assert sun.key_for(UID) == badge_key(KEYS["sun_file"], UID, bytes.fromhex("D2760000850101"), b"FLEET-01")
    assert (ndef, auto) == (NdefProfile(), NumberProfile.AUTO)


def test_every_setting_arrives(tmp_path: Path) -> None:
    tables = (
        EV2.replace("FLEET-01", "")
        + "diversified = false\nrandom_uid = true\nkey_number = 3\nfile_number = 7\noffset = 5\nlength = 20\n"
        + 'mode = "mac"\ncontent = "hex"\n'
        + SUN
        + 'picc = "p"\nmac = "m"\nenc = "e"\ndiversified = false\n'
        + UIDS
        + 'order = "reversed"\nform = "decimal"\n'
    )
    ev2, sun, uid = profiles(config(tmp_path, tables, "none"))
    assert isinstance(ev2, Ev2Profile)
    assert ev2.proof == ProofProfile(bytes.fromhex("F5A110"), 3, 7, 5, 20, CommMode.MAC, random_uid=True)
    assert (ev2.content, ev2.key_for(UID)) == (Content.HEX, KEYS["badge_master"])
    assert isinstance(sun, SunProfile)
    assert (sun.layout, sun.key_for(UID)) == (SunLayout("p", "m", "e"), KEYS["sun_file"])
    assert uid == UidProfile(UidOrder.REVERSED, UidForm.DECIMAL)


@pytest.mark.parametrize(
    ("tables", "keys", "key", "word"),
    [
        (EV2, "", "keys.badge_master", "needs the name of this key's file"),
        (SUN, 'sun_meta = "/k"\n', "keys.sun_file", "needs the name of this key's file"),
        (NDEF, NEEDS_MASTER, "keys.badge_master", "no badge_profile needs it"),
        (EV2, f'badge_master = "{"0" * 32}"\n', "keys.badge_master", "take the key for known by others"),
        (EV2 + EV2, NEEDS_MASTER, "badge_profile.name", "given twice"),
        (EV2 + EV2.replace("fleet", "f").replace("F5A110", "f5a110"), NEEDS_MASTER, "badge_profile.application", "given twice"),
        (UIDS + NDEF, "", "badge_profile.name", "never tried"),
        (EV2.replace("ev2", "ev1"), NEEDS_MASTER, "badge_profile[0].kind", "ev1"),
        (EV2.replace('kind = "ev2"\n', ""), NEEDS_MASTER, "badge_profile[0]", "missing name `kind`"),
        (EV2 + "key = 1\n", NEEDS_MASTER, "badge_profile[0]", "unknown name `key`"),
        (NDEF + "length = 3\n", "", "badge_profile[0]", "unknown name `length`"),
        (EV2.replace("F5A110", "F5A1"), NEEDS_MASTER, "badge_profile[0].application", "6 to 32 hex digits"),
        (EV2.replace("F5A110", "F5A11000"), NEEDS_MASTER, "badge_profile.application", "4 bytes"),
        (EV2.replace("FLEET-01", "X"), NEEDS_MASTER, "badge_profile.system", "6 to 21 characters"),
        (EV2.replace("FLEET-01", "Flotte é"), NEEDS_MASTER, "badge_profile[0].system", "without accents"),
        (SUN.replace("FLEET-01", ""), NEEDS_SUN, "badge_profile.system", "2 to 17 characters"),
        (EV2 + "random_uid = true\n", NEEDS_MASTER, "badge_profile.diversified", "must be false"),
        (EV2 + "length = 240\n", NEEDS_MASTER, "badge_profile.length", "at most 239 in mode full"),
        (EV2 + 'mode = "plain"\n', NEEDS_MASTER, "badge_profile[0].mode", "plain"),
        (EV2 + 'content = "uid"\nlength = 6\n', NEEDS_MASTER, "badge_profile.length", "7 bytes"),
        (EV2 + 'content = "uid"\nrandom_uid = true\ndiversified = false\n', NEEDS_MASTER, "badge_profile.content", "cannot be compared"),
        (EV2 + 'content = "hex"\nlength = 33\n', NEEDS_MASTER, "badge_profile.length", "64 hex digits"),
        (EV2 + "key_number = 14\n", NEEDS_MASTER, "badge_profile[0].key_number", "<= 13"),
        (SUN + 'enc = "cmac"\n', NEEDS_SUN, "badge_profile.enc", "must differ"),
        (SUN + 'picc = "a&b"\n', NEEDS_SUN, "badge_profile[0].picc", "parameter's name"),
    ],
)
def test_every_mistake_is_named(tmp_path: Path, tables: str, keys: str, key: str, word: str) -> None:
    said = refusal(tmp_path, text(tables, keys))
    assert said.startswith(key), said
    assert word in said, said


def test_no_badge_at_all_is_a_mistake(tmp_path: Path) -> None:
    assert "no badge would be read" in refusal(tmp_path, text("", profile="none"))


@pytest.mark.parametrize("content", ["", "00" * 32, "zz" * 16, "00" * 15])
def test_a_key_file_that_holds_no_such_key(tmp_path: Path, content: str) -> None:
    found = config(tmp_path, EV2)
    (tmp_path / "badge_master").write_text(content)
    with pytest.raises(ConfigError, match="keys.badge_master") as refused:
        profiles(found)
    assert not content or content not in str(refused.value)
