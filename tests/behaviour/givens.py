"""The Given steps: they describe the world before it starts. Source: the behaviour language, section "Given".

PYTEST_DONT_REWRITE (there is no bare assert here)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from tests.behaviour import identification_tables, tables, values
from tests.behaviour.stage import Kind, Stage, known
from tests.behaviour.tables import Table

R = TypeVar("R")


def _over(before: Sequence[R], new: Sequence[R], key: Callable[[R], object]) -> tuple[R, ...]:
    """A later table adds to an earlier one; a row with the same key replaces it."""
    replaced = {key(row) for row in new}
    return (*[row for row in before if key(row) not in replaced], *new)


@known(Kind.GIVEN, 'a terminal at site "{site}" in zone "{zone}" selling in "{currency}"')
def _terminal(stage: Stage, site: str, zone: str, currency: str) -> None:
    stage.sell_in(currency)
    stage.describe(site=site, zone=values.zone(zone))


@known(Kind.GIVEN, 'the local time is "{text}"')
def _local_time(stage: Stage, text: str) -> None:
    stage.describe(local_time=values.local_time(text))


@known(Kind.GIVEN, "the host is {how:reachable|unreachable}")
def _host_is(stage: Stage, how: str) -> None:
    stage.describe(host=replace(stage.setup.host, reachable=how == "reachable"))


@known(Kind.GIVEN, "the host answers after {time:amount}")
def _host_slow(stage: Stage, time: str) -> None:
    stage.describe(host=replace(stage.setup.host, reachable=True, delay_ms=values.duration_ms(time)))


@known(Kind.GIVEN, "the host answers only after booking, losing the answer")
def _host_loses(stage: Stage) -> None:
    stage.describe(host=replace(stage.setup.host, reachable=True, lose_answers=True))


@known(Kind.GIVEN, "the host answers every call with 500")
def _host_500(stage: Stage) -> None:
    stage.describe(host=replace(stage.setup.host, reachable=True, always_500=True))


@known(Kind.GIVEN, "the terminal policy")
def _policy(stage: Stage, datatable: Table) -> None:
    stage.describe(policy={**stage.setup.policy, **tables.policy(datatable, stage.setup.currency)})


@known(Kind.GIVEN, "the fuelling points")
def _fuelling_points(stage: Stage, datatable: Table) -> None:
    rows = _over(stage.setup.fuelling_points, tables.fuelling_points(datatable), lambda row: (row.fp, row.nozzle))
    stage.describe(fuelling_points=rows)


@known(Kind.GIVEN, "the customers")
def _customers(stage: Stage, datatable: Table) -> None:
    stage.describe(customers=_over(stage.setup.customers, tables.customers(datatable), lambda row: row.customer))


@known(Kind.GIVEN, "the cards")
def _cards(stage: Stage, datatable: Table) -> None:
    stage.describe(cards=_over(stage.setup.cards, tables.cards(datatable), lambda row: row.number))


@known(Kind.GIVEN, "the limits")
def _limits(stage: Stage, datatable: Table) -> None:
    new = tables.limits(datatable, stage.setup.currency)
    stage.describe(limits=_over(stage.setup.limits, new, lambda row: (row.subject, row.period, row.measure, row.products)))


@known(Kind.GIVEN, "the shares")
def _shares(stage: Stage, datatable: Table) -> None:
    new = tables.shares(datatable, stage.setup.currency)
    stage.describe(shares=_over(stage.setup.shares, new, lambda row: (row.subject, row.period, row.measure, row.products)))


@known(Kind.GIVEN, "the ranges that are online only")
def _online_only(stage: Stage, datatable: Table) -> None:
    stage.describe(online_only=_over(stage.setup.online_only, tables.ranges(datatable), lambda pair: pair))


@known(Kind.GIVEN, "the card ranges")
def _card_ranges(stage: Stage, datatable: Table) -> None:
    stage.describe(ranges=_over(stage.setup.ranges, identification_tables.card_ranges(datatable), lambda row: row.key))


@known(Kind.GIVEN, "the prompt rules")
def _prompt_rules(stage: Stage, datatable: Table) -> None:
    new = identification_tables.prompt_rules(datatable)
    stage.describe(prompt_rules=_over(stage.setup.prompt_rules, new, lambda row: (row.subject, row.prompt)))


@known(Kind.GIVEN, "the host knows the odometers")
def _odometers(stage: Stage, datatable: Table) -> None:
    stage.describe(odometers=_over(stage.setup.odometers, identification_tables.odometers(datatable), lambda row: row[0]))


@known(Kind.GIVEN, 'the site is in network "{network}"')
def _network(stage: Stage, network: str) -> None:
    stage.describe(networks=(*stage.setup.networks, network))


@known(Kind.GIVEN, "the balances")
def _balances(stage: Stage, datatable: Table) -> None:
    new = tables.balances(datatable, stage.setup.currency)
    stage.describe(balances=_over(stage.setup.balances, new, lambda row: (row.subject, row.kind, row.measure, row.products)))


@known(Kind.GIVEN, "the host counts")
def _host_counts(stage: Stage, datatable: Table) -> None:
    new = tables.host_counts(datatable, stage.setup.currency)
    stage.describe(host_counts=_over(stage.setup.host_counts, new, lambda row: (row.subject, row.period, row.measure, row.products)))
