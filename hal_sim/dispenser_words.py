"""Commands to a single dispenser, as JSON lines of the forecourt or in plain words. Source: firmware_notes/dispenser-command.md."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from hal_sim.arguments import Arguments, Refused
from hal_sim.clock import monotonic_ms
from hal_sim.dispensers.azt import AztPosition
from hal_sim.pump_commands import PumpCommands
from hal_sim.pump_lines import Point
from hal_sim.views import pump_view

Answer = dict[str, Any]
HELP = """\
lift [NOZZLE]            a person takes a nozzle in hand
squeeze LITRES           wants so much (more), now or as soon as fuel may flow
let-go                   lets the trigger go
hang-up                  puts the nozzle back
stop                     presses the stop of the pump
power off | power on     the supply of the head
unplug | plug            the head's own wire; the head lives on
take [NOZZLE] LITRES     fuel leaves without any release
dose [NOZZLE] LITRES     types a dose at the pump (AZT)
price [NOZZLE] 1.500     changes the price at the pump itself
habit NAME [off]         makes another, or a worse, head of it; "habit" alone names them
exchange                 another head is put in its place
show                     how everything stands
help | quit
A line of JSON as in firmware_notes/rig.md does the same, and is answered in JSON: {"do":"lift","nozzle":1}"""


class Quit(Exception):
    """Somebody asked for the end."""


class DispenserControl:
    """Obeys lines for one point. ``waiting`` is always None: nothing here is answered late."""

    waiting: None = None

    def __init__(self, point: Point, on_quit: Callable[[], None], *, as_json: bool = False) -> None:
        self._point = point
        self._on_quit = on_quit
        self._as_json = as_json
        self._commands = PumpCommands({point.fp: point}).commands | {"show": self._show, "pumps": self._show}

    def _show(self, args: Arguments) -> Answer:
        args.nothing_else()
        return {"pumps": [pump_view(self._point)]}

    def later(self) -> Answer | None:
        """Nothing comes late."""
        return None

    def obey(self, line: bytes) -> Answer | None:
        """Obey one line of JSON or words."""
        text = line.decode("utf-8", "replace").strip()
        if text.startswith("{"):
            return self._obey_json(text)
        try:
            fields = self._fields(text.split())
            answer = self._do(fields) if fields is not None else {"text": HELP}
        except Quit:
            self._on_quit()
            return None
        except (Refused, ValueError, KeyError) as error:
            answer = {"error": str(error.args[0]) if error.args else "refused"}
        return answer if self._as_json else {"text": self._words(answer)}

    def _obey_json(self, text: str) -> Answer:
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            return {"error": "not JSON"}
        if not isinstance(fields, dict) or not isinstance(fields.get("do"), str):
            return {"error": 'a JSON object with "do" is expected, such as {"do":"lift","nozzle":1}'}
        identity = fields.pop("id", None)
        try:
            answer = self._do(fields)
        except (Refused, ValueError, KeyError) as error:
            answer = {"error": str(error.args[0]) if error.args else "refused"}
        return answer if identity is None else {"id": identity} | answer

    def _do(self, fields: dict[str, Any]) -> Answer:
        command = self._commands.get(fields["do"])
        if command is None:
            raise Refused(f"unknown command; known are {', '.join(self._commands)}")
        if fields["do"] not in ("show", "pumps"):
            fields.setdefault("fp", self._point.fp)
        if fields["do"] in ("lift", "dose", "take") and len(self._point.products) == 1:
            fields.setdefault("nozzle", next(iter(self._point.products)))
        return command(Arguments(fields))

    # words

    def _fields(self, words: list[str]) -> dict[str, Any] | None:
        """The fields of a line of words; None where help is asked for. Raises Refused."""
        name, rest = words[0].lower().replace("_", "-"), words[1:]
        if name == "help" and not rest:
            return None
        if name in ("quit", "exit") and not rest:
            raise Quit
        simple: dict[str, dict[str, Any]] = {
            "let-go": {"do": "release"},
            "release": {"do": "release"},
            "hang-up": {"do": "hang_up"},
            "stop": {"do": "stop"},
            "exchange": {"do": "exchange"},
            "show": {"do": "show"},
            "plug": {"do": "line", "connected": True},
            "unplug": {"do": "line", "connected": False},
        }
        if name in simple and not rest:
            return simple[name]
        if name == "lift" and len(rest) <= 1:
            return {"do": "lift"} | ({"nozzle": _whole(rest[0])} if rest else {})
        if name == "squeeze" and len(rest) == 1:
            return {"do": "squeeze", "volume_ml": _litres(rest[0])}
        if name == "power" and rest in (["on"], ["off"]):
            return {"do": "power", "on": rest == ["on"]}
        if name in ("take", "dose") and 1 <= len(rest) <= 2:
            return {"do": name, "volume_ml": _litres(rest[-1])} | ({"nozzle": _whole(rest[0])} if len(rest) == 2 else {})
        if name == "price" and 1 <= len(rest) <= 2:
            return {"do": "price_at_head", "price": _price(rest[-1])} | ({"nozzle": _whole(rest[0])} if len(rest) == 2 else {})
        if name == "habit" and len(rest) <= 2 and rest[1:] in ([], ["on"], ["off"]):
            return {"do": "habit", "name": rest[0].replace("-", "_") if rest else "", "on": rest[1:] != ["off"]}
        raise Refused('not understood; "help" lists what is')

    def _words(self, answer: Answer) -> str:
        if "error" in answer:
            return f"refused: {answer['error']}"
        if "text" in answer:
            return str(answer["text"])
        return self._shown() if "pumps" in answer else "ok"

    def _shown(self) -> str:
        point, head, now = self._point, self._point.head, monotonic_ms()
        seen = pump_view(point)
        dose = f"{_shown_litres(head.preset_volume_ml)} l" if head.preset_volume_ml else f"{head.preset_amount_minor or 'none'}"
        flow = "flowing" if seen["delivering"] else "no flow"
        lines = [
            f"state {seen['state']}, valve {seen['valve']}, nozzle out {seen['nozzle'] or 'none'}, preset {dose}",
            f"fill {_shown_litres(seen['fill_ml'])} l, {seen['fill_minor']} in minor units, {flow}",
        ]
        for nozzle, product in point.products.items():
            price, total_ml = head.prices.get(nozzle, 0), head.total_ml(nozzle, now)
            shown = f"{price // 10_000}.{price % 10_000:04d}"
            lines.append(f"nozzle {nozzle} {product}: price {shown}, total {_shown_litres(total_ml)} l")
        if not point.position.connected or not head.powered:
            lines.append("silent: " + ("unplugged" if head.powered else "without power"))
        refused = point.position.refused
        lines.append(f"refused {refused}" + ("" if isinstance(point.position, AztPosition) else f", repeated {point.position.repeats}"))
        return "\n".join(lines)


def _price(text: str) -> int:
    """Of a litre, in 1/10000."""
    whole, point, part = text.partition(".")
    if not re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,4})?", text):
        raise Refused(f"a price such as 1.729 is expected, not {text[:20]!r}")
    return int(whole) * 10_000 + int(part.ljust(4, "0") if point else 0)


def _whole(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text):
        raise Refused(f"a number is expected, not {text[:20]!r}")
    return int(text)


def _litres(text: str) -> int:
    """Millilitres of litres such as 12, 12.5 or 12,345."""
    found = re.fullmatch(r"([0-9]{1,6})(?:[.,]([0-9]{1,3}))?", text)
    if found is None:
        raise Refused(f"litres such as 12.5 are expected, not {text[:20]!r}")
    return int(found[1]) * 1000 + int((found[2] or "").ljust(3, "0"))


def _shown_litres(volume_ml: int) -> str:
    return f"{volume_ml // 1000}.{volume_ml % 1000:03d}"
