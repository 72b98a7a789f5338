"""A stripe reader that types, as media of one terminal side. How an input device is found, held and read: ``drivers/evdev_device.py``.

Source: ``firmware_notes/stripes.md``. The exclusive grab matters twice here: track data must reach no console, and digits of a card must
never arrive where a PIN is typed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from drivers.evdev_device import InputFault, InputThread
from drivers.events import DeviceEvent
from drivers.magstripe.decode import StripeDecoder
from drivers.magstripe.wedge import TABLES, WedgeLayout

_NEEDED = ";0123456789=?"
"""Without a key for each of these no track 2 can be typed; a keypad has not, and so is never taken for a stripe reader."""


class StripeFault(InputFault):
    """The stripe reader is not there, is none, or belongs to another program. The text says which."""


class StripeReader(InputThread):
    """One reader. Posts ``MediumPresented`` (kind STRIPE, trust T0) or ``MediumUnreadable`` for each swipe.

    ``layout`` is the keyboard that the reader was set to be; ``lrc_sent`` says that it types the check character.
    """

    what = "stripe reader"
    fault = StripeFault

    def __init__(
        self,
        name: str,
        side: int,
        post: Callable[[DeviceEvent], None],
        clock: Callable[[], int],
        path: str | None = None,
        phys: str | None = None,
        layout: WedgeLayout = WedgeLayout.US,
        lrc_sent: bool = False,
    ) -> None:
        super().__init__(name, side, post, clock, path, phys)
        self._layout = layout
        self._decoder = StripeDecoder(side, layout, lrc_sent)

    def is_it(self, codes: Collection[int]) -> bool:
        """True when it has keys to type a track 2."""
        typed = {table[code] for table in TABLES[self._layout] for code in codes if code in table}
        return typed.issuperset(_NEEDED)

    def take(self, kind: int, code: int, value: int) -> None:
        """Post the swipe that ended with this event, if one did."""
        for event in self._decoder.feed(kind, code, value, self.clock()):
            self.post(event)

    def next_wakeup(self) -> int | None:
        """When the swipe under way ends by itself."""
        return self._decoder.next_wakeup()

    def tick(self) -> None:
        """Post the swipe that ended by a pause."""
        for event in self._decoder.tick(self.clock()):
            self.post(event)

    def forget(self) -> None:
        """A swipe cut in two by a plug is none."""
        self._decoder.forget()
