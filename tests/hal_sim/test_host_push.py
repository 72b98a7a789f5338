"""What the simulated host says unasked: ids that are kept, one newest word a subject, acknowledgements, and nothing in clear but ranges."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.hal_sim.host_kit import BADGE, SPARE, START, card, validator, world

EVENTS = "/v1/terminals/OPT1/events"
SCHEMAS = {"deny": "DenyEvent", "lists": "ListsEvent", "correction": "CorrectionEvent", "closing": "ClosingEvent", "ledger": "LedgerEvent"}
SCHEMAS["prices"] = "PricesEvent"


def told(text: bytes) -> list[tuple[str, dict[str, Any]]]:
    """The events of a stream's bytes, each held against the OpenAPI file and its id line against its data."""
    found = []
    for block in text.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if fields:
            data = json.loads(fields["data"])
            validator(SCHEMAS[fields["event"]]).validate(data)
            assert fields.get("id") == (str(data["id"]) if "id" in data else None)
            found.append((fields["event"], data))
    return found


def stream(book: Any, last: str | None = None) -> list[tuple[str, dict[str, Any]]]:
    """A stream's beginning."""
    status, headers, body = book.handle("GET", EVENTS, {} if last is None else {"Last-Event-ID": last}, b"")
    assert (status, headers["Content-Type"]) == (200, "text/event-stream")
    assert body.startswith(b":")
    return told(body)


def test_a_block_and_its_end_are_said_with_the_first_list_that_has_them() -> None:
    book, _, _ = world()
    assert stream(book) == [("lists", {"epoch": "e1", "version": 1})]
    book.block(card=BADGE)
    deny = {"id": 1, "deny": {"card": book.token_of(BADGE)}, "lifted": False, "epoch": "e1", "list_version": 2}
    assert stream(book)[0] == ("deny", deny)
    book.publish()
    book.unblock(card=BADGE)
    assert stream(book) == [("deny", deny | {"id": 2, "lifted": True, "list_version": 3}), ("lists", {"epoch": "e1", "version": 2})]


def test_an_account_is_blocked_by_each_of_its_media_and_an_unknown_number_by_itself() -> None:
    book, _, _ = world(cards=[card(BADGE, account="7001"), card(SPARE, account="7001")])
    book.block(card="7001")
    book.block(card="04000000000001")
    tokens = [data["deny"]["card"] for name, data in stream(book) if name == "deny"]
    assert tokens == [book.token_of(BADGE), book.token_of(SPARE), book.token_of("04000000000001")]
    book.unblock(card="7001")
    assert [data["lifted"] for name, data in stream(book) if name == "deny"] == [False, True, True]


@pytest.mark.parametrize(
    ("last", "ids"), [(None, [1, 2]), ("0", [1, 2]), ("1", [2]), ("2", []), ("3", [1, 2]), ("x", [1, 2]), ("-1", [1, 2])]
)
def test_a_stream_resumes_behind_the_last_event_that_is_ours(last: str | None, ids: list[int]) -> None:
    book, _, _ = world()
    book.block(customer="C1")
    book.block(numbers=("7001000", "7001999"))
    assert [data["id"] for name, data in stream(book, last) if name == "deny"] == ids


def test_an_open_stream_is_told_only_what_is_new() -> None:
    book, _, _ = world()
    woken: list[None] = []
    book.listeners.append(lambda: woken.append(None))
    text, cursor = book.news(book.cursor({}))
    assert [name for name, _ in told(text)] == ["lists"]
    assert book.news(cursor) == (b"", cursor)
    book.block(customer="C1")
    book.publish()
    text, cursor = book.news(cursor)
    assert [name for name, _ in told(text)] == ["deny", "lists"]
    assert book.news(cursor) == (b"", cursor)
    assert len(woken) == 2


def test_an_acknowledgement_is_kept_once_with_both_instants() -> None:
    book, terminal, clock = world()
    book.block(customer="C1")
    body = {"effective_at": START, "durable": True}
    validator("Acknowledgement").validate(body)
    assert terminal.call("POST", f"{EVENTS}/1/ack", body) == (200, {"time": START})
    clock.ms += 5_000
    assert terminal.call("POST", f"{EVENTS}/1/ack", body | {"effective_at": clock.text})[0] == 200
    assert (book.acks[1].effective_at_ms, book.acks[1].received_at_ms) == (clock.ms - 5_000, clock.ms - 5_000)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (f"{EVENTS}/2/ack", {"effective_at": START, "durable": True}, 404),
        (f"{EVENTS}/0/ack", {"effective_at": START, "durable": True}, 404),
        (f"{EVENTS}/x/ack", {"effective_at": START, "durable": True}, 404),
        ("/v1/terminals/OPT9/events/1/ack", {"effective_at": START, "durable": True}, 404),
        (f"{EVENTS}/1/ack", {"effective_at": START, "durable": False}, 400),
        (f"{EVENTS}/1/ack", {"effective_at": START}, 400),
        (f"{EVENTS}/1/ack", {"effective_at": 5, "durable": True}, 400),
        (f"{EVENTS}/1/ack", {"effective_at": START, "durable": True, "more": 1}, 422),
    ],
)
def test_a_wrong_acknowledgement_is_refused_and_kept_by_nobody(path: str, body: dict[str, Any], status: int) -> None:
    book, terminal, _ = world()
    book.block(customer="C1")
    assert terminal.call("POST", path, body)[0] == status
    assert book.acks == {}


def test_other_methods_and_terminals_get_no_stream() -> None:
    _, terminal, _ = world()
    assert terminal.call("POST", EVENTS)[0] == 405
    assert terminal.call("GET", "/v1/terminals/OPT9/events")[0] == 404


def test_no_number_in_clear_is_pushed() -> None:
    book, _, _ = world()
    book.block(card=BADGE)
    _, _, body = book.handle("GET", EVENTS, {}, b"")
    assert BADGE.encode() not in body
    assert BADGE not in repr(book.pushed())
