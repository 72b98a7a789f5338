"""The scenario's file: read once, and each object of it with its place, so that a mistake is named where it stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class CannotStart(Exception):
    """The forecourt cannot be built; the text says why and where, for a person."""


def read_scenario(path: Path) -> dict[str, Any]:
    """The scenario of a JSON file. Raises CannotStart with the place of the mistake."""
    try:
        scenario = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CannotStart(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CannotStart(f"{path}: not UTF-8 text") from error
    except json.JSONDecodeError as error:
        raise CannotStart(f"{path}, line {error.lineno}, column {error.colno}: {error.msg}") from error
    if not isinstance(scenario, dict):
        raise CannotStart(f"{path}: the scenario is one JSON object")
    return scenario


class Part:
    """One object of the scenario, read with its place, so that a mistake is named and never met by accident later."""

    def __init__(self, where: str, values: object) -> None:
        if not isinstance(values, dict):
            raise CannotStart(f"{where}: an object is expected")
        self._where = where
        self._values: dict[str, Any] = values

    def only(self, *names: str) -> None:
        """Raises CannotStart for a name that is not among these."""
        for name in self._values:
            if name not in names:
                raise CannotStart(f"{self._where}.{name}: unknown; known are {', '.join(names)}")

    def whole(self, name: str, default: int | None, low: int, high: int) -> int:
        """A whole number between two bounds."""
        value = self._values.get(name, default)
        if type(value) is not int or not low <= value <= high:
            raise CannotStart(f"{self._where}.{name}: a whole number of {low} to {high} is expected")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self._values.get(name, default)
        if not isinstance(value, bool):
            raise CannotStart(f"{self._where}.{name}: true or false is expected")
        return value

    def text(self, name: str, default: str | None) -> str:
        """Text that is not empty."""
        value = self._values.get(name, default)
        if not isinstance(value, str) or not value:
            raise CannotStart(f"{self._where}.{name}: text is expected")
        return value
