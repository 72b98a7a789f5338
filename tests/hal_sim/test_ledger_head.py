"""The host keeps the highest row of a terminal's ledger that it was told, and answers with the one it had before."""

from __future__ import annotations

from typing import Any

from tests.hal_sim.host_kit import openapi, world

ROW = "{:064x}"


def test_the_host_keeps_the_highest_row_until_its_people_take_another() -> None:
    book, terminal, _ = world()
    state: dict[str, Any] = openapi()["components"]["schemas"]["State"]["examples"][0]
    state.pop("ledger", None)

    def told(row: int | None) -> Any:
        ledger = {} if row is None else {"ledger": {"row": row, "hash": ROW.format(row)}}
        status, answer = terminal.call("PUT", "/v1/terminals/OPT1/state", state | ledger)
        assert status == 200
        return answer["ledger"]

    assert told(None) is None
    assert told(5) is None
    assert told(9) == {"row": 5, "hash": ROW.format(5)}
    assert told(7) == {"row": 9, "hash": ROW.format(9)}  # an older copy: the answer says what is missing
    assert told(7) == {"row": 9, "hash": ROW.format(9)}
    book.confirm_ledger("compared")
    assert told(7) is None
    assert told(8) == {"row": 7, "hash": ROW.format(7)}
