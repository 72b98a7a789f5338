"""The real terminal program, which also writes down when a medium or a key reached its inbox: ``python -m tests.bench.stamped run …``.

One line ``monotonic_ns what`` per event, appended to the file that ``FORECOURT_STAMPS`` names; never a number or a key. Nothing of the
program is changed but the one call that is looked at.
"""

from __future__ import annotations

import os
import time

from drivers.events import KeyPressed, MediumPresented, MediumRemoved, MediumUnreadable
from terminal.__main__ import main
from terminal.runtime.inbox import Inbox
from tests.bench.chips import STAMPS

WATCHED = (KeyPressed, MediumPresented, MediumRemoved, MediumUnreadable)


def watch(path: str) -> None:
    """Write down every watched event from now on, before the inbox has it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    post = Inbox.post

    def stamped(inbox: Inbox, event: object) -> None:
        if isinstance(event, WATCHED):
            os.write(descriptor, f"{time.monotonic_ns()} {type(event).__name__}\n".encode())
        post(inbox, event)

    setattr(Inbox, "post", stamped)  # noqa: B010 - a plain assignment to a method is what mypy refuses


if __name__ == "__main__":
    watch(os.environ[STAMPS])
    main(prog_name="python -m terminal")
