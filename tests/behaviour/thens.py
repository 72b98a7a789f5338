"""The Then steps: they wait for what is said to be so, and tell what is so instead. Source: the behaviour language, section "Then".

PYTEST_DONT_REWRITE (there is no bare assert here)
"""

from __future__ import annotations

from tests.behaviour import values
from tests.behaviour.stage import BOOKS_WAIT_MS, DRIVER_WAIT_MS, NOT_RELEASED_MS, Kind, Stage, a_fuelling_point, known, released_for
from tests.behaviour.told import books_differ, sales_text, told_amount, told_release
from tests.behaviour.values import Unclear
from tests.behaviour.world import SaleSeen, Setup, Subject, SubjectKind


@known(Kind.THEN, 'the driver is refused with "{reason}"')
def _refused(stage: Stage, reason: str) -> None:
    values.one_of(reason, values.REASONS, "a reason")

    def otherwise() -> str:
        other = stage.open_refusals()
        return f"the driver was refused with {', '.join(other)}" if other else f"the driver was not refused; {_face(stage)}"

    stage.expect(lambda: reason in stage.open_refusals(), DRIVER_WAIT_MS, otherwise)
    stage.take_refusal(reason)


def _face(stage: Stage) -> str:
    """What the driver sees, for the text of a failure."""
    shown = stage.shown()
    asked = stage.world.asked()
    return f"he is asked for {asked or 'nothing'}, the display shows {repr(shown[-1]) if shown else 'nothing'}"


@known(Kind.THEN, 'the driver is asked for "{question}"')
def _asked(stage: Stage, question: str) -> None:
    values.one_of(question, values.QUESTIONS, "a question")

    def otherwise() -> str:
        refused = stage.open_refusals()
        return _face(stage) + (f"; he was refused with {', '.join(refused)}" if refused else "")

    stage.expect(lambda: stage.world.asked() == question, DRIVER_WAIT_MS, otherwise)


@known(Kind.THEN, 'the display shows "{text}"')
def _display(stage: Stage, text: str) -> None:
    wanted = " ".join(text.split())
    if not wanted:
        raise Unclear("the text of the display is empty")
    stage.expect(
        lambda: any(wanted in screen for screen in stage.shown()),
        DRIVER_WAIT_MS,
        lambda: f"the display showed {' / '.join(repr(screen) for screen in stage.shown()) or 'nothing'}",
    )


@known(Kind.THEN, "fuelling point {fp} is released for at most {text:amount}")
def _released(stage: Stage, fp: str, text: str) -> None:
    point, bound, setup = a_fuelling_point(stage, fp), values.amount(text, stage.setup.currency), stage.setup

    def otherwise() -> str:
        release = told_release(stage.world.release(point), setup)
        refused = stage.open_refusals()
        return f"fuelling point {point} {release}" + (f"; the driver was refused with {', '.join(refused)}" if refused else "")

    stage.expect(lambda: released_for(stage.world.release(point), bound, setup.decimals), DRIVER_WAIT_MS, otherwise)


@known(Kind.THEN, "fuelling point {fp} is not released")
def _not_released(stage: Stage, fp: str) -> None:
    point = a_fuelling_point(stage, fp)
    if stage.world.wait(lambda: stage.world.release(point) is not None, NOT_RELEASED_MS):
        release = told_release(stage.world.release(point), stage.setup)
        stage.expect(lambda: False, 0, lambda: f"fuelling point {point} {release}")


_SALES = r"(?P<count>no|\d+) sales?"
_DETAILS = r'(?: of (?P<volume>\S+ L))?(?: of "(?P<product>[^"]*)")?(?: for (?P<amount>\S+ [A-Z]{3}))?(?: by card "(?P<card>[^"]*)")?'


def _count(text: str) -> int:
    return 0 if text == "no" else int(text)


@known(
    Kind.THEN,
    'the ledger holds {count} sale of {volume} of "{product}" for {amount} by card "{card}"',
    f"the ledger holds {_SALES}{_DETAILS}",
    short="the ledger holds … sale",
)
def _ledger(stage: Stage, count: str, volume: str | None, product: str | None, amount: str | None, card: str | None) -> None:
    wanted, setup = _count(count), stage.setup
    volume_ml = None if volume is None else values.volume_ml(volume)
    amount_minor = None if amount is None else values.amount_minor(amount, setup.currency)

    def meant(sale: SaleSeen) -> bool:
        return (
            (volume_ml is None or sale.volume_ml == volume_ml)
            and (product is None or sale.product == product)
            and (amount_minor is None or sale.amount_minor == amount_minor)
            and (card is None or _by(setup, sale, card))
        )

    stage.expect(
        lambda: sum(meant(sale) for sale in stage.world.ledger_sales()) == wanted,
        BOOKS_WAIT_MS,
        lambda: f"the ledger holds {sales_text(stage.world.ledger_sales(), setup)}",
    )


def _by(setup: Setup, sale: SaleSeen, card: str) -> bool:
    """A number means that medium where the ledger knows it, else its account; an account means all its media."""
    if sale.number is not None and any(row.number == card for row in setup.cards):
        return sale.number == card
    return sale.account == setup.account_of(card)


@known(Kind.THEN, "the host has booked {count} sale", f"the host has booked {_SALES}")
def _booked(stage: Stage, count: str) -> None:
    wanted = _count(count)
    stage.expect(lambda: stage.world.host_sales() == wanted, BOOKS_WAIT_MS, lambda: f"the host has booked {stage.world.host_sales()}")


@known(Kind.THEN, "the host holds no open authorization")
def _no_open(stage: Stage) -> None:
    stage.expect(
        lambda: stage.world.host_open_authorizations() == 0,
        BOOKS_WAIT_MS,
        lambda: f"the host holds {stage.world.host_open_authorizations()} open",
    )


@known(
    Kind.THEN,
    '{left:amount} remain of the {period} {measure} limit of {kind:card|customer} "{name}"',
    r'(?P<left>\S+(?: \S+)?) remains? of the (?P<period>\S+) (?P<measure>\S+) limit of (?P<kind>card|customer) "(?P<name>[^"]*)"'
    r'(?: for "(?P<products>[^"]*)")?',
)
def _remain(stage: Stage, left: str, period: str, measure: str, kind: str, name: str, products: str | None) -> None:
    values.one_of(period, values.LIMIT_PERIODS, "a period")
    values.one_of(measure, values.MEASURES, "a measure")
    wanted, setup = values.measured(left, measure, stage.setup.currency), stage.setup
    owner = setup.account_of(name) if kind == "card" else name
    listed = None if products is None else values.comma_list(products)
    if listed is None and stage.limit_row(owner, kind, period, measure) is None:
        raise Unclear(f'the table has none or several {period} {measure} limits of {kind} "{name}"; name its products: … for "GAZOLE"')
    subject = Subject(SubjectKind(kind), owner)

    def now() -> int | None:
        return stage.world.remaining(subject, period, measure, listed)

    def otherwise() -> str:
        seen = now()
        return "the terminal has no such limit" if seen is None else f"{told_amount(seen, measure, setup)} remain"

    stage.expect(lambda: now() == wanted, BOOKS_WAIT_MS, otherwise)


@known(Kind.THEN, "the three books agree")
def _agree(stage: Stage) -> None:
    stage.expect(
        lambda: not books_differ(stage.world.books(), stage.setup), BOOKS_WAIT_MS, lambda: books_differ(stage.world.books(), stage.setup)
    )


@known(Kind.THEN, 'the fault "{fault}" is {how:raised|cleared}')
def _fault(stage: Stage, fault: str, how: str) -> None:
    if not fault.isupper():
        raise Unclear("a fault is written like PUMP_LINE_LOST")
    stage.expect(
        lambda: (fault in stage.world.faults()) == (how == "raised"),
        DRIVER_WAIT_MS,
        lambda: f"raised are {', '.join(sorted(stage.world.faults())) or 'no faults'}",
    )


@known(Kind.THEN, "a delivery of {volume:amount} is unattributed at fuelling point {fp}")
def _unattributed(stage: Stage, volume: str, fp: str) -> None:
    volume_ml, point, setup = values.volume_ml(volume), a_fuelling_point(stage, fp), stage.setup

    def otherwise() -> str:
        seen = ", ".join(told_amount(each, "QUANTITY", setup) for each in stage.world.unattributed(point))
        return f"unattributed at fuelling point {point}: {seen or 'nothing'}"

    stage.expect(lambda: volume_ml in stage.world.unattributed(point), BOOKS_WAIT_MS, otherwise)
