"""The store's tests on both kinds of ledger: a module that says ``pytestmark = BOTH_KINDS`` is played twice.

``ledger_kind`` is the module's, so that what a module makes once (a ruined ledger, a recorded life) is made once of each kind; a fixture of
that sort names it. What speaks of a plain file's own bytes is marked ``only_plain`` with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from terminal.store.ledger_key import LedgerKey
from terminal.store.sqlite_kind import keep_ledgers

PLAIN, ENCRYPTED = "plain", "encrypted"
KEY = LedgerKey(bytes(range(7, 39)))


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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is only about plain files is not played on encrypted ones."""
    away = [item for item in items if item.get_closest_marker("only_plain") and _kind(item) == ENCRYPTED]
    if away:
        config.hook.pytest_deselected(items=away)
        items[:] = [item for item in items if item not in away]


def _kind(item: pytest.Item) -> str:
    return str(item.callspec.params.get("ledger_kind", PLAIN)) if isinstance(item, pytest.Function) and hasattr(item, "callspec") else PLAIN
