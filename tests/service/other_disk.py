"""Another disk for the backups in the container, and the README's drop-in that lets the service write there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.service import installation
from tests.service.container import Container
from tests.service.installation import UNIT
from tests.service.station import Service

README = (installation.SYSTEMD / "README.md").read_text().splitlines()
(PLACE,) = (line.partition("=-")[2] for line in README if line.startswith("ReadWritePaths="))
FOLDER = f"/run/systemd/system/{UNIT}.d"


@contextmanager
def configured(box: Container, service: Service) -> Iterator[None]:
    """A file system at the README's place, which the configuration names; behind this all is as it was."""
    box.shell(f"mkdir -p {PLACE}; mount -t tmpfs -o size=64m,uid=$(id -u forecourt-terminal),mode=0700 backups {PLACE}")
    config = box.root / "etc/forecourt-terminal/terminal.toml"
    kept = config.read_text()
    config.write_text(kept.replace("[storage]", f'[storage]\nbackup_dir = "{PLACE}"'))
    try:
        if config.read_text() == kept:
            raise LookupError("the configuration has no [storage]")
        box.run("systemctl", "restart", UNIT)
        yield
    finally:
        config.write_text(kept)
        (box.inside(FOLDER) / "backup.conf").unlink(missing_ok=True)
        box.run("systemctl", "daemon-reload")
        box.run("systemctl", "restart", UNIT)


def permit(box: Container) -> None:
    """Lay the README's drop-in beside the unit."""
    (at,) = (number for number, line in enumerate(README) if line.endswith(".d/backup.conf"))
    folder = box.inside(FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "backup.conf").write_text("\n".join(README[at : README.index("```", at)]) + "\n")
    box.run("systemctl", "daemon-reload")
    box.run("systemctl", "restart", UNIT)


def missing(service: Service) -> str:
    """Why the last backup could not be made, as the terminal tells it; "" when it was."""
    status = service.status() or {"faults": []}
    return next((str(fault["detail"]) for fault in status["faults"] if fault["code"] == "BACKUP_FAILED"), "")
