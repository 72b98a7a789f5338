"""A small Debian as a folder, made once by mmdebstrap from where this machine's apt gets its packages, kept under build/.

Its name holds the hash of everything that it is made from; another recipe or release, or another systemd here, makes another tree.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

BUILD = Path(__file__).resolve().parents[2] / "build"
SERVICE_PACKAGES = ("systemd", "systemd-sysv", "python3")
_FIELDS = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)|$(SIGNED_BY)"
LIMIT_S = 600


class NoTree(RuntimeError):
    """The tree cannot be made here; the text says why."""


def root_tree(name: str, packages: tuple[str, ...], variant: str = "essential", hooks: tuple[str, ...] = ()) -> Path:
    """The tree of these packages, made when it is not there yet (half a minute). Raises NoTree.

    ``hooks`` are shell lines that run in the making, with the tree as ``$1``.
    """
    recipe = "\n".join([suite(), variant, *packages, *hooks, _version("systemd"), _version("python3")])
    tree = BUILD / "trees" / f"{name}-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}"
    tree.parent.mkdir(parents=True, exist_ok=True)
    with (tree.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tree.exists():
            for old in tree.parent.glob(f"{name}-*"):
                shutil.rmtree(old)
            _make(tree, packages, variant, hooks)
    return tree


def suite() -> str:
    """This machine's release, by its code name."""
    for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    raise NoTree("/etc/os-release does not name a release")


def sources() -> str:
    """The lines of this machine's apt for its own release, updates and security included. No other repository's. Raises NoTree."""
    lines = _sources()
    if not lines:  # a machine whose lists were cleaned away after its own installation
        subprocess.run(["apt-get", "-q", "update"], capture_output=True, check=False, timeout=LIMIT_S)
        lines = _sources()
    if not lines:
        raise NoTree("apt knows no packages of this release: apt-get update, then again")
    return "\n".join(lines) + "\n"


def _sources() -> list[str]:
    said = subprocess.run(
        ["apt-get", "indextargets", "--format", _FIELDS, "Created-By: Packages"], capture_output=True, text=True, check=False
    ).stdout
    ours, lines = suite(), []
    for uri, release, component, origin, signed in (line.split("|") for line in sorted(set(said.splitlines())) if line.count("|") == 4):
        if origin == "Debian" and release in (ours, f"{ours}-updates", f"{ours}-security"):
            option = f"[signed-by={signed}] " if signed and not signed.startswith("$") else ""
            lines.append(f"deb {option}{uri} {release} {component}")
    return lines


def _version(package: str) -> str:
    return subprocess.run(["dpkg-query", "-W", package], capture_output=True, text=True, check=False).stdout.strip()


def _make(tree: Path, packages: tuple[str, ...], variant: str, hooks: tuple[str, ...]) -> None:
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        raise NoTree("a Debian tree needs root and mmdebstrap (apt-get install mmdebstrap systemd-container)")
    part = tree.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    command = ["mmdebstrap", "--quiet", f"--variant={variant}", f"--include={','.join(packages)}"]
    command.append("--dpkgopt=force-unsafe-io")
    # No manuals, translations and package lists: nothing here reads them, and they are a third of the time.
    command += [f"--dpkgopt=path-exclude=/usr/share/{each}/*" for each in ("doc", "man", "locale")]
    command += [f"--customize-hook={hook}" for hook in hooks]
    try:
        subprocess.run([*command, suite(), str(part), "-"], input=sources(), capture_output=True, text=True, check=True, timeout=LIMIT_S)
    except subprocess.CalledProcessError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise NoTree(f"mmdebstrap: {error.stderr[-2000:]}") from error
    part.rename(tree)
