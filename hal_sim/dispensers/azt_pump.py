"""What one AZT 2.0 head answers, nozzle by nozzle.

Rules: ``firmware_notes/azt.md`` and the project's protocol fact sheet 3; where they leave a point open, the choice made here is named at
the line that makes it. Every nozzle is a pump of its own on the wire; the nozzles of one head share its valve.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from hal_sim.dispensers import azt_codec as codec
from hal_sim.dispensers.azt_head import MAX_DOSE_ML, AztHead
from hal_sim.dispensers.head import WRONG_BY_MINOR, Change, HeadState

TYPES: Final = {
    0x3A: (6, 4, 6), 0x3C: (6, 4, 6), 0x3D: (6, 4, 6), 0x3E: (6, 4, 6),
    0x3B: (6, 6, 8), 0x3F: (6, 6, 8), 0x40: (6, 6, 8),
    0x41: (5, 4, 7),
}  # fmt: skip
"""Digits of litres, price and cost by type code (fact sheet 3.5, command 7)."""
VERSION: Final = b"00000002"
_DOSE_DIGITS, _LITRE_DIGITS, _MONEY_DIGITS, _PRICE_DIGITS = 5, 6, 6, 4
_ON = (HeadState.AUTHORIZED, HeadState.FILLING, HeadState.SUSPENDED)
_ENDED = (HeadState.COMPLETED, HeadState.LIMIT_REACHED)
_ACK, _CAN, _NAK = (codec.short_answer(code) for code in (codec.ACK, codec.CAN, codec.NAK))


@dataclass(frozen=True, slots=True)
class AztSettings:
    """How this make of head counts and answers.

    Decimals are settings of the pump and not on the wire: ``volume_decimals`` of 4, 5, R, T, X, ``totals_decimals`` of the volume in 6,
    ``price_decimals`` of Q and 5, ``amount_decimals`` of S, 5 and 6. ``totals_step_ml``: the totaliser is told in whole steps of it, as
    coarse ones do; ``totals_digits`` of each. ``status_tail`` follows every status; masters must ignore it. ``minimum_dose_ml`` is
    parameter G at the start. Raises ``ValueError`` on what no head can have.
    """

    type_code: int = 0x3A
    volume_decimals: int = 2
    price_decimals: int = 2
    amount_decimals: int = 2
    totals_decimals: int = 2
    totals_digits: int = 10
    totals_step_ml: int = 1
    minimum_dose_ml: int = 10
    status_tail: bytes = b""

    def __post_init__(self) -> None:
        if self.type_code not in TYPES:
            raise ValueError("an AZT type is 3A...41")
        if not all(0 <= n <= 3 for n in (self.volume_decimals, self.totals_decimals)):
            raise ValueError("decimals of volume and totals are 0...3")
        if not 0 <= self.price_decimals <= 4 or not 0 <= self.amount_decimals <= 8:
            raise ValueError("decimals are 0...4 of price, 0...8 of amount")
        if not 8 <= self.totals_digits <= 12 or self.totals_step_ml < 1 or not 10 <= self.minimum_dose_ml <= 5_000:
            raise ValueError("totalisers have 8...12 digits and a step above 0 ml; the minimum dose is 10...5000 ml")


class AztPosition:
    """One head with an address for every nozzle.

    ``connected`` False is a cut drop: silent, while the head lives on. ``can_next`` refuses that many commands with CAN, as a busy head.
    ``refused`` counts answers CAN and NAK.
    Raises ``ValueError`` on addresses that are not one of 1...225 for each nozzle.
    """

    def __init__(self, addresses: Mapping[int, int], head: AztHead, settings: AztSettings | None = None) -> None:
        """``addresses``: nozzle → address."""
        if set(addresses) != set(head.nozzles) or len(set(addresses.values())) != len(addresses):
            raise ValueError("every nozzle of an AZT head has an address of its own")
        if any(not codec.FIRST_ADDRESS <= address <= codec.LAST_ADDRESS for address in addresses.values()):
            raise ValueError("an AZT address is 1...225")
        self.addresses = dict(addresses)
        self.head = head
        self.settings = settings if settings is not None else AztSettings()
        self.connected = True
        self.can_next = 0
        self.refused = 0
        decimals, amounts = head.options.currency_decimals, self.settings.amount_decimals
        self._amount_up, self._amount_down = 10 ** max(0, amounts - decimals), 10 ** max(0, decimals - amounts)
        self._price_unit = 10 ** (4 - self.settings.price_decimals)
        self._unit_ml, self._totals_unit_ml = 10 ** (3 - self.settings.volume_decimals), 10 ** (3 - self.settings.totals_decimals)
        self._litre_digits, self._price_digits, self._cost_digits = TYPES[self.settings.type_code]
        self._minimum_ml = self.settings.minimum_dose_ml
        self._told: dict[int, bytes | None] = {nozzle: self._status(nozzle) for nozzle in addresses}
        self._commands: dict[int, Callable[[int, bytes, int], bytes]] = {
            ord("1"): self._tell_status,
            ord("2"): self._authorize,
            ord("3"): self._stop,
            ord("4"): self._litres,
            ord("5"): self._full_data,
            ord("6"): self._totals,
            ord("7"): lambda nozzle, data, now: codec.answer(bytes((self.settings.type_code,))),
            ord("8"): self._confirm,
            ord("N"): self._read_parameter,
            ord("O"): self._write_parameter,
            ord("P"): lambda nozzle, data, now: codec.answer(VERSION),
            ord("Q"): self._set_price,
            ord("R"): self._set_slow_down,
            ord("S"): self._set_money,
            ord("T"): self._set_litres,
            ord("U"): lambda nozzle, data, now: _done(self._state(nozzle) in b"01" and head.top_up(nozzle, now)),
            ord("V"): lambda nozzle, data, now: _done(self._state(nozzle) == b"2" and head.start_anyway(now)),
            ord("X"): self._dose,
            ord("Y"): lambda nozzle, data, now: codec.answer(codec.digits(head.transactions[nozzle], 8)),
        }
        head.listeners.append(self._on_change)

    @property
    def address(self) -> int:
        """The first of the addresses."""
        return next(iter(self.addresses.values()))

    @property
    def silent(self) -> bool:
        """Nothing is answered: the drop is cut or the head is dark."""
        return not self.connected or not self.head.powered

    @property
    def has_something(self) -> bool:
        """The next status of some address differs from the last one that was told."""
        return any(told != self._status(nozzle) for nozzle, told in self._told.items())

    def _on_change(self, change: Change, at: int) -> None:
        if change is Change.POWER:
            # Whoever asked before the cut does not know what has become of it.
            self._told = dict.fromkeys(self._told)

    # states

    def _state(self, nozzle: int) -> bytes:
        head = self.head
        if nozzle == head.fill_nozzle:
            if head.state in _ENDED:
                return b"4"
            if head.state in _ON:
                return b"2" if head.state is HeadState.AUTHORIZED else b"3"
        if head.dose_entered == nozzle:
            return b"8"
        return b"1" if head.nozzle_out == nozzle else b"0"

    def _status(self, nozzle: int) -> bytes:
        state = self._state(nozzle)
        if state == b"4":
            state += b"1" if self.head.record(nozzle, 0).over else b"0"
        return codec.answer(state + self.settings.status_tail)

    def status_answer(self, nozzle: int) -> bytes:
        """The answer to a status request as things stand."""
        told = self._told[nozzle] = self._status(nozzle)
        return told

    # the link

    def obey(self, nozzle: int, request: codec.Request, now: int) -> bytes:
        """The answer to a request to this nozzle's address. What is not understood is NAK, what cannot be now, or with this data, CAN."""
        self.head.advance(now)
        command = self._commands.get(request.command)
        if self.can_next > 0:
            self.can_next -= 1
            answer = _CAN
        elif command is None:
            answer = _NAK
        else:
            try:
                answer = command(nozzle, request.data, now)
            except ValueError:
                answer = _CAN  # digits that are none, or too few (assumed)
        if answer in (_CAN, _NAK):
            self.refused += 1
        return answer

    def reset_all(self, now: int) -> None:
        """The broadcast W4: release and fill end, an entered dose goes."""
        for nozzle in self.addresses:
            self._stop(nozzle, b"", now)

    def _tell_status(self, nozzle: int, data: bytes, now: int) -> bytes:
        return self.status_answer(nozzle)

    def _authorize(self, nozzle: int, data: bytes, now: int) -> bytes:
        if self._state(nozzle) not in (b"0", b"1", b"8"):
            return _CAN
        idle = self.head.state is HeadState.RESET
        return _done(self.head.authorize_nozzle(nozzle, now) or (self.head.acks_and_does_nothing and idle))

    def _stop(self, nozzle: int, data: bytes, now: int) -> bytes:
        state = self._state(nozzle)
        if state == b"8":
            self.head.drop_dose(now)
            return _ACK
        return _done(state in b"23" and self.head.stop(now))

    def _confirm(self, nozzle: int, data: bytes, now: int) -> bytes:
        return _done(self._state(nozzle) == b"4" and (self.head.reset(now) or self.head.never_leaves_5))

    # what it has counted

    def _amount(self, minor: int) -> int:
        units: int = minor * self._amount_up // self._amount_down
        return units

    def _litres(self, nozzle: int, data: bytes, now: int) -> bytes:
        return codec.answer(codec.digits(self.head.record(nozzle, now).volume_ml // self._unit_ml, _LITRE_DIGITS))

    def _full_data(self, nozzle: int, data: bytes, now: int) -> bytes:
        record = self.head.record(nozzle, now)
        return codec.answer(
            codec.digits(record.volume_ml // self._unit_ml, self._litre_digits)
            + codec.digits(self._amount(record.amount_minor(self.head.options.currency_decimals) + self._wrong_by()), self._cost_digits)
            + codec.digits(record.price // self._price_unit, self._price_digits)
        )

    def _wrong_by(self) -> int:
        return WRONG_BY_MINOR if self.head.reckons_wrong else 0

    def _totals(self, nozzle: int, data: bytes, now: int) -> bytes:
        step, count = self.settings.totals_step_ml, self.settings.totals_digits
        litres = self.head.total_ml(nozzle, now) // step * step // self._totals_unit_ml
        return codec.answer(codec.digits(litres, count) + codec.digits(self._amount(self.head.total_minor(nozzle, now)), count))

    def _dose(self, nozzle: int, data: bytes, now: int) -> bytes:
        volume_ml = self.head.dose_ml(nozzle)
        if self._state(nozzle) not in (b"0", b"1", b"8") or volume_ml is None:
            return _CAN
        return codec.answer(codec.digits(volume_ml // self._unit_ml, _LITRE_DIGITS))

    # what it is set to

    def _rests(self, nozzle: int) -> bool:
        return self._state(nozzle) in (b"0", b"1")

    def _set_price(self, nozzle: int, data: bytes, now: int) -> bytes:
        price = codec.number(_leading(data, _PRICE_DIGITS)) * self._price_unit
        return _done(self._rests(nozzle) and self.head.set_price(nozzle, price, now))

    def _set_slow_down(self, nozzle: int, data: bytes, now: int) -> bytes:
        units = codec.number(_leading(data, 3))
        if not self._rests(nozzle):
            return _CAN
        self.head.set_slow_down(units * self._unit_ml)
        return _ACK

    def _set_litres(self, nozzle: int, data: bytes, now: int) -> bytes:
        volume_ml = codec.number(_leading(data, _DOSE_DIGITS)) * self._unit_ml
        full_tank = data[_DOSE_DIGITS : _DOSE_DIGITS + 1] == b"1"
        if (volume_ml and not self._minimum_ml <= volume_ml <= MAX_DOSE_ML) or not self._rests(nozzle):
            return _CAN
        return _done(self.head.set_dose(nozzle, volume_ml or None, None, now, full_tank=full_tank))

    def _set_money(self, nozzle: int, data: bytes, now: int) -> bytes:
        minor = codec.number(_leading(data, _MONEY_DIGITS)) * self._amount_down // self._amount_up
        return _done(self._rests(nozzle) and self.head.set_dose(nozzle, None, minor or None, now))

    def _read_parameter(self, nozzle: int, data: bytes, now: int) -> bytes:
        """Three digits (assumed): G in volume units, ; and < in seconds."""
        values = {b"G": self._minimum_ml // self._unit_ml, b";": self.head.no_flow_ms // 1000, b"<": self.head.full_tank_ms // 1000}
        return codec.answer(codec.digits(values[data[:1]], 3)) if data[:1] in values else _NAK

    def _write_parameter(self, nozzle: int, data: bytes, now: int) -> bytes:
        """The same three, behind the code; a value out of its bounds is CAN."""
        head, code = self.head, data[:1]
        if code not in (b"G", b";", b"<"):
            return _NAK
        value = codec.number(_leading(data[1:], 3))
        if not self._rests(nozzle):
            return _CAN
        if code == b"G" and 10 <= value * self._unit_ml <= 5_000:
            self._minimum_ml = value * self._unit_ml
        elif code == b";" and 3 <= value <= 180:
            head.no_flow_ms = value * 1000
        elif code == b"<" and 3 <= value <= 30:
            head.full_tank_ms = value * 1000
        else:
            return _CAN
        return _ACK


def _done(done: bool) -> bytes:
    return _ACK if done else _CAN


def _leading(data: bytes, count: int) -> bytes:
    """The first digits; whatever follows is ignored. Raises ``ValueError`` where there are fewer."""
    if len(data) < count:
        raise ValueError("too few digits")
    return data[:count]
