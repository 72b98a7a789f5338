"""What a host says of each call and control while it runs: one line for people, the same as fields. Neither has a card number in it."""

from __future__ import annotations

from typing import Any

from hal_sim.host.sqlite_book import Heard

Fields = dict[str, Any]
OUTCOMES = ("decision", "reason", "quantity_ml", "value_minor", "result", "missing")


def line_of(heard: Heard) -> tuple[Fields, str]:
    """Fields and text; the text is empty for what happens all the time (questions for the time)."""
    method, _, path = heard.what.partition(" ")
    answer, message = heard.answer or {}, heard.message or {}
    if not path:
        shown = " ".join(f"{name}={_plain(value)}" for name, value in answer.items())
        return {"control": heard.what, "answer": answer}, f"office     {heard.what} {shown}".rstrip()
    parts = path.partition("?")[0].strip("/").split("/")
    name, subject = _named(method, parts, message)
    fields: Fields = {"call": name, "subject": subject, "status": heard.status}
    if heard.status >= 400:
        fields["error"] = answer.get("error")
        return fields, f"{name:<10} {subject}  refused: {heard.status} {answer.get('error', '')}".rstrip()
    outcome = {key: answer[key] for key in OUTCOMES if answer.get(key) is not None}
    if "results" in answer:
        outcome["results"] = [each["result"] for each in answer["results"]]
    if name == "time":
        return fields, ""
    return fields | outcome, f"{name:<10} {subject}  {' '.join(f'{key}={_plain(value)}' for key, value in outcome.items())}".rstrip()


def _plain(value: object) -> str:
    return ",".join(str(each) for each in value) if isinstance(value, list) else str(value)


def _named(method: str, parts: list[str], message: Fields) -> tuple[str, str]:
    """A short name of the call, and what it is about."""
    match parts[1:]:
        case ["authorizations"]:
            return "authorize", _sale(message)
        case ["authorizations", _, what]:
            return {"completion": "complete", "reversal": "reverse"}.get(what, "call"), _sale(message)
        case ["transactions"]:
            items = message.get("items")
            sales = [_sale(item) for item in items if isinstance(item, dict)] if isinstance(items, list) else []
            return "advise", sales[0] if len(sales) == 1 else f"{len(sales)} sales from {sales[0]}" if sales else ""
        case ["time"]:
            return "time", ""
        case ["terminals", _, *rest]:
            return rest[0] if len(rest) == 1 else "list" if rest[:1] == ["lists"] else rest[-1], "/".join(rest[1:])[:80]
    return f"{method.lower()}", "unknown path"


def _sale(message: Fields) -> str:
    sale = message.get("sale")
    return sale[:64] if isinstance(sale, str) and sale.isprintable() else ""
