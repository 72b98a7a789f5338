"""The card in QEMU's CCID reader: the other end of ``ccid-card-passthru``, with one of the simulated forecourt's cards behind it.

Source: QEMU's VSCARD protocol (docs/ccid.txt; reference on hardware, section C): header of three big-endian words (type, reader, length).
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from pathlib import Path

from hal_sim.smartcard.card import Card

_INIT, _READER_ADD, _ATR, _CARD_REMOVE, _APDU, _FLUSH, _FLUSH_COMPLETE = 1, 3, 5, 6, 7, 8, 9
_NOBODY = 0xFFFFFFFF


class CardPeer:
    """Connected from the start; the slot is empty until ``insert``."""

    def __init__(self, path: Path) -> None:
        """``path`` is the socket that QEMU listens on."""
        self._card: Card | None = None
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._send(_INIT, b"VSCD" + struct.pack(">II", 2, 0), _NOBODY)
        self._send(_READER_ADD, b"forecourt\0")
        threading.Thread(target=self._serve, name="card-peer", daemon=True).start()

    def insert(self, card: Card) -> None:
        """Put it in."""
        self._card = card
        card.power()
        self._send(_ATR, card.atr)

    def take_out(self) -> None:
        """Take it out."""
        self._card = None
        self._send(_CARD_REMOVE, b"")

    def close(self) -> None:
        """Let the reader go."""
        self._socket.close()

    def _send(self, kind: int, data: bytes, reader: int = 0) -> None:
        self._socket.sendall(struct.pack(">III", kind, reader, len(data)) + data)

    def _receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._socket.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def _serve(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                kind, _, size = struct.unpack(">III", self._receive(12))
                data = self._receive(size)
                card = self._card
                if kind == _APDU and card is not None:
                    self._send(_APDU, card.apdu(data))
                elif kind == _FLUSH:
                    self._send(_FLUSH_COMPLETE, b"")
