"""A contact of the site on an input of the machine: the second contact of the hard-wired emergency stop, which is only looked at.

Linux shows a contact on a GPIO pin as a key (device tree overlay ``gpio-key``, which also debounces and inverts it); so it is found and
read as a keypad is: ``drivers/evdev_device.py``. What it says at the first look counts, because the button may have been pressed while
nobody looked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from drivers.evdev_device import InputFault, InputThread
from drivers.events import DeviceEvent, SiteInputChanged

KEY_STOP = 128
_EV_KEY = 1


class SiteInputFault(InputFault):
    """The input is not there, has not that key, or belongs to another program. The text says which."""


class SiteInput(InputThread):
    """One contact. Posts ``SiteInputChanged`` at the first look and whenever it changes."""

    what = "site input"
    fault = SiteInputFault
    asks_held = True

    def __init__(
        self,
        name: str,
        post: Callable[[DeviceEvent], None],
        clock: Callable[[], int],
        contact: str,
        code: int = KEY_STOP,
        path: str | None = None,
        phys: str | None = None,
    ) -> None:
        """``contact`` is its name in the events, ``code`` the key that the overlay was given (linux/input-event-codes.h)."""
        super().__init__(name, 0, post, clock, path, phys)
        self._contact = contact
        self._code = code
        self._told: bool | None = None

    def is_it(self, codes: Collection[int]) -> bool:
        """True when it has the key."""
        return self._code in codes

    def take(self, kind: int, code: int, value: int) -> None:
        """Tell a change; a repeat is none."""
        if kind == _EV_KEY and code == self._code:
            self._tell(value != 0)

    def forget(self) -> None:
        """Opened anew: how it stands now, where the device can say so."""
        self._told = None
        if self.held is not None:
            self._tell(self._code in self.held)

    def _tell(self, active: bool) -> None:
        if active is not self._told:
            self._told = active
            self.post(SiteInputChanged(self._contact, active))
