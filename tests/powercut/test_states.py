"""The builder of crash states keeps to its model, shown on journals of a few records."""

from __future__ import annotations

from tests.powercut.recorder import Records
from tests.powercut.states import SECTOR, Disk, Place, State, crashes


def after(records: Records, policy: str, seed: int = 1) -> State:
    disk = Disk(records)
    disk.forward(len(records))
    return disk.state(Place(seed, len(records), policy))


def test_what_was_synced_is_there_and_what_was_not_is_anybodys_guess() -> None:
    records: Records = [("create", "/a"), ("write", "/a", 0, b"x" * 1000), ("fsync", "/a"), ("write", "/a", 0, b"y" * 1000)]
    assert after(records, "none").files == {"/a": b"x" * 1000}
    assert after(records, "all").files == {"/a": b"y" * 1000}
    torn = {after(records, "half", seed).files["/a"] for seed in range(40)}
    old, new = b"x" * SECTOR, b"y" * SECTOR
    assert torn == {left + right[: 1000 - SECTOR] for left in (old, new) for right in (old, new)}


def test_a_name_is_durable_with_the_next_sync_of_anything() -> None:
    made: Records = [("create", "/a"), ("write", "/a", 0, b"x"), ("create", "/b")]
    assert after(made, "none").files == {}
    assert after([*made, ("fsync", "/b")], "none").files == {"/a": b"", "/b": b""}  # the name, not what is in it
    assert after([*made, ("fsync", "/a"), ("rename", "/a", "/c")], "none").files == {"/a": b"x", "/b": b""}
    assert after([*made, ("fsync", "/a"), ("rename", "/a", "/c"), ("fsyncdir", "/")], "none").files == {"/c": b"x", "/b": b""}
    assert after([*made, ("fsync", "/a"), ("unlink", "/a")], "all").files == {"/b": b""}


def test_names_happen_in_their_order() -> None:
    records: Records = [("create", "/a"), ("fsync", "/a"), ("rename", "/a", "/b"), ("rename", "/b", "/c"), ("unlink", "/c")]
    found = {tuple(after(records, "half", seed).files) for seed in range(60)}
    assert found == {("/a",), ("/b",), ("/c",), ()}


def test_a_hole_before_what_survived_is_zeros_and_a_shortening_may_be_missing() -> None:
    records: Records = [("create", "/a"), ("fsync", "/a"), ("write", "/a", 0, b"x" * SECTOR), ("write", "/a", SECTOR, b"y")]
    assert bytes(SECTOR) + b"y" in {after(records, "half", seed).files["/a"] for seed in range(40)}
    short: Records = [*records, ("fsync", "/a"), ("trunc", "/a", 3)]
    assert after(short, "none").files["/a"] == b"x" * SECTOR + b"y"
    assert after(short, "all").files["/a"] == b"xxx"


def test_a_name_that_is_made_again_is_another_file() -> None:
    records: Records = [
        ("create", "/a"),
        ("write", "/a", 0, b"old"),
        ("fsync", "/a"),
        ("unlink", "/a"),
        ("create", "/a"),
        ("write", "/a", 0, b"n"),
    ]
    assert {after(records, "half", seed).files.get("/a") for seed in range(60)} == {b"old", None, b"", b"n"}


def test_the_same_numbers_give_the_same_disks() -> None:
    records: Records = [("create", "/a"), *(("write", "/a", at * 700, bytes([at]) * 900) for at in range(30)), ("fsync", "/a")]
    assert list(crashes(records, range(50))) == list(crashes(records, range(50)))
    assert len({state.files.get("/a") for state in crashes(records, range(50))}) >= 15
