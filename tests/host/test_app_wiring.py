"""The whole program is put together so that what protects it is in use: the real ``Terminal`` of the example's configuration."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from terminal.app import Terminal
from terminal.core.events import ProbeAnswered
from terminal.runtime.clock import SystemClock
from terminal.runtime.inbox import ROOM, Inbox
from tests.host.hostile import Pki, answer, context_of, host_with, request_of
from tests.host.kit import OLD_KEY, raw
from tests.host.test_certificates import DAY, TODAY
from tests.test_config import example, load_text

PATIENCE_S = 60.0


def _credentials(folder: Path) -> None:
    for number, name in enumerate(("token", "pin", "card")):
        (folder / f"{name}.key").write_text(f"{number:02x}" * 32, encoding="ascii")
    (folder / "list.pub").write_text(raw(OLD_KEY).hex(), encoding="ascii")
    (folder / "ca.crt").rename(folder / "host-ca.crt")
    for end in ("crt", "key"):
        (folder / f"client.{end}").rename(folder / f"tls.{end}")


def test_the_terminal_knows_its_host_s_certificate_its_inbox_s_room_and_its_disk_s_reserve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pki = Pki(tmp_path)
    pki.issue("server", end=TODAY + 300 * DAY)
    pki.issue("client")
    context = context_of(tmp_path)
    _credentials(tmp_path)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    def conduct(connection: Any) -> None:
        while request_of(connection):
            connection.sendall(answer(b'{"time":"2026-03-28T22:50:00.120Z"}'))

    with host_with(context, conduct) as host:
        folders = [(f'{name} = "{old}"', f'{name} = "{tmp_path}"') for name, old in FOLDERS]
        config = load_text(tmp_path, example(*folders, ("https://fleet.example:8443", host.url)))
        inbox = Inbox(SystemClock())
        terminal = Terminal(config, SystemClock(), inbox, set())
        terminal.host._lists.start()
        assert terminal._host_valid is None
        terminal.probe_host()
        end = time.monotonic() + PATIENCE_S
        while (came := inbox.take(100)) is None and time.monotonic() < end:
            pass
        terminal.host._lists.stop()
    assert came is not None
    assert isinstance(came.event, ProbeAnswered)
    assert terminal._host_valid is not None
    assert terminal._host_valid[1] == int((TODAY + 300 * DAY).timestamp()) * 1000
    assert terminal.host._sync._reserve_bytes == config.storage.reserve_mib << 20
    assert terminal.host._push._room()
    for number in range(ROOM + 1):
        inbox.post(number)
    assert not terminal.host._push._room()


FOLDERS = (("state_dir", "/var/lib/forecourt-terminal"), ("runtime_dir", "/run/forecourt-terminal"))
