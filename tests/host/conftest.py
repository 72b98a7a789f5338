"""Certificates once for the folder: making them is what takes time here."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from tests.host.hostile import Pki


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``ca``, ``server``, ``client``, and pairs that are wrong in one way each."""
    folder = tmp_path_factory.mktemp("pki")
    own = Pki(folder)
    own.issue("server")
    own.issue("client")
    own.issue("elsewhere", address="127.0.0.9")
    own.issue("expired", end=dt.datetime(2001, 1, 1, tzinfo=dt.UTC))
    stranger = Pki(folder, "other-ca.crt")
    stranger.issue("stranger")
    return folder
