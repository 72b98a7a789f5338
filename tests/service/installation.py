"""The terminal installed as systemd/README.md says, into a root folder: program, unit, users, folders, sealed credentials.

The Python packages are this virtual environment's; the two packages of the product are copied as `pip install` would lay them.
"""

from __future__ import annotations

import compileall
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
SYSTEMD = PROJECT / "systemd"
UNIT = "forecourt-terminal.service"
PLACES = {
    UNIT: "etc/systemd/system/forecourt-terminal.service",
    "forecourt-terminal-reboot.service": "etc/systemd/system/forecourt-terminal-reboot.service",
    "forecourt-terminal-reboot.timer": "etc/systemd/system/forecourt-terminal-reboot.timer",
    "forecourt-terminal-again.timer": "etc/systemd/system/forecourt-terminal-again.timer",
    "forecourt-terminal-reboot-due": "usr/lib/forecourt-terminal/reboot-due",
    "forecourt-terminal.sysusers": "usr/lib/sysusers.d/forecourt-terminal.conf",
    "forecourt-terminal.tmpfiles": "usr/lib/tmpfiles.d/forecourt-terminal.conf",
    "forecourt-terminal.journald.conf": "etc/systemd/journald.conf.d/forecourt-terminal.conf",
    "forecourt-terminal.system.conf": "etc/systemd/system.conf.d/forecourt-terminal.conf",
    "70-forecourt-terminal.rules": "etc/udev/rules.d/70-forecourt-terminal.rules",
}
HOME = Path("opt/forecourt-terminal")
INTERPRETER = Path("opt/python")
LIBRARIES = HOME / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
SECRETS = ("token.key", "pin.key", "card.key", "tls.key")
PUBLIC = ("tls.crt", "host-ca.crt", "list.pub")

Runner = Callable[..., str]


def lay_out(root: Path, libraries: Path) -> None:
    """Every file of systemd/ at its place, and the program with its own packages in ``libraries``."""
    for name, place in PLACES.items():
        target = root / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SYSTEMD / name, target)
    home = root / HOME
    (home / "bin").mkdir(parents=True)
    (home / "bin/python").symlink_to(f"/{INTERPRETER}/bin/{Path(sys.executable).resolve().name}")
    (home / "pyvenv.cfg").write_text(f"home = /{INTERPRETER}/bin\ninclude-system-site-packages = false\n")
    for each in {root / LIBRARIES, libraries}:
        each.mkdir(parents=True)
    for package in ("terminal", "drivers"):
        shutil.copytree(PROJECT / package, libraries / package, ignore=shutil.ignore_patterns("__pycache__"))
        # As pip does; the service itself may not write there, and would compile everything anew at each start.
        compileall.compile_dir(libraries / package, stripdir=str(libraries), prependdir=f"/{LIBRARIES}", quiet=1)
    if sys.base_prefix != "/usr":
        # An interpreter outside /usr finds its own library where it was built; the loader looks here when it is not there.
        for library in Path(sys.base_prefix, "lib").glob("libpython3*.so*"):
            (root / "usr/lib" / library.name).symlink_to(f"/{INTERPRETER}/lib/{library.name}")


def mounts(libraries: Path) -> list[str]:
    """systemd-nspawn's options for what is too big to copy: interpreter and third-party packages, the product's own above them."""
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    return [
        f"--bind-ro={sys.base_prefix}:/{INTERPRETER}",
        f"--overlay-ro={packages}:{libraries}:/{LIBRARIES}",
    ]


def make_users(root: Path, run: Runner, machine_id: str) -> None:
    """Users, groups and folders, by the README's commands; ``run`` runs a command in the root."""
    (root / "etc/machine-id").write_text(machine_id + "\n")
    run("systemd-sysusers")
    run("systemd-tmpfiles", "--create", "/usr/lib/tmpfiles.d/forecourt-terminal.conf")


def configure(root: Path, run: Runner, toml: str, files: Mapping[str, Path]) -> None:
    """Configuration and credentials; ``files`` are the clear ones by credential name. Enabled, as `systemctl enable` does it."""
    config = root / "etc/forecourt-terminal/terminal.toml"
    config.write_text(toml, encoding="utf-8")
    shutil.chown(config, 0, group_id(root, "forecourt-terminal"))
    config.chmod(0o640)
    for name in PUBLIC:
        shutil.copyfile(files[name], root / f"etc/credstore/forecourt-terminal.{name}")
    for name in SECRETS:
        sealed = f"/etc/credstore.encrypted/forecourt-terminal.{name}"
        run("systemd-creds", "encrypt", f"--name={name}", "-", sealed, given=files[name].read_text())
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / UNIT).symlink_to(f"/etc/systemd/system/{UNIT}")


def group_id(root: Path, name: str) -> int:
    """The number of a group of this root."""
    for line in (root / "etc/group").read_text().splitlines():
        group, _, number, _ = line.split(":")
        if group == name:
            return int(number)
    raise LookupError(f"no group {name}")
