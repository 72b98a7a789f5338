"""The store's tests on both kinds of ledger: a module that uses ``ledger_kind`` is played twice.

It is the module's, so that what a module makes once (a ruined ledger, a recorded life) is made once of each kind; such a fixture names it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from terminal.store.sqlite_kind import keep_ledgers
from tests.ledger_kinds import KEY

PLAIN, ENCRYPTED = "plain", "encrypted"


@pytest.fixture(scope="module", params=[PLAIN, ENCRYPTED])
def ledger_kind(request: pytest.FixtureRequest) -> Iterator[str]:
    """How ledgers are kept in this module's tests."""
    keep_ledgers(KEY if request.param == ENCRYPTED else None)
    yield str(request.param)
    keep_ledgers(None)


@pytest.fixture(autouse=True)
def _kept_so(request: pytest.FixtureRequest) -> None:
    """Each test begins so, whatever a command that was tested has set."""
    if "ledger_kind" in request.fixturenames:
        keep_ledgers(KEY if request.getfixturevalue("ledger_kind") == ENCRYPTED else None)
