"""The promises of the project's shape, from firmware_notes/architecture.md, each checked so that it can fail.

What a linter can say by itself (imports, clock reads, prints) is said by ruff and import-linter under `make lint`; here stand the rest,
and the proof that the import contracts see a breach.
"""

from __future__ import annotations

import ast
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("terminal", "drivers")
CODE = (*PRODUCT, "hal_sim", "tests")
TOP_LEVEL_FILES = {"pyproject.toml", "README.md", "Makefile", ".gitignore"}
TOP_LEVEL_FOLDERS = {*CODE, "systemd", "firmware_notes", ".ci"}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 70
RUN_TIME_PACKAGES_MAX = 10

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def kept_files() -> list[str]:
    """Every path that git keeps or would keep; without git (an unpacked archive) every file that is no product of a run."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0 and listed.stdout:
        return [name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]
    product_of_a_run = re.compile(r"(\.venv|build|\.git|\.hypothesis|\.\w+_cache)(/|$)|(.*/)?__pycache__/")
    found = (short(path) for path in ROOT.rglob("*") if path.is_file())
    return [name for name in found if not product_of_a_run.match(name)]


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def numbered_lines(*folders: str) -> Iterator[tuple[str, str]]:
    for path in sources(*folders):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            yield f"{short(path)}:{number}", line


def test_only_the_agreed_folders_stand_at_the_top() -> None:
    strangers = {name.split("/")[0] for name in kept_files()} - TOP_LEVEL_FILES - TOP_LEVEL_FOLDERS
    assert not strangers


def test_files_stay_short() -> None:
    long = {short(path): n for path in sources(*CODE) if (n := len(path.read_text().splitlines())) > MAX_FILE_LINES}
    assert not long


def test_functions_stay_short() -> None:
    long = [
        f"{short(path)}:{node.lineno} {node.name}"
        for path in sources(*CODE)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or node.lineno) - node.lineno >= MAX_FUNCTION_LINES
    ]
    assert not long


def test_every_module_says_what_it_is() -> None:
    silent = [short(path) for path in sources(*CODE) if path.stat().st_size and ast.get_docstring(ast.parse(path.read_text())) is None]
    assert not silent


@pytest.mark.parametrize(
    ("folders", "pattern", "why"),
    [
        (PRODUCT, r"(?i)simulat|hal_sim|under_test|is_test\b", "the product does not know its surroundings"),
        ((*PRODUCT, "hal_sim"), r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError", "no unfinished path"),
        ((*PRODUCT, "hal_sim"), r"^\s*except\s*:|^\s*except\s+\(?BaseException", "no blind except"),
        (("terminal",), r"\bfloat\(", "no float near money, volume or price"),
        ((*PRODUCT, "hal_sim"), r"(?i)black-?list|white-?list", "the word is deny list"),
        ((*PRODUCT, "hal_sim"), r"(?i)authoris", "the field's spelling is authorize"),
    ],
)
def test_code_is_free_of(folders: tuple[str, ...], pattern: str, why: str) -> None:
    assert not [where for where, line in numbered_lines(*folders) if re.search(pattern, line)], why


def test_tests_cannot_leave_this_machine() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside, pytest.raises(PermissionError, match="loopback"):
        outside.connect(("192.0.2.1", 9))


def test_library_mocks_stay_out() -> None:
    """An emulator stands beneath a library, never a mock in its place (rule 6)."""
    mock = re.compile(r"MagicMock|monkeypatch\.setattr\(\s*\"?(serial|nfc|smartcard|evdev|requests|sqlite3)\b")
    assert not [short(path) for path in sources("tests") if path.name != "test_contracts.py" and mock.search(path.read_text())]


def test_an_except_of_everything_stands_only_at_the_top_of_a_thread() -> None:
    """`except Exception` needs ruff's BLE001 waived on its line, with the reason beside it."""
    blind = [(where, line) for where, line in numbered_lines(*PRODUCT, "hal_sim") if re.match(r"\s*except\s+\(?Exception\b", line)]
    assert not [where for where, line in blind if not re.search(r"noqa: BLE001 .*thread", line)]


# --- packages ---------------------------------------------------------------------------------------------------------


def requirement_name(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None, requirement
    return re.sub(r"[-_.]+", "-", name.group()).lower()


def locked(name: str) -> dict[str, str]:
    text = (ROOT / ".ci" / name).read_text()
    return {requirement_name(package): version for package, version in re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", text, re.MULTILINE)}


def test_run_time_packages_are_few_locked_and_explained() -> None:
    wanted = {requirement_name(text) for text in PYPROJECT["project"]["dependencies"]}
    explained = set(re.findall(r"^\| `([^`]+)` \|", (ROOT / "firmware_notes" / "dependencies.md").read_text(), re.MULTILINE))
    assert len(wanted) <= RUN_TIME_PACKAGES_MAX
    assert wanted <= locked("requirements.txt").keys()
    assert wanted <= explained


def test_both_locks_hold_the_same_versions() -> None:
    development, run_time = locked("requirements-dev.txt"), locked("requirements.txt")
    wanted = {requirement_name(text) for text in PYPROJECT["dependency-groups"]["dev"]}
    assert wanted <= development.keys()
    assert run_time.items() <= development.items()


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_locks_are_hashed_and_name_no_host(name: str) -> None:
    text = (ROOT / ".ci" / name).read_text()
    entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)
    assert not re.search(r"https?:|index-url|find-links|file:", text)


def test_a_wheel_would_hold_the_product_alone() -> None:
    assert PYPROJECT["tool"]["setuptools"]["packages"]["find"] == {"include": [f"{name}*" for name in PRODUCT]}


# --- golden frames ----------------------------------------------------------------------------------------------------


def frame_files() -> list[Path]:
    return sorted((ROOT / "firmware_notes").rglob("*.frames.toml"))


def frames(node: object) -> Iterator[dict[str, object]]:
    """Every table with a `wire`, however deep the file nests it."""
    if isinstance(node, dict):
        if "wire" in node:
            yield node
        for value in node.values():
            yield from frames(value)
    elif isinstance(node, list):
        for value in node:
            yield from frames(value)


def test_every_golden_frame_has_a_source() -> None:
    assert frame_files(), "the golden frames are gone"
    for path in frame_files():
        found = list(frames(tomllib.loads(path.read_text())))
        assert found, f"{short(path)} holds no frame"
        for frame in found:
            assert re.fullmatch(r"[0-9A-F]{2}( [0-9A-F]{2})*", str(frame["wire"])), f"{short(path)}: {frame}"
            assert str(frame.get("source", "")).strip(), f"{short(path)}: no source for {frame}"


# --- imports ----------------------------------------------------------------------------------------------------------

BREACHES = {
    "terminal/store/breach.py": "import terminal.host",
    "terminal/core/breach.py": "import time\nimport drivers.badge",
    "terminal/host/breach.py": "import hal_sim, tests, serial, nfc, smartcard, evdev, requests, sqlite3, sqlcipher3",
    "terminal/runtime/breach.py": "import transitions",
    "drivers/dispenser/dart/codec.py": "import threading",
    "drivers/events.py": "import drivers.badge",
    "drivers/badge/breach.py": "import terminal.core, cryptography",
    "hal_sim/breach.py": "import terminal.core",
}
"""One small lie for each contract."""


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_imports_follow_the_architecture() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout


def test_every_import_contract_can_be_broken(tmp_path: Path) -> None:
    """A contract that no import could break would be decoration."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for folder in (*PRODUCT, "hal_sim"):
        for path in sources(folder):
            copy = tmp_path / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text("")
    for name, text in BREACHES.items():
        (tmp_path / name).write_text(text + "\n")
    result = lint_imports(tmp_path)
    verdicts = " ".join(result.stdout.split())
    kept = [contract["name"] for contract in PYPROJECT["tool"]["importlinter"]["contracts"] if f"{contract['name']} BROKEN" not in verdicts]
    assert result.returncode == 1, result.stdout
    assert not kept, result.stdout
