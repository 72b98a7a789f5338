"""Card lists as the core sees them: what was adopted last, what is offered, and when an offer is refused. Pure.

A list is known by (epoch, version). The epoch is a random name that changes when the host rebuilds its database, so two of them have no
order of their own: a new epoch must have been made after the list that we have, and one that was left never comes back.
Source: reference/host-and-offline-authorization.md 9.2, reference/security-and-reliability.md 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass

from terminal.core.units import UtcMs

NAME = "cards"
AHEAD_MS = 24 * 3_600_000
"""How far in the future a list may claim to have been made: clocks differ, but not by more than this."""


@dataclass(frozen=True, slots=True)
class ListMark:
    """The newest list that was ever adopted here, as the ledger remembers it. ``left``: epochs that were given up for a newer one."""

    epoch: str = ""
    version: int = 0
    rows: int = 0
    issued_at: int = 0
    content_hash: str = ""
    left: tuple[str, ...] = ()

    def after(self, offer: ListOffer) -> ListMark:
        """The mark once this offer was adopted."""
        left = self.left if self.epoch in ("", offer.epoch) else (*self.left, self.epoch)
        return ListMark(offer.epoch, offer.version, offer.rows, offer.issued_at, offer.content_hash, left)


NO_LIST = ListMark()


@dataclass(frozen=True, slots=True)
class ListOffer:
    """What a signed head says of a list. Instants are UTC milliseconds; ``content_hash`` is of the list after it was applied."""

    epoch: str
    version: int
    rows: int
    content_hash: str
    issued_at: int
    not_after: int
    confirm_shrink: bool


@dataclass(frozen=True, slots=True)
class ListOp:
    """One change of a delta: the row of ``table`` with this key becomes ``body``, or goes (None)."""

    table: str
    key: tuple[bytes | str, ...]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class ListDelta:
    """The changes from version ``base`` to the offered one. ``products``: what they name and do not bring themselves."""

    base: int
    offer: ListOffer
    sha256: str
    ops: tuple[ListOp, ...]
    products: frozenset[str]


def refusal(mark: ListMark, offer: ListOffer, now: UtcMs) -> str | None:
    """Why an offer must not be taken, None when it may: too old, expired, from the future, or suspiciously small.

    The list that is live already is no reason: it may have to be fetched again after its file was lost.
    """
    if offer.issued_at > now + AHEAD_MS:
        return "it claims to have been made in the future"
    if offer.not_after <= max(now, offer.issued_at):
        return "it has expired"
    return _rollback(mark, offer) or _shrunk(mark, offer)


def _rollback(mark: ListMark, offer: ListOffer) -> str | None:
    if offer.epoch in mark.left:
        return f"its epoch {offer.epoch} was given up for {mark.epoch}"
    if offer.epoch == mark.epoch:
        if offer.version < mark.version:
            return f"it is older than version {mark.version}, which was adopted"
        if offer.version == mark.version and offer.content_hash != mark.content_hash:
            return "it has another content than the list that was adopted under the same version"
    elif mark.epoch and offer.issued_at <= mark.issued_at:
        return "it is of another epoch and was made before the list that was adopted"
    return None


def _shrunk(mark: ListMark, offer: ListOffer) -> str | None:
    if offer.confirm_shrink:
        return None
    if offer.rows == 0:
        return "it is empty and the host does not confirm that"
    if 2 * offer.rows < mark.rows:
        return f"it shrinks from {mark.rows} to {offer.rows} rows and the host does not confirm that"
    return None
