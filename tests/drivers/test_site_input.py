"""A contact of the site as an input device: its first look, its changes, and devices that cannot say how they stand."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from drivers.events import EMERGENCY_STOP, SiteInputChanged
from drivers.site_input.device import KEY_STOP, SiteInput


class Contact:
    """The driver without its thread; what it posts."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.input = SiteInput("emergency-stop", self.told.append, lambda: 0, EMERGENCY_STOP, path="/dev/input/event7")

    def opened(self, held: Collection[int] | None) -> None:
        self.input.held = held
        self.input.forget()

    def key(self, value: int, code: int = KEY_STOP, kind: int = 1) -> None:
        self.input.take(kind, code, value)

    def take(self) -> list[bool]:
        told, self.told[:] = list(self.told), []
        assert all(isinstance(event, SiteInputChanged) and event.name == EMERGENCY_STOP for event in told)
        return [event.active for event in told]


@pytest.mark.parametrize(("held", "told"), [([], [False]), ([KEY_STOP], [True]), ([1, 2], [False]), (None, [])])
def test_the_first_look_counts_where_the_device_can_say(held: list[int] | None, told: list[bool]) -> None:
    contact = Contact()
    contact.opened(held)
    assert contact.take() == told


def test_a_change_is_told_once_and_another_key_not_at_all() -> None:
    contact = Contact()
    contact.opened([])
    contact.take()
    contact.key(1)
    contact.key(2)  # the kernel's repeat
    contact.key(1, code=30)
    contact.key(1, kind=4)
    assert contact.take() == [True]
    contact.key(0)
    assert contact.take() == [False]


def test_what_was_pressed_while_the_device_was_away_is_told_at_its_return() -> None:
    contact = Contact()
    contact.opened([])
    contact.take()
    contact.opened([KEY_STOP])
    assert contact.take() == [True]


def test_a_device_without_the_key_is_another_one() -> None:
    contact = Contact()
    assert contact.input.is_it([KEY_STOP, 30])
    assert not contact.input.is_it([30])
