"""How many decimals a currency's smallest unit has (ISO 4217)."""

from __future__ import annotations

_DECIMALS = {
    0: frozenset("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split()),
    3: frozenset("BHD IQD JOD KWD LYD OMR TND".split()),
    4: frozenset("CLF UYW".split()),
}
"""ISO 4217: the currencies that have not two decimals."""


def decimals_of(currency: str) -> int:
    """How many decimals a currency has (ISO 4217)."""
    return next((decimals for decimals, codes in _DECIMALS.items() if currency in codes), 2)
