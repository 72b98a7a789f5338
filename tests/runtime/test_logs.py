"""Log lines: always one, never a card's number, a track or a local value, and never a reason to die."""

from __future__ import annotations

import io
import logging
import re
import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from terminal.core.ids import MessageKey, SaleId
from terminal.core.records import MediumRef, MessageQuarantined, Refused, SaleDelivered, TerminalStarted, Unattributed
from terminal.runtime import logs

NUMBER = "7001231234567890123"
TRACK_1 = "%B7001231234567890123^DOE/JANE^25121010000012345?"
TRACK_2 = ";7001231234567890123=25121010000012345?"


def written(message: str, *values: object, error: BaseException | None = None, stack: str | None = None) -> str:
    """What a handler as ``start`` makes it writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(logs.Redact())
    handler.setFormatter(logs.OneLine("%(levelname)s %(name)s %(message)s"))
    info = None if error is None else (type(error), error, error.__traceback__)
    handler.handle(logging.LogRecord("terminal", logging.INFO, __file__, 1, message, values, info, sinfo=stack))
    return stream.getvalue()


DIGITS = st.text("0123456789", min_size=12, max_size=19)
AROUND = st.text(max_size=5).filter(lambda text: not re.search(r"[0-9]\Z|\A[0-9]", text))


@given(AROUND, DIGITS, AROUND)
@example("-", NUMBER, "D2512")
@example("B", NUMBER, "^")
@example("range 7001000000000000000-", "7001999999999999999", "x")
def test_no_card_number_gets_through(before: str, number: str, behind: str) -> None:
    """12 to 19 digits, whatever stands around them: in the words, in a value, in an exception."""
    text = before + number + behind
    assert number not in written("said %s", text)
    assert number not in written(text.replace("%", "%%"), 1) if "%" not in text else True
    assert number not in written("died", error=ValueError(text))
    assert number not in written("died", error=KeyError(text))


@pytest.mark.parametrize(
    "text", [TRACK_1, TRACK_2, TRACK_2[:-1], TRACK_1[:-1], TRACK_2.replace("=", "D"), "7001 2312 3456 7890", "7001-2312-3456-7890-123"]
)
def test_no_track_gets_through(text: str) -> None:
    """Whole, torn, with the other separator, and in groups as on the card."""
    out = written("read %s at once", text)
    assert not re.search(r"[0-9]{4}.?2312|[0-9]{12}|25121010", out)
    assert "at once" in out


@given(st.integers(1, 99_999_999_999), st.integers(0, 999_999_999))
def test_what_a_technician_needs_stays(sequence: int, volume: int) -> None:
    """Sales and volumes are no card numbers."""
    line = logs.line_of(SaleDelivered(SaleId(f"OPT1-1-{sequence}"), volume, 1, None, "nozzle", 1_774_738_200_000))
    assert f"sale=OPT1-1-{sequence} volume_ml={volume} " in written("%s", line)
    assert "1774738200000" not in line


@given(st.text())
@example("a\nb\r\nc\x0bd\x0ce\x1cf\x85g\u2028h\u2029i\x00j\x1b[2J")
def test_always_one_line(text: str) -> None:
    """For every reader of lines, and nothing that moves a cursor."""
    for out in (written("%s", text), written("died", error=ValueError(text)), written("x", stack=text)):
        assert len(out.splitlines()) == 1
        assert out.endswith("\n")
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", out)


def test_a_line_is_of_bounded_length() -> None:
    """A megabyte of something is cut."""
    assert len(written("%s", "x" * 1_000_000)) < 2 * logs.LONGEST


class KeyVaultError(Exception):
    """As if it were one of ours."""


KeyVaultError.__module__ = "terminal.store.vault"


def test_the_words_of_a_librarys_exception_are_not_written() -> None:
    """It may repeat what it was given: a name on a track is no number that could be masked."""
    for error in (ValueError("%B7001^LE GOFF/ANNE^2912"), KeyError("LE GOFF/ANNE"), RuntimeError("LE GOFF")):
        out = written("event=Died", error=error)
        assert "GOFF" not in out
        assert f"error={type(error).__name__}" in out
    assert "No space left" in written("event=Died", error=OSError(28, "No space left on device"))


def _fails_with_a_secret() -> None:
    pin = "8765"
    track = TRACK_2
    raise KeyVaultError(f"broken ({len(pin) + len(track)})")


def test_an_exception_has_its_place_and_no_local_value() -> None:
    """Type, file, line and text; neither source lines nor values."""
    try:
        _fails_with_a_secret()
    except KeyVaultError as error:
        out = written("event=Died", error=error)
    assert re.search(r"error=KeyVaultError at=test_logs.py:\d+ text='broken \(\d+\)'", out)
    assert "8765" not in out
    assert "raise" not in out
    assert "Traceback" not in out


def test_another_formatters_words_are_not_taken_over() -> None:
    """A handler of somebody else has formatted the exception before, source lines and all."""
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "died", (), (ValueError, ValueError("v"), None))
    record.exc_text = "Traceback (most recent call last):\n  secret = 1"
    assert "secret" not in logs.OneLine("%(message)s").format(record)


@pytest.mark.parametrize(("message", "values"), [("%d", ("x",)), ("%s %s", ("x",)), ("%(name)s", ({},)), ("%q", (1,)), ("%", (1,))])
def test_a_line_that_cannot_be_put_together_is_no_reason_to_die(message: str, values: tuple[object, ...]) -> None:
    """A mistake in a log call, ours or a library's."""
    assert "event=Unwritable" in written(message, *values)


def test_the_allow_list() -> None:
    """Of a record only what is named is written; no token, no account, no sealed field."""
    line = logs.line_of(Refused(1, "CARD_BLOCKED", MediumRef("t" * 32, "E5F6", "badge", "T0", "sealed"), 2))
    assert line == "event=Refused side=1 fp=2 reason=CARD_BLOCKED"
    assert logs.line_of(TerminalStarted("boot-id", "1.0")) == "event=TerminalStarted version=1.0"
    assert logs.line_of(Unattributed(1, 2, 700, 5, 705)) == "event=Unattributed fp=1 nozzle=2 volume_ml=700"


def test_words_with_blanks_are_quoted_once() -> None:
    """So that a program can take the line apart again."""
    line = logs.line_of(MessageQuarantined(MessageKey("OPT1-1-1/advice"), 'said "no" = never'))
    assert line == "event=MessageQuarantined why=\"said 'no' = never\" key=OPT1-1-1/advice"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """``start`` with standard error in our hands; everything as before behind the test."""
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level, raising = root.handlers[:], root.level, logging.raiseExceptions
    hooks = sys.excepthook, threading.excepthook
    chatty = {name: logging.getLogger(name).level for name in ("transitions", "urllib3", "nfc")}
    monkeypatch.setattr(sys, "stderr", stream)
    logs.start()
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.raiseExceptions = raising
    sys.excepthook, threading.excepthook = hooks
    for name, before in chatty.items():
        logging.getLogger(name).setLevel(before)


def test_a_thread_that_dies_says_so_in_one_line(started: io.StringIO) -> None:
    """The last words of a bug."""
    thread = threading.Thread(target=_fails_with_a_secret)
    thread.start()
    thread.join(10)
    assert len(started.getvalue().splitlines()) == 1
    assert "CRITICAL terminal event=Died error=KeyVaultError" in started.getvalue()


def test_started_twice_it_writes_once(started: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """The root has one handler; the library that quotes hosts is silent below errors."""
    monkeypatch.setattr(sys, "stderr", started)  # between the fixture and here the test runner has put its own there
    logs.start()
    logging.getLogger("any.library").warning("number %s", NUMBER)
    logging.getLogger("urllib3.connection").warning("unparsed data: %s", NUMBER)
    assert started.getvalue() == "WARNING any.library number ****\n"
