"""The virtual machine's disk: a Debian with its kernel, the installed terminal, and an agent that runs what the tests ask.

Sources: reference on hardware, section C (what to install, the small initrd, what to mask). Two layers are kept under build/: the tree by
its recipe, the disk by everything that is laid into it.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.service import installation
from tests.service.tree import BUILD, root_tree

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "linux-image-amd64", "initramfs-tools", "systemd", "systemd-sysv", "udev", "dbus", "python3", "pcscd", "libccid", "kmod", "e2fsprogs",
    "util-linux", "iproute2",
)  # fmt: skip
_NOT_NEEDED = (
    "sound", "net/bluetooth", "net/wireless", "net/mac80211", "fs/btrfs", "fs/xfs", "fs/ocfs2", "fs/nfs", "fs/nfsd", "fs/smb",
    "fs/ceph", "fs/gfs2", "fs/f2fs", "drivers/gpu", "drivers/media", "drivers/net/ethernet", "drivers/net/wireless", "drivers/infiniband",
    "drivers/scsi/qla2xxx", "drivers/scsi/lpfc", "drivers/iio", "drivers/isdn", "drivers/staging", "drivers/md", "drivers/video",
)  # fmt: skip
_MASKED = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer", "systemd-timesyncd.service",
    "systemd-networkd.service", "systemd-logind.service", "dpkg-db-backup.timer", "getty@tty1.service", "serial-getty@ttyS0.service",
    "systemd-networkd-wait-online.service",
)  # fmt: skip
HOOKS = (
    'cd "$1"/lib/modules/*/kernel && rm -rf ' + " ".join(_NOT_NEEDED),
    'chroot "$1" depmod "$(ls "$1/lib/modules")"',
    # Only what the disk needs: a fifth of the size, and ten seconds less of each start.
    'cp -r "$1/etc/initramfs-tools" "$1/tmp/it" && sed -i s/^MODULES=.*/MODULES=list/ "$1/tmp/it/initramfs.conf" && '
    "printf 'virtio_pci\\nvirtio_blk\\next4\\ncrc32c_generic\\n' >\"$1/tmp/it/modules\" && "
    'chroot "$1" mkinitramfs -d /tmp/it -o /boot/initrd.small "$(ls "$1/lib/modules")" && rm -r "$1/tmp/it"',
    'for unit in ' + " ".join(_MASKED) + '; do ln -sf /dev/null "$1/etc/systemd/system/$unit"; done',
    "echo '/dev/vda / ext4 defaults,noatime 0 1' >\"$1/etc/fstab\"",
)  # fmt: skip
DISK_MIB = 1600
AGENT_UNIT = """[Unit]
Description=Runs what the tests ask
[Service]
ExecStart=/usr/bin/python3 /usr/lib/agent.py
StandardOutput=null
[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True, slots=True)
class Image:
    """What a machine starts from. ``disk`` is never written: each machine has a layer of its own above it."""

    folder: Path
    disk: Path
    kernel: Path
    initrd: Path


def image() -> Image:
    """The disk with the program as it is now, made when it is not there yet. Configuration and credentials come later, as on site."""
    tree = root_tree("machine", PACKAGES, "essential", HOOKS)
    key = hashlib.sha256("\n".join([tree.name, *_fingerprints()]).encode())
    folder = BUILD / "machine" / key.hexdigest()[:16]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            for old in folder.parent.iterdir():
                if old.is_dir():
                    shutil.rmtree(old)
            _make(tree, folder)
    return Image(folder, folder / "disk.img", folder / "vmlinuz", folder / "initrd")


def _make(tree: Path, folder: Path) -> None:
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    root = part / "root"
    part.mkdir()
    subprocess.run(["cp", "-a", str(tree), str(root)], check=True)
    try:
        shutil.copyfile(next((root / "boot").glob("vmlinuz-*")), part / "vmlinuz")
        (root / "boot/initrd.small").rename(part / "initrd")
        installation.lay_out(root, root / installation.LIBRARIES)
        _copy_python(root)

        def alone(*command: str, given: str | None = None) -> str:
            run = ["systemd-nspawn", "-q", "-D", str(root), "--register=no", "--keep-unit", "--pipe", *command]
            return subprocess.run(run, input=given, capture_output=True, text=True, check=True).stdout

        installation.make_users(root, alone, "0123456789abcdef0123456789abcdef")
        shutil.copyfile(Path(__file__).parent / "agent.py", root / "usr/lib/agent.py")
        # Debian loads no watchdog by itself; a Raspberry Pi has its own in the kernel.
        (root / "etc/modules-load.d/watchdog.conf").write_text("i6300esb\n")
        (root / "etc/systemd/system/agent.service").write_text(AGENT_UNIT)
        wants = root / "etc/systemd/system/multi-user.target.wants"
        wants.mkdir(parents=True, exist_ok=True)
        (wants / "agent.service").symlink_to("/etc/systemd/system/agent.service")
        disk = part / "disk.img"
        with disk.open("wb") as file:
            file.truncate(DISK_MIB << 20)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", str(root), "-E", "root_owner=0:0", str(disk)], check=True)
        shutil.rmtree(root)
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _copy_python(root: Path) -> None:
    """The interpreter without its own tests, and the packages of .ci/requirements.txt."""
    if sys.base_prefix != "/usr":
        left_out = shutil.ignore_patterns("site-packages", "test", "tests", "idlelib", "tkinter", "config-*", "include", "share")
        shutil.copytree(sys.base_prefix, root / installation.INTERPRETER, symlinks=True, ignore=left_out)
    else:
        (root / installation.INTERPRETER).symlink_to("/usr")
    target = root / installation.LIBRARIES
    for name in _locked():
        distribution = importlib.metadata.distribution(name)
        for file in distribution.files or []:
            source = Path(str(distribution.locate_file(file)))
            if ".." not in file.parts and source.is_file():
                (target / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target / file)


def _locked() -> Iterator[str]:
    for line in (PROJECT / ".ci/requirements.txt").read_text().splitlines():
        found = re.match(r"([A-Za-z0-9._-]+)==", line)
        if found:
            yield found.group(1)


def _fingerprints() -> Iterator[str]:
    yield sys.version
    for place in ("terminal", "drivers", "systemd", "tests/machine/image.py", "tests/machine/agent.py", "tests/service", ".ci"):
        for file in sorted((PROJECT / place).rglob("*") if (PROJECT / place).is_dir() else [PROJECT / place]):
            if file.is_file() and file.suffix in {".py", ".service", ".rules", ".conf", ".tmpfiles", ".sysusers", ".txt", ".sql"}:
                yield f"{file.relative_to(PROJECT)} {hashlib.sha256(file.read_bytes()).hexdigest()}"
