"""Amounts, sales and books in the words of the language: what a failed Then says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.behaviour.world import Books, Release, SaleSeen, Setup


def litres(volume_ml: int) -> str:
    """Millilitres as ``12.50 L``, with a third decimal only where it is needed."""
    text = f"{volume_ml // 1000}.{volume_ml % 1000:03d}"
    return f"{text.removesuffix('0')} L"


def money(amount_minor: int, setup: Setup) -> str:
    """Minor units as ``21.61 EUR``."""
    if setup.decimals == 0:
        return f"{amount_minor} {setup.currency}"
    scale = 10**setup.decimals
    return f"{amount_minor // scale}.{amount_minor % scale:0{setup.decimals}d} {setup.currency}"


def told_amount(amount: int, measure: str, setup: Setup) -> str:
    """An amount by its measure."""
    return litres(amount) if measure == "QUANTITY" else money(amount, setup) if measure == "VALUE" else str(amount)


def told_release(release: Release | None, setup: Setup) -> str:
    """``is not released`` or ``is released at nozzle 1 for at most 62.00 L``."""
    if release is None:
        return "is not released"
    preset = release.preset
    if preset.volume_ml is not None:
        return f"is released at nozzle {release.nozzle} for at most {litres(preset.volume_ml)}"
    if preset.amount_minor is not None:
        return f"is released at nozzle {release.nozzle} for at most {money(preset.amount_minor, setup)}"
    return f"is released at nozzle {release.nozzle} without a preset"


def sales_text(sales: Sequence[SaleSeen], setup: Setup) -> str:
    """Every sale in one line. The last four of the account only: a failure is printed and kept."""
    told = [
        f'{litres(sale.volume_ml)} of "{sale.product}" for {money(sale.amount_minor, setup)} by card …{sale.account[-4:]}' for sale in sales
    ]
    return "; ".join(told) or "no sale"


def books_differ(books: Books, setup: Setup) -> str:
    """What differs between the three books; empty when they agree."""
    found = []
    for place in sorted({*books.pumps, *books.ledger, *books.host}):
        seen = [side.get(place, 0) for side in (books.pumps, books.ledger, books.host)]
        if len(set(seen)) > 1:
            pump, ledger, host = (litres(each) for each in seen)
            found.append(f"nozzle {place[1]} of fuelling point {place[0]}: pump {pump}, ledger {ledger}, host {host}")
    if books.ledger_minor != books.host_minor:
        found.append(f"money: ledger {money(books.ledger_minor, setup)}, host {money(books.host_minor, setup)}")
    if sorted(books.ledger_sales) != sorted(books.host_sales):
        only = _counts(books.ledger_sales, books.host_sales)
        found.append(
            "sales: "
            + ", ".join(f"{sale} stands {ours} times in the ledger and {theirs} times at the host" for sale, (ours, theirs) in only.items())
        )
    return "; ".join(found)


def _counts(ledger: Sequence[str], host: Sequence[str]) -> Mapping[str, tuple[int, int]]:
    both = {sale: (list(ledger).count(sale), list(host).count(sale)) for sale in sorted({*ledger, *host})}
    return {sale: pair for sale, pair in both.items() if pair != (1, 1)}
