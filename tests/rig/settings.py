"""A scenario's ``Setup`` as the two files of the rig: the forecourt's scenario and the terminal's configuration.

The configuration is an ordinary one with short times, as the behaviour language allows: a driver who does not lift, a host that does
not answer and a message that failed are waited for in seconds, not in minutes. What a scenario's policy names goes before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from terminal.store.vault import KeyVault
from tests.behaviour.setup import NozzleRow, Setup

DEFAULT_LOCAL_TIME = "2026-03-18 12:00:00"
FIRST_ADDRESS = {"dart": 0x50, "azt": 1}
LINES = {"dart": "pumps", "azt": "pumps-azt"}
"""The terminal's name of each protocol's line."""
ML_PER_MIN = 600_000
DEFAULT_MINIMUM_ML = 2_000
LIFT_MS = 9_000
INPUT_MS = 14_000
"""A Then waits 20 s for a driver who is given up."""
LISTS_MS = 1_000
HOST = {
    "authorize_ms": 5_000,
    "upload_ms": 5_000,
    "connect_ms": 2_000,
    "probe_ms": 500,
    "lists_ms": LISTS_MS,
    "retry_first_ms": 200,
    "retry_cap_ms": 2_000,
    "state_ms": 2_000,
}
TIMES = {"lift_ms": LIFT_MS, "same_medium_ms": 2_000, "input_ms": INPUT_MS}
RESERVE_MIB = 4
_POLICY = (
    *("terminal_cap_ml", "terminal_cap_minor", "only_terminal", "restricted_products", "max_open", "on_deny", "batch_sales", "bank_cards"),
    *("host_resets_emergency_stop", "offline_from", "offline_without_pin_from"),
    *(f"exposure_{whose}_{what}" for whose in ("card", "customer", "terminal") for what in ("ml", "minor", "count")),
)


class NotBuilt(Exception):
    """The scenario asks for something that the rig does not have yet."""


def local_time(setup: Setup) -> str:
    """Wall time in the site's zone at which the scenario starts."""
    return setup.local_time or DEFAULT_LOCAL_TIME


def fuelling_points(setup: Setup) -> dict[int, list[NozzleRow]]:
    """The rows of each fuelling point, in the order of the table. Raises NotBuilt for a protocol without a line here."""
    points: dict[int, list[NozzleRow]] = {}
    for row in setup.fuelling_points:
        if row.protocol not in FIRST_ADDRESS:
            raise NotBuilt(f"the rig has no {row.protocol} line yet")
        points.setdefault(row.fp, []).append(row)
        if row.protocol == "azt" and len(points[row.fp]) > 1:
            raise NotBuilt("an AZT fuelling point has one nozzle")
    return points


def forecourt_scenario(setup: Setup, **more: Any) -> dict[str, Any]:
    """The forecourt's scenario (``firmware_notes/rig.md``); ``more`` is laid over it."""
    plain = setup.as_scenario()
    scenario: dict[str, Any] = {
        name: plain[name]
        for name in ("terminal", "site", "zone", "currency", "decimals", "customers", "cards", "limits", "balances", "host_counts")
        + ("shares", "online_only", "networks", "ranges", "prompt_rules", "odometers")
    }
    rows = [
        {"fp": fp, "address": FIRST_ADDRESS[row.protocol] + place}
        | {name: getattr(row, name) for name in ("protocol", "nozzle", "product", "price", "minimum_ml")}
        for place, (fp, nozzles) in enumerate(fuelling_points(setup).items())
        for row in nozzles
    ]
    scenario |= {
        "local_time": local_time(setup),
        "ml_per_min": ML_PER_MIN,
        "fuelling_points": rows,
        "restricted_products": _plain(setup.policy.get("restricted_products", ())),
    }
    scenario["stripe"] = {}
    scenario["emergency_input"] = setup.emergency_input
    scenario["card_reader"] = {} if any(card.medium == "smart card" for card in setup.cards) else None
    decimals = _azt_price_decimals(setup)
    if decimals is not None:
        scenario["azt"] = {"price_decimals": decimals}
    if "pin_tries" in setup.policy:
        scenario["pin_tries"] = setup.policy["pin_tries"]
    return scenario | more


def terminal_toml(setup: Setup, ready: Mapping[str, Any], vault: KeyVault, state_dir: Path, runtime_dir: Path) -> str:
    """The terminal's configuration file. ``ready`` is the forecourt's first line."""
    host, ports, keypad = ready["host"], ready["ports"], ready["keypad"]
    policy: dict[str, Any] = {name: _plain(setup.policy[name]) for name in _POLICY if name in setup.policy}
    accounts = setup.policy.get("emergency_accounts", ())
    if isinstance(accounts, (tuple, list)) and accounts:
        policy["emergency_accounts"] = [vault.token(str(account)) for account in accounts]
    times, calls = dict(TIMES), dict(HOST)
    for table, name, setting in (
        (times, "lift_ms", "lift_timeout_ms"),
        (times, "flow_ms", "flow_timeout_ms"),
        (times, "longest_ms", "longest_fuelling_ms"),
        (calls, "authorize_ms", "host_timeout_ms"),
    ):
        if setting in setup.policy:
            table[name] = int(str(setup.policy[setting]))
    terminal: dict[str, object] = {"id": setup.terminal, "site": setup.site, "zone": setup.zone, "currency": setup.currency}
    terminal["networks"] = list(setup.networks)
    parts = [
        _table("terminal", terminal | {"state_dir": str(state_dir), "runtime_dir": str(runtime_dir)}),
        _table("policy", policy),
        _table(
            "host", {"url": host["url"], "authority": host["ca"], "certificate": host["client_cert"], "key": host["client_key"]} | calls
        ),
        _table("keys", _keys(ready) | (_badge_keys(ready["badges"]) if _proving(setup) else {})),
        _table("times", times),
        _table("storage", {"reserve_mib": RESERVE_MIB}),
        *([_table("emergency_stop", _button(ready))] if ready["emergency_stop"] is not None else []),
        *_lines(setup, ready),
        *_points(setup, ready),
        "[[side]]",
        f"badge_reader = {{port = {json.dumps(ports['pn532'])}}}",
        f"keypad = {{phys = {json.dumps(keypad['phys'])}}}",
        f"display = {{port = {json.dumps(ports['display'])}}}",
        *_card_readers(ready, bool(policy.get("bank_cards"))),
        *(_badge_profiles(ready["badges"]) if _proving(setup) else []),
    ]
    return "\n".join(parts) + "\n"


def _button(ready: Mapping[str, Any]) -> dict[str, object]:
    return {"phys": ready["emergency_stop"]["phys"], "code": ready["emergency_stop"]["code"]}


def _proving(setup: Setup) -> bool:
    return any(card.medium == "secure badge" for card in setup.cards)


def _badge_keys(badges: Mapping[str, Any]) -> dict[str, object]:
    return {"badge_master": badges["master_key"], "sun_meta": badges["sun_meta_key"], "sun_file": badges["sun_file_key"]}


def _badge_profiles(badges: Mapping[str, Any]) -> list[str]:
    """The forecourt's issuer: DESFire badges first, then signed links."""
    place = {name: badges[name] for name in ("application", "system", "key_number", "file_number", "length")}
    return [
        _table("[badge_profile]", {"name": "fleet", "kind": "ev2"} | place),
        _table("[badge_profile]", {"name": "links", "kind": "sun", "enc": "enc", "system": badges["system"]}),
    ]


def _keys(ready: Mapping[str, Any]) -> dict[str, object]:
    host, card_reader = ready["host"], ready["card_reader"]
    keys = {"token": host["token_key"], "pin": host["pin_key"], "card": host["card_key"], "list_current": host["list_key"]}
    if not (card_reader and card_reader["key"]):
        return keys
    return keys | {"chip": card_reader["key"], "chip_version": card_reader["version"], "chip_ca": card_reader["authority"]}


def _card_readers(ready: Mapping[str, Any], bank_cards: bool) -> list[str]:
    lines, stripe, card_reader = [], ready["stripe_reader"], ready["card_reader"]
    if stripe is not None:
        named = f"phys = {json.dumps(stripe['phys'])}, layout = {json.dumps(stripe['layout'])}, lrc = {json.dumps(stripe['lrc'])}"
        lines.append(f"stripe_reader = {{{named}}}")
    if card_reader is not None:
        lines.append(f"card_reader = {{name = {json.dumps(card_reader['name'])}, bank_cards = {json.dumps(bank_cards)}}}")
    return lines


def _azt_price_decimals(setup: Setup) -> int | None:
    """Two, or as many as the AZT prices (1/10000 of the major unit) have; None without any."""
    prices = [row.price for row in setup.fuelling_points if row.protocol == "azt"]
    return max((4 - next(zeros for zeros in (2, 1, 0) if price % 10**zeros == 0) for price in prices), default=None)


def _lines(setup: Setup, ready: Mapping[str, Any]) -> list[str]:
    """One line a protocol, in the order of the forecourt's ports."""
    rows = {row.fp: row.protocol for row in setup.fuelling_points}
    ports = {row["port"]: rows[row["fp"]] for row in ready["fuelling_points"]}
    return [
        _table("[line]", {"name": LINES[protocol], "port": ready["ports"][port], "protocol": protocol}) for port, protocol in ports.items()
    ]


def _points(setup: Setup, ready: Mapping[str, Any]) -> list[str]:
    addresses = {row["fp"]: row["address"] for row in ready["fuelling_points"]}
    decimals = _azt_price_decimals(setup)
    parts = []
    for fp, rows in fuelling_points(setup).items():
        minimum = max(row.minimum_ml for row in rows)
        if minimum == DEFAULT_MINIMUM_ML and "min_dispense_ml" in setup.policy:
            minimum = int(str(setup.policy["min_dispense_ml"]))
        nozzles = ", ".join(f'{{nozzle = {row.nozzle}, product = "{row.product}", price = "{_price(row.price)}"}}' for row in rows)
        protocol = rows[0].protocol
        point = {"number": fp, "line": LINES[protocol], "address": addresses[fp], "minimum_ml": minimum}
        parts.append(_table("[fuelling_point]", point | ({"price_decimals": decimals} if protocol == "azt" else {})))
        parts.append(f"nozzles = [{nozzles}]\n")
    return parts


def _price(price: int) -> str:
    return f"{price // 10_000}.{price % 10_000:04d}"


def _plain(value: object) -> object:
    return list(value) if isinstance(value, (tuple, list)) else value


def _table(name: str, values: Mapping[str, object]) -> str:
    """A TOML table: text, whole numbers, truth values and lists of text are written as JSON writes them."""
    return "\n".join([f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items()), ""])
