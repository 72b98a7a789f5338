"""learn-badge on real nfcpy: what each make of badge tells without a key, and the profile that is written for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner

from drivers.badge.learn import Learnt, layout_of
from drivers.badge.sun import SunLayout
from hal_sim.badge.catalogue import Badges, SmartTag
from hal_sim.badge.ntag424 import Ntag424
from hal_sim.badge.tags import Ntag21x, Tag, Type4A, tag_for_number
from terminal.__main__ import main
from terminal.badges import learn_from
from terminal.config import Config, load
from terminal.learn_badge import lines, profile_text
from tests.drivers.badge_place import Place
from tests.test_badge_config import NEEDS_MASTER, NEEDS_SUN, text

NUMBER = "04A1B2C3D4E580"
UID = bytes.fromhex(NUMBER)
SIGNED = bytes.fromhex("041D3C8A2D6B80")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.close()


def learnt(here: Place, tag: Tag) -> Learnt:
    here.hold(tag)
    found = learn_from(here.path, lambda line: None, 10)
    here.take_away()
    assert found is not None
    return found


def read_back(folder: Path, profile: str) -> Config:
    """The profile in a configuration, which takes it as it is."""
    keys = NEEDS_MASTER if '"ev2"' in profile else NEEDS_SUN if '"sun"' in profile else ""
    path = folder / "terminal.toml"
    path.write_text(text("\n" + profile, keys), encoding="utf-8")
    return load(path)


def test_a_desfire(here: Place, tmp_path: Path) -> None:
    found = learnt(here, here.badges.make(NUMBER, "desfire"))
    assert (found.uid, found.atqa, found.sak, found.family, found.make) == (NUMBER, "0344", "20", "type 4", "DESFire EV2")
    assert [(each.aid, each.files) for each in found.applications] == [("F5A110", (1,))]
    assert (found.text, found.link, found.signature) == (None, None, "none")
    table = read_back(tmp_path, profile_text(found)).badge_profile[0]
    assert (table.application, table.file_number, table.system) == ("F5A110", 1, "FILL-IN")  # type: ignore[union-attr]


def test_a_desfire_with_a_random_uid(here: Place, tmp_path: Path) -> None:
    found = learnt(here, SmartTag(here.badges.desfire(NUMBER), drawn=Random(1)))
    assert found.random_uid
    table = read_back(tmp_path, profile_text(found)).badge_profile[0]
    assert (table.random_uid, table.diversified) == (True, False)  # type: ignore[union-attr]


def test_a_signed_link(here: Place, tmp_path: Path) -> None:
    found = learnt(here, here.badges.make(NUMBER, "ntag424"))
    assert found.make == "NTAG 424 DNA"
    assert found.signed_link == SunLayout("picc_data", "cmac", "enc")
    table = read_back(tmp_path, profile_text(found)).badge_profile[0]
    assert (table.picc, table.enc, table.mac) == ("picc_data", "enc", "cmac")  # type: ignore[union-attr]


@pytest.mark.parametrize(("uid", "says"), [(SIGNED, "NXP's"), (UID, "none")])
def test_the_originality_signature(here: Place, tmp_path: Path, uid: bytes, says: str) -> None:
    found = learnt(here, SmartTag(Ntag424(uid, {0: bytes(16)}, Random(1).randbytes)))
    assert (found.signature, found.signed_link) == (says, None)
    assert read_back(tmp_path, profile_text(found)).badge_profile[0].application == "D2760000850101"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("tag", "family", "kind"),
    [
        (Ntag21x(UID), "type 2", "uid"),
        (tag_for_number("TRUCK-1"), "type 2", "ndef"),
        (tag_for_number("TRUCK-1", type_4=True), "type 4", "ndef"),
        (Type4A(UID, lambda apdu: b"\x6d\x00"), "type 4", "uid"),
        (Type4A(UID, lambda apdu: apdu[:1]), "type 4", "uid"),
        (Badges(1).make(NUMBER, "classic"), "mifare classic", "uid"),
    ],
)
def test_plain_badges(here: Place, tmp_path: Path, tag: Tag, family: str, kind: str) -> None:
    found = learnt(here, tag)
    profile = profile_text(found)
    assert (found.family, found.make, f'kind = "{kind}"' in profile) == (family, None, True)
    read_back(tmp_path, profile)
    assert any(found.uid in line for line in lines(found))


def test_a_telephone_is_said_to_be_of_no_use(here: Place) -> None:
    assert profile_text(learnt(here, tag_for_number("08A1B2C3"))).startswith("# NOT USABLE")


@pytest.mark.parametrize(
    ("link", "layout"),
    [
        (f"https://x/?e={'AB' * 16}&c={'CD' * 8}", SunLayout("e", "c")),
        (f"https://x/?d={'AB' * 32}&c={'CD' * 8}", SunLayout("d", "c")),
        (f"https://x/?e={'ab' * 16}&c={'CD' * 8}", None),
        (f"https://x/?e={'AB' * 16}", None),
        (f"https://x/?e={'AB' * 16}&c={'CD' * 8}&m={'CD' * 8}", None),
        ("https://x/?e=1", None),
        ("https://x/" + "y" * 600, None),
    ],
)
def test_what_looks_like_a_signed_link(link: str, layout: SunLayout | None) -> None:
    assert layout_of(link) == layout


# --- the command


def called(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, ["learn-badge", *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_the_command_shows_and_writes(here: Place, tmp_path: Path) -> None:
    here.hold(here.badges.make(NUMBER, "desfire"))
    into = tmp_path / "fleet.toml"
    code, out, err = called("--port", here.path, "--seconds", "10", "--write", str(into))
    assert code == 0, err
    assert "DESFire EV2" in out
    assert "[[badge_profile]]" not in out
    assert "Hold a badge" in err
    assert into.read_text().count("[[badge_profile]]") == 1
    code, _, err = called("--port", here.path, "--write", str(into))
    assert (code, "there already" in err) == (2, True)


def test_the_command_for_programs(here: Place) -> None:
    here.hold(here.badges.make(NUMBER, "ntag424"))
    code, out, _ = called("--port", here.path, "--seconds", "10", "--json")
    told: dict[str, Any] = json.loads(out)
    assert code == 0
    assert (told["uid"], told["make"], told["signed_link"]["mac"]) == (NUMBER, "NTAG 424 DNA", "cmac")
    assert 'kind = "sun"' in told["profile"]


def test_two_badges_are_said_once_and_waited_out(here: Place) -> None:
    here.hold(Ntag21x(UID), here.badges.make("B", "desfire"))
    said: list[str] = []
    assert learn_from(here.path, said.append, 1) is None
    assert said == ["not read (two badges): hold one badge still, flat on the reader"]


def test_nobody_came(here: Place) -> None:
    code, out, err = called("--port", here.path, "--seconds", "1")
    assert (code, out) == (1, "")
    assert "No badge was read." in err


def test_an_interrupt_ends_it_in_order(here: Place) -> None:
    """With Ctrl-C; the reader is left at its first speed for the terminal that starts next."""
    command = [sys.executable, "-m", "terminal", "learn-badge", "--port", here.path]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        assert "Hold a badge" in process.stderr.readline()
        while here.asked() < 20:
            assert process.poll() is None
        process.send_signal(2)
        out, err = process.communicate(timeout=90)
    finally:
        process.kill()
    assert (process.returncode, out, err.strip()) == (1, "", "No badge was read.")
    assert here.chip.baud == 115200


@pytest.mark.parametrize(
    ("port", "word"), [("/dev/nobody-there", "nobody-there"), ("ttyUSB0", "plain absolute path"), ("/dev/x; reboot", "plain absolute path")]
)
def test_a_port_that_is_none(port: str, word: str) -> None:
    code, out, err = called("--port", port)
    assert (code, out) == (2, "")
    assert word in err


def test_the_port_is_the_configurations_unless_the_terminal_runs(tmp_path: Path) -> None:
    path = tmp_path / "terminal.toml"
    path.write_text(text("").replace('runtime_dir = "/run/forecourt-terminal"', f'runtime_dir = "{tmp_path}"'), encoding="utf-8")
    code, _, err = called("--config", str(path))
    assert code == 2
    assert "/dev/forecourt/badge-reader-1" in err
    (tmp_path / "status.json").write_text(json.dumps({"pid": os.getpid()}))
    code, _, err = called("--config", str(path))
    assert (code, "stop it first" in err) == (2, True)
