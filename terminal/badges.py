"""From the ``[[badge_profile]]`` tables and the key files to the badge reader's profiles. Beside ``devices`` this builds drivers."""

from __future__ import annotations

import threading
from collections.abc import Callable

from drivers.badge.apdu import NDEF_APPLICATION
from drivers.badge.diversify import badge_key
from drivers.badge.ev2_session import CommMode
from drivers.badge.learn import Learnt, look
from drivers.badge.profiles import BadgeProfile, Content, Ev2Profile, NdefProfile, SunProfile, UidForm, UidOrder, UidProfile
from drivers.badge.proof import ProofProfile
from drivers.badge.reader import Pn532
from drivers.badge.reader_rules import Sighting
from drivers.badge.sun import SunLayout
from drivers.badge.uid import BadgeRefused, NumberProfile
from terminal.badge_tables import BadgeProfileTable, Ev2Table, NdefTable, SunTable, UidTable
from terminal.config import Config, ConfigError, resolve
from terminal.config_tables import BadgeReaderTable
from terminal.runtime.clock import SystemClock
from terminal.store.vault import KeyFileError, read_key

__all__ = ["Learnt", "learn_from", "profiles_of"]

BADGE_KEY_BYTES = 16
ONLY_TABLES = "none"
LOOK_MS = 150


def profiles_of(config: Config, reader: BadgeReaderTable) -> tuple[BadgeProfile, ...]:
    """What this reader tries, in order. Raises ``ConfigError`` for a key that cannot be read."""
    found = [_profile(table, config) for table in config.badge_profile]
    return tuple(found if reader.profile == ONLY_TABLES else [*found, NumberProfile(reader.profile)])


def _profile(table: BadgeProfileTable, config: Config) -> BadgeProfile:
    if isinstance(table, UidTable):
        return UidProfile(UidOrder(table.order), UidForm(table.form))
    if isinstance(table, NdefTable):
        return NdefProfile()
    if isinstance(table, SunTable):
        file_key = _key(config, "sun_file")
        layout = SunLayout(table.picc, table.mac, table.enc)
        return SunProfile(layout, _key(config, "sun_meta"), _maker(file_key, NDEF_APPLICATION, table))
    application = bytes.fromhex(table.application)
    proof = ProofProfile(
        application, table.key_number, table.file_number, table.offset, table.length, CommMode(table.mode), table.random_uid
    )
    return Ev2Profile(proof, _maker(_key(config, "badge_master"), application, table), Content(table.content))


def _maker(master: bytes, application: bytes, table: Ev2Table | SunTable) -> Callable[[bytes], bytes]:
    """UID → the badge's key (AN10922 where it is diversified)."""
    if not table.diversified:
        return lambda uid: master
    system = table.system.encode("ascii")
    return lambda uid: badge_key(master, uid, application, system)


def _key(config: Config, name: str) -> bytes:
    try:
        return read_key(resolve(getattr(config.keys, name)), BADGE_KEY_BYTES)
    except KeyFileError as error:
        raise ConfigError(f"keys.{name}: {error}") from error


def learn_from(port: str, say: Callable[[str], None], seconds: int | None) -> Learnt | None:
    """Everything that the next badge at this reader offers. ``say`` takes a line for the person who holds it out, each once.

    None when nobody held one out within ``seconds``. Raises ``OSError`` for a reader that is not there, ``ValueError`` for a port's name.
    """
    clock, pause, told = SystemClock(), threading.Event(), ""
    chip = Pn532(port, clock.instant)
    try:
        until = None if seconds is None else clock.instant() + seconds * 1_000
        while until is None or clock.instant() < until:
            why = ""
            target = chip.sense()
            if target is not None and chip.count() is Sighting.TWO:
                why = "two badges"
            elif target is not None and (target := chip.sense()) is not None:
                try:
                    return chip.ask(target, look)
                except BadgeRefused as refusal:
                    why = str(refusal)
            if why and why != told:
                say(f"not read ({why}): hold one badge still, flat on the reader")
            told = why
            pause.wait(LOOK_MS / 1_000)
        return None
    finally:
        chip.close()
