"""How ``ledger-N.sql`` was made: ``python -m tests.store.old.make_old FILE`` with the program whose newest schema is N, once per schema.

The dump is text, so that a reviewer can read it. Never write over a file that is there: it stands for ledgers in the field.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from terminal.core.head_records import HeadSettled
from terminal.core.price_records import NozzlePrice, PriceSet, PricesPlanned
from terminal.core.units import UtcMs
from terminal.store.ledger import Stamp
from tests.store.books import Station, live


def main(target: Path) -> None:
    """Write one dump. Raises FileExistsError rather than replace one."""
    with TemporaryDirectory() as folder, target.open("x", encoding="utf-8") as file:
        station = Station(Path(folder) / "ledger.db")
        for _ in live(station, 60, seed=1):
            pass
        planned = PricesPlanned(77, 3, 1_774_800_000_000, (NozzlePrice(1, 1, "GAZOLE", 17_490),), "spring")
        station.ledger.commit(
            Stamp(UtcMs(1_774_750_000_000), "trusted"), [PriceSet(1, 1, "GAZOLE", 17_290, 0, 0), HeadSettled(1, 1, 41), planned], []
        )
        for draw in range(12):
            station.push("answer" if draw % 4 == 3 else "hear", draw * 7)
        (version,) = station.ledger.connection.execute("PRAGMA user_version").fetchone()
        file.writelines(f"{line}\n" for line in station.ledger.connection.iterdump())
        file.write(f"PRAGMA user_version = {version};\n")
        station.ledger.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
