"""An encrypted ledger's pages as bytes, without opening it: whose they are, and a flipped bit put right.

Every page ends with a nonce (16 bytes) and an HMAC-SHA512 over what is before it and the page's number. So each page says by itself
whether it is as it was written with this key, and of a page with one flipped bit the bit is found by trying: only the right one makes the
HMAC right again. (https://www.zetetic.net/sqlcipher/design/; the tests compare this with SQLCipher itself.)
"""

from __future__ import annotations

import hmac
import itertools
from collections.abc import Iterator
from pathlib import Path

from terminal.store.ledger_key import SALT_BYTES, LedgerKey
from terminal.store.log_repair import FRAME, HEADER, summed_up
from terminal.store.schema import PAGE_SIZE

MAC = 64
SAMPLE = 64
"""Pages that are asked whether they are of a key: so many of the file, and of its log."""
MOST_MENDED = 64
"""Pages in which a flipped bit is looked for; with more of them wrong it was no bit."""


def genuine(page: bytes | bytearray, number: int, key: LedgerKey) -> bool:
    """Is this the page of this number as it was written with this key? Its first bytes, if it is the first, are not asked."""
    return _proof(page, number, key) == page[-MAC:]


def _proof(page: bytes | bytearray, number: int, key: LedgerKey) -> bytes:
    return hmac.digest(key.mac_key, bytes(page[_unproved(number) : -MAC]) + number.to_bytes(4, "little"), "sha512")


def _unproved(number: int) -> int:
    return SALT_BYTES if number == 1 else 0


def any_page_of(path: Path, log: Path, key: LedgerKey) -> bool:
    """Is at least one of the first pages of this ledger, or of its log, of this key? Raises ``OSError``."""
    return any(genuine(page, number, key) for number, page in (*_first_pages(path), *_first_logged(log)))


def _first_pages(path: Path) -> Iterator[tuple[int, bytes]]:
    if path.is_file():
        with path.open("rb") as file:
            for number in range(1, SAMPLE + 1):
                page = file.read(PAGE_SIZE)
                if len(page) < PAGE_SIZE:
                    return
                yield number, page


def _first_logged(log: Path) -> Iterator[tuple[int, bytes]]:
    if log.is_file():
        with log.open("rb") as file:
            file.seek(HEADER)
            for _ in range(SAMPLE):
                frame = file.read(FRAME + PAGE_SIZE)
                if len(frame) < FRAME + PAGE_SIZE:
                    return
                yield int.from_bytes(frame[:4]), frame[FRAME:]


def make_readable(path: Path, key: LedgerKey) -> None:
    """Every page of a copy put right that one flipped bit made wrong. One that stays wrong gets the HMAC of what it is now, so that
    what is left of it can be read; nothing believes a row for that: the journal's own chain proves it. Raises ``OSError``."""
    tried = 0
    with path.open("r+b") as file:
        file.write(key.salt[: path.stat().st_size])
        file.seek(0)
        for number in itertools.count(1):
            page = bytearray(file.read(PAGE_SIZE))
            if len(page) < PAGE_SIZE:
                return
            if not genuine(page, number, key):
                tried += 1
                if tried > MOST_MENDED or not _mend(page, number, key):
                    page[-MAC:] = _proof(page, number, key)
                file.seek((number - 1) * PAGE_SIZE)
                file.write(page)


def log_made_readable(content: bytes, frames: int, key: LedgerKey) -> bytes:
    """The same for the first so many pages of a log, which are whole by its own sums or have one flipped bit that these cannot place."""
    log = bytearray(content)
    changed = False
    for at in range(HEADER, HEADER + frames * (FRAME + PAGE_SIZE), FRAME + PAGE_SIZE):
        place = slice(at + FRAME, at + FRAME + PAGE_SIZE)
        number, page = int.from_bytes(log[at : at + 4]), log[place]
        if not genuine(page, number, key):
            if not _mend(page, number, key):
                page[-MAC:] = _proof(page, number, key)
            log[place] = page
            changed = True
    return summed_up(bytes(log), frames) if changed else content


def _mend(page: bytearray, number: int, key: LedgerKey) -> bool:
    proof, told = _proof(page, number, key), bytes(page[-MAC:])
    if (int.from_bytes(proof) ^ int.from_bytes(told)).bit_count() == 1:
        page[-MAC:] = proof
        return True
    for bit in range(_unproved(number) * 8, (len(page) - MAC) * 8):
        page[bit // 8] ^= 1 << bit % 8
        if _proof(page, number, key) == told:
            return True
        page[bit // 8] ^= 1 << bit % 8
    return False
