"""What ``test_wires.py`` leaves out: each scenario over its other wires. No part of ``make test``; ``make wires`` plays both."""

from __future__ import annotations

from tests.behaviour.binding import bind
from tests.wires.plan import parts

pytest_plugins = ["tests.behaviour.steps", "tests.behaviour.plugin"]

for scenes, worlds in parts(rest=True):
    bind(scenes, worlds, globals())
