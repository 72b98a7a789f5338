"""What a book publishes and decides of shares of a limit, and other rows that came with them."""

from __future__ import annotations

from typing import Any

import pytest

from hal_sim.host import ScenarioError
from tests.hal_sim.host_kit import BADGE, CUSTOMER, card, limit, openapi, world

# --- in a book ------------------------------------------------------------------------------------------------------------

SHARED = [limit(CUSTOMER, "DAY", "QUANTITY", 100_000) | {"shared": True}]


def share(amount: int, **more: Any) -> dict[str, Any]:
    """A share of that limit, as in a scenario."""
    return limit(CUSTOMER, "DAY", "QUANTITY", amount) | more


def rows(terminal: Any, kind: str) -> list[dict[str, Any]]:
    """The newest list's rows of this kind, but for the kind."""
    return [{name: value for name, value in row.items() if name != "row"} for row in terminal.rows() if row["row"] == kind]


def test_the_list_has_the_share_of_the_day_and_marks_the_limit() -> None:
    book, terminal, clock = world(limits=SHARED, shares=[share(50_000), share(40_000, terminal="OPT2")])
    expected = {"grant": "G1", "subject": CUSTOMER, "period": "DAY", "window": "2026-03-28", "measure": "QUANTITY", "products": None}
    assert rows(terminal, "share") == [expected | {"amount": 50_000, "watermark": 0}]
    assert rows(terminal, "limit") == SHARED
    book.publish()
    assert rows(terminal, "share")[0]["grant"] == "G1", "the same share is the same grant"
    clock.set("2026-03-28T23:00:00.000Z")
    book.publish()
    assert [(row["window"], row["amount"]) for row in rows(terminal, "share")] == [("2026-03-29", 50_000)]


def test_what_is_out_elsewhere_is_not_given_online() -> None:
    book, terminal, _ = world(limits=SHARED, shares=[share(50_000), share(40_000, terminal="OPT2")])
    assert terminal.authorize(1)["quantity_ml"] == 60_000, "its own share counts what it takes, so it need not be kept back"
    assert terminal.authorize(2)["decision"] == "declined"
    terminal.complete(1, 10_000)
    terminal.advise(terminal.advice(2, 0))
    assert terminal.authorize(3)["quantity_ml"] == 50_000
    (own, other) = book.shares()
    assert (own["out"], other["out"], other["terminal"]) == (40_000, 40_000, "OPT2")


def test_its_own_share_is_kept_back_while_a_sale_before_is_not_known() -> None:
    book, terminal, _ = world(limits=SHARED, shares=[share(50_000), share(40_000, terminal="OPT2")])
    assert terminal.authorize(2)["quantity_ml"] == 10_000, "the first may have taken its whole share offline"
    assert terminal.advise(terminal.advice(1, 50_000)) == ["accepted"]
    assert (book.shares()[0]["out"], book.remaining(CUSTOMER, "DAY", "QUANTITY")) == (0, 40_000)
    terminal.complete(2, 10_000)
    assert terminal.authorize(3)["decision"] == "declined", "all is taken, or out at the other one"


def test_a_lower_share_counts_when_the_terminal_follows_its_list() -> None:
    book, terminal, _ = world(limits=SHARED, shares=[share(80_000), share(0, terminal="OPT2")])
    terminal.apply(1)
    book.share(CUSTOMER, "DAY", "QUANTITY", 30_000)
    book.publish()
    assert [row["amount"] for row in rows(terminal, "share")] == [30_000]
    with pytest.raises(ValueError, match="more than is left"):
        book.share(CUSTOMER, "DAY", "QUANTITY", 70_000, terminal="OPT2")
    assert terminal.apply(2) == 200
    with pytest.raises(ValueError, match="more than is left"):
        book.share(CUSTOMER, "DAY", "QUANTITY", 70_000, terminal="OPT2")
    state = openapi()["components"]["schemas"]["State"]["examples"][0]
    lists = {"cards": state["lists"]["cards"] | {"version": 2}}
    assert terminal.call("PUT", "/v1/terminals/OPT1/state", state | {"lists": lists, "next_sequence": 1})[0] == 200
    book.share(CUSTOMER, "DAY", "QUANTITY", 70_000, terminal="OPT2")
    assert terminal.authorize(1)["quantity_ml"] == 30_000


def test_offline_sales_that_arrive_late_use_up_the_share() -> None:
    book, terminal, _ = world(limits=SHARED, shares=[share(50_000)])
    terminal.advise(terminal.advice(1, 20_000), terminal.advice(3, 10_000))
    assert book.shares()[0]["out"] == 20_000
    book.publish()
    (row,) = rows(terminal, "share")
    assert (row["amount"], row["watermark"]) == (30_000, 1), "the third is above the watermark: the terminal counts it itself"
    terminal.advise(terminal.advice(2, 0))
    book.publish()
    (row,) = rows(terminal, "share")
    assert (row["amount"], row["watermark"], book.shares()[0]["out"]) == (20_000, 3, 20_000)


def test_a_share_never_exceeds_what_is_left_of_the_limit() -> None:
    book, terminal, _ = world(limits=SHARED, shares=[share(50_000)], host_counts=[limit(CUSTOMER, "DAY", "QUANTITY", 70_000)])
    assert rows(terminal, "share")[0]["amount"] == 30_000
    book.correct("OPT1-1-1", "cancel", checked=False)
    terminal.advise(terminal.advice(1, 30_000))
    book.publish()
    assert rows(terminal, "share") == [], "nothing is left, so there is no share"


def test_the_host_keeps_the_first_word_about_a_list_and_refuses_one_it_never_made() -> None:
    book, terminal, clock = world()
    book.publish()
    at = clock.ms
    assert terminal.apply(2) == 200
    clock.ms += 5_000
    assert (terminal.apply(2), terminal.apply(1), terminal.apply(3), terminal.apply(1, "e2")) == (200, 200, 404, 404)
    assert [(which, heard.effective_at_ms) for which, heard in book.applied.items()] == [(("e1", 2), at), (("e1", 1), at + 5_000)]


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"shares": [share(1)]}, "no shared limit"),
        ({"limits": SHARED, "shares": [share(60_000), share(60_000, terminal="OPT2")]}, r"shares\[1\].amount"),
        ({"limits": SHARED, "shares": [share(1), share(1)]}, "twice"),
        ({"limits": SHARED, "shares": [share(-1)]}, r"shares\[0\].amount"),
        ({"limits": [limit(CUSTOMER, "FUELLING", "QUANTITY", 1) | {"shared": True}]}, r"limits\[0\].shared"),
        ({"limits": [limit(CUSTOMER, "DAY", "QUANTITY", 1) | {"shared": "yes"}]}, r"limits\[0\].shared"),
        ({"online_only": [["70", "7"]]}, r"online_only\[0\]"),
        ({"networks": "N1"}, "networks"),
        ({"cards": [card(BADGE, cost_centre="x" * 65)]}, r"cards\[0\].cost_centre"),
        ({"cards": [card(BADGE, driver=7)]}, r"cards\[0\].driver"),
    ],
)
def test_a_wrong_scenario_is_refused_with_its_place(changes: dict[str, Any], where: str) -> None:
    with pytest.raises(ScenarioError, match=where):
        world(**changes)


# --- other rows that came with them ------------------------------------------------------------------------------------------


def test_grey_ranges_and_what_a_card_says_of_its_driver() -> None:
    grey = [["7003000", "7003999"], ["7001000", "7001999"]]
    _, terminal, _ = world(online_only=grey, cards=[card(BADGE, cost_centre="VAN 7", driver="M. Roux")])
    assert rows(terminal, "online_only") == [{"range": ["7001000", "7001999"]}, {"range": ["7003000", "7003999"]}]
    (row,) = rows(terminal, "card")
    assert (row["cost_centre"], row["driver"]) == ("VAN 7", "M. Roux")
    assert terminal.authorize(1)["decision"] == "approved", "online they are like any other card"


def test_a_card_may_name_the_network_of_the_site() -> None:
    _, terminal, _ = world(cards=[card(BADGE, sites=["N1"])])
    assert terminal.authorize(1)["reason"] == "SITE_NOT_ALLOWED"
    _, terminal, _ = world(cards=[card(BADGE, sites=["N1"])], networks=["N2", "N1"])
    assert terminal.authorize(1)["decision"] == "approved"


def test_records_carry_cost_centre_and_driver() -> None:
    book, terminal, _ = world()
    terminal.advise(terminal.advice(1, 5_000, cost_centre="VAN 7", driver="4711"))
    assert [(each["cost_centre"], each["driver"]) for each in book.records()] == [("VAN 7", "4711")]
    short = {name: value for name, value in terminal.advice(2, 5_000).items() if name != "driver"}
    assert terminal.advise(short) == ["rejected_permanent"]
