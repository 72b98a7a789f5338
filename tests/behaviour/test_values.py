"""The values and the tables of the behaviour language."""

from __future__ import annotations

import json
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.behaviour import tables, told, values
from tests.behaviour.values import Unclear
from tests.behaviour.world import Amount, CardRow, LimitRow, Setup, Subject, SubjectKind

BADGE = "04A1B2C3D4E5F6"


# --- values -----------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**9))
def test_litres_are_read_as_they_are_told(volume_ml: int) -> None:
    assert values.volume_ml(told.litres(volume_ml)) == volume_ml


@given(st.integers(0, 10**9), st.sampled_from(["EUR", "JPY", "KWD", "TND", "UAH"]))
def test_money_is_read_as_it_is_told(amount_minor: int, currency: str) -> None:
    setup = Setup(currency=currency, decimals=values.decimals_of(currency))
    assert values.amount_minor(told.money(amount_minor, setup), currency) == amount_minor


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [("21.61 EUR", "EUR", 2161), ("21 EUR", "EUR", 2100), ("3500 JPY", "JPY", 3500), ("1.250 KWD", "KWD", 1250)],
)
def test_money(text: str, currency: str, minor: int) -> None:
    assert values.amount(text, currency) == Amount(amount_minor=minor)


@pytest.mark.parametrize("text", ["21.615 EUR", "21,61 EUR", "-1.00 EUR", "21.61 USD", "21.61", "21.61EUR", "1.5 JPY", "1e3 EUR"])
def test_money_that_is_none(text: str) -> None:
    with pytest.raises(Unclear):
        values.amount_minor(text, "JPY" if "JPY" in text else "EUR")


@pytest.mark.parametrize("text", ["12.50", "12.5000001 L", "-1.00 L", "12,50 L", "12.50 l", ".5 L", "5. L", " L", "١ L"])
def test_litres_that_are_none(text: str) -> None:
    with pytest.raises(Unclear):
        values.volume_ml(text)


@pytest.mark.parametrize(("text", "ms"), [("17 s", 17_000), ("0.5 s", 500), ("15 min", 900_000), ("24 h", 86_400_000)])
def test_time(text: str, ms: int) -> None:
    assert values.duration_ms(text) == ms


@pytest.mark.parametrize("text", ["17", "17s", "-1 s", "1 fortnight", "s"])
def test_time_that_is_none(text: str) -> None:
    with pytest.raises(Unclear, match="17 s|not a number"):
        values.duration_ms(text)


@pytest.mark.parametrize("text", ["2026-02-30 12:00:00", "2026-03-28T23:50:00", "28.03.2026 23:50", "2026-03-28"])
def test_local_time_that_is_none(text: str) -> None:
    with pytest.raises(Unclear, match="local time"):
        values.local_time(text)


def test_subjects_lists_and_zones() -> None:
    assert values.subject("card A1") == Subject(SubjectKind.CARD, "A1")
    assert values.subject("customer ACME Transport") == Subject(SubjectKind.CUSTOMER, "ACME Transport")
    assert values.comma_list("GAZOLE, SP95") == ("GAZOLE", "SP95")
    for wrong in ("A1", "card", "kard A1"):
        with pytest.raises(Unclear, match="card ACCOUNT"):
            values.subject(wrong)
    with pytest.raises(Unclear, match="empty part"):
        values.comma_list("GAZOLE,")
    with pytest.raises(Unclear, match="no time zone"):
        values.zone("Europe/Atlantis")


# --- tables -----------------------------------------------------------------------------------------------------------


def test_columns_that_are_left_out_have_the_documents_defaults() -> None:
    assert (
        tables.fuelling_points([["fp", "protocol", "nozzle", "product", "price"], ["2", "dart", "1", "GAZOLE", "1.729"]])[0].minimum_ml
        == 2000
    )
    assert tables.cards([["number", "medium"], [BADGE, "badge"]]) == (CardRow(BADGE, BADGE, "badge"),)
    assert tables.limits([["subject", "period", "measure", "amount"], ["card A1", "DAY", "COUNT", "3"]], "EUR")[0].products is None


def test_units_come_from_the_measure() -> None:
    heading = ["subject", "period", "measure", "amount", "products"]
    rows = [["card A1", "DAY", "QUANTITY", "100.00 L", "GAZOLE, SP95"], ["customer C1", "MONTH", "VALUE", "250.00 EUR", "all"]]
    litres, euros = tables.limits([heading, *rows], "EUR")
    assert (litres.amount, litres.products, euros.amount, euros.products) == (100_000, ("GAZOLE", "SP95"), 25_000, None)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([["number", "medium", "colour"], [BADGE, "badge", "red"]], "a column cannot be 'colour'"),
        ([["number", "medium"], ["", "badge"]], "row 1: it needs a number"),
        ([["number", "medium"], [BADGE, "bagde"]], "did you mean badge"),
        ([["number", "medium", "pin"], [BADGE, "badge", "12"]], "4 to 12 digits"),
        ([["number", "medium", "offline"], [BADGE, "badge", "ALWAY"]], "did you mean ALWAYS"),
        ([["number", "medium"], [BADGE, "badge"], [BADGE, "badge"]], "stands twice"),
        ([["number", "medium"]], "no row"),
        ([["number", "medium", "number"], [BADGE, "badge", BADGE]], "a column stands twice"),
    ],
)
def test_a_card_table_that_cannot_be_read(rows: list[list[object]], said: str) -> None:
    with pytest.raises(Unclear, match=said):
        tables.cards(rows)


def test_a_count_of_one_fuelling_and_a_wrong_unit_are_refused() -> None:
    heading = ["subject", "period", "measure", "amount"]
    with pytest.raises(Unclear, match="no COUNT limit"):
        tables.limits([heading, ["card A1", "FUELLING", "COUNT", "1"]], "EUR")
    with pytest.raises(Unclear, match=r"row 1: a volume is written like 12\.50 L"):
        tables.limits([heading, ["card A1", "DAY", "QUANTITY", "100.00 EUR"]], "EUR")


def test_policy_settings_by_their_name_or_as_people_say_them() -> None:
    rows = [["min_dispense_ml", "3000"], ["terminal cap", "300.00 L"], ["only terminal", "yes"], ["restricted products", "GNR, FOD"]]
    expected = {"min_dispense_ml": 3000, "terminal_cap_ml": 300_000, "only_terminal": True, "restricted_products": ("GNR", "FOD")}
    assert tables.policy([["setting", "value"], *rows], "EUR") == expected
    assert tables.policy([["setting", "value"], ["terminal cap", "500.00 EUR"]], "EUR") == {"terminal_cap_minor": 50_000}
    with pytest.raises(Unclear, match="a setting cannot be"):
        tables.policy([["setting", "value"], ["generosity", "high"]], "EUR")


def test_the_setup_as_a_scenario_is_plain_json() -> None:
    subject = Subject(SubjectKind.CUSTOMER, "C1")
    limit = LimitRow(subject, "DAY", "QUANTITY", 100_000, ("GAZOLE",))
    scenario = Setup(cards=(CardRow(BADGE, "A1", "badge", pin="1234"),), limits=(limit,)).as_scenario()
    assert json.loads(json.dumps(scenario)) == scenario
    assert scenario["host"] == {"reachable": True, "delay_ms": 0, "lose_answers": False, "always_500": False}
    assert scenario["limits"] == [
        {"subject": {"customer": "C1"}, "period": "DAY", "measure": "QUANTITY", "amount": 100_000, "products": ["GAZOLE"], "shared": False}
    ]
    (card,) = cast("list[dict[str, object]]", scenario["cards"])
    assert card["pin"] == "1234"
    assert "1234" not in repr(CardRow(BADGE, "A1", "badge", pin="1234"))
