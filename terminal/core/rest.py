"""When is nobody served? What may take a moment, and can wait for a day, is done then."""

from __future__ import annotations

from terminal.core.sale import SaleState
from terminal.core.session import SessionState
from terminal.core.site import Site

_IN_HAND = (SaleState.RESERVED, SaleState.AUTHORIZED, SaleState.DELIVERING)
_ALONE = (SessionState.IDLE, SessionState.OUT_OF_SERVICE)


def a_sale_is_open(site: Site) -> bool:
    """Fuel flows or may flow, and is still to be recorded."""
    return any(one.state in _IN_HAND for one in site.desk.sales.values())


def nobody_is_served(site: Site) -> bool:
    """No driver stands at the terminal, and no point is released or fuels; a sale in doubt waits for people, not for us."""
    return all(session.state in _ALONE for session in site.sessions.values()) and not a_sale_is_open(site)
