"""No frame that the fact sheet names is missing among the golden ones, each has its source, and the wrong ones stand there as wrong.

Reference dispenser-protocols 1.4, 1.8 and 3.2. That codecs and emulators are held to these files is shown beside each of them.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

NOTES = Path(__file__).resolve().parents[2] / "firmware_notes"
GOLDEN: dict[str, list[dict[str, Any]]] = {
    name: tomllib.loads((NOTES / f"{name}.frames.toml").read_text(encoding="utf-8"))["frame"] for name in ("dart", "azt")
}

NAMED = {
    "dart": (
        "51 30 65 01 01 22 83 03 FA",
        "52 3D 02 08 00 00 06 41 00 06 73 05 02 10 FA 03 FA",
        "50 30 05 06 00 11 75 00 11 75 DA C7 03 FA",
        "50 34 02 02 01 02 01 01 05 70 ED 03 FA",
        "51 32 02 01 01 92 E4 03 FA",
        "51 35 03 04 99 99 99 99 04 89 03 FA",
        "51 36 01 01 06 22 16 03 FA",
        "51 3E 01 01 08 A1 B2 03 FA",
        "52 3C 05 09 00 12 34 00 56 78 00 26 53 A9 46 03 FA",
        "52 30 01 01 04 01 01 05 19 94 03 FA",
        "50 30 01 01 08 9E 9A 03 FA",
        "52 31 01 01 08 E6 A6 03 FA",
        "50 30 01 01 05 5F 5F 03 FA",
        "50 30 65 01 01 1F 43 03 FA",
        "50 30 01 01 06 1F 5E 03 FA",
    ),
    "azt": (
        "7F 02 21 5E 31 4E 03 03 53",
        "7F 02 21 5E 32 4D 03 03 50",
        "7F 02 21 5E 51 2E 34 4B 35 4A 30 4F 30 4F 03 03 72",
        "7F 02 21 5E 54 2B 30 4F 30 4F 35 4A 30 4F 30 4F 03 03 43",
        "7F 02 34 4B 30 4F 03 03 47",
        "7F 02 30 4F 30 4F 30 4F 35 4A 30 4F 30 4F 03 03 46",
        "7F 06",
    ),
}
WRONG = {
    "dart": ("50 33 65 01 02 62 C6 03 FA", "50 32 65 01 01 23 3B 03 FA", "53 3C 02 08 00 00 03 15 00 03 30 75 36 92 03 FA"),
    "azt": (),
}
ONE_FRAME_START = ("01 01 05", "02 04 01 02 03 04", "03 04 00 09 99 00", "01 01 06")
"""Of 1.8: RESET, nozzles, (four prices between), preset of 999.00, AUTHORIZE."""


@pytest.mark.parametrize("protocol", GOLDEN)
def test_every_frame_of_the_sheet_is_there_and_has_a_source(protocol: str) -> None:
    by_wire = {frame["wire"]: frame for frame in GOLDEN[protocol]}
    assert len(by_wire) == len(GOLDEN[protocol]), "one frame stands there twice"
    assert [wire for wire in NAMED[protocol] if not by_wire.get(wire, {}).get("valid")] == []
    assert [wire for wire in WRONG[protocol] if by_wire.get(wire, {"valid": True})["valid"]] == []
    assert [frame["name"] for frame in by_wire.values() if not frame["source"].strip() or not frame["meaning"].strip()] == []
    assert all(frame.get("fault") for frame in by_wire.values() if not frame["valid"])
    assert sum(not frame["valid"] for frame in by_wire.values()) >= 3


def test_the_start_in_one_frame_is_there() -> None:
    starts = [frame["transactions"] for frame in GOLDEN["dart"] if frame["valid"] and len(frame["transactions"]) == 5]
    without_prices = [(*words[:2], *words[3:]) for words in starts if words[2].startswith("05 0C")]
    assert ONE_FRAME_START in without_prices
