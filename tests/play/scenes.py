"""The module that pytest collects for a play: one test function for each scenario of ``run.CURRENT``."""

from __future__ import annotations

from tests.behaviour.binding import bind
from tests.play.run import CURRENT

bind(CURRENT.scenes, [CURRENT.world], globals())
