"""The three books side by side: what the pumps gave, what the terminal's ledger says, what the host has booked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.demo.show import Show, litres
from tests.demo.station import Station, StationError


@dataclass(frozen=True, slots=True)
class Line:
    """One nozzle in all three, millilitres; sales are counted where there are sales."""

    fp: int
    product: str
    pump_ml: int
    ledger_ml: int
    host_ml: int
    ledger_sales: int
    host_sales: int

    @property
    def agrees(self) -> bool:
        """All three say the same."""
        return self.pump_ml == self.ledger_ml == self.host_ml and self.ledger_sales == self.host_sales


@dataclass(frozen=True, slots=True)
class Books:
    """``findings``: what is wrong with the ledger itself, or with a book that knows of fuel that no nozzle here gave."""

    lines: tuple[Line, ...]
    findings: tuple[str, ...]

    @property
    def agree(self) -> bool:
        """Every line agrees and nothing was found."""
        return not self.findings and all(line.agrees for line in self.lines)


def read(station: Station) -> Books:
    """Stop the terminal, have its ledger verified, and lay the other two beside it. Raises ``StationError``."""
    station.close_terminal()
    sound, report, why = station.verify()
    if why:
        raise StationError(f"the ledger cannot be read: {why}")
    ledger: dict[tuple[int, int], dict[str, Any]] = {(row["fp"], row["nozzle"]): row for row in report["nozzles"]}
    view = station.do("host_books")
    lines = []
    for row in view["books"]:
        ours = ledger.pop((row["fp"], row["nozzle"]), {"sold_ml": 0, "sales": 0})
        lines.append(Line(row["fp"], row["product"], row["pump_ml"], ours["sold_ml"], row["host_ml"], ours["sales"], row["sales"]))
    findings = [f"ledger, {finding['where']}: {finding['what']}" for finding in report["findings"]]
    findings += ["the ledger is not sound"] if not sound and not findings else []
    findings += [f"the ledger knows fuelling point {fp}, nozzle {nozzle}; the forecourt does not" for fp, nozzle in ledger]
    findings += [f"the host has {litres(row['host_ml'])} of fuelling point {row['fp']} that no nozzle gave" for row in view["strangers"]]
    findings += [f"{report['unsent']} messages have not reached the host"] if report["unsent"] else []
    return Books(tuple(lines), tuple(findings))


def tell(books: Books, show: Show) -> None:
    """Print them and the verdict."""
    rows = [("", "pump", "ledger", "host", "sales in ledger", "sales at host", "")]
    for line in books.lines:
        what = f"fuelling point {line.fp}, {line.product}"
        cells = (litres(line.pump_ml), litres(line.ledger_ml), litres(line.host_ml), str(line.ledger_sales), str(line.host_sales))
        rows.append((what, *cells, "agree" if line.agrees else "DIFFER"))
    show.table(rows)
    for finding in books.findings:
        show.plain(f"  {finding}", False)
    show.plain("")
    if books.agree:
        show.plain("The three books agree: every drop that left a pump is one sale in the ledger and one at the host.", True)
    else:
        show.plain("THE THREE BOOKS DO NOT AGREE.", False)
