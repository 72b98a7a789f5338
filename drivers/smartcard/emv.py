"""A bank card as nothing but a name: its number is read, turned into a keyed token at once, and forgotten. Sans-IO. Off where nobody asks.

Sources: EMV 4.3 book 1 sections 11.3 and 12.2 to 12.4 (payment directory, list of AIDs, SELECT), book 3 sections 6.5.8, 6.5.11 and 10.2
(GET PROCESSING OPTIONS, READ RECORD, application file locator), annex A (tags); reference/security-and-reliability.md 1.2 and 3.
No PIN is ever sent to a card, no cryptogram asked for, nothing written. Whatever does not fit is "no card of this fleet", as it is for a
terminal that does not read such cards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from drivers.smartcard.apdu import ApduError, Command, Exchange, Send, select
from drivers.smartcard.fleet import CardRefused, FleetCard
from drivers.smartcard.tlv import Tlv, TlvError, find, find_all, parse

DIRECTORIES: Final = (b"1PAY.SYS.DDF01", b"2PAY.SYS.DDF01")
"""The payment directory of a contact card, and the one of a contactless card, which some answer with both."""

SCHEMES: Final = tuple(
    bytes.fromhex(aid)
    for aid in (
        *("A0000000031010", "A0000000032010", "A0000000041010", "A0000000043060", "A00000002501"),
        *("A0000000421010", "A0000000651010", "A0000001523010", "A000000333010101"),
    )
)
"""Visa, Mastercard, American Express, CB, JCB, Discover, UnionPay: asked for by name where a card has no directory."""

NAME: Final = "EMV-"
"""What the name of such a card begins with; behind it the token of its number, a hyphen, and the last four digits."""

APPLICATIONS_MAX: Final = 8
RECORDS_MAX: Final = 12
OPTIONS_MAX: Final = 128
"""Longest answer to a card's list of wishes (PDOL), all zeros."""

_OK: Final = 0x9000
_FCI, _ADF, _ENTRY, _PROPRIETARY, _DIRECTORY_SFI = 0x6F, 0x4F, 0x61, 0xA5, 0x88
_RECORD, _PAN, _TRACK2, _EXPIRY, _PDOL, _AFL, _FORMAT1, _FORMAT2, _ISSUER = 0x70, 0x5A, 0x57, 0x5F24, 0x9F38, 0x94, 0x80, 0x77, 0xBF0C
_STRANGER: Final = "no card of this fleet"


class EmvDialogue:
    """A card that has not our application, up to its name: ``start`` gives the first bytes to send, ``receive`` takes each answer.

    ``token``: a number's keyed token; it is called once, and the digits are overwritten then.
    """

    def __init__(self, t0: bool, token: Callable[[str], str]) -> None:
        self._t0 = t0
        self._token = token
        self._directories = list(DIRECTORIES)
        self._applications: list[bytes] = []
        self._records: list[tuple[int, int]] = []
        self._answered: Callable[[bytes, int], bytes | FleetCard] = self._directory
        self._exchange: Exchange | None = None
        self._expiry: str | None = None

    def start(self) -> bytes:
        """SELECT of the payment directory."""
        return self._ask(select(self._directories.pop(0)), self._directory)

    def receive(self, answer: bytes) -> bytes | FleetCard:
        """What to send next, or the card. Raises ``CardRefused``."""
        if self._exchange is None:
            raise CardRefused(_STRANGER)
        try:
            step = self._exchange.receive(answer)
            return step.apdu if isinstance(step, Send) else self._answered(step.data, step.status)
        except (ApduError, TlvError):
            raise CardRefused(_STRANGER) from None

    def _ask(self, command: Command, answered: Callable[[bytes, int], bytes | FleetCard]) -> bytes:
        self._exchange, self._answered = Exchange(command, self._t0), answered
        return self._exchange.start().apdu

    # --- which application ------------------------------------------------------------------------------------------------

    def _directory(self, data: bytes, status: int) -> bytes | FleetCard:
        if status != _OK:
            return self.start() if self._directories else self._try(list(SCHEMES))
        inside = find(parse(data), _FCI, _PROPRIETARY).children
        listed = _named(find_all(inside, _ISSUER))
        if listed:
            return self._try(listed)
        file = find(inside, _DIRECTORY_SFI).value
        if len(file) != 1 or not 1 <= file[0] <= 10:
            raise CardRefused(_STRANGER)
        self._records = [(file[0], number) for number in range(1, RECORDS_MAX + 1)]
        return self._next_entry()

    def _next_entry(self) -> bytes | FleetCard:
        file, number = self._records.pop(0)
        return self._ask(_read_record(file, number), self._entry)

    def _entry(self, data: bytes, status: int) -> bytes | FleetCard:
        """One record of the directory; the first that is not there ends it."""
        if status == _OK:
            self._applications += _named((find(parse(data), _RECORD),))
        if status == _OK and self._records and len(self._applications) < APPLICATIONS_MAX:
            return self._next_entry()
        return self._try(self._applications or list(SCHEMES))

    def _try(self, applications: list[bytes]) -> bytes | FleetCard:
        self._applications = applications[: max(APPLICATIONS_MAX, len(SCHEMES))]
        if not self._applications:
            raise CardRefused(_STRANGER)
        return self._ask(select(self._applications.pop(0)), self._selected)

    # --- its records ------------------------------------------------------------------------------------------------------

    def _selected(self, data: bytes, status: int) -> bytes | FleetCard:
        if status != _OK:
            return self._try(self._applications)
        own = find_all(find(parse(data), _FCI).children, _PROPRIETARY) if data else ()
        wishes = find_all(own[0].children, _PDOL) if own else ()
        size = sum(_lengths(wishes[0].value)) if wishes else 0
        if size > OPTIONS_MAX:
            raise CardRefused(_STRANGER)
        return self._ask(Command(0x80, 0xA8, 0, 0, bytes((0x83, size)) + bytes(size), 0x100), self._options)

    def _options(self, data: bytes, status: int) -> bytes | FleetCard:
        if status != _OK:
            return self._try(self._applications)
        (answer,) = parse(data)[:1] or (None,)
        if answer is None or answer.tag not in (_FORMAT1, _FORMAT2):
            raise CardRefused(_STRANGER)
        found = self._name(answer.children)  # some tell their number here already
        if found is not None:
            return found
        self._records = _located(answer.value[2:] if answer.tag == _FORMAT1 else find(answer.children, _AFL).value)
        return self._next_record()

    def _next_record(self) -> bytes | FleetCard:
        if not self._records:
            raise CardRefused(_STRANGER)
        return self._ask(_read_record(*self._records.pop(0)), self._record)

    def _record(self, data: bytes, status: int) -> bytes | FleetCard:
        found = self._name(find(parse(data), _RECORD).children) if status == _OK else None
        return found or self._next_record()

    def _name(self, objects: tuple[Tlv, ...]) -> FleetCard | None:
        """The card when these objects have its number: its token and last four digits; the number itself is overwritten."""
        for one in find_all(objects, _EXPIRY)[:1]:
            self._expiry = one.value.hex()[:4]
        digits = bytearray()
        for one in (*find_all(objects, _PAN)[:1], *find_all(objects, _TRACK2)[:1]):
            text = bytearray(one.value.hex().encode())
            if one.tag == _TRACK2 and b"d" in text:
                self._expiry = self._expiry or text[text.index(b"d") + 1 :][:4].decode()
            digits = digits or text.split(b"d")[0].rstrip(b"f")
            text[:] = bytes(len(text))
        if not digits:
            return None
        if not digits.isdigit() or not 12 <= len(digits) <= 19:
            raise CardRefused(_STRANGER)
        name = f"{NAME}{self._token(digits.decode())}-{digits[-4:].decode()}"
        digits[:] = bytes(len(digits))
        return FleetCard(name, self._expiry, proven=False)


def _read_record(file: int, number: int) -> Command:
    return Command(0x00, 0xB2, number, file << 3 | 0x04, le=0x100)


def _named(templates: tuple[Tlv, ...]) -> list[bytes]:
    """The AIDs in these templates' entries, in their order."""
    entries = [entry for template in templates for entry in find_all(template.children, _ENTRY)]
    return [name.value for entry in entries for name in find_all(entry.children, _ADF)[:1] if 5 <= len(name.value) <= 16][:APPLICATIONS_MAX]


def _lengths(wishes: bytes) -> list[int]:
    """The lengths in a list of tags and lengths. Raises ``CardRefused``."""
    found, at = [], 0
    while at < len(wishes):
        at += 1
        if wishes[at - 1] & 0x1F == 0x1F:
            while at < len(wishes) and wishes[at] & 0x80:
                at += 1
            at += 1
        if at >= len(wishes):
            raise CardRefused(_STRANGER)
        found.append(wishes[at])
        at += 1
    return found


def _located(locator: bytes) -> list[tuple[int, int]]:
    """File and number of each record that the locator names. Raises ``CardRefused``."""
    found: list[tuple[int, int]] = []
    for at in range(0, len(locator), 4):
        entry = locator[at : at + 4]
        if len(entry) != 4 or not 1 <= entry[0] >> 3 <= 30 or not 1 <= entry[1] <= entry[2]:
            raise CardRefused(_STRANGER)
        found += [(entry[0] >> 3, number) for number in range(entry[1], min(entry[2], entry[1] + RECORDS_MAX) + 1)]
    return found[:RECORDS_MAX]
