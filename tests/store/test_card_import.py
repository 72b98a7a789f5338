"""The import: every list that is not what it claims is refused with its cause, in bounded memory, and the process does as the function."""

from __future__ import annotations

import gzip
import threading
import zlib
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from terminal.store.card_file import CardFile
from terminal.store.card_import import ImportFailed, ImportProcess, Job, build
from terminal.store.list_rows import ListError
from tests.store.list_kit import Row, body, canonical, card, content_hash, customer, deny, job, limit, made, product

TOKEN = "b1" * 16
ROWS: list[Row] = [product(), customer(), card(TOKEN, customer="carrier", products=["DIESEL"]), limit({"customer": "carrier"})]
BIG = [product(), *(card(f"{number:032x}") for number in range(5_000))]

BAD_ROWS: list[tuple[Row, str]] = [
    (card(TOKEN, colour="red"), "line 5: Object contains unknown field `colour`"),
    (limit({"customer": "C"}) | {"per": "axle"}, "unknown field `per`"),
    (limit({"customer": "C"}, period="WEEK"), r"line 5: a value that the contract does not know - at `\$\.period`"),
    (limit({"customer": "C"}, measure="LITRES"), r"`\$\.measure`"),
    (limit({"customer": "C"}, -1), r"Expected `int` >= 0"),
    (limit({"customer": "C"}, 10**12 + 1), r"Expected `int` <= 1000000000000"),
    (limit({"customer": "C"}, 10**30), "range|int"),
    (limit({"customer": "C"}, period="FUELLING", measure="COUNT"), "a fuelling has no COUNT"),
    (limit({"customer": "C"}, products=["NO-SUCH"]), "names a product that is not in the list"),
    (card("b2" * 16, products=["NO-SUCH"]), "names a product that is not in the list"),
    (limit({}), "a subject names one card or one customer"),
    (limit({"card": "7001234567890123"}), "length"),
    (card("7001234567890123"), "length"),
    (card("B2" * 16), "32 hex digits in lower case"),
    (card("zz" * 16), "32 hex digits in lower case"),
    (card("b2" * 16, account="B2" * 16), "32 hex digits in lower case"),
    (card("b2" * 16, valid_to="2026-02-30"), "date|contract"),
    (card("b2" * 16, status="sleepy"), "contract does not know"),
    (card("b2" * 16, pin={"scheme": "opin1", "epoch": 1, "verifier": "not hex" + "0" * 25, "tries": 3}), "hex"),
    (customer("C", zone="Mars/Olympus"), "a time zone that this machine does not know"),
    (deny(card=TOKEN, customer="C"), "a deny row names either"),
    (deny(range=["7001", "70019"]), "a deny row names either"),
    (deny(range=["7002", "7001"]), "a deny row names either"),
    ({"row": "baseline", "subject": {"customer": "C"}, "window": "2026-13", "measure": "COUNT", "amount": 1}, "calendar"),
    ({"row": "wallet", "owner": "C"}, "contract does not know"),
    ({"row": "remove", "kind": "card", "key": {"token": TOKEN}}, "contract does not know"),
]


@pytest.mark.parametrize(("row", "why"), BAD_ROWS, ids=[f"{place} {why[:30]}" for place, (_, why) in enumerate(BAD_ROWS)])
def test_a_row_that_is_wrong_refuses_the_list(tmp_path: Path, row: Row, why: str) -> None:
    before = made(tmp_path, ROWS, 1).read_bytes()
    work = job(tmp_path, [*ROWS, row], 2)
    with pytest.raises(ListError, match=why) as refused:
        build(work)
    assert TOKEN not in str(refused.value)
    assert "7001234567890123" not in str(refused.value)
    assert not Path(work.target).exists()
    assert (tmp_path / "cards-e1-1.db").read_bytes() == before


def _end(rows: int, sha256: str) -> bytes:
    return canonical({"row": "end", "rows": rows, "sha256": sha256}) + b"\n"


TEXT, DIGEST = body(ROWS)
LINES = b"".join(TEXT.splitlines(keepends=True)[:-1])

BAD_BYTES: list[tuple[str, dict[str, Any], str]] = [
    ("other hash announced", {"sha256": "0" * 64}, "its hash is not"),
    ("other content hash announced", {"content_hash": "0" * 64}, "its content hash is not"),
    ("other number of rows announced", {"rows": 5}, "it has 4 rows, not the 5"),
    ("cut in the packing", {"data": gzip.compress(TEXT)[:-20]}, "cut short"),
    ("cut to half", {"data": gzip.compress(TEXT)[:60]}, "cut short"),
    ("without its end row", {"data": LINES, "size": len(LINES)}, "without its end row"),
    ("cut in a row", {"data": TEXT[:100]}, "cut short|truncated"),
    ("nothing at all", {"data": b""}, "cut short"),
    ("longer than announced", {"size": len(TEXT) - 1}, "longer than"),
    ("shorter than announced", {"size": len(TEXT) + 1}, "cut short"),
    ("a bomb", {"data": gzip.compress(bytes(64 << 20))}, "longer than"),
    ("one endless row", {"data": b"x" * 50_000, "size": 50_000}, "longer than 16384|JSON"),
    ("not packed as it says", {"data": b"\x1f\x8b" + b"junk" * 20}, "cannot be unpacked"),
    ("a flipped bit", {"data": TEXT.replace(b"badge", b"badgf")}, "contract does not know"),
    ("another row, same length", {"data": TEXT.replace(b'"amount":100', b'"amount":900')}, "its hash is not"),
    ("bytes behind the packing", {"data": gzip.compress(TEXT) + b"more"}, "behind the packed list"),
    (
        "rows behind the end",
        {"data": TEXT + canonical(customer("X")) + b"\n", "size": len(TEXT) + len(canonical(customer("X"))) + 1},
        "behind",
    ),
    ("the end twice", {"data": TEXT + _end(4, DIGEST), "size": len(TEXT) + len(_end(4, DIGEST))}, "behind"),
]


@pytest.mark.parametrize(("changes", "why"), [(changes, why) for _, changes, why in BAD_BYTES], ids=[name for name, _, _ in BAD_BYTES])
def test_bytes_that_are_wrong_refuse_the_list(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    work = job(tmp_path, ROWS, 2, **changes)
    with pytest.raises(ListError, match=why):
        build(work)
    assert list(tmp_path.iterdir()) == [Path(work.source)]


def _unpacked(data: bytes) -> bytes:
    try:
        return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    except (OSError, EOFError, zlib.error):
        return b""


def test_any_changed_byte_is_found(tmp_path: Path) -> None:
    """Ten thousand mutated lists, packed and plain: none is taken for the one that was signed."""
    random = Random("mutated lists")
    good = gzip.compress(TEXT, mtime=0)
    accepted = 0
    for number in range(10_000):
        data = bytearray(TEXT if number % 2 else good)
        for _ in range(random.randint(1, 3)):
            place = random.randrange(10 if number % 2 == 0 else 0, len(data))  # not the name, time and system of the packing's head
            kind = random.randrange(3)
            if kind == 0:
                data[place] ^= 1 << random.randrange(8)
            elif kind == 1:
                del data[place]
            else:
                data.insert(place, random.randrange(256))
        if _unpacked(bytes(data)) == TEXT:
            continue  # bits that the packing does not use
        try:
            build(job(tmp_path, ROWS, data=bytes(data)))
            accepted += 1
        except ListError:
            pass
    assert accepted == 0
    assert [path.suffix for path in tmp_path.iterdir()] == [".download"]


def test_the_content_hash_does_not_know_the_order(tmp_path: Path) -> None:
    for version, rows in enumerate((ROWS, ROWS[::-1], sorted(ROWS, key=canonical)), 1):
        file = CardFile(made(tmp_path, rows, version))
        assert file.head.content_hash == content_hash(ROWS)
        file.close()


# --- the process --------------------------------------------------------------------------------------------------------------


def test_the_process_builds_what_the_function_builds(tmp_path: Path) -> None:
    work = job(tmp_path, BIG)
    build(work)
    alone = Path(work.target).read_bytes()
    ImportProcess()(msgspec.structs.replace(work, target=str(tmp_path / "cards-e1-2.db")))
    assert (tmp_path / "cards-e1-2.db").read_bytes() == alone


def test_the_process_says_what_is_wrong_with_the_list(tmp_path: Path) -> None:
    with pytest.raises(ListError, match="line 5: Object contains unknown field `colour`"):
        ImportProcess()(job(tmp_path, [*ROWS, card(TOKEN, colour="red")]))


def test_the_process_says_when_it_could_not_work(tmp_path: Path) -> None:
    work: Job = job(tmp_path, ROWS, target=str(tmp_path / "nowhere" / "cards-e1-1.db"))
    with pytest.raises(ImportFailed, match="ended with 1"):
        ImportProcess()(work)


def test_a_stopped_terminal_ends_its_import_and_starts_no_other(tmp_path: Path) -> None:
    importing = ImportProcess()
    work = job(tmp_path, BIG)
    stopper = threading.Timer(0.05, importing.stop)
    stopper.start()
    with pytest.raises(ImportFailed, match="ended with -9"):
        importing(work)
    with pytest.raises(ImportFailed):
        importing(work)
    assert not Path(work.target).exists()
