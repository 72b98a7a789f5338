"""``python -m hal_sim dispenser``: one dispenser alone on any serial port, to try any master against.

Source: firmware_notes/dispenser-command.md. Exit codes: 0 ended as asked, 1 it cannot start or the port has gone, 2 not understood.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hal_sim.dispenser_words import HELP, DispenserControl
from hal_sim.pty_port import Loop, PtyPort, WireLog
from hal_sim.pump_lines import AZT_RATE, DART_RATE, DEFAULT_ML_PER_MIN, PROTOCOLS, PumpLine, build_pumps
from hal_sim.scenario import CannotStart, Part
from hal_sim.serial_line import SPEEDS, NoPort, SerialLine
from hal_sim.session import Session, as_json
from hal_sim.wire import LineRate

MODES = {"dart": ("8O1", 9600), "azt": ("7E2", 4800)}
EXAMPLES = """
\b
Examples:
  python -m hal_sim dispenser --protocol azt --port /dev/ttyUSB0
  python -m hal_sim dispenser --protocol dart --port /tmp/pump --pty --address 0x51 --nozzles GAZOLE,SP95 --price 1.729 --price 1.899
  echo '{"do":"lift","nozzle":1}' | python -m hal_sim dispenser --protocol azt --port /tmp/pump --pty --stay
\b
Then, one a line on its standard input:
""" + "".join(f"  {line}\n" for line in HELP.splitlines())


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asks for."""

    protocol: str
    port: str
    pty: bool
    addresses: tuple[int, ...]
    products: tuple[str, ...]
    prices: tuple[int, ...]
    litres_per_min: int
    speed: int
    echo: bool
    log: Path | None
    section: dict[str, Any]


class Address(click.ParamType):  # type: ignore[type-arg]
    """A number, decimal or with 0x."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Raises click's usage error."""
        try:
            return int(str(value), 0)
        except ValueError:
            self.fail("an address such as 0x51 or 3 is expected", param, ctx)


class Price(click.ParamType):  # type: ignore[type-arg]
    """A price per litre in the major unit; comes out in 1/10000."""

    name = "price"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Raises click's usage error."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"([0-9]{1,4})(?:\.([0-9]{1,4}))?", str(value))
        if found is None:
            self.fail("a price such as 1.729 is expected", param, ctx)
        return int(found[1]) * 10_000 + int((found[2] or "").ljust(4, "0"))


@click.command(epilog=EXAMPLES, help="One dispenser alone on a serial port, for trying any master. Obeys lines on its standard input.")
@click.option("--protocol", required=True, type=click.Choice(PROTOCOLS))
@click.option("--port", required=True, help="A serial port, or with --pty the name of one to make.")
@click.option("--pty", is_flag=True, help="Make a pseudo-terminal under this name, paced as the real line.")
@click.option("--address", "addresses", multiple=True, type=Address(), help="DART: 0x50...0x6F. AZT: 1...225, one for each nozzle.")
@click.option("--nozzles", default="GAZOLE", show_default=True, help="Products of nozzle 1, 2, ..., with commas between.")
@click.option("--price", "prices", multiple=True, type=Price(), help="Per litre, of nozzle 1, 2, ...; the last one for all the others.")
@click.option("--price-decimals", type=click.IntRange(0, 4), help="Of the price on the wire: DART 3, AZT 2 unless the price needs more.")
@click.option("--litres-per-min", type=click.IntRange(1, 10_000), default=DEFAULT_ML_PER_MIN // 1000, show_default=True)
@click.option("--speed", type=click.Choice([str(baud) for baud in SPEEDS]), help="Baud; DART 9600, AZT 4800.")
@click.option("--echo", is_flag=True, help="The adapter gives back what it sends.")
@click.option("--log", type=click.Path(dir_okay=False, path_type=Path), help="Write every byte with its time to this file.")
@click.option("--stay", is_flag=True, help="Go on after the end of the input, until a signal.")
@click.option("--json", "json_only", is_flag=True, help="Answer in JSON, whatever the line is in.")
def dispenser(
    protocol: str,
    port: str,
    pty: bool,
    addresses: tuple[int, ...],
    nozzles: str,
    prices: tuple[int, ...],
    price_decimals: int | None,
    litres_per_min: int,
    speed: str | None,
    echo: bool,
    log: Path | None,
    stay: bool,
    json_only: bool,
) -> None:
    """Run until a signal, "quit" or the end of the input."""
    products = tuple(name.strip() for name in nozzles.split(",") if name.strip())
    given = prices or (450_000 if protocol == "azt" else 17_290,)
    if not products or len(given) > len(products):
        raise click.UsageError("--nozzles names at least one product, and there are no more prices than products")
    if len(addresses) > (len(products) if protocol == "azt" else 1):
        raise click.UsageError("--address: DART has one for the dispenser, AZT one for each nozzle")
    if echo and pty:
        raise click.UsageError("--echo is for a real adapter, not for --pty")
    all_prices = (*given, *(given[-1:] * (len(products) - len(given))))
    if price_decimals is None:
        price_decimals = 3 if protocol == "dart" else max((_decimals(price) for price in all_prices), default=2)
    wishes = Wishes(
        protocol, port, pty, addresses, products, all_prices, litres_per_min,
        int(speed or MODES[protocol][1]), echo, log, {"price_decimals": price_decimals},
    )  # fmt: skip
    try:
        _run(wishes, stay, json_only)
    except (CannotStart, NoPort, OSError) as error:
        raise click.ClickException(str(error)) from error


def _decimals(price: int) -> int:
    """Two, or as many as this price needs."""
    return next(places for places in (2, 3, 4) if price % 10 ** (4 - places) == 0)


def scenario_of(wishes: Wishes) -> dict[str, Any]:
    """The scenario of one fuelling point."""
    first = wishes.addresses[0] if wishes.addresses else 0x50 if wishes.protocol == "dart" else 1
    rows = []
    for place, (product, price) in enumerate(zip(wishes.products, wishes.prices, strict=True)):
        address = wishes.addresses[place] if place < len(wishes.addresses) else first + place
        rows.append(
            {"fp": 1, "protocol": wishes.protocol, "nozzle": place + 1, "product": product, "price": price}
            | {"address": first if wishes.protocol == "dart" else address}
        )
    return {"fuelling_points": rows, "ml_per_min": wishes.litres_per_min * 1000, wishes.protocol: wishes.section}


def _run(wishes: Wishes, stay: bool, json_only: bool) -> None:
    scenario = scenario_of(wishes)
    pumps = build_pumps(scenario, Part("dispenser", scenario))
    (point,), (line,) = pumps.points.values(), pumps.lines
    loop, log = Loop(), None if wishes.log is None else WireLog(wishes.log)
    try:
        port = loop.add(_port(wishes, line, log))
        control = DispenserControl(point, lambda: session.stop(), as_json=json_only)
        session = Session(
            loop, control, write=as_json if json_only else _said, outlives_input=stay, healthy=lambda: not getattr(port, "lost", False)
        )
        ready: dict[str, Any] = {"ready": True, "port": wishes.port, "speed": wishes.speed, "mode": MODES[wishes.protocol][0]}
        ready |= {"fuelling_point": point.describe()}
        session.run(ready if json_only else {"text": _ready_text(wishes, point.describe())})
        if getattr(port, "lost", False):
            raise NoPort(f"{wishes.port}: the port has gone")
    finally:
        loop.close()
        if log is not None:
            log.close()


def _port(wishes: Wishes, line: PumpLine, log: WireLog | None) -> PtyPort | SerialLine:
    if not wishes.pty:
        return SerialLine(line.bus, wishes.port, wishes.speed, MODES[wishes.protocol][0], echo=wishes.echo, record=log)
    rate = LineRate(wishes.speed, (DART_RATE if wishes.protocol == "dart" else AZT_RATE).bits_per_char)
    try:
        return PtyPort(line.bus, Path(wishes.port), rate=rate, parity=True, record=log)
    except FileExistsError as error:
        raise NoPort(f"{wishes.port}: is there already; with --pty a port of this name is made") from error


def _ready_text(wishes: Wishes, described: dict[str, Any]) -> str:
    where = described.get("addresses") or described["address"]
    addresses = ", ".join(f"nozzle {nozzle} {address}" for nozzle, address in where.items()) if isinstance(where, dict) else f"{where:#04x}"
    mode, _ = MODES[wishes.protocol]
    return f'{wishes.protocol} dispenser on {wishes.port}, {wishes.speed} {mode}, address {addresses}; "help" lists the commands'


def _said(answer: dict[str, Any]) -> str:
    """Words where the line was in words, else JSON."""
    return str(answer["text"]) if set(answer) == {"text"} else as_json(answer)
