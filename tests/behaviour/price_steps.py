"""Steps about prices: what the host says, what people do at a head, what the terminal and the heads make of it. (F38.)

PYTEST_DONT_REWRITE (there is no bare assert here)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.behaviour import values
from tests.behaviour.host_thens import host_book
from tests.behaviour.stage import BOOKS_WAIT_MS, Kind, Stage, a_fuelling_point, known
from tests.behaviour.values import Unclear
from tests.behaviour.world import PriceSaid

# === what the host says ==========================================================================================


def _sold(stage: Stage, product: str) -> str:
    if all(row.product != product for row in stage.setup.fuelling_points):
        raise Unclear(f"no fuelling point of the table sells {product!r}")
    return product


@known(Kind.WHEN, 'the host changes the price of "{product}" to {price}')
def _price(stage: Stage, product: str, price: str) -> None:
    stage.world.change_price(PriceSaid(_sold(stage, product), values.price(price)))


@known(Kind.WHEN, 'the host changes the price of "{product}" at fuelling point {fp} to {price}')
def _price_there(stage: Stage, product: str, fp: str, price: str) -> None:
    stage.world.change_price(PriceSaid(_sold(stage, product), values.price(price), fp=a_fuelling_point(stage, fp)))


@known(Kind.WHEN, 'the host changes the price of "{product}" to {price} from "{start}"')
def _price_from(stage: Stage, product: str, price: str, start: str) -> None:
    stage.world.change_price(PriceSaid(_sold(stage, product), values.price(price), starts=values.local_time(start)))


@known(Kind.WHEN, 'the host changes the price of "{product}" to {price} and confirms the jump')
def _price_confirmed(stage: Stage, product: str, price: str) -> None:
    stage.world.change_price(PriceSaid(_sold(stage, product), values.price(price), confirmed=True))


@known(Kind.WHEN, 'the host changes the price of "{product}" to {price} under version {version}')
def _price_version(stage: Stage, product: str, price: str, version: str) -> None:
    stage.world.change_price(PriceSaid(_sold(stage, product), values.price(price), version=values.whole(version, "a version")))


@known(Kind.WHEN, 'the host wrongly changes the price of "{product}" to {price}')
def _price_wrong(stage: Stage, product: str, price: str) -> None:
    stage.world.change_price(PriceSaid(product, values.price(price), checked=False))


# === at the head =================================================================================================


@known(Kind.WHEN, "the price of nozzle {nozzle} is set to {price} at the head of fuelling point {fp}")
def _at_head(stage: Stage, nozzle: str, price: str, fp: str) -> None:
    stage.world.price_at_head(a_fuelling_point(stage, fp), values.whole(nozzle, "a nozzle"), values.price(price))


@known(Kind.WHEN, "the head of fuelling point {fp} {how:keeps its prices|takes prices again}")
def _keeps(stage: Stage, fp: str, how: str) -> None:
    stage.world.head_keeps_prices(a_fuelling_point(stage, fp), how == "keeps its prices")


@known(Kind.THEN, "the head of fuelling point {fp} shows {price} for nozzle {nozzle}")
def _shows(stage: Stage, fp: str, price: str, nozzle: str) -> None:
    number, which, wanted = a_fuelling_point(stage, fp), values.whole(nozzle, "a nozzle"), values.price(price)

    def shown() -> int | None:
        return stage.world.head_price(number, which)

    stage.expect(lambda: shown() == wanted, BOOKS_WAIT_MS, lambda: f"the head shows {_text(shown())}")


# === what the host hears =========================================================================================


def _text(price: int | None) -> str:
    return "no price" if price is None else f"{price // 10_000}.{price % 10_000:04d}"


@known(Kind.THEN, 'the host hears that "{product}" costs {price} at fuelling point {fp}')
def _hears(stage: Stage, product: str, price: str, fp: str) -> None:
    number, wanted = a_fuelling_point(stage, fp), values.price(price)

    def told() -> set[int]:
        state = host_book(stage).get("terminal_state") or {}
        rows = state.get("prices", {}).get("in_force", ())
        return {int(row["price"]) for row in rows if (row["fuelling_point"], row["product"]) == (number, product)}

    stage.expect(lambda: told() == {wanted}, BOOKS_WAIT_MS, lambda: f"the host hears {', '.join(map(_text, told())) or 'nothing of it'}")


def _last(stage: Stage) -> Mapping[str, Any]:
    """The last change that the host said, with what the terminal has answered."""
    changes = host_book(stage).get("price_changes") or ()
    return changes[-1] if changes else {"effective_at_ms": None, "refused": None}


@known(Kind.THEN, "the terminal has made the last price change")
def _made(stage: Stage) -> None:
    def so() -> bool:
        last = _last(stage)
        started = last.get("starts_at_ms") or 0
        return last["effective_at_ms"] is not None and last["refused"] is None and last["effective_at_ms"] >= started

    stage.expect(so, BOOKS_WAIT_MS, lambda: f"the last change and what the terminal said of it: {_last(stage)}")


@known(Kind.THEN, 'the terminal refuses the last price change with "{why}"')
def _refuses(stage: Stage, why: str) -> None:
    stage.expect(
        lambda: why in (_last(stage)["refused"] or ""),
        BOOKS_WAIT_MS,
        lambda: f"the last change and what the terminal said of it: {_last(stage)}",
    )


@known(Kind.THEN, "the last price change is not in force")
def _not_yet(stage: Stage) -> None:
    stage.expect(lambda: _last(stage)["effective_at_ms"] is None, 0, lambda: f"it is: {_last(stage)}")
