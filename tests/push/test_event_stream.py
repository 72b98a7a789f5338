"""The reader of server-sent events: however the bytes are cut, whatever stands in them, the same events in bounded memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from terminal.host.event_stream import EventParser, Heartbeat, StreamEvent

WORDS = st.sampled_from(
    [
        b"event: deny", b"event:lists", b"data: {}", b"data:x", b"data", b"id: 7", b"retry: 10", b": beat", b":", b"", b"event",
        b"nonsense", b"data: " + b"y" * 40, b"\xff\xfe\x00", b"data: \xc3\xa9", b"event: deny\x00",
    ]
)  # fmt: skip
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])
STREAMS = st.lists(st.tuples(WORDS, ENDS), max_size=40).map(lambda parts: b"".join(word + end for word, end in parts))


def whole(text: bytes, **bounds: int) -> list[StreamEvent | Heartbeat]:
    return EventParser(**bounds).feed(text)


def cut(text: bytes, places: list[int], **bounds: int) -> list[StreamEvent | Heartbeat]:
    parser = EventParser(**bounds)
    found: list[StreamEvent | Heartbeat] = []
    edges = [0, *sorted(min(place, len(text)) for place in places), len(text)]
    for start, end in zip(edges, edges[1:], strict=False):
        found += parser.feed(text[start:end])
    return found


def plainly(text: bytes) -> list[StreamEvent | Heartbeat]:
    """The standard's words, naively: split into lines, gather fields, dispatch at blank lines."""
    text = text.removeprefix(b"\xef\xbb\xbf")
    lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")[:-1]
    found: list[StreamEvent | Heartbeat] = []
    name, data = b"", list[bytes]()
    for line in lines:
        field, _, value = line.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        if not line:
            if data:
                found.append(StreamEvent(name.decode(errors="replace") or "message", b"\n".join(data)))
            name, data = b"", []
        elif not field:
            found.append(Heartbeat())
        elif field == b"event":
            name = value
        elif field == b"data":
            data.append(value)
    return found


@given(STREAMS)
def test_it_reads_what_the_standard_says(text: bytes) -> None:
    assert whole(text) == plainly(text)


@given(STREAMS, st.lists(st.integers(0, 400), max_size=10))
def test_it_does_not_matter_where_the_bytes_are_cut(text: bytes, places: list[int]) -> None:
    assert cut(text, places) == whole(text)
    assert cut(text, list(range(len(text)))) == whole(text)


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=10))
def test_garbage_is_cut_anywhere_too(text: bytes, places: list[int]) -> None:
    assert cut(text, places, max_line=16, max_event=30) == whole(text, max_line=16, max_event=30)


@given(st.binary(max_size=300))
def test_garbage_does_not_spoil_what_follows_it(garbage: bytes) -> None:
    found = whole(garbage + b"\n\n\nevent: deny\ndata: {}\n\n")
    assert found[-1] == StreamEvent("deny", b"{}")


def test_a_huge_line_is_left_out_in_bounded_memory_and_the_next_event_is_read() -> None:
    parser = EventParser(max_line=1_000, max_event=5_000)
    found = parser.feed(b"event: deny\ndata: ")
    for _ in range(5_000):
        found += parser.feed(b"x" * 1_000)
        assert len(parser._line) <= 1_000
    found += parser.feed(b"\n\nevent: deny\ndata: ok\n\n")
    assert found == [StreamEvent("deny", b"", spoilt=True), StreamEvent("deny", b"ok")]


def test_an_event_of_many_lines_is_bounded_too() -> None:
    parser = EventParser(max_line=1_000, max_event=5_000)
    found = list[StreamEvent | Heartbeat]()
    for _ in range(5_000):
        found += parser.feed(b"data: " + b"x" * 900 + b"\n")
        assert sum(map(len, parser._data)) <= 5_000
    assert parser.feed(b"\n") == [StreamEvent("message", b"", spoilt=True)]
    assert found == []


def test_an_event_without_its_blank_line_is_none() -> None:
    assert whole(b"event: deny\ndata: half") == []
    assert whole(b"event: deny\ndata: half\n") == []
