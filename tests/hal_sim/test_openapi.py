"""The stand-alone host held against the contract by schemathesis: every operation, right and wrong data, over HTTPS with the certificate.

The event stream is left out by name: it never ends, so its answer cannot be read whole; tests/hal_sim/test_host_push.py reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.hal_sim.host_kit import OPENAPI, START
from tests.hal_sim.host_process import PATIENCE_S, HostProcess

EXAMPLES = 15
RIGHT_EXAMPLES = 8
"""Besides every boundary value, of which there are some hundred an operation."""
ENDLESS = "events"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    missing_required_header,
    unsupported_method,
]
"""Not ``positive_data_acceptance``: that sale, key and path agree, no schema can say."""

REFUSED = ["400", "403", "404", "405", "409", "410", "411", "413", "422"]
"""What refuses wrong data: the 4xx of host-api.md, "Transport", and never a 5xx."""


def operations(**changes: Any) -> schemathesis.BaseSchema:
    """The contract's operations but for the endless one. Deterministic: a finding stays one at the next run."""
    options = {
        "generation": {"deterministic": True, "max-examples": EXAMPLES},
        "checks": {"negative_data_rejection": {"expected-statuses": REFUSED}},
    }
    options["generation"] |= changes.pop("generation", {})
    config = SchemathesisConfig.from_dict(options | changes)
    return schemathesis.openapi.from_path(OPENAPI, config=config).exclude(operation_id=ENDLESS)


schema = operations()
right = operations(generation={"mode": "positive"}, phases={"coverage": {"unexpected-methods": []}})


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostProcess]:
    made = HostProcess(tmp_path_factory.mktemp("contract") / "host")
    yield made
    assert made.end() == 0


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_every_operation_answers_as_the_contract_says(host: HostProcess, case: Any) -> None:
    case.call_and_validate(base_url=host.url, session=host.http, checks=CHECKS, timeout=PATIENCE_S, verify=host.http.verify)


# --- right data ---------------------------------------------------------------------------------------------------------

TERMINAL, SITE = "OPT1", "S1"
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
CALLS = {"authorize": "authorize", "complete": "complete", "reverse": "reverse", "advise": "advice"}


def agree(host: HostProcess, message: dict[str, Any], call: str) -> None:
    """What no schema can say: that sale, key, terminal and card of one message belong together."""
    sale = f"{TERMINAL}-{message['epoch']}-{message['sequence']}"
    message |= {"terminal": TERMINAL, "sale": sale, "key": f"{sale}/{call}"}
    if "site" in message:
        message |= {"site": SITE, "card": host.card(sale)}
    if message.get("second_card") is not None:
        message["second_card"] = None


def real(value: Any) -> Any:
    """Instants that exist (a pattern allows 31 February) and integers written as such (the contract refuses 1.0, JSON Schema does not)."""
    if isinstance(value, dict):
        return {name: real(each) for name, each in value.items()}
    if isinstance(value, list):
        return [real(each) for each in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return START if isinstance(value, str) and INSTANT.fullmatch(value) else value


def put_in_order(host: HostProcess, case: Any) -> None:
    """The same for a whole call: body, path and header."""
    name = case.operation.definition.raw["operationId"]
    if isinstance(case.body, dict):
        case.body = real(case.body)
    if "terminal" in (case.path_parameters or {}):
        case.path_parameters["terminal"] = TERMINAL
    if name in CALLS:
        for message in case.body["items"] if name == "advise" else [case.body]:
            agree(host, message, CALLS[name])
        first = case.body["items"][0] if name == "advise" else case.body
        case.body["terminal"] = TERMINAL
        case.headers["Idempotency-Key"] = first["key"]
        if "sale" in (case.path_parameters or {}):
            case.path_parameters["sale"] = first["sale"]
    if name == "state":
        case.body["terminal"], case.body["site"] = TERMINAL, SITE


@right.parametrize()
@settings(max_examples=RIGHT_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_what_agrees_with_itself_is_taken(host: HostProcess, case: Any) -> None:
    put_in_order(host, case)
    answer = case.call(base_url=host.url, session=host.http, timeout=PATIENCE_S, verify=host.http.verify)
    case.validate_response(answer, checks=CHECKS)
    name = case.operation.definition.raw["operationId"]
    if name in CALLS:
        assert answer.status_code in {200, 409}, answer.text  # 409: this number came with another body before
    if name in {"time", "lists", "state"}:
        assert answer.status_code == 200, answer.text
