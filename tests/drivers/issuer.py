"""The terminal's profiles for the badges of ``hal_sim.badge.catalogue``: DESFire with a diversified key, NTAG 424 with a signed link."""

from __future__ import annotations

from drivers.badge.diversify import badge_key
from drivers.badge.ev2_session import CommMode
from drivers.badge.profiles import Content, Ev2Profile, SunProfile
from drivers.badge.proof import ProofProfile
from drivers.badge.sun import SunLayout
from hal_sim.badge.catalogue import APPLICATION, FILE_BYTES, FILE_NUMBER, KEY_NUMBER, SYSTEM, Badges
from hal_sim.badge.ntag424 import NAME


def secure_profile(badges: Badges, content: Content = Content.TEXT) -> Ev2Profile:
    """The issuer's DESFire badges."""
    proof = ProofProfile(APPLICATION, KEY_NUMBER, FILE_NUMBER, 0, FILE_BYTES, CommMode.FULL)
    return Ev2Profile(proof, lambda uid: badge_key(badges.master, uid, APPLICATION, SYSTEM), content)


def signing_profile(badges: Badges) -> SunProfile:
    """The issuer's NTAG 424 badges."""
    return SunProfile(SunLayout(enc="enc"), badges.sun_meta, lambda uid: badge_key(badges.sun_file, uid, NAME, SYSTEM))
