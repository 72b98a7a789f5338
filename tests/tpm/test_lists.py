"""A terminal with a TPM fetches a list whole when cards have changed, with what has its second layer taken over; else by changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from terminal.host.list_sync import Changes, Fetched, Known, ListSync
from terminal.store.card_file import CardFile
from terminal.store.card_import import build
from terminal.store.tpm import TPM_SCHEME
from tests.host.test_list_sync import LANE, Site
from tests.tpm.chip import Chip


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.client.close()
    made.server.stop()


def schemes(site: Site, found: Any) -> set[str]:
    """How the PINs of this list are stored."""
    assert isinstance(found, Fetched)
    file = CardFile(site.state / found.file)
    bodies = file.connection.execute("SELECT body FROM card WHERE instr(body, '\"pin\":{') > 0").fetchall()
    file.close()
    return {scheme for scheme in ("opin1-tpm", "opin1") for (body,) in bodies if f'"{scheme}"'.encode() in body}


def test_cards_come_with_the_whole_list_and_prices_by_changes(site: Site, chip: Chip) -> None:
    live: list[str] = [""]
    site.sync = ListSync(LANE, site.keys, site.state, 5_000, build, tpm=str(chip.device), previous=lambda: live[0])
    first = site.check()
    assert isinstance(first, Fetched)
    assert schemes(site, first) <= {TPM_SCHEME}
    live[0] = str(site.state / first.file)
    known = Known(first.offer.epoch, first.offer.version)
    site.book.publish()
    assert isinstance(site.check(known), Changes)
    number = next(iter(site.book._world.cards.values())).number
    site.book.block(card=number)
    site.book.publish()
    whole = site.check(known)
    assert isinstance(whole, Fetched)
    assert whole.offer.version > first.offer.version
