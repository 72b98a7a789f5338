"""All surfaces by their names."""

from __future__ import annotations

from tests.fuzz import cards, chips, files, hosts, keys, lines
from tests.fuzz.surface import Surface

SURFACES: dict[str, Surface] = {one.name: one for part in (cards, chips, keys, lines, hosts, files) for one in part.SURFACES}
