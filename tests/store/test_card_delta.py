"""Deltas lead to what the snapshot holds, whatever was edited; a wrong one changes nothing; a power cut leaves old or new."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terminal.core.card_lists import ListDelta, ListOp
from terminal.core.events import ChangesApplied, ListsRefused
from terminal.store.card_file import KEYS, CardFile, CardFileError, log_of
from terminal.store.list_rows import ListError, hash_text, read_delta, row_hash
from terminal.store.live_lists import LiveLists
from tests.store.crash_states import Files, commit_cuts, unordered_cut
from tests.store.list_kit import Row, body, by_key, canonical, card, content_hash, customer, delta, deny, limit, made, product, removal

PRODUCTS = [product("DIESEL"), product("SP95")]
TOKENS = [f"{number:032x}" for number in range(1, 7)]

SOME_ROWS = st.one_of(
    st.builds(lambda token, last4, own: card(token, last4=last4, products=own), st.sampled_from(TOKENS), st.sampled_from(["0001", "0002"]),
              st.sampled_from([None, ["DIESEL"], ["SP95", "DIESEL"]])),
    st.builds(lambda name, state: customer(name, status=state), st.sampled_from("ABC"), st.sampled_from(["active", "blocked"])),
    st.builds(lambda who, amount, period, group: limit(who, amount, period, products=group),
              st.sampled_from([{"card": TOKENS[0]}, {"customer": "A"}, {"customer": "B"}]), st.integers(0, 3),
              st.sampled_from(["FUELLING", "DAY", "MONTH"]), st.sampled_from([None, ["DIESEL"]])),
    st.builds(lambda token: deny(card=token), st.sampled_from(TOKENS)),
    st.builds(lambda end: deny(range=["7001", f"7{end:03d}"]), st.integers(1, 3)),
)  # fmt: skip
LISTS = st.lists(SOME_ROWS, max_size=25).map(lambda rows: [*PRODUCTS, *by_key(rows).values()])


def _all(file: CardFile) -> dict[str, list[tuple[object, ...]]]:
    return {table: file.connection.execute(f"SELECT * FROM {table} ORDER BY {', '.join(key)}").fetchall() for table, key in KEYS.items()}


@settings(max_examples=60, deadline=None)
@given(st.lists(LISTS, min_size=2, max_size=5), st.booleans())
def test_deltas_lead_to_what_the_snapshot_holds(editions: list[list[Row]], at_once: bool) -> None:
    """Any sequence of edits: applying the changes is building the snapshot, in every row, count and hash; one by one or in one go."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        lists = LiveLists(folder)
        lists.use(made(folder, editions[0]).name)
        steps = [delta(base, old, new) for base, (old, new) in enumerate(zip(editions, editions[1:], strict=False), 1)]
        for group in [steps] if at_once else [[step] for step in steps]:
            came = lists.changed(tuple(group))
            assert came == ChangesApplied("cards-e1-1.db", group[-1].offer)
        assert lists.version == len(editions)
        assert lists.file is not None
        other = folder / "other"
        other.mkdir()
        whole = CardFile(made(other, editions[-1], len(editions)))
        assert _all(lists.file) == _all(whole)
        assert (lists.file.head.rows, lists.file.head.content_hash) == (whole.head.rows, whole.head.content_hash)
        assert lists.file.content_hash() == whole.head.content_hash
        for token in TOKENS:
            assert lists.card(token) == whole.card(token)
            assert lists.limits(token, "A") == whole.limits(token, "A")
            assert lists.deny.card(token) == whole.card_denied(token)
        lists.close()
        whole.close()


@settings(max_examples=200, deadline=None)
@given(LISTS, LISTS)
def test_the_content_hash_follows_a_change_without_reading_the_list(old: list[Row], new: list[Row]) -> None:
    total = sum(row_hash(canonical(row)) for row in old)
    before, after = by_key(old), by_key(new)
    for key in before.keys() | after.keys():
        total -= row_hash(canonical(before[key])) if key in before else 0
        total += row_hash(canonical(after[key])) if key in after else 0
    assert hash_text(total) == content_hash(new)


# --- wrong ones ---------------------------------------------------------------------------------------------------------------

OLD: list[Row] = [*PRODUCTS, card(TOKENS[0]), card(TOKENS[1]), customer("A"), limit({"customer": "A"})]
NEW: list[Row] = [*PRODUCTS, card(TOKENS[0], last4="9999"), card(TOKENS[2]), customer("A"), limit({"customer": "A"}, 7)]


def _live(folder: Path, rows: list[Row] = OLD) -> LiveLists:
    lists = LiveLists(folder)
    lists.use(made(folder, rows).name)
    return lists


GOOD = delta(1, OLD, NEW)
MISSING = ListOp("card", (b"\xee" * 16,), None)
STRANGE = limit({"customer": "A"}, 7, products=["NO-SUCH"])
WRONG: list[tuple[str, tuple[ListDelta, ...], str]] = [
    ("skipped", (delta(2, OLD, NEW),), "based on 2, the live list is e1/1"),
    ("doubled", (GOOD, GOOD), "based on 1, the live list is e1/2"),
    ("of another epoch", (delta(1, OLD, NEW, epoch="e2"),), "based on 1"),
    ("another content", (delta(1, OLD, NEW, content_hash="0" * 64),), "does not lead to the list"),
    ("another number of rows", (delta(1, OLD, NEW, rows=99),), "does not lead to the list"),
    ("less than it should", (replace(GOOD, ops=GOOD.ops[1:]),), "does not lead to the list"),
    ("removes what is not there", (replace(GOOD, ops=(*GOOD.ops, MISSING)),), "removes a row that is not there"),
    ("unknown product", (delta(1, OLD, [*NEW, STRANGE]),), "names a product that is not in the list"),
    ("the second of two", (GOOD, delta(2, NEW, OLD, content_hash="0" * 64)), "does not lead to the list"),
]


@pytest.mark.parametrize(("deltas", "why"), [(deltas, why) for _, deltas, why in WRONG], ids=[name for name, _, _ in WRONG])
def test_a_delta_that_is_wrong_changes_nothing(tmp_path: Path, deltas: tuple[ListDelta, ...], why: str) -> None:
    lists = _live(tmp_path)
    assert lists.file is not None
    before = _all(lists.file), lists.file.head
    came = lists.changed(deltas)
    assert isinstance(came, ListsRefused)
    assert why in came.why
    assert came.why.startswith("cards e1: ")
    assert came.whole  # the whole list is asked for
    assert (_all(lists.file), lists.file.head, lists.version) == (*before, 1)
    assert lists.changed((GOOD,)) == ChangesApplied("cards-e1-1.db", GOOD.offer)
    assert (lists.file.content_hash(), lists.version) == (content_hash(NEW), 2)
    lists.close()


def test_without_a_live_list_there_is_nothing_to_change(tmp_path: Path) -> None:
    came = LiveLists(tmp_path).changed((GOOD,))
    assert isinstance(came, ListsRefused)
    assert came.whole


def test_who_only_looks_changes_nothing(tmp_path: Path) -> None:
    file = CardFile(made(tmp_path, OLD))
    with pytest.raises(CardFileError, match="cannot be changed"):
        file.apply((GOOD,))
    file.close()


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([card(TOKENS[0]), card(TOKENS[0], last4="2222")], "line 2: a row that this delta has changed already"),
        ([removal(card(TOKENS[0])), card(TOKENS[0])], "line 2: a row that this delta has changed already"),
        ([{"row": "remove", "kind": "wallet", "key": {}}], "a kind of row that the contract does not know"),
        ([{"row": "remove", "kind": "card", "key": {"token": "x"}}], "line 1"),
        ([{"row": "remove", "kind": "card", "key": {"token": TOKENS[0], "why": "lost"}}], "unknown field `why`"),
        ([card(TOKENS[0], colour="red")], "unknown field `colour`"),
    ],
)
def test_the_rows_of_a_delta_are_read_as_strictly(lines: list[Row], why: str) -> None:
    text, digest = body(lines)
    with pytest.raises(ListError, match=why):
        read_delta(text.split(b"\n")[:-1], digest)
    with pytest.raises(ListError, match=r"hash|line"):
        read_delta(text.split(b"\n")[:-1], "0" * 64)


# --- readers and power cuts -----------------------------------------------------------------------------------------------------


def test_another_process_that_looks_sees_old_or_new(tmp_path: Path) -> None:
    lists = _live(tmp_path)
    looking = CardFile(tmp_path / "cards-e1-1.db")
    seen = looking.card(TOKENS[1])
    lists.changed((GOOD,))
    assert looking.card(TOKENS[1]) == seen  # it opened the old one, and reads that to its end
    assert looking.content_hash() == content_hash(OLD)
    looking.close()
    lists.close()
    looking = CardFile(tmp_path / "cards-e1-1.db")
    assert looking.content_hash() == content_hash(NEW)
    looking.close()


def _opened(folder: Path, files: Files) -> tuple[int, str, str]:
    """Version, hash that the file claims and hash that its rows have, after a power cut left these files."""
    path = folder / "cards-e1-1.db"
    files.write(path)
    file = CardFile(path, own=True)
    found = file.head.version, file.head.content_hash, file.content_hash()
    file.close()
    log_of(path).unlink(missing_ok=True)
    return found


MANY: list[Row] = [*PRODUCTS, *(card(f"{number:032x}") for number in range(400))]
EDITED: list[Row] = [
    *PRODUCTS,
    *(card(f"{number:032x}", last4="9999" if number % 3 == 0 else "0123", language="fr") for number in range(400) if number % 7),
]


def test_a_power_cut_at_any_sector_leaves_old_or_new(tmp_path: Path) -> None:
    """Three deltas on one file, the log never folded: every torn state of every commit opens as a version whose rows add up."""
    folder, cut_folder = tmp_path / "live", tmp_path / "cut"
    folder.mkdir()
    cut_folder.mkdir()
    lists = _live(folder, MANY)
    path, random = folder / "cards-e1-1.db", Random("delta cuts")
    hashes = {1: content_hash(MANY), 2: content_hash(EDITED), 3: content_hash(MANY), 4: content_hash(EDITED)}
    seen = set()
    for base, (old, new) in enumerate(((MANY, EDITED), (EDITED, MANY), (MANY, EDITED)), 1):
        before = Files.read(path)
        assert isinstance(lists.changed((delta(base, old, new),)), ChangesApplied)
        for cut in commit_cuts(before, Files.read(path), random, each=12):
            version, claimed, real = _opened(cut_folder, cut.files)
            assert claimed == real == hashes[version], cut.where
            assert version in ((base, base + 1) if cut.may_miss else (base + 1,)), cut.where
            seen.add((version == base, cut.may_miss))
    assert seen >= {(True, True), (False, False)}
    lists.close()


def test_a_disk_that_nobody_syncs_would_be_caught(tmp_path: Path) -> None:
    """The planted fault: folding without a sync of the log in between leaves files that are neither old nor new, and the hash says so."""
    folder, cut_folder = tmp_path / "live", tmp_path / "cut"
    folder.mkdir()
    cut_folder.mkdir()
    lists = _live(folder, MANY)
    path, random = folder / "cards-e1-1.db", Random("unordered")
    before = Files.read(path)
    lists.changed((delta(1, MANY, EDITED),))
    lists.close()  # folds the log into the file
    after = Files.read(path)
    wrong = 0
    for _ in range(40):
        try:
            _, claimed, real = _opened(cut_folder, unordered_cut(before, after, random))
            wrong += claimed != real
        except (CardFileError, sqlite3.DatabaseError, TypeError):
            wrong += 1
    assert wrong > 0


def test_a_log_that_a_power_cut_left_is_read_and_folded(tmp_path: Path) -> None:
    lists = _live(tmp_path, MANY)
    lists.changed((delta(1, MANY, EDITED),))
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in tmp_path.glob("cards-*"):
        shutil.copy(path, copy)
    lists.close()
    again = LiveLists(copy)
    again.use("cards-e1-1.db")
    assert again.version == 2
    again.tidy()
    assert CardFile(copy / "cards-e1-1.db").head.version == 2  # also without its log
    again.close()


def test_the_log_does_not_grow_where_somebody_tidies_up(tmp_path: Path) -> None:
    lists = _live(tmp_path, MANY)
    sizes = []
    for base in range(1, 9):
        old, new = (MANY, EDITED) if base % 2 else (EDITED, MANY)
        assert isinstance(lists.changed((delta(base, old, new),)), ChangesApplied)
        sizes.append(os.path.getsize(log_of(tmp_path / "cards-e1-1.db")))
        tidy = threading.Thread(target=lists.tidy)
        tidy.start()
        tidy.join()
    assert max(sizes) < 2 * sizes[0]
    assert lists.file is not None
    assert lists.file.content_hash() == content_hash(MANY)
    lists.close()


def test_a_power_cut_during_the_swap_leaves_the_one_that_was_committed(tmp_path: Path) -> None:
    """Between building and the commit that names the file both are there; whichever the ledger names is whole."""
    old, new = made(tmp_path, OLD, 1), made(tmp_path, NEW, 2)
    for name, rows in ((old.name, OLD), (new.name, NEW)):
        lists = LiveLists(tmp_path / name)
        lists.directory = tmp_path
        lists.own = False
        lists.use(name)
        assert lists.file is not None
        assert lists.file.content_hash() == content_hash(rows)
        lists.close()
