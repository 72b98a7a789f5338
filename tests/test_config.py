"""The configuration: the example loads, and every mistake is named with its key in plain words."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.badge.uid import NumberProfile
from drivers.dispenser.azt import frames as azt_frames
from drivers.dispenser.azt import profile as azt
from drivers.dispenser.dart import frames as dart_frames
from drivers.dispenser.dart import profile as dart
from drivers.display.lk204 import CodePage
from drivers.magstripe.wedge import WedgeLayout
from drivers.smartcard.fleet import VERSIONS
from terminal import config as module
from terminal.config import Config, ConfigError, load, resolve
from terminal.config_tables import FuellingPointTable, LineTable, NozzleTable
from terminal.core.deny_book import OnDeny
from terminal.core.facts import Cap, ExposureCaps
from terminal.core.texts import LANGUAGES
from terminal.host.client import Endpoint
from terminal.pump_protocols import PROTOCOLS
from terminal.pump_tables import with_profiles

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "systemd" / "terminal.example.toml"


def example(*changes: tuple[str, str]) -> str:
    """The example's text with passages replaced, each of which must be there."""
    text = EXAMPLE.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def load_text(folder: Path, text: str | bytes) -> Config:
    """Load a configuration of this text."""
    path = folder / "terminal.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(path)


def config_in(folder: Path) -> Config:
    """The example, with its folders in ``folder``."""
    state = ('state_dir = "/var/lib/forecourt-terminal"', f'state_dir = "{folder}/state"')
    runtime = ('runtime_dir = "/run/forecourt-terminal"', f'runtime_dir = "{folder}/run"')
    return load_text(folder, example(state, runtime))


def refusal(folder: Path, text: str | bytes) -> str:
    """What is said of a text that is refused, in one line behind the file's name."""
    with pytest.raises(ConfigError) as refused:
        load_text(folder, text)
    said = str(refused.value)
    assert "\n" not in said
    assert not re.search(r"msgspec|struct|Traceback|\\Z|\$\.|`object`|`str`|`int`", said), said
    path = f"{folder / 'terminal.toml'}: "
    assert said.startswith(path)
    return said.removeprefix(path)


# --- the example ------------------------------------------------------------------------------------------------------------------


def test_the_example_loads(tmp_path: Path) -> None:
    """As it stands in the folder, and as the core gets it."""
    config = load(EXAMPLE)
    site = config.site("1.0")
    assert [(nozzle.nozzle, nozzle.product, nozzle.price) for nozzle in site.points[0].nozzles] == [
        (1, "GAZOLE", 17290),
        (2, "SP95", 18990),
    ]
    assert [point.number for point in site.points] == [1, 2]
    assert (config.decimals, site.rules.currency, site.sides) == (2, "EUR", (1,))
    assert config_in(tmp_path).terminal.state_dir == f"{tmp_path}/state"


def test_the_examples_defaults_are_the_defaults() -> None:
    """What stands behind a # says what would be without it: with all of them uncommented nothing changes but what has no default."""
    text = "\n".join(re.sub(r"^# (?=[a-z_]+ = )", "", line) for line in EXAMPLE.read_text(encoding="utf-8").splitlines())
    caps = ("exposure_card_ml", "exposure_customer_minor", "exposure_terminal_count")
    for without_default in (
        "terminal_cap_minor",
        "restricted_products",
        "list_next",
        "chip",
        "chip_ca",
        "tpm",
        "ledger",
        "stripe_reader",
        "card_reader",
        *caps,
    ):
        text = re.sub(rf"^{without_default} = .*$", "", text, flags=re.MULTILINE)
    spoken = tomllib.loads(text)
    assert len(spoken["times"]) == 8
    assert len(spoken["policy"]) == 12
    assert msgspec.convert(spoken, Config) == load(EXAMPLE)


def test_what_a_deny_does_and_which_keys_sign_lists(tmp_path: Path) -> None:
    """Stops unless it says otherwise; a second key only where it is named."""
    config = load(EXAMPLE)
    assert (config.site("1").rules.on_deny, config.keys.list_current, config.keys.list_next) == (OnDeny.STOP, "credential:list.pub", None)
    told = load_text(tmp_path, example(('# on_deny = "stop"', 'on_deny = "finish"'), ("# list_next = ", "list_next = ")))
    assert told.site("1").rules.on_deny is OnDeny.FINISH
    assert told.keys.list_next == "/etc/forecourt-terminal/list-next.pub"


def test_caps_and_networks_reach_the_decision(tmp_path: Path) -> None:
    """A cap that is not there binds nothing; none at all are no caps."""
    assert load(EXAMPLE).site("1").rules.policy.exposure is None
    assert load(EXAMPLE).site("1").rules.networks == ()
    changes = [(f"# {name}", name) for name in ("exposure_card_ml = ", "exposure_customer_minor = ", "exposure_terminal_count = ")]
    rules = load_text(tmp_path, example(*changes, ("# networks = []", 'networks = ["NORD"]'))).site("1").rules
    assert rules.policy.exposure == ExposureCaps(Cap(ml=300_000), Cap(minor=500_000), Cap(count=200))
    assert rules.networks == ("NORD",)


def test_the_units_paths_are_the_examples() -> None:
    """The service hands over exactly the credentials that the example names, and makes its folders."""
    unit = (ROOT / "systemd" / "forecourt-terminal.service").read_text(encoding="utf-8")
    handed = set(re.findall(r"^LoadCredential(?:Encrypted)?=([^:]+):", unit, flags=re.MULTILINE))
    assert set(re.findall(r'"credential:([^"]+)"', EXAMPLE.read_text(encoding="utf-8"))) - {"NAME"} == handed
    assert load(EXAMPLE).terminal.state_dir == "/var/lib/" + re.findall(r"^StateDirectory=(.+)$", unit, flags=re.MULTILINE)[0]
    assert load(EXAMPLE).terminal.runtime_dir == "/run/" + re.findall(r"^RuntimeDirectory=(.+)$", unit, flags=re.MULTILINE)[0]


def test_what_the_drivers_know_is_what_is_allowed() -> None:
    """The configuration may not import them, so their words stand here a second time."""
    assert {page.value for page in CodePage} == set(module.CODE_PAGES)
    assert {profile.value for profile in NumberProfile} | {"none"} == set(module.NUMBER_PROFILES)
    assert {layout.value for layout in WedgeLayout} == set(module.STRIPE_LAYOUTS)
    assert (VERSIONS[0], VERSIONS[-1]) == (1, 31)  # of config_tables.KeysTable.chip_version
    names = ("baudrate", "turn_round_ms", "ack_turn_round_ms", "answer_window_ms", "misses_until_lost", "live_interval_ms", "echo")
    for name, profiles, frames in (("dart", dart, dart_frames), ("azt", azt, azt_frames)):
        protocol = PROTOCOLS[name]
        assert (protocol.addresses[0], protocol.addresses[-1]) == (frames.FIRST_ADDRESS, frames.LAST_ADDRESS)
        line, profile = with_profiles([LineTable("a", "/dev/a", name)], [], [])[0][0], profiles.LineProfile()
        for setting in names:
            assert getattr(line, setting) == getattr(profile, setting, getattr(line, setting)), setting
        assert profiles.PositionProfile(1, protocol.addresses[0]).price_decimals == protocol.price_decimals
        for baudrate in protocol.baudrates:
            profiles.LineProfile(baudrate=baudrate)
        profiles.LineProfile(answer_window_ms=protocol.shortest_window_ms)
    assert Endpoint("", Path(), Path(), Path()).connect_ms == load(EXAMPLE).host.connect_ms


# --- mistakes -----------------------------------------------------------------------------------------------------------------------

MISTAKES: list[tuple[str, str, str, str]] = [
    # what is replaced, by what, the key that is named, a word of the explanation
    ('id = "OPT1"', 'id = "OPT-1"', "terminal.id", "letters and digits"),
    ('id = "OPT1"', 'id = "OPT1\\n"', "terminal.id", "letters and digits"),
    ('id = "OPT1"', "id = 1", "terminal.id", "text"),
    ('id = "OPT1"', 'name = "OPT1"', "terminal", "`name`"),
    ('site = "S1"\n', "", "terminal", "missing name `site`"),
    ('site = "S1"', f'site = "{"S" * 33}"', "terminal.site", "32"),
    ('zone = "Europe/Paris"', 'zone = "Europe/Pariss"', "terminal.zone", "no time zone"),
    ('zone = "Europe/Paris"', 'zone = "Europe"', "terminal.zone", "no time zone"),
    ('zone = "Europe/Paris"', 'zone = "../../etc/passwd"', "terminal.zone", "no time zone"),
    ('zone = "Europe/Paris"', 'zone = ""', "terminal.zone", "no time zone"),
    ('zone = "Europe/Paris"', f'zone = "{"Z" * 400}"', "terminal.zone", "no time zone"),
    ('currency = "EUR"', 'currency = "ERU"', "terminal.currency", "no currency"),
    ('currency = "EUR"', 'currency = "eur"', "terminal.currency", "capital letters"),
    ('currency = "EUR"', 'currency = "EUR\\n"', "terminal.currency", "capital letters"),
    ('language = "fr"', 'language = "it"', "terminal.language", "known are"),
    ('state_dir = "/var', 'state_dir = "var', "terminal.state_dir", "whole path"),
    ('url = "https://fleet.example:8443"', 'url = "http://fleet.example"', "host.url", "https://NAME"),
    ('url = "https://fleet.example:8443"', 'url = "https://fleet.example/"', "host.url", "https://NAME"),
    ('url = "https://fleet.example:8443"', 'url = "https://fleet.example:99999"', "host.url", "https://NAME"),
    ('url = "https://fleet.example:8443"', 'url = "https://fleet.example:0"', "host.url", "https://NAME"),
    ('url = "https://fleet.example:8443"', 'url = "https://[::1"', "host.url", "https://NAME"),
    ('url = "https://fleet.example:8443"', 'url = "https://:8443"', "host.url", "https://NAME"),
    ('url = "https://fleet.example:8443"', 'url = "https://me:pw@fleet.example"', "host.url", "https://NAME"),
    ('url = "https://fleet.example:8443"', 'url = "https://fleet.example\\n"', "host.url", "https://NAME"),
    ("# authorize_ms = 8000", "authorize_ms = 8", "host.authorize_ms", ">= 50"),
    ("# authorize_ms = 8000", "authorize_ms = 8.5", "host.authorize_ms", "whole number"),
    ("# authorize_ms = 8000", 'authorize_ms = "8000"', "host.authorize_ms", "whole number"),
    ("# authorize_ms = 8000", "authorise_ms = 8000", "host", "unknown name `authorise_ms`"),
    ('certificate = "credential:tls.crt"', 'certificate = ""', "host.certificate", "length"),
    ("# terminal_cap_ml = 990000", "terminal_cap_ml = -1", "policy.terminal_cap_ml", ">= 0"),
    ("# max_open = 1 ", "max_open = 0 ", "policy.max_open", ">= 1"),
    ("# emergency_accounts = []", 'emergency_accounts = ["7001231234567890123"]', "policy.emergency_accounts", "32 hex digits"),
    ('# on_deny = "stop"', 'on_deny = "wait"', "policy.on_deny", "'wait'"),
    ('list_current = "credential:list.pub"', "", "keys", "missing name `list_current`"),
    ('list_current = "credential:list.pub"', 'list_current = ""', "keys.list_current", "length"),
    ("# list_next = ", "list_next = 1  # ", "keys.list_next", "text"),
    ("# reserve_mib = 16", "reserve_mib = 0", "storage.reserve_mib", ">= 1"),
    ("# baudrate = 9600", "baudrate = 9601", "line.baudrate", "known are"),
    ('# protocol = "dart"', 'protocol = "ifsf"', "line.protocol", "known are dart, azt"),
    ("# turn_round_ms = 35", "turn_round_ms = -1", "line[...].turn_round_ms", ">= 0"),
    ("# echo = false", "echo = 0", "line[...].echo", "bool"),
    ('port = "/dev/forecourt/pump-line-1"', 'port = "ttyUSB0"', "line[...].port", "whole path"),
    ('port = "/dev/forecourt/pump-line-1"', 'port = "/dev/x; reboot"', "line[...].port", "whole path"),
    ('port = "/dev/forecourt/pump-line-1"', 'port = "/dev/forecourt/badge-reader-1"', "port", "twice"),
    ('port = "/dev/forecourt/pump-line-1"', 'port = "/dev/forecourt/../forecourt//badge-reader-1"', "port", "twice"),
    ('port = "/dev/forecourt/pump-line-1"', 'port = "/dev/forecourt/keypad-1"', "port", "twice"),
    ("number = 1\n", "number = 2\n", "fuelling_point.number", "twice"),
    ("number = 1\n", "number = 0\n", "fuelling_point[...].number", ">= 1"),
    ("address = 0x50", "address = 0x51", "fuelling_point.address", "twice"),
    ("address = 0x50", "address = 1", "fuelling_point.address", "0x50 to 0x6F"),
    ('line = "pumps"', 'line = "pump"', "fuelling_point.line", "no such line"),
    ("nozzle = 2", "nozzle = 1", "fuelling_point.nozzles.nozzle", "twice"),
    ('product = "SP95"', 'product = ""', "fuelling_point[...].nozzles[...].product", "letters"),
    ('price = "1.899"', "price = 1.899", "fuelling_point[...].nozzles[...].price", "text"),
    ('price = "1.899"', 'price = "1,899"', "fuelling_point.nozzles.price", "1.729"),
    ("# volume_decimals = 2", "volume_decimals = 9", "fuelling_point[...].volume_decimals", "<= 8"),
    ('keypad = { path = "/dev/forecourt/keypad-1" }', "keypad = {}", "side.keypad", "path or phys"),
    ('keypad = { path = "/dev/forecourt/keypad-1" }', 'keypad = { path = "/dev/a", phys = "usb-1" }', "side.keypad", "path or phys"),
    ('badge-reader-1" }', 'badge-reader-1", profile = "full" }', "side.badge_reader.profile", "known are"),
    ('display-1" }', 'display-1", code_page = "utf-8" }', "side.display.code_page", "known are"),
    ("# number = 1\n", "number = 5\n", "side[...].number", "<= 4"),
    ("[storage]", "[disk]", "", "unknown name `disk`"),
    ("[keys] ", "[key] ", "", "`key`"),
]


AZT_LINE = ('# protocol = "dart"', 'protocol = "azt"')
AZT_POINTS = (
    ("address = 0x50", "address = 1"),
    ("address = 0x51", "address = 225"),
    ('    { nozzle = 2, product = "SP95", price = "1.899" },\n', ""),
    ('price = "1.729"', 'price = "1.72"'),
    ('[{ nozzle = 1, product = "GAZOLE", price = "1.729" }]', '[{ nozzle = 1, product = "GAZOLE", price = "45.00" }]'),
)
AZT_MISTAKES = [
    ("address = 225", "address = 226", "fuelling_point.address", "1 to 225"),
    ("address = 225", "address = 1", "fuelling_point.address on one line", "twice"),
    ('protocol = "azt"', 'protocol = "azt"\nbaudrate = 19200', "line.baudrate", "4800, 9600 for AZT"),
    ('protocol = "azt"', 'protocol = "azt"\nanswer_window_ms = 120', "line.answer_window_ms", "whose it is"),
    ('price = "45.00"', 'price = "45.001"', "fuelling_point.nozzles.price", "2 of them decimals"),
    ('price = "45.00"', 'price = "145.00"', "fuelling_point.nozzles.price", "4 digits"),
    ('price = "45.00" }', 'price = "45.00" }, { nozzle = 2, product = "SP95", price = "1.89" }', "fuelling_point.nozzles", "one hose"),
    ("# combined_start = true", "slow_down_ml = 10000", "fuelling_point[...].slow_down_ml", "<= 9990"),
]


def test_an_azt_line_brings_its_own_settings(tmp_path: Path) -> None:
    """What is not written is the protocol's, not the other one's; decimals too."""
    config = load_text(tmp_path, example(AZT_LINE, *AZT_POINTS))
    line = config.line[0]
    assert (line.baudrate, line.answer_window_ms) == (4800, 400)
    assert [point.price_decimals for point in config.fuelling_point] == [2, 2]
    three = load_text(tmp_path, example(AZT_LINE, *AZT_POINTS[:3], ("# price_decimals = 3", "price_decimals = 3"), AZT_POINTS[4]))
    assert [point.price_decimals for point in three.fuelling_point] == [3, 2]
    assert [point.price_decimals for point in load(EXAMPLE).fuelling_point] == [3, 3]


@pytest.mark.parametrize(("old", "new", "key", "word"), AZT_MISTAKES, ids=range(len(AZT_MISTAKES)))
def test_every_mistake_on_an_azt_line_is_named(tmp_path: Path, old: str, new: str, key: str, word: str) -> None:
    """In the same words as any other."""
    said = refusal(tmp_path, example(AZT_LINE, *AZT_POINTS, (old, new)))
    assert re.sub(r"\[\d+\]", "[...]", said).startswith(key), said
    assert word in said, said


@pytest.mark.parametrize(("old", "new", "key", "word"), MISTAKES, ids=range(len(MISTAKES)))
def test_every_mistake_is_named(tmp_path: Path, old: str, new: str, key: str, word: str) -> None:
    """With its key, in plain words, in one line."""
    said = refusal(tmp_path, example((old, new)))
    assert re.sub(r"\[\d+\]", "[...]", said).startswith(key), said
    assert word in said, said


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    """So that a technician goes to the machine once."""
    said = refusal(tmp_path, example(('language = "fr"', 'language = "it"'), ("Europe/Paris", "Mars"), ("address = 0x50", "address = 7")))
    assert all(key in said for key in ("terminal.zone", "terminal.language", "fuelling_point.address"))


def test_a_key_in_the_place_of_its_files_name_is_not_repeated(tmp_path: Path) -> None:
    """It would be in the journal from then on."""
    key = "00112233445566778899aabbccddeeff" * 2
    said = refusal(tmp_path, example(('pin = "credential:pin.key"', f'pin = "{key}"')))
    assert said.startswith("keys.pin: ")
    assert key not in said


NO_TOML = [
    b"",
    b"[terminal",
    b"\xff\xfe",
    b"a = " + b"[" * 20_000,
    b"a = 1\na = 2\n",
    b"\x00",
    b"[[terminal]]\n",
    b"terminal = 1\n",
    b"a = nan\n",
]


@pytest.mark.parametrize("text", NO_TOML, ids=range(len(NO_TOML)))
def test_what_is_no_configuration(tmp_path: Path, text: bytes) -> None:
    """No TOML, no text, nothing, or something else."""
    assert refusal(tmp_path, text)


@pytest.mark.parametrize("name", ["nowhere.toml", "."])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    """Missing, or a folder."""
    with pytest.raises(ConfigError, match="No such file|Is a directory"):
        load(tmp_path / name)


# --- prices ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "price"),
    [("1.729", 17290), ("1", 10000), ("0.9", 9000), ("0.0001", 1), ("99.9999", 999_999), ("01.5", 15000), ("0", 0), ("1.7290", 17290)],
)
def test_prices_are_exact(tmp_path: Path, text: str, price: int) -> None:
    """Text becomes 1/10000 of the major unit, without a float between."""
    config = load_text(tmp_path, example(('price = "1.899"', f'price = "{text}"'), ("# price_decimals = 3", "price_decimals = 4")))
    assert config.site("1").points[0].nozzles[1].price == price


@pytest.mark.parametrize(
    "text", ["", ".", "1.", ".5", "1,5", "+1", "-1", "1e3", " 1", "1 ", "1.00001", "10000", "1.5.0", "١.٥", "1.5\\n", "0x1", "1_0", "NaN"]
)
def test_other_forms_are_refused(tmp_path: Path, text: str) -> None:
    """Rather no start than a wrong price."""
    assert "price" in refusal(tmp_path, example(('price = "1.899"', f'price = "{text}"')))


@given(st.integers(0, 99_999_999))
def test_every_price_can_be_written(price: int) -> None:
    """To the last ten-thousandth."""
    row = NozzleTable(1, "GAZOLE", f"{price // 10_000}.{price % 10_000:04}")
    assert module._nozzle(row).price == price
    assert FuellingPointTable(1, "a", 80, (row,)).nozzles == (row,)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("currency", "decimals"), [("EUR", 2), ("JPY", 0), ("TND", 3), ("CHF", 2), ("XOF", 0)])
def test_languages_and_currencies(tmp_path: Path, language: str, currency: str, decimals: int) -> None:
    """Each that we know."""
    config = load_text(tmp_path, example(('language = "fr"', f'language = "{language}"'), ('currency = "EUR"', f'currency = "{currency}"')))
    assert (config.terminal.language, config.decimals) == (language, decimals)


# --- credentials ------------------------------------------------------------------------------------------------------------------------


def test_a_credential_is_a_file_of_systemds_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Everything else is a path as it stands."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert resolve("credential:tls.key") == tmp_path / "tls.key"
    assert resolve("/etc/tls.key") == Path("/etc/tls.key")
    assert resolve("keys/credential:x") == Path("keys/credential:x")


@pytest.mark.parametrize(
    "name", ["credential:", "credential:..", "credential:../x", "credential:/etc/passwd", "credential:a/b", "credential:a\0"]
)
def test_a_credential_has_a_plain_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    """It does not lead out of the folder."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(ConfigError, match="plain name"):
        resolve(name)


def test_without_systemd_a_credential_is_refused_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """In plain words."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(ConfigError, match="systemd unit or name a file"):
        resolve("credential:tls.key")
