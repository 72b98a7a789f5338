"""What a host may say: bodies of its answers, signed heads, the event stream, rows and changes of a card list; and the state's texts."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import date
from functools import cache
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from terminal.core.ids import MessageKind
from terminal.core.terminal_state import FaultReport, ListsState, PointReport, QueueState, TerminalState
from terminal.host.json_lane import EARLIEST, LATEST, LaneError
from terminal.host.list_head import DOMAIN, HeadRefused, ListKeys
from terminal.host.push import Listener
from terminal.host.sales_lane import page
from terminal.host.state_lane import state_call
from terminal.store.card_file import KEYS
from terminal.store.list_rows import ListError, RowReader, bound_of, read_delta
from tests.fuzz.surface import Script, Surface, demand, mutated
from tests.hal_sim.host_kit import openapi
from tests.host.kit import LANE, NUMBER, TOKEN
from tests.store.list_kit import canonical

NOW = "2026-03-28T22:50:00.120Z"
WORDS = (
    b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\\ud800", b"\xff", b"\x00", b"-", b"-0", b"9" * 30, b"1e999", b"1e-5", b"null",
    b"true", b"[" * 3000, b'{"a":' * 2000, b"NaN", "\u2028".encode(), b"\xed\xa0\x80", b'"' + b"x" * 70 + b'"', b"0001-01-01T00:00:00Z",
    b"9999-12-31T23:59:59.999Z", b"2026-02-30",
)  # fmt: skip
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**53, 2**63, 2**64, 10**30, 0.5, "", " ", "x", "x" * 70, "\u202e", "..", "a/../b", [], {}, [[]],
    "0" * 32, "\n",
    "2026-03-29", "2026-13", "Europe/Paris", "../etc/passwd", "9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00-23:59",
    ["x", "x"], {"": None},
)  # fmt: skip


def changed(dice: Random, value: Any) -> Any:
    """A JSON value with one of its places put to something else, left out or doubled."""
    if isinstance(value, dict) and value and dice.random() < 0.85:
        name = dice.choice(list(value))
        if dice.random() < 0.12:
            return {key: item for key, item in value.items() if key != name} | ({} if dice.random() < 0.5 else {name + "x": 1})
        return value | {name: changed(dice, value[name])}
    if isinstance(value, list) and value and dice.random() < 0.7:
        at = dice.randrange(len(value))
        return value[:at] + [changed(dice, value[at])] * dice.choice((1, 1, 0, 2)) + value[at + 1 :]
    return dice.choice(ODD)


def a_json(dice: Random, good: Any) -> bytes:
    """Its text, changed by meaning, by bytes, or both."""
    for _ in range(dice.choice((0, 1, 1, 2))):
        good = changed(dice, good)
    text = canonical(good)
    return mutated(dice, text, WORDS) if dice.random() < 0.4 else text


# --- answers ----------------------------------------------------------------------------------------------------------------------

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYRING = ListKeys(KEY.public_key().public_bytes_raw())
HEAD = {
    "list": "cards", "terminal": "OPT1", "epoch": "e1", "version": 3, "rows": 2, "sha256": "0" * 64, "content_hash": "0" * 64,
    "issued_at": NOW, "not_after": "2026-04-28T22:50:00Z", "bytes": 100, "base": None, "confirm_shrink": False,
}  # fmt: skip
ADVICES = tuple(f"OPT1-1-{number}/{MessageKind.ADVICE.value}" for number in (42, 43))
ANSWERS: tuple[Any, ...] = (
    {
        "time": NOW, "decision": "approved", "authorization": "A17", "quantity_ml": 60000, "value_minor": None, "products": ["SP95"],
        "reason": None,
    },
    {"time": NOW, "result": "stored"},
    {"time": NOW, "results": [{"key": key, "result": "stored"} for key in ADVICES]},
    {"time": NOW, "result": "unbalanced", "missing": [4, 9], "resend_all": False},
    {"error": "unknown_terminal", "message": "no"},
    {"time": NOW},
    HEAD,
)  # fmt: skip


def answer(data: bytes) -> bool:
    """One body, read as what was asked for."""
    kind, body = data[0] % len(ANSWERS) if data else 0, data[1:]
    at = 0
    match kind:
        case 0:
            said, at = LANE.authorized(body)
            amounts = (said.quantity_ml, said.value_minor)
            demand(all(amount is None or 0 <= amount <= 10**12 for amount in amounts), "an amount out of range")
        case 1:
            _, at = LANE.booked(f"OPT1-1-42/{MessageKind.COMPLETE.value}", body)
        case 2:
            found, at = LANE.booked_items(ADVICES, body)
            demand(tuple(key for key, _ in found) == ADVICES, "other messages than were sent")
        case 3:
            at = LANE.closed("OPT1-B1.1/close", body).host_time
        case 4:
            return bool(LANE.refused(body))
        case 5:
            at = LANE.time(body)
        case _:
            return _head(body)
    demand(EARLIEST <= at < LATEST, "a time of another century")
    return True


def _head(body: bytes) -> bool:
    """Signed as it is, so that what stands behind the signature is reached too."""
    _unsigned(body)
    try:
        fields = json.loads(body)
        content = canonical(fields)
    except (ValueError, RecursionError):
        return False
    if not isinstance(fields, dict):
        return False
    signed = fields | {"signature": base64.b64encode(KEY.sign(DOMAIN + content)).decode()}
    head = KEYRING.head(canonical(signed), "OPT1")
    demand(head.terminal == "OPT1" and head.offer.version >= 1, "a head of another's")
    return True


def _unsigned(body: bytes) -> None:
    """Nobody signed these bytes."""
    try:
        KEYRING.head(body, "OPT1")
    except HeadRefused:
        return
    demand(False, "a head was believed that nobody signed")


def an_answer(dice: Random) -> bytes:
    """An answer, changed."""
    kind = dice.randrange(len(ANSWERS))
    return bytes((kind,)) + a_json(dice, ANSWERS[kind])


# --- lost sales ---------------------------------------------------------------------------------------------------------------------


def sales(data: bytes) -> bool:
    """A page of sales that the terminal lost: all of it of this terminal, in order and whole, or nothing."""
    found = page(LANE, data, 1, 41)
    demand(EARLIEST <= found.host_time < LATEST, "a time of another century")
    for facts in ([one.fact for one in found.sales], [one.fact for one in found.holds]):
        numbers = [fact.sequence for fact in facts]
        demand(numbers == sorted(set(numbers)) and all(number > 41 for number in numbers), "numbers out of order")
        demand(all(number <= found.last for number in numbers), "a number above the last")
        for fact in facts:
            demand(fact.sale == f"OPT1-1-{fact.sequence}" and fact.epoch == 1, "a sale of another's")
            demand(0 <= fact.quantity_ml < 10**9 and 0 <= fact.value_minor <= 10**12, "an amount out of range")
            demand(not fact.quantity_ml or None not in (fact.nozzle, fact.product, fact.price, fact.total_start_ml), "fuel from nowhere")
            demand(len(fact.card.last4) <= 4, "more of a number than may be shown")
    return True


def some_sales(dice: Random) -> bytes:
    """The contract's own example, changed."""
    return a_json(dice, json.loads(json.dumps(openapi()["components"]["schemas"]["SalesBack"]["examples"][0])))


# --- the stream -------------------------------------------------------------------------------------------------------------------

EVENTS: tuple[tuple[str, Any], ...] = (
    ("deny", {"id": 1, "deny": {"card": TOKEN}, "lifted": False, "epoch": "e1", "list_version": 3}),
    ("deny", {"id": 2, "deny": {"range": ["7001", "7009"]}, "lifted": True, "epoch": "e1", "list_version": 3}),
    ("lists", {"epoch": "e1", "version": 4}),
    ("correction", {"id": 3, "correction": "K1", "sale": "OPT1-1-42", "kind": "void", "why": "double"}),
    ("closing", {"id": 4, "scope": "site", "name": "", "closed": True, "why": "storm"}),
    ("other", {"id": 5}),
)  # fmt: skip
_STREAM_WORDS = (
    *(b"\n", b"\n\n", b"\r", b"\r\n", b":", b": \n", b"data:", b"event:deny\n"),
    *(b"id:7\n", b"\xef\xbb\xbf", b"\x00", b"\xff", b"x" * 17_000),
)


def stream(data: bytes) -> bool:
    """The same is posted however the bytes are cut, and nothing is raised."""
    whole: list[object] = []
    cut: list[object] = []
    listener, other = Listener(whole.append), Listener(cut.append)
    listener.feed(data[1:])
    size = 1 + data[0] if data else 1
    for at in range(1, len(data), size):
        other.feed(data[at : at + size])
    demand(whole == cut and listener.last_event == other.last_event, "what is posted depends on the pieces")
    return len(whole) > 1


def a_stream(dice: Random) -> bytes:
    """Events, changed inside and outside."""
    end = dice.choice((b"\n", b"\r\n", b"\r"))
    said = b": hello" + end * 2
    for _ in range(dice.choice((1, 2, 4))):
        name, body = dice.choice(EVENTS)
        said += b"event: " + name.encode() + end + b"data: " + a_json(dice, body) + end * 2
    return bytes((dice.randrange(256),)) + (mutated(dice, said, _STREAM_WORDS) if dice.random() < 0.6 else said)


# --- lists ------------------------------------------------------------------------------------------------------------------------


@cache
def rows() -> tuple[dict[str, Any], ...]:
    """Every example of a row in the contract."""
    schemas = openapi()["components"]["schemas"]
    found = [row for name in sorted(schemas) if name.endswith("Row") for row in schemas[name].get("examples", ())]
    return tuple(json.loads(json.dumps(row, default=date.isoformat)) for row in found)


def row(line: bytes) -> bool:
    """One row, read alone and as one of many: the same, or refused in the same words."""
    alone, many = RowReader(), RowReader()
    into: dict[str, list[tuple[bytes | str, ...]]] = {table: [] for table in KEYS}
    try:
        found, refusal = alone.read(line), None
    except ListError as error:
        found, refusal = None, error
    try:
        many.take([line], into)
        demand(refusal is None, "refused alone and taken as one of many")
    except ListError as error:
        # How deep is too deep depends on the frames above, and there is one more on the one way.
        same = str(error) == str(refusal) or "nested too deeply" in f"{error}{refusal}"
        demand(refusal is not None and same, "refused in other words as one of many")
    if refusal is not None:
        demand(NUMBER not in str(refusal), "a number in an error's text")
        raise refusal
    demand((alone.products, alone.named, alone.end) == (many.products, many.named, many.end), "noted otherwise as one of many")
    expected = {table: [(*found[1], line)] if found and found[0] == table else [] for table in KEYS}
    demand(into == expected, "another key as one of many")
    if found is not None and found[0] == "bound":
        bound_of(line)
    return True


def delta(data: bytes) -> bool:
    """Changes, with an end that fits when the first byte is even: each once, each with its key."""
    lines = data[1:].split(b"\n")
    if data and not data[0] & 1:
        text = b"".join(line + b"\n" for line in lines)
        lines.append(canonical({"row": "end", "rows": len(lines), "sha256": hashlib.sha256(text).hexdigest()}))
        digest = hashlib.sha256(text).hexdigest()
    else:
        digest = "0" * 64
    ops, _ = read_delta(lines, digest)
    demand(len({(op.table, op.key) for op in ops}) == len(ops), "one row twice")
    return True


_REMOVES: tuple[Any, ...] = (
    {"row": "remove", "kind": "card", "key": {"token": TOKEN}},
    {"row": "remove", "kind": "deny", "key": {"customer": "C9"}},
    {"row": "remove", "kind": "limit", "key": {"subject": {"customer": "C1"}, "period": "DAY", "measure": "QUANTITY"}},
)  # fmt: skip


def a_row(dice: Random) -> bytes:
    """A row, changed."""
    return a_json(dice, dice.choice(rows()))


def a_delta(dice: Random) -> bytes:
    """Some rows and removals, one of them changed."""
    lines = [canonical(dice.choice(rows() + _REMOVES)) for _ in range(dice.choice((0, 1, 2, 4)))]
    lines.insert(dice.randrange(len(lines) + 1), a_json(dice, dice.choice(rows() + _REMOVES)))
    return bytes((dice.choice((0, 0, 0, 1)),)) + b"\n".join(lines)


# --- state ------------------------------------------------------------------------------------------------------------------------


def state(data: bytes) -> bool:
    """Any text may stand in a fault: the report is JSON, short, and has no card's number in it."""
    script = Script(data)
    at = script.byte() * 10**10
    subject, detail = (script.take(script.byte()).decode("utf-8", "replace") for _ in range(2))
    detail += NUMBER * (script.byte() & 1)
    told = TerminalState(
        "1.0", "b", at, "trusted", None, True, ListsState("e1", 3, 2, "0" * 64, None), QueueState(0, None, 0), 1, 1, 1, 0, True,
        (PointReport(1, "idle", None, False),), (FaultReport("host-away", subject, at, detail),), (), (),
    )  # fmt: skip
    body = state_call(LANE, told).body or b""
    fault = json.loads(body)["faults"][0]
    demand(len(fault["subject"]) <= 64 and len(fault["detail"]) <= 200, "longer than the contract allows")
    demand(NUMBER.encode() not in body, "a card's number in the report")
    return True


def a_state(dice: Random) -> bytes:
    """Texts with numbers, controls and other scripts."""
    words = (NUMBER, " ", "7001 2312 3456 7890 123", "\u0663" * 16, "\n", "\x00", "\u202e", "é", "/dev/ttyUSB0", "\U0001f600")
    texts = ["".join(dice.choice(words) for _ in range(dice.choice((0, 1, 3, 9)))).encode()[:255] for _ in range(2)]
    good = bytes((dice.randrange(180),)) + b"".join(bytes((len(text),)) + text for text in texts) + bytes((dice.randrange(2),))
    return good if dice.random() < 0.5 else mutated(dice, good)


SURFACES = (
    Surface("host-answer", "bodies of the host's answers", an_answer, answer, (LaneError, HeadRefused)),
    Surface("host-sales", "sales that the host gives back", some_sales, sales, (LaneError,)),
    Surface("host-stream", "the event stream", a_stream, stream),
    Surface("host-state", "texts in the state report", a_state, state),
    Surface("list-row", "rows of a card list", a_row, row, (ListError,)),
    Surface("list-delta", "changes of a card list", a_delta, delta, (ListError,)),
)
