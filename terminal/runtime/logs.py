"""Log lines: one line, ``key=value``, from an allow-list of fields, to standard error (systemd's journal). Nothing else of a record
is ever written, and a last filter masks what looks like a card number or a track."""

from __future__ import annotations

import logging
import re
import sys
import threading
from dataclasses import fields
from types import TracebackType

from terminal.core.records import Record

FIELDS = (
    "sale", "side", "fp", "nozzle", "product", "decided_by", "hold_ml", "hold_minor", "preset_ml", "preset_minor", "volume_ml",
    "amount_minor", "end", "reason", "why", "key", "result", "code", "subject", "detail", "version", "rows",
    "event", "kind", "list_version", "taken", "order", "fuelling_point", "by",
)  # fmt: skip
_NUMBER = re.compile(
    r"%B[^?]{10,}\?"  # a track 1, whole
    r"|;[0-9=]{10,}\?"  # a track 2, whole
    r"|[0-9]{12,}"  # a card's number wherever it stands; longer runs may hold one
    r"|(?<![0-9])[0-9]{4}(?:[ -][0-9]{4}){2,3}(?:[ -]?[0-9]{1,3})?(?![0-9])"  # in groups, as it is printed on the card
)
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
"""Everything that some reader takes for the end of a line, and what moves a terminal's cursor."""
LONGEST = 4_000


def masked(text: str) -> str:
    """Without what could be a card's number or a track."""
    return _NUMBER.sub("****", text)


def line_of(record: Record) -> str:
    """``event=SaleDelivered sale=OPT1-1-42 volume_ml=12500 …``."""
    names = {field.name for field in fields(record)}
    parts = [f"event={type(record).__name__}"]
    parts += [f"{name}={_word(getattr(record, name))}" for name in FIELDS if name in names and getattr(record, name) is not None]
    return " ".join(parts)


def _word(value: object) -> str:
    text = str(value).replace('"', "'")
    return f'"{text}"' if " " in text or not text else text


class Redact(logging.Filter):
    """The last line of defence: digits that could be a card, and tracks, become stars."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask in place; every record passes, one that cannot be put together without its values."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError, AttributeError):
            record.msg, record.args = "event=Unwritable", None
            return True
        hidden = masked(message)
        if hidden != message:
            record.msg, record.args = hidden, None
        return True


def _ours(error: BaseException) -> bool:
    """Our own errors quote nothing, nor do those of the system and the ledger; a library's may repeat what it was given."""
    return isinstance(error, OSError) or type(error).__module__.split(".")[0] in ("terminal", "drivers", "sqlite3")


class OneLine(logging.Formatter):
    """Exceptions on the same line, without source lines and without any local value."""

    def formatException(self, ei: object) -> str:  # noqa: N802 - the library's name
        """Type and place of the exception, and its text where that cannot repeat what a driver held out."""
        error = ei[1] if isinstance(ei, tuple) else None
        if not isinstance(error, BaseException):
            return ""
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        where = "" if frame is None else f" at={frame.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{frame.tb_lineno}"
        return f"error={type(error).__name__}{where}" + (f" text={masked(str(error))!r}" if _ours(error) else "")

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - the library's name
        """Source lines are not for the journal."""
        return ""

    def format(self, record: logging.LogRecord) -> str:
        """One line whatever happens, and of bounded length."""
        record.exc_text = None  # another formatter's, with source lines
        text = masked(_BREAKS.sub(" ", super().format(record))).rstrip()
        return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def start(level: int = logging.INFO) -> None:
    """Send everything to standard error, once."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Redact())
    handler.setFormatter(OneLine("%(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("transitions", "nfc"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # its warnings quote what the host sent; the client says what came of it
    logging.raiseExceptions = False
    sys.excepthook = _last_words
    threading.excepthook = lambda args: _last_words(args.exc_type, args.exc_value, args.exc_traceback)


def _last_words(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """A bug of ours ends the program in one line without local values; systemd starts it again and recovery rebuilds."""
    if error is not None:
        logging.getLogger("terminal").critical("event=Died", exc_info=(kind, error, trace))
