"""Test and calibration fuellings: a technician's card releases a point without anybody's limit; the fuel goes back. (features.md F62.)

A technician's card is one of a range of the card table. What it lets flow is a sale of its own kind: it is numbered, held, released,
recorded and sent as every sale is, so that no litre of a totaliser is left unexplained; but it is marked ``TEST``, costs nothing, counts on
no account, customer or exposure, and the host is not asked. When the card is held out again after a test, the volume that a prover (a
measuring vessel) showed may be typed in, and the meter's deviation from it is shown and written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from terminal.core.attempt import TEST, SaleExtra, medium_ref
from terminal.core.card_data import Offline
from terminal.core.ids import SaleId
from terminal.core.internal_events import AttemptRefused, PointArmed, ProverRead, SaleArmed, SaleGranted
from terminal.core.reasons import Reason
from terminal.core.records import Allowed, MediumRef, NozzleRef
from terminal.core.sale import Sale, SaleState
from terminal.core.screens import Screen, again_text
from terminal.core.site_records import MeterProved
from terminal.core.step import Desk
from terminal.core.units import Instant, cost_of, volume_for

if TYPE_CHECKING:
    from terminal.core.card_desk import Half
    from terminal.core.corrections import PastSales
    from terminal.core.fuelling_point import FuellingPoint
    from terminal.core.session import CustomerSession
    from terminal.core.teller import Teller

PRESET_ML = 20_000
"""Where the technician wishes nothing: the volume of the usual prover."""
FARTHEST_PER_MILLE = 50
"""A reading that differs more than this is a mistyped one."""
_ACCOUNT = "test:"


def account_of(token: str) -> str:
    """The account that a technician's tests stand under: nobody has limits on it."""
    return f"{_ACCOUNT}{token}"


def of_a_test(account: str) -> bool:
    """Whether a sale on this account is a test."""
    return account.startswith(_ACCOUNT)


def deviation_text(volume_ml: int, prover_ml: int) -> str:
    """``-40 ml -2.0/1000``: of the prover's volume, to a tenth of a per mille, halves away from zero."""
    deviation = volume_ml - prover_ml
    tenths = (abs(deviation) * 10_000 * 2 + prover_ml) // (2 * prover_ml)
    sign = "-" if deviation < 0 else "+" if deviation else ""
    return f"{sign}{abs(deviation)} ml {sign}{tenths // 10}.{tenths % 10}/1000"


def litres_text(volume_ml: int) -> str:
    """``20.040 L``: a prover is read to the millilitre."""
    return f"{volume_ml // 1000}.{volume_ml % 1000:03d} L"


class MeterDesk:
    """Serves technicians. The last test of each card waits for its prover's reading as long as the program runs."""

    def __init__(self, desk: Desk, teller: Teller, points: Mapping[int, FuellingPoint]) -> None:
        self.desk = desk
        self.teller = teller
        self.points = points
        self.past: PastSales | None = None  # the site's, which is made later
        self._last: dict[str, SaleId] = {}  # by the card's token

    # --- the attempt ------------------------------------------------------------------------------------------------------

    def first_look(self, session: CustomerSession, at: Instant) -> AttemptRefused | None:
        """Is this a technician's card in order? A closed site or product may be tested.

        A test is always decided alone: so it needs a card that may be, and a PIN that is checked here, whether or not the host is there.
        """
        teller, half = self.teller, session.halves[0]
        reason = teller.cards.alone(half, at)
        if not teller.storage.ready():
            reason = Reason.TERMINAL_NOT_READY
        elif reason is None and not self._decided_alone(half):
            reason = Reason.OFFLINE_NOT_ALLOWED
        elif reason is None and not teller.genuine.believed(half.medium, half.token, half.card):
            reason = Reason.MEDIUM_NOT_GENUINE
        elif reason is None and teller.pins.locked(half):
            reason = Reason.PIN_LOCKED
        return None if reason is None else AttemptRefused(session.side, reason)

    def _decided_alone(self, half: Half) -> bool:
        customer = None if half.card is None or half.card.customer is None else self.teller.lists.customer(half.card.customer)
        if half.rule is None or half.host_checks or (customer is not None and customer.offline is Offline.NEVER):
            return False
        return not self.teller.cards.never_alone(half)

    def unread(self, session: CustomerSession) -> tuple[SaleId, int] | None:
        """This card's last test, when fuel flowed and no prover's reading is known of it yet: sale and the meter's volume."""
        sale = self._last.get(session.token) if session.technician else None
        use = None if sale is None or self.past is None else self.past.use(sale)
        return None if sale is None or use is None or use.quantity_ml == 0 else (sale, use.quantity_ml)

    def answered(self, session: CustomerSession) -> None:
        """ENTER behind the prover's reading; 0 means that nobody has read it."""
        test, prover_ml = self.unread(session), int(session.digits)
        if test is None or prover_ml == 0:
            self._last.pop(session.token, None)
            session.go_on()
            return
        sale, volume_ml = test
        deviation = volume_ml - prover_ml
        if abs(deviation) * 1000 > FARTHEST_PER_MILLE * prover_ml:
            session.digits = ""
            session.await_input(Screen.PROVER, hint=again_text(session.language))
            return
        del self._last[session.token]
        self.desk.persist(MeterProved(sale, volume_ml, prover_ml, deviation))
        self.desk.tell(ProverRead(session.side, volume_ml, prover_ml))

    def choose(self, session: CustomerSession, number: int, at: Instant) -> None:
        """Arm the point for the wished volume, or for the usual prover's."""
        point = self.points.get(number)
        if point is None or not point.available:
            self.desk.tell(AttemptRefused(session.side, Reason.FUELLING_POINT_NOT_AVAILABLE))
            return
        if not self.teller.storage.ready():
            self.desk.tell(AttemptRefused(session.side, Reason.TERMINAL_NOT_READY))
            return
        sale = self._sale(session, point, at)
        session.sale = sale.id
        sale.reserve(self.desk)
        self._last[session.token] = sale.id
        self.desk.tell(SaleGranted(sale.id, "offline", None, self._allowed(session, point), None))
        self.desk.tell(SaleArmed(sale.fp, sale.id))
        self.desk.tell(PointArmed(sale.side, sale.fp))

    # --- inside -----------------------------------------------------------------------------------------------------------

    def _allowed(self, session: CustomerSession, point: FuellingPoint) -> tuple[Allowed, ...]:
        """One entry a product; where two nozzles have one product, the first one's price makes the volume of a wish in money."""
        found: dict[str, Allowed] = {}
        wish, decimals = session.wish, self.teller.decimals
        for nozzle in point.config.nozzles:
            volume = PRESET_ML
            if wish is not None and wish.quantity_ml is not None:
                volume = wish.quantity_ml
            elif wish is not None and wish.value_minor is not None:
                volume = volume_for(wish.value_minor, nozzle.price, decimals) or PRESET_ML
            volume = min(volume, self.teller.rules.test_most_ml, self.teller.rules.policy.terminal_cap_ml)
            cost = cost_of(volume, nozzle.price, decimals)
            found.setdefault(nozzle.product, Allowed(nozzle.product, volume, cost, by_value=False, bound_by=Reason.WISH.value))
        return tuple(found.values())

    def _sale(self, session: CustomerSession, point: FuellingPoint, at: Instant) -> Sale:
        teller = self.teller
        sale_id = teller.minting.id()
        half, allowed = session.halves[0], self._allowed(session, point)
        card: MediumRef = medium_ref(half.medium, half.token, teller.vault.seal(half.medium.number, sale_id))
        sale = Sale(
            id=sale_id,
            epoch=teller.minting.epoch,
            sequence=teller.minting.next_sequence,
            side=session.side,
            fp=point.number,
            card=card,
            account=account_of(half.token),
            customer=None,
            pin_verified=bool(session.pins),
            prompts=(),
            nozzles=tuple(NozzleRef(nozzle.nozzle, nozzle.product, nozzle.price) for nozzle in point.config.nozzles),
            wish_ml=session.wish.quantity_ml if session.wish else None,
            wish_minor=session.wish.value_minor if session.wish else None,
            asked_host=False,
            authorized_at=self.desk.utc(at),
            list_version=teller.lists.version,
            hold_ml=max(one.quantity_ml for one in allowed),
            hold_minor=0,
            hold_products=tuple(one.product for one in allowed),
            extra=SaleExtra(marks=(TEST,)),
            state=SaleState.RESERVED,
        )
        teller.minting = teller.minting.after()
        return sale
