"""The sums of batches: what is missing is named, what differs is asked for again, and a host that lost a record gets it back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hal_sim.host_kit import ACCOUNT, BADGE, SPARE, card, limit, world

PATH = "/v1/terminals/OPT1/batches/1/close"


def sums(product: str, decided_by: str, count: int, quantity_ml: int, value_minor: int) -> dict[str, Any]:
    """One row of the totals."""
    return {"product": product, "decided_by": decided_by, "count": count, "quantity_ml": quantity_ml, "value_minor": value_minor}


def answer(result: str, missing: list[int], *, resend_all: bool = False) -> dict[str, Any]:
    """What an answer says, its time aside."""
    return {"result": result, "missing": missing, "resend_all": resend_all}


def without_time(given: dict[str, Any]) -> dict[str, Any]:
    """An answer without its time."""
    return {name: value for name, value in given.items() if name != "time"}


def test_equal_sums_are_balanced() -> None:
    book, terminal, _ = world()
    terminal.authorize(1)
    terminal.complete(1, 5_000)
    terminal.advise(terminal.advice(2, 7_000), terminal.advice(3, 0), terminal.advice(4, 1_000, product="SP95"), terminal.advice(5, 3_000))
    totals = [sums("GAZOLE", "host", 1, 5_000, 865), sums("GAZOLE", "offline", 2, 10_000, 1_729), sums("SP95", "offline", 1, 1_000, 173)]
    message = terminal.batch(1, 1, 5)
    assert (message["totals"], message["empty"], message["records"]) == (totals, 1, 5)
    assert without_time(terminal.close_batch(message)) == answer("balanced", [])
    assert [(each["batch"], each["result"]) for each in book.batches] == [(1, "balanced")]


def test_what_has_not_ended_and_what_was_refused_is_in_no_sums() -> None:
    _, terminal, _ = world()
    terminal.advise(terminal.advice(2, 5_000), terminal.advice(3, 4_000))
    message = terminal.batch(1, 1, 4, open=[3], quarantined=[1, 4])
    assert message["totals"] == [sums("GAZOLE", "offline", 1, 5_000, 865)]
    assert without_time(terminal.close_batch(message)) == answer("balanced", []), "3 came after the sums were made"


def test_a_lost_record_is_named_and_booked_again_under_its_old_key() -> None:
    book, terminal, _ = world(limits=[limit(ACCOUNT, "DAY", "QUANTITY", 100_000)])
    records = [terminal.advice(number, 1_000 * number) for number in range(1, 7)]
    terminal.advise(*records)
    message = terminal.batch(1, 1, 6)
    book.lose("OPT1-1-2")
    assert (book.watermark(), book.missing_sequences()) == (1, [(1, 2)])
    assert book.remaining(ACCOUNT, "DAY", "QUANTITY") == 81_000
    assert book.totals() == {(1, 1, "GAZOLE"): (19_000, 3_286, 5)}
    assert without_time(terminal.close_batch(message)) == answer("unbalanced", [2])
    assert terminal.advise(records[1]) == ["accepted"], "not a repetition: it was forgotten with its answer"
    assert (book.watermark(), book.remaining(ACCOUNT, "DAY", "QUANTITY"), len(book.sales())) == (6, 79_000, 6)
    again = message | {"attempt": 2, "key": "OPT1-1-B1.2/close"}
    assert without_time(terminal.close_batch(again)) == answer("balanced", [])
    assert without_time(terminal.close_batch(message)) == answer("unbalanced", [2]), "the stored answer of that attempt"
    assert len(book.batches) == 2


def test_a_completion_that_was_lost_is_booked_again() -> None:
    book, terminal, _ = world()
    terminal.authorize(1)
    terminal.complete(1, 5_000)
    book.lose("OPT1-1-1")
    assert terminal.complete(1, 5_000) == "accepted"
    assert (len(book.records()), book.conflicts) == (1, [])


def test_other_sums_without_a_gap_ask_for_everything() -> None:
    book, terminal, _ = world()
    records = [terminal.advice(1, 5_000), terminal.advice(2, 6_000)]
    terminal.advise(*records)
    message = terminal.batch(1, 1, 2)
    book.misbook("OPT1-1-2", 600)
    assert without_time(terminal.close_batch(message)) == answer("unbalanced", [], resend_all=True)
    assert terminal.advise(*records) == ["accepted"] * 2, "it believes that it has them"
    again = message | {"attempt": 2, "key": "OPT1-1-B1.2/close"}
    assert without_time(terminal.close_batch(again)) == answer("unbalanced", [], resend_all=True)


def test_no_more_than_a_thousand_are_named() -> None:
    _, terminal, _ = world()
    missing = terminal.close_batch(terminal.batch(1, 1, 5_000))["missing"]
    assert missing == list(range(1, 1_001))


def test_corrections_change_no_sums() -> None:
    book, terminal, _ = world(cards=[card(BADGE), card(SPARE)])
    terminal.advise(terminal.advice(1, 5_000), terminal.advice(2, 6_000), terminal.advice(3, 7_000))
    message = terminal.batch(1, 1, 3)
    book.correct("OPT1-1-1", "cancel")
    book.correct("OPT1-1-2", "refund", quantity_ml=1_000, value_minor=100)
    book.correct("OPT1-1-3", "amend", card=SPARE)
    assert without_time(terminal.close_batch(message)) == answer("balanced", [])


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"terminal": "OPT2"}, 400),
        ({"batch": 2}, 400),
        ({"key": "OPT1-1-B1.2/close"}, 400),
        ({"first_sequence": 3}, 400),
        ({"records": 1}, 400),
        ({"open": [3], "records": 1}, 400),
        ({"open": [2, 1], "records": 0}, 400),
        ({"open": [1], "quarantined": [1], "records": 1}, 400),
        ({"totals": [sums("SP95", "host", 1, 1, 1), sums("GAZOLE", "host", 1, 1, 1)]}, 400),
        ({"totals": [sums("GAZOLE", "host", 1, 1, 1)] * 2}, 400),
        ({"more": 1}, 422),
        ({"totals": [sums("GAZOLE", "host", 1, 1, 1) | {"more": 1}]}, 422),
    ],
)
def test_sums_that_contradict_themselves_are_refused(change: dict[str, Any], status: int) -> None:
    book, terminal, _ = world()
    terminal.advise(terminal.advice(1, 5_000), terminal.advice(2, 6_000))
    message = terminal.batch(1, 1, 2) | change
    assert terminal.call("POST", PATH, message, {"Idempotency-Key": message["key"]})[0] == status
    assert book.batches == []


def test_the_header_and_the_stored_answer_are_as_everywhere() -> None:
    _, terminal, _ = world()
    message = terminal.batch(1, 1, 2)
    assert terminal.call("POST", PATH, message)[1]["error"] == "key_missing"
    terminal.close_batch(message)
    other = message | {"empty": 1}
    assert terminal.call("POST", PATH, other, {"Idempotency-Key": message["key"]})[0] == 409
    assert terminal.call("POST", "/v1/terminals/OPT1/batches/x/close", message, {"Idempotency-Key": message["key"]})[0] == 400


@pytest.mark.parametrize("act", [lambda book: book.lose("OPT1-1-9"), lambda book: book.misbook("OPT1-1-9", 5)])
def test_what_is_not_booked_cannot_be_lost(act: Any) -> None:
    book, _, _ = world()
    with pytest.raises(ValueError, match="not booked"):
        act(book)
