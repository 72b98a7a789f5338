"""Every message against the contract, both ways, and hosts that keep to its letter alone: a value or ``LaneError``."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drivers.events import MediumKind, Trust
from terminal.core.batch_events import CloseAnswered
from terminal.core.card_data import HostDecision
from terminal.core.clock import ClockState
from terminal.core.events import UploadResult
from terminal.core.ids import MessageKind
from terminal.core.internal_events import EndCause
from terminal.core.messages import BatchTotal, CloseBatch, SaleMessage
from terminal.core.reasons import Reason
from terminal.core.records import MediumRef
from terminal.host.json_lane import LATEST, LaneError, instant_text
from tests.hal_sim.host_kit import openapi, validator
from tests.host.kit import CARD, LANE, NUMBER, SPRING, TOKEN, authorize, booking, reverse

TIME = "2026-03-28T22:50:00.120Z"
DECIDED = {
    "time": TIME,
    "decision": "approved",
    "authorization": "A17",
    "quantity_ml": 60000,
    "value_minor": None,
    "products": None,
    "reason": None,
}
SCHEMAS = {"/completion": "Completion", "/reversal": "Reversal", "/v1/transactions": "Transactions"}


def sent(message: SaleMessage) -> dict[str, Any]:
    """What an outbox message becomes on the wire, held against its schema."""
    call = LANE.upload(message.key, LANE.encode(message))
    assert call.body is not None
    assert call.method == "POST"
    body: dict[str, Any] = json.loads(call.body)
    name = next(name for ending, name in SCHEMAS.items() if call.path.endswith(ending))
    validator(name).validate(body)
    item = body["items"][0] if name == "Transactions" else body
    assert call.key == item["key"] == message.key
    return item


def decided(**changes: Any) -> bytes:
    """An answer to an authorization."""
    return json.dumps(DECIDED | changes).encode()


def refusal_of(reader: Callable[[], object]) -> LaneError | None:
    """The error of an answer that is none; None for one that is. Any other exception goes up and fails the test."""
    try:
        reader()
    except LaneError as error:
        return error
    return None


# --- requests -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clock", [state.value for state in ClockState])
@pytest.mark.parametrize("trust", [trust.value for trust in Trust])
@pytest.mark.parametrize("medium", [kind.value for kind in MediumKind])
def test_questions_are_of_the_contract(medium: str, trust: str, clock: str) -> None:
    """Each word that the core has for medium, trust and clock."""
    card = MediumRef(TOKEN, "", medium, trust, CARD.sealed)
    body = json.loads(LANE.authorize(authorize(card=card, clock=clock)).body or b"")
    validator("Authorization").validate(body)
    assert (body["medium"], body["trust"], body["clock"]) == (medium, trust, clock)


@pytest.mark.parametrize(
    ("wish", "written"),
    [({}, None), ({"wish_ml": 20_000}, {"quantity_ml": 20_000}), ({"wish_minor": 5_000}, {"value_minor": 5_000})],
)
def test_a_wish_is_volume_or_money(wish: dict[str, int], written: dict[str, int] | None) -> None:
    """Or none."""
    call = LANE.authorize(authorize(**wish))
    body = json.loads(call.body or b"")
    validator("Authorization").validate(body)
    assert body["wish"] == written
    assert (call.method, call.path, call.key) == ("POST", "/v1/authorizations", "OPT1-1-42/authorize")


@pytest.mark.parametrize("kind", [MessageKind.COMPLETE, MessageKind.ADVICE])
@pytest.mark.parametrize("end", list(EndCause))
def test_bookings_are_of_the_contract(kind: MessageKind, end: EndCause) -> None:
    """However the sale ended, with fuel and without."""
    assert sent(booking(kind, end=end.value))["end"] == end.value
    nothing: dict[str, Any] = {
        "nozzle": None,
        "product": None,
        "price": None,
        "quantity_ml": 0,
        "value_minor": 0,
        "total_start_ml": None,
        "total_end_ml": None,
    }
    assert sent(booking(kind, end=end.value, **nothing))["quantity_ml"] == 0


@pytest.mark.parametrize("reason", ["TIMED_OUT", "CANCELLED", "POWER"])
def test_reversals_are_of_the_contract(reason: str) -> None:
    """The reasons that the core gives."""
    assert sent(reverse(reason=reason))["reason"] == reason


def test_the_contracts_own_examples_come_out() -> None:
    """The OpenAPI file's completion, made by the lane."""
    (example_of_contract,) = openapi()["components"]["schemas"]["Completion"]["examples"]
    card = MediumRef(**example_of_contract["card"], medium="badge", trust="T0")
    assert sent(booking(card=card, pin_verified=True)) == example_of_contract


SEQUENCES = st.integers(1, 2**53 - 1)


@given(SEQUENCES, st.integers(0, 999_999_999), st.integers(0, 10**12), st.integers(0, 10**15), st.integers(SPRING, LATEST - 1))
def test_integers_stay_integers(sequence: int, volume_ml: int, value: int, total: int, at: int) -> None:
    """To the contract's bounds, to the last digit; instants to the millisecond."""
    item = sent(booking(sequence=sequence, quantity_ml=volume_ml, value_minor=value, total_start_ml=total, ended_at=at))
    assert (item["sequence"], item["quantity_ml"], item["value_minor"], item["totaliser_start_ml"]) == (sequence, volume_ml, value, total)
    assert all(type(item[name]) is int for name in ("sequence", "quantity_ml", "value_minor", "totaliser_start_ml"))
    assert LANE.time(b'{"time":"%s"}' % item["ended_at"].encode()) == at


@settings(deadline=None)  # a machine that is busy is no fault of the bytes
@given(st.dictionaries(st.text("ABCDEFGHIJ_ ", min_size=1, max_size=32), st.text(max_size=64), max_size=16))
def test_the_same_message_is_the_same_bytes(prompts: dict[str, str]) -> None:
    """What a driver typed, in whatever script, survives the wire; twice the same is the same."""
    message = booking(prompts=tuple(prompts.items()))
    assert LANE.encode(message) == LANE.encode(booking(prompts=tuple(prompts.items())))
    assert LANE.upload(message.key, LANE.encode(message)) == LANE.upload(message.key, LANE.encode(message))
    assert sent(message)["prompts"] == prompts


def test_calls_without_a_body() -> None:
    """Paths of the contract, and no key where it has none."""
    assert (LANE.probe().path, LANE.probe().key) == ("/v1/time", None)
    assert LANE.list_heads().path == "/v1/terminals/OPT1/lists"
    assert LANE.snapshot("e1", 3, 0, "").path == "/v1/terminals/OPT1/lists/cards/e1/3"
    assert LANE.deltas("e1", 3).path == "/v1/terminals/OPT1/lists/cards/deltas?epoch=e1&from=3"
    assert LANE.delta("e1", 3).path == "/v1/terminals/OPT1/lists/cards/e1/3/delta"


def test_a_list_is_gone_on_with_only_where_it_is_the_same() -> None:
    """Nothing is said of a beginning; from elsewhere on, only of the very same bytes."""
    assert LANE.snapshot("e1", 3, 0, '"tag"').headers == ()
    assert LANE.snapshot("e1", 3, 700, '"tag"').headers == (("Range", "bytes=700-"), ("If-Range", '"tag"'))


def test_a_time_that_was_never_set_can_be_written() -> None:
    """Without any host time the terminal counts from 1970."""
    jsonschema.validate(instant_text(0), openapi()["components"]["schemas"]["Instant"])
    assert instant_text(1) == "1970-01-01T00:00:00.001Z"


# --- answers of the contract ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", openapi()["components"]["schemas"]["Decision"]["examples"])
def test_the_contracts_decisions_are_read(body: dict[str, Any]) -> None:
    """The OpenAPI file's examples."""
    validator("Decision").validate(body)
    answer, _ = LANE.authorized(json.dumps(body).encode())
    assert answer.decision.value == body["decision"]
    assert (answer.quantity_ml, answer.value_minor, answer.authorization) == (
        body["quantity_ml"],
        body["value_minor"],
        body["authorization"],
    )


@pytest.mark.parametrize("result", list(UploadResult))
def test_every_result_is_read(result: UploadResult) -> None:
    """For each kind of message."""
    single = json.dumps({"time": TIME, "result": result.value}).encode()
    assert LANE.booked("OPT1-1-42/complete", single)[0] is result
    assert LANE.booked("OPT1-1-42/reverse", single)[0] is result
    several = json.dumps({"time": TIME, "results": [{"key": "OPT1-1-42/advice", "result": result.value}]}).encode()
    assert LANE.booked("OPT1-1-42/advice", several)[0] is result


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_read(reason: Reason) -> None:
    """Each word that we know."""
    assert LANE.authorized(decided(decision="declined", reason=reason.value))[0].reason is reason


def test_unknown_reasons_and_fields_are_no_obstacle() -> None:
    """The host may learn new words before we do; a decision stays a decision."""
    answer, _ = LANE.authorized(decided(decision="declined", reason="WEATHER", colour={"deep": [[[1.5]]]}))
    assert (answer.decision, answer.reason) == (HostDecision.DECLINED, None)


# --- answers that are none ----------------------------------------------------------------------------------------------------

UNUSABLE = [
    decided(quantity_ml=-1),
    decided(quantity_ml=10**30),
    decided(quantity_ml=1.5),
    decided(quantity_ml=True),
    decided(quantity_ml="60000"),
    decided(value_minor=[]),
    decided(decision=None),
    decided(decision="approved "),
    decided(products="GAZOLE"),
    decided(products=[1]),
    decided(authorization=""),
    decided(authorization="A" * 65),
    decided(authorization="A17\n"),
    decided(authorization="A 17"),
    decided(time=None),
    decided(time="2026-03-28T22:50:00.120"),
    decided(time="2026-03-28"),
    decided(time=1_774_738_200),
    decided(time="0001-01-01T00:00:00.000+14:00"),
    decided(time="9999-12-31T23:59:59.999Z"),
    decided(time="1999-12-31T23:59:59.999Z"),
    b'{"time":"%s","decision":"approved","quantity_ml":NaN}' % TIME.encode(),
    b'{"time":"%s","decision":"approved","quantity_ml":6.0e4}' % TIME.encode(),
    b'{"time":"%s","decision":"approved","quantity_ml":%s}' % (TIME.encode(), b"9" * 5_000),
    b'{"time":"%s","decision":"approved","x":%s' % (TIME.encode(), b"[" * 200_000),
    b'{"time":"%s","decision":"approved","x":%s1%s}' % (TIME.encode(), b"[" * 200_000, b"]" * 200_000),
    b"\xef\xbb\xbf" + decided(),
    decided().replace(b"A17", b"A\xff7"),
    decided() + b"{}",
    decided()[:-1],
    b"",
    b"null",
    b"[]",
    b"{}",
]


@pytest.mark.parametrize("body", UNUSABLE, ids=range(len(UNUSABLE)))
def test_a_wrong_answer_is_no_answer(body: bytes) -> None:
    """Never half used, and never another exception."""
    with pytest.raises(LaneError):
        LANE.authorized(body)


@pytest.mark.parametrize(
    "results",
    [
        [],
        [{"key": "OPT1-1-43/advice", "result": "accepted"}],
        [{"key": "OPT1-1-42/complete", "result": "accepted"}],
        [{"key": "OPT1-1-42/advice", "result": "accepted"}, {"key": "OPT1-1-42/advice", "result": "retry"}],
        [{"key": "OPT1-1-42/advice", "result": "booked"}],
        [{"key": "OPT1-1-42/advice"}],
        None,
    ],
)
def test_results_must_name_the_message_once(results: object) -> None:
    """An answer about another message, or with two words about ours, is no answer."""
    with pytest.raises(LaneError):
        LANE.booked("OPT1-1-42/advice", json.dumps({"time": TIME, "results": results}).encode())


def _items(*results: tuple[str, str]) -> bytes:
    return json.dumps({"time": TIME, "results": [{"key": key, "result": result} for key, result in results]}).encode()


ONE, TWO = "OPT1-1-42/advice", "OPT1-1-43/advice"


def test_each_item_has_its_own_verdict_in_the_order_in_which_they_went() -> None:
    found, _ = LANE.booked_items((ONE, TWO), _items((TWO, "retry"), (ONE, "accepted")))
    assert found == ((ONE, UploadResult.ACCEPTED), (TWO, UploadResult.RETRY))


@pytest.mark.parametrize(
    "results",
    [
        ((ONE, "accepted"),),
        ((ONE, "accepted"), (TWO, "accepted"), ("OPT1-1-44/advice", "accepted")),
        ((ONE, "accepted"), (TWO, "accepted"), (TWO, "accepted")),
        ((ONE, "accepted"), (TWO, "booked")),
        (),
    ],
)
def test_an_answer_that_leaves_items_out_names_others_or_doubles_one_is_none(results: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(LaneError):
        LANE.booked_items((ONE, TWO), _items(*results))


def test_several_advices_are_one_call_with_the_firsts_key() -> None:
    call = LANE.upload(ONE, b'{"a":1}', b'{"b":2}')
    assert (call.path, call.key) == ("/v1/transactions", ONE)
    assert call.body == b'{"terminal":"OPT1","items":[{"a":1},{"b":2}]}'


CLOSE = CloseBatch("OPT1", 1, 7, 2, 5, 9, (6,), (8,), (BatchTotal("GAZOLE", "offline", 2, 30_000, 5_187),), 1)


def test_the_close_of_a_batch() -> None:
    call = LANE.upload(CLOSE.key, LANE.encode(CLOSE))
    assert (call.method, call.path, call.key) == ("POST", "/v1/terminals/OPT1/batches/7/close", "OPT1-1-B7.2/close")
    assert json.loads(call.body or b"") == {
        "key": "OPT1-1-B7.2/close",
        "terminal": "OPT1",
        "epoch": 1,
        "batch": 7,
        "attempt": 2,
        "first_sequence": 5,
        "last_sequence": 9,
        "records": 4,
        "open": [6],
        "quarantined": [8],
        "totals": [{"product": "GAZOLE", "decided_by": "offline", "count": 2, "quantity_ml": 30_000, "value_minor": 5_187}],
        "empty": 1,
    }


def test_what_the_host_found_in_a_batch() -> None:
    def closed(**changes: object) -> CloseAnswered:
        body = {"time": TIME, "result": "unbalanced", "missing": [5, 9], "resend_all": False} | changes
        return LANE.closed(CLOSE.key, json.dumps(body).encode())

    assert (closed().balanced, closed().missing, closed().resend_all) == (False, (5, 9), False)
    assert closed(result="balanced", missing=[]).balanced
    for wrong in ({"result": "fine"}, {"missing": [0]}, {"missing": ["5"]}, {"missing": list(range(1, 1_002))}, {"resend_all": 1}):
        with pytest.raises(LaneError):
            closed(**wrong)


def test_of_a_doubled_key_one_whole_value_is_taken() -> None:
    """JSON leaves it open; what must not happen is a mixture or an exception."""
    answer, _ = LANE.authorized(decided()[:-1] + b',"decision":"declined","authorization":null}')
    assert (answer.decision, answer.authorization) == (HostDecision.DECLINED, None)


@pytest.mark.parametrize("field", ["time", "decision", "authorization", "quantity_ml", "value_minor", "products", "reason"])
@pytest.mark.parametrize("value", [NUMBER, [NUMBER], {NUMBER: NUMBER}, f"' - at `{NUMBER}`", f"{NUMBER}' - at `$.x`"])
def test_no_content_gets_into_the_error(field: str, value: object) -> None:
    """It ends in the journal and in the log, and could be a card's number."""
    error = refusal_of(lambda: LANE.authorized(decided(**{field: value})))
    assert NUMBER not in str(error)
    assert error is None or error.__cause__ is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from([TIME, "approved", "accepted"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*DECIDED, "result", "results", "key"]), inner, max_size=8),
    max_leaves=12,
)


def _read_all(body: bytes) -> None:
    readers: tuple[Callable[[], object], ...] = (
        lambda: LANE.authorized(body),
        lambda: LANE.booked("OPT1-1-42/advice", body),
        lambda: LANE.booked("OPT1-1-42/complete", body),
        lambda: LANE.time(body),
        lambda: LANE.refused(body),
    )
    for reader in readers:
        assert "\n" not in str(refusal_of(reader))


@given(st.binary(max_size=300))
@example(b"\xff\xfe")
@example(b'"\\ud800"')
def test_garbage_is_a_lane_error(body: bytes) -> None:
    """Any bytes."""
    _read_all(body)


@settings(max_examples=300, deadline=None)
@given(JSON)
def test_any_json_is_a_value_or_a_lane_error(value: object) -> None:
    """Right names with wrong values."""
    _read_all(json.dumps(value).encode())


@given(st.binary(max_size=6), st.integers(0, 200), st.integers(0, 20))
def test_damaged_answers_are_values_or_lane_errors(put: bytes, at: int, cut: int) -> None:
    """A right answer with a piece replaced."""
    body = decided()
    _read_all(body[:at] + put + body[at + cut :])
