"""A USB keypad as keys of one terminal side. How an input device is found, held and read: ``drivers/evdev_device.py``."""

from __future__ import annotations

from collections.abc import Callable, Collection

from drivers.evdev_device import InputFault, InputThread
from drivers.events import DeviceEvent, KeyPressed
from drivers.keypad.decode import KEYS, KeyDecoder


class KeypadFault(InputFault):
    """The keypad is not there, is no keypad, or belongs to another program. The text says which."""


class Keypad(InputThread):
    """One keypad. Posts ``KeyPressed`` when a key goes down and never for a repeat."""

    what = "keypad"
    fault = KeypadFault

    def __init__(
        self,
        name: str,
        side: int,
        post: Callable[[DeviceEvent], None],
        clock: Callable[[], int],
        path: str | None = None,
        phys: str | None = None,
    ) -> None:
        super().__init__(name, side, post, clock, path, phys)
        self._decoder = KeyDecoder()

    def is_it(self, codes: Collection[int]) -> bool:
        """True when it has at least one of our keys: a keypad's second input (media keys, pointer) has none."""
        return not KEYS.keys().isdisjoint(codes)

    def take(self, kind: int, code: int, value: int) -> None:
        """Post the key that went down, if one did."""
        key = self._decoder.feed(kind, code, value)
        if key is not None:
            self.post(KeyPressed(self.side, key))

    def forget(self) -> None:
        """No key is held any more."""
        self._decoder.forget()
