"""The fields of one command to a forecourt, checked as they are asked for. An error never repeats what was given."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """The command cannot be obeyed; the text says why."""


class Arguments:
    """The fields of one command, checked as they are asked for."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = dict(fields)
        self._name = self._fields.pop("do")

    @property
    def empty(self) -> bool:
        """Nothing was given."""
        return not self._fields

    def has(self, name: str) -> bool:
        """It was given."""
        return name in self._fields

    def _take(self, name: str, default: object, kind: type, what: str) -> Any:
        value = self._fields.pop(name, default)
        if type(value) is not kind:
            raise Refused(f"{self._name}: {name} is missing or not {what}")
        return value

    def whole(self, name: str, default: int | None = None, low: int = 0, high: int = 10**12) -> int:
        """A whole number from ``low`` to ``high``."""
        value: int = self._take(name, default, int, "a whole number")
        if not low <= value <= high:
            raise Refused(f"{self._name}: {name} is {low} to {high}")
        return value

    def flag(self, name: str, default: bool | None = None) -> bool:
        """True or false."""
        value: bool = self._take(name, default, bool, "true or false")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        """Text."""
        value: str = self._take(name, default, str, "text")
        return value

    def texts(self, name: str) -> list[str]:
        """A list of texts."""
        values: list[Any] = self._take(name, None, list, "a list of texts")
        if not all(isinstance(value, str) for value in values):
            raise Refused(f"{self._name}: {name} is not a list of texts")
        return values

    def names(self, name: str) -> dict[str, str]:
        """An object of names with texts; empty where none is given."""
        values: dict[str, Any] = self._take(name, {}, dict, "an object of names with texts")
        if not all(isinstance(value, str) for value in values.values()):
            raise Refused(f"{self._name}: {name} is not an object of names with texts")
        return values

    def nothing_else(self) -> None:
        """Every field has been asked for. Raises ``Refused`` where one is left."""
        if self._fields:
            raise Refused(f"{self._name}: unknown field {', '.join(sorted(self._fields))}")
