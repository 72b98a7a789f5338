"""Every module here that opens ledgers is played on both kinds (firmware_notes/storage.md, Encrypted)."""

from __future__ import annotations

import ast
from pathlib import Path

HERE = Path(__file__).resolve().parent
OWN = {"test_encrypted.py", "test_conversion_cut.py"}
"""These set the kind themselves, and have both."""
OPENERS = {
    "terminal.store.ledger": {"Ledger"},
    "terminal.store.opening": {"open_ledger"},
    "terminal.store.care": {"LedgerCare"},
    "tests.store.books": {"Station"},
    "tests.store.damage_kit": {"opened", "ruin"},
    "tests.store.years": {"Years"},
}


def opens_ledgers(tree: ast.Module) -> bool:
    """Something that makes or opens one is imported here."""
    named = ((node.module or "", one.name) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for one in node.names)
    return any(name in OPENERS.get(module, ()) for module, name in named)


def uses_kinds(tree: ast.Module) -> bool:
    """All of its tests are marked for both kinds."""
    marks = [node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"]
    return any("usefixtures('ledger_kind')" in ast.unparse(mark) for mark in marks)


def test_every_module_that_opens_ledgers_is_played_on_both_kinds() -> None:
    trees = {path.name: ast.parse(path.read_text(encoding="utf-8")) for path in HERE.glob("test_*.py") if path.name not in OWN}
    opening = {name for name, tree in trees.items() if opens_ledgers(tree)}
    assert len(opening) > 20
    assert [name for name in sorted(opening) if not uses_kinds(trees[name])] == []
